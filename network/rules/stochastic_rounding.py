r"""Stochastic rounding: the weight is one of L levels and nothing else, and a step is rounded to the grid at random.

After Gupta et al. (arXiv 1502.02551); without a float copy of the weights as in Zhao et al. (arXiv 2412.04787). Digital
memory of ceil(log2 L) bits holds the number of each weight's level. With d the change that the optimiser proposes and
t = clip(w + d, -1, 1) between the levels a <= t < b,

    P(w <- b) = (t - a) / (b - a),       P(w <- a) = 1 - that,       E[w] = t

for levels at any distance. The change is counted from w outwards, whole gaps first: a change far below the resolution
of w as a float keeps its probability, realised to 2^-32. The noise of a step is Var[w] = (t - a)(b - t): a weight that
is to move by little moves seldom and by a whole gap.

``levels`` is L, even from -1 to 1; with null they are the nominal levels of the card. The optimiser's moments are float
memory per weight, if it has any (sgd without momentum has none); the rule has none.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from calibration.card import Kind
from network.model.layers import Synapses
from network.model.optimizers import Optimizer
from network.rules.accumulate_quantise_program import lookup
from network.rules.base import Context, Keys, Rule, Shapes, Signals, bits, uniform
from network.rules.capabilities import Costs, Devices
from network.rules.straight_through import Options, count, grid, nearest
from network.synapse import random_words
from network.synapse.device import DeviceModel
from network.synapse.sampling import Array


class Memory(NamedTuple):
    """Digital memory of the rule."""

    level: tuple[
        jax.Array, ...
    ]  # uint8 or, of more than 256 levels, uint16[inputs, outputs] per layer: number of the weight's level
    optimizer: optax.OptState


def aim(level: np.ndarray, held: jax.Array, change: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Split changes into whole gaps and the chance of one more.

    Parameters
    ----------
    level : ndarray, float32[L]
        Rising.
    held : jax.Array, int32[...]
        Number of the level of each weight.
    change : jax.Array, float32[...]
        Proposed for each weight.

    Returns
    -------
    sure, further : jax.Array, int32[...]
        Numbers of the levels on either side of what is wanted, as seen from the one held; equal at the end of the grid.
    chance : jax.Array, float32[...]
        Of ``further``, 0 to 1.
    """
    table = jnp.asarray(level)
    weight = lookup(table, held)
    target = weight + change
    rising = change > 0
    # levels passed on the way, the last one included if it is hit
    above, below = count(level, target, "right") - 1, count(level, target, "left")
    sure = jnp.where(rising, jnp.maximum(above, held), jnp.minimum(below, held))
    sure = jnp.clip(sure, 0, len(level) - 1)
    further = jnp.clip(sure + jnp.where(rising, 1, -1), 0, len(level) - 1)
    at = lookup(table, sure)
    left, gap = jnp.abs(change) - jnp.abs(at - weight), jnp.abs(lookup(table, further) - at)
    return sure, further, jnp.where(gap > 0, jnp.clip(left / jnp.where(gap > 0, gap, 1), 0, 1), 0)


def falls(word: jax.Array, chance: jax.Array) -> jax.Array:
    """Return whether random words, uint32[...], fall into ``chance``, float32[...] in 0 to 1, to 2^-32."""
    return (word < (chance * jnp.float32(2**32)).astype(jnp.uint32)) | (chance >= 1)


class StochasticRounding(Rule[Options]):
    """See the module text."""

    name = "stochastic_rounding"
    kinds = (Kind.LEVELS,)
    devices = Devices.NONE

    def __init__(self, device: DeviceModel, optimizer: Optimizer, options: Options):
        super().__init__(device, optimizer, options)
        self.level = grid(options.levels, device, self.name)
        self.costs = Costs(reads_per_product=0, weight_bits=(len(self.level) - 1).bit_length())
        self.type = np.uint8 if len(self.level) <= 256 else np.uint16

    @classmethod
    def uses_card(cls, options: Options) -> bool:
        """Return whether the levels are those of the card."""
        return options.levels is None

    def init(self, keys: Keys, shapes: Shapes) -> tuple[Memory, None]:
        """Draw weights uniformly in -1 to 1 and round them to the nearest level."""
        values = uniform(keys, shapes)
        held = tuple(nearest(self.level, value).astype(self.type) for value in values)
        return Memory(held, self.optimizer.transform.init(values)), None

    def weights(self, memory: Memory, arrays: tuple[Array, ...], context: Context) -> tuple[Synapses, ...]:
        """Return the levels, read without noise."""
        level = jnp.asarray(self.level)
        return tuple(Synapses(lookup(level, held.astype(jnp.int32))) for held in memory.level)

    def propose(
        self, memory: Memory, arrays: tuple[Array, ...], signals: Signals, context: Context
    ) -> tuple[Memory, None]:
        """Round one optimiser step to the grid."""
        weights = tuple(entry.value for entry in self.weights(memory, arrays, context))
        changes, optimizer = self.optimizer.transform.update(signals.gradients, memory.optimizer, weights)
        moved = []
        for key, held, change in zip(context.keys, memory.level, changes, strict=True):
            word, _ = random_words.words(key, context.step, change.shape)
            sure, further, chance = aim(self.level, held.astype(jnp.int32), change)
            moved.append(jnp.where(falls(word, chance), further, sure).astype(self.type))
        return Memory(tuple(moved), optimizer), None

    def memory_bits(self, memory: Memory) -> dict[str, int]:
        """Count ceil(log2 L) bits per weight, and the optimiser's moments."""
        weights = self.costs.weight_bits * sum(held.size for held in memory.level)
        return {"weights": weights, "optimizer": bits(memory.optimizer)}


RULE = StochasticRounding
