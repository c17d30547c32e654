"""Effective-field terms, one file each, in reduced units: h = H / Ms0 for a unit magnetisation.

Ms0 is the material's Ms; where Ms differs from cell to cell, that is part of the coefficients. A file has ``prepare``,
which makes coefficients (numbers if the material is uniform, else arrays over cells) once, and ``field``.

A vector field is a triple of ``[nz, ny, nx]`` arrays: stacked arrays inside an expression keep XLA on CPU from
vectorising it (four times slower). Cells outside the mask carry m = 0, so that no bond reaches outside.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

Triple = tuple[jax.Array, jax.Array, jax.Array]


class Sides(NamedTuple):
    """One thing for each of a cell's six sides: a neighbour's m, or a bond's strength."""

    left: object
    right: object
    below: object
    above: object
    under: object
    over: object


def neighbours(m: Triple) -> Sides:
    """Return m of the neighbours as triples, zero beyond the box; None along z if there is one layer."""
    layers = m[0].shape[0]
    p = [jnp.pad(c, ((int(layers > 1),) * 2, (1, 1), (1, 1))) for c in m]
    z = slice(1, -1) if layers > 1 else slice(None)

    def cut(*window):
        return tuple(c[window] for c in p)

    inner = slice(1, -1)
    return Sides(
        cut(z, inner, slice(None, -2)),
        cut(z, inner, slice(2, None)),
        cut(z, slice(None, -2), inner),
        cut(z, slice(2, None), inner),
        cut(slice(None, -2), inner, inner) if layers > 1 else None,
        cut(slice(2, None), inner, inner) if layers > 1 else None,
    )


def bonds(values, mask: np.ndarray, mean) -> Sides:
    """Return the value of the bond at each side: ``values`` itself if a number, else ``mean`` of the two cells'.

    Bonds to cells outside the mask or the box are zero in arrays; with a number, m = 0 there does the same.
    """
    if np.ndim(values) == 0:
        return Sides(*[values] * 6)
    inside, padded = np.pad(mask, 1), np.pad(values, 1)
    inner = (slice(1, -1),) * 3
    sides = []
    for axis in (2, 1, 0):
        for shift in (1, -1):
            there = np.roll(inside, shift, axis)[inner] & mask
            sides.append(np.where(there, mean(values, np.roll(padded, shift, axis)[inner]), 0.0))
    return Sides(*sides)


def cross(a: Triple, b: Triple) -> Triple:
    """Return a x b."""
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


def total(*fields: Triple) -> Triple:
    """Return the sum of fields."""
    return tuple(sum(components[1:], start=components[0]) for components in zip(*fields))
