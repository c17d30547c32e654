"""One moment for the whole body: the limit in which exchange is stiffer than everything else.

The equation is that of the `llg` engine,

    dm/dt = -gamma0/(1 + alpha^2) [ m x H + alpha m x (m x H) ],

with a stray field ``-N Ms m`` whose tensor N is the mean of the cells' own, so that its energy is exactly that of the
same cells magnetised uniformly, and a thermal field (Brown, Phys. Rev. 130, 1677 (1963)) of the body's volume V:
``sd = sqrt(2 alpha kB T/(gamma0 mu0 Ms V dt))`` in each component, held for a step. Heun's scheme with the step's noise
fixed converges to the Stratonovich solution.

Replicas are the lanes of one program of fixed width: a replica's path depends on its own problem and stream, and not on
how many run beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from itertools import groupby
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from device_sims.engines import Result, refuse_terms
from device_sims.engines.macrospin import pair
from device_sims.engines.macrospin.noise import BLOCK, normals
from device_sims.engines.macrospin.physics import Spin, Spins, step
from device_sims.problem import (
    BOLTZMANN,
    ELEMENTARY_CHARGE,
    GAMMA0,
    HBAR,
    MU0,
    Phase,
    Problem,
    demands,
    waveform,
    waveforms,
)
from device_sims.problem.magnetostatics.body import demag_tensor, volume_m3
from spinloom import streams
from spinloom.errors import UserError

LANES = 256  # a lane costs the same from here to 1024; fewer pay for the loop
MAX_ANGLE_PER_STEP = 0.3  # rad; Heun's error per turn is then below 3 %, and falls with the square


def run(problems: Sequence[Problem]) -> Iterator[Result]:
    """Yield the trajectory of each problem, in order; ``m`` is ``[n, 3, 1, 1, 1]``, with a partner ``[n, 3, 2, 1, 1]``.

    Parameters
    ----------
    problems : sequence of Problem
        Must share the timing (phases, dt, record interval) and precision; they may differ in all else.

    Raises
    ------
    UserError
        If one moment cannot stand for a problem, the step is too long for it, or timings differ.
    """
    timings = [_timing(problem) for problem in problems]
    for timing in timings:
        if timing != timings[0]:
            raise UserError(
                "macrospin: found problems of different timing or precision in one chunk, allowed: the same in all"
            )
    # what is compiled depends on the lane alone, and so do its results
    for (thermal, steady, *_), group in groupby(problems, _kind):
        members = list(group)
        for first in range(0, len(members), LANES):
            with jax.enable_x64(problems[0].numerics.precision == "float64"):
                results = _together(members[first : first + LANES], thermal, steady)
            yield from results


def _kind(problem: Problem) -> tuple[bool, bool, bool, str]:
    """Return what decides the program of a lane: thermal or not, steady, with a partner, the form of its heating."""
    lane = _lane(replace(problem, stream=()))
    heating = str(jax.tree.map(np.shape, lane.heat))
    return problem.temperature_K > 0, lane.steady, lane.mutual is not None, heating


def _timing(problem: Problem):
    numerics = problem.numerics
    phases = tuple((phase.name, phase.duration_s) for phase in problem.schedule)
    return phases, numerics.dt_s, problem.record_interval_s, numerics.precision


def _check(problem: Problem) -> None:
    demands.refuse(problem, "the macrospin engine", (demands.HEAT, demands.PARTNER))
    material, initial = problem.material, problem.initial
    driven = any(phase.region_Ku_factors for phase in problem.schedule)
    velocities = [waveform(phase.zhang_li_u_m_per_s) for phase in problem.schedule]
    refused = (
        ("material.D_J_per_m2", material.D_J_per_m2, 0.0, "DMI acts on gradients"),
        ("geometry.beyond_mx", problem.geometry.beyond_mx, None, "its body has no ends"),
        ("geometry.edge_smoothing", problem.geometry.edge_smoothing, 0, "its cells are whole"),
        ("maps", tuple(m.constant for m in problem.maps), (), "constants are uniform"),
        ("grains", problem.grains, None, "constants are uniform"),
        ("regions", tuple(r.name for r in problem.regions if r.changes or driven), (), "constants are uniform"),
        ("initial.kind", initial.kind, "uniform", "there is one moment"),
        ("initial.inside", initial.inside, (), "there is one moment"),
        ("initial.relax_tolerance", initial.relax_tolerance, None, "give it a phase at rest"),
        ("numerics.integrator", problem.numerics.integrator, "heun", "its only scheme"),
    )
    for key, found, allowed, reason in refused:
        if found != allowed:
            raise UserError(f"{key}: found {found!r}, allowed with the macrospin engine: {allowed!r} ({reason})")
    refuse_terms(problem, "macrospin")
    if any(w.start or w.stop or w.amplitude for w in velocities):
        raise UserError(
            "zhang_li_u_m_per_s: found a velocity, allowed with the macrospin engine: 0 (this torque acts only on "
            "gradients)"
        )
    if not any(initial.direction):
        raise UserError("initial.direction: found a zero vector, allowed: vectors of any other length")
    angle = _largest_angle(problem)
    if problem.partner is not None:
        own = pair.mutual(problem)
        angle = max(angle + own.on_free, _largest_angle(pair.second(problem)) + own.on_partner)
    if angle > MAX_ANGLE_PER_STEP:
        limit = problem.numerics.dt_s * MAX_ANGLE_PER_STEP / angle
        raise UserError(
            f"numerics.dt_s: found {problem.numerics.dt_s:g}, allowed: at most {limit:.2g} s with the macrospin "
            f"engine, where the moment turns by up to {MAX_ANGLE_PER_STEP:g} rad a step"
        )


def _largest_angle(problem: Problem) -> float:
    """Return a bound on the angle per step, without noise."""
    spin, unit = _spin(problem), _units(problem)
    angle = 0.0
    for phase in problem.schedule:
        start, slope, amplitude = _waves(problem, phase)[:3]
        stop = start + slope * problem.steps(phase.duration_s)
        size = unit * (np.maximum(np.abs(start), np.abs(stop)) + np.abs(amplitude))
        torque = size[1] * max(1.0, spin.square) * (1 + abs(spin.ratio))
        extremes = (min(start[0], stop[0]) - abs(amplitude[0]), max(start[0], stop[0]) + abs(amplitude[0]))
        # the part of a field along m turns nothing: what counts is how anisotropic the energy is
        spread = max(
            np.ptp(np.linalg.eigvalsh(spin.demag - spin.ku * f * np.outer(spin.axis, spin.axis))) for f in extremes
        )
        angle = max(angle, spread + abs(spin.ku2) + torque + np.linalg.norm(size[2:]))
    return angle


# -- preparation -------------------------------------------------------------------------------------------------
class _Lane(NamedTuple):
    """A checked problem in numbers; replicas share it."""

    spin: Spin
    units: np.ndarray
    waves: np.ndarray  # [phases, 5 parameters, 5 drives]
    steady: bool
    partner: Spin | None
    mutual: pair.Mutual | None
    heat: list[dict] | None  # of each phase the factor on the temperature, for `waveforms.evaluate` with times in steps


@lru_cache(maxsize=256)
def _lane(problem: Problem) -> _Lane:
    _check(problem)
    waves, heat = np.stack([_waves(problem, phase) for phase in problem.schedule]), None
    if problem.temperature_K and any(phase.temperature_factor != 1.0 for phase in problem.schedule):
        dt = problem.numerics.dt_s
        heat = [waveforms.packed(phase.temperature_factor, phase.duration_s, dt) for phase in problem.schedule]
    partner = None if problem.partner is None else _spin(pair.second(problem))
    mutual = None if problem.partner is None else pair.mutual(problem)
    return _Lane(_spin(problem), _units(problem), waves, not waves[:, 1:3].any(), partner, mutual, heat)


def _spin(problem: Problem) -> Spin:
    """Return what a problem's lane keeps."""
    material, numerics = problem.material, problem.numerics
    unit = GAMMA0 * numerics.dt_s
    per_ku = unit / (MU0 * material.Ms_A_per_m)
    moment = material.Ms_A_per_m * volume_m3(problem.geometry, problem.mesh)
    variance = 2 * material.alpha * BOLTZMANN * problem.temperature_K / (GAMMA0 * MU0 * moment * numerics.dt_s)
    demag = demag_tensor(problem.geometry, problem.mesh) if numerics.demag else np.zeros((3, 3))
    return Spin(
        demag=unit * material.Ms_A_per_m * demag,
        ku=2 * per_ku * material.Ku_J_per_m3,
        ku2=4 * per_ku * material.Ku2_J_per_m3,
        axis=np.array(material.axis),
        p=np.array(material.polarisation),
        ratio=material.field_like_ratio,
        square=material.slonczewski_lambda**2,
        alpha=material.alpha,
        noise=unit * math.sqrt(variance),
    )


