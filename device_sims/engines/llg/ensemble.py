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
from device_sims.engines.llg.integrators import largest_step
from device_sims.engines.llg.solver import Drive, Solver, State, System
from device_sims.problem import Phase, Problem
from spinloom import streams
from spinloom.errors import UserError

MAX_DRIFT = 0.3  # of abs(m)^2 in one step, before it is normalised


def probe() -> tuple[bool, str]:
    """Return whether the engine can run here, and on what."""
    return True, f"JAX {jax.__version__} on {jax.default_backend()}: {jax.devices()[0].device_kind}"


def run(problems: Sequence[Problem], batch: bool | None = None) -> Iterator[Result]:
    """Yield the trajectory of each problem, in order.

    Parameters
    ----------
    problems : sequence of Problem
        Must share mesh, numerics, temperature, constants, regions and the lengths of phases; they may differ in
        geometry, drives, initial state and random stream.
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
            raise UserError("the llg engine runs problems together only if mesh, numerics, material and timing agree")
    _check_numerics(first)
    with jax.enable_x64(first.numerics.precision == "float64"):
        solver = Solver(first)
        _check_step(solver, first)
        if batch if batch is not None else jax.default_backend() == "gpu":
            yield from _together(solver, problems)
        else:
            for index, problem in enumerate(problems):
                yield _alone(solver, problem, index)


def _shape(problem: Problem):
    phases = tuple(
        (phase.name, phase.duration_s, tuple(name for name, _ in phase.region_Ku_factors)) for phase in problem.schedule
    )
    return replace(problem, geometry=None, initial=None, stream=(), schedule=phases)


def _check_numerics(problem: Problem) -> None:
    numerics = problem.numerics
    if numerics.integrator != "dopri5":
        return
    if problem.temperature_K:
        raise UserError(
            f"numerics.integrator: found dopri5 at {problem.temperature_K:g} K, allowed with a temperature: heun, rk4 "
            "(adaptive steps have no place in white noise)"
        )
    if numerics.demag_interval_steps:
        raise UserError(
            f"numerics.demag_interval_steps: found {numerics.demag_interval_steps}, allowed with dopri5: 0, because "
            "its steps have no fixed length"
        )


def _check_step(solver: Solver, problem: Problem) -> None:
    """Refuse a step with which the fastest spin wave of the mesh grows, or takes a wrong temperature."""
    integrator = problem.numerics.integrator
    if integrator == "dopri5":
        return
    system, alpha = solver.system(problem), problem.material.alpha
    # the exchange field of the wave that alternates from cell to cell is twice the sum over a cell's bonds
    field = 2 * float(system.exchange.total.max()) + float(jnp.max(system.anisotropy.ku)) + 1
    rate = solver.unit_time * field / (1 + alpha**2)
    limit = largest_step(integrator, alpha, problem.temperature_K > 0) / rate
    if problem.numerics.dt_s > limit:
        what = "whose temperature would be wrong" if problem.temperature_K else "which would grow"
        raise UserError(
            f"numerics.dt_s: found {problem.numerics.dt_s:g}, allowed: at most {limit:.2g} s with {integrator} and "
            f"alpha {alpha:g} on these cells, for their fastest spin wave ({rate:.2g} rad/s), {what}"
        )


def _frames(problem: Problem) -> Iterator[tuple[Phase, int, bool]]:
    """Yield ``(phase, number of steps, phase ends here)`` for each record."""
    every = problem.steps(problem.record_interval_s, "record_interval_s")
    for phase in problem.schedule:
        left = problem.steps(phase.duration_s, f"the duration of phase {phase.name}")
        while left:
            count = min(every, left)
            left -= count
            yield phase, count, not left


def _drives(solver: Solver, problem: Problem) -> list[Drive]:
    """Return the drive of each phase, in order."""
    drives, begin = [], 0
    for phase in problem.schedule:
        drives.append(solver.drive(problem, phase, begin))
        begin += problem.steps(phase.duration_s)
    return drives


def _alone(solver: Solver, problem: Problem, index: int) -> Result:
    system, state, drives = solver.system(problem), solver.start(problem), _drives(solver, problem)
    key = streams.key(*problem.stream)
    history = _History(solver, problem, index, system, drives)
    history.add(0, 0, np.asarray(state.m), False)
    place, taken = 0, 0
    for _, count, is_end in _frames(problem):
        state = solver.advance(system, drives[place], state, key, taken, count)
        taken += count
        history.check(state.m, state.square, taken)
        history.add(place, taken, np.asarray(state.m), is_end)
        place += is_end
    return history.result()


def _together(solver: Solver, problems: Sequence[Problem]) -> Iterator[Result]:
    def stack(trees):
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)

    advance = jax.jit(jax.vmap(solver._advance, in_axes=(0, 0, 0, 0, None, None)))
    systems: list[System] = [solver.system(p) for p in problems]
    drives = [_drives(solver, p) for p in problems]
    histories = [_History(solver, p, i, systems[i], drives[i]) for i, p in enumerate(problems)]
    keys = jnp.stack([streams.key(*p.stream) for p in problems])
    system, state = stack(systems), stack([solver.start(p) for p in problems])
    by_phase = [stack(of_phase) for of_phase in zip(*drives)]
    place, taken = 0, 0

    def keep(state: State, is_end: bool):
        m, square = np.asarray(state.m), np.asarray(state.square)
        for index, history in enumerate(histories):
            if taken:
                history.check(m[index], square[index], taken)
            history.add(place, taken, m[index], is_end)

    keep(state, False)
    for _, count, is_end in _frames(problems[0]):
        state = advance(system, by_phase[place], state, keys, taken, count)
        taken += count
        keep(state, is_end)
        place += is_end
    for history in histories:
        yield history.result()


class _History:
    """The records of one replica."""

    def __init__(self, solver: Solver, problem: Problem, index: int, system: System, drives: list[Drive]):
        self.solver, self.problem, self.index, self.system, self.drives = solver, problem, index, system, drives
        self.m, self.steps, self.energies, self.ends = [], [], [], {}

    def check(self, m, square, taken: int) -> None:
        """Raise if the state after ``taken`` steps is not sound."""
        m, square = np.asarray(m), np.asarray(square)
        inside = square > 0
        drift = float(np.abs(square[inside] - 1).max()) if inside.any() else np.inf
        if not np.isfinite(m).all():
            fault = "is not finite"
        elif drift > MAX_DRIFT:
            fault = f"changes |m|^2 by {drift:.2g} in one step (allowed: {MAX_DRIFT:g})"
        else:
            return
        advice = "tolerance" if self.problem.numerics.integrator == "dopri5" else "dt_s"
        raise UserError(
            f"llg: replica {self.index} of the batch (stream {self.problem.stream}) {fault} at "
            f"{taken * self.problem.numerics.dt_s:.4g} s; reduce numerics.{advice} "
            f"(now {getattr(self.problem.numerics, advice):g})"
        )

    def add(self, place: int, taken: int, m: np.ndarray, is_end: bool) -> None:
        """Keep the state after ``taken`` steps, in phase number ``place``."""
        if is_end:
            self.ends[self.problem.schedule[place].name] = len(self.m)
        self.m.append(m)
        self.steps.append(taken)
        self.energies.append(self.solver.energies(self.system, self.drives[place], m, taken))

    def result(self) -> Result:
        return Result(
            t_s=np.asarray(self.steps) * self.problem.numerics.dt_s,
            m=np.stack(self.m),
            mask=geometry.mask(self.problem.geometry, self.problem.mesh),
            phase_end=self.ends,
            energies_J={name: np.array([e[name] for e in self.energies]) for name in self.energies[0]},
        )
