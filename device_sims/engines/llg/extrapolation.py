"""What a stray field that is extrapolated for some steps does to the temperature of spin waves.

The stray field of other cells is evaluated every n steps and extrapolated in between (`Numerics`). A wave that turns
far within n steps meets a field that lags behind it, which damps the wave or drives it. Where the Gilbert damping is
large that is nothing; in Permalloy (alpha 0.02) with n = 2 steps of 0.8 ps the film takes 940 K instead of 300.

As in `stability`, a wave is dz/dt = lambda z + noise, but the part of lambda that other cells' stray field makes acts
on the extrapolated z. A period of n steps is a linear map of z now and a period ago, whose stationary variance is the
temperature.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from device_sims.engines.llg.stability import A3, A4, P2, P3
from device_sims.problem import GAMMA0, MU0, Problem, material
from device_sims.problem.magnetostatics.newell import tensor
from spinloom.errors import UserError

REACH = 16  # cells whose stray field counts for a wave; what lies beyond hardly varies from cell to cell
WAVES = 9  # wave numbers along each axis, from 0 to the shortest wave
LARGEST_ERROR = 0.25  # of a wave's temperature, as in `stability`


def temperature_ratio(integrator: str, alpha: float, x: np.ndarray, stray: np.ndarray, interval: int) -> np.ndarray:
    """Return the temperature of waves over the set one, infinite where they grow, ``float64[n]``.

    Parameters
    ----------
    integrator : str
    alpha : float
    x : float64[n]
        Step times frequency, more than 0.
    stray : float64[n]
        The part of x that other cells' stray field makes.
    interval : int
        Steps between evaluations of that field, at least 1.
    """
    whole, part = (1j - alpha) * np.asarray(x, float), (1j - alpha) * np.asarray(stray, float)
    # coefficients of z now, z a period ago, and the noise of each step
    now, before, *noises = np.eye(2 + interval, dtype=complex)[:, :, None] * np.ones_like(whole)
    z = now
    for step, noise in enumerate(noises):

        def rate(y, c, w, step=step, noise=noise):
            return (whole - part) * y + part * (now + (now - before) * (step + c) / interval) + w * noise

        z = _step(integrator, rate, z)
    growth = np.moveaxis(np.array([z[:2], now[:2]]), 2, 0)
    kicks = np.moveaxis(z[2:], 1, 0)
    sound = np.abs(np.linalg.eigvals(growth)).max(1) < 1
    growth = np.where(sound[:, None, None], growth, 0)
    # the stationary covariance C = G C G* + K, as a vector
    square = np.einsum("nij,nkl->nikjl", growth, growth.conj()).reshape(-1, 4, 4)
    source = np.zeros((len(whole), 4, 1), complex)
    source[:, 0, 0] = (np.abs(kicks) ** 2).sum(1)
    variance = np.linalg.solve(np.eye(4) - square, source)[:, 0, 0].real
    return np.where(sound, variance * 2 * alpha * np.asarray(x), np.inf)


def _step(integrator, f, m):
    """Return a step of ``integrators`` with h = 1: the scheme itself needs JAX, which a check of a sweep must not."""
    if integrator == "heun":
        first = f(m, 0.0, 1.0)
        return m + (first + f(m + first, 1.0, 1.0)) / 2
    if integrator == "rk4":
        k1 = f(m, 0.0, 1.0)
        k2 = f(m + k1 / 2, 0.5, 1.0)
        k3 = f(m + k2 / 2, 0.5, 1.0)
        return m + (k1 + 2 * k2 + 2 * k3 + f(m + k3, 1.0, 1.0)) / 6
    k = f(m, 0.0, P3 / A4)
    k = f(m + A4 / A3 * k, A4 / A3, P2 / A3)
    k = f(m + 2 * A3 * k, 2 * A3, 1.0)
    return m + f(m + k / 2, 0.5, 1.0)


@lru_cache(maxsize=64)
def _stray_parts(nx: int, ny: int, cell: tuple[float, float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Return waves of a layer of cells: their curvature, 1/m2, and other cells' factor, times Ms, in their frequency.

    A wave about a direction a turns with -(N_aa)/2 of the others' tensor, whose trace is 0; the directions are its
    principal ones. ``float64[n]`` and ``float64[n, 3]``.
    """
    parts = {name: part[0] for name, part in tensor(min(nx, REACH), min(ny, REACH), cell).items()}
    angles = [np.linspace(0, np.pi, WAVES) if n > 1 else np.zeros(1) for n in (nx, ny)]
    kx, ky = (a.ravel() for a in np.meshgrid(*angles))
    ny, nx = parts["xx"].shape
    i, j = np.arange(nx), np.arange(ny)
    cos_x, cos_y = (np.cos(k[:, None] * n) * np.where(n, 2, 1) for k, n in ((kx, i), (ky, j)))
    sin_x, sin_y = (np.sin(k[:, None] * n) * 2 for k, n in ((kx, i), (ky, j)))
    waves = np.zeros((len(kx), 3, 3))
    for axis, name in enumerate(("xx", "yy", "zz")):
        waves[:, axis, axis] = np.einsum("ki,kj,ji->k", cos_x, cos_y, parts[name]) - parts[name][0, 0]
    waves[:, 0, 1] = waves[:, 1, 0] = -np.einsum("ki,kj,ji->k", sin_x, sin_y, parts["xy"])
    curvature = (2 - 2 * np.cos(kx)) / cell[0] ** 2 + (2 - 2 * np.cos(ky)) / cell[1] ** 2
    return curvature, -np.linalg.eigvalsh(waves) / 2


