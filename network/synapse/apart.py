"""Keep the compiler from joining what is faster apart.

XLA fuses what makes an array into each of its uses. An array that is used twice is then made twice, and one that is
laid out anew (packed, concatenated) is worked out one element at a time, each from its index.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp

from network.synapse.random_words import Step

Made = TypeVar("Made")


def apart(step: Step, make: Callable[[], Made]) -> Made:
    """Return ``make()``, arrays of any shapes, computed by itself and once; ``step`` is any number from 0."""

    def nothing() -> Made:
        return jax.tree.map(lambda one: jnp.zeros(one.shape, one.dtype), jax.eval_shape(make))

    # the condition always holds, which XLA does not know
    return jax.lax.cond(jnp.asarray(step) >= 0, make, nothing)
