"""Engine ``collective``: one domain wall in a perpendicular track as two coordinates, position q and angle phi.

The wall ``m = (sech u cos phi, sech u sin phi, -s tanh u)``, ``u = (x - q) / Delta``, ``s = +1`` with the up domain on
the left, put into the Landau-Lifshitz-Gilbert equation and projected on its two modes (Slonczewski, Int. J. Magn. 2, 85
(1972); Thiaville et al., EPL 69, 990 (2005); Boulle et al., J. Appl. Phys. 112, 053901 (2012) for the DMI):

    alpha s q'/Delta + phi' = -gamma0 s (dE/dq) / (2 mu0 Ms S) + gamma0 (pi/2) a (py cos phi - px sin phi)
                              + beta s u / Delta + gamma0 h_q
    s q'/Delta - alpha phi' = gamma0 (dE/dphi) / (2 Delta mu0 Ms S) + gamma0 a pz + s u / Delta + gamma0 h_phi

with the energy

    E(q, phi) = S(q) sigma(q, phi) + E_end(q) - 2 s mu0 Ms Hz (volume to the left of q)
    sigma     = 4 sqrt(A K) + sum_i S_i n_i^2 + pi s D cos phi
    K(q, phi) = f(t) Ku(q) + k_z + k_x cos^2 phi + k_y sin^2 phi - (pi/2) mu0 Ms (Hx cos phi + Hy sin phi)

The wall's width ``Delta = sqrt(A / K)`` follows phi, q and the drives without delay; S(q) and Ku(q) are the track's
cross-section and anisotropy averaged over the wall; S_i, k_i and E_end are its magnetostatics (`collective_tables`).
Field-like torque acts as a field.

Thermal noise. Brown's field, projected like any other, gives independent white h_q and h_phi, each of intensity
``alpha kT / (gamma0 mu0 Ms Delta S)``: Brown's for the volume 2 Delta S. Read in Stratonovich's sense it needs the
further drift ``(1/2) div D``, because the mobility goes with ``g = Delta S``:

    q'   += kT gamma0 alpha / (4 mu0 Ms (1 + alpha^2)) (1 / S^2) d(Delta S)/dq
    phi' += kT gamma0 alpha / (4 mu0 Ms (1 + alpha^2)) (1 / S) d(1/Delta)/dphi

and then ``exp(-E / kT) S dq dphi`` is stationary: Boltzmann's law in canonical coordinates.

What the model leaves out: tilted and curved walls, Bloch lines, domains that a field in the plane or a torque tilts,
nucleation, spin waves (at 300 K they soften Ms, Ku and A), stray fields of notches.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from device_sims import geometry, material
from device_sims.engines import Result
from device_sims.engines import collective_tables as tables
from device_sims.problem import (
    BOLTZMANN,
    ELEMENTARY_CHARGE,
    GAMMA0,
    HBAR,
    MU0,
    Drive,
    Phase,
    Problem,
    waveform,
)
from spinloom import streams
from spinloom.errors import UserError

LANES = 64  # replicas that advance together; always as many, so that no result depends on how many there are
BLOCK = 64  # steps whose noise is drawn at once
ON_TRACK, AT_START, AT_END = 0.0, -1.0, 1.0  # where the wall is: on the track, or gone through x = 0 or x = length


class Lane(NamedTuple):
    """Numbers of one replica in one phase; with a leading axis of lanes once stacked."""

    tables: np.ndarray  # [points, 7] of `collective_tables.Track`
    drives: np.ndarray  # [6, 5]: Ku factor, torque field a, applied field H (3), u; each a waveform's five numbers
    S: np.ndarray  # [3] J/m2
    k: np.ndarray  # [3] J/m3


class Constants(NamedTuple):
    """What the replicas of a chunk share."""

    s: float
    alpha: float
    A: float
    D: float
    M: float  # mu0 Ms, T
    field_like: float
    p: tuple[float, float, float]
    beta: float
    kT: float
    spacing: float  # of the tables, m
    length: float
    one_domain: float  # stray-field energy, J


class State(NamedTuple):
    """Wall position, m; angle, rad; where the wall is."""

    q: jax.Array
    phi: jax.Array
    gone: jax.Array


def probe() -> tuple[bool, str]:
    """Return that this engine can be used: it needs nothing beyond the package."""
    return True, f"jax {jax.__version__} on {jax.default_backend()}"


def run(problems: Sequence[Problem]) -> Iterator[Result]:
    """Yield the trajectory of each problem, in order; always in float64.

    Parameters
    ----------
    problems : sequence of Problem
        Must share mesh, material, temperature, time step, record interval and the lengths of phases.

    Raises
    ------
    UserError
        If a problem is no single wall in a perpendicular track, or the problems cannot run together.
    """
    first = _timing(problems[0])
    for problem in problems:
        if _timing(problem) != first:
            raise UserError("collective: found problems of different mesh, material or timing in a chunk, allowed: one")
    with jax.enable_x64(True):
        for start in range(0, len(problems), LANES):
            yield from _together(problems[start : start + LANES])


def _timing(problem: Problem):
    phases = tuple((phase.name, phase.duration_s) for phase in problem.schedule)
    return (
        problem.mesh,
        problem.material,
        problem.temperature_K,
        problem.numerics.dt_s,
        problem.record_interval_s,
        problem.initial.up_left,
        phases,
    )


# -- preparation -----------------------------------------------------------------------------------------------------
class Prepared(NamedTuple):
    """A problem's track and its lane in each phase."""

    mask: np.ndarray
    lanes: dict[str, Lane]


