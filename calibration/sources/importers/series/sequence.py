"""Columns of readings -> for each device its readings in order, with the direction of the pulse before each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from calibration.sources.importers.base import Series as SeriesOptions
from calibration.sources.importers.reading import Report
from calibration.sources.tabular import runs
from calibration.sources.tabular.spellings import DOWN_WORDS, UP_WORDS
from calibration.sources.tabular.table import Column, Table
from spinloom.errors import UserError


@dataclass(frozen=True)
class Sequence:
    """Readings of one device in the order of the measurement.

    Attributes
    ----------
    device : str
    table : DataFrame
        A row for each reading: ``row`` (of the file), ``value`` (S, NaN if it cannot be used), ``number`` (float64, of
        the pulse before it), ``way`` (1 up, -1 down, 0 no pulse), ``run`` int64 (of pulses one way, in order; a run
        follows that before it if its number is one more), ``voltage_V`` and ``duration_s`` (NaN where not told).
    running : bool
        Pulse numbers run on from run to run, at least within a cycle.
    ways : dict of int to int
        Running number -> way, where the file does not tell: also of pulses whose reading is missing.
    """

    device: str
    table: pd.DataFrame
    running: bool
    ways: dict[int, int]


def rows(table: Table, options: SeriesOptions, report: Report) -> pd.DataFrame:
    """Return one row for each reading of the file, whatever column it stands in.

    Returns
    -------
    DataFrame
        ``device``, ``part`` (readings of one column), ``cycle``, ``way`` (NaN if not told), ``number``, ``time_s``,
        ``voltage_V``, ``duration_s``, ``value``, ``row``.

    Raises
    ------
    UserError
        If there is no column of readings, or a direction is not known.
    """
    columns = table.readings()
    if not columns:
        found = ", ".join(column.name for column in table.columns)
        raise UserError(
            f"{table.path}: found no column of readings ({found}), allowed: one or more of conductance, current or "
            "resistance (option conductance_column, current_column or resistance_column)"
        )
    devices, cycles, directions = (table.get(role) for role in ("device", "cycle", "direction"))
    blocks = []
    for part, column in enumerate(columns):
        reading = table.reading(column, options)
        number, time, voltage, duration = (
            table.get(role, column) for role in ("pulse_number", "time", "voltage", "duration")
        )
        nothing = np.full(len(table.row), np.nan)
        block = pd.DataFrame(
            {
                "device": devices.text if devices else "0",
                "part": part,
                "cycle": cycles.number if cycles else nothing,
                "way": ways_of(directions, table) if directions else nothing,
                "number": number.number if number else nothing,
                "time_s": time.number if time else nothing,
                "voltage_V": voltage.number if voltage else nothing,
                "duration_s": duration.number if duration else nothing,
                "value": reading.value_S,
                "row": table.row,
                "reason": reading.reason,
                "empty": [not str(text).strip() for text in column.text],
            }
        )
        if len(columns) > 1:
            own = _own(column, options, len(columns))
            if "device" in own:
                block["device"] = block["device"] + " " + own["device"] if devices else own["device"]
            block = block.assign(**{name: value for name, value in own.items() if name != "device"})
        elif column.meaning.direction and not directions:
            block["way"] = 1.0 if column.meaning.direction == "up" else -1.0
        # empty cells at the end are no gaps; neither are those of a table beside a longer one
        last = len(block) - int(np.argmax(~block["empty"].to_numpy()[::-1])) if (~block["empty"]).any() else 0
        blocks.append(block.iloc[:last])
    if len(columns) > 1 and table.named:
        table.note(_told(columns, options))
    every = pd.concat(blocks, ignore_index=True)
    if devices is not None and (every["device"] == "").any():
        row = every.loc[every["device"] == "", "row"].iloc[0]
        raise UserError(f"{table.path}: row {row}, column {devices.name}: found nothing, allowed: a label")
    if options.device is not None:
        known = list(dict.fromkeys(every["device"]))
        if options.device not in known:
            raise UserError(f"{table.path}: option device: found {options.device!r}, allowed: {', '.join(known)}")
        every = every[every["device"] == options.device]
    report.total += len(every)
    for place in np.flatnonzero((every["reason"] != "").to_numpy()):
        report.drop(table.path, every["row"].iloc[place], every["reason"].iloc[place])
    return every.drop(columns=["reason", "empty"])


def _own(column: Column, options: SeriesOptions, count: int) -> dict[str, Any]:
    """Return what tells a column of readings from the others."""
    meaning = column.meaning
    own: dict[str, Any] = {}
    if meaning.direction and options.columns is None:
        own["way"] = 1.0 if meaning.direction == "up" else -1.0
    if meaning.cycle is not None and not meaning.device and options.columns is None:
        own["cycle"] = float(meaning.cycle)
    if options.columns == "devices" or (options.columns is None and (meaning.device or not own)):
        own["device"] = meaning.device or column.name
    return own


def _told(columns: list[Column], options: SeriesOptions) -> str:
    kinds = {key for column in columns for key in _own(column, options, len(columns))} or {"repetitions"}
    names = ", ".join(repr(column.name) for column in columns[:4]) + (", ..." if len(columns) > 4 else "")
    what = " and ".join(
        {"way": "directions", "device": "devices", "cycle": "cycles"}.get(kind, kind) for kind in sorted(kinds)
    )
    remedy = "if they are cycles of one device: option columns=repetitions" if "device" in kinds else "option columns"
    return f"{len(columns)} columns of readings ({names}) are taken for {what} ({remedy})"


def ways_of(column: Column, table: Table) -> np.ndarray:
    """Return the directions that a column tells, float64[rows]: 1 up, -1 down, NaN where it tells none.

    Raises
    ------
    UserError
        If a word is not known.
    """
    words = [str(text).strip().lower() for text in column.text]
    way = np.array([1.0 if word in UP_WORDS else -1.0 if word in DOWN_WORDS else np.nan for word in words])
    said = np.array([word != "" for word in words], dtype=bool)
    unknown = np.isnan(way) & said & ~np.isin(table.row, list(table.spoiled))
    if unknown.any():
        place = int(np.flatnonzero(unknown)[0])
        raise UserError(
            f"{table.path}: row {table.row[place]}, column {column.name}: found {column.text[place]!r}, allowed: up or "
            "down (or LTP, LTD, set, reset, 1, -1 and the like)"
        )
    return way


def sequences(table: Table, options: SeriesOptions, report: Report) -> list[Sequence]:
    """Return the readings of each device in order, with ways and runs.

    Raises
    ------
    UserError
        Names the file, and the row and column, or the option.
    """
    every = rows(table, options, report)
    made = []
    for device, own in every.groupby("device", sort=False):
        one = _sequence(str(device), own.reset_index(drop=True), table, options, report)
        time, same = one.table["time_s"].to_numpy(), one.table["run"].diff().to_numpy() == 0
        if (back := np.flatnonzero((np.diff(time) < 0) & same[1:])).size:
            at = back[0] + 1
            raise UserError(
                f"{table.path}: row {one.table['row'].iloc[at]}, column of the time: found {time[at]:g} after "
                f"{time[at - 1]:g}, allowed: no less within a run"
            )
        made.append(one)
    return made


def _sequence(device: str, own: pd.DataFrame, table: Table, options: SeriesOptions, report: Report) -> Sequence:
    signs = np.unique(np.sign(own["voltage_V"].dropna()))
    if own["way"].isna().all() and -1 in signs and 1 in signs:
        own["way"] = np.sign(own["voltage_V"]) * _polarity(own, table)
    own = _numbered(own, table, report)
    told = own["way"].notna().any()
    if told:
        own["way"] = own["way"].ffill().bfill()
        own, running = _told_runs(own, options)
        return Sequence(device, own, running, {})
    own, running, ways = _found_runs(own, table, options)
    return Sequence(device, own, running, ways)


def _polarity(own: pd.DataFrame, table: Table) -> float:
    """Return 1 if positive voltages raise the conductance, -1 if they lower it."""
    step = own["value"].diff()
    positive, negative = (step[np.sign(own["voltage_V"]) == sign].mean() for sign in (1, -1))
    rises = not positive < negative
    table.note(f"positive voltages {'raise' if rises else 'lower'} the conductance: they are the pulses up")
    return 1.0 if rises else -1.0


def _numbered(own: pd.DataFrame, table: Table, report: Report) -> pd.DataFrame:
    """Return the rows with a number each: a missing one between its neighbours is theirs, else the row is left out."""
    number = own["number"].to_numpy().copy()
    if np.isnan(number).all():
        own["counted"] = False
        return own
    wrong = np.isfinite(number) & (number != np.rint(number))
    if wrong.any():
        place = int(np.flatnonzero(wrong)[0])
        raise UserError(
            f"{table.path}: row {own['row'][place]}, column of the pulse number: found {number[place]:g}, allowed: an "
            "integer"
        )
    known = np.flatnonzero(np.isfinite(number))
    for before, after in zip(known[:-1], known[1:]):
        if after - before > 1 and number[after] - number[before] == after - before:
            number[before:after] = number[before] + np.arange(after - before)
    left = np.isnan(number)
    for place in np.flatnonzero(left):
        report.drop(table.path, own["row"][place], "the pulse number is missing")
    own["number"] = number
    # a number that goes down again, as on the axis of a plot
    change = np.diff(number[~left])
    if len(change) > 4 and np.mean(change == -1) > 0.2 and np.mean(change == 1) > 0.2 and own["way"].isna().all():
        table.note("the pulse number goes up and down: so do the pulses")
        kept = own[~left].reset_index(drop=True)
        way = pd.Series(np.where(np.abs(change) == 1, change, np.nan), index=kept.index[1:])
        number = np.cumsum(np.concatenate([[1.0], np.where(change == 0, 0.0, 1.0)]))
        return kept.assign(way=way.reindex(kept.index).bfill(), number=number, counted=True)
    return own[~left].reset_index(drop=True).assign(counted=True)


def _told_runs(own: pd.DataFrame, options: SeriesOptions) -> tuple[pd.DataFrame, bool]:
    """Return the rows with runs, where the file tells directions."""
    if own["cycle"].notna().all():
        first = {"up": 1.0, "down": -1.0, None: own["way"].iloc[0]}[options.first]
        # whole runs may stand in any order
        own = own.assign(run=2 * own["cycle"] + (own["way"] != first))
        own = own.sort_values("run", kind="stable", ignore_index=True)
        changes = own["run"].diff().fillna(0)
        own["run"] = own["run"].astype(np.int64)
        restarts = (own["number"].diff() < 0) & (changes == 0)
        again = own["part"].diff().fillna(0) != 0
        if own["counted"].iloc[0] and (restarts | (again & (changes == 0))).any():
            own["run"] = (
                2 * ((changes != 0) | restarts | again)
            ).cumsum()  # several runs a cycle: none follows another
    else:
        parts = own["part"].diff().fillna(0) != 0
        again = own["number"].diff() < 0
        falls = again & (own["number"].diff() == -1) & (own["way"] < 0) & (own["way"].shift() < 0)
        new = parts | (own["way"].diff().fillna(0) != 0) | (again & ~falls)
        own["run"] = (new.astype(int) + (parts & new).astype(int)).cumsum()
    if not own["counted"].iloc[0]:
        return own.assign(number=np.arange(len(own), dtype=float)), True
    own["number"] = _rising(own)
    boundary = own["run"].diff().fillna(0) != 0
    steps = own["number"].diff()[boundary]
    return own, bool(len(steps) and (steps > 0).mean() > 0.5)


def _rising(own: pd.DataFrame) -> pd.Series:
    """Return the numbers in their runs, turned round where they count down."""
    number, run = own["number"], own["run"]
    change = number.diff().where(run.diff() == 0)
    counts = pd.DataFrame({"steps": change.notna(), "falls": change == -1}).groupby(run).transform("sum")
    falling = (counts["steps"] > 1) & (counts["falls"] > 0.8 * counts["steps"])
    return number.where(~falling, number.groupby(run).transform("max") + 1 - number)


def _found_runs(own: pd.DataFrame, table: Table, options: SeriesOptions) -> tuple[pd.DataFrame, bool, dict[int, int]]:
    """Return the rows with ways and runs found from counts or from the readings, and the way of each running number."""
    part = own["part"].diff().fillna(0) != 0
    if not own["counted"].iloc[0]:
        own["number"] = own.groupby("part").cumcount().astype(float)
    restart = (own["number"].diff() < 0) | part
    running = not restart[~part].any() if options.running_number is None else options.running_number
    up, down = options.pulses_up, options.pulses_down
    if (up is None) != (down is None):
        name = "pulses_down" if down is None else "pulses_up"
        raise UserError(
            f"{table.path}: option {name}: found nothing, allowed: a number, because the other one is given"
        )
    first = {"up": 1, "down": -1, None: None}[options.first]
    if running:
        own["run"] = 0
        ways: dict[int, int] = {}
        for number, (_, rows_) in enumerate(own.groupby("part")):
            found = _running_ways(rows_, table, options, first)
            own.loc[rows_.index, "way"] = [found[int(n)] for n in rows_["number"]]
            ways |= found
            own.loc[rows_.index, "run"] = 2 * number
        turn = (own["way"].diff().fillna(0) != 0) & ~part
        own["run"] += turn.cumsum()
        return own, True, ways
    own["run"] = restart.cumsum()
    longest = own["number"].max()
    if up is not None and down is not None and longest > max(up, down) + 0.5:
        own["way"] = runs.of_counts(own["number"].clip(lower=1).to_numpy(), up, down, first or 1)
        return _split(own), True, {}
    return _restarting(own, table, options, first)


def _running_ways(own: pd.DataFrame, table: Table, options: SeriesOptions, first: int | None) -> dict[int, int]:
    """Return the way of each number of a trace without restarts."""
    number = own["number"].to_numpy().astype(np.int64)
    low, high = int(number.min()), int(number.max())
    every = np.arange(low, high + 1)
    if options.pulses_up is not None and options.pulses_down is not None:
        begin = low if low not in (0, 1) else 1
        ways = runs.of_counts(np.maximum(every - begin + 1, 1), options.pulses_up, options.pulses_down, first or 1)
        return dict(zip(every.tolist(), ways.tolist()))
    if high - low > 20 * len(own):
        raise UserError(f"{table.path}: found pulse numbers {low}..{high} in {len(own)} rows, allowed: one row a pulse")
    dense = np.full(len(every), np.nan)
    dense[number - low] = own["value"].to_numpy()
    found = runs.turns(dense)
    if found is None:
        rises = len(own) > 1 and own["value"].iloc[-1] > own["value"].iloc[0]
        return dict.fromkeys(every.tolist(), 1 if rises else -1)
    if found.up is not None:
        told = f"{found.up} pulses up and {found.down} down in turn (options pulses_up, pulses_down)"
    else:
        told = f"{1 + int((np.diff(found.step) != 0).sum())} runs, whose ends are told by the readings"
    table.note(f"the pulse number runs on: {told}")
    return dict(zip(every.tolist(), found.step.tolist()))


def _split(own: pd.DataFrame) -> pd.DataFrame:
    new = (own["run"].diff().fillna(0) != 0) | (own["way"].diff().fillna(0) != 0)
    return own.assign(run=new.cumsum())


def _restarting(
    own: pd.DataFrame, table: Table, options: SeriesOptions, first: int | None
) -> tuple[pd.DataFrame, bool, dict[int, int]]:
    """Return the rows where each restart of the number begins a run, or a cycle of two runs."""
    groups = own.groupby("run")["value"]
    net = groups.last() - groups.first()
    reach = groups.max() - groups.min()
    odd, even = net.iloc[::2].mean(), net.iloc[1::2].mean()
    alternate = first is not None or (len(net) > 1 and odd * even < 0) or len(net) < 2
    if not alternate and (net.abs() < 0.5 * reach).mean() > 0.5:
        length = int(own.groupby("run")["number"].max().mode().iloc[0])
        low = int(own["number"].min())
        dense = np.full((own["run"].nunique(), length + 1 - low), np.nan)
        place = own["run"].rank(method="dense").astype(int).to_numpy() - 1
        inside = (own["number"] <= length).to_numpy()
        dense[place[inside], own["number"].to_numpy().astype(int)[inside] - low] = own["value"].to_numpy()[inside]
        found = runs.turns(dense.ravel(), period=dense.shape[1]) if low else runs.turns(dense[:, 1:].ravel(), length)
        if found is not None and found.up is not None and found.down is not None:
            table.note(
                f"the pulse number starts again with each cycle: {found.up} pulses up and {found.down} down (options "
                "pulses_up, pulses_down)"
            )
            cycle = found.step[: found.up + found.down]
            own["way"] = cycle[np.clip(own["number"].astype(int) - 1, 0, len(cycle) - 1)]
            return _split(own), True, {}
    if not alternate:
        own["way"] = np.where(own["run"].map(net.to_dict()) >= 0, 1.0, -1.0)
        return own, False, {}
    begins = first or (1 if (odd if len(net) else 0) >= 0 else -1)
    own["way"] = np.where(own["run"] % 2 == 0, begins, -begins).astype(float)
    if first is None:
        table.note(f"each restart of the pulse number is a run; the first goes {'up' if begins > 0 else 'down'}")
    return own, False, {}
