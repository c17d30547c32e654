r"""Binary optimiser (Bop): a binary weight flips when the average of its gradient has been against it for long enough.

Helwegen et al. (arXiv 1906.02107), with the weight in a device instead of a bit. No float weight exists; with g the
gradient of the mean loss at the devices' own weights,

    m <- (1 - gamma) m + gamma g                           float memory, one per weight; 0 at first
    if |m| > tau and sign(m) = sign(w): give the device the pulse of the other level

``adaptivity`` is gamma, how fast the average follows; ``threshold`` is tau, how sure it must be. The average is not
reset by a flip. Neither is a learning rate: a flip is the only step there is. The optimiser serves the digital
parameters.

The card must have two pulses of different nominal levels; these are -1 and 1, and the sign of w is that of the device's
state about the middle between them. It is read once per step: a device whose write has failed is in the old state, and
gets the pulse again in the next step if its average still says so.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import NamedTuple

import jax
import jax.numpy as jnp

from calibration.card import Kind
from network.model.optimizers import Optimizer
from network.rules.base import Context, Keys, Rule, Shapes, Signals, bits, uniform
from network.rules.capabilities import Costs
from network.synapse.device import DeviceModel
from network.synapse.sampling import Array, Plan
from spinloom.declare import Real, Section, key
from spinloom.errors import UserError


class Options(Section):
    """Options of bop."""

    adaptivity: Real = key("How fast the average of the gradient follows the gradient (gamma).", 1e-4, ge=1e-9, le=1)
    threshold: Real = key("Size that the average must exceed to flip a weight (tau).", 1e-8, ge=0, le=1e3)


class Memory(NamedTuple):
    """Digital memory of the rule."""

    average: tuple[jax.Array, ...]  # float32[inputs, outputs] per layer


class Bop(Rule[Options]):
    """See the module text."""

    name = "bop"
    kinds = (Kind.LEVELS, Kind.SWITCHING)
    costs = Costs(state_reads_per_step=1)
    tunable = MappingProxyType({"adaptivity": (1e-6, 1e-2), "threshold": (1e-10, 1e-5)})

    def __init__(self, device: DeviceModel, optimizer: Optimizer, options: Options):
        super().__init__(device, optimizer, options)
        self.adaptivity, self.threshold = options.adaptivity, options.threshold
        self.needs(volatile=False, destructive_read=False)
        if len(device.pulses) != 2:
            raise UserError(
                f"pulses.csv: found {len(device.pulses)} pulses, allowed: 2 for {self.name}, one for each level "
                "(choose them with network.device.pulses)"
            )
        self.down, self.up = (int(pulse) for pulse in device.level_pulse)
        self.positive = jnp.asarray(device.state_weight > 0)  # bool[S]

    def towards(self, up: jax.Array) -> jax.Array:
        """Return the pulses, int16[...], that aim at the upper level where ``up``, bool[...], and else at the lower."""
        return jnp.where(up, self.up, self.down).astype(jnp.int16)

    def init(self, keys: Keys, shapes: Shapes) -> tuple[Memory, tuple[Plan, ...]]:
        """Ask for each device to be programmed up or down, at random."""
        values = uniform(keys, shapes)
        plans = tuple(Plan(self.towards(value > 0)[None], jnp.ones((1, *value.shape), bool)) for value in values)
        return Memory(tuple(jnp.zeros_like(value) for value in values)), plans

    def propose(
        self, memory: Memory, arrays: tuple[Array, ...], signals: Signals, context: Context
    ) -> tuple[Memory, tuple[Plan, ...]]:
        """Average, then flip what has been wrong for long."""
        averages, plans = [], []
        for array, old, gradient in zip(arrays, memory.average, signals.gradients, strict=True):
            average = (1 - self.adaptivity) * old + self.adaptivity * gradient
            positive = self.positive[array.state[0]]
            wrong = jnp.where(positive, average > self.threshold, average < -self.threshold)
            averages.append(average)
            plans.append(Plan(self.towards(~positive)[None], wrong[None]))
        return Memory(tuple(averages)), tuple(plans)

    def memory_bits(self, memory: Memory) -> dict[str, int]:
        """Count the averages."""
        return {"average": bits(memory.average)}


RULE = Bop
