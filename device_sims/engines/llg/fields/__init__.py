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
from jaxtyping import Bool, Float, Shaped

from device_sims.problem import Vector

Scalar = float | Float[Array | np.ndarray, ""]
Cells = Float[Array | np.ndarray, "nz ny nx"]
Triple = tuple[Cells, Cells, Cells]
Coefficient = Scalar | Cells  # a number where the material is uniform


class Neighbours(NamedTuple):
    """m of the cells at the six sides of each cell; None along z if there is one layer.

    Beyond the box m is zero, or in a periodic direction that of the other end.
    """

    left: Triple
    right: Triple
    below: Triple
    above: Triple
    under: Triple | None
    over: Triple | None


Wraps = tuple[bool, bool, bool]  # `Mesh.wraps`: whether the box goes on at its other end, along z, y, x
OPEN = (False, False, False)


def neighbours(m: Triple, wraps: Wraps = OPEN) -> Neighbours:
    """Return m of the neighbours."""
    layers = m[0].shape[0]
    p = [_padded(c, int(layers > 1), wraps) for c in m]
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


def _padded(c: Cells, layers: int, wraps: Wraps) -> Array:
    if not any(wraps):
        return jnp.pad(c, ((layers, layers), (1, 1), (1, 1)))
    c = jnp.pad(c, ((layers, layers), (0, 0), (0, 0)))
    for axis in (1, 2):
        width = [(int(axis == i),) * 2 for i in range(3)]
        c = jnp.pad(c, width, mode="wrap" if wraps[axis] else "constant")
    return c


def bonds(
    values: Coefficient,
    mask: Bool[np.ndarray, "nz ny nx"],
    mean: Callable[[np.ndarray, np.ndarray], np.ndarray],
    wraps: Wraps = OPEN,
) -> list[Coefficient]:
    """Return the value of the bond at each side, in the order of `Neighbours`.

    It is ``values`` itself if that is a number, else ``mean`` of the two cells'. Bonds to cells outside the mask or the
    box are zero in arrays; with a number, m = 0 there does the same.
    """
    if not isinstance(values, np.ndarray):
        return [values] * 6
    sides = []
    for axis, shift in SIDES:
        there = beside(mask, axis, shift, wraps) & mask
        sides.append(np.where(there, mean(values, beside(values, axis, shift, wraps)), 0.0))
    return sides


SIDES = tuple((axis, shift) for axis in (2, 1, 0) for shift in (1, -1))  # of an array, in the order of `Neighbours`


def beside(
    values: Shaped[np.ndarray, "nz ny nx"], axis: int, shift: int, wraps: Wraps
) -> Shaped[np.ndarray, "nz ny nx"]:
    """Return the values of the cells at one of the `SIDES`, zero (or False) beyond the box's ends."""
    there = np.roll(values, shift, axis)
    if not wraps[axis]:
        there[(slice(None),) * axis + (0 if shift > 0 else -1,)] = 0
    return there


def cross(a: Triple, b: Triple | Vector) -> Triple:
    """Return a x b."""
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


def total(first: Triple, *others: Triple) -> Triple:
    """Return the sum of fields."""
    x, y, z = first
    for other in others:
        x, y, z = x + other[0], y + other[1], z + other[2]
    return x, y, z
