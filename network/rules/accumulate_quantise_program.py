r"""Accumulate in float, quantise to the nominal levels, program the device when its level has been left by a margin.

The in-situ rule of Misba et al. (arXiv 2111.07284) on the quantised network of Hubara et al. (arXiv 1609.07061):

    w   = the analogue weight of the device (a stochastic value)
    g   = dLoss/dw at w (straight-through estimator)
    a   = clip(a - optimiser(g), -1, 1)                    float memory, one per synapse
    if a lies outside the device's band: program it with the pulse whose nominal level is nearest to a

Levels L_0 < ... < L_{K-1} need not be evenly spaced. The band of level k reaches beyond the mid-points to its
neighbours by the fraction m (``margin``) of the distance to that neighbour:

    (L_{k-1} + L_k)/2 - m (L_k - L_{k-1})  <=  a  <=  (L_k + L_{k+1})/2 + m (L_{k+1} - L_k),

open at both ends of the scale. For even spacing d this is |a - L_k| <= (1/2 + m) d. A margin of 0 is plain rounding.

What is compared (``compare``):

command
    the level last asked for. One write per level crossed; a device that went astray stays so until the next crossing,
    and the network learns around it. Costs ceil(log2 K) bits of memory per synapse, and no read.
state
    the state the device is in (write-verify by the training itself). A state serves the level nearest to its weight
    and every level whose nearest state it is; its band reaches from the lowest to the highest of them, so that each
    level has a state that ends the attempts. Costs one read of every device per step.

The accumulator starts uniformly distributed over the scale and every device is programmed to it once, which counts as
a write: with small initial weights an odd number of levels would round every weight to zero, and the network would be
dead for ever.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from calibration.card import Kind
from network.model.optimizers import Optimizer
from network.rules.base import Context, Keys, Rule, Shapes, Signals, bits, descend, uniform
from network.rules.capabilities import Costs
from network.synapse import sampling
from network.synapse.apart import apart
from network.synapse.device import MAX_STATES, DeviceModel, index_type
from network.synapse.sampling import Alphabet, Array, Plan
from spinloom.declare import Real, Section, key
from spinloom.errors import UserError


class Options(Section):
    """Options of accumulate_quantise_program."""

    margin: Real = key(
        "How far the band of a level reaches beyond the middle between two levels, as a part of the distance "
        "between them. 0 is plain rounding.",
        0.1,
        ge=0,
        le=10,
    )
    compare: Literal["command", "state"] = key(
        "What the accumulator is compared with: the level last asked for (`command`), or the state of the "
        "device, which is read for it (`state`).",
        "command",
    )


MANY = 127  # levels, above which a search is faster than comparing with each


class Memory(NamedTuple):
    """Digital memory of the rule."""

    accumulator: tuple[jax.Array, ...]  # float32[inputs, outputs] per layer
    optimizer: optax.OptState
    command: tuple[jax.Array, ...]  # int[inputs, outputs] per layer: level last asked for; empty if it is not kept


def bands(level: np.ndarray, margin: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the lower and upper end of each level's band, ``float32[K]`` each (see the module text)."""
    gap = np.diff(level.astype(np.float64))
    middle = (level[:-1].astype(np.float64) + level[1:]) / 2
    low = np.concatenate([[-np.inf], middle - margin * gap])
    high = np.concatenate([middle + margin * gap, [np.inf]])
    return low.astype(np.float32), high.astype(np.float32)


