r"""Straight-through quantisation: a float shadow learns, the network sees it rounded to the nearest of L levels.

The quantised network of Hubara et al. (arXiv 1609.07061) in digital memory:

    w = the level nearest to a                             what the forward and the backward pass use
    g = dLoss/dw at w, taken for dLoss/da                  straight-through estimator
    a <- clip(a - optimiser(g), -1, 1)                     float memory, one per weight

The clip keeps a inside the range of the levels, so the estimator's window (no gradient beyond -1 and 1) has nothing
left to cut. Half way between two levels a counts as the lower.

``levels`` is L, even from -1 to 1; with null they are the nominal levels of the card, which need not be even: the
rounding that `accumulate_quantise_program` would do with a device that never fails and has no spread. The levels
themselves are not kept, they follow from a.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from calibration.card import Kind
from network.model.layers import Synapses
from network.model.optimizers import Optimizer
from network.rules import float_baseline
from network.rules.accumulate_quantise_program import lookup
from network.rules.base import Context
from network.rules.capabilities import Costs
from network.rules.float_baseline import FloatBaseline, Memory
from network.synapse.device import DeviceModel
from network.synapse.sampling import Array
from spinloom.declare import Whole, key
from spinloom.errors import UserError

MOST = 1024  # levels


class Options(float_baseline.Options):
    """Options of straight_through."""

    levels: Whole | None = key(
        "Number of levels, equally spaced from -1 to 1. With null, the levels that the card's pulses write.",
        None,
        ge=2,
        le=MOST,
    )


def grid(levels: int | None, device: DeviceModel, rule: str) -> np.ndarray:
    """Return the levels of a weight (float32[L], rising from -1 to 1).

    Parameters
    ----------
    levels : int or None
        The option.
    device : DeviceModel
    rule : str
        Its name, for the error.

    Raises
    ------
    UserError
        If the card has more than 1024 levels.
    """
    if levels is not None:
        return np.linspace(-1, 1, levels).astype(np.float32)
    level = np.unique(device.level)  # two pulses may aim at the same
    if len(level) > MOST:
        raise UserError(f"pulses.csv: found {len(level)} nominal levels, allowed: at most {MOST} for {rule}")
    return level


def count(ends: np.ndarray, value: jax.Array, side: str = "left") -> jax.Array:
    """Return how many of ``ends`` are below each value or, with ``side="right"``, not above it.

    Parameters
    ----------
    ends : ndarray, float32[n]
        Rising.
    value : jax.Array, float32[...]
    side : {"left", "right"}

    Returns
    -------
    jax.Array, int32[...]
    """
    # a few comparisons run several at a time on a CPU, many are worth a bisection
    method = "compare_all" if len(ends) <= 16 else "scan_unrolled"
    return jnp.searchsorted(jnp.asarray(ends), value, side=side, method=method).astype(jnp.int32)


def nearest(level: np.ndarray, value: jax.Array) -> jax.Array:
    """Return the number, int32[...], of the level nearest to each value; half way between two it is the lower.

    ``level``, float32[L], rises; ``value`` is float32[...].
    """
    return count((level[1:] + level[:-1]) / 2, value)


class StraightThrough(FloatBaseline[Options]):
    """See the module text."""

    name = "straight_through"
    kinds = (Kind.LEVELS,)

    def __init__(self, device: DeviceModel, optimizer: Optimizer, options: Options):
        super().__init__(device, optimizer, options)
        self.level = grid(options.levels, device, self.name)
        self.costs = Costs(reads_per_product=0, weight_bits=(len(self.level) - 1).bit_length())

    @classmethod
    def uses_card(cls, options: Options) -> bool:
        """Return whether the levels are those of the card."""
        return options.levels is None

    def weights(self, memory: Memory, arrays: tuple[Array, ...], context: Context) -> tuple[Synapses, ...]:
        """Return the levels nearest to the shadow weights, read without noise."""
        level = jnp.asarray(self.level)
        return tuple(Synapses(lookup(level, nearest(self.level, shadow))) for shadow in memory.weight)


RULE = StraightThrough