def _units(problem: Problem) -> np.ndarray:
    """Return what turns the drives of `_waves` into factors on Ku and radians per step, ``float64[5]``."""
    material, unit = problem.material, GAMMA0 * problem.numerics.dt_s
    torque = HBAR * material.spin_hall_angle / (2 * ELEMENTARY_CHARGE * MU0 * material.Ms_A_per_m)
    torque /= problem.mesh.size_m[2]
    return np.array([1.0, unit * torque, *[unit / MU0] * 3])


def _waves(problem: Problem, phase: Phase) -> np.ndarray:
    """Return a phase's drives (factor on Ku, current density, three fields), ``float64[5 parameters, 5 drives]``.

    The parameters are those of `Waveform` with time in steps and angles in turns: start, slope, amplitude, turns per
    step, phase.
    """
    dt, steps = problem.numerics.dt_s, problem.steps(phase.duration_s, f"the duration of phase {phase.name}")
    drives = [waveform(d) for d in (phase.Ku_factor, phase.current_density_A_per_m2, *phase.field_T)]
    return np.array(
        [
            [w.start, (w.stop - w.start) / steps, w.amplitude, w.frequency_Hz * dt, w.phase_rad / (2 * math.pi)]
            for w in drives
        ]
    ).T


def _values(waves, step, sine):
    start, slope, amplitude, turns, phase = waves
    angle = turns * step + phase
    return start + slope * step + amplitude * sine(2 * math.pi * (angle - angle.round()))


