"""A write as a few snapshots of m on thinned cells: taken from a result or from OVF files, kept as one NPZ file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from device_sims.engines import Result
from device_sims.finished import places
from device_sims.finished.tables import Unfit
from device_sims.finished.write import time_s
from device_sims.problem import Problem, ovf
from device_sims.problem.grains import drawn
from device_sims.problem.material import region_index
from device_sims.problem.observables import SINGLE, wall_position, wall_state
from device_sims.problem.parts import Phase
from spinloom import files
from spinloom.errors import UserError

FULL = 127  # int8 of a unit vector's component 1
FORMAT = 1


@dataclass(frozen=True)
class Event:
    """Snapshots of one write.

    Attributes
    ----------
    t_s : float64[n]
        Times, s.
    m : int8[n, 3, nz, ny, nx]
        127 times the unit magnetisation of the cells that are kept; zero where there is no material.
    cell_m : float64[3]
        Edges of the cells that are kept, m: along x and y those of the simulation times the thinning.
    wall_m : float64[n]
        Where the wall between domains of mz is in all cells, m from the left end; NaN unless there is one wall.
    on_s : float64[k, 2]
        Begin and end of each stretch of time with a drive, s; none if the source does not say.
    parts : int32[ny, nx]
        Number of each column's grain and region; columns of one number have no boundary in between.
    source : str
        Where it comes from: engine and problem, or the files.
    """

    t_s: np.ndarray
    m: np.ndarray
    cell_m: np.ndarray
    wall_m: np.ndarray
    on_s: np.ndarray
    parts: np.ndarray
    source: str

    @property
    def unit(self) -> np.ndarray:
        """Magnetisation with components from -1 to 1, float64[n, 3, nz, ny, nx], NaN where there is no material."""
        material = (self.m != 0).any(1, keepdims=True)
        return np.where(material, self.m / FULL, np.nan)

    def driven(self, record: int) -> bool:
        """Return whether a drive is on at snapshot ``record``; at the end of a pulse it still is."""
        begin, end = self.on_s.T
        return bool(((begin < self.t_s[record]) & (self.t_s[record] <= end * (1 + 1e-9))).any())


def of_result(problem: Problem, result: Result, source: str, snapshots: int, most_cells: int) -> Event:
    """Return snapshots of a trajectory.

    Parameters
    ----------
    problem : Problem
    result : Result
        Of an engine that computes cells.
    source : str
    snapshots : int
        About evenly picked in time; the ends of phases are among them.
    most_cells : int
        Cells of a layer that are kept at most.

    Raises
    ------
    UserError
        If the engine has no cells.
    """
    if result.m.shape[2:] != problem.mesh.shape:
        raise UserError(
            "engine: found an engine without cells, which cannot give pictures, allowed: llg, mumax3, oommf"
        )
    ends = {index for index in result.phase_end.values()}
    chosen = _chosen(result.t_s, snapshots, ends)
    on, begin = [], 0
    for phase in problem.schedule:
        end = result.phase_end[phase.name]
        if _driven(phase) and end > begin:
            on.append((result.t_s[begin], result.t_s[end]))
        begin = end
    parts = region_index(problem)[0].astype(np.int64)
    if problem.grains is not None:
        number = drawn(problem.grains, problem.mesh).number
        parts = parts * (number.max() + 1) + number
    return _made(result.t_s[chosen], result.m[chosen], problem.mesh.cell_m, on, parts, source, most_cells)


def of_states(problem: Problem, m: np.ndarray, most_cells: int = 20000) -> Event:
    """Return states of one problem, float64[n, 3, nz, ny, nx], as snapshots without times."""
    none = np.zeros(m.shape[3:], int)
    return _made(np.zeros(len(m)), m, problem.mesh.cell_m, (), none, "states", most_cells)


def of_files(run: Path, snapshots: int, most_cells: int) -> Event:
    """Return snapshots from the OVF files of a finished run, of this program, mumax3, OOMMF or ubermag.

    Parameters
    ----------
    run : Path
        Its folder.
    snapshots : int
        Files that are read at most.
    most_cells : int
        Cells of a layer that are kept at most.

    Raises
    ------
    UserError
        If there are no such files, one is no magnetisation, or their meshes differ.
    """
    found = places.find(run).snapshots
    if not found:
        raise Unfit(f"{run}: holds no snapshot ({', '.join(places.SNAPSHOTS)})")
    times = np.array([time_s(path) for path in found])
    chosen = _chosen(times, snapshots, {0, len(found) - 1})
    states, cell = [], None
    for path in (found[place] for place in chosen):
        field = ovf.read(path)
        if len(field.values) != 3:
            raise UserError(f"{path}: found {len(field.values)} values in a cell, allowed: the 3 of a magnetisation")
        if states and (field.values.shape, field.cell_m) != (states[0].shape, cell):
            raise UserError(f"{path}: found another mesh than that of the run's first snapshot, allowed: the same")
        cell, norm = field.cell_m, np.sqrt((field.values**2).sum(0))
        states.append(np.divide(field.values, norm, out=np.zeros_like(field.values), where=norm > 0))
    m = np.stack(states)
    return _made(times[chosen], m, cell, (), np.zeros(m.shape[3:], int), str(run.name), most_cells)


def write(event: Event, path: str | Path) -> None:
    """Write an event as a compressed NPZ, atomically; the same event gives the same bytes."""
    with files.atomic(path) as temporary, open(temporary, "wb") as stream:
        stored = {one.name: getattr(event, one.name) for one in fields(event)}
        np.savez_compressed(stream, format=FORMAT, **stored)


def read(path: str | Path) -> Event:
    """Read what `write` wrote.

    Raises
    ------
    UserError
        If it is not there, or no such file.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            number, found = int(stored["format"]), {one.name: stored[one.name] for one in fields(Event)}
    except FileNotFoundError:
        raise UserError(f"{path}: found no such file") from None
    except Exception as error:  # numpy and zipfile raise a dozen kinds for damaged files
        raise UserError(
            f"{path}: found a file that does not hold the pictures of a write ({type(error).__name__}: {error})"
        ) from None
    if number != FORMAT:
        raise UserError(f"{path}: format: found {number}, allowed: {FORMAT}")
    return Event(**{**found, "source": str(found["source"])})


