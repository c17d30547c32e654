"""One pulse against the sign of the gradient, for each device whose gradient is large."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from calibration.card import Kind
from network.rules.base import Rule, uniform
from network.synapse.sampling import Plan
from spinloom.declare import Real, Section, key


class Options(Section):
    """What a study may say under ``network.rule_options``."""

    threshold: Real = key("Least gradient that is acted on, over the root mean square of its layer.", 1.0, ge=0, le=100)


class SignStep(Rule[Options]):
    """The rule: it trains devices in place, and is told gradients."""

    name = "sign_step"
    kinds = (Kind.STEPS, Kind.SWITCHING)  # of devices that a pulse moves from where they are

    def __init__(self, device, optimizer, options):
        super().__init__(device, optimizer, options)
        self.threshold = options.threshold
        self.needs(volatile=False)
        # a pulse is up or down by what it does to the weight on average, float64[pulses]
        step = np.mean(device.transition @ device.state_weight - device.state_weight, axis=1)
        self.up, self.down = int(step.argmax()), int(step.argmin())

    def pulses(self, up):
        """Return the pulse of each device, int16, one device per synapse."""
        return jnp.where(up, self.up, self.down).astype(jnp.int16)[None]

    def init(self, keys, shapes):
        """Give each device one pulse, up or down at random; the rule keeps no memory."""
        return (), tuple(Plan(self.pulses(v > 0), jnp.ones((1, *v.shape), bool)) for v in uniform(keys, shapes))

    def propose(self, memory, arrays, signals, context):
        """Return the pulses of a step."""
        plans = []
        for gradient in signals.gradients:  # float32[inputs, outputs] of each layer
            large = jnp.abs(gradient) > self.threshold * jnp.sqrt(jnp.mean(gradient**2))
            plans.append(Plan(self.pulses(gradient < 0), large[None]))
        return memory, tuple(plans)

    def memory_bits(self, memory):
        """Return the digital memory that the rule needs."""
        return {}


RULE = SignStep
