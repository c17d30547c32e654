r"""Binary junctions that switch with a probability proportional to the gradient.

After Mondal and Srivastava (arXiv 1806.09057): the step of gradient descent is a probability,

    P_ij = rate |g_ij|,        direction against the sign of g,

with g the gradient of the mean loss. For one image g_ij = x_i delta_j, and a whole crossbar is written at once: the
duration of row i's pulse is proportional to x_i, and the voltage of column j makes the rate proportional to delta_j.
For a batch g is a sum of such products, formed row by row and written at once: nothing is kept between steps. No state
is read: a device that is in the wanted state already gets its pulse as well.

``devices`` junctions make one weight (their mean). Each gets the same command and switches by itself, so the noise of
the weight falls with their number: over n steps of gradient g the weight of one junction drifts by 2 n P and diffuses
by 2 sqrt(n P); with M junctions the diffusion is 2 sqrt(n P / M).

``normalise: layer`` divides the gradient of each layer by its root mean square, one number per layer.
"""

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp

from calibration.card import Kind
from network.model.optimizers import Optimizer
from network.rules.base import Context, Keys, Rule, Shapes, Signals, uniform
from network.synapse import junctions, pulse_ladder
from network.synapse.device import DeviceModel
from network.synapse.sampling import Array, Plan
from network.synapse.turns import Turns
from spinloom.declare import Real, Whole, key


class Options(pulse_ladder.Options):
    """Options of outer_product_probability."""

    devices: Whole = key("Number of junctions in a weight. The weight is their mean.", 1, ge=1, le=64)
    gain: Real = key("Factor on the learning rate, for the devices only.", 1.0, ge=1e-9, le=1e9)
    normalise: Literal["none", "layer"] = key(
        "With `layer`, the gradient of each layer is divided by its root mean square.", "none"
    )


class OuterProductProbability(Rule[Options]):
    """See the module text. The optimiser serves the digital parameters; the devices take its learning rate alone."""

    name = "outer_product_probability"
    kinds = (Kind.SWITCHING,)
    scale = "states"

    def __init__(self, device: DeviceModel, optimizer: Optimizer, options: Options):
        super().__init__(device, optimizer, options)
        self.needs(states=2, volatile=False, destructive_read=False)
        self.mix = (1.0 / options.devices,) * options.devices
        self.gain, self.normalise = options.gain, options.normalise
        self.ladder = pulse_ladder.make(device, options.predistortion, options.voltage_V)
        self.junctions = junctions.make(device, self.ladder, options.dither)

    @classmethod
    def effort(cls, options: Options) -> tuple[float, float]:
        """Return the work of a weight at each use and at each step, as measured in batches of 32 and 128."""
        return 2.0, 220.0

    def init(self, keys: Keys, shapes: Shapes) -> tuple[tuple, tuple[Plan, ...]]:
        """Ask for each junction to be programmed on or off, at random."""
        plans = []
        for stream, shape in zip(keys, shapes, strict=True):
            (value,) = uniform((stream,), ((len(self.mix) * shape[0], shape[1]),))
            on = value.reshape(len(self.mix), *shape) > 0
            strongest = jnp.where(on, self.ladder.strongest[0], self.ladder.strongest[1])
            plans.append(Plan(strongest, jnp.ones(on.shape, bool)))
        return (), tuple(plans)

    def propose(
        self, memory: tuple, arrays: tuple[Array, ...], signals: Signals, context: Context
    ) -> tuple[tuple, tuple[Turns, ...]]:
        """Give each junction a pulse of the wanted probability."""
        rate, plans = self.gain * self.optimizer.rate(context.step), []
        for stream, array, gradient in zip(context.keys, arrays, signals.gradients, strict=True):
            if self.normalise == "layer":
                gradient = gradient * jax.lax.rsqrt(jnp.mean(gradient * gradient) + 1e-30)
            strength = rate * jnp.abs(gradient)
            plans.append(
                Turns(junctions.draw(self.junctions, stream, context.step, gradient > 0, strength, array.state))
            )
        return memory, tuple(plans)

    def memory_bits(self, memory: tuple) -> dict[str, int]:
        """Return no memory: there is none per synapse."""
        return {}


RULE = OuterProductProbability
