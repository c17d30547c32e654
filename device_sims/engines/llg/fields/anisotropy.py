"""Uniaxial anisotropy along z with a map in space and a factor in time, w = Ku(x, y) f(t) (1 - mz^2)."""

import jax.numpy as jnp
import numpy as np

from device_sims.problem import MU0, Problem


def strength(problem: Problem, mask: np.ndarray) -> np.ndarray:
    """Return ``2 Ku / (mu0 Ms^2)`` at f = 1, ``float64[ny, nx]``."""
    mesh = problem.mesh
    x = ((np.arange(mesh.nx) + 0.5) * mesh.cell_m[0])[None, :]
    y = ((np.arange(mesh.ny) + 0.5) * mesh.cell_m[1])[:, None]
    ku = problem.material.Ku_J_per_m3 * mask.astype(float)
    for region in problem.regions:
        (x0, x1), (y0, y1) = region.x_m, region.y_m
        ku *= np.where((x0 <= x) & (x < x1) & (y0 <= y) & (y < y1), region.Ku_factor, 1.0)
    return 2 * ku / (MU0 * problem.material.Ms_A_per_m**2)


def field(m, ku, factor):
    """Return the reduced anisotropy field."""
    zero = jnp.zeros_like(m[2])
    return zero, zero, ku * factor * m[2]
