"""What a program consists of: its modules, all of this project that they import, and the packages of others.

The imports are read from the files, those within functions included; nothing is imported. Plug-ins are chosen by name
while a program runs, so the caller names their modules.
"""

from __future__ import annotations

import ast
import hashlib
import json
import marshal
import re
import sys
import warnings
from contextlib import suppress
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from types import CodeType

import grimp

from spinloom.errors import UserError
from spinloom.files import write_json

ROOT = Path(__file__).parents[1]
KNOWN = "~/.cache/spinloom/digests.json"  # digests of sources that were compiled before
MOST_KNOWN = 2000  # the tree has about 200
PACKAGES = ("spinloom", "device_sims", "calibration", "network", "report", "workflow")
# modules of ours whose work reaches no result: words, clocks, locks, the choice of a GPU, and this one
SILENT = {
    f"spinloom.{name}" for name in ("errors", "explain", "gpus", "needs", "progress", "run_lock", "sources", "speed")
}
# packages of which the same holds: they check, draw or read configs, whose content is an input of its own; a job that
# keeps a picture names what draws it
SILENT_PACKAGES = {
    "grimp", "jaxtyping", "matplotlib", "pandera", "pydantic", "pydantic_core", "rich", "threadpoolctl", "yaml",
}  # fmt: skip
# a package's distributions where they are not the one of its name; those that compute for it among them
DISTRIBUTIONS = {"jax": ("jax", "jaxlib", "opt_einsum"), "sklearn": ("scikit-learn",)}


def command(package: str, name: str, *plug_ins: str) -> tuple[str, ...]:
    """Return the modules from which a command of a stage starts, those of the ``plug_ins`` that it uses included."""
    return f"{package}.__main__", f"{package}.commands.{name}", *plug_ins


@cache
def _graph(*outside: str) -> grimp.ImportGraph:
    return grimp.build_graph(
        *PACKAGES, *outside, cache_dir=None, exclude_type_checking_imports=True, include_external_packages=True
    )


def _reached(*modules: str) -> tuple[dict[str, Path], set[str]]:
    """Return the files of packages from outside that modules start from, and the names of all that is imported."""
    tops = {module.partition(".")[0] for module in modules} - set(PACKAGES)
    outside = {name: path for top in tops for name, path in _outside(top).items()}
    packages = sorted(top for top in tops if f"{top}/__init__.py" in outside)
    graph = _graph(*packages)
    left = [module for module in graph.modules if module.partition(".")[0] in packages]
    left += [module for module in modules if module in graph.modules]
    seen = set(left)
    while left:
        module = left.pop()
        more = set(graph.find_modules_directly_imported_by(module))
        if module.partition(".")[0] in PACKAGES:
            # importing a module imports the packages above it
            more.add(module.rpartition(".")[0] or module)
        left += more - seen - SILENT
        seen |= more - SILENT
    return outside, seen


def files(*modules: str, root: str | Path = ROOT) -> dict[str, Path]:
    """Return the Python files that modules consist of.

    Parameters
    ----------
    modules : str
        Dotted names. Of a module from outside the project all files of its top-level package count, and what these
        import of the project.
    root : str or Path
        Folder of the project.

    Returns
    -------
    dict of Path
        By the file's name within the project, or within the folder that holds an outside package; sorted. Those that
        reach no result (`SILENT`) are not among them.
    """
    outside, reached = _reached(*modules)
    found = dict(outside)
    for module in reached:
        if module.partition(".")[0] in PACKAGES:
            path = Path(root, *module.split("."))
            package = path / "__init__.py"
            path = package if package.exists() else path.with_suffix(".py")
            found[path.relative_to(root).as_posix()] = path
    return dict(sorted(found.items()))


def versions(*modules: str, packages: tuple[str, ...] = ()) -> dict[str, str]:
    """Return the versions of what computes beside our own code, by the name of the distribution, sorted.

    Python itself is among them with its minor version: since 3.12 it adds floats up in another way.

    Parameters
    ----------
    modules : str
        As of `files`; of the packages that these import all count but those that reach no result (`SILENT_PACKAGES`).
    packages : tuple of str
        Distributions that count whether they are imported or not.
    """
    _, reached = _reached(*modules)
    tops = {name.partition(".")[0] for name in reached} - {*PACKAGES, *SILENT_PACKAGES, *sys.stdlib_module_names}
    tops -= {module.partition(".")[0] for module in modules}  # an outside package's files count
    names = {*packages, *(name for top in tops for name in _distributions(top))}
    found = {"python": f"{sys.version_info.major}.{sys.version_info.minor}"}
    return dict(sorted((found | {name: _version(name) for name in names}).items()))


