"""Tables over time as several programs write them.

mumax3: ``# t (s)<tab>mx ()``. mumax+: ``# time<tab>m``, a vector in brackets. OOMMF and ubermag: ODT 1.0, after the
OOMMF user's guide, "The OOMMF data table format" (https://math.nist.gov/oommf/doc). Others: a line of names, then rows
of numbers, separated by commas, semicolons, tabs or blanks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spinloom.errors import UserError

PREFIXES = {"": 1.0, "f": 1e-15, "p": 1e-12, "n": 1e-9, "u": 1e-6, "µ": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9}
UNITS = ("A/m", "A/m2", "J/m3", "m/s", "V", "T", "J", "K", "s", "m")
TIMES = ("t", "time", "t_s", "time_s", "simulation time")


class Unfit(UserError):
    """A run cannot be used, and another can: its files are cut short, or it ended early."""


@dataclass(frozen=True)
class Table:
    """A table over time.

    Attributes
    ----------
    path : Path
    columns : dict of float64[n]
        By the name in the header, without its unit; in SI units if the unit is known.
    units : dict of str
        As written; "" where the header has none.
    """

    path: Path
    columns: dict[str, np.ndarray]
    units: dict[str, str]

    @property
    def time_s(self) -> np.ndarray:
        """Time of each row, float64[n], s.

        Raises
        ------
        UserError
            If no column, or more than one, holds the time.
        """
        found = [name for name in self.columns if _plain(name) in TIMES]
        if len(found) != 1:
            raise UserError(
                f"{self.path}: found {len(found)} columns with the time ({_listed(self.columns)}), allowed: one "
                f"column, named {', '.join(TIMES)}"
            )
        if self.units[found[0]] and _known(self.units[found[0]], "s") is None:
            raise UserError(
                f"{self.path}: found the unit '{self.units[found[0]]}' of '{found[0]}', allowed: s, with a prefix or "
                "without"
            )
        return self.columns[found[0]]

    def column(self, wanted: str, what: str, si: str) -> np.ndarray:
        """Return a column by its name, float64[n], SI.

        The name may come with its unit (``mz ()``), and without what OOMMF puts before it (``Oxs_TimeDriver::mz``).

        Parameters
        ----------
        wanted : str
            As the user writes it.
        what : str
            Option that names the column, for errors.
        si : str
            Unit that it has to have, "" for a plain number; one without a unit is taken to have it.

        Raises
        ------
        UserError
            If there is no such column, there are several, or its unit is another.
        """
        name = _split(wanted)[0]
        for same in (name.__eq__, lambda own: _plain(own) == _plain(name)):
            found = [own for own in self.columns if same(own)]
            if len(found) == 1:
                if (unit := self.units[found[0]]) and _known(unit, si) is None:
                    allowed = f"{si}, with a prefix or without" if si else "a number without a unit"
                    raise UserError(f"{self.path}: {what}: found the unit '{unit}' of '{found[0]}', allowed: {allowed}")
                return self.columns[found[0]]
            if found:
                break
        count = f"{len(found)} columns" if found else "no column"
        raise UserError(
            f"{self.path}: {what}: found {count} called '{wanted}', allowed: one of {_listed(found or self.columns)}"
        )


def read(path: Path, content: bytes) -> Table:
    """Return a table of any of the programs.

    Parameters
    ----------
    path : Path
        For errors; the ending ``.odt`` says that it is OOMMF's.
    content : bytes
        Of the file.

    Raises
    ------
    Unfit
        If it is empty or cut short.
    UserError
        If it is no table.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{path}: found bytes that are not text, allowed: a table in UTF-8") from None
    lines = text.splitlines()
    if not any(line.strip() for line in lines):
        raise Unfit(f"{path}: is empty")
    odt = lines[0].lstrip("# ").upper().startswith("ODT")
    names, units, rows = _odt(path, lines) if odt else _plain_text(path, lines)
    values, names, units = _numbers(path, rows, names, units)
    scales = [_scale(unit) or 1.0 for unit in units]
    columns = {name: values[:, place] * scale for place, (name, scale) in enumerate(zip(names, scales))}
    if len(columns) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UserError(f"{path}: found two columns named '{twice}', allowed: each name once")
    return Table(path, columns, dict(zip(names, units)))


