"""Libraries that a program may do without: they are imported when something of them is first used.

A learning rule's file declares its options and imports JAX. Planning a study needs the options and computes nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any


def defer(*packages: str) -> None:
    """Let ``import`` of these packages, and of modules in them, do nothing until an attribute of one is used.

    The first use imports all of them for good. Packages that are imported already stay as they are.
    """
    new = {name for name in packages if name not in sys.modules}
    if new:
        sys.meta_path.insert(0, _Finder(new))


class _Module(ModuleType):
    """Stands for a module that has not run; an attribute that it lacks ends all deferring."""

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _Finder)]
            for other in [name for name, module in sys.modules.items() if isinstance(module, _Module)]:
                del sys.modules[other]
        return getattr(import_module(self.__name__), name)


class _Finder(MetaPathFinder, Loader):
    def __init__(self, packages: set[str]):
        self.packages = packages

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] not in self.packages:
            return None
        spec = PathFinder.find_spec(fullname, path)
        if spec is not None:
            spec.loader = self
        return spec

    def create_module(self, spec: ModuleSpec) -> None:
        """Leave it to the import system."""

    def exec_module(self, module: ModuleType) -> None:
        module.__class__ = _Module  # in place of running it
