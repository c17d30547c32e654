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
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from device_sims.engines import Result
from device_sims.engines.collective.setup import Constants, Lane, constants, prepare
from device_sims.problem import GAMMA0, Problem
from spinloom import streams
from spinloom.errors import UserError

LANES = 64  # replicas that advance together; always as many, so that no result depends on how many there are
BLOCK = 64  # steps whose noise is drawn at once
ON_TRACK, AT_START, AT_END = 0.0, -1.0, 1.0  # where the wall is: on the track, or gone through x = 0 or x = length


class State(NamedTuple):
    """Wall position, m; angle, rad; where the wall is."""

    q: jax.Array
    phi: jax.Array
    gone: jax.Array


def run(problems: Sequence[Problem]) -> Iterator[Result]:
    """Yield the trajectory of each problem, in order; always in float64.

    Parameters
    ----------
    problems : sequence of Problem
        Must share mesh, nominal width, material, temperature, time step, record interval and the lengths of phases.

    Raises
    ------
    UserError
        If a problem is no single wall in a perpendicular track, or the problems cannot run together.
    """
    first = _timing(problems[0])
    for problem in problems:
        if _timing(problem) != first:
            raise UserError(
                "collective: found problems of different mesh, width, material or timing in one chunk, allowed: the "
                "same in all"
            )
    for start in range(0, len(problems), LANES):
        members = problems[start : start + LANES]
        # no yield inside: what the caller does meanwhile is not to be in float64
        with jax.enable_x64(True):
            paths = _together(members)
        yield from _results(members, *paths)


def _timing(problem: Problem):
    phases = tuple((phase.name, phase.duration_s) for phase in problem.schedule)
    return (
        problem.mesh,
        problem.material,
        problem.temperature_K,
        problem.numerics.dt_s,
        problem.record_interval_s,
        problem.numerics.demag,
        problem.geometry.kind,
        problem.geometry.width_m,
        problem.initial.up_left,
        phases,
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
def _together(problems: Sequence[Problem]) -> tuple:
    """Return the times, the records' indices at the ends of phases, and ``q phi gone width energies`` of all lanes."""
    first = problems[0]
    prepared = [prepare(problem) for problem in problems]
    padded = [*range(len(problems)), *[0] * (LANES - len(problems))]
    shared, dt = constants(first), first.numerics.dt_s
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
        width, energies = _observe_jit(shared, by_phase[phase.name], state, steps * dt, duration)
        t_s.append((taken + steps) * dt)
        records.append([np.asarray(x) for x in (*state, width, energies)])
        if not np.isfinite(records[-1][0][: len(problems)]).all():
            raise UserError(
                f"collective: found values that are not finite at {t_s[-1]:.4g} s; reduce numerics.dt_s (now {dt:g} s)"
            )

    record(first.schedule[0], 0)
    every = first.steps(first.record_interval_s)
    for phase in first.schedule:
        steps = first.steps(phase.duration_s)
        for begin in range(0, steps, every):
            count = min(every, steps - begin)
            state = _advance_jit(
                first.temperature_K > 0, shared, by_phase[phase.name], state, keys, dt, phase.duration_s, taken,
                begin, count,
            )  # fmt: skip
            record(phase, begin + count)
        taken += steps
        ends[phase.name] = len(records) - 1
    return np.array(t_s), ends, *(np.stack(column) for column in zip(*records))


def _results(problems: Sequence[Problem], t_s, ends, q, phi, gone, width, energies) -> Iterator[Result]:
    for lane, problem in enumerate(problems):
        mask = prepare(problem).mask
        m = _laid_on_mesh(problem, mask, q[:, lane], phi[:, lane], gone[:, lane], width[:, lane])
        parts = dict(zip(ENERGIES, energies[:, lane].T))
        yield Result(t_s.copy(), m, mask, dict(ends), {**parts, "total": energies[:, lane].sum(1)})


def _laid_on_mesh(problem: Problem, mask, q, phi, gone, width) -> np.ndarray:
    """Return the wall's profile on the mesh, ``float32[n, 3, nz, ny, nx]``; uniform once the wall is gone."""
    x = (np.arange(problem.mesh.nx) + 0.5) * problem.mesh.cell_m[0]
    u = np.clip((x - q[:, None]) / width[:, None], -300, 300)
    sech = np.where(gone == ON_TRACK, 1.0, 0.0)[:, None] / np.cosh(u)
    s = 1.0 if problem.initial.up_left else -1.0
    mz = np.where((gone == ON_TRACK)[:, None], -s * np.tanh(u), s * gone[:, None])
    profile = np.stack([sech * np.cos(phi)[:, None], sech * np.sin(phi)[:, None], mz], axis=1)
    return np.where(mask, profile[:, :, None, None, :], 0.0).astype(np.float32)
