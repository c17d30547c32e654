"""What a time step does to spin waves, and the largest step that a problem allows.

What a step does to noise shows in the linear problem dz/dt = lambda z + noise, lambda h = (i - alpha) x, which is a
spin wave of frequency x/h. A scheme maps z to R z + P noise, R and P polynomials in lambda h, and its stationary
variance relative to the right one is

    T(x) = abs(P)^2 2 alpha x / (1 - abs(R)^2).

Noise held for the step gives P = (R - 1)/(lambda h), for which T is off by terms of order x^2, and in Heun's case by
x^3/(4 alpha). This module needs no JAX: a sweep is checked before any solver is loaded.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from device_sims.problem import ADAPTIVE, GAMMA0, LEAST_TOLERANCE, MU0, Problem, couplings, drive_maps, material
from device_sims.problem.waveforms import largest
from spinloom.errors import UserError

# R = 1 + z + z^2/2 + A3 z^3 + A4 z^4 and P = 1 + z/2 + P2 z^2 + P3 z^3 of fdr4, which keep T(x) within 2.1 % of 1 for
# all x up to 1.8 and alpha from 0.02 to 0.5 (least largest deviation, by Nelder and Mead's search).
A3, A4, P2, P3 = 0.14816, 0.02448, 0.09532, 0.00726

GROWTH = {"heun": (1, 1, 1 / 2), "rk4": (1, 1, 1 / 2, 1 / 6, 1 / 24), "fdr4": (1, 1, 1 / 2, A3, A4)}
NOISE = {"heun": (1, 1 / 2), "rk4": (1, 1 / 2, 1 / 6, 1 / 24), "fdr4": (1, 1 / 2, P2, P3)}


def temperature_ratio(integrator: str, alpha: float, x):
    """Return T(x) of the module's head: the temperature of waves of frequency x/h over the set one.

    It is infinite or negative where the scheme lets them grow.
    """
    z = (1j - alpha) * np.asarray(x, float)
    growth, noise = (sum(a * z**n for n, a in enumerate(table[integrator])) for table in (GROWTH, NOISE))
    with np.errstate(divide="ignore"):
        return np.abs(noise) ** 2 * 2 * alpha * np.asarray(x) / (1 - np.abs(growth) ** 2)


@lru_cache(maxsize=256)
def largest_step(integrator: str, alpha: float, thermal: bool) -> float:
    """Return the largest x = h omega up to which waves decay and, if thermal, have a temperature right to a quarter."""
    x = np.linspace(0, 4, 4001)[1:]
    if alpha:
        ratio = temperature_ratio(integrator, alpha, x)
        sound = np.abs(ratio - 1) < 0.25 if thermal else (ratio > 0) & np.isfinite(ratio)
    else:  # no wave decays, and none may grow by more than rounding
        sound = np.abs(sum(a * (1j * x) ** n for n, a in enumerate(GROWTH[integrator]))) < 1 + 1e-15
    return float(x[np.argmin(sound)]) if not sound.all() else float(x[-1])


def fastest_waves(problem: Problem) -> list[tuple[float, float]]:
    """Return, for each alpha that occurs, an upper bound of the frequency of its cells' spin waves, rad/s.

    The field is that of the wave that alternates from cell to cell (twice the exchange of all bonds, or more where
    couplings strengthen them) plus the largest anisotropy, demagnetising and applied fields that the schedule holds.
    """
    mesh, constants = problem.mesh, problem.material
    mask = material.mask(problem)
    values = material.constants(problem, mask)
    alpha, ms, ku = (np.broadcast_to(values[n], mask.shape)[mask] for n in ("alpha", "Ms_A_per_m", "Ku_J_per_m3"))
    part = np.broadcast_to(material.part(problem, mask), mask.shape)[mask]
    curvature = sum(2 / d**2 for n, d in zip((mesh.nx, mesh.ny, mesh.nz), mesh.cell_m) if n > 1)
    stiffness = np.broadcast_to(values["A_J_per_m"], mask.shape)[mask]
    # the harmonic mean in a bond is at most twice the smaller A: with smoothed edges a cell's A is as small as its Ms
    smoothed = bool(problem.geometry.edge_smoothing)
    stiffness = np.minimum(stiffness.max(), 2 * stiffness) if smoothed else np.max(stiffness)
    bonds = stiffness * curvature + _couplings(problem, mask, values["A_J_per_m"])
    others = abs(constants.second_Ku_J_per_m3) + abs(constants.Kc2_J_per_m3)
    others += np.abs(np.broadcast_to(values["Kc1_J_per_m3"], mask.shape)[mask])
    others += 2 * abs(constants.Dbulk_J_per_m2) * sum(1 / d for d in mesh.cell_m)
    factor = max(largest(phase.Ku_factor) * _product(phase.region_Ku_factors) for phase in problem.schedule)
    applied = max(np.sqrt(sum(largest(b) ** 2 for b in phase.field_T)) for phase in problem.schedule)
    peaks = {one.name: np.sqrt((drive_maps.values(problem, one) ** 2).sum(0)).max() for one in problem.drive_maps}
    fields = [one.name for one in problem.drive_maps if one.acts == "field"]
    applied += sum(peaks[n] * max(largest(dict(p.drive_maps).get(n, 0.0)) for p in problem.schedule) for n in fields)
    beyond = ms if problem.geometry.beyond_mx is not None else 0.0
    fourth = 4 * abs(constants.Ku2_J_per_m3) * part
    field = (4 * bonds + 2 * np.abs(ku) * factor + fourth + 2 * others) / (MU0 * ms)
    rate = GAMMA0 * (field + ms + beyond + applied / MU0) / (1 + alpha**2)
    return [(float(a), float(rate[alpha == a].max())) for a in np.unique(alpha)]


def _couplings(problem: Problem, mask: np.ndarray, A: float | np.ndarray) -> float:
    """Return by how much couplings may exceed the exchange of a film without them, J/m3."""
    if couplings.exchange_is_plain(problem):
        return 0.0
    stiffest, mesh = np.max(A), problem.mesh
    excess = sum(abs(gap.J_J_per_m2) for gap in couplings.gaps(problem, mask)) / mesh.cell_m[2]
    for bond, d in zip(couplings.stiffness(problem, mask, A), reversed(mesh.cell_m)):
        excess += 2 / d**2 * max(0.0, float(np.abs(bond).max() - stiffest))
    return excess


def check(problem: Problem) -> None:
    """Check that the integrator and its step suit the problem.

    Raises
    ------
    UserError
        If the scheme cannot do what is asked, or the fastest spin wave of the mesh would grow or take a wrong
        temperature.
    """
    _check(replace(problem, stream=()))


@lru_cache(maxsize=4096)
def _check(problem: Problem) -> None:
    numerics, thermal = problem.numerics, problem.temperature_K > 0
    if problem.partner is not None:
        raise UserError(
            "partner: found a second moment, allowed with the llg engine: none (the macrospin engine has one)"
        )
    if numerics.integrator not in (*GROWTH, ADAPTIVE):
        allowed = ", ".join((*GROWTH, ADAPTIVE))
        raise UserError(f"numerics.integrator: found '{numerics.integrator}', allowed: {allowed}")
    if numerics.integrator == ADAPTIVE:
        _check_adaptive(problem)
        return
    waves = fastest_waves(problem)
    undamped = any(alpha == 0 for alpha, _ in waves)
    if thermal and (undamped or not problem.material.alpha):
        raise UserError(
            f"temperature_K: found {problem.temperature_K:g} with alpha 0, for which there is no thermal noise, "
            "allowed: temperature_K 0, or alpha above 0 in all cells"
        )
    if undamped and largest_step(numerics.integrator, 0.0, False) < 0.1:
        raise UserError(
            f"numerics.integrator: found '{numerics.integrator}' with alpha 0, where this integrator makes waves grow, "
            f"allowed: rk4, {ADAPTIVE}"
        )
    limit, alpha, rate = min((largest_step(numerics.integrator, a, thermal) / r, a, r) for a, r in waves)
    if numerics.dt_s > limit:
        what = "whose temperature would be wrong" if thermal else "which would grow"
        raise UserError(
            f"numerics.dt_s: found {numerics.dt_s:g}, allowed: at most {limit:.2g} s with {numerics.integrator} and "
            f"alpha {alpha:g} on these cells, for their fastest spin wave ({rate:.2g} rad/s), {what}"
        )


def _check_adaptive(problem: Problem) -> None:
    numerics = problem.numerics
    if problem.temperature_K:
        raise UserError(
            f"numerics.integrator: found {ADAPTIVE} at {problem.temperature_K:g} K, allowed with a temperature: "
            f"{', '.join(sorted(GROWTH))} (adaptive steps cannot resolve white noise)"
        )
    if numerics.demag_interval_steps:
        raise UserError(
            f"numerics.demag_interval_steps: found {numerics.demag_interval_steps}, allowed with {ADAPTIVE}: 0, "
            "because its steps have no fixed length"
        )
    least = LEAST_TOLERANCE[numerics.precision]
    if numerics.tolerance < least:
        raise UserError(
            f"numerics.tolerance: found {numerics.tolerance:g}, allowed: at least {least:g} with {numerics.precision}"
        )


def _product(factors) -> float:
    """Return the largest product of the factors of regions, which may or may not overlap."""
    return float(np.prod([max(1.0, largest(factor)) for _, factor in factors]))
