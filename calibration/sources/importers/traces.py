"""Conductance traces: runs of pulses up and pulses down in turn."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from calibration.sources.importers.base import Directions, Imported, Measured
from calibration.sources.importers.measured import (
    DOWN,
    UP,
    Series,
    both_directions,
    direction_pulses,
    imported,
    in_siemens,
    instances,
    readings_of,
    writes_of,
)
from calibration.sources.importers.reading import Report, finite, read_long
from spinloom.declare import key
from spinloom.errors import UserError


class Options(Directions, Measured):
    """Options of conductance traces."""

    first: Literal["up", "down"] = key("Direction of the first run, and of the first run of each cycle.", "up")


def read(path: str | Path, options: Options) -> Imported:
    """Read traces.

    The conductance before the first pulse of a run is the one of pulse number 0 if the run has it, otherwise the last
    one of the run before, if that is the previous direction of the same device without a cycle left out. Otherwise
    the first row of the run serves as the conductance before the second pulse alone.

    Parameters
    ----------
    path : str
        Columns ``pulse_number`` and ``conductance_S`` (after that pulse) with a new run wherever the pulse number
        returns to its first value; or, with ``cycle`` (integer) and ``direction`` (up or down) besides, one run for
        each of them; optional ``device`` (label) and ``time_s``. Within a run, pulse numbers go up by 1 from 0 or 1
        and the time does not go back.
    options : Options

    Raises
    ------
    UserError
        Names the file, the row and the column.
    """
    table, path = read_long(
        path,
        ["pulse_number", "conductance_S", "cycle", "time_s"],
        ["direction", "device"],
        ["pulse_number", "conductance_S"],
        ["pulse_number", "cycle"],
    )
    pulses = direction_pulses(options, path)
    counts = [column for column in ("pulse_number", "cycle", "time_s") if column in table]
    for column in counts:
        if (wrong := np.flatnonzero(~np.isfinite(table[column]))).size:
            raise UserError(
                f"{path}: row {table['row'].iloc[wrong[0]]}, column {column}: found none, allowed: a number"
            )
    given = "direction" in table
    _add_runs(table, options.first, path)
    report = Report()
    table["conductance_S"] = finite(
        in_siemens(table["conductance_S"].to_numpy(), options),
        "conductance_S",
        table["row"].to_numpy(),
        path,
        report,
    )
    devices, table["instance"] = instances(table["device"])
    series: list[Series] = []
    last = None  # instance and order of the run before
    for _, run in table.groupby(["instance", "order"]):
        _check_run(run, path)
        instance, order = int(run["instance"].iloc[0]), int(run["order"].iloc[0])
        pulse = UP if run["direction"].iloc[0] == "up" else DOWN
        reading_S = run["conductance_S"].to_numpy()
        if run["pulse_number"].iloc[0] == 1 and last == (instance, order - 1):
            series[-1] = series[-1].followed(pulse, reading_S)
        else:
            series.append(Series.train(instance, pulse, reading_S))
        last = (instance, order)
    readings = readings_of(series)
    writes = writes_of(readings)
    report.check(options.max_dropped_fraction, path)
    odd, even = "runs 1, 3, ...", "runs 2, 4, ..."
    names = (odd, even) if options.first == "up" else (even, odd)
    if given:
        names = ("direction up", "direction down")
    notes = both_directions(writes, path, names)
    return imported(writes, readings, pulses, options, report, path, [path], "traces", devices, notes=notes)


def _add_runs(table: pd.DataFrame, first: str, path: Path) -> None:
    """Add ``device``, ``direction`` and ``order``, the place of the row's run in the device's history."""
    if "device" not in table:
        table["device"] = "0"
    if ("cycle" in table) != ("direction" in table):
        found = "cycle" if "cycle" in table else "direction"
        raise UserError(f"{path}: found column {found} alone, allowed: cycle and direction, or neither")
    if "direction" in table:
        if (wrong := np.flatnonzero(~table["direction"].isin(["up", "down"]))).size:
            row = table.iloc[wrong[0]]
            raise UserError(
                f"{path}: row {row['row']}, column direction: found {row['direction']!r}, allowed: up or down"
            )
        table["order"] = 2 * table["cycle"].astype("int64") + (table["direction"] != first)
        return
    number = table["pulse_number"]
    starts = table.groupby("device")["pulse_number"].transform("first") == number
    table["order"] = starts.groupby(table["device"]).cumsum() - 1
    other = "down" if first == "up" else "up"
    table["direction"] = np.where(table["order"] % 2 == 0, first, other)


def _check_run(run: pd.DataFrame, path: Path) -> None:
    number, rows = run["pulse_number"].to_numpy(), run["row"].to_numpy()
    if number[0] not in (0, 1):
        raise UserError(
            f"{path}: row {rows[0]}, column pulse_number: found {number[0]:g} at the start of a run, allowed: 0 or 1"
        )
    if (wrong := np.flatnonzero(np.diff(number) != 1)).size:
        at = wrong[0] + 1
        raise UserError(
            f"{path}: row {rows[at]}, column pulse_number: found {number[at]:g} after {number[at - 1]:g}, "
            "allowed: one more"
        )
    if "time_s" in run and (wrong := np.flatnonzero(np.diff(run["time_s"]) < 0)).size:
        at, time = wrong[0] + 1, run["time_s"].to_numpy()
        raise UserError(
            f"{path}: row {rows[at]}, column time_s: found {time[at]:g} after {time[at - 1]:g}, allowed: no less"
        )
