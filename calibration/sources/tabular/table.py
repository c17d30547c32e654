"""A table whose columns are known: readings as conductances, everything else by its role, in SI units."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from calibration.sources.tabular.content import Content, read_content
from calibration.sources.tabular.options import Tabular
from calibration.sources.tabular.spellings import QUANTITIES, VALUES, Meaning, meaning_of, read_voltage_of
from calibration.sources.tabular.waveform import fold
from spinloom.errors import UserError
from spinloom.text_tables import MISSING, numbers

LOWEST_S, HIGHEST_S = 1e-12, 1.0  # outside of which a conductance is none of a device
_SEVERAL = ("pulse_number", "time", "voltage", "duration")  # tables side by side each have their own


@dataclass(frozen=True)
class Column:
    """A column of the file.

    ``number`` float64[rows] holds its numbers in SI units, NaN where a cell is none; ``text`` object[rows] its cells as
    text. ``place`` counts columns from 0, ``role`` is one of `spellings`, or None if nothing is known.
    """

    name: str
    place: int
    role: str | None
    meaning: Meaning
    number: np.ndarray
    text: np.ndarray
    scale: float | None = None  # of the unit in SI that the file or the user told


@dataclass(frozen=True)
class Reading:
    """A column of readings as conductances.

    Attributes
    ----------
    column : Column
    value_S : ndarray, float64[rows]
        NaN where nothing can be used.
    reason : list of str
        Why, "" where the value is used.
    """

    column: Column
    value_S: np.ndarray
    reason: list[str]


@dataclass(frozen=True)
class Table:
    """A file's table.

    ``row`` int64[rows] are lines of the file, ``written`` says how it is written, ``notes`` what was guessed, and
    ``spoiled`` why a row cannot be used.
    """

    path: Path
    columns: list[Column]
    row: np.ndarray
    written: dict[str, str]
    preamble: list[str]
    spoiled: dict[int, str]
    named: bool
    notes: list[str] = field(default_factory=list)

    def all(self, role: str) -> list[Column]:
        """Return the columns of a role, from left to right."""
        return [column for column in self.columns if column.role == role]

    def get(self, role: str, beside: Column | None = None) -> Column | None:
        """Return the column of a role, of several that nearest to the left of ``beside``; None if there is none.

        Raises
        ------
        UserError
            If there are several of a role that can have one only.
        """
        found = self.all(role)
        if len(found) > 1 and (beside is None or role not in _SEVERAL):
            two = " and ".join(repr(column.name) for column in found[:2])
            raise UserError(
                f"{self.path}: found two columns of the {role.replace('_', ' ')}, {two}, allowed: one "
                f"(option {role}_column)"
            )
        left = [column for column in found if beside is not None and column.place < beside.place]
        return (left[-1:] or found[:1] or [None])[0]

    def readings(self) -> list[Column]:
        """Return the columns of readings: conductances, else currents, else resistances."""
        return next((found for role in VALUES if (found := self.all(role))), [])

    def reading(self, column: Column, options: Tabular) -> Reading:
        """Return a column of readings (or of conductances before or after a write) as conductances.

        Raises
        ------
        UserError
            If the read voltage of a current is not known, or if the column's unit cannot be what it seems to be.
        """
        value, role = column.number, column.role
        at = getattr(options, "current_at_V", None)
        if role == "current" or (at is not None and role != "resistance"):
            value = value / self._read_at_V(column, options)
        elif role == "resistance":
            with np.errstate(divide="ignore"):
                value = 1 / value
        finite = np.isfinite(value) & (value != 0)
        if finite.any() and np.mean(value[finite] < 0) > 0.9:
            self.note(f"column {column.name!r}: the readings are negative; their size is used")
            value = -value
        middle = float(np.median(value[value > 0])) if (value > 0).any() else np.nan
        if not LOWEST_S <= middle <= HIGHEST_S and np.isfinite(middle):
            quantity = role if role in VALUES else "conductance"
            raise UserError(
                f"{self.path}: column {column.name!r}: found {middle:g} S in the middle, allowed: "
                f"{LOWEST_S:g}..{HIGHEST_S:g} S; say the unit with option {quantity}_unit"
            )
        good = np.isfinite(value) & (value >= LOWEST_S) & (value <= HIGHEST_S)
        reason = [""] * len(value)
        for place in np.flatnonzero(~good):
            told = f"{value[place]:g} S" if np.isfinite(value[place]) else str(column.text[place]).strip() or "empty"
            reason[place] = self.spoiled.get(int(self.row[place]), f"column {column.name} is {told}")
        return Reading(column, np.where(good, value, np.nan), reason)

    def _read_at_V(self, column: Column, options: Tabular) -> float | np.ndarray:
        at = getattr(options, "current_at_V", None)
        if at is not None:
            return at
        own = self.get("read_voltage", column)
        if own is not None:
            return own.number
        told = [read_voltage_of(line) for line in self.preamble]
        at = column.meaning.read_at_V or next((value for value in told if value), None)
        if at is None:
            raise UserError(
                f"{self.path}: column {column.name!r}: found read currents, allowed: only with option current_at_V, "
                "the voltage of the read"
            )
        self.note(f"column {column.name!r}: currents at {at:g} V, as the file says")
        return at

    @property
    def read_at_V(self) -> float | None:
        """The one read voltage that the file tells, V."""
        own = self.all("read_voltage")
        if len(own) == 1 and len(known := np.unique(own[0].number[np.isfinite(own[0].number)])) == 1:
            return abs(float(known[0])) or None
        told = [column.meaning.read_at_V for column in self.readings()]
        return next((abs(value) for value in [*told, *map(read_voltage_of, self.preamble)] if value), None)

    def note(self, text: str) -> None:
        """Add a note, once."""
        if text not in self.notes:
            self.notes.append(text)


def read_table(path: str | Path, options: Tabular, every: str | None = None, most: int | None = None) -> Table:
    """Read the table in a file.

    Parameters
    ----------
    path : str or Path
    options : Tabular
    every : str, optional
        Role of all columns of numbers, whatever their names.
    most : int, optional
        Rows of a look (`content.read_content`); None: all.

    Raises
    ------
    UserError
        Names the file, and the column or option.
    """
    content = read_content(Path(path), options, most)
    marks = frozenset((options.missing or "").lower().split())
    named = any(content.names)
    columns = []
    for place, cells in enumerate(content.columns):
        name = content.names[place] or str(place + 1)
        meaning = meaning_of(content.names[place], content.units[place]) if content.names[place] else Meaning(None)
        columns.append(_column(name, place, meaning, cells, content, marks))
    columns = _chosen(columns, options, content.path)
    table = Table(
        content.path, columns, content.row, content.told, content.preamble, content.spoiled, named, list(content.notes)
    )
    if every is None:
        _by_data(table, options)
    else:
        table.columns[:] = [replace(own, role=every) for own in columns if _numeric(own)]
    _in_si(table, options)
    spoiled = np.isin(table.row, list(table.spoiled))
    if spoiled.any():
        table.columns[:] = [replace(own, number=np.where(spoiled, np.nan, own.number)) for own in table.columns]
    if every is None:
        table = _folded(table, options)
    unused = [column.name for column in table.columns if column.role is None]
    if unused:
        table.note(f"columns not used: {', '.join(map(repr, unused))}")
    return table


def _folded(table: Table, options: Tabular) -> Table:
    """Return the table with a row for each reading, where pulses and reads are rows of their own."""
    voltages, readings = table.all("voltage"), table.readings()
    if len(voltages) != 1 or len(readings) != 1 or table.all("read_voltage"):
        return table
    column = readings[0]
    at = getattr(options, "current_at_V", None) or column.meaning.read_at_V
    found = fold(voltages[0].number, column.number, column.role == "current", at)
    if found is None:
        return table
    columns = []
    for own in table.columns:
        if own.role in ("voltage", "duration"):  # of the pulse, none where there was none
            number = np.where(found.pulse >= 0, own.number[found.pulse], 0.0 if own.role == "voltage" else np.nan)
            columns.append(replace(own, number=number, text=own.text[found.place]))
        else:
            columns.append(replace(own, number=own.number[found.place], text=own.text[found.place]))
    if found.read_V:
        read = np.full(len(found.place), found.read_V)
        text = np.full(len(read), f"{found.read_V:g}", dtype=object)
        columns.append(Column("voltage of the reads", len(columns), "read_voltage", Meaning(None), read, text))
    made = replace(table, columns=columns, row=table.row[found.place])
    made.note(
        f"column {voltages[0].name!r}: pulses and reads at {found.read_V:g} V are rows of their own; "
        f"{int((found.pulse >= 0).sum())} pulses, {len(found.place)} readings"
    )
    return made


def _column(
    name: str, place: int, meaning: Meaning, cells: np.ndarray, content: Content, marks: frozenset[str]
) -> Column:
    if cells.dtype.kind == "f":
        text = np.array([_label(value) for value in cells], dtype=object) if len(cells) < 100_000 else cells
        return Column(name, place, meaning.role, meaning, cells, text)
    text = np.array([_label(cell) for cell in cells], dtype=object)
    if marks:
        cells = np.array([None if str(cell).strip().lower() in marks else cell for cell in cells], dtype=object)
    return Column(name, place, meaning.role, meaning, numbers(cells, content.decimal), text)


def _label(cell: object) -> str:
    if cell is None or (isinstance(cell, float) and np.isnan(cell)):
        return ""
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return str(int(cell))
    return str(cell).strip()


def _chosen(columns: list[Column], options: Tabular, path: Path) -> list[Column]:
    """Return the columns with the roles that the user gave them; a role that is given is no other column's."""
    given: dict[int, str] = {}
    for role, name in options.named_columns().items():
        places = [own.place for own in columns if own.name == name]
        if not places and name.isdecimal() and 1 <= int(name) <= len(columns):
            places = [int(name) - 1]
        if not places:
            allowed = ", ".join(own.name for own in columns)
            raise UserError(f"{path}: option {role}_column: found {name!r}, allowed: {allowed}, or 1..{len(columns)}")
        given |= dict.fromkeys(places, role)
    taken = set(given.values())
    if taken & {*VALUES}:
        taken |= {*VALUES}
    return [replace(own, role=given.get(own.place, None if own.role in taken else own.role)) for own in columns]