@cache
def _version(name: str) -> str:
    return metadata.version(name)  # reads a file of the package and parses it as a mail


@cache
def _distributions(package: str) -> tuple[str, ...]:
    """Return the distributions that a package comes in; none if it is not installed."""
    known = DISTRIBUTIONS.get(package, (package,))
    try:
        return tuple(name for name in known if _version(name))
    except metadata.PackageNotFoundError:
        return tuple(metadata.packages_distributions().get(package, ()))


def within(package: str) -> list[str]:
    """Return the names of all modules of one of our packages, sorted."""
    return sorted(name for name in _graph().modules if name.startswith(f"{package}."))


def _outside(package: str) -> dict[str, Path]:
    spec = find_spec(package)
    if spec is None:
        raise UserError(f"{package}: found no such package, allowed: one that is installed")
    if spec.submodule_search_locations:
        folders = map(Path, spec.submodule_search_locations)
        return {path.relative_to(folder.parent).as_posix(): path for folder in folders for path in folder.rglob("*.py")}
    return {Path(spec.origin).name: Path(spec.origin)} if spec.origin else {}


def digests(*modules: str, root: str | Path = ROOT) -> dict[str, str]:
    """Return the digest of each of `files`, by the same names: the same for what Python compiles to the same.

    Comments, the words of docstrings and of the keys of configs, and the layout of a file therefore do not count.
    """
    known = _known()
    before = len(known)
    found = {name: _digest(path.read_bytes(), known) for name, path in files(*modules, root=root).items()}
    if len(known) > before:
        _keep(known)
    return found


@cache
def _known() -> dict[str, str]:
    """Return the digests that were kept, by the hash of the source and of what made them.

    They only save time: whatever is lost or no digest is made again.
    """
    with suppress(OSError, RuntimeError, ValueError, AttributeError, TypeError):
        kept = json.loads(Path(KNOWN).expanduser().read_text(encoding="utf-8"))
        return {key: digest for key, digest in kept.items() if re.fullmatch("[0-9a-f]{64}", digest)}
    return {}


def _keep(known: dict[str, str]) -> None:
    """Write the digests for the next process, all new ones among them; none without a home that can be written to."""
    with suppress(OSError, RuntimeError):
        write_json(dict(list(known.items())[-MOST_KNOWN:]), Path(KNOWN).expanduser())


def _digest(source: bytes, known: dict[str, str]) -> str:
    key = hashlib.sha256(sys.version.encode() + _own() + source).hexdigest()
    if key not in known:
        known[key] = _compiled(source)
    return known[key]


@cache
def _own() -> bytes:
    """Return this module, which decides what a digest is."""
    return Path(__file__).read_bytes()


def _compiled(source: bytes) -> str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = _Wordless().visit(ast.parse(source))
            code = compile(tree, "", "exec", dont_inherit=True, optimize=2)  # without docstrings
    except (SyntaxError, ValueError):  # whoever imports it will say so
        return hashlib.sha256(source).hexdigest()
    # this format shares no objects, whose sharing is a matter of chance
    return hashlib.sha256(marshal.dumps(_without_lines(code), 2)).hexdigest()


class _Wordless(ast.NodeTransformer):
    """Takes out what keys of configs say to readers: the first argument of `spinloom.declare.key`."""

    known = False  # whether the file imports that `key`

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        own = node.module == "spinloom.declare"
        self.known |= own and any(one.name == "key" and one.asname is None for one in node.names)
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if self.known and isinstance(node.func, ast.Name) and node.func.id == "key" and node.args:
            node.args[0] = ast.copy_location(ast.Constant(""), node.args[0])
        return node


def _without_lines(code: CodeType) -> CodeType:
    constants = tuple(_without_lines(one) if isinstance(one, CodeType) else one for one in code.co_consts)
    return code.replace(co_linetable=b"", co_firstlineno=1, co_consts=constants)


def identity(*modules: str, packages: tuple[str, ...] = (), root: str | Path = ROOT) -> dict[str, dict[str, str]]:
    """Return what decides the bytes of a program's results, its inputs apart: `versions`, and `digests` of the code."""
    return {"packages": versions(*modules, packages=packages), "files": digests(*modules, root=root)}
