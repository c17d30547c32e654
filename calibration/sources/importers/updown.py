"""Response to pulses up and to pulses down side by side, one trace each way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from calibration.card import Kind
from calibration.sources.importers.base import Imported, Series
from calibration.sources.importers.reading import Report, file_of
from calibration.sources.importers.series.sequence import sequences
from calibration.sources.importers.series.writes import imported
from calibration.sources.tabular.table import Table, read_table
from spinloom.declare import Real, key
from spinloom.errors import UserError

KIND = Kind.STEPS


class Options(Series):
    """Options of one trace each way."""

    response_low_S: Real | None = key("Conductance of a response of -1, if responses are normalised to -1 to 1.", None)
    response_high_S: Real | None = key("Conductance of a response of 1, if responses are normalised to -1 to 1.", None)


def recognise(path: Path, table: Table | None) -> str | None:
    """Return why the file is one of these, None if it is not."""
    if table is None or table.named or len(table.readings()) != 2:
        return None
    return "two columns of numbers without names"


def read(path: str | Path, options: Options) -> Imported:
    """Read one trace up and one down.

    Parameters
    ----------
    path : str
        Columns pulse number (may be left out), response to pulses up, response to pulses down. The first row is the
        response before the first pulse, or after a pulse that is not counted.
    options : Options

    Raises
    ------
    UserError
        Names the file, the row and the column.
    """
    path, report = file_of(path), Report()
    table = read_table(path, options, every="conductance")
    count = len(table.columns)
    if count not in (2, 3):
        raise UserError(
            f"{path}: found {count} columns of numbers, allowed: pulse number, response up, response down, the first "
            "of which may be left out"
        )
    low, high = options.response_low_S, options.response_high_S
    if (low, high) != (None, None) and (low is None or high is None or not low < high):
        raise UserError(
            f"{path}: option response_low_S: found {low} with response_high_S {high}, allowed: both, the first smaller"
        )
    columns = []
    for column, direction in zip(table.columns[-2:], ("up", "down")):
        if low is not None and high is not None:
            column = replace(column, number=low + (high - low) * (column.number + 1) / 2)
        columns.append(replace(column, meaning=column.meaning._replace(direction=direction, device=None, cycle=None)))
    if count == 3:
        number = table.columns[0]
        columns.insert(0, replace(number, role="pulse_number", number=number.number / (number.scale or 1.0)))
    table.columns[:] = columns
    if low is not None:
        options = options.model_copy(update={"current_at_V": None})
    found = sequences(table, options, report)
    names = (f"column {count - 1}", f"column {count}")
    return imported(found, table, options, report, [path], path, "updown", names)
