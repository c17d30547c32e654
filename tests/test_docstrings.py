"""What ruff cannot see: docstrings of public functions name units, the shapes of arrays and the errors raised."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("spinloom", "device_sims", "calibration", "network", "workflow", "report", "spinloom_api")
# an array whose annotation has no shape, as Float[np.ndarray, "n"] has
BARE = re.compile(r"\b(np\.ndarray|jax\.Array)\b(?!, ')")
SHAPE = re.compile(r"\[[^\]]+\]|shape|[Aa]s (of|in) (`|these)|[Ss]ee `")
# a number with a unit that its name does not carry, as duration_s does
PLAIN = re.compile(
    r"(^|_)(t|d[txyz]|time|duration|period|temperature|voltage|current|current_density|frequency|length|thickness"
    r"|diameter|distance|position|area|volume|energy|power|conductance|resistance|resistivity|latency)s?$"
)
UNIT = re.compile(r"\b(A(?! [a-z])|Hz|J|K|m|ns?|ohm|s|S|T|V)\b(?!\[)|\bunit")


def functions(body: list[ast.stmt]):
    """Yield the public functions and methods that have docstrings; ruff sees which have none."""
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from functions(node.body)
        elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_") and ast.get_docstring(node):
            yield node


def annotations(function: ast.FunctionDef) -> dict[str, str]:
    """Return the annotations of a function's arguments and of its result, under its name; callables are left out."""
    told = {node.arg: node.annotation for node in ast.walk(function.args) if isinstance(node, ast.arg)}
    told[function.name] = function.returns
    return {name: re.sub(r"Callable\[\[[^\]]*\], [^\]]*\]", "", ast.unparse(one)) for name, one in told.items() if one}


def errors(function: ast.FunctionDef) -> set[str]:
    """Return the names of the errors that a function raises itself."""
    raised = (node.exc for node in ast.walk(function) if isinstance(node, ast.Raise))
    names = {ast.unparse(error.func).rpartition(".")[2] for error in raised if isinstance(error, ast.Call)}
    return {name for name in names if name.endswith("Error") and name[0].isupper()}


def faults(text: str) -> list[str]:
    """Return what the docstrings of a module's public functions leave out."""
    found = []
    for function in functions(ast.parse(text).body):
        said, told = ast.get_docstring(function) or "", annotations(function)
        missing = ["shape"] if BARE.search(" ".join(told.values())) and not SHAPE.search(said) else []
        plain = [name for name, one in told.items() if re.search(r"\bfloat\b", one) and PLAIN.search(name)]
        missing += ["unit"] if plain and not UNIT.search(said) else []
        missing += sorted(
            name for name in errors(function) if not re.search(rf"\b{name}\b|[Ee]rrors as (of|in) `", said)
        )
        found += [f"line {function.lineno}: {function.name}: no {one}" for one in missing]
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_docstrings_name_units_shapes_and_errors(package):
    paths = sorted((ROOT / package).rglob("*.py"))
    found = [f"{path.relative_to(ROOT)}: {one}" for path in paths for one in faults(path.read_text(encoding="utf-8"))]
    assert paths and not found


@pytest.mark.parametrize(
    "head, said, missing",
    [
        ("def f(x: np.ndarray)", "Return x.", ["shape"]),
        ("def f(*x: tuple[jax.Array, int])", "Return x.", ["shape"]),
        ("def f(x) -> list[np.ndarray]", "Return x, float64[n].", []),
        ("def f(x: Float[np.ndarray, 'n'])", "Return x.", []),
        ("def f(x: Callable[[np.ndarray], np.ndarray])", "Return x.", []),
        ("def _f(x: np.ndarray)", "Return x.", []),
        ("def f(rest_time: float)", "Wait.", ["unit"]),
        ("def f(rest_time: float)", "Wait for ``rest_time``, s.", []),
        ("def f(rest_time_s: float)", "Wait.", []),
    ],
)
def test_a_missing_shape_or_unit_is_found(head, said, missing):
    assert faults(f"{head}:\n  '''{said}'''") == [f"line 1: f: no {one}" for one in missing]


@pytest.mark.parametrize(
    "said, missing",
    [("Stop.", ["UserError"]), ("Stop with a `UserError`.", []), ("Stop; errors as of `g`.", [])],
)
def test_a_missing_error_is_found(said, missing):
    text = f"class A:\n  def f(self):\n    '''{said}'''\n    raise errors.UserError('x')"
    assert faults(text) == [f"line 2: f: no {one}" for one in missing]
