"""Pulse trains: columns of conductances, without pulse numbers or names (``set.csv`` and ``reset.csv``)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from calibration.card import Kind
from calibration.sources.importers.base import Imported, Series
from calibration.sources.importers.reading import Report, file_of
from calibration.sources.importers.series.sequence import Sequence, rows
from calibration.sources.importers.series.writes import imported
from calibration.sources.tabular.runs import turns
from calibration.sources.tabular.table import Table, read_table
from spinloom.declare import Whole, key
from spinloom.errors import UserError
from spinloom.text_tables import Text

KIND = Kind.STEPS


class Options(Series):
    """Options of pulse trains."""

    up: Text = key("File in the folder with the trains that raise the conductance.", "set.csv")
    down: Text = key("File in the folder with the trains that lower the conductance.", "reset.csv")
    up_pulses: Whole | None = key(
        "For a single file: number of pulses that go up before the others go down. With null, it is seen from "
        "the readings.",
        None,
        ge=1,
    )


def recognise(path: Path, table: Table | None) -> str | None:
    """Return why the file or folder is one of these, None if it is not."""
    if path.is_dir():
        pair = [path / name for name in (Options.model_fields["up"].default, Options.model_fields["down"].default)]
        return f"a folder with {pair[0].name} and {pair[1].name}" if all(file.is_file() for file in pair) else None
    if table is None or table.named or table.all("pulse_number") or len(table.readings()) < 3:
        return None
    return "columns of numbers without names"


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
    path, report = Path(path), Report()
    options = options.model_copy(update={"columns": options.columns or "repetitions"})
    if path.is_dir():
        files = [path / options.up, path / options.down]
        names = (files[0].name, files[1].name)
        tables = [columns_of(file, options) for file in files]
        every = pd.concat(
            [
                columns.assign(way=way)
                for way, table in zip((1.0, -1.0), tables)
                for columns in trains(table, options, report)
            ],
            ignore_index=True,
        )
        return imported(_sequences(every), tables[0], options, report, files, path, "trains", names)
    table = columns_of(file_of(path), options)
    whole = trains(table, options, report)
    turn = options.up_pulses
    if turn is None:
        longest = max(len(own) for own in whole)
        mean = np.nanmean([np.append(own["value"], np.full(longest - len(own), np.nan)) for own in whole], axis=0)
        found = turns(np.append(mean, mean[:1]), period=len(mean))
        turn = None if found is None else int((found.step[1:-1] > 0).argmin())
        if not turn or (found is not None and found.step[1] < 0):
            raise UserError(
                f"{path}: option up_pulses: found nothing, allowed: the number of pulses up at the top of the file, or "
                "a folder with one file for each direction"
            )
        table.note(f"{turn} pulses up, as the readings turn (option up_pulses)")
    elif turn > len(whole[0]) - 2:
        raise UserError(
            f"{path}: option up_pulses: found {turn}, allowed: 1..{len(whole[0]) - 2}, so that a pulse down is left"
        )
    every = pd.concat([own.assign(way=np.where(own["number"] <= turn, 1.0, -1.0)) for own in whole], ignore_index=True)
    names = (f"first {turn} pulses", "the pulses after them")
    return imported(_sequences(every), table, options, report, [path], path, "trains", names)


def columns_of(path: Path, options: Options) -> Table:
    """Return the table of a file all of whose columns of numbers are readings.

    Raises
    ------
    UserError
        If there is one row.
    """
    table = read_table(path, options, every="conductance")
    if len(table.row) < 2:
        raise UserError(f"{path}: found one row, allowed: the conductance before a pulse and that after it, or more")
    return table


def trains(table: Table, options: Options, report: Report) -> list[pd.DataFrame]:
    """Return the readings of each column, numbered from 0."""
    every = rows(table, options, report)
    return [own.assign(number=np.arange(len(own), dtype=float)) for _, own in every.groupby("part")]


def _sequences(every: pd.DataFrame) -> list[Sequence]:
    """Return each device's trains; each column is a measurement of its own, so its first reading begins a series."""
    begins = every["number"] == 0
    turns_ = (every["way"].diff() != 0) & ~begins
    every = every.assign(run=2 * begins.cumsum() + turns_.cumsum())
    return [
        Sequence(str(device), own.reset_index(drop=True), True, {})
        for device, own in every.groupby("device", sort=False)
    ]
