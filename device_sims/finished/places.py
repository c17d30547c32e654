"""Where the files of a run are: its table, and its snapshots of the magnetisation.

A run is a folder (mumax3's ``NAME.out``, a drive of ubermag, a replica of ours), or a table in a folder with those of
other runs, whose snapshots then begin with its name (OOMMF).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from device_sims.finished.tables import Unfit
from spinloom.errors import UserError

TABLES = ("table.txt", "table.csv", "*.odt", "*.tsv", "*.csv", "*.txt")  # the first that a folder has
SNAPSHOTS = ("m[0-9]*.ovf", "*-*.omf", "*.omf")
NO_TABLES = ("log.txt", "stdout.txt", "stderr.txt")
DEPTH = 3  # folders below a run in which its files are looked for


@dataclass(frozen=True)
class Files:
    """The files of a run: its folder or table, the table if there is one, and the snapshots by name."""

    run: Path
    table: Path | None
    snapshots: tuple[Path, ...]


def find(run: Path, table: str | None = None, snapshots: str | None = None) -> Files:
    """Return the files of a run.

    Parameters
    ----------
    run : Path
        Folder, or table.
    table, snapshots : str, optional
        How they are called in the folder; ``*`` and ``?`` as in a shell. Default: as the programs call them.

    Raises
    ------
    Unfit
        If there is no table and no snapshot.
    UserError
        If there are several tables.
    """
    if run.is_file():
        begin = f"{run.stem}-" if run.suffix == ".odt" else ""
        found = _named(run.parent, (snapshots,) if snapshots else tuple(begin + name for name in SNAPSHOTS))
        return Files(run, run, found)
    folder, tables = run, []
    for depth in range(DEPTH):
        folders = sorted(path for path in run.glob("/".join("*" * depth)) if path.is_dir()) if depth else [run]
        tables = [path for folder in folders for path in _named(folder, (table,) if table else TABLES)]
        if len(tables) > 1:
            names = ", ".join(str(path.relative_to(run)) for path in tables[:6])
            raise UserError(
                f"{run}: found {len(tables)} tables ({names}), allowed: one for a run: name its folder, or say which "
                "(option table)"
            )
        if tables:
            folder = tables[0].parent
            break
    shown = _named(folder, (snapshots,) if snapshots else SNAPSHOTS)
    if not tables and not shown:
        raise Unfit(f"{run}: holds no table ({', '.join(TABLES)}) and no snapshot ({', '.join(SNAPSHOTS)})")
    return Files(run, tables[0] if tables else None, shown)


def _named(folder: Path, names: tuple[str, ...]) -> tuple[Path, ...]:
    """Return the files of a folder that the first of ``names`` with any fits, in the order of the numbers in them."""
    for name in names:
        found = [path for path in folder.glob(name) if path.is_file() and path.name not in NO_TABLES]
        if found:
            return tuple(sorted(found, key=_order))
    return ()


def _order(path: Path) -> list:
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path.name)]
