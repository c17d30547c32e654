"""Plug-ins of one kind: the modules of a package of ours, and what installed packages declare as entry points.

A plug-in is a module. Its name is the name of its file, or of its entry point. Names are known without importing
any plug-in; a module is imported when it is asked for by name. `spinloom.sources` tells the files of a plug-in.
"""

from __future__ import annotations

import os
import pkgutil
import re
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from operator import attrgetter
from types import ModuleType

from spinloom.errors import UserError

NAME = re.compile("[a-z][a-z0-9_]*")  # it becomes a key of configs and part of file names; others are passed over


@cache
def _installed(group: str) -> EntryPoints:
    return entry_points(group=group)


@cache
def _modules(folders: tuple[tuple[str, int], ...]) -> tuple[str, ...]:
    """Return the names of the modules in folders, which are given with the times of their last change."""
    return tuple(name for _, name, _ in pkgutil.iter_modules([path for path, _ in folders]))


class Registry:
    """The plug-ins of one kind.

    Parameters
    ----------
    key : str
        Config key that names a plug-in; begins the errors.
    package : str
        Dotted name of our package: each of its modules and subpackages is a plug-in.
    words : tuple of str
        What the module of a plug-in must define; dots lead into what it defines.
    shared : tuple of str
        Modules and subpackages of ``package`` that are no plug-ins: what several plug-ins have in common.
    named : str, optional
        The one of ``words`` that repeats the plug-in's name, for a plug-in that must know it.
    """

    def __init__(self, key: str, package: str, words: tuple[str, ...], shared: tuple[str, ...] = (), named: str = ""):
        self.key, self.package, self.words, self.shared, self.named = key, package, words, shared, named
        self.group = f"spinloom.{package.rpartition('.')[2]}"  # of the entry points

    def names(self) -> list[str]:
        """Return the names of all plug-ins, sorted."""
        return sorted({entry.name for entry in self._found()})

    def own(self) -> list[str]:
        """Return the names of our own plug-ins, sorted."""
        return sorted(entry.name for entry in self._found() if entry.dist is None)

    def module(self, name: str, where: str | None = None) -> str:
        """Return the dotted name of a plug-in's module.

        Parameters
        ----------
        name : str
        where : str, optional
            Begins the error; default: the registry's key.

        Raises
        ------
        UserError
            If there is no such plug-in, or two have one name.
        """
        return self._entry(name, where).module

    def get(self, name: str, where: str | None = None) -> ModuleType:
        """Return the module of a plug-in; arguments as of `module`.

        Raises
        ------
        UserError
            If there is no such plug-in, two have one name, or its entry point names no module that can be imported
            and that defines the needed words.
        """
        entry = self._entry(name, where)
        try:
            module = import_module(entry.module) if entry.dist is None else entry.load()
        except Exception as error:  # whatever the code of others raises
            if entry.dist is None:
                raise
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            raise UserError(f"{self._source(entry)}: cannot be imported ({reason})") from None
        for word in self.words:
            try:
                value = attrgetter(word)(module)
            except AttributeError:
                raise UserError(
                    f"{self._source(entry)}: found no '{word}', allowed: a module that defines {', '.join(self.words)}"
                ) from None
            if word == self.named and value != name:
                raise UserError(f"{self._source(entry)}: {word}: found {value!r}, allowed: '{name}'")
        return module

    def _entry(self, name: str, where: str | None) -> EntryPoint:
        where = where or self.key
        found = [entry for entry in self._found() if entry.name == name]
        if not found:
            text = str(name).encode("unicode_escape").decode()
            text = text if len(text) <= 60 else text[:57] + "..."
            raise UserError(f"{where}: found {text}, allowed: {', '.join(self.names())}")
        if len(found) > 1:
            places = " and in ".join(entry.module for entry in found)
            raise UserError(f"{where}: found two plug-ins called {name}, in {places}, allowed: one")
        return found[0]

    def _found(self) -> list[EntryPoint]:
        """Return the plug-ins; our own have an entry point without a distribution."""
        folders = tuple((path, os.stat(path).st_mtime_ns) for path in import_module(self.package).__path__)
        modules = _modules(folders)
        own = [EntryPoint(name, f"{self.package}.{name}", self.group) for name in modules if name not in self.shared]
        return [*own, *(entry for entry in _installed(self.group) if NAME.fullmatch(entry.name))]

    def _source(self, entry: EntryPoint) -> str:
        if entry.dist is None:
            return entry.module
        return f"{entry.dist.name} {entry.dist.version}: entry point {self.group}, {entry.name} = {entry.value}"
