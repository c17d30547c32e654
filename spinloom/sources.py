"""Which source files a program consists of: its modules, and all of this project that they import.

The imports are read from the files, those within functions included; nothing is imported. Plug-ins are chosen by name
while a program runs, so the caller names their modules.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import grimp

from spinloom.errors import UserError
from spinloom.files import sha256_file

ROOT = Path(__file__).parents[1]
PACKAGES = ("spinloom", "device_sims", "calibration", "network", "report", "workflow")


def command(package: str, name: str, *plug_ins: str) -> tuple[str, ...]:
    """Return the modules from which a command of a stage starts, those of the ``plug_ins`` that it uses included."""
    return f"{package}.__main__", f"{package}.commands.{name}", *plug_ins


@cache
def _graph(*outside: str) -> grimp.ImportGraph:
    return grimp.build_graph(*PACKAGES, *outside, cache_dir=None, exclude_type_checking_imports=True)


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
        By the file's name within the project, or within the folder that holds an outside package; sorted.
    """
    tops = {module.partition(".")[0] for module in modules} - set(PACKAGES)
    found = {name: path for top in tops for name, path in _outside(top).items()}
    packages = sorted(top for top in tops if f"{top}/__init__.py" in found)
    graph = _graph(*packages)
    left = [module for module in graph.modules if module.partition(".")[0] in packages]
    left += [module for module in modules if module in graph.modules]
    seen = set(left)
    while left:
        module = left.pop()
        more: Iterable[str] = graph.find_modules_directly_imported_by(module)
        if module.partition(".")[0] in PACKAGES:
            path = Path(root, *module.split("."))
            package = path / "__init__.py"
            path = package if package.exists() else path.with_suffix(".py")
            found[path.relative_to(root).as_posix()] = path
            # importing a module imports the packages above it
            more = {module.rpartition(".")[0] or module, *more}
        left += set(more) - seen
        seen.update(more)
    return dict(sorted(found.items()))


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
    """Return the SHA-256 of each of `files`, by the same names."""
    return {name: sha256_file(path) for name, path in files(*modules, root=root).items()}
