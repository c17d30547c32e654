"""What the 1-D wall model needs to know of a track: magnetostatics of its cross-section, averages over the wall.

Magnetostatics. The wall is uniform over the track's cross-section, so its stray-field energy is that of a row of
slices w x t, with Newell's tensor between slices: nothing is taken from the thin-film limit. With the wall's profile at
width Delta, the energies of its x, y and z components over the cross-section's area, less that of the domains, are the
functions W_x, W_y, W_z of Delta; the model uses their tangents ``W_i = S_i + 2 k_i Delta`` at a reference width. In a
wide ultrathin film W_x is mu0 Ms^2 t ln 2 / pi (Tarasenko et al., J. Magn. Magn. Mater. 189, 19 (1998): N_x = t ln 2 /
(pi Delta)), all S and no k: such a wall's width does not depend on its angle.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from device_sims.problem import MU0
from device_sims.problem.magnetostatics.newell import tensor

SLICES_PER_CELL = 4
POINTS_PER_CELL = 4
_FIXED_POINT_STEPS = 60


class Magnetostatics(NamedTuple):
    """Tangents of the wall's stray-field energies at its reference width."""

    width_m: float  # reference width Delta
    S: tuple[float, float, float]  # J/m2
    k: tuple[float, float, float]  # J/m3


class Track(NamedTuple):
    """The track as a wall at q sees it, tabulated at ``q = i spacing``, each ``float64[points]``."""

    area: np.ndarray  # m2, cross-section averaged over sech^2((x - q) / width) / (2 width)
    area_slope: np.ndarray  # m
    Ku: np.ndarray  # J/m3, averaged likewise, by area
    Ku_slope: np.ndarray  # J/m4
    end_energy: np.ndarray  # J, stray field of the domains, zero with the wall in the middle
    end_force: np.ndarray  # N, minus its slope
    left_m3: np.ndarray  # volume to the left of q


@lru_cache(maxsize=64)
def _slices(number: int, slice_m: tuple[float, float, float]) -> dict[str, np.ndarray]:
    parts = tensor(number, 1, slice_m)
    return {name: parts[name][0, 0] for name in ("xx", "yy", "zz")}


def _self_energy(m: np.ndarray, row: np.ndarray) -> float:
    """Return ``sum_ab m_a N(|a - b|) m_b`` by FFT."""
    size = 2 * len(m)
    kernel = np.concatenate([row, [0.0], row[:0:-1]])
    return float(m @ np.fft.irfft(np.fft.rfft(m, size) * np.fft.rfft(kernel), size)[: len(m)])


@lru_cache(maxsize=4096)
def magnetostatics(
    number: int, slice_m: tuple[float, float, float], Ms_A_per_m: float, A_J_per_m: float, Ku_J_per_m3: float
) -> Magnetostatics | None:
    """Return the tangents for a wall in the middle of a row of ``number`` slices, or None if no wall can be.

    The reference width is that of a wall between Bloch and Neel, ``sqrt(A / (Ku + k_z + (k_x + k_y) / 2))``, found by
    iteration, since the k depend on it.
    """
    rows = _slices(number, slice_m)
    dx = slice_m[0]
    x = (np.arange(number) + 0.5) * dx - number * dx / 2
    domains = np.ones(number)
    unit = MU0 * Ms_A_per_m**2 / 2 * dx

    def energies(width):
        u = np.clip(x / width, -300, 300)
        sech, tanh = 1 / np.cosh(u), np.tanh(u)
        return unit * np.array(
            [
                _self_energy(sech, rows["xx"]),
                _self_energy(sech, rows["yy"]),
                _self_energy(tanh, rows["zz"]) - _self_energy(domains, rows["zz"]),
            ]
        )

    def tangent(width):
        step = 0.02 * width
        low, high = energies(width - step), energies(width + step)
        slope = (high - low) / (2 * step)
        return energies(width) - slope * width, slope / 2

    width = math.sqrt(A_J_per_m / max(Ku_J_per_m3 - MU0 * Ms_A_per_m**2 / 2, 0.02 * Ku_J_per_m3))
    for _ in range(_FIXED_POINT_STEPS):
        _, k = tangent(width)
        anisotropy = Ku_J_per_m3 + k[2] + (k[0] + k[1]) / 2
        if anisotropy <= 0 or math.sqrt(A_J_per_m / anisotropy) > number * dx / 4:
            return None
        previous, width = width, math.sqrt(A_J_per_m / anisotropy)
        if abs(width - previous) < 1e-9 * width:
            break
    S, k = tangent(width)
    return Magnetostatics(width, tuple(S.tolist()), tuple(k.tolist()))


@lru_cache(maxsize=256)
def domain_energy(number: int, slice_m: tuple[float, float, float], Ms_A_per_m: float) -> tuple[float, np.ndarray]:
    """Return the stray-field energy of one domain, J, and that of two by the wall's place, ``float64[number + 1]``.

    The second is for a sharp wall behind each slice, less the value with it in the middle.
    """
    row = _slices(number, slice_m)["zz"]
    unit = MU0 * Ms_A_per_m**2 / 2 * math.prod(slice_m)
    # a and b on different sides of the wall at f: d = b - a occurs min(d, f, number - f, number - d) times
    d, f = np.arange(number)[None, :], np.arange(number + 1)[:, None]
    pairs = np.minimum(np.minimum(d, number - d), np.minimum(f, number - f))
    two = -4 * unit * (pairs * row).sum(1)
    return unit * _self_energy(np.ones(number), row), two - two[number // 2]


def track(area_m2: np.ndarray, Ku_J_per_m3: np.ndarray, dx: float, width_m: float, domains: np.ndarray) -> Track:
    """Return the tables of a track.

    Parameters
    ----------
    area_m2, Ku_J_per_m3 : float64[nx]
        Cross-section of each column of cells and mean anisotropy in it.
    dx : float
        Length of a cell, m.
    width_m : float
        Width of the wall that they are averaged over.
    domains : float64
        `domain_energy`'s second.
    """
    nx = len(area_m2)
    q = np.linspace(0, nx * dx, POINTS_PER_CELL * nx + 1)
    u = np.clip((np.arange(nx + 1) * dx - q[:, None]) / width_m, -300, 300)
    tanh, sech2 = np.tanh(u) / 2, 1 / np.cosh(u) ** 2 / (2 * width_m)
    weight, slope = np.diff(tanh, axis=1), -np.diff(sech2, axis=1)
    area, area_slope = weight @ area_m2, slope @ area_m2
    Ku = weight @ (area_m2 * Ku_J_per_m3) / area
    Ku_slope = (slope @ (area_m2 * Ku_J_per_m3) - Ku * area_slope) / area
    # nearer to an end than the wall is wide, the loss of the wall's own stray field is already in its energy times area
    inside = np.clip(q, 2 * width_m, nx * dx - 2 * width_m)
    energy = np.interp(inside, np.linspace(0, nx * dx, len(domains)), domains)
    left = np.interp(q, np.arange(nx + 1) * dx, np.concatenate([[0.0], np.cumsum(area_m2) * dx]))
    return Track(area, area_slope, Ku, Ku_slope, energy, -np.gradient(energy, q), left)
