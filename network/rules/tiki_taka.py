r"""Tiki-Taka: a fast array takes the gradient, a slow one what the fast one holds on to.

Gokmen and Haensch, Front. Neurosci. 14, 103 (2020), first version. A weight is two devices of one kind,

    w = gamma (A - A_ref) + C.

Every image pulses A with the trains of `stochastic_coincidence`, E[s dA] = -rate x delta. Every ``transfer_every``
steps A is read, and C gets

    n = round(lambda (A - A_ref) / Dw)                   lambda: ``transfer_rate``

pulses, up for a positive n and down for a negative one, Dw being their mean step. A's reference is its symmetry point,
where a pulse up moves it as far as a pulse down. Pulses that come as often up as down pull A back there, so that A
forgets what was noise and C learns what was not. That takes devices whose steps depend on their weight; A of devices
with equal steps forgets nothing, and C is then an integral over an integral which only gamma > 0 damps.

The symmetry point comes from the card: with T_up and T_down the kernels of the two pulses and pi the distribution that
(T_up + T_down)/2 leaves as it is (`symmetry_points`), A_ref is the mean weight under pi. That is what shifting the zero
in the laboratory does, a long run of alternating pulses (Kim et al., arXiv 1907.10228), and if the mean step falls
linearly with the weight it is exactly the weight at which the two steps are equal. Each named instance has its own, by
its kernels (if the card has them), factor and offset; it is subtracted without error.

All columns are transferred at once, as often as one by one in turn with ``transfer_every`` steps for a whole cycle.
Rounding is the threshold of the transfer: less than half a pulse for C stays in A. A rate at which even the furthest
state would give less is refused.

A gets whole pulses alone. It forgets by their number, up and down alike; the rungs of a ladder, whose steps differ from
one direction to the other, would pull it away from its symmetry point, and fractions of a pulse are none.

``give_back`` (not of the paper) takes from A what C has got, n / gamma pulses the other way: w is then conserved in the
mean by a transfer between devices of equal steps, to half a step of A. It is a tile with its carry, read off A_ref.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from calibration.card import Kind
from network.model.layers import Synapses
from network.model.optimizers import Optimizer
from network.rules import stochastic_coincidence
from network.rules.base import Context, Keys, Rule, Shapes, Signals
from network.rules.capabilities import Costs
from network.rules.stochastic_coincidence import StochasticCoincidence, TrainOptions
from network.synapse.device import DeviceModel
from network.synapse.fractions import Fractions
from network.synapse.pulse_trains import Trains
from network.synapse.sampling import Alphabet, Array, Plan
from network.synapse.write_verify import Targets
from spinloom.declare import Flag, Real, Whole, key
from spinloom.errors import UserError

A, C = 0, 1  # places of a synapse's devices
SQUARINGS = 40  # of a kernel: as many steps as this power of two, which is for ever


class Options(TrainOptions):
    """Options of tiki_taka."""

    gamma: Real = key("Weight of the fast device in the synapse.", 1.0, ge=0, le=10)
    transfer_every: Whole = key(
        "Number of steps from one transfer to the slow device to the next.", 100, ge=1, le=10**9
    )
    transfer_rate: Real = key(
        "Part of the fast device's weight that a transfer gives to the slow device (lambda).", 1.0, ge=1e-6, le=1e3
    )
    give_back: Flag = key("With true, what the slow device gets is taken from the fast one.", False)
    pulses: Literal["whole"] = key("Only whole pulses, because the fast device forgets by their number.", "whole")


def symmetry_points(kernel: np.ndarray, up: int, down: int, occupancy: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return where pulses that come as often up as down leave a device in the mean.

    Parameters
    ----------
    kernel : ndarray, float64[..., K, S, S]
    up, down : int
        The two pulses.
    occupancy : ndarray, float64[S]
        States before, which matter only if not every state can be reached from every other.
    weight : ndarray, float[S]
        Weight of each state.

    Returns
    -------
    ndarray, float64[...]
    """
    either = (kernel[..., up, :, :] + kernel[..., down, :, :]) / 2
    for _ in range(SQUARINGS):
        either = either @ either
        either = either / either.sum(axis=-1, keepdims=True)  # rounding would be squared as well
    return occupancy @ either @ weight.astype(np.float64)


