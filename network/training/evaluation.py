"""A network on devices: what it reads, and how it is tested. `network.training.trainer` trains it.

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
from network.model import (
    architecture,
    layer_stack,
    layers,
    optimizers,
)
from network.results.meter import Meter
from network.rules.base import Context
from network.synapse import (
    pulse_trains,
    random_words,
    resting,
    sampling,
)
from network.synapse.device import DeviceModel
from network.training.settings import Settings
from spinloom.errors import UserError
from spinloom.streams import generator

EVALUATION_BATCH = 500


class TrainState(NamedTuple):
    """Everything that changes during a run."""

    step: jax.Array  # int32[], steps done
    memory: Any  # the rule's
    array: sampling.Array | None  # the devices of all layers, packed
    model: layer_stack.Model
    optimizer: optax.OptState  # of the digital parameters
    exposure: tuple[arrays_.Exposure, ...] | None  # of half-selected devices


class Evaluator:
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
        self.architecture = settings.architecture()
        self.converters = layers.Converters(**settings.converters)
        self.lines = arrays_.Lines(**settings.array)
        # whether pictures and hidden values may be negative
        self.signed = settings.input.get("range", "unit") == "signed", settings.activation not in architecture.POSITIVE

        order = generator(settings.seed, "network", "validation split").permutation(len(data.train_labels))
        held, kept = np.sort(order[: settings.validation_images]), np.sort(order[settings.validation_images :])
        self.picture, self.classes = data.shape, data.classes
        self.images = jnp.asarray(data.train_images[kept])
        self.labels = jnp.asarray(data.train_labels[kept])
        self.validation = (data.train_images[held], data.train_labels[held])
        self.test = (data.test_images, data.test_labels)
        self.steps = len(kept) // settings.batch_size  # an epoch leaves out the last incomplete batch
        if not self.steps:
            raise UserError(f"network.batch_size: found {settings.batch_size}, allowed 1 to {len(kept)} of this data")
        self.samples = self.steps * settings.batch_size

        self.optimizer = optimizers.make(settings.optimizer, self.steps * settings.epochs)
        self.rule = rules.get(settings.rule)(device, self.optimizer, settings.rule_options)
        self.alphabet = self.rule.alphabet()
        self.tables = sampling.tables(device, self.alphabet)
        self.commands = len(self.alphabet.pulses)
        self.shapes = tuple((len(self.rule.mix), *shape) for shape in self.architecture.shapes)
        self.rates = None
        if self.lines.half_select and self.rule.uses_device:
            self.rates = jnp.asarray(
                arrays_.half_select_rates(device, self.alphabet, self.lines.half_select), jnp.float32
            )
        shape = sampling.packed_shape(self.shapes)
        self._fabricate = jax.jit(lambda keys: sampling.fabricate(keys, shape, device, self.tables, self.commands))
        self._relax = jax.jit(sampling.relax)
        self._rest = None if device.rest is None else self._alone(device.rest)
        self.holds = self._holds()
        self._solved: tuple | None = None  # step and factors of the last solution of the lines
        self._deploy = jax.jit(self._deploy_body)
        self._scores = jax.jit(self._scores_body)

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
    def _nothing(self) -> sampling.Info:
        return sampling.Info(jnp.zeros(self.commands, jnp.int32), jnp.int32(0))

    def _program(self, stream, step, array, plans):
        if isinstance(plans[0], pulse_trains.Trains):
            return pulse_trains.program(stream, step, array, plans, self.shapes, self.tables, self.commands)
        # The condition always holds. It keeps XLA from fusing what makes the plans with their packing, whose index
        # arithmetic would then be done for every element (a step of one image took five times as long).
        plans = jax.lax.cond(step >= 0, lambda: plans, lambda: jax.tree.map(jnp.zeros_like, plans))
        plan = sampling.Plan(*(sampling.pack(parts) for parts in zip(*plans, strict=True)))
        return sampling.program(stream, step, array, plan, self.tables, self.commands)

    def _arrays(self, state: TrainState) -> tuple[sampling.Array, ...] | None:
        """Return the devices layer by layer."""
        return None if state.array is None else sampling.views(state.array, self.shapes)

    def factors(self, state: TrainState) -> tuple[arrays_.Factors, ...] | None:
        """Return the effect of the lines' resistance on the present devices; None for ideal lines."""
        if state.array is None or not self.lines.resistive:
            return None
        # the devices of a test are those of the next epoch's start, unless they were programmed for it
        step = None if self.rule.deploys else int(state.step)
        if step is None or self._solved is None or self._solved[0] != step:
            self._solved = (step, arrays_.factors(self._arrays(state), self.device, self.lines))
        return self._solved[1]

    def _seen(self, arrays, factors):
        """Return the devices as they are read."""
        if factors is None:
            return arrays
        return tuple(arrays_.seen(a, f, self.device) for a, f in zip(arrays, factors, strict=True))

    def prepare(self, images: jax.Array) -> jax.Array:
        """Turn uint8[batch, pixels] into what enters the network, float32[batch, rows, columns, channels]."""
        x = images.reshape(len(images), *self.picture).astype(jnp.float32) / 255
        if (side := self.settings.input.get("pool", 1)) > 1:
            x = layers.pool(x, side)
        return x

    def _shaped(self, x: jax.Array) -> jax.Array:
        """Bring pictures in 0 to 1 into the configured range."""
        kind = self.settings.input.get("range", "unit")
        return {"unit": x, "signed": 2 * x - 1, "binary": (x > 0.5).astype(jnp.float32)}[kind]

    def _product(self, keys: tuple[jax.Array, ...], step) -> Callable:
        def product(number: int, x, weights):
            layer = self.architecture.layers[number]
            x = layers.driven(x, self.converters, number == 0, self.signed[number > 0])
            current = self.rule.product(layer, x, weights, layers.Noise(keys[number], step))
            return layers.converted(current, self.converters, self.rule.column_unit(layer))

        return product

    def _deploy_body(self, memory, array: sampling.Array, keys: dict):
        def program(step: int, array: sampling.Array, plans):
            return self._program(keys["programming"], step, array, plans)

        return self.rule.deploy(memory, array, self.shapes, program, Context(keys["rule"], jnp.int32(0)))

    def deployed(self, state: TrainState, number: int, draw: int) -> tuple[sampling.Array | None, np.ndarray]:
        """Return the devices that classify after epoch ``number``, and the commands given for it (int64[K]).

        Rules that train in place classify with the devices that they trained; others program a set of devices of its
        own for each draw.
        """
        if not self.rule.deploys:
            return state.array, np.zeros(self.commands, np.int64)
        names = ("deployment", number, draw)
        array, _ = self.fabricate(*names)
        keys = {"programming": self.stream("programming", *names), "rule": self.streams("rule", *names)}
        array, writes = self._deploy(state.memory, array, keys)
        return self.rested(array, 0, *names)[0], np.asarray(writes, np.int64)

    def rested(self, array: sampling.Array, number: int, *names) -> tuple[sampling.Array, int]:
        """Return the devices after the rest number ``number`` of the stream ``names``, and how many changed."""
        if self._rest is None:
            return array, 0
        array, moved = self._relax(self.stream("rest", *names), jnp.int32(number), array, self._rest)
        return array, int(moved)

    def _alone(self, kernel: np.ndarray) -> sampling.Tables:
        """Return the tables of one kernel, float64[S, S], that all devices follow without being written."""
        return sampling.tables(self.device, sampling.Alphabet(kernel[None], np.zeros((1, 0), np.int64)))

    def _holds(self) -> list[tuple[dict, resting.Held]]:
        """Return the configured ways of keeping the network, and what becomes of its devices; none without devices."""
        section = self.settings.evaluation.get("retention")
        if not section or not (self.rule.uses_device or self.rule.deploys):
            return []
        found = []
        for temperature in section["temperatures_K"]:
            where, count = "network.evaluation.retention", len(self.device.states)
            hops = resting.rates(self.device.retention, temperature, count, where)
            for interval in section.get("refresh_intervals_s", (None,)):
                for hold_s in section["holds_s"]:
                    way = {"value": float(hold_s), "temperature_K": float(temperature), "refresh_interval_s": interval}
                    attempts = section.get("attempts", 5)
                    found.append((way, resting.hold(hops, self.device.transition, hold_s, interval, attempts)))
        return found

    def _scores_body(self, state: TrainState, x: jax.Array, streams: dict, factors, chunk: jax.Array) -> jax.Array:
        arrays = self._seen(self._arrays(state), factors)
        weights = self.rule.deployed_weights(state.memory, arrays, Context(streams["rule"], chunk))
        product = self._product(streams["read noise"], chunk)
        scores, _, _ = layer_stack.forward(self.architecture, product, weights, state.model, self._shaped(x), False)
        return scores

    def confusion(
        self, state: TrainState, part: str, number: int, draw: int = 0, factors: Any = None, noise_sd: float = 0.0
    ) -> np.ndarray:
        """Classify the "validation" or "test" images with noisy reads.

        Parameters
        ----------
        state : TrainState
            With the devices of `deployed`.
        part : str
        number, draw : int
            Epoch and repetition: they name the random numbers.
        factors : tuple of network.array.Factors or None
            Of these devices' lines.
        noise_sd : float
            Of Gaussian noise on the pictures, whose values are 0 to 1.

        Returns
        -------
        ndarray, int64[classes, classes]
            Rows are the true classes, columns the network's answers.
        """
        images, labels = getattr(self, part)
        names = (part, number) if not draw else (part, number, draw)
        streams = {"read noise": self.streams("evaluation", *names), "rule": self.streams("evaluated rule", *names)}
        answers = []
        for chunk, first in enumerate(range(0, len(images), EVALUATION_BATCH)):
            piece = images[first : first + EVALUATION_BATCH]
            # a short last chunk is padded: one shape, one compilation
            padded = np.pad(piece, ((0, EVALUATION_BATCH - len(piece)), (0, 0)))
            x = self.prepare(padded)
            if noise_sd:
                random = generator(self.settings.seed, "network", "input noise", *self.run_names, part, chunk)
                x = x + jnp.float32(noise_sd) * random.standard_normal(x.shape, dtype=np.float32)
            scores = self._scores(state, x, streams, factors, jnp.int32(chunk))
            answers.append(np.argmax(np.asarray(scores), axis=1)[: len(piece)])
        pairs = labels.astype(np.int64) * self.classes + np.concatenate(answers)
        return np.bincount(pairs, minlength=self.classes**2).reshape(self.classes, self.classes)

    def evaluate(self, state: TrainState, number: int, draw: int = 0, parts: tuple[str, ...] = ("test",), **options):
        """Return the confusion matrix of each part, and the commands that deploying took."""
        array, writes = self.deployed(state, number, draw)
        shown = state._replace(array=array)
        factors = self.factors(shown)
        return [self.confusion(shown, part, number, draw, factors, **options) for part in parts], writes

    def evaluations(self, state: TrainState, number: int) -> list[dict]:
        """Test the trained network once per draw of its rule, under each noise of the pictures, and after each hold.

        Returns
        -------
        list of dict
            ``condition`` ("draw", "input_noise_sd", "hold_s"), ``value``, ``draw``, ``test_accuracy``, ``writes``; of
            a hold also ``temperature_K``, ``refresh_interval_s``, and of its refreshes the expected
            ``refresh_writes_per_device``, ``refresh_writes_of_worst_state`` and ``refresh_energy_J`` of all devices.
        """
        rows = []

        def add(condition: str, value: float, draw: int, **options) -> None:
            (matrix,), writes = self.evaluate(state, number, draw, **options)
            rows.append({
                "condition": condition, "value": value, "draw": draw, "test_accuracy": rate(matrix),
                "writes": int((writes @ self.alphabet.pulses).sum()),
            })  # fmt: skip

        if self.rule.draws > 1:
            for draw in range(self.rule.draws):
                add("draw", float(draw), draw)
        for sd in self.settings.evaluation.get("input_noise_sds", ()):
            add("input_noise_sd", float(sd), 0, noise_sd=float(sd))
        if self.holds:
            array, writes = self.deployed(state, number, 0)
            counts = np.sum(self._states(state._replace(array=array)), axis=0)
            given = int((writes @ self.alphabet.pulses).sum())
        for place, (way, held) in enumerate(self.holds):
            aged, _ = self._relax(self.stream("hold"), jnp.int32(place), array, self._alone(held.kernel))
            shown = state._replace(array=aged)
            # these devices are not those of the step, whose lines may be known
            lines = None if not self.lines.resistive else arrays_.factors(self._arrays(shown), self.device, self.lines)
            each, energy = held.writes.sum(axis=1), held.writes @ self.device.write_energy
            rows.append({
                "condition": "hold_s", **way, "draw": 0, "writes": given,
                "test_accuracy": rate(self.confusion(shown, "test", number, 0, lines)),
                "refresh_writes_per_device": float(counts @ each / counts.sum()),
                "refresh_writes_of_worst_state": float(each[counts > 0].max()),
                "refresh_energy_J": float(counts @ energy),
            })  # fmt: skip
        return rows

    def _states(self, state: TrainState) -> list[list[int]]:
        """Return how many devices of each layer are in each state."""
        count = len(self.device.states)
        return [np.bincount(np.ravel(a.state), minlength=count).tolist() for a in self._arrays(state) or ()]

    def meter(self, state: TrainState, history: list[dict]) -> Meter:
        """Return the counters of the run."""
        array, deployment = self.deployed(state, history[-1]["epoch"], 0)
        shown = state._replace(array=array)
        arrays = [jax.tree.map(np.asarray, one) for one in self._arrays(shown) or ()]
        return Meter(
            variant=self.settings.variant,
            rule=self.rule.name,
            replicate=self.replicate,
            device=self.device.digest,
            uses_device=self.rule.uses_device,
            epochs=history[-1]["epoch"],
            samples=sum(row["samples"] for row in history),
            steps=int(state.step),
            layers=[[layer.inputs, layer.outputs, layer.uses] for layer in self.architecture.layers],
            normalisation=self.architecture.normalisation,
            devices_per_synapse=len(self.rule.mix) if arrays or self.rule.reads_per_product else 0,
            reads_per_product=self.rule.reads_per_product,
            clocks=self.rule.clocks(state.memory),
            outer=self.rule.outer,
            pulses=list(self.device.pulses),
            writes_by_pulse=np.sum([row["writes_by_pulse"] for row in history], axis=0).tolist(),
            deployment_by_pulse=(deployment @ self.alphabet.pulses).tolist(),
            first_writes=int(np.sum(history[0]["writes_by_pulse"])),
            transitions=sum(row["transitions"] for row in history),
            disturbs=sum(row["disturbs"] for row in history),
            writes_by_layer=[int(np.sum(a.writes, dtype=np.int64)) for a in arrays],
            most_writes_on_a_device=[int(a.writes.max()) for a in arrays],
            devices_by_state=self._states(shown),
            state_reads_per_step=self.rule.state_reads_per_step,
            verifies=self.rule.verifies,
            memory_bits=self.rule.memory_bits(state.memory),
            weight_bits=self.rule.weight_bits,
        )


def rate(confusion: np.ndarray) -> float:
    """Return the fraction of right answers in a confusion matrix."""
    return float(np.trace(confusion) / confusion.sum())
