r"""Programming to a target in a closed loop: look, and while the reading is off, give the pulse that promises most.

Each device is read (``reads`` times, averaged, read noise included). Once a reading is within ``tolerance`` of the
target the device is left alone. The others get a pulse and are read again, at most ``most_pulses`` times. The
controller knows the card, not the device: at a reading r it gives the pulse k of the least expected squared error,

    (m_k(r) - target)^2 + v_k(r),

m_k and v_k being mean and variance of the weight after the pulse, linear between the states. For a device that is moved
in steps that is a pulse towards the target, the strongest that does not overshoot by more than it gains; for one whose
pulses write levels it is the pulse of the nearest level. Every pulse and every read is counted.

What papers call write-and-verify or closed-loop tuning, e.g. Alibart et al., Nanotechnology 23, 075201 (2012).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float32, Int32

from network.synapse import random_words, sampling
from network.synapse.device import DeviceModel
from network.synapse.fractions import between
from network.synapse.sampling import Array, Info, Plan
from spinloom.declare import Real, Section, Whole, key

Keys: TypeAlias = "tuple[jax.Array, ...]"  # uint32[2], one stream per layer; a text, to plan without JAX
Program = Callable[[int, Array, tuple[Plan, ...]], tuple[Array, Info]]
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)  # of the error, as the trace holds them


class Options(Section):
    """How devices are programmed to a target."""

    tolerance: Real | None = key(
        "Distance from its target within which a reading of a device must lie, as a weight between -1 and 1. "
        "With null, devices are not programmed in a closed loop (docs/rules/closed_loop.md).",
        None,
        gt=0,
        le=2,
    )
    most_pulses: Whole = key("Largest number of pulses for a device in the closed loop.", 100, ge=1, le=10000)
    reads: Whole = key("Number of reads that are averaged each time a device is looked at.", 1, ge=1, le=1000)


class Targets(NamedTuple):
    """What a layer is to be programmed to."""

    weight: Float32[jax.Array, "devices inputs outputs"]


class Reached(NamedTuple):
    """What a loop did."""

    info: Info
    looks: Int32[jax.Array, ""]  # at single devices
    rounds: Int32[jax.Array, ""]  # pulses of the device that got most
    trace: Float32[jax.Array, "rounds columns"]  # share not accepted, rms error, quantiles; after 0, 1, ... pulses


class Loop:
    """A controller for one kind of device.

    Parameters
    ----------
    device : DeviceModel
    options : Options
        With a tolerance.
    pulses : sequence of int
        Of the card, that it gives.
    commands : sequence of int
        What they are called in the sampler tables.
    """

    def __init__(self, device: DeviceModel, options: Options, pulses: Sequence[int], commands: Sequence[int]):
        assert options.tolerance is not None
        self.tolerance, self.most, self.reads = options.tolerance, options.most_pulses, options.reads
        order = np.argsort(device.state_weight, kind="stable")
        weight = device.state_weight.astype(np.float64)
        mean = device.transition[list(pulses)] @ weight
        spread = np.maximum(device.transition[list(pulses)] @ weight**2 - mean**2, 0)
        self.weight = jnp.asarray(weight[order], jnp.float32)
        self.mean, self.variance = (jnp.asarray(table[:, order], jnp.float32) for table in (mean, spread))
        self.commands = jnp.asarray(commands, jnp.int32)
        self.read_sd = jnp.asarray(device.read_sd / self.reads**0.5) if np.any(device.read_sd > 0) else None

    def reach(
        self,
        keys: Keys,
        array: Array,
        targets: tuple[jax.Array, ...],
        shapes: tuple[tuple[int, int, int], ...],
        program: Program,
    ) -> tuple[Array, Reached]:
        """Program devices to ``targets``.

        Parameters
        ----------
        keys : tuple of uint32[2]
            Name the noise of the reads, one stream per layer.
        array : Array
            Packed, in whatever state.
        targets : tuple of float32[devices, inputs, outputs]
            Weight of each device, per layer.
        shapes : tuple
            Of the targets.
        program : callable
            ``program(number of the round, array, plans) -> array, Info``.
        """

        def look(number, array, masks):
            views = sampling.views(array, shapes)
            readings = tuple(self.read(key, number, one) for key, one in zip(keys, views, strict=True))
            looks = count(masks)
            masks = tuple(
                mask & (jnp.abs(reading - target) > self.tolerance)
                for mask, reading, target in zip(masks, readings, targets, strict=True)
            )
            error = [(one.weight - target).ravel() for one, target in zip(views, targets, strict=True)]
            return readings, masks, looks, self.row(jnp.concatenate(error), masks)

        def more(carry):
            number, array, readings, masks, reached = carry
            pulses = (self.choose(reading, target) for reading, target in zip(readings, targets, strict=True))
            array, info = program(number, array, tuple(map(Plan, pulses, masks)))
            number = number + 1
            readings, masks, looks, row = look(number, array, masks)
            info = jax.tree.map(jnp.add, reached.info, info)
            reached = Reached(info, reached.looks + looks, number, reached.trace.at[number].set(row))
            return number, array, readings, masks, reached

        def going(carry):
            number, _, _, masks, _ = carry
            return (number < self.most) & (count(masks) > 0)

        readings, masks, looks, row = look(jnp.int32(0), array, tuple(jnp.ones(shape, bool) for shape in shapes))
        nothing = jax.tree.map(
            lambda one: jnp.zeros(one.shape, one.dtype),
            jax.eval_shape(lambda: program(jnp.int32(0), array, tuple(Plan(m.astype(jnp.int16), m) for m in masks))[1]),
        )
        trace = jnp.zeros((self.most + 1, len(row))).at[0].set(row)
        start = jnp.int32(0), array, readings, masks, Reached(nothing, looks, jnp.int32(0), trace)
        *_, reached = done = jax.lax.while_loop(going, more, start)
        return done[1], reached

    def read(self, key: jax.Array, number: jax.Array, array: Array) -> jax.Array:
        """Return what a look at each device shows, float32[devices, inputs, outputs]; ``number`` (int32[]) counts."""
        if self.read_sd is None:
            return array.weight
        deviate = random_words.normal(key, number, array.weight.shape)
        return array.weight + self.read_sd[array.state.astype(jnp.int32)] * deviate

    def choose(self, reading: jax.Array, target: jax.Array) -> jax.Array:
        """Return the command (int16) of the pulse that promises most, for readings and targets, float32[...]."""
        low, share = between(reading, self.weight)

        def better(pulse, best):
            least, chosen = best
            mean, variance = (
                table[pulse][low] * (1 - share) + table[pulse][low + 1] * share for table in (self.mean, self.variance)
            )
            error = jnp.square(mean - target) + variance
            return jnp.minimum(error, least), jnp.where(error < least, self.commands[pulse], chosen)

        first = jnp.full(reading.shape, jnp.inf), jnp.full(reading.shape, self.commands[0])
        return jax.lax.fori_loop(0, len(self.commands), better, first)[1].astype(jnp.int16)

    def row(self, error: jax.Array, masks: tuple[jax.Array, ...]) -> jax.Array:
        """Return a row of the trace, from the true errors of all devices (float32[N]) and who is not accepted yet."""
        left = count(masks) / jnp.float32(error.size)
        rms = jnp.sqrt(jnp.mean(jnp.square(error)))
        return jnp.concatenate([jnp.stack([left, rms]), jnp.quantile(error, jnp.asarray(QUANTILES))])


def count(masks: tuple[jax.Array, ...]) -> jax.Array:
    """Return how many devices are marked in all layers (bool[devices, inputs, outputs] each), int32[]."""
    return jnp.sum(jnp.stack([jnp.sum(mask, dtype=jnp.int32) for mask in masks]))


def table(reached: Reached, g_scale: float) -> list[dict[str, float]]:
    """Return the rows of programming.csv that a loop makes.

    Parameters
    ----------
    reached : Reached
    g_scale : float
        S (siemens) of the weight 1.

    Returns
    -------
    list of dict
        ``pulses`` so far at most, ``unfinished`` share of the devices, ``error_rms``, ``error_p05`` to ``error_p95``
        and the same in S.
    """
    names = ["error_rms", *(f"error_p{round(100 * q):02d}" for q in QUANTILES)]
    rows = []
    for number, row in enumerate(np.asarray(reached.trace, np.float64)[: int(reached.rounds) + 1]):
        own = dict(zip(names, row[1:].tolist(), strict=True))
        in_S = {f"{name}_S": g_scale * value for name, value in own.items()}
        rows.append({"pulses": number, "unfinished": float(row[0]), **own, **in_S})
    return rows
