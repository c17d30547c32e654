"""Readings in order -> writes and readings to count, whatever the layout of the file they come from."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from calibration.counting.writes import REST
from calibration.sources.importers import measured
from calibration.sources.importers.base import Imported
from calibration.sources.importers.base import Series as SeriesOptions
from calibration.sources.importers.measured import DOWN, UP, Series, readings_of, writes_of
from calibration.sources.importers.reading import Report
from calibration.sources.importers.series.sequence import Sequence
from calibration.sources.tabular.runs import noise_of
from calibration.sources.tabular.table import Table

LONGEST_GAP = 100  # pulses without a reading after which a series begins anew
SHARE_OF_WHOLE = 0.75  # of the runs must have the same length before a shorter one counts as ended early


class Pulses(NamedTuple):
    """The pulses of a card.

    ``table`` has the fields of each, ``way`` int64[pulses] is 1 up and -1 down, and ``key`` finds one by way, voltage
    and duration.
    """

    table: pd.DataFrame
    way: np.ndarray
    key: dict[tuple[int, float | None, float | None], int]


def imported(
    found: list[Sequence],
    table: Table,
    options: SeriesOptions,
    report: Report,
    files: list[Path],
    path: Path,
    format: str,
    names: tuple[str, str],
) -> Imported:
    """Return what was read of sequences of readings.

    Parameters
    ----------
    found : list of Sequence
    table : Table
        Its notes are told.
    options : Series
    report : Report
    files : list of Path
        What was read.
    path : Path
        What the user named.
    format : str
    names : tuple of str
        What the user calls up and down.

    Raises
    ------
    UserError
        If a direction has no writes, or too much was left out.
    """
    pulses = _pulses(found, options)
    devices, place = measured.instances(pd.Series([own.device for own in found]))
    series: list[Series] = []
    rereads = _rereads(found, table)
    for own, instance in zip(found, place):
        series += _series(own, int(instance), pulses, rereads, report, table.path)
    readings = readings_of(series)
    writes = writes_of(readings)
    report.check(options.max_dropped_fraction, path)
    ways = np.where(pulses.way > 0, UP, DOWN)
    notes = measured.both_directions(writes.assign(pulse=ways[writes["pulse"]]), path, names)
    return measured.imported(
        writes, readings, pulses.table, options, report, path, files, format, devices,
        notes=(*table.notes, *notes), written=table.written, read_at_V=table.read_at_V,
    )  # fmt: skip


def _key(way: float, voltage: float, duration: float) -> tuple[int, float | None, float | None]:
    return int(way), None if np.isnan(voltage) else float(voltage), None if np.isnan(duration) else float(duration)


def _pulses(found: list[Sequence], options: SeriesOptions) -> Pulses:
    """Return up and down, or a pulse for each voltage and duration of the file."""
    every = pd.concat([own.table for own in found], ignore_index=True)
    every = every[~(every["voltage_V"] == 0)]
    plain = measured.direction_pulses(options)
    ways = np.array([1, -1])
    if every[["voltage_V", "duration_s"]].isna().all(axis=None):
        return Pulses(plain, ways, {(1, None, None): UP, (-1, None, None): DOWN})
    kinds = every[["way", "voltage_V", "duration_s"]].drop_duplicates()
    kinds = kinds.sort_values(["way", "voltage_V", "duration_s"], ascending=[False, True, True], ignore_index=True)
    table = plain.iloc[np.where(kinds["way"] > 0, UP, DOWN)].reset_index(drop=True)
    for column in ("voltage_V", "duration_s"):
        table[column] = kinds[column].fillna(table[column])
    keys = [_key(*kind) for kind in kinds.itertuples(index=False)]
    return Pulses(table, kinds["way"].to_numpy().astype(np.int64), {key: number for number, key in enumerate(keys)})


def _rereads(found: list[Sequence], table: Table) -> str:
    """Return what number 0 of a run that follows another is: ``same`` reading, ``again`` read, or ``new`` start."""
    apart = []
    for own in found:
        rows = own.table
        begins = (rows["run"].diff() == 1) & (rows["number"] == 0)
        apart += list(rows["value"].diff()[begins])
    distance = np.abs([one for one in apart if np.isfinite(one)])
    if not len(distance):
        return "new"
    if (distance == 0).all():
        return "same"
    noise = [noise_of(run.to_numpy()) for own in found for _, run in own.table.groupby("run")["value"]]
    if np.median(distance) <= 4 * np.median(noise):
        table.note(f"{len(distance)} runs begin with a second reading of the device as the run before left it")
        return "again"
    return "new"


def _series(own: Sequence, instance: int, pulses: Pulses, rereads: str, report: Report, path: Path) -> list[Series]:
    """Return the series of a sequence; what is missing in one is a reading that is not a number."""
    rows = own.table
    number, run, way = (rows[name].to_numpy() for name in ("number", "run", "way"))
    voltage, duration, value, line = (rows[name].to_numpy() for name in ("voltage_V", "duration_s", "value", "row"))
    short = _ended_early(rows, own.running)
    made: list[tuple[list[int], list[float]]] = []
    for place in range(len(rows)):
        pulse = REST if voltage[place] == 0 else pulses.key[_key(way[place], voltage[place], duration[place])]
        if place == 0:
            made.append(([REST], [value[place]]))
            continue
        boundary = run[place] != run[place - 1]
        follows = not boundary or run[place] == run[place - 1] + 1
        step = int(number[place] - number[place - 1])
        if boundary and (not own.running or step < 0):
            step = int(number[place])
            if step == 0 and rereads == "same" and follows:
                continue
            follows &= step > 0 or rereads == "again"
        if boundary and follows and run[place - 1] in short:
            follows = False
            report.drop(path, line[place - 1], f"the run ends early, after pulse {number[place - 1]:g}")
        missing = [_missing(own, pulses, place, number[place] - step + gap, pulse) for gap in range(1, step)]
        if step > 1:
            for gap in range(1, step):
                report.total += 1
                report.drop(
                    path, line[place], f"pulse number {number[place] - step + gap:g} is missing before this row"
                )
        if not follows or step < 0 or step > LONGEST_GAP or None in missing:
            made.append(([REST], [value[place]]))
            continue
        for known in missing:
            made[-1][0].append(int(known or 0))
            made[-1][1].append(np.nan)
        made[-1][0].append(REST if step == 0 else pulse)
        made[-1][1].append(value[place])
    return [Series(instance, np.array(kinds), np.array(values)) for kinds, values in made]


def _missing(own: Sequence, pulses: Pulses, place: int, number: float, after: int) -> int | None:
    """Return the pulse that a missing reading followed, None if it is not known."""
    if own.ways:
        return pulses.key.get((own.ways[int(number)], None, None))
    row, last = own.table.iloc[place], own.table.iloc[place - 1]
    alike = row[["voltage_V", "duration_s"]].equals(last[["voltage_V", "duration_s"]]) and row["way"] == last["way"]
    unvaried = np.isnan(row["voltage_V"]) and np.isnan(row["duration_s"])
    same_run = row["run"] == last["run"]
    return after if after != REST and (alike or (unvaried and (same_run or not own.running))) else None


def _ended_early(rows: pd.DataFrame, running: bool) -> set[int]:
    """Return the runs that are shorter than most others their way: what became of the device is not known."""
    if running:
        return set()
    ends = rows.groupby("run").agg(number=("number", "max"), way=("way", "first"))
    short: set[int] = set()
    for _, own in ends.groupby("way"):
        usual = own["number"].mode().iloc[-1]
        if len(own) > 3 and (own["number"] == usual).mean() >= SHARE_OF_WHOLE:
            short |= set(map(int, own.index[own["number"] < usual]))
    return short - {int(ends.index[-1])}
