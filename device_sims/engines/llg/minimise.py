"""Relaxation to an energy minimum by steepest descent on the sphere with Barzilai-Borwein steps.

Exl et al., J. Appl. Phys. 115, 17D118 (2014): a step is the rotation

    m' = [(4 - s^2 k^2) m - 4 s m x k] / (4 + s^2 k^2),   k = m x h,

which keeps abs(m) = 1, and its length s follows from the last change of m and of the gradient g = m x (m x h), by
Barzilai's and Borwein's two formulas in turn.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from device_sims.engines.llg.fields import cross
from spinloom.errors import UserError

MAX_STEPS = 200_000


def relaxed(torque: Callable[[jax.Array], jax.Array], m: np.ndarray, tolerance: float) -> np.ndarray:
    """Return the minimum below ``m``; to be called with 64-bit floats enabled.

    Parameters
    ----------
    torque : callable
        From m to m x h, both ``float64[3, nz, ny, nx]``; h is the field over Ms.
    m : ndarray, float64[3, nz, ny, nx]
    tolerance : float
        Largest abs(m x h) at the end.

    Raises
    ------
    UserError
        If the torque does not fall below ``tolerance``.
    """

    @jax.jit
    def descend(m):
        k = torque(m)
        state = (m, k, jnp.asarray(1e-3), jnp.asarray(0))
        return jax.lax.while_loop(lambda s: (jnp.abs(s[1]).max() > tolerance) & (s[3] < MAX_STEPS), step, state)

    def step(state):
        m, k, length, count = state
        g = jnp.stack(cross(tuple(m), tuple(k)))
        square = length**2 * (k * k).sum(0)
        following = ((4 - square) * m - 4 * length * g) / (4 + square)
        k = torque(following)
        change, curvature = following - m, jnp.stack(cross(tuple(following), tuple(k))) - g
        product = (change * curvature).sum()
        long = (change * change).sum() / product
        short = product / (curvature * curvature).sum()
        length = jnp.clip(jnp.abs(jnp.where(count % 2 == 0, long, short)), 1e-6, 1e3)
        return following, k, jnp.nan_to_num(length, nan=1e-3), count + 1

    m, k, _, count = descend(jnp.asarray(m))
    rest = float(jnp.abs(k).max())
    if not rest <= tolerance:
        raise UserError(
            f"initial.relax_tolerance: found {tolerance:g}, but after {int(count)} steps the torque |m x H|/Ms is "
            f"{rest:.2g}, allowed: a tolerance that can be reached, or an initial state nearer to the minimum"
        )
    return np.asarray(m)