def check(problem: Problem) -> None:
    """Check that the stray field is evaluated often enough for the temperature of all waves.

    Raises
    ------
    UserError
        If that of some wave were wrong by more than a quarter.
    """
    numerics = problem.numerics
    if problem.temperature_K and numerics.demag and numerics.demag_interval_steps:
        _check(replace(problem, stream=()))


@lru_cache(maxsize=4096)
def _check(problem: Problem) -> None:
    numerics = problem.numerics
    inside = material.mask(problem)
    values = material.constants(problem, inside)
    alpha, ms, A = (np.broadcast_to(values[n], inside.shape)[inside] for n in ("alpha", "Ms_A_per_m", "A_J_per_m"))

    def ratio(interval: int) -> float:
        return worst_ratio(problem, float(alpha.min()), float(ms.max()), float(np.median(A)), interval)

    found = ratio(numerics.demag_interval_steps)
    if abs(found - 1) <= LARGEST_ERROR:
        return
    fewer = [n for n in range(numerics.demag_interval_steps - 1, 0, -1) if abs(ratio(n) - 1) <= LARGEST_ERROR]
    told = "to grow" if not np.isfinite(found) else f"at {found * problem.temperature_K:.0f} K"
    raise UserError(
        f"numerics.demag_interval_steps: found {numerics.demag_interval_steps} with steps of {numerics.dt_s:g} s and "
        f"alpha {alpha.min():g}, where a stray field that is not renewed at each step brings spin waves {told} instead "
        f"of {problem.temperature_K:g} K, allowed: {f'at most {fewer[0]}' if fewer else '0'}, or shorter steps"
    )


def worst_ratio(problem: Problem, alpha: float, Ms_A_per_m: float, A_J_per_m: float, interval: int) -> float:
    """Return the temperature ratio, of all waves, that is farthest from 1; ``interval`` as of `temperature_ratio`."""
    mesh, numerics = problem.mesh, problem.numerics
    curvature, factor = _stray_parts(mesh.nx, mesh.ny, mesh.cell_m)
    field = 2 * A_J_per_m / (MU0 * Ms_A_per_m) * curvature
    per_field = GAMMA0 * numerics.dt_s / (1 + alpha**2)
    moving = field > Ms_A_per_m  # slower waves follow within a step
    x = np.repeat(field[moving] * per_field, 3)
    ratio = temperature_ratio(numerics.integrator, alpha, x, factor[moving].ravel() * Ms_A_per_m * per_field, interval)
    return float(ratio[np.abs(ratio - 1).argmax()]) if len(ratio) else 1.0