def _odt(path: Path, lines: list[str]) -> tuple[list[str], list[str], list[list[str]]]:
    """Return names, units and rows of an ODT file; of several tables with the same columns, the rows of all."""
    heads: dict[str, list[str]] = {}
    rows, continued = [], ""
    for line in lines:
        if not line.startswith("#"):
            if line.strip():
                rows.append(line.split())
            continue
        line = continued + line[1:]
        continued = line[:-1] if line.endswith("\\") else ""  # a header may run over several lines
        label, _, value = line.strip().partition(":")
        if not continued and label.strip().lower() in ("columns", "units"):
            own = [group or word for group, word in re.findall(r"\{([^}]*)\}|(\S+)", value)]
            if heads.setdefault(label.strip().lower(), own) != own:
                raise UserError(
                    f"{path}: found tables with different {label.strip().lower()}, allowed: the same in all"
                )
    if "columns" not in heads:
        raise Unfit(f"{path}: has no line '# Columns:'")
    units = heads.get("units") or [""] * len(heads["columns"])
    if len(units) != len(heads["columns"]):
        raise UserError(
            f"{path}: found {len(heads['columns'])} columns and {len(units)} units, allowed: one unit for each column"
        )
    return heads["columns"], units, rows


def _plain_text(path: Path, lines: list[str]) -> tuple[list[str], list[str], list[list[str]]]:
    """Return names, units and rows of a table with one line of names."""
    head, *body = [line for line in lines if line.strip()]
    separator = next((mark for mark in ("\t", ";", ",") if mark in head), None)
    pairs = [_split(name) for name in head.lstrip("# ").split(separator)]
    if separator is None and len(pairs) > 1 and any(name == "" for name, _ in pairs):
        raise UserError(f"{path}: found header '{head[:80]}', allowed: names separated by tabs, commas or semicolons")
    rows = [line.split(separator) for line in body if not line.startswith("#")]
    return [name for name, _ in pairs], [unit for _, unit in pairs], rows


def _split(head: str) -> tuple[str, str]:
    """Return the name and the unit of a column: ``ext_dwpos (m)``, ``Oxs_TimeDriver::mz {}``."""
    found = re.fullmatch(r"\s*(.*?)\s*(?:[({\[]([^(){}\[\]]*)[)}\]])?\s*", head)
    assert found is not None  # it fits any text
    return found[1], found[2] or ""


def _plain(name: str) -> str:
    return name.rpartition(":")[2].strip().lower()


def _numbers(path: Path, rows: list[list[str]], names: list[str], units: list[str]):
    """Return the values, float64[n, columns], names and units; a column of vectors becomes one for each component."""
    if not rows:
        raise Unfit(f"{path}: has no rows")
    vectors = [text.strip()[:1] in ("[", "(") for text in rows[0]] if len(rows[0]) == len(names) else []
    if any(vectors):
        rows = [re.sub(r"np\.float\d+|[\[\](),]", " ", " ".join(row)).split() for row in rows]
        sizes = [3 if vector else 1 for vector in vectors]
        pairs = [
            (f"{name}_{axis}" if size == 3 else name, unit)
            for name, unit, size in zip(names, units, sizes)
            for axis in "xyz"[:size]
        ]
        names, units = [name for name, _ in pairs], [unit for _, unit in pairs]
    for number, row in enumerate(rows, start=1):
        if len(row) != len(names):
            raise Unfit(f"{path}: row {number} of the numbers: found {len(row)} of them, allowed: {len(names)}")
    try:
        values = np.array(rows, dtype=np.float64)
    except ValueError as error:
        raise Unfit(f"{path}: its rows are not all numbers ({error})") from None
    return values, names, units


def _scale(unit: str) -> float | None:
    """Return a unit's size in SI, None if it is not known; what has no unit is a number, or in SI."""
    return next((scale for known in UNITS if (scale := _known(unit, known)) is not None), None)


def _known(unit: str, si: str) -> float | None:
    """Return a unit's size in an SI unit, None if it is another's."""
    plain = unit.strip()
    for spelt, ours in (("²", "2"), ("^", ""), ("**", ""), ("μ", "µ")):
        plain, si = plain.replace(spelt, ours), si.replace(spelt, ours)
    prefix = plain.removesuffix(si) if si else plain
    return PREFIXES[prefix] if plain.endswith(si) and prefix in PREFIXES and (si or not prefix) else None


def _listed(names) -> str:
    names = list(names)
    return ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
