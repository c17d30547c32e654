"""Conductance after each pulse: runs of pulses up and pulses down in turn, in any table."""

from __future__ import annotations

from pathlib import Path

from calibration.card import Kind
from calibration.sources.importers.base import Imported, Series
from calibration.sources.importers.reading import Report, file_of
from calibration.sources.importers.series.sequence import sequences
from calibration.sources.importers.series.writes import imported
from calibration.sources.tabular.table import Table, read_table

KIND = Kind.STEPS


class Options(Series):
    """Options of conductance traces."""


def recognise(path: Path, table: Table | None) -> str | None:
    """Return why the file is one of these, None if it is not."""
    if table is None or not table.readings() or table.all("before") or table.all("switched"):
        return None
    columns = table.readings()
    if not table.named and len(columns) > 1:
        return None
    return f"{'columns' if len(columns) > 1 else 'a column'} of readings after pulses"


def read(path: str | Path, options: Options) -> Imported:
    """Read traces.

    The direction of a pulse is what the file says: a column of directions, the sign of the voltage, or the name of the
    column of readings. If it says none, runs are counted by ``pulses_up`` and ``pulses_down``, begin where the pulse
    number starts again, or end where the readings turn (`calibration.sources.tabular.runs`). Pulses with a voltage or
    a duration of their own are pulses of their own.

    The conductance before the first pulse of a run is the one of pulse number 0 if the run has it, otherwise the last
    one of the run before, if that is the previous direction of the same device without a cycle left out. A pulse number
    that is missing, or a reading that cannot be used, is a pulse without a reading; the same number twice is a second
    reading.

    Parameters
    ----------
    path : str
        A table with one column of conductances, currents or resistances, or several (of devices, cycles, directions);
        any of a pulse number, direction, cycle, device, voltage, duration, time.
    options : Options

    Raises
    ------
    UserError
        Names the file, the row and the column.
    """
    path = file_of(path)
    table, report = read_table(path, options), Report()
    found = sequences(table, options, report)
    names = ("direction up", "direction down")
    if not table.all("direction") and any(own.table["run"].nunique() > 1 for own in found):
        odd, even = "runs 1, 3, ...", "runs 2, 4, ..."
        names = (odd, even) if found[0].table["way"].iloc[0] > 0 else (even, odd)
    columns = {column.meaning.direction: f"column {column.name}" for column in table.readings()}
    if {"up", "down"} <= columns.keys():
        names = (columns["up"], columns["down"])
    return imported(found, table, options, report, [path], path, "traces", names)