def _refuse(key: str, found, allowed: str) -> None:
    raise UserError(f"collective: {key}: found {found}, allowed: {allowed}")


def prepare(problem: Problem) -> Prepared:
    """Return a problem's tables; problems that differ in their stream alone share them.

    Raises
    ------
    UserError
        Naming the first thing that the model cannot represent.
    """
    return _prepare(replace(problem, stream=()))


@lru_cache(maxsize=1024)
def _prepare(problem: Problem) -> Prepared:
    m, initial, mesh = problem.material, problem.initial, problem.mesh
    if problem.geometry.kind not in ("box", "strip"):
        _refuse("geometry.kind", f"'{problem.geometry.kind}'", "box, strip")
    if tuple(m.axis) != (0.0, 0.0, 1.0) or m.Ku2_J_per_m3:
        _refuse("material", f"axis {m.axis}, Ku2 {m.Ku2_J_per_m3:g}", "axis (0, 0, 1), Ku2 0")
    if m.slonczewski_lambda != 1:
        _refuse("material.slonczewski_lambda", f"{m.slonczewski_lambda:g}", "1")
    if initial.kind != "wall" or initial.tilt_rad or initial.relax_tolerance is not None:
        _refuse(
            "initial",
            f"kind '{initial.kind}', tilt {initial.tilt_rad:g}, relax {initial.relax_tolerance}",
            "an upright wall, not relaxed",
        )
    if not 0 < initial.position_m < mesh.size_m[0]:
        _refuse("initial.position_m", f"{initial.position_m:g}", f"between 0 and {mesh.size_m[0]:g}")
    mask = geometry.mask(problem.geometry, mesh)
    constants = material.constants(problem, mask)
    for name, value in constants.items():
        if name != "Ku_J_per_m3" and not np.isscalar(value):
            _refuse(name, "a value that differs from cell to cell", "the same everywhere (only Ku may differ)")
    return Prepared(mask, _lanes(problem, mask, constants["Ku_J_per_m3"]))


def _row(problem: Problem) -> tuple[int, tuple[float, float, float]]:
    """Return the number and the edges of the slices that stand for the track in magnetostatics."""
    mesh, shape = problem.mesh, problem.geometry
    width = shape.width_m if shape.kind == "strip" else mesh.size_m[1]
    return mesh.nx * tables.SLICES_PER_CELL, (mesh.cell_m[0] / tables.SLICES_PER_CELL, width, mesh.size_m[2])


