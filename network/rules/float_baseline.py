"""The same network with float weights and no device: what the devices are compared with.

Everything but the device is as in the device rules: network, optimiser, initial weights (uniform in -1 to 1, the same
words) and the clip to -1 to 1.

The learning rate is that of the weight w between -1 and 1, or of the true weight s w, s being the column value of one
input and weight 1 (``rate_of``). Gradient descent with the rate eta moves the true weight by -eta dLoss/d(s w) in the
second case and by s^2 times as much in the first, so that a layer of many inputs learns more slowly. Devices that get
outer products take the rate for that of the true weight.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeVar

import jax
import optax

from network.model.layers import Synapses
from network.model.optimizers import Optimizer
from network.rules.base import Context, Keys, Rule, Shapes, Signals, bits, descend, uniform
from network.rules.capabilities import Costs, Devices
from network.synapse.device import DeviceModel
from network.synapse.sampling import Array
from spinloom.declare import Section, key


class Options(Section):
    """Options of float_baseline."""

    rate_of: Literal["unit_weight", "true_weight"] = key(
        "What the learning rate applies to: the weight between -1 and 1, or the weight times its scale, as in "
        "outer products of devices.",
        "unit_weight",
    )


Own = TypeVar("Own", bound=Options)


class Memory(NamedTuple):
    """Digital memory of the rule."""

    weight: tuple[jax.Array, ...]  # float32[inputs, outputs] per layer
    optimizer: optax.OptState


class FloatBaseline(Rule[Own]):
    """Float weights, moved by the optimiser and clipped to -1 to 1."""

    name = "float_baseline"
    devices = Devices.NONE
    takes_weights = True
    costs = Costs(reads_per_product=0)

    def __init__(self, device: DeviceModel, optimizer: Optimizer, options: Own):
        super().__init__(device, optimizer, options)
        self.true = options.rate_of == "true_weight"

    def init(self, keys: Keys, shapes: Shapes) -> tuple[Memory, None]:
        """Draw weights uniformly in -1 to 1."""
        weight = uniform(keys, shapes)
        return Memory(weight, self.optimizer.transform.init(weight)), None

    def holding(self, weights: tuple[jax.Array, ...]) -> Memory:
        """Return ``weights``, float32[inputs, outputs] each, as memory."""
        return Memory(weights, self.optimizer.transform.init(weights))

    def weights(self, memory: Memory, arrays: tuple[Array, ...], context: Context) -> tuple[Synapses, ...]:
        """Return the float weights, read without noise."""
        return tuple(Synapses(weight) for weight in memory.weight)

    def propose(
        self, memory: Memory, arrays: tuple[Array, ...], signals: Signals, context: Context
    ) -> tuple[Memory, None]:
        """Take one optimiser step."""
        scales = signals.scales if self.true else None
        moved = descend(self.optimizer.transform, memory.weight, memory.optimizer, signals.gradients, scales)
        return Memory(*moved), None

    def memory_bits(self, memory: Memory) -> dict[str, int]:
        """Count the weights and the optimiser's moments."""
        return {"weights": bits(memory.weight), "optimizer": bits(memory.optimizer)}


RULE = FloatBaseline
