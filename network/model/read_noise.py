"""Deviates of read noise, from a table of the normal distribution's quantiles.

Reads take more random numbers than all else in a training: one for each column, image and place of a convolution. A
table of 65,536 equally likely values costs less than inverting the distribution for each. Its distribution differs
from the normal one by at most 2^-17; it ends at 4.3 standard deviations, and its kurtosis is 2.999.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float32
from scipy.special import ndtri

from network.synapse import random_words
from network.synapse.random_words import Key, Step

BITS = 16  # of a deviate: a sign and the place in the table
COLUMNS = 64  # of the words, in rows of one length: as narrow ones the compiler draws them one by one


def quantiles() -> Float32[np.ndarray, "32768"]:
    """Return the positive half of the values, rising, of variance 1."""
    half = 2 ** (BITS - 1)
    upper = ndtri(0.5 + (np.arange(half) + 0.5) / (2 * half))
    return (upper / np.sqrt(np.mean(upper**2))).astype(np.float32)


def deviates(key: Key, step: Step, shape: tuple[int, ...]) -> Float32[jax.Array, "..."]:
    """Return an array of ``shape`` of independent deviates of mean 0 and variance 1; key and step name them."""
    count = math.prod(shape)
    rows = -(-count // (4 * COLUMNS))
    table = jnp.asarray(quantiles())

    def value(word):
        size = table.at[(word & (len(table) - 1)).astype(jnp.int32)].get(mode="promise_in_bounds")
        return jnp.where((word >> (BITS - 1)) & 1 == 1, -size, size)

    def draw():
        words = jnp.concatenate(random_words.words(key, step, (rows, COLUMNS)), axis=1)
        return jnp.concatenate([value(words), value(words >> BITS)])

    # The condition always holds. It keeps XLA from fusing the draw into each of its uses in the forward and the
    # backward pass, which would repeat it.
    drawn = jax.lax.cond(jnp.asarray(step) >= 0, draw, lambda: jnp.zeros((2 * rows, 2 * COLUMNS), jnp.float32))
    return drawn.ravel()[:count].reshape(shape)