def _lanes(problem: Problem, mask: np.ndarray, Ku: float | np.ndarray) -> dict[str, Lane]:
    m, (dx, dy, dz), demag = problem.material, problem.mesh.cell_m, problem.numerics.demag
    columns, row = mask.sum((0, 1)), _row(problem)
    torque = HBAR * m.spin_hall_angle / (2 * ELEMENTARY_CHARGE * MU0 * m.Ms_A_per_m * problem.mesh.size_m[2])
    ends = tables.domain_energy(*row, m.Ms_A_per_m)[1] * demag
    lanes = {}
    for phase in problem.schedule:
        column_Ku = (Ku * _region_factor(problem, phase) * mask).sum((0, 1)) / columns
        factor = waveform(phase.Ku_factor)
        middle = float(np.average(column_Ku, weights=columns)) * (factor.start + factor.stop) / 2
        # twelve digits, so that rounding does not make two devices of one
        wall = tables.magnetostatics(*row, m.Ms_A_per_m * demag, m.A_J_per_m, float(f"{middle:.12g}"))
        drives = np.array(
            [
                _numbers(phase.Ku_factor),
                _numbers(phase.current_density_A_per_m2, torque),
                *(_numbers(component, 1 / MU0) for component in phase.field_T),
                _numbers(phase.zhang_li_u_m_per_s),
            ]
        )
        # the least that K can be at any angle, place and time
        peak = np.abs(drives[:, :2]).max(1) + np.abs(drives[:, 2])
        in_plane = math.hypot(*peak[2:4]) + abs(m.field_like_ratio) * math.hypot(*m.polarisation[:2]) * peak[1]
        least_Ku = column_Ku.min() * (min(factor.start, factor.stop) - abs(factor.amplitude))
        least = -1.0 if wall is None else least_Ku + wall.k[2] + min(wall.k[:2])
        if least - math.pi / 2 * MU0 * m.Ms_A_per_m * in_plane <= 0:
            _refuse(
                f"phase '{phase.name}'",
                f"Ku down to {least_Ku:.4g} J/m3 under {MU0 * in_plane:.3g} T in the plane",
                "more anisotropy than the stray field and the field in the plane take away",
            )
        track = tables.track(columns * dy * dz, column_Ku, dx, wall.width_m, ends)
        lanes[phase.name] = Lane(np.stack(track, axis=1), drives, np.array(wall.S), np.array(wall.k))
    return lanes


def _numbers(drive: Drive, unit: float = 1.0) -> tuple[float, ...]:
    w = waveform(drive)
    return w.start * unit, w.stop * unit, w.amplitude * unit, w.frequency_Hz, w.phase_rad


def _region_factor(problem: Problem, phase: Phase) -> np.ndarray:
    factor = np.ones(problem.mesh.shape)
    for name, drive in phase.region_Ku_factors:
        w = waveform(drive)
        if w.start != w.stop or w.amplitude:
            _refuse(f"phase '{phase.name}', region '{name}'", "a waveform", "a number")
        inside = [material.region_mask(problem.mesh, region) for region in problem.regions if region.name == name]
        if not inside:
            _refuse(f"phase '{phase.name}'", f"region '{name}'", ", ".join(r.name for r in problem.regions) or "none")
        for here in inside:
            factor[here] *= w.start
    return factor


def _constants(problem: Problem) -> Constants:
    m = problem.material
    return Constants(
        s=1.0 if problem.initial.up_left else -1.0,
        alpha=m.alpha,
        A=m.A_J_per_m,
        D=m.D_J_per_m2,
        M=MU0 * m.Ms_A_per_m,
        field_like=m.field_like_ratio,
        p=tuple(m.polarisation),
        beta=m.zhang_li_beta,
        kT=BOLTZMANN * problem.temperature_K,
        spacing=problem.mesh.cell_m[0] / tables.POINTS_PER_CELL,
        length=problem.mesh.size_m[0],
        one_domain=tables.domain_energy(*_row(problem), m.Ms_A_per_m)[0] * problem.numerics.demag,
    )


# -- physics ---------------------------------------------------------------------------------------------------------
class Wall(NamedTuple):
    """A wall at one place and time; K and sigma as in the module's text."""

    track: jax.Array  # [7], the tables at q
    factor: jax.Array
    a: jax.Array
    H: jax.Array  # [3], field-like torque included
    u: jax.Array
    K: jax.Array
    K_phi: jax.Array  # dK/dphi
    width: jax.Array
    sigma: jax.Array


def _wall(c: Constants, lane: Lane, q, phi, t, duration) -> Wall:
    place = q / c.spacing
    index = jnp.clip(place.astype(int), 0, lane.tables.shape[0] - 2)
    below, above = lane.tables[index], lane.tables[index + 1]
    track = below + jnp.clip(place - index, 0, 1) * (above - below)
    start, stop, amplitude, frequency, offset = lane.drives.T
    drives = start + (stop - start) * t / duration + amplitude * jnp.sin(2 * math.pi * frequency * t + offset)
    factor, a, H, u = drives[0], drives[1], drives[2:5], drives[5]
    H = H + c.field_like * a * jnp.stack(c.p)
    cos, sin = jnp.cos(phi), jnp.sin(phi)
    half = math.pi / 2 * c.M
    K = factor * track[2] + lane.k[2] + lane.k[0] * cos**2 + lane.k[1] * sin**2 - half * (H[0] * cos + H[1] * sin)
    K_phi = 2 * (lane.k[1] - lane.k[0]) * sin * cos + half * (H[0] * sin - H[1] * cos)
    sigma = 4 * jnp.sqrt(c.A * K) + lane.S[2] + lane.S[0] * cos**2 + lane.S[1] * sin**2 + math.pi * c.s * c.D * cos
    return Wall(track, factor, a, H, u, K, K_phi, jnp.sqrt(c.A / K), sigma)


