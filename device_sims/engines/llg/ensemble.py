"""Many replicas of a problem.

On a GPU all replicas advance together (vmap). On a CPU each runs to its end alone: a batch is no faster there
(`benchmarks/llg.py`), its records need more memory, and cores are used by running several processes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from device_sims.engines import Result
from device_sims.engines.llg import extrapolation, stability, window
from device_sims.engines.llg.drives import Drive
from device_sims.engines.llg.solver import MAX_DRIFT, Solver, State, System
from device_sims.problem import ADAPTIVE, Geometry, Problem, material
from device_sims.problem.observables import reached
from device_sims.problem.waveforms import packed, simple
from spinloom import streams
from spinloom.errors import UserError


def run(problems: Sequence[Problem], batch: bool | None = None) -> Iterator[Result]:
    """Yield the trajectory of each problem, in order.

    Parameters
    ----------
    problems : sequence of Problem
        Must share mesh, numerics, temperature, constants, regions and the lengths of phases; they may differ in
        geometry, in which device's grains they have, in drives, initial state and random stream.
    batch : bool, optional
        Advance all together; default: on a GPU only.

    Raises
    ------
    UserError
        If the problems cannot share a solver, the time step is too large, or a trajectory stops being sound.
    """
    first = problems[0]
    for problem in problems:
        if _shape(problem) != _shape(first):
            raise UserError(
                "llg: found problems of different mesh, numerics, material or timing in one chunk, allowed: the same "
                "in all"
            )
        stability.check(problem)
        extrapolation.check(problem)
    wide = first.numerics.precision == "float64"
    together = batch if batch is not None else jax.default_backend() == "gpu"
    # such phases end or come to rest in each replica at a time of its own
    together = together and not any(one.until or one.relax_tolerance for one in first.schedule) and not first.window
    # no yield inside the context: what the caller does meanwhile must not run in this precision
    with jax.enable_x64(wide):
        solver = Solver(first, problems[1:])
        results = _together(solver, problems) if together else []
    if together:
        yield from results
        return
    for problem in problems:
        with jax.enable_x64(wide):
            result = _alone(solver, problem)
        yield result


def _shape(problem: Problem):
    phases = tuple(
        (phase.name, phase.duration_s, phase.relax_tolerance, phase.until, [*map(_form, phase.drives().items())])
        for phase in problem.schedule
    )
    # what of a geometry decides which terms there are, and which constants are arrays
    beyond = None if problem.geometry.beyond_mx is None else (0.0, 0.0)
    shape = Geometry(edge_smoothing=problem.geometry.edge_smoothing, beyond_mx=beyond)
    grains = replace(problem.grains, seed=0, instance=0) if problem.grains is not None else None
    return replace(problem, geometry=shape, initial=None, stream=(), schedule=phases, grains=grains)


def _form(drive):
    """Return what of a drive, given as its key and itself, decides what is compiled."""
    key, value = drive
    return key, None if simple(value) else jax.tree.map(np.shape, packed(value, 1.0))


def _drives(solver: Solver, problem: Problem) -> list[Drive]:
    """Return the drive of each phase, in order."""
    drives, begin = [], 0
    for phase in problem.schedule:
        drives.append(solver.drive(problem, phase, begin))
        begin += problem.phase_steps(phase)
    return drives


def _alone(solver: Solver, problem: Problem) -> Result:
    system, state = solver.system(problem), solver.start(problem)
    drives: list[Drive] = []
    key = streams.key(*problem.stream)
    history = _History(solver, problem, system, drives)
    taken = 0
    for place, phase in enumerate(problem.schedule):
        drives.append(solver.drive(problem, phase, taken))
        if place == 0:
            history.add(0, 0, np.asarray(state.m), False)
        for count, is_end in problem.frames_of(phase):
            if (tolerance := phase.relax_tolerance) is not None:
                m = solver.relax(problem, phase, np.asarray(state.m, np.float64), tolerance)
                state = solver.state(system, jnp.asarray(m, solver.dtype))
            else:
                state = solver.advance(system, drives[place], state, key, taken, count)
            taken += count
            history.check(state, taken)
            over = phase.until is not None and reached(phase.until, np.asarray(state.m), history.mask, problem.mesh)
            history.add(place, taken, np.asarray(state.m), is_end or over)
            if problem.window is not None and (ahead := window.columns_ahead(problem, history.m[-1], history.mask)):
                problem = window.moved(problem, ahead)
                system = history.moved(problem, solver.system(problem))
                m = window.shifted(problem, history.m[-1], ahead)
                state = solver.state(system, jnp.asarray(m, solver.dtype))._replace(step=state.step)
            if over:
                break
            if is_end and phase.until is not None:
                history.notes.append(f"phase {phase.name}: {phase.until.observable} did not reach its value")
    return history.result()


def _together(solver: Solver, problems: Sequence[Problem]) -> list[Result]:
    def stack(trees):
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)

    systems: list[System] = [solver.system(p) for p in problems]
    drives = [_drives(solver, p) for p in problems]
    histories = [_History(solver, *of_one) for of_one in zip(problems, systems, drives)]
    keys = jnp.stack([streams.key(*p.stream) for p in problems])
    system, state = stack(systems), stack([solver.start(p) for p in problems])
    by_phase = [stack(of_phase) for of_phase in zip(*drives)]
    place, taken = 0, 0

    def keep(state: State, is_end: bool):
        state = jax.tree.map(np.asarray, state)
        for index, history in enumerate(histories):
            history.check(jax.tree.map(lambda leaf, index=index: leaf[index], state), taken)
            history.add(place, taken, np.asarray(state.m[index]), is_end)

    keep(state, False)
    for _, count, is_end in problems[0].frames():
        state = solver.advance_together(system, by_phase[place], state, keys, taken, count)
        taken += count
        keep(state, is_end)
        place += is_end
    return [history.result() for history in histories]


class _History:
    """The records of one replica."""

    def __init__(self, solver: Solver, problem: Problem, system: System, drives: list[Drive]):
        self.solver, self.problem, self.system, self.drives = solver, problem, system, drives
        self.mask = material.mask(problem)
        self.m, self.steps, self.energies, self.ends, self.notes = [], [], [], {}, []
        self.shifts: list[int] = []

    def moved(self, problem: Problem, system: System) -> System:
        """Go on with a problem whose window has moved; return its coefficients."""
        self.problem, self.system, self.mask = problem, system, material.mask(problem)
        return system

    def check(self, state: State, taken: int) -> None:
        """Raise if the state after ``taken`` steps is not sound."""
        since = np.asarray(state.since)
        numerics = self.problem.numerics
        if not np.isfinite(np.asarray(state.m)).all():
            fault = "is not finite"
        elif (since >= 0).any():
            fault = f"changes |m|^2 by more than {MAX_DRIFT:g} in one step"
        else:
            return
        step = since[since >= 0].min() if (since >= 0).any() else taken
        advice = f"reduce numerics.dt_s (now {numerics.dt_s:g} s)"
        if numerics.integrator == ADAPTIVE:
            advice = f"raise numerics.tolerance (now {numerics.tolerance:g}) or use float64"
        raise UserError(
            f"llg: replica {self.problem.stream[-1]} (stream {self.problem.stream}) {fault} at "
            f"{step * numerics.dt_s:.4g} s; {advice}"
        )

    def add(self, place: int, taken: int, m: np.ndarray, is_end: bool) -> None:
        """Keep the state after ``taken`` steps, in phase number ``place``."""
        if is_end:
            self.ends[self.problem.schedule[place].name] = len(self.m)
        self.m.append(m)
        self.steps.append(taken)
        self.shifts.append(self.problem.geometry.first_column)
        self.energies.append(self.solver.energies(self.system, self.drives[place], m, taken))

    def result(self) -> Result:
        return Result(
            t_s=np.asarray(self.steps) * self.problem.numerics.dt_s,
            m=np.stack(self.m),
            mask=self.mask,
            phase_end=self.ends,
            energies_J={name: np.array([e[name] for e in self.energies]) for name in self.energies[0]},
            notes=tuple(self.notes),
            shift_cells=np.array(self.shifts) if self.problem.window is not None else None,
        )
