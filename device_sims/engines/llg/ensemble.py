"""Many replicas of a problem.

On a GPU all replicas advance together (vmap). On a CPU each runs to its end alone, because its arrays then stay in
cache, where a batch would not fit: cores are used by running several processes (measured in `benchmarks/llg.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from device_sims import geometry
from device_sims.engines import Result
from device_sims.engines.llg.solver import Drive, Solver, System
from device_sims.problem import Phase, Problem
from spinloom import streams
from spinloom.errors import UserError


def run(problems: Sequence[Problem], batch: bool | None = None) -> Iterator[Result]:
    """Yield the trajectory of each problem, in order.

    Parameters
    ----------
    problems : sequence of Problem
        Must share mesh, numerics, temperature, constants and the lengths of phases; they may differ in geometry,
        regions, drive strengths, Ku factors, initial state and random stream.
    batch : bool, optional
        Advance all together; default: on a GPU only.

    Raises
    ------
    UserError
        If the problems cannot share a solver, or a trajectory stops being finite.
    """
    first = problems[0]
    for problem in problems:
        if _shape(problem) != _shape(first):
            raise UserError("the llg engine runs problems together only if mesh, numerics, material and timing agree")
    with jax.enable_x64(first.numerics.precision == "float64"):
        solver = Solver(first)
        if batch if batch is not None else jax.default_backend() == "gpu":
            yield from _together(solver, problems)
        else:
            for index, problem in enumerate(problems):
                yield _alone(solver, problem, index)


def _shape(problem: Problem):
    phases = tuple((phase.name, phase.duration_s) for phase in problem.schedule)
    return replace(problem, geometry=None, initial=None, stream=(), regions=(), schedule=phases)


def _frames(problem: Problem) -> Iterator[tuple[Phase, int, bool]]:
    """Yield ``(phase, number of steps, phase ends here)`` for each record."""
    every = problem.steps(problem.record_interval_s)
    for phase in problem.schedule:
        left = problem.steps(phase.duration_s)
        while left:
            count = min(every, left)
            left -= count
            yield phase, count, not left


def _alone(solver: Solver, problem: Problem, index: int) -> Result:
    system = solver.system(problem)
    key = streams.key(*problem.stream)
    state = solver.start(problem)
    drives = {phase.name: solver.drive(problem, phase) for phase in problem.schedule}
    records, times, ends, taken = [np.asarray(state.m)], [0], {}, 0
    for phase, count, is_end in _frames(problem):
        state = solver.advance(system, drives[phase.name], state, key, taken, count)
        taken += count
        records.append(np.asarray(state.m))
        times.append(taken)
        _check(records[-1], problem, index, taken)
        if is_end:
            ends[phase.name] = len(records) - 1
    return _result(solver, problem, system, drives, records, times, ends, state.m)


def _together(solver: Solver, problems: Sequence[Problem]) -> Iterator[Result]:
    def stack(trees):
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)

    advance = jax.jit(jax.vmap(solver._advance, in_axes=(0, 0, 0, 0, None, None)))
    systems: list[System] = [solver.system(p) for p in problems]
    drives: list[dict[str, Drive]] = [{f.name: solver.drive(p, f) for f in p.schedule} for p in problems]
    keys = jnp.stack([streams.key(*p.stream) for p in problems])
    system, state = stack(systems), stack([solver.start(p) for p in problems])
    by_phase = {f.name: stack([d[f.name] for d in drives]) for f in problems[0].schedule}
    records, times, ends, taken = [np.asarray(state.m)], [0], {}, 0
    for phase, count, is_end in _frames(problems[0]):
        state = advance(system, by_phase[phase.name], state, keys, taken, count)
        taken += count
        records.append(np.asarray(state.m))
        times.append(taken)
        for index, problem in enumerate(problems):
            _check(records[-1][index], problem, index, taken)
        if is_end:
            ends[phase.name] = len(records) - 1
    for index, problem in enumerate(problems):
        own = [record[index] for record in records]
        yield _result(solver, problem, systems[index], drives[index], own, times, ends, state.m[index])


def _check(m: np.ndarray, problem: Problem, index: int, taken: int) -> None:
    if not np.isfinite(m).all():
        raise UserError(
            f"llg: replica {index} of the chunk ({problem.stream}) is not finite at "
            f"{taken * problem.numerics.dt_s:.4g} s; reduce numerics.dt_s (now {problem.numerics.dt_s:g} s)"
        )


def _result(solver, problem, system, drives, records, times, ends, m) -> Result:
    return Result(
        t_s=np.asarray(times) * problem.numerics.dt_s,
        m=np.stack(records),
        mask=geometry.mask(problem.geometry, problem.mesh),
        phase_end=ends,
        energies_J=solver.energies(system, drives[problem.schedule[-1].name], m),
    )
