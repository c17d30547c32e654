"""Effective-field terms, one file each, in reduced units: h = H / Ms for a unit magnetisation.

A vector field is a triple of ``[ny, nx]`` arrays: stacked arrays inside an expression keep XLA on CPU from
vectorising it (four times slower). Cells outside the mask carry m = 0, so that no bond reaches outside.
"""

import jax
import jax.numpy as jnp

Triple = tuple[jax.Array, jax.Array, jax.Array]


def shifted(m: Triple) -> tuple[Triple, Triple, Triple, Triple]:
    """Return m's neighbours ``(left, right, below, above)``, zero beyond the box."""
    p = [jnp.pad(c, 1) for c in m]
    return (
        tuple(c[1:-1, :-2] for c in p),
        tuple(c[1:-1, 2:] for c in p),
        tuple(c[:-2, 1:-1] for c in p),
        tuple(c[2:, 1:-1] for c in p),
    )


def cross(a: Triple, b: Triple) -> Triple:
    """Return a x b."""
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


def total(*fields: Triple) -> Triple:
    """Return the sum of fields."""
    return tuple(sum(components[1:], start=components[0]) for components in zip(*fields))