@partial(jax.jit, static_argnames=("thermal", "steady"))
def _advance(spin: Any, waves, heat, keys, m, begin, first, count, thermal: bool, steady: bool):
    """Take ``count`` steps from number ``first`` on, in the phase that began with step ``begin``.

    ``spin`` is a `Spins` or a `pair.Pair`; ``heat`` is None, or the lanes' factors on the temperature with an axis of
    lanes first.
    """
    one_step: Callable = pair.step if isinstance(spin, pair.Pair) else step

    def at(step):
        return waves[0] if steady else _values(waves, (step - begin).astype(waves.dtype), jnp.sin)

    if not thermal:
        return jax.lax.fori_loop(first, first + count, lambda i, m: one_step(spin, at, m, jnp.zeros_like(m), i), m)

    def heated(noise, step):
        if heat is None:
            return noise
        # the noise of a step is that of the temperature in its middle
        middle = (step - begin).astype(noise.dtype) + 0.5
        factor = jax.vmap(lambda tree: waveforms.evaluate(tree, middle, jnp))(heat)
        return noise * jnp.sqrt(jnp.maximum(factor, 0))

    def block(index, m):
        noise = normals(keys, index, m.dtype)
        if isinstance(spin, pair.Pair):
            noise = jnp.concatenate([noise, normals(keys, index, m.dtype, moment=1)], 1)
        start, stop = jnp.maximum(first, index * BLOCK), jnp.minimum(first + count, (index + 1) * BLOCK)
        return jax.lax.fori_loop(
            start, stop, lambda i, m: one_step(spin, at, m, heated(noise[i - index * BLOCK], i), i), m
        )

    return jax.lax.fori_loop(first // BLOCK, (first + count - 1) // BLOCK + 1, block, m)


def _together(problems: list[Problem], thermal: bool, steady: bool) -> list[Result]:
    """Return the results of up to `LANES` problems."""
    number, first = len(problems), problems[0]
    padded = problems + problems[-1:] * (LANES - number)
    lanes = [_lane(replace(p, stream=())) for p in padded]
    dtype = jnp.dtype(first.numerics.precision)

    def stacked(arrays):
        return jnp.asarray(np.stack(arrays, -1), dtype)

    def heats(*parts):
        return jnp.asarray(np.stack(parts), dtype)

    def columns(parts):
        return (stacked(column) for column in zip(*parts))

    spin = Spins(*columns(lane.spin for lane in lanes))
    if lanes[0].mutual is not None:
        partner = Spins(*columns(lane.partner for lane in lanes if lane.partner is not None))
        spin = pair.Pair(spin, partner, pair.Mutual(*columns(lane.mutual for lane in lanes if lane.mutual is not None)))
    keys = jnp.asarray(np.stack([streams.digest(*p.stream) for p in padded], -1))
    m = stacked([pair.start(p) for p in padded])
    every = first.steps(first.record_interval_s, "record_interval_s")
    units = np.stack([lane.units for lane in lanes], -1)
    records, steps, values, ends, taken = [np.asarray(m)], [0], [], {}, 0
    for place, phase in enumerate(first.schedule):
        waves = np.stack([lane.waves[place] for lane in lanes], -1)
        on_device = waves.copy()
        on_device[:3] *= units
        on_device, begin, left = jnp.asarray(on_device, dtype), taken, first.steps(phase.duration_s)
        trees = [lane.heat[place] for lane in lanes if lane.heat is not None]
        heat = jax.tree.map(heats, *trees) if trees else None
        if not values:
            values.append(_values(waves, 0.0, np.sin))
        while left:
            count = min(every, left)
            m = _advance(spin, on_device, heat, keys, m, begin, taken, count, thermal, steady)
            taken, left = taken + count, left - count
            records.append(np.asarray(m))
            steps.append(taken)
            values.append(_values(waves, float(taken - begin), np.sin))
        ends[phase.name] = len(records) - 1
    m = np.stack(records)[..., :number]
    if not np.isfinite(m).all():
        lane = int(np.argmin(np.isfinite(m).all((0, 1))))
        raise UserError(
            f"macrospin: found values that are not finite in stream {problems[lane].stream}; reduce numerics.dt_s"
        )
    times, values = np.array(steps) * first.numerics.dt_s, np.stack(values)
    return [
        Result(
            t_s=times,
            m=m[:, :, lane].reshape(len(m), -1, 3).transpose(0, 2, 1)[..., None, None],
            mask=np.ones((m.shape[1] // 3, 1, 1), bool),
            phase_end=dict(ends),
            energies_J=_energies(problem, m[:, :, lane].astype(np.float64), values[:, :, lane]),
        )
        for lane, problem in enumerate(problems)
    ]


def _energies(problem: Problem, m: np.ndarray, values: np.ndarray) -> dict[str, np.ndarray]:
    """Return the energy of each term at each record; ``m`` is ``[n, 3]`` or ``[n, 6]``, ``values`` ``[n, 5]``."""
    if problem.partner is not None:
        constant = np.concatenate([np.ones((len(values), 1)), values[:, 1:]], 1)
        parts = _energies(replace(problem, partner=None), m[:, :3], values)
        others = [_energies(pair.second(problem), m[:, 3:], constant), pair.energies(problem, m)]
        return {name: sum((other[name] for other in others if name in other), start=parts[name]) for name in parts}
    material, volume = problem.material, volume_m3(problem.geometry, problem.mesh)
    s = 1 - (m @ np.array(material.axis)) ** 2
    demag = demag_tensor(problem.geometry, problem.mesh) if problem.numerics.demag else np.zeros((3, 3))
    energies = {
        "exchange": np.zeros(len(m)),
        "dmi": np.zeros(len(m)),
        "anisotropy": volume * (values[:, 0] * material.Ku_J_per_m3 * s + material.Ku2_J_per_m3 * s * s),
        "demag": MU0 / 2 * material.Ms_A_per_m**2 * volume * np.einsum("ni,ij,nj->n", m, demag, m),
        "zeeman": -material.Ms_A_per_m * volume * (m * values[:, 2:]).sum(1),
    }
    return {**energies, "total": sum(energies.values(), start=np.zeros(len(m)))}