def _rates(c: Constants, lane: Lane, q, phi, t, duration, noise):
    """Return q' and phi'; ``noise`` are two normals over the root of the time step."""
    w = _wall(c, lane, q, phi, t, duration)
    area, area_slope, _, Ku_slope, _, end_force, _ = w.track
    cos, sin = jnp.cos(phi), jnp.sin(phi)
    K_q = w.factor * Ku_slope
    E_q = area_slope * w.sigma + area * 2 * w.width * K_q - end_force - 2 * c.s * c.M * w.H[2] * area
    sigma_phi = 2 * w.width * w.K_phi + 2 * (lane.S[1] - lane.S[0]) * sin * cos - math.pi * c.s * c.D * sin
    h = jnp.sqrt(c.alpha * c.kT / (GAMMA0 * c.M * w.width * area)) * noise
    along = (
        GAMMA0 * (-c.s * E_q / (2 * c.M * area) + math.pi / 2 * w.a * (c.p[1] * cos - c.p[0] * sin) + h[0])
        + c.beta * c.s * w.u / w.width
    )
    about = GAMMA0 * (sigma_phi / (2 * w.width * c.M) + w.a * c.p[2] + h[1]) + c.s * w.u / w.width
    drift = c.kT * GAMMA0 * c.alpha / (4 * c.M * (1 + c.alpha**2) * area)
    spread = w.width * (area_slope / area - K_q / (2 * w.K))  # (1/S) d(Delta S)/dq
    bend = w.width * w.K_phi / (2 * c.A)  # d(1/Delta)/dphi
    return (
        c.s * w.width * (c.alpha * along + about) / (1 + c.alpha**2) + drift * spread,
        (along - c.alpha * about) / (1 + c.alpha**2) + drift * bend,
    )


def _step(c: Constants, lane: Lane, state: State, t, dt, duration, noise) -> State:
    """Heun's step, with the noise held: it converges to the Stratonovich solution."""
    q, phi, gone = state
    q1, phi1 = _rates(c, lane, q, phi, t, duration, noise)
    q2, phi2 = _rates(c, lane, q + dt * q1, phi + dt * phi1, t + dt, duration, noise)
    new_q, new_phi = q + dt / 2 * (q1 + q2), phi + dt / 2 * (phi1 + phi2)
    stays = gone == ON_TRACK
    new_q, new_phi = jnp.where(stays, new_q, q), jnp.where(stays, new_phi, phi)
    left = jnp.where(new_q <= 0, AT_START, jnp.where(new_q >= c.length, AT_END, ON_TRACK))
    return State(new_q, new_phi, jnp.where(stays, left, gone))


