"""Pulse trains: one column per repetition, one row per pulse (``set.csv`` and ``reset.csv``)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from calibration.counting.writes import REST
from calibration.sources.importers.base import Directions, Imported, Measured, Text
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
from calibration.sources.importers.reading import Report, finite, read_grid
from spinloom.declare import Whole, key
from spinloom.errors import UserError


class Options(Directions, Measured):
    """Options of pulse trains."""

    up: Text = key("File of the folder with the trains that raise the conductance.", "set.csv")
    down: Text = key("File of the folder with the trains that lower it.", "reset.csv")
    up_pulses: Whole | None = key("In a single file: how many pulses go up before the rest go down.", None, ge=1)
    columns: Literal["repetitions", "devices"] = key("What a column is.", "repetitions")


def read(path: str | Path, options: Options) -> Imported:
    """Read pulse trains.

    Parameters
    ----------
    path : str
        A folder with one file for each direction, or a file in which each column goes up and then down. The first
        row is the conductance before the first pulse, each further one that after a pulse.
    options : Options

    Raises
    ------
    UserError
        Names the file, the row and the column.
    """
    path = Path(path)
    pulses = direction_pulses(options, path)
    report = Report()
    if path.is_dir():
        files = [path / options.up, path / options.down]
        names = (files[0].name, files[1].name)
        series = [
            Series.train(device, pulse, values)
            for pulse, file in zip((UP, DOWN), files)
            for device, values in _columns(file, options, report)
        ]
    else:
        files = [path]
        whole = _columns(path, options, report)
        turn = options.up_pulses
        if turn is None:
            raise UserError(
                f"{path}: option up_pulses: found nothing, allowed: the number of pulses up at the top of the file, "
                "or a folder with one file for each direction"
            )
        if turn > len(whole[0][1]) - 2:
            raise UserError(
                f"{path}: option up_pulses: found {turn}, allowed: 1..{len(whole[0][1]) - 2}, so that a pulse down "
                "is left"
            )
        names = (f"first {turn} pulses", "the pulses after them")
        series = []
        for device, values in whole:
            number = np.arange(len(values))
            pulse = np.select([number == 0, number <= turn], [REST, UP], DOWN)
            series.append(Series(device, pulse, values))
    readings = readings_of(series)
    writes = writes_of(readings)
    report.check(options.max_dropped_fraction, path)
    notes = both_directions(writes, path, names)
    devices = [str(device) for device in range(1 + max(own.instance for own in series))]
    return imported(writes, readings, pulses, options, report, path, files, "trains", devices, notes=notes)


def _columns(path: Path, options: Options, report: Report) -> list[tuple[int, np.ndarray]]:
    """Return the instance and the conductances, S, of each column."""
    values, rows, lengths = read_grid(path)
    if len(values) < 2:
        raise UserError(f"{path}: found one row, allowed: the conductance before a pulse and that after it, or more")
    values = in_siemens(values, options)
    single = options.columns == "repetitions"
    return [
        (0 if single else column, finite(values[:length, column], f"{column + 1} conductance_S", rows, path, report))
        for column, length in enumerate(lengths)
    ]
