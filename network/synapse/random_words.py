"""Counter-based random words, written so that XLA fuses them into the code that uses them.

Threefry-2x32 with 20 rounds (Salmon, Moraes, Dror, Shaw, SC'11): a block cipher turns the counter (step, position)
into two 32-bit words. Nothing is stored, so a run can be resumed at any step, and a synapse's words do not depend on
which other synapses are looked at. The generators that come with JAX compile and run several times slower on a CPU
in this place, because their loops cannot be fused.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float32, Integer, UInt32

from spinloom.streams import Name, digest

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = np.uint32(0x1BD11BDA)
# Giles's coefficients for -ln(1 - u^2) below 5 and above, highest power first
CENTRE = (2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 2.1858087e-04, -1.25372503e-03,
          -4.17768164e-03, 0.246640727, 1.50140941)  # fmt: skip
TAIL = (-2.00214257e-04, 1.00950558e-04, 1.34934322e-03, -3.67342844e-03, 5.73950773e-03, -7.6224613e-03,
        9.43887047e-03, 1.00167406, 2.83297682)  # fmt: skip
COUNTERS = 64  # in a row where the shape is ours to choose

# as text, so that a study is planned without JAX
Key: TypeAlias = 'UInt32[jax.Array, "2"]'  # of a stream
Step: TypeAlias = 'int | Integer[jax.Array, ""]'  # how often the stream was used before
Words: TypeAlias = 'UInt32[jax.Array, "*shape"]'
Pair: TypeAlias = 'tuple[UInt32[jax.Array, "..."], UInt32[jax.Array, "..."]]'


def threefry2x32(key: Pair, counter: Pair) -> Pair:
    """Encrypt counters; key and counter broadcast against each other."""
    schedule = (key[0], key[1], key[0] ^ key[1] ^ PARITY)
    a, b = counter[0] + schedule[0], counter[1] + schedule[1]
    for block in range(5):
        for rotation in ROTATIONS[block % 2]:
            a = a + b
            b = ((b << np.uint32(rotation)) | (b >> np.uint32(32 - rotation))) ^ a
        a = a + schedule[(block + 1) % 3]
        b = b + schedule[(block + 2) % 3] + np.uint32(block + 1)
    return a, b


def stream(*name: Name) -> Key:
    """Return the key of a named stream (`spinloom.streams`), its first 64 bits."""
    return jnp.asarray(digest(*name)[:2])


def words(
    key: Key, step: Step, shape: tuple[int, ...], rows: Integer[jax.Array, " rows"] | None = None
) -> tuple[UInt32[jax.Array, "rows columns"], UInt32[jax.Array, "rows columns"]]:
    """Return two random words for each position.

    Parameters
    ----------
    key, step
        Name the words.
    shape : tuple
        (rows, columns); up to 2^32 positions.
    rows : optional
        Numbers of the rows wanted, if they are not 0, 1, ...: a row has the same words alone and among others.
    """
    rows = jax.lax.iota(jnp.uint32, shape[0]) if rows is None else rows.astype(jnp.uint32)
    return words_at(key, step, rows[:, None] * jnp.uint32(shape[1]) + jax.lax.iota(jnp.uint32, shape[1])[None, :])


def words_at(key: Key, step: Step, place: Integer[jax.Array, "*shape"]) -> tuple[Words, Words]:
    """Return two random words for each of ``place``, the same alone and among others."""
    place, step = place.astype(jnp.uint32), jnp.asarray(step).astype(jnp.uint32)
    one = (1,) * place.ndim
    return threefry2x32(
        (key[0].reshape(one), key[1].reshape(one)), (jnp.broadcast_to(step.reshape(one), place.shape), place)
    )


def fraction(word: Words) -> Float32[jax.Array, "*shape"]:
    """Return the upper 24 bits of words as a number from 0 to below 1, exactly."""
    # by way of int32: processors have no instruction that converts several unsigned numbers at a time
    return (word >> 8).astype(jnp.int32).astype(jnp.float32) * jnp.float32(2**-24)


def uniform(word: Words) -> Float32[jax.Array, "*shape"]:
    """Map words to a uniform deviate of mean 0 and sd 1."""
    signed = jax.lax.bitcast_convert_type(word, jnp.int32).astype(jnp.float32)
    return (signed + 0.5) * jnp.float32(12**0.5 / 2**32)


def inverted(word: Words) -> Float32[jax.Array, "*shape"]:
    """Map words to standard normal deviates by the inverse of the distribution at their upper 23 bits.

    sqrt(2) erf^-1(u) with the two polynomials in -ln(1 - u^2) of Giles (GPU Computing Gems, 2012, chapter 10). XLA's
    own forms 1 - u^2 from the rounded u^2, which costs it digits in the tails; here 1 - u and 1 + u are exact.
    """
    # 23 bits and a half: exact in float32 and never -1 or 1, so the deviate is finite (at most 5.3)
    u = ((word >> 9).astype(jnp.int32).astype(jnp.float32) + 0.5) * jnp.float32(2**-22) - 1
    w = -jnp.log((1 - u) * (1 + u))
    centre, tail = w - 2.5, jnp.sqrt(w) - 3
    value = jnp.where(w < 5, jnp.float32(CENTRE[0]), jnp.float32(TAIL[0]))
    x = jnp.where(w < 5, centre, tail)
    for one, other in zip(CENTRE[1:], TAIL[1:], strict=True):
        value = jnp.where(w < 5, jnp.float32(one), jnp.float32(other)) + value * x
    return jnp.float32(2**0.5) * value * u


def normal(key: Key, step: Step, shape: tuple[int, ...]) -> Float32[jax.Array, "..."]:
    """Return an array of ``shape`` of standard normal deviates by inversion."""
    count = math.prod(shape)
    # rows of a fixed length, whatever the shape: as narrow ones the compiler draws them one by one, seven times slower
    rows = -(-count // (2 * COUNTERS))

    def draw():
        return inverted(jnp.concatenate(words(key, step, (rows, COUNTERS)), axis=1))

    # The condition always holds. It keeps XLA from fusing the draw into each of its uses in the forward and the
    # backward pass, which would repeat it (a step then took four times as long).
    drawn = jax.lax.cond(jnp.asarray(step) >= 0, draw, lambda: jnp.zeros((rows, 2 * COUNTERS), jnp.float32))
    return drawn.ravel()[:count].reshape(shape)
