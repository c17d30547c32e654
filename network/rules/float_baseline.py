"""The same network with float weights and no device: what the devices are compared with.

Everything but the device is as in the device rules: network, optimiser, initial weights (uniform in -1 to 1, the same
words) and the clip to -1 to 1.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import optax

from network.model.layers import Synapses
from network.rules import base
from network.rules.base import Context, Keys, Rule, Shapes, Signals, bits, descend, uniform
from network.rules.capabilities import Costs, Devices
from network.synapse.sampling import Array
from spinloom.declare import Section


class Options(Section):
    """Options of float_baseline: none."""


class Memory(NamedTuple):
    """Digital memory of the rule."""

    weight: tuple[jax.Array, ...]  # float32[inputs, outputs] per layer
    optimizer: optax.OptState


class FloatBaseline(Rule[base.Options]):
    """Float weights, moved by the optimiser and clipped to -1 to 1."""

    name = "float_baseline"
    devices = Devices.NONE
    costs = Costs(reads_per_product=0)

    def init(self, keys: Keys, shapes: Shapes) -> tuple[Memory, None]:
        """Draw weights uniformly in -1 to 1."""
        weight = uniform(keys, shapes)
        return Memory(weight, self.optimizer.transform.init(weight)), None

    def weights(self, memory: Memory, arrays: tuple[Array, ...], context: Context) -> tuple[Synapses, ...]:
        """Return the float weights, read without noise."""
        return tuple(Synapses(weight) for weight in memory.weight)

    def propose(
        self, memory: Memory, arrays: tuple[Array, ...], signals: Signals, context: Context
    ) -> tuple[Memory, None]:
        """Take one optimiser step."""
        return Memory(*descend(self.optimizer.transform, memory.weight, memory.optimizer, signals.gradients)), None

    def memory_bits(self, memory: Memory) -> dict[str, int]:
        """Count the weights and the optimiser's moments."""
        return {"weights": bits(memory.weight), "optimizer": bits(memory.optimizer)}


RULE = FloatBaseline
