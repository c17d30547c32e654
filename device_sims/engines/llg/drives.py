"""The drives of a phase as arrays, and their values at a moment."""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from device_sims.engines.llg.fields import anisotropy
from device_sims.problem import GAMMA0, MU0, DriveMap, Phase, Problem, drive_maps, waveforms


class Drive(NamedTuple):
    """The waveforms of a phase, in steps of dt_s from its begin; rows as in `Values`."""

    start: jax.Array  # [7 + driven regions + maps]
    slope: jax.Array
    amplitude: jax.Array
    turns: jax.Array
    phase: jax.Array
    begin: jax.Array  # [] number of the phase's first step
    # of the rows that are neither numbers nor ramps and sines: their scale and their tree for `waveforms.evaluate`
    shaped: dict[int, tuple[jax.Array, dict]]
    longest: jax.Array | None  # step of an adaptive integrator that passes no pulse unseen, if there are pulses


class Values(NamedTuple):
    """Drives at a moment."""

    ku_factor: jax.Array
    current: jax.Array  # A/m2
    field: tuple[jax.Array, jax.Array, jax.Array]  # B / (mu0 Ms0)
    velocity: jax.Array  # Zhang-Li u, m/s
    heat: jax.Array  # factor on the temperature
    regions: jax.Array  # factors on the Ku of driven regions
    maps: jax.Array  # factors on the maps of fields, then of currents


def maps(problem: Problem) -> list[DriveMap]:
    """Return a problem's maps, those of fields before those of currents."""
    return sorted(problem.drive_maps, key=lambda one: (one.acts != "field", one.name))


def prepared_maps(problem: Problem) -> list[np.ndarray] | None:
    """Return the maps per unit of their drives, reduced fields ``[3, nz, ny, nx]`` and currents ``[1, nz, ny, nx]``."""
    unit = {"field": 1 / (MU0 * problem.material.Ms_A_per_m), "current": 1.0}
    return [drive_maps.values(problem, one) * unit[one.acts] for one in maps(problem)] or None


def of_phase(problem: Problem, phase: Phase) -> list[waveforms.Drive]:
    """Return a phase's drives in the order of `Values`; a region that it does not drive has factor 1."""
    regions = dict(phase.region_Ku_factors)
    own = [regions.get(name, 1.0) for name in anisotropy.driven_regions(problem)]
    own += [dict(phase.drive_maps).get(one.name, 0.0) for one in maps(problem)]
    uniform = [phase.Ku_factor, phase.current_density_A_per_m2, *phase.field_T, phase.zhang_li_u_m_per_s]
    return [*uniform, phase.temperature_factor, *own]


def prepare(problem: Problem, phase: Phase, begin: int, dtype: jnp.dtype) -> Drive:
    """Return the waveforms of a phase that begins with step ``begin``."""
    drives, dt_s, ms = of_phase(problem, phase), problem.numerics.dt_s, problem.material.Ms_A_per_m
    waves = [waveforms.waveform(d) if waveforms.simple(d) else waveforms.Waveform(0.0, 0.0) for d in drives]
    scale = np.ones(len(waves))
    scale[2:5] = 1 / (MU0 * ms)
    steps = phase.duration_s / dt_s or 1.0  # a phase that relaxes takes none, and its drives are constant
    columns = (
        scale * [w.start for w in waves],
        scale * [(w.stop - w.start) / steps for w in waves],
        scale * [w.amplitude for w in waves],
        np.array([w.frequency_Hz * dt_s for w in waves]),
        np.array([w.phase_rad / (2 * math.pi) for w in waves]),
    )
    shaped = {
        row: (scale[row], waveforms.packed(drive, phase.duration_s, dt_s))
        for row, drive in enumerate(drives)
        if not waveforms.simple(drive)
    }
    longest = min((waveforms.shortest_s(d) for d in drives), default=math.inf) * GAMMA0 * ms if shaped else None
    start, slope, amplitude, turns, angle = (jnp.asarray(column, dtype) for column in columns)
    shaped, longest = jax.tree.map(lambda a: jnp.asarray(a, dtype), (shaped, longest))
    return Drive(start, slope, amplitude, turns, angle, jnp.asarray(begin), shaped, longest)


def values(drive: Drive, step, fraction, steady: bool, maps: int) -> Values:
    """Return the drives ``fraction`` of a step after ``step``, an integer counted as the phase's begin is.

    ``steady`` says that none of them changes within a phase, ``maps`` how many maps there are.
    """
    now = drive.start
    if not steady:
        # the difference of integers first: a float32 cannot count the steps of a long run
        t = jnp.asarray(step - drive.begin, now.dtype) + fraction
        turns = drive.turns * t + drive.phase
        now = now + drive.slope * t + drive.amplitude * jnp.sin(2 * jnp.pi * (turns - jnp.floor(turns)))
        for row, (scale, tree) in drive.shaped.items():
            now = now.at[row].set(scale * waveforms.evaluate(tree, t, jnp))
    regions = len(now) - maps
    return Values(now[0], now[1], (now[2], now[3], now[4]), now[5], now[6], now[7:regions], now[regions:])
