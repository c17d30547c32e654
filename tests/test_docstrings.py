"""What ruff cannot see: docstrings of public functions name the errors that they raise and the shapes of arrays."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("spinloom", "device_sims", "calibration", "network", "workflow", "report")
# an array whose annotation has no shape, as Float[np.ndarray, "n"] has
BARE = re.compile(r"\b(np\.ndarray|jax\.Array)\b(?!, ')")
SHAPE = re.compile(r"\[[^\]]+\]|shape|[Aa]s (of|in) (`|these)|[Ss]ee `")


def functions(body: list[ast.stmt]):
    """Yield the public functions and methods that have docstrings; ruff sees which have none."""
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from functions(node.body)
        elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_") and ast.get_docstring(node):
            yield node


def annotations(function: ast.FunctionDef) -> str:
    """Return the annotations of a function's arguments and result, without the arguments of callables."""
    arguments = [node.annotation for node in ast.walk(function.args) if isinstance(node, ast.arg)]
    told = " ".join(ast.unparse(one) for one in (*arguments, function.returns) if one)
    return re.sub(r"Callable\[\[[^\]]*\], [^\]]*\]", "", told)


def errors(function: ast.FunctionDef) -> set[str]:
    """Return the names of the errors that a function raises itself."""
    raised = (node.exc for node in ast.walk(function) if isinstance(node, ast.Raise))
    names = {ast.unparse(error.func).rpartition(".")[2] for error in raised if isinstance(error, ast.Call)}
    return {name for name in names if name.endswith("Error") and name[0].isupper()}


def faults(text: str) -> list[str]:
    """Return what the docstrings of a module's public functions leave out."""
    found = []
    for function in functions(ast.parse(text).body):
        said = ast.get_docstring(function) or ""
        missing = ["shape"] if BARE.search(annotations(function)) and not SHAPE.search(said) else []
        missing += sorted(
            name for name in errors(function) if not re.search(rf"\b{name}\b|[Ee]rrors as (of|in) `", said)
        )
        found += [f"line {function.lineno}: {function.name}: no {one}" for one in missing]
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_docstrings_name_shapes_and_errors(package):
    paths = sorted((ROOT / package).rglob("*.py"))
    found = {str(path.relative_to(ROOT)): faults(path.read_text(encoding="utf-8")) for path in paths}
    assert found and not {path: missing for path, missing in found.items() if missing}


@pytest.mark.parametrize(
    "head, said, missing",
    [
        ("def f(x: np.ndarray)", "Return x.", ["shape"]),
        ("def f(*x: tuple[jax.Array, int])", "Return x.", ["shape"]),
        ("def f(x) -> list[np.ndarray]", "Return x, float64[n].", []),
        ("def f(x: Float[np.ndarray, 'n'])", "Return x.", []),
        ("def f(x: Callable[[np.ndarray], np.ndarray])", "Return x.", []),
        ("def _f(x: np.ndarray)", "Return x.", []),
    ],
)
def test_a_missing_shape_is_found(head, said, missing):
    assert faults(f"{head}:\n  '''{said}'''") == [f"line 1: f: no {one}" for one in missing]


@pytest.mark.parametrize(
    "said, missing",
    [("Stop.", ["UserError"]), ("Stop with a `UserError`.", []), ("Stop; errors as of `g`.", [])],
)
def test_a_missing_error_is_found(said, missing):
    text = f"class A:\n  def f(self):\n    '''{said}'''\n    raise errors.UserError('x')"
    assert faults(text) == [f"line 2: f: no {one}" for one in missing]
