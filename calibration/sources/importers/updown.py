"""Response to pulses up and to pulses down side by side, one trace each way."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from calibration.sources.importers.base import Directions, Imported, Measured
from calibration.sources.importers.measured import (
    DOWN,
    UP,
    Series,
    both_directions,
    direction_pulses,
    imported,
    in_siemens,
    readings_of,
    writes_of,
)
from calibration.sources.importers.reading import Report, file_of, finite, read_grid
from spinloom.declare import Real, key
from spinloom.errors import UserError


class Options(Directions, Measured):
    """Options of one trace each way."""

    response_low_S: Real | None = key("Conductance of the response -1, where responses are normalised to -1..1.", None)
    response_high_S: Real | None = key("Conductance of the response 1.", None)


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
    path = file_of(path)
    pulses = direction_pulses(options, path)
    values, rows, lengths = read_grid(path)
    if values.shape[1] not in (2, 3):
        raise UserError(
            f"{path}: found {values.shape[1]} columns, allowed: pulse number, response up, response down, the first "
            "of which may be left out"
        )
    if values.shape[1] == 3:
        number = values[:, 0]
        if (wrong := np.flatnonzero(~(np.diff(number) == 1))).size:
            raise UserError(
                f"{path}: row {rows[wrong[0] + 1]}, column 1: found pulse number {number[wrong[0] + 1]:g} after "
                f"{number[wrong[0]]:g}, allowed: one more"
            )
    low, high = options.response_low_S, options.response_high_S
    if (low, high) != (None, None) and (low is None or high is None or not low < high):
        raise UserError(
            f"{path}: option response_low_S: found {low} with response_high_S {high}, allowed: both, the first smaller"
        )
    report, series = Report(), []
    for pulse, name in ((UP, "up"), (DOWN, "down")):
        response = values[: lengths[pulse - 2], pulse - 2]
        if low is not None and high is not None:
            response = low + (high - low) * (response + 1) / 2
        else:
            response = in_siemens(response, options)
        series.append(Series.train(0, pulse, finite(response, f"{name} response_S", rows, path, report)))
    readings = readings_of(series)
    writes = writes_of(readings)
    report.check(options.max_dropped_fraction, path)
    last = values.shape[1]
    notes = both_directions(writes, path, (f"column {last - 1}", f"column {last}"))
    return imported(writes, readings, pulses, options, report, path, [path], "updown", ["0"], notes=notes)
