r"""How often a volatile wire fires in N measurements: binomial numbers, drawn without drawing the measurements.

Up to 16 measurements take one random word, by inversion: with p the smaller of P and 1 - P,

    P(0) = (1 - p)^n,     P(k + 1) = P(k) (n - k) p / ((k + 1)(1 - p))

and the number that fire is the number of sums of these that the word's fraction reaches. p of at most a half keeps
P(0) above 2^-16. Sums and words are float32: probabilities are exact to 2e-7. More measurements are 16 at a time.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from network.synapse import random_words

AT_ONCE = 16


def measure(key: jax.Array, step: jax.Array | int, probability: jax.Array, number: int) -> jax.Array:
    """Return Binomial(number, probability) / number for each value.

    Parameters
    ----------
    key, step : uint32[2], int32[]
        Name the random numbers.
    probability : jax.Array, float32[rows, columns]
    number : int
        At least 1.

    Returns
    -------
    jax.Array, float32[rows, columns]
    """
    rows, shape = jax.lax.iota(jnp.uint32, len(probability)), probability.shape
    likely = probability > 0.5
    small = jnp.where(likely, 1 - probability, probability)
    odds = small / (1 - small)

    def words(pair: jax.Array | int) -> tuple[jax.Array, jax.Array]:
        return random_words.words(key, step, shape, jnp.uint32(pair) * jnp.uint32(len(probability)) + rows)

    def fired(word: jax.Array, size: int) -> jax.Array:
        chance, count = random_words.fraction(word), jnp.zeros(shape, jnp.float32)
        below = each = jax.lax.integer_pow(1 - small, size)
        for k in range(size):
            count = count + (chance >= below)
            each = each * odds * jnp.float32((size - k) / (k + 1))
            below = below + each
        return count

    blocks, rest = divmod(number, AT_ONCE)
    pairs, odd = divmod(blocks, 2)
    total = jnp.zeros(shape, jnp.float32)
    if pairs:

        def more(pair, total):
            first, second = words(pair)
            return total + fired(first, AT_ONCE) + fired(second, AT_ONCE)

        total = jax.lax.fori_loop(0, pairs, more, total)
    sizes = [AT_ONCE] * odd + [rest] * bool(rest)
    if sizes:
        total = sum(map(fired, words(pairs), sizes), total)
    return jnp.where(likely, number - total, total) / number
