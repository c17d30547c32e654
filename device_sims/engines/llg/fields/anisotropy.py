"""Uniaxial anisotropy along z with a map in space and a factor in time, w = Ku(x, y) f(t) (1 - mz^2)."""

import jax.numpy as jnp
import numpy as np

from device_sims.problem import MU0, Problem


def strength(problem: Problem, mask: np.ndarray) -> np.ndarray:
    """Return ``2 Ku / (mu0 Ms^2)`` at f = 1, ``float64[ny, nx]``."""
    return 2 * problem.material.Ku_J_per_m3 / (MU0 * problem.material.Ms_A_per_m**2) * mask


def field(m, ku, factor):
    """Return the reduced anisotropy field."""
    zero = jnp.zeros_like(m[2])
    return zero, zero, ku * factor * m[2]
