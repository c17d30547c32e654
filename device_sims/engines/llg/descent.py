"""Relaxation that follows a state to the minimum below it, for phases that relax.

The steps of `minimise`, Barzilai and Borwein's, leave the valley of the start where they are long: a wall at a barrier
is found behind it. Here no step turns a cell by more than `LARGEST_TURN` or raises the energy; one that would is tried
again with a quarter of its length. Products are weighted by Ms, because the field is the energy's gradient over it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from device_sims.engines.llg.fields import cross
from device_sims.engines.llg.minimise import MAX_STEPS
from spinloom.errors import UserError

LARGEST_TURN = 0.1  # rad


def descent(torque: Callable[[Any, jax.Array], jax.Array]) -> Callable[[Any, Any, np.ndarray, float, str], np.ndarray]:
    """Return what takes a state to the minimum below it; to be called with 64-bit floats enabled.

    Parameters
    ----------
    torque : callable
        From arguments, a tree of arrays, and m to m x h, ``float64[3, nz, ny, nx]``; h is the field over Ms0.

    Returns
    -------
    callable
        From the torque's arguments, Ms/Ms0, m, the largest abs(m x h) at the end and what to call that in an error, to
        the minimum. It is compiled once, and raises a `UserError` if the torque does not fall so far.
    """

    def step(arguments, weight, state):
        m, k, length, count = state
        g = jnp.stack(cross(tuple(m), tuple(k)))
        length = jnp.minimum(length, LARGEST_TURN / jnp.abs(k).max())
        square = length**2 * (k * k).sum(0)
        following = ((4 - square) * m - 4 * length * g) / (4 + square)
        k_following = torque(arguments, following)
        g_following = jnp.stack(cross(tuple(following), tuple(k_following)))
        change, curvature = following - m, g_following - g
        falls = (weight * (g + g_following) * change).sum() <= 0
        product = (weight * change * curvature).sum()
        long = (weight * change * change).sum() / product
        short = product / (weight * curvature * curvature).sum()
        longer = jnp.clip(jnp.abs(jnp.where(count % 2 == 0, long, short)), 1e-6, 1e3)
        length = jnp.where(falls, jnp.nan_to_num(longer, nan=1e-3), length / 4)
        return jnp.where(falls, following, m), jnp.where(falls, k_following, k), length, count + 1

    @jax.jit
    def descend(arguments, weight, m, tolerance):
        state = (m, torque(arguments, m), jnp.asarray(1e-3), jnp.asarray(0))
        return jax.lax.while_loop(
            lambda s: (jnp.abs(s[1]).max() > tolerance) & (s[3] < MAX_STEPS),
            lambda s: step(arguments, weight, s),
            state,
        )

    def minimum(arguments, weight, m, tolerance, name):
        m, k, _, count = descend(arguments, weight, jnp.asarray(m), tolerance)
        rest = float(jnp.abs(k).max())
        if not rest <= tolerance:
            raise UserError(
                f"{name}: found {tolerance:g}, but after {int(count)} steps the torque |m x H|/Ms is {rest:.2g}, "
                "allowed: a tolerance that can be reached"
            )
        return np.asarray(m)

    return minimum