def state_bands(state_weight: np.ndarray, level: np.ndarray, margin: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the lower and upper end of each state's band, ``float32[S]`` each (see the module text)."""
    low, high = bands(level, margin)
    distance = np.abs(state_weight[:, None] - level[None, :])
    serves = np.zeros(distance.shape, dtype=bool)
    serves[np.arange(len(state_weight)), distance.argmin(axis=1)] = True
    serves[distance.argmin(axis=0), np.arange(len(level))] = True
    return (
        np.where(serves, low[None, :], np.inf).min(axis=1).astype(np.float32),
        np.where(serves, high[None, :], -np.inf).max(axis=1).astype(np.float32),
    )


def lookup(table: jax.Array, index: jax.Array) -> jax.Array:
    """Return ``table[index]``; a short table is read by comparisons, which a CPU does several at a time.

    ``table`` is [n], ``index`` int[...].
    """
    if len(table) > 8:
        return table[index]
    value = jnp.full(index.shape, table[0])
    for i in range(1, len(table)):
        value = jnp.where(index == i, table[i], value)
    return value


class AccumulateQuantiseProgram(Rule[Options]):
    """See the module text."""

    name = "accumulate_quantise_program"
    kinds = (Kind.LEVELS, Kind.SWITCHING)
    tunable = MappingProxyType({"margin": (0.01, 1.0)})

    def __init__(self, device: DeviceModel, optimizer: Optimizer, options: Options):
        super().__init__(device, optimizer, options)
        self.needs(volatile=False, destructive_read=False)
        self.by_state = options.compare == "state"
        self.costs = Costs(state_reads_per_step=int(self.by_state))
        if len(device.level) > MAX_STATES:
            raise UserError(f"pulses.csv: found {len(device.level)} pulses, allowed: at most {MAX_STATES} levels")
        self.level_bits = max(1, int(np.ceil(np.log2(len(device.level)))))
        self.middle = [float(v) for v in bands(device.level, 0.0)[1][:-1]]
        level, margin = device.level, options.margin
        ends = state_bands(device.state_weight, level, margin) if self.by_state else bands(level, margin)
        self.low, self.high = (jnp.asarray(end) for end in ends)

    def alphabet(self) -> Alphabet:
        """Return the pulse behind each level: a command's number is its level's."""
        every = sampling.alphabet(self.device)
        order = self.device.level_pulse
        return Alphabet(every.transition[..., order, :, :], every.pulses[order])

    def quantise(self, accumulator: jax.Array) -> jax.Array:
        """Return the index of the nominal level nearest to each value, as `index_type`, of the same shape."""
        kind = index_type(len(self.middle) + 1)
        if len(self.middle) >= MANY:
            return jnp.searchsorted(jnp.asarray(self.middle, jnp.float32), accumulator).astype(kind)
        level = jnp.zeros(accumulator.shape, kind)
        for middle in self.middle:
            level = level + (accumulator > middle)
        return level

    def init(self, keys: Keys, shapes: Shapes) -> tuple[Memory, tuple[Plan, ...]]:
        """Draw the accumulator uniformly in -1 to 1 and ask for every device to be programmed to it."""
        accumulator = uniform(keys, shapes)
        target = tuple(self.quantise(a) for a in accumulator)
        plans = tuple(Plan(t[None], jnp.ones((1, *t.shape), bool)) for t in target)
        return Memory(accumulator, self.optimizer.transform.init(accumulator), () if self.by_state else target), plans

    def holding(self, weights: tuple[jax.Array, ...]) -> Memory:
        """Return ``weights``, float32[inputs, outputs] each, as accumulator, with the command of each level."""
        command = () if self.by_state else tuple(self.quantise(weight) for weight in weights)
        return Memory(weights, self.optimizer.transform.init(weights), command)

    def propose(
        self, memory: Memory, arrays: tuple[Array, ...], signals: Signals, context: Context
    ) -> tuple[Memory, tuple[Plan, ...]]:
        """Accumulate, then program what has left its band."""
        accumulator, optimizer = descend(
            self.optimizer.transform, memory.accumulator, memory.optimizer, signals.gradients
        )
        commands, plans = [], []
        for layer, value in enumerate(accumulator):
            held = arrays[layer].state[0] if self.by_state else memory.command[layer]
            wanted = apart(context.step, lambda value=value, held=held: self.wanted(value, held))
            plans.append(Plan(wanted[None], (wanted >= 0)[None]))
            if not self.by_state:
                commands.append(jnp.where(wanted >= 0, wanted, held))
        return Memory(accumulator, optimizer, tuple(commands)), tuple(plans)

    def wanted(self, accumulator: jax.Array, held: jax.Array) -> jax.Array:
        """Return the level to be programmed, -1 where the band has not been left; as `quantise`.

        ``held`` is what the accumulator is compared with, int[inputs, outputs].
        """
        outside = (accumulator < lookup(self.low, held)) | (accumulator > lookup(self.high, held))
        level = self.quantise(accumulator)
        return jnp.where(outside, level, jnp.full_like(level, -1))

    def memory_bits(self, memory: Memory) -> dict[str, int]:
        """Count the accumulator, the optimiser's moments and, if kept, the last command."""
        count = {"accumulator": bits(memory.accumulator), "optimizer": bits(memory.optimizer)}
        if not self.by_state:
            count["command"] = self.level_bits * sum(c.size for c in memory.command)
        return count


RULE = AccumulateQuantiseProgram
