"""Effective-field terms, one file each, in reduced units: h = H / Ms0 for a unit magnetisation.

Ms0 is the material's Ms; where Ms differs from cell to cell, that is part of the coefficients. A file has ``prepare``,
which makes coefficients (numbers if the material is uniform, else arrays over cells) once, and ``field``.

A vector field is a triple of arrays over cells: stacked arrays inside an expression keep XLA on CPU from
vectorising it (four times slower). Cells outside the mask carry m = 0, so that no bond reaches outside.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float

from device_sims.problem import Vector

Scalar = float | Float[Array | np.ndarray, ""]
Cells = Float[Array | np.ndarray, "nz ny nx"]
Triple = tuple[Cells, Cells, Cells]
Coefficient = Scalar | Cells  # a number where the material is uniform


class Neighbours(NamedTuple):
    """m of the cells at the six sides of each cell, zero beyond the box; None along z if there is one layer."""

    left: Triple
    right: Triple
    below: Triple
    above: Triple
    under: Triple | None
    over: Triple | None


def neighbours(m: Triple) -> Neighbours:
    """Return m of the neighbours."""
    layers = m[0].shape[0]
    p = [jnp.pad(c, ((int(layers > 1),) * 2, (1, 1), (1, 1))) for c in m]
    z = slice(1, -1) if layers > 1 else slice(None)

    def cut(*window: slice) -> Triple:
        return p[0][window], p[1][window], p[2][window]

    inner = slice(1, -1)
    return Neighbours(
        cut(z, inner, slice(None, -2)),
        cut(z, inner, slice(2, None)),
        cut(z, slice(None, -2), inner),
        cut(z, slice(2, None), inner),
        cut(slice(None, -2), inner, inner) if layers > 1 else None,
        cut(slice(2, None), inner, inner) if layers > 1 else None,
    )


def bonds(
    values: Coefficient, mask: Bool[np.ndarray, "nz ny nx"], mean: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> list[Coefficient]:
    """Return the value of the bond at each side, in the order of `Neighbours`.

    It is ``values`` itself if that is a number, else ``mean`` of the two cells'. Bonds to cells outside the mask or the
    box are zero in arrays; with a number, m = 0 there does the same.
    """
    if not isinstance(values, np.ndarray):
        return [values] * 6
    inside, padded = np.pad(mask, 1), np.pad(values, 1)
    inner = (slice(1, -1),) * 3
    sides = []
    for axis in (2, 1, 0):
        for shift in (1, -1):
            there = np.roll(inside, shift, axis)[inner] & mask
            sides.append(np.where(there, mean(values, np.roll(padded, shift, axis)[inner]), 0.0))
    return sides


def cross(a: Triple, b: Triple | Vector) -> Triple:
    """Return a x b."""
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


def total(first: Triple, *others: Triple) -> Triple:
    """Return the sum of fields."""
    x, y, z = first
    for other in others:
        x, y, z = x + other[0], y + other[1], z + other[2]
    return x, y, z