def _numeric(column: Column) -> bool:
    known = np.isfinite(column.number)
    told = np.array([text.lower() not in MISSING if isinstance(text, str) else True for text in column.text])
    return bool(known.any()) and known.sum() > 0.5 * max(told.sum(), 1)


def _counting(column: Column) -> bool:
    """Return whether a column counts: whole numbers that mostly go up by one, or start again."""
    number = column.number[np.isfinite(column.number)]
    if len(number) < 3 or (number != np.rint(number)).any():
        return False
    return bool(np.mean(np.diff(number) == 1) > 0.6)


def _by_data(table: Table, options: Tabular) -> None:
    """Give roles to columns whose names do not tell them, as far as their numbers do."""
    columns, path = table.columns, table.path

    def put(column: Column, role: str | None, why: str) -> None:
        columns[column.place] = replace(column, role=role)
        table.note(f"column {column.name!r} is taken for the {(role or 'none').replace('_', ' ')}: {why}")

    told = {own.role for own in columns}
    names = () if told & {*VALUES, "after", "switched"} else ("device", "cycle", "direction")
    for own in [own for own in columns if own.role in names]:
        number = own.number[np.isfinite(own.number)]
        if _numeric(own) and len(number) and (number != np.rint(number)).any():
            columns[own.place] = replace(own, role=None)  # the readings of a device, a cycle, a direction
    told = {own.role for own in columns}
    if not told & {*VALUES, "after", "switched"}:
        free = [own for own in columns if own.role is None and _numeric(own)]
        if "pulse_number" not in told and len(free) > 1 and _counting(free[0]):
            put(free.pop(0), "pulse_number", "it counts")
        hinted = [own for own in free if own.meaning.direction or own.meaning.device or own.meaning.cycle is not None]
        for own in hinted or free:
            put(own, "conductance", "by its place" if not hinted else "by its name")
    values = [own for own in columns if own.role in VALUES]
    if not values and (free := [own for own in columns if own.role == "pulse_number" and not _counting(own)]):
        put(free[-1], "conductance", "it does not count")
    used = table.readings()
    for own in values:
        if own.role not in {one.role for one in used}:
            columns[own.place] = replace(own, role=None)
    times = table.all("time")
    if times and not table.all("duration"):
        number = times[0].number[np.isfinite(times[0].number)]
        if len(number) > 2 and np.ptp(number) == 0:
            put(times[0], "duration", "it does not change")
    volts = table.all("voltage")
    if used and used[0].role == "current" and len(volts) == 1 and not table.all("read_voltage"):
        number = volts[0].number[np.isfinite(volts[0].number)]
        at = getattr(options, "current_at_V", None)
        if len(number) and np.ptp(number) == 0 and at is None and used[0].meaning.read_at_V is None:
            put(volts[0], "read_voltage", "it does not change, and there are currents")
    if not columns:
        raise UserError(f"{path}: found no column, allowed: one or more")


def _in_si(table: Table, options: Tabular) -> None:
    """Put numbers into SI units: the user's, else the header's, else as they are."""
    told = []
    for place, own in enumerate(table.columns):
        if own.role not in QUANTITIES or own.role == "time":
            continue
        quantity = {"before": "conductance", "after": "conductance", "read_voltage": "voltage"}.get(own.role, own.role)
        if (
            quantity == "conductance"
            and options.scale("conductance") is None
            and getattr(options, "current_at_V", None)
        ):
            quantity = "current" if own.meaning.unit is None else quantity
        given, unit = options.scale(quantity), own.meaning.unit
        scale = given if given is not None else unit.scale if unit else None
        table.columns[place] = replace(own, number=own.number * (scale or 1.0), scale=scale)
        if given is None and unit and unit.scale != 1:
            told.append(f"{own.name!r} in {unit.name}")
    if told:
        table.note(f"units of the header: {', '.join(told)}")
