"""What the write in a finished run did: the state before the pulse, the state after it, and all in between."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from device_sims.finished import tables
from device_sims.finished.places import Files
from device_sims.finished.reading import AP, UNDECIDED, P, Reading
from device_sims.finished.tables import Table, Unfit
from device_sims.problem import observables, ovf
from device_sims.problem.observables import LOST, SINGLE
from spinloom.errors import UserError

HEAD_BYTES = 4096  # of a snapshot, in which its time stands
CLOSE = 1e-6  # by which share of itself a time may be off
# of the time between two records: a program that saves at intervals saves a step late, and may miss the last record
SLACK, LATE = 0.05, 1.05
UNIT = 1e-3  # by which the length of a unit vector may differ from 1 before it is a magnetisation in A/m
DECIDED = 0.5  # of the mean magnetisation, beyond which a free layer is in one of its states


@dataclass(frozen=True)
class Recorded:
    """The files of a run, read as far as they are needed.

    Attributes
    ----------
    files : Files
    table : Table or None
    table_bytes : bytes
    t_s : float64[n]
        Times of the records that hold the state: rows of the table, or snapshots.
    """

    files: Files
    table: Table | None
    table_bytes: bytes
    t_s: np.ndarray


@dataclass(frozen=True)
class Seen:
    """What a write did.

    Attributes
    ----------
    before, after : float
        State before the pulse and at the end: position of the wall, m, or mean magnetisation; NaN without one wall.
    outcome : str
        ``single``, ``lost`` or ``multiple`` walls at the end; of a free layer ``AP``, ``P`` or ``undecided``.
    end_s : float
        Time at which the state counts as written.
    gap_s : float
        Median time between two records.
    t_s, values : float64[n]
        Times, and the state at them: all records of the table, or the snapshots that were read.
    pulse_mean : float
        Mean of ``values`` over the pulse.
    mesh : tuple or None
        Cells along x, y, z, and their three edges in m; None if no snapshot was read.
    sha256 : str
        Of the bytes that were read.
    """

    before: float
    after: float
    outcome: str
    end_s: float
    gap_s: float
    t_s: np.ndarray
    values: np.ndarray
    pulse_mean: float
    mesh: tuple[tuple[int, int, int], tuple[float, float, float]] | None
    sha256: str


def record(reading: Reading, files: Files, *, columns: bool = False, last_start: bool = False) -> Recorded:
    """Read the table of a run and the times of its records.

    Parameters
    ----------
    reading : Reading
    files : Files
    columns : bool
        More than the state is asked of the table.
    last_start : bool
        Of a table whose time goes back, take the rows after the last time that it does.

    Raises
    ------
    Unfit
        If its table is cut short, has no rows or goes back in time, or it has no snapshots.
    UserError
        If it has no table and needs one, or its times cannot be read.
    """
    content, table = b"", None
    if files.table is not None and (columns or reading.state_column is not None):
        content = _bytes(files.table)
        table = tables.read(files.table, content)
    if reading.state_column is not None and table is None:
        raise Unfit(f"{files.run}: holds no table, and the state is its column '{reading.state_column}'")
    if reading.state_column is not None and table is not None:
        t_s = table.time_s
        if (back := np.flatnonzero(np.diff(t_s) < 0)).size:
            row = int(back[-1]) + 1
            if not last_start:
                raise Unfit(
                    f"{table.path}: time goes back after row {row}, from {t_s[row - 1]:g} to {t_s[row]:g} s: the run "
                    "was restarted, or its clock was set; allowed: one run, or option restarted = last"
                )
            later = {name: values[row:] for name, values in table.columns.items()}
            table, t_s = Table(table.path, later, table.units), t_s[row:]
    else:
        if not files.snapshots:
            raise Unfit(f"{files.run}: holds no snapshots, and the state is the position of the wall in them")
        t_s = np.array([time_s(path) for path in files.snapshots])
        if (np.diff(t_s) < 0).any():  # a state may be saved twice: at an interval and by hand
            place = int(np.flatnonzero(np.diff(t_s) < 0)[0])
            first, second = files.snapshots[place : place + 2]
            raise Unfit(
                f"{files.run}: time does not go on from {first.name} ({t_s[place]:g} s) to {second.name} "
                f"({t_s[place + 1]:g} s): the run was restarted; allowed: the snapshots of one run"
            )
    return Recorded(files, table, content, t_s)


def see(
    reading: Reading, run: Recorded, duration_s: float, end_s: float, *, before: bool = True, every: bool = False
) -> Seen:
    """Return what the write of a run did.

    Parameters
    ----------
    reading : Reading
    run : Recorded
    duration_s : float
        Length of the pulse.
    end_s : float
        When the state counts as written.
    before : bool
        The state before the pulse is needed.
    every : bool
        Read all snapshots, and not only those before the pulse and at the end.

    Raises
    ------
    Unfit
        If the run begins after the pulse, or ends before ``end_s``.
    UserError
        If the column is not there, or a file cannot be read.
    """
    t_s, name = run.t_s, run.files.run
    gap = float(np.median(np.diff(t_s))) if len(t_s) > 1 else 0.0
    start, end = (_at(t_s, time_s, gap) for time_s in (reading.pulse_start_s, end_s))
    if start < 0 and before:
        raise Unfit(f"{name}: its first record is at {t_s[0]:g} s, the pulse begins at {reading.pulse_start_s:g} s")
    if end_s - t_s[end] > max(LATE * gap, CLOSE * end_s):
        raise Unfit(f"{name}: ended early: its last record is at {t_s[-1]:g} s, the write ends at {end_s:g} s")
    if run.table is not None and reading.state_column is not None:
        values, outcomes, mesh = _of_column(reading, run.table)
        times, digest = t_s, hashlib.sha256(run.table_bytes)
        after = float(values[end])
        outcome = outcomes(after)
    else:
        chosen = range(len(t_s)) if every else sorted({0, max(start, 0), end})
        values, states, mesh, digest = _of_snapshots(reading, run.files.snapshots, chosen)
        digest.update(run.table_bytes)
        times = t_s[list(chosen)]
        places = {record: place for place, record in enumerate(chosen)}
        after, outcome = float(values[places[end]]), states[places[end]]
        start = places[start] if start >= 0 else start
    pulse = (times >= reading.pulse_start_s) & (times <= (reading.pulse_start_s + duration_s) * (1 + CLOSE))
    first = float(values[start]) if start >= 0 else np.nan
    own, width_s = values[pulse], float(np.ptp(times[pulse])) if pulse.any() else 0.0
    mean = float(np.trapezoid(own, times[pulse]) / width_s) if width_s else first
    return Seen(first, after, outcome, end_s, gap, times, values, mean, mesh, digest.hexdigest())


def level(value: float) -> str:
    """Return the state of a free layer with the mean magnetisation ``value``."""
    return P if value > DECIDED else AP if value < -DECIDED else UNDECIDED


def _at(t_s: np.ndarray, time_s: float, gap_s: float) -> int:
    """Return the last record that is not after a time, -1 if there is none."""
    return int(np.searchsorted(t_s, time_s + max(CLOSE * time_s, SLACK * gap_s), side="right")) - 1


def _of_column(reading: Reading, table: Table):
    """Return the state over time of a column, float64[n], what a value of it is called, and no mesh."""
    values = table.column(str(reading.state_column), "state_column", "m" if reading.state == "position" else "")
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values))[0]) + 1
        if reading.state != "position":
            raise Unfit(f"{table.path}: row {row}: found no finite number in '{reading.state_column}'")
    if reading.state == "levels":
        return values, level, None
    length = float(reading.length_m or 0)
    if reading.state == "share":
        if np.abs(values).max() > 1 + UNIT:
            raise UserError(
                f"{table.path}: state_column: found {np.abs(values).max():g} in '{reading.state_column}', allowed with "
                "state share: a mean magnetisation, -1 to 1"
            )
        share = (1 + values) / 2 if reading.left == "up" else (1 - values) / 2
        return np.clip(share, 0, 1) * length, lambda value: SINGLE, None
    position = values + reading.position_offset_m
    # a wall beyond an end of the track has left it
    position = np.where((position >= 0) & (position <= length), position, np.nan)
    return position, lambda value: LOST if np.isnan(value) else SINGLE, None


def _of_snapshots(reading: Reading, snapshots: tuple[Path, ...], chosen):
    """Return the wall's position in some snapshots, float64[n], their walls in words, the mesh, and a digest."""
    positions, states, mesh, digest = [], [], None, hashlib.sha256()
    up_left = None if reading.left is None else reading.left == "up"
    for place in chosen:
        path = snapshots[place]
        content = _bytes(path)
        digest.update(content)
        try:
            field = ovf.parse(content, str(path))
        except UserError as error:
            raise Unfit(str(error)) from None
        count, nz, ny, nx = field.values.shape
        if count != 3:
            raise UserError(
                f"{path}: found {count} values in a cell, allowed: the 3 of a magnetisation (option snapshots)"
            )
        if mesh not in (None, ((nx, ny, nz), field.cell_m)):
            raise Unfit(
                f"{path}: found {mesh_told((nx, ny, nz), field.cell_m)}, allowed: {mesh_told(*mesh)} of the run"
            )  # pyright: ignore[reportOptionalIterable]
        mesh = ((nx, ny, nz), field.cell_m)
        norm = np.sqrt((field.values**2).sum(0))
        mask = norm > 0
        if not mask.any():
            raise Unfit(f"{path}: is zero everywhere")
        values = field.values["xyz".index(reading.component)]
        if norm.max() > 1 + UNIT:  # OOMMF's, in A/m
            values = np.divide(values, norm, out=np.zeros_like(values), where=mask)
        if up_left is None:
            sides = [side for side in (True, False) if observables.wall_state(values, mask, side) == SINGLE]
            if len(sides) != 1:
                raise Unfit(f"{path}: shows no single wall, so it does not tell what is left of it (option left)")
            (up_left,) = sides
        state = observables.wall_state(values, mask, up_left)
        states.append(state)
        positions.append(
            float(observables.wall_position(values, mask, field.cell_m[0], up_left)) if state == SINGLE else np.nan
        )
    return np.array(positions), states, mesh, digest


def mesh_told(counts: tuple[int, int, int], cell_m: tuple[float, float, float]) -> str:
    """Return cells and their edges in words."""
    return f"{' x '.join(map(str, counts))} cells of {' x '.join(f'{edge * 1e9:g}' for edge in cell_m)} nm"


def time_s(path: Path) -> float:
    """Return the time that the header of an OVF file states, s.

    Raises
    ------
    Unfit
        If the file cannot be read or is cut short.
    UserError
        If its header states no time.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD_BYTES).decode("utf-8", "replace")
    except OSError as error:
        raise Unfit(f"{path}: cannot be read ({error.strerror})") from None
    header, data, _ = head.partition("Begin: Data")
    found = ovf.TIME.search(header)
    if not found and not data and len(head) < HEAD_BYTES:
        raise Unfit(f"{path}: is cut short, there is no line '# Begin: Data'")
    if not found:
        raise UserError(
            f"{path}: found a header without 'Total simulation time', allowed: snapshots of a run over time"
        )
    return float(found[1])


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Unfit(f"{path}: cannot be read ({error.strerror})") from None
