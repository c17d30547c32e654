"""Arithmetic on the product of the cells' unit spheres: distances, shortest arcs, tangent vectors.

Vectors are ``[..., 3, nz, ny, nx]``; ``weight`` is Ms/Ms0 in each cell, 0 where there is no material.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

Vectors = Float[Array | np.ndarray, "... 3 nz ny nx"]
Cells = Float[Array | np.ndarray, "nz ny nx"]


def angles(a: Vectors, b: Vectors) -> Float[Array | np.ndarray, "... nz ny nx"]:
    """Return the angle between the two in each cell, rad: exact near 0, where arccos is not."""
    return 2 * jnp.arcsin(jnp.clip(jnp.sqrt(((a - b) ** 2).sum(-4)) / 2, 0, 1))


def distance(a: Vectors, b: Vectors, weight: Cells) -> Float[Array | np.ndarray, "..."]:
    """Return the geodesic distance, rad times the root of cells."""
    return jnp.sqrt((weight * angles(a, b) ** 2).sum((-3, -2, -1)))


def inner(u: Vectors, v: Vectors, weight: Cells) -> Float[Array | np.ndarray, "..."]:
    """Return the scalar product of tangent vectors."""
    return (weight * u * v).sum((-4, -3, -2, -1))


def tangent(v: Vectors, m: Vectors) -> Any:
    """Return the part of ``v`` at right angles to ``m``."""
    return v - (v * m).sum(-4, keepdims=True) * m


def moved(m: Vectors, v: Vectors) -> Any:
    """Return where the great circles along the tangent vectors ``v`` (rad) lead."""
    angle = jnp.sqrt((v**2).sum(-4, keepdims=True))
    sinc = jnp.where(angle > 1e-12, jnp.sin(angle) / jnp.where(angle > 1e-12, angle, 1.0), 1.0)
    there = jnp.cos(angle) * m + sinc * v
    norm = jnp.sqrt((there**2).sum(-4, keepdims=True))
    return there / jnp.where(norm > 0, norm, 1.0)


def between(a: np.ndarray, b: np.ndarray, share: float) -> np.ndarray:
    """Return the point after ``share`` of the shortest arcs from ``a`` to ``b``.

    Opposite cells turn through one direction, the same for all of them: that at right angles to their own which is
    nearest to (0.8, 0.6, 0) turned by no symmetry of a film.

    Parameters
    ----------
    a, b : ndarray, float64[3, nz, ny, nx]
    share : float
        0 to 1.

    Returns
    -------
    ndarray, float64[3, nz, ny, nx]
    """
    side = b - (a * b).sum(0) * a
    helper = np.reshape([0.8, 0.6, 0.0], (3, 1, 1, 1)) * (np.abs(a).sum(0) > 0)
    helper = helper - (a * helper).sum(0) * a
    opposite = (side**2).sum(0) < 1e-12
    side = np.where(opposite & ((a * b).sum(0) < 0), helper, side)
    norm = np.sqrt((side**2).sum(0))
    side = side / np.where(norm > 0, norm, 1.0)
    angle = np.asarray(angles(a, b)) * share
    return np.cos(angle) * a + np.sin(angle) * side