class TikiTaka(Rule[Options]):
    """See the module text. The optimiser serves the digital parameters; the devices take its learning rate alone."""

    name = "tiki_taka"
    tunable = MappingProxyType({"transfer_rate": (0.1, 10.0)})
    kinds = (Kind.STEPS, Kind.SWITCHING)
    scale = "states"
    outer = True

    def __init__(self, device: DeviceModel, optimizer: Optimizer, options: Options):
        super().__init__(device, optimizer, options)
        self.needs(volatile=False, destructive_read=False, reset_before_write=False)
        trains = {name: getattr(options, name) for name in TrainOptions.model_fields}
        # one step for both directions: with each its own, A would be pulled away from its symmetry point
        fast = stochastic_coincidence.Options(**trains, mean_step="both")
        self.fast = StochasticCoincidence(device, optimizer, fast)
        self.loop = self.fast.loop
        self.gamma, self.share, self.back = options.gamma, options.transfer_rate, options.give_back
        self.interval = options.transfer_every
        self.mix = (self.gamma, 1.0)
        self.most = self.fast.most  # pulses that a transfer can give at once
        if self.back:
            if self.gamma * self.most < 1 - 1e-9:
                raise UserError(
                    f"network.rule_options.gamma: found {self.gamma:g}, allowed: {1 / self.most:g} to 10 with give_back"
                )
            self.most = int(self.most * min(self.gamma, 1.0) + 1e-9)
        self.costs = Costs(state_reads_per_step=0.5 / self.interval)  # one of the two devices
        self.commands = len(self.fast.alphabet().pulses)
        self.moved = self.fast.each[self.fast.up], self.fast.each[self.fast.down]  # by a pulse up, and down
        kernel = device.transition[None] if device.by_instance is None else device.by_instance
        self.symmetric = symmetry_points(kernel, self.fast.up, self.fast.down, device.occupancy, device.state_weight)
        away = device.state_weight[:, None] - self.symmetric
        furthest = (np.abs(away) / np.where(away > 0, *self.moved)).max()
        if self.share * furthest < 0.5:
            raise UserError(
                f"network.rule_options.transfer_rate: found {self.share:g}, allowed: {0.5 / furthest:.3g} to 1000 (a "
                f"device of {len(device.states)} states holds at most {furthest:.3g} steps, and with a lower rate no "
                "transfer would ever give a pulse)"
            )

    def alphabet(self) -> Alphabet:
        """Return the commands of `StochasticCoincidence`."""
        return self.fast.alphabet()

    def init(self, keys: Keys, shapes: Shapes) -> tuple[tuple, tuple[Plan, ...] | tuple[Targets, ...]]:
        """Ask for A to be brought to its symmetry point and for C to a weight that is uniform about 0."""
        _, slow = self.fast.init(keys, shapes)
        place = np.abs(self.fast.placed - self.symmetric.mean()).argmin()
        plans = []
        for plan in slow:
            if isinstance(plan, Targets):
                start = jnp.full_like(plan.weight, float(self.symmetric.mean()))
                plans.append(Targets(jnp.concatenate([start, plan.weight])))
                continue
            start = jnp.full_like(plan.pulse, 2 * self.fast.most + int(place))
            plans.append(Plan(jnp.concatenate([start, plan.pulse]), jnp.concatenate([plan.mask, plan.mask])))
        return (), tuple(plans)

    def held(self, array: Array) -> jax.Array:
        """Return what the fast devices hold, A - A_ref, float32[inputs, outputs]."""
        point = jnp.asarray(self.symmetric, jnp.float32)
        instance = 0 if array.kind is None else array.kind[A] // (self.commands * len(self.device.states))
        return array.weight[A] - (point[instance] * array.gain[A] + array.offset[A])

    def combine(self, array: Array) -> Synapses:
        """Return the synapses of a layer, the fast devices about their symmetry point."""
        return super().combine(array)._replace(value=self.gamma * self.held(array) + array.weight[C])

    def propose(
        self, memory: tuple, arrays: tuple[Array, ...], signals: Signals, context: Context
    ) -> tuple[tuple, tuple[Trains | Fractions | Plan, ...]]:
        """Draw the pulse trains for A, the first device of each synapse."""
        return self.fast.propose(memory, arrays, signals, context)

    def maintain(self, arrays: tuple[Array, ...]) -> tuple[Plan, ...]:
        """Transfer."""
        return tuple(self.transfer(array) for array in arrays)

    def transfer(self, array: Array) -> Plan:
        """Return the pulses that C gets for what A holds, and those that A loses for it."""
        held, (up, down) = self.held(array), self.moved
        wanted = jnp.round(self.share * held / jnp.where(held > 0, jnp.float32(up), jnp.float32(down)))
        given = jnp.clip(wanted, -self.most, self.most)
        lost = jnp.zeros_like(given)
        if self.back:
            lost = -jnp.round(given * jnp.where(held > 0, jnp.float32(up / down), jnp.float32(down / up)) / self.gamma)
        count = jnp.stack([lost, given]).astype(jnp.int32)
        pulse = jnp.where(count > 0, self.fast.up, self.fast.down)
        return Plan(self.fast.command(pulse, jnp.abs(count)), count != 0)

    def memory_bits(self, memory: tuple) -> dict[str, int]:
        """Return no memory: there is none per synapse."""
        return {}


RULE = TikiTaka
