"""Random numbers of the thermal field: Threefry, and normals of 16 bits made of its words."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import erfinv

BLOCK = 16  # steps whose noise is drawn at once
SCALE = np.float32(1 / np.sqrt((erfinv((np.arange(65536) - 32767.5) / 32768) ** 2).mean()))
ROTATIONS = np.array([[[10, 26], [11, 21]], [[13, 27], [23, 5]], [[6, 20], [17, 11]], [[25, 10], [18, 20]]], np.uint32)


def threefry(key, counter):
    """Return 128 random bits per counter: Threefry-4x32 with 20 rounds (Salmon et al., SC'11).

    Four rounds at a time in a loop, because XLA on CPU would compute earlier rounds again in each later one.

    Parameters
    ----------
    key, counter : sequences of four uint32 arrays of one shape

    Returns
    -------
    list of four uint32 arrays
    """
    key = [jnp.asarray(k) for k in key]
    key.append(key[0] ^ key[1] ^ key[2] ^ key[3] ^ jnp.uint32(0x1BD11BDA))
    rotations = jnp.asarray(ROTATIONS.reshape(2, 2, 2, 2))

    def turned(x, by):
        return (x << by) | (x >> (32 - by))

    def four_rounds(index, carry):
        x, key = carry
        for pair in rotations[index % 2]:
            x = [x[0] + x[1], x[1], x[2] + x[3], x[3]]
            x = [x[0], turned(x[1], pair[0, 0]) ^ x[0], x[2], turned(x[3], pair[0, 1]) ^ x[2]]
            x = [x[0] + x[3], x[1], x[2] + x[1], x[3]]
            x = [x[0], turned(x[1], pair[1, 1]) ^ x[2], x[2], turned(x[3], pair[1, 0]) ^ x[0]]
        key = key[1:] + key[:1]
        x = [word + k for word, k in zip(x, key)]
        return [*x[:3], x[3] + (index + 1).astype(jnp.uint32)], key

    start = [jnp.asarray(c) + k for c, k in zip(counter, key)]
    return jax.lax.fori_loop(0, 5, four_rounds, (start, key))[0]


def normals(keys, block, dtype, moment=0):
    """Return the normals of a block of steps, ``[BLOCK, 3, lanes]``.

    Six halves of words, of 16 bits each, serve two steps: the midpoints of 65536 equally likely intervals of the normal
    distribution, scaled to variance 1 (the largest is 4.3, the kurtosis 2.999).
    """
    shape = (BLOCK // 2, keys.shape[1])
    count = jax.lax.broadcasted_iota(jnp.uint32, shape, 0) + (block * (BLOCK // 2)).astype(jnp.uint32)
    zero = jnp.zeros(shape, jnp.uint32)
    words = threefry([jnp.broadcast_to(k, shape) for k in keys], [count, zero + np.uint32(moment), zero, zero])
    halves = jnp.stack([half for word in words[:3] for half in (word >> 16, word & 0xFFFF)], 1)
    quantile = (halves.astype(jnp.float32) - np.float32(32767.5)) / np.float32(32768)
    return (SCALE * jax.lax.erf_inv(quantile)).reshape(BLOCK, 3, -1).astype(dtype)
