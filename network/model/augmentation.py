"""Training pictures that are moved a little and mirrored, each time anew: more of them than the data set has.

A picture is shifted by whole pixels, uniformly within ``shift_px`` along each side, black (0) coming in, and mirrored
left to right with a probability of a half. What happens to the picture at place i of step n follows from the run's
stream "augmentation" and (n, i) alone, so that all rules of one replicate see the same pictures. Pictures that test or
validate are left as they are.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from network.synapse import random_words


def augment(key: jax.Array, step: jax.Array | int, pictures: jax.Array, shift_px: int, mirror: bool) -> jax.Array:
    """Return moved pictures.

    Parameters
    ----------
    key : jax.Array, uint32[2]
        The stream (`network.synapse.random_words.stream`).
    step : int32
        Names the random numbers.
    pictures : jax.Array, uint8[batch, rows, columns, channels]
    shift_px : int
        Largest shift, at least 0.
    mirror : bool

    Returns
    -------
    jax.Array, uint8[batch, rows, columns, channels]
    """
    words = random_words.words(key, step, (len(pictures), 1))
    if mirror:  # the lowest bit: the shift is made of the upper 24
        turned = (words[0] & 1 == 1)[:, :, None, None]
        pictures = jnp.where(turned, pictures[:, :, ::-1], pictures)
    if not shift_px:
        return pictures
    wide = jnp.pad(pictures, ((0, 0), (shift_px, shift_px), (shift_px, shift_px), (0, 0)))
    down, right = ((random_words.fraction(word) * (2 * shift_px + 1)).astype(jnp.int32)[:, 0] for word in words)

    def cut(picture: jax.Array, row: jax.Array, column: jax.Array) -> jax.Array:
        return jax.lax.dynamic_slice(picture, (row, column, 0), pictures.shape[1:])

    return jax.vmap(cut)(wide, down, right)