def _driven(phase: Phase) -> bool:
    neutral = Phase("", 0.0).drives()
    return any(
        drive != neutral.get(name, 1.0 if name.startswith("region_Ku") else 0.0)
        for name, drive in phase.drives().items()
    )


def _chosen(t_s: np.ndarray, snapshots: int, wanted: set[int]) -> list[int]:
    """Return records to show: the first, the last and, as far as there is room, ``wanted``; the rest evenly in time."""
    if len(t_s) <= snapshots:
        return list(range(len(t_s)))
    even = np.abs(t_s[:, None] - np.linspace(t_s[0], t_s[-1], snapshots)).argmin(0)
    for record in sorted(wanted)[: max(snapshots - 2, 0)]:
        even[1 + np.abs(t_s[even[1:-1]] - t_s[record]).argmin() if 0 < record < len(t_s) - 1 else 0] = record
    return sorted({0, *even.tolist(), len(t_s) - 1})


def _made(
    t_s: np.ndarray,
    m: np.ndarray,
    cell_m: Sequence[float] | np.ndarray | None,
    on: Sequence[tuple[float, float]],
    parts: np.ndarray,
    source: str,
    most_cells: int,
) -> Event:
    cell = np.array(cell_m, float)
    walls = []
    for state in m:
        mask = (state != 0).any(0)
        one = wall_state(state[2], mask, None) == SINGLE
        walls.append(float(wall_position(state[2], mask, cell[0], None)) if one else math.nan)
    nx, ny = m.shape[-1], m.shape[-2]
    step = next(k for k in range(1, max(nx, ny) + 1) if math.ceil(nx / k) * math.ceil(ny / k) <= most_cells)
    # the cell in the middle of each step x step cells
    middle = tuple(slice(min(step // 2, count - 1), None, step) for count in (ny, nx))
    kept = np.rint(FULL * np.asarray(m, float)[(..., *middle)]).astype(np.int8)
    return Event(
        np.asarray(t_s, float),
        kept,
        cell * [step, step, 1],
        np.array(walls),
        np.array(on, float).reshape(-1, 2),
        parts[middle].astype(np.int32),
        source,
    )
