"""The network of one run on its devices: what it is made of, and how it is read and written.

All randomness comes from named streams, keyed by seed, purpose and replicate, never by the rule: runs of different
rules with the same replicate see the same split, the same batches and the same initial weights (a paired comparison).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from network import rules
from network.crossbar import array_effects as arrays_
from network.datasets import Data
from network.model import architecture, layer_stack, layers, optimizers
from network.pretrained import weights as pretrained
from network.rules.capabilities import Devices
from network.synapse import fractions, pulse_trains, random_words, sampling, turns
from network.synapse.apart import apart
from network.synapse.device import DeviceModel
from network.training.settings import Settings
from network.training.split import split
from spinloom.errors import UserError


class TrainState(NamedTuple):
    """Everything that changes during a run."""

    step: jax.Array  # int32[], steps done
    memory: Any  # the rule's
    array: sampling.Array | None  # the devices of all layers, packed
    model: layer_stack.Model
    optimizer: optax.OptState  # of the digital parameters
    exposure: tuple[arrays_.Exposure, ...] | None  # of half-selected devices


class Machine:
    """The network of one variant and one replicate, with its data, its rule and its devices' tables.

    Parameters
    ----------
    settings : Settings
    device : DeviceModel
        Made with the scale of the settings' rule.
    replicate : int
        Which of the seeds.
    data : Data
    chip : pair of int or None
        Number of the draw from the card's posterior that ``device`` is, and of the set of devices made of it; runs with
        the same chip and different replicates differ in all but their devices. None: the card itself, and devices of
        the replicate's own.
    """

    def __init__(
        self,
        settings: Settings,
        device: DeviceModel,
        replicate: int,
        data: Data,
        chip: tuple[int, int] | None = None,
    ):
        self.settings, self.device, self.replicate, self.chip = settings, device, replicate, chip
        self.made = (replicate,) if chip is None else ("chip", *chip)
        self.run_names = (replicate,) if chip is None else (*self.made, replicate)
        self.architecture, self.given = settings.architecture(), None
        if settings.pretrained is not None:
            self.given = pretrained.given(settings.pretrained, self.architecture)
            self.architecture = self.given.architecture
        self.lines = settings.array
        # whether pictures and hidden values may be negative
        self.signed = settings.input.range == "signed", settings.activation not in architecture.POSITIVE

        held, others = split(settings, data)
        held, kept = np.sort(held), np.sort(others[: settings.training_images])
        self.picture, self.classes = data.shape, data.classes
        self.images = jnp.asarray(data.train_images[kept])
        self.labels = jnp.asarray(data.train_labels[kept])
        self.validation = (data.train_images[held], data.train_labels[held])
        self.test = (data.test_images, data.test_labels)
        self.steps = len(kept) // settings.batch_size  # an epoch leaves out the last incomplete batch
        if not self.steps:
            raise UserError(
                f"network.batch_size: found {settings.batch_size}, allowed: 1 to {len(kept)}, the images to train with"
            )
        self.samples = self.steps * settings.batch_size

        self.optimizer = optimizers.make(settings.optimizer, self.steps * settings.epochs)
        self.rule = rules.get(settings.rule)(device, self.optimizer, settings.options)
        self.alphabet = self.rule.alphabet()
        self.tables = sampling.tables(device, self.alphabet)
        self.commands = len(self.alphabet.pulses)
        self.shapes = tuple((len(self.rule.mix), *shape) for shape in self.architecture.shapes)
        self.rates = None
        if self.lines.half_select and self.rule.devices is Devices.IN_PLACE:
            self.rates = jnp.asarray(
                arrays_.half_select_rates(device, self.alphabet, self.lines.half_select), jnp.float32
            )
        shape = sampling.packed_shape(self.shapes)
        self._fabricate = jax.jit(lambda keys: sampling.fabricate(keys, shape, device, self.tables, self.commands))
        self.relax = jax.jit(sampling.relax)
        self._rest = None if device.rest is None else self.alone(device.rest)
        self._solved: tuple | None = None  # step and factors of the last solution of the lines

    def stream(self, purpose: str, *names) -> jax.Array:
        """Return the key (uint32[2]) of this run's stream for ``purpose``."""
        return random_words.stream(self.settings.seed, "network", purpose, *self.run_names, *names)

    def streams(self, purpose: str, *names) -> tuple[jax.Array, ...]:
        """Return the keys (uint32[2]) of this run's streams for ``purpose``, one per layer."""
        return tuple(self.stream(purpose, *names, layer) for layer in range(len(self.shapes)))

    def fabricate(self, *names) -> tuple[sampling.Array, jax.Array]:
        """Make this run's devices, or with ``names`` another set of them; see `network.synapse.sampling.fabricate`."""
        purposes = ("state as made", "instance")
        keys = tuple(
            random_words.stream(self.settings.seed, "network", purpose, *self.made, *names) for purpose in purposes
        )
        return self._fabricate(keys)

    @property
    def nothing(self) -> sampling.Info:
        """What a step without writes is counted as."""
        return sampling.Info(jnp.zeros(self.commands, jnp.int32), jnp.int32(0))

    def program(
        self, stream: jax.Array, step: Any, array: sampling.Array, plans: tuple
    ) -> tuple[sampling.Array, sampling.Info]:
        """Return the devices after the plans or trains of all layers, and what was counted; keys as of `stream`."""
        for kind, way in ((pulse_trains.Trains, pulse_trains), (fractions.Fractions, fractions)):
            if isinstance(plans[0], kind):
                return way.program(stream, step, array, plans, self.shapes, self.tables, self.commands)
        if isinstance(plans[0], turns.Turns):
            if not np.any(self.device.state_spread):
                return turns.program(array, plans, self.shapes, self.tables, self.commands)
            # each pulse draws the conductance within the state anew, whether the junction switches or not
            plans = tuple(turns.plan(one) for one in plans)
        # joined with their packing, the plans of one image took five times as long
        plans = apart(step, lambda: plans)
        plan = sampling.Plan(*(sampling.pack(parts) for parts in zip(*plans, strict=True)))
        return sampling.program(stream, step, array, plan, self.tables, self.commands)

    def arrays(self, state: TrainState) -> tuple[sampling.Array, ...]:
        """Return the devices layer by layer; none for a rule without devices."""
        return () if state.array is None else sampling.views(state.array, self.shapes)

    def factors(self, state: TrainState) -> tuple[arrays_.Factors, ...] | None:
        """Return the effect of the lines' resistance on the present devices; None for ideal lines."""
        # the devices of a test are those of the next epoch's start, unless they were programmed for it
        step = None if self.rule.devices is Devices.DEPLOYED else int(state.step)
        if step is None or self._solved is None or self._solved[0] != step:
            self._solved = (step, self.solve(state))
        return self._solved[1]

    def solve(self, state: TrainState) -> tuple[arrays_.Factors, ...] | None:
        """Return `factors` of devices that are not those of the state's step."""
        if state.array is None or not self.lines.resistive:
            return None
        return arrays_.factors(self.arrays(state), self.device, self.lines)

    def seen(self, arrays, factors):
        """Return the devices as they are read."""
        if factors is None:
            return arrays
        return tuple(arrays_.seen(a, f, self.device) for a, f in zip(arrays, factors, strict=True))

    def prepare(self, images: jax.Array | np.ndarray) -> jax.Array:
        """Turn uint8 or float32[batch, pixels] into pictures in 0 to 1, float32[batch, rows, columns, channels]."""
        values = images.reshape(len(images), *self.picture).astype(jnp.float32)
        x = jnp.asarray(values / 255 if images.dtype == np.uint8 else values)
        if self.settings.input.pool > 1:
            x = layers.pool(x, self.settings.input.pool)
        return x

    def shaped(self, x: jax.Array) -> jax.Array:
        """Bring pictures in 0 to 1, float32[...], into the configured range."""
        ranges = {"unit": x, "signed": 2 * x - 1, "binary": (x > 0.5).astype(jnp.float32)}
        return ranges[self.settings.input.range]

    def product(
        self, keys: tuple[jax.Array, ...], step: Any, clippings: tuple[layers.Clipping, ...] | None = None
    ) -> Callable:
        """Return ``product(layer, x, weights)``: an array with its converters, as `layer_stack.forward` takes it.

        ``keys`` are uint32[2], one per layer; ``clippings``, one per layer, are told what the converters cut off.
        """
        converters = self.settings.converters

        def product(number: int, x, weights):
            layer, clipping = self.architecture.layers[number], None if clippings is None else clippings[number]
            first = (number if layer.projects is None else layer.projects) == 0
            x = layers.driven(x, converters, first, self.signed[not first], clipping)
            noise, unit = layers.Noise(keys[number], step), self.rule.column_unit(layer)
            if self.lines.group_rows >= layer.inputs:
                return layers.converted(self.rule.product(layer, x, weights, noise), converters, unit, clipping)
            return layers.in_groups(
                self.rule.product, layer, x, weights, noise, self.lines.group_rows, converters, unit, clipping
            )

        return product

    def rested(self, array: sampling.Array, number: int, *names) -> tuple[sampling.Array, int]:
        """Return the devices after the rest number ``number`` of the stream ``names``, and how many changed."""
        if self._rest is None:
            return array, 0
        array, moved = self.relax(self.stream("rest", *names), jnp.int32(number), array, self._rest)
        return array, int(moved)

    def alone(self, kernel: np.ndarray) -> sampling.Tables:
        """Return the tables of one kernel, float64[S, S], that all devices follow without being written."""
        return sampling.tables(self.device, sampling.Alphabet(kernel[None], np.zeros((1, 0), np.int64)))
