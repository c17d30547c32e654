"""Files of measured or published devices -> writes to count, or a kernel card.

Each module of this package is a format, as is each entry point of the group ``spinloom.importers``. It defines
``Options``, the section of its options (below `base.Common`), and ``read(path, options) -> Imported``.
``BRINGS_STATES = True`` says that its card comes with its states, on which ``calibration.states`` does not act.
``recognise(path, table)`` returns why a file is of the format, or None; ``table`` is None for a folder and for a file
that holds no table. A format without it is never guessed. ``KIND`` is what its pulses do to a device, or
``kind(path, options)`` if the file decides. ``inputs(path, options)`` returns the files of a format whose path is a
pattern. ``docs/import.md`` describes the formats.
"""

from __future__ import annotations

from dataclasses import replace
from glob import glob
from pathlib import Path
from typing import Any

from calibration.card import Kind
from calibration.sources.importers.base import LOOK, Common, Imported, Measured
from calibration.sources.tabular.table import Table, read_table
from spinloom.errors import UserError
from spinloom.registry import Registry

__all__ = ["REGISTRY", "Imported", "brings_states", "check", "import_file", "inputs", "kind", "recognised", "there"]

REGISTRY = Registry(
    "calibration.source.format",
    __name__,
    words=("Options", "read"),
    shared=("base", "headers", "lookup", "measured", "networks", "reading", "series", "units"),
)


def brings_states(format: str) -> bool:
    """Return whether the card of a format comes with its states."""
    return getattr(REGISTRY.get(format), "BRINGS_STATES", False)


def kind(path: str | Path, format: str, options: dict[str, Any] | None = None) -> Kind | None:
    """Return what the devices in a file are, from its format and a look at some of its rows; None if neither tells.

    Raises
    ------
    UserError
        As of `check`, or if the file cannot be read.
    """
    module, known = REGISTRY.get(format), check(format, options, str(path))
    if known.volatile:
        return Kind.VOLATILE
    return module.kind(path, known) if hasattr(module, "kind") else getattr(module, "KIND", None)


def inputs(path: Path, format: str | None, options: dict[str, Any] | None) -> list[Path] | None:
    """Return the files that an import reads, None if they are those of the path; errors as of `check`."""
    module = REGISTRY.get(format) if format is not None else None
    if module is None or not hasattr(module, "inputs"):
        return None
    return module.inputs(path, check(module.__name__.rpartition(".")[2], options, str(path)))


def check(format: str, options: dict[str, Any] | None, source: str, where: str = "options") -> Common:
    """Return the options of a format with their defaults, before any file is read.

    Parameters
    ----------
    format : str
        One of `REGISTRY`.
    options : dict or None
        Of the format's ``Options``; values may be text, as a command line gives them, and null is the default.
    source : str
        Begins the errors.
    where : str
        Key that the options stand under, for errors.

    Raises
    ------
    UserError
        If the format or an option is unknown, or an option's value is of the wrong type or outside its range.
    """
    known = REGISTRY.get(format).Options
    given = {
        name: value for name, value in (options or {}).items() if value is not None or name not in known.model_fields
    }
    return known.parse(given, source, where)


def recognised(path: str | Path, options: dict[str, Any] | None = None) -> tuple[str, str]:
    """Return the format that a file or folder is of, and why, from a look at some of its rows.

    Parameters
    ----------
    path : str or Path
    options : dict or None
        Options of the format, as far as they are known: of several formats, those that have them all are meant.

    Raises
    ------
    UserError
        If it is of no format, or may be of several; names them.
    """
    path, options = there(path), options or {}
    table, unread = None, None
    if path.is_file():
        try:
            table = _table(path, options)
        except UserError as error:
            unread = error
    found: dict[str, str] = {}
    for name in REGISTRY.names():
        module = REGISTRY.get(name)
        why = getattr(module, "recognise", lambda path, table: None)(path, table)
        if why:
            found[name] = why
    able = {name: why for name, why in found.items() if set(options) <= set(REGISTRY.get(name).Options.model_fields)}
    found = able or found
    if len(found) == 1:
        return next(iter(found.items()))
    if found:
        candidates = "; ".join(f"{name} ({why})" for name, why in found.items())
        raise UserError(f"{path}: found a file that fits several formats, allowed: --format with one of {candidates}")
    if unread is not None:
        raise unread
    columns = "" if table is None else f" with the columns {', '.join(column.name for column in table.columns[:12])}"
    what = "a folder" if path.is_dir() else f"a table{columns}"
    raise UserError(
        f"{path}: found {what}, whose format is not recognised, allowed: --format with one of "
        f"{', '.join(REGISTRY.names())}"
    )


def there(path: str | Path) -> Path:
    """Return a path that is there, or is a pattern of paths that are.

    Raises
    ------
    UserError
        If there is nothing.
    """
    if not Path(path).exists() and not glob(str(path), recursive=True):
        raise UserError(f"{path}: found nothing, allowed: a file or folder")
    return Path(path)


def _table(path: Path, options: dict[str, Any]) -> Table:
    known = {name: value for name, value in options.items() if name in Measured.model_fields}
    return read_table(path, Measured.parse(known, str(path), "options"), most=LOOK)


def import_file(path: str | Path, format: str | None, options: dict[str, Any] | None = None) -> Imported:
    """Read a file or folder of one of the formats.

    Parameters
    ----------
    path : str or Path
    format : str or None
        One of `REGISTRY`; None: the one that the file looks like, which a note tells.
    options : dict or None
        Of the format's ``Options``; values may be text, as a command line gives them.

    Returns
    -------
    Imported
        With ``writes`` for `calibration.counting.assemble`, or with a finished ``card``; ``report`` lists what was
        left out.

    Raises
    ------
    UserError
        One line that names the file, the row, the column or the option.
    """
    told: tuple[str, ...] = ()
    if format is None:
        format, why = recognised(path, options)
        told = (f"read as {format}: {why} (--format)",)
    found = REGISTRY.get(format).read(path, check(format, options, str(path)))
    if not told:
        return found
    notes = (*told, *found.notes)
    if found.writes is None:
        return replace(found, notes=notes)
    meta = {**found.writes.meta, "import": {**found.writes.meta.get("import", {}), "notes": list(notes)}}
    return replace(found, notes=notes, writes=replace(found.writes, meta=meta))
