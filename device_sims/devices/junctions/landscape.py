"""The energy of one moment over all directions: where it rests, and the pass that it has to cross.

    E/V = Ku (1 - (m.n)^2) + mu0 Ms^2/2 m.N.m - Ms m.B

with the easy axis n, the demagnetising tensor N of the body's cells and a field B. Closed forms exist for an axis along
the normal (Stoner-Wohlfarth); with a leaning axis, or with both an in-plane and a normal field, they do not.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import minimize_scalar

from device_sims.problem import MU0, Geometry, Material, Mesh, Vector
from device_sims.problem.magnetostatics.body import demag_tensor, volume_m3

STEPS, CONVERGED = 20000, 1e-12


def density(body: Material, mesh: Mesh, shape: Geometry, field_T: Vector, m: np.ndarray) -> np.ndarray:
    """Return the energy density, J/m3, ``float64[...]`` of directions ``float64[..., 3]``."""
    along = m @ np.array(body.axis)
    demag = MU0 / 2 * body.Ms_A_per_m**2 * np.einsum("...i,ij,...j", m, demag_tensor(shape, mesh), m)
    return body.Ku_J_per_m3 * (1 - along**2) + demag - body.Ms_A_per_m * (m @ np.array(field_T))


def rest(body: Material, mesh: Mesh, shape: Geometry, field_T: Vector, side: int) -> np.ndarray:
    """Return where a moment comes to rest from the easy axis (``side`` 1) or its opposite (-1), ``float64[3]``.

    It goes down along the gradient, and to the other well if its own is none.
    """
    axis = np.array(body.axis) / np.linalg.norm(body.axis)
    matrix = 2 * body.Ku_J_per_m3 * np.outer(axis, axis) - MU0 * body.Ms_A_per_m**2 * demag_tensor(shape, mesh)
    field = body.Ms_A_per_m * np.array(field_T)
    step = 1 / (np.ptp(np.linalg.eigvalsh(matrix)) + np.linalg.norm(field))
    m = side * axis + [1e-4, 2e-4, 3e-4]  # not on top of a maximum
    for _ in range(STEPS):
        m = m / np.linalg.norm(m)
        down = matrix @ m + field
        turn = step * (down - (down @ m) * m)
        if turn @ turn < CONVERGED**2:
            break
        m = m + turn
    return m / np.linalg.norm(m)


def barrier_J(body: Material, mesh: Mesh, shape: Geometry, field_T: Vector, side: int) -> float:
    """Return the energy of the pass between two states, one up and one down, over that of the state of ``side``, J.

    The pass is the least, over azimuths, of the largest energy between the two states' polar angles: there the energy
    is largest along the polar angle and least along the azimuth, which makes it a saddle.
    """
    up, down = (rest(body, mesh, shape, field_T, one) for one in (1, -1))
    low = density(body, mesh, shape, field_T, up if side > 0 else down)

    def energy(polar: float | np.ndarray, azimuth: float | np.ndarray) -> np.ndarray:
        sine = np.sin(polar)
        m = np.stack([sine * np.cos(azimuth), sine * np.sin(azimuth), np.cos(polar) + 0 * azimuth], -1)
        return density(body, mesh, shape, field_T, m)

    polar = np.linspace(math.acos(up[2]), math.acos(down[2]), 181)
    azimuth = np.linspace(0, 2 * math.pi, 120, endpoint=False)
    width = polar[1] - polar[0]

    def ridge(at: float) -> float:
        highest = polar[np.argmax(energy(polar, np.full(polar.shape, at)))]
        inside = (highest - width, highest + width)
        return -minimize_scalar(lambda p: -float(energy(p, at)), bounds=inside, method="bounded").fun

    lowest = azimuth[np.argmin(energy(polar[:, None], azimuth[None, :] + 0 * polar[:, None]).max(0))]
    around = (lowest - azimuth[1], lowest + azimuth[1])
    found = minimize_scalar(ridge, bounds=around, method="bounded")
    return volume_m3(shape, mesh) * (float(found.fun) - float(low))
