"""One trainer for all rules: one compiled call per epoch, everything metered, resumable bit for bit.

An epoch is a ``lax.scan`` over its steps under one ``jit``; the images stay on the accelerator as uint8. All
randomness comes from named streams, keyed by seed, purpose and replicate, never by the rule: runs of different rules
with the same replicate see the same split, the same batches and the same initial accumulator (a paired comparison).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from network import checkpoint, models, rng, rules, sampling
from network.datasets import Data
from network.device import DeviceModel
from network.optimizers import make as make_optimizer
from network.settings import Settings
from spinloom.errors import UserError
from spinloom.streams import generator

EVALUATION_BATCH = 500


class TrainState(NamedTuple):
    """Everything that changes during a run."""

    step: jax.Array  # int32[], steps done
    memory: Any  # the rule's
    array: sampling.Array | None  # the devices of all layers, packed
    model: models.Model
    optimizer: optax.OptState  # of the batch normalisations


class Meter(NamedTuple):
    """Sums over the steps of an epoch."""

    loss: jax.Array  # float32[], mean
    writes: jax.Array  # int32[K], programming events by pulse
    transitions: jax.Array  # int32[]


class Trainer:
    """A run: one rule, one replicate.

    Parameters
    ----------
    settings : Settings
    device : DeviceModel
    rule : str
        Name in `network.rules.REGISTRY`.
    replicate : int
        Which of the seeds.
    data : Data
    """

    def __init__(self, settings: Settings, device: DeviceModel, rule: str, replicate: int, data: Data):
        self.settings, self.device, self.rule_name, self.replicate = settings, device, rule, replicate
        self.shapes = models.shapes(settings.layers)
        self.optimizer = make_optimizer(settings.optimizer)
        self.rule = rules.make(rule, device, self.optimizer, settings.options_of(rule))
        self.tables = sampling.tables(device)
        self.noisy = self.rule.uses_device and bool(np.any(device.read_sd > 0))

        order = generator(settings.seed, "network", "validation split").permutation(len(data.train_labels))
        held, kept = np.sort(order[: settings.validation_images]), np.sort(order[settings.validation_images :])
        self.images = jnp.asarray(data.train_images[kept])
        self.labels = jnp.asarray(data.train_labels[kept])
        self.validation = (data.train_images[held], data.train_labels[held])
        self.test = (data.test_images, data.test_labels)
        self.classes = data.classes
        self.steps = len(kept) // settings.batch_size  # an epoch leaves out the last incomplete batch
        self.samples = self.steps * settings.batch_size
        self._epoch = jax.jit(self._epoch_body, donate_argnums=0)
        self._scores = jax.jit(self._scores_body)

    def stream(self, purpose: str, *names) -> jax.Array:
        """Return the key (uint32[2]) of this run's stream for ``purpose``."""
        return rng.stream(self.settings.seed, "network", purpose, self.replicate, *names)

    def streams(self, purpose: str, *names) -> tuple[jax.Array, ...]:
        """Return the keys (uint32[2]) of this run's streams for ``purpose``, one per layer."""
        return tuple(self.stream(purpose, *names, layer) for layer in range(len(self.shapes)))

    def start(self) -> tuple[TrainState, Meter]:
        """Make the devices, program them for the first time (metered), and initialise everything else."""
        memory, plans = self.rule.init(self.streams("initial weights"), self.shapes)
        array, info = None, self._nothing
        if self.rule.uses_device:
            keys = (self.stream("state as made"), self.stream("instance"))
            made, _ = sampling.fabricate(keys, sampling.packed_shape(self.shapes), self.device, self.tables)
            array, info = jax.jit(self._program)(self.stream("first programming"), jnp.int32(0), made, plans)
        model = models.init(self.settings.layers)
        state = TrainState(jnp.int32(0), memory, array, model, self.optimizer.init(model.norms))
        # leaves that are the same buffer twice could not be donated
        return jax.tree.map(jnp.array, state), Meter(jnp.float32(0), *info)

    @property
    def _nothing(self) -> sampling.Info:
        return sampling.Info(jnp.zeros(len(self.device.pulses), jnp.int32), jnp.int32(0))

    def _program(self, stream, step, array, plans):
        plan = sampling.Plan(*(sampling.pack(parts) for parts in zip(*plans, strict=True)))
        return sampling.program(stream, step, array, plan, self.tables, len(self.device.pulses))

    def _arrays(self, state: TrainState) -> tuple[sampling.Array, ...] | None:
        """Return the devices layer by layer."""
        return None if state.array is None else sampling.views(state.array, self.shapes)

    def _variances(self, arrays: tuple[sampling.Array, ...] | None) -> tuple[jax.Array, ...] | None:
        """Return the read-noise variance of the weights, one number or one array per layer."""
        if not self.noisy:
            return None
        variance = jnp.asarray(self.device.read_sd) ** 2
        if self.device.uniform_read_noise:
            return (variance[0],) * len(self.shapes)
        return tuple(variance[array.state] for array in arrays)

    def _step(self, streams: dict, images: jax.Array, labels: jax.Array, state: TrainState, batch: jax.Array):
        x, y = images[batch].astype(jnp.float32) / 255, labels[batch]
        arrays = self._arrays(state)
        weights = self.rule.weights(state.memory, arrays)
        variances = self._variances(arrays)

        def objective(weights, norms):
            scores, statistics = models.forward(
                weights, norms, state.model.statistics, x, training=True, variances=variances,
                keys=streams["read noise"], step=state.step,
            )  # fmt: skip
            return models.loss(scores, y), statistics

        (loss, statistics), (weight_gradients, norm_gradients) = jax.value_and_grad(
            objective, argnums=(0, 1), has_aux=True
        )(weights, state.model.norms)
        updates, optimizer = self.optimizer.update(norm_gradients, state.optimizer, state.model.norms)
        model = models.Model(optax.apply_updates(state.model.norms, updates), statistics)
        memory, plans = self.rule.propose(state.memory, arrays, weight_gradients)
        array, info = state.array, self._nothing
        if plans is not None:
            array, info = self._program(streams["programming"], state.step, array, plans)
        return TrainState(state.step + 1, memory, array, model, optimizer), Meter(loss, *info)

    def _epoch_body(self, state: TrainState, images, labels, batches: jax.Array, streams: dict):
        """Scan over the steps; ``batches`` is int32[steps, batch_size], rows of image numbers."""

        def body(carry, batch):
            state, total = carry
            state, meter = self._step(streams, images, labels, state, batch)
            return (state, jax.tree.map(jnp.add, total, meter)), None

        (state, total), _ = jax.lax.scan(body, (state, Meter(jnp.float32(0), *self._nothing)), batches)
        return state, total._replace(loss=total.loss / self.steps)

    def epoch(self, state: TrainState, number: int) -> tuple[TrainState, Meter]:
        """Train epoch ``number`` (from 1); ``state`` is used up."""
        order = generator(self.settings.seed, "network", "batches", self.replicate, number).permutation(
            len(self.labels)
        )[: self.samples]
        batches = jnp.asarray(order.reshape(self.steps, -1).astype(np.int32))
        streams = {"read noise": self.streams("read noise"), "programming": self.stream("programming")}
        return self._epoch(state, self.images, self.labels, batches, streams)

    def _scores_body(self, state: TrainState, images: jax.Array, streams: tuple, chunk: jax.Array) -> jax.Array:
        arrays = self._arrays(state)
        weights = self.rule.weights(state.memory, arrays)
        scores, _ = models.forward(
            weights, state.model.norms, state.model.statistics, images.astype(jnp.float32) / 255,
            training=False, variances=self._variances(arrays), keys=streams, step=chunk,
        )  # fmt: skip
        return scores

    def confusion(self, state: TrainState, part: str, number: int) -> np.ndarray:
        """Classify the "validation" or "test" images with noisy reads.

        Returns
        -------
        ndarray, int64[classes, classes]
            Rows are the true classes, columns the network's answers.
        """
        images, labels = getattr(self, part)
        streams, answers = self.streams("evaluation", part, number), []
        for chunk, first in enumerate(range(0, len(images), EVALUATION_BATCH)):
            piece = images[first : first + EVALUATION_BATCH]
            # a short last chunk is padded: one shape, one compilation
            padded = np.pad(piece, ((0, EVALUATION_BATCH - len(piece)), (0, 0)))
            scores = self._scores(state, padded, streams, jnp.int32(chunk))
            answers.append(np.argmax(np.asarray(scores), axis=1)[: len(piece)])
        pairs = labels.astype(np.int64) * self.classes + np.concatenate(answers)
        return np.bincount(pairs, minlength=self.classes**2).reshape(self.classes, self.classes)

    def run(
        self, directory: Path, data_id: str, report: Callable[[int, dict], None], say: Callable[[str], None]
    ) -> dict:
        """Train all epochs, resuming from ``directory/checkpoint.npz`` if it belongs to this very run.

        Parameters
        ----------
        directory : Path
            Gets a checkpoint after each epoch.
        data_id : str
            Hash of the data set's files.
        report : callable
            ``report(images, row)`` after each epoch.
        say : callable
            Gets one line per event.

        Returns
        -------
        dict
            ``history``: one row (dict) per epoch, epoch 0 being the first programming; ``confusion``: of the test
            images after the last epoch; ``meter``: see `Trainer.meter`.

        Raises
        ------
        UserError
            If the training loss is no longer finite.
        """
        path = directory / "checkpoint.npz"
        state, first = self.start()
        name = self.identity(data_id)
        stored = checkpoint.load(path, name, state)
        history = [self._row(0, first, None, None)]
        confusion = None
        if stored is not None and stored[1]["history"][-1]["epoch"] <= self.settings.epochs:
            state, record = stored
            history, confusion = record["history"], np.array(record["confusion"])
            say(f"resuming after epoch {history[-1]['epoch']}")
            report(self.samples * history[-1]["epoch"], history[-1])
        elif path.exists():
            say("the checkpoint belongs to another run and is not used")
        for number in range(history[-1]["epoch"] + 1, self.settings.epochs + 1):
            state, meter = self.epoch(state, number)
            if not np.isfinite(float(meter.loss)):
                raise UserError(
                    f"rule {self.rule_name}, replicate {self.replicate}: the training loss is not finite in epoch "
                    f"{number}; lower network.optimizer.learning_rate"
                )
            confusion = self.confusion(state, "test", number)
            history.append(self._row(number, meter, self.confusion(state, "validation", number), confusion))
            checkpoint.save(path, name, state, {"history": history, "confusion": confusion.tolist()})
            report(self.samples, history[-1])
        return {"history": history, "confusion": confusion, "meter": self.meter(state, history)}

    def identity(self, data_id: str) -> str:
        """Return the hash that a checkpoint must carry to be resumed by this run."""
        return checkpoint.identity(
            settings=self.settings.identity(),
            options=self.settings.options_of(self.rule_name),
            device=self.device.digest,
            rule=self.rule_name,
            replicate=self.replicate,
            data=data_id,
        )

    def _row(self, number: int, meter: Meter, validation: np.ndarray | None, test: np.ndarray | None) -> dict:
        """Return one epoch as a dict of JSON values; ``writes_by_pulse`` is [K]."""

        def rate(confusion: np.ndarray | None) -> float | None:
            return None if confusion is None else float(np.trace(confusion) / confusion.sum())

        return {
            "epoch": number,
            "samples": self.samples if number else 0,
            "train_loss": float(meter.loss) if number else None,
            "validation_accuracy": rate(validation),
            "test_accuracy": rate(test),
            "writes_by_pulse": np.asarray(meter.writes).tolist(),
            "transitions": int(meter.transitions),
        }

    def meter(self, state: TrainState, history: list[dict]) -> dict:
        """Return all that `network.metering` needs to know of the run, as JSON values."""
        arrays = [jax.tree.map(np.asarray, array) for array in self._arrays(state) or ()]
        count = len(self.device.states)
        return {
            "rule": self.rule_name,
            "replicate": self.replicate,
            "device": self.device.digest,
            "uses_device": self.rule.uses_device,
            "epochs": history[-1]["epoch"],
            "samples": sum(row["samples"] for row in history),
            "steps": int(state.step),
            "shapes": [list(shape) for shape in self.shapes],
            "pulses": list(self.device.pulses),
            "writes_by_pulse": np.sum([row["writes_by_pulse"] for row in history], axis=0).tolist(),
            "first_writes": int(np.sum(history[0]["writes_by_pulse"])),
            "transitions": sum(row["transitions"] for row in history),
            "writes_by_layer": [int(np.sum(a.writes, dtype=np.int64)) for a in arrays],
            "most_writes_on_a_device": [int(a.writes.max()) for a in arrays],
            "devices_by_state": [np.bincount(a.state.ravel(), minlength=count).tolist() for a in arrays],
            "state_reads_per_step": self.rule.state_reads_per_step,
            "memory_bits": self.rule.memory_bits(state.memory),
        }