def _advance(thermal: bool, c: Constants, lanes: Lane, state: State, keys, dt, duration, before, first, count) -> State:
    """Take ``count`` steps from the phase's step ``first``, which is step ``before + first`` of the random stream."""
    step = jax.vmap(_step, in_axes=(None, 0, 0, None, None, None, 0))

    def draw(key, index):
        return jax.random.normal(jax.random.fold_in(key, index), (2,), jnp.float64)

    def block(number, state):
        begin = first + number * BLOCK
        noise = jnp.zeros((BLOCK, LANES, 2))
        if thermal:
            indices = before + begin + jnp.arange(BLOCK)
            noise = jax.vmap(jax.vmap(draw, in_axes=(0, None)), in_axes=(None, 0))(keys, indices) / jnp.sqrt(dt)
        return jax.lax.fori_loop(
            0,
            jnp.minimum(BLOCK, first + count - begin),
            lambda i, state: step(c, lanes, state, (begin + i) * dt, dt, duration, noise[i]),
            state,
        )

    return jax.lax.fori_loop(0, (count + BLOCK - 1) // BLOCK, block, state)


def _observe(c: Constants, lane: Lane, state: State, t, duration):
    """Return the wall's width, m, and the energies of `ENERGIES`, J."""
    w = _wall(c, lane, state.q, state.phi, t, duration)
    area, Ku, end_energy, left = w.track[0], w.track[2], w.track[4], w.track[6]
    cos, sin = jnp.cos(state.phi), jnp.sin(state.phi)
    parts = jnp.stack(
        [
            area * 2 * c.A / w.width,
            area * math.pi * c.s * c.D * cos,
            area * 2 * w.width * w.factor * Ku,
            area * (lane.S + 2 * w.width * lane.k) @ jnp.stack([cos**2, sin**2, jnp.ones_like(cos)]) + end_energy,
            -math.pi * w.width * area * c.M * (w.H[0] * cos + w.H[1] * sin),
        ]
    )
    on_track = state.gone == ON_TRACK
    left = jnp.where(on_track, left, jnp.where(state.gone == AT_END, lane.tables[-1, 6], 0.0))
    parts = jnp.where(on_track, parts, 0.0)
    parts = parts.at[3].add(c.one_domain).at[4].add(-c.s * c.M * w.H[2] * (2 * left - lane.tables[-1, 6]))
    return w.width, parts


ENERGIES = ("exchange", "dmi", "anisotropy", "demag", "zeeman")
_advance_jit = jax.jit(_advance, static_argnums=0)
_observe_jit = jax.jit(jax.vmap(_observe, in_axes=(None, 0, 0, None, None)))


# -- trajectories ----------------------------------------------------------------------------------------------------
def _together(problems: Sequence[Problem]) -> Iterator[Result]:
    first = problems[0]
    prepared = [prepare(problem) for problem in problems]
    padded = [*range(len(problems)), *[0] * (LANES - len(problems))]
    constants, dt = _constants(first), first.numerics.dt_s
    by_phase = {
        phase.name: jax.tree.map(lambda *leaves: np.stack(leaves), *[prepared[i].lanes[phase.name] for i in padded])
        for phase in first.schedule
    }
    keys = jnp.stack([streams.key(*problems[i].stream) for i in padded])
    initial = [problems[i].initial for i in padded]
    state = State(
        jnp.array([i.position_m for i in initial]), jnp.array([i.azimuth_rad for i in initial]), jnp.zeros(LANES)
    )
    t_s, records, ends, taken = [], [], {}, 0

    def record(phase, steps):
        duration = phase.duration_s
        width, energies = _observe_jit(constants, by_phase[phase.name], state, steps * dt, duration)
        t_s.append((taken + steps) * dt)
        records.append([np.asarray(x) for x in (*state, width, energies)])
        if not np.isfinite(records[-1][0][: len(problems)]).all():
            raise UserError(f"collective: not finite at {t_s[-1]:.4g} s; reduce numerics.dt_s (now {dt:g} s)")

    record(first.schedule[0], 0)
    every = first.steps(first.record_interval_s)
    for phase in first.schedule:
        steps = first.steps(phase.duration_s)
        for begin in range(0, steps, every):
            count = min(every, steps - begin)
            state = _advance_jit(
                first.temperature_K > 0, constants, by_phase[phase.name], state, keys, dt, phase.duration_s, taken,
                begin, count,
            )  # fmt: skip
            record(phase, begin + count)
        taken += steps
        ends[phase.name] = len(records) - 1
    q, phi, gone, width, energies = (np.stack(column) for column in zip(*records))
    for lane, problem in enumerate(problems):
        m = _laid_on_mesh(problem, prepared[lane].mask, q[:, lane], phi[:, lane], gone[:, lane], width[:, lane])
        parts = dict(zip(ENERGIES, energies[:, lane].T))
        yield Result(np.array(t_s), m, prepared[lane].mask, dict(ends), {**parts, "total": energies[:, lane].sum(1)})


def _laid_on_mesh(problem: Problem, mask, q, phi, gone, width) -> np.ndarray:
    """Return the wall's profile on the mesh, ``float32[n, 3, nz, ny, nx]``; uniform once the wall is gone."""
    x = (np.arange(problem.mesh.nx) + 0.5) * problem.mesh.cell_m[0]
    u = np.clip((x - q[:, None]) / width[:, None], -300, 300)
    sech = np.where(gone == ON_TRACK, 1.0, 0.0)[:, None] / np.cosh(u)
    s = 1.0 if problem.initial.up_left else -1.0
    mz = np.where((gone == ON_TRACK)[:, None], -s * np.tanh(u), s * gone[:, None])
    profile = np.stack([sech * np.cos(phi)[:, None], sech * np.sin(phi)[:, None], mz], axis=1)
    return np.where(mask, profile[:, :, None, None, :], 0.0).astype(np.float32)
