"""One trainer for all rules: one compiled call per epoch, everything metered, resumable bit for bit.

An epoch is a ``lax.scan`` over its steps under one ``jit``; the images stay on the accelerator as uint8. All
randomness comes from named streams, keyed by seed, purpose and replicate, never by the rule: runs of different rules
with the same replicate see the same split, the same batches and the same initial weights (a paired comparison).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from network import array as arrays_
from network import checkpoint, layers, models, optimizers, rng, rules, sampling
from network.datasets import Data
from network.device import DeviceModel
from network.rules import Context, Signals
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
    optimizer: optax.OptState  # of the digital parameters
    exposure: tuple[arrays_.Exposure, ...] | None  # of half-selected devices


class Meter(NamedTuple):
    """Sums over the steps of an epoch."""

    loss: jax.Array  # float32[], mean
    writes: jax.Array  # int32[K], programming events by command
    transitions: jax.Array  # int32[]
    disturbs: jax.Array  # int32[], half-selected devices that moved


class Trainer:
    """A run: one variant, one replicate.

    Parameters
    ----------
    settings : Settings
    device : DeviceModel
        Made with the scale of the settings' rule.
    replicate : int
        Which of the seeds.
    data : Data
    """

    def __init__(self, settings: Settings, device: DeviceModel, replicate: int, data: Data):
        self.settings, self.device, self.replicate = settings, device, replicate
        self.architecture = settings.architecture()
        self.converters = layers.Converters(**settings.converters)
        self.lines = arrays_.Lines(**settings.array)

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
        if self.rule.single and settings.batch_size != 1:
            raise UserError(f"network.batch_size: found {settings.batch_size}, allowed 1 for {self.rule.name}")
        if self.rule.outer and any(layer.kernel for layer in self.architecture.layers):
            raise UserError(f"network.layers: found a convolution, allowed dense layers for {self.rule.name}")
        if self.rule.unit_inputs:
            if settings.input.get("range", "unit") == "signed":
                raise UserError(f"network.input.range: found 'signed', allowed unit, binary for {self.rule.name}")
            if len(self.architecture.layers) > 1 and settings.activation != "sigmoid":
                raise UserError(
                    f"network.activation: found '{settings.activation}', allowed sigmoid for {self.rule.name}"
                )
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
        self._solved: tuple | None = None  # step and factors of the last solution of the lines
        self._epoch = jax.jit(self._epoch_body, donate_argnums=0)
        self._deploy = jax.jit(self._deploy_body)
        self._scores = jax.jit(self._scores_body)

    def stream(self, purpose: str, *names) -> jax.Array:
        """Return the key (uint32[2]) of this run's stream for ``purpose``."""
        return rng.stream(self.settings.seed, "network", purpose, self.replicate, *names)

    def streams(self, purpose: str, *names) -> tuple[jax.Array, ...]:
        """Return the keys (uint32[2]) of this run's streams for ``purpose``, one per layer."""
        return tuple(self.stream(purpose, *names, layer) for layer in range(len(self.shapes)))

    def start(self) -> tuple[TrainState, Meter]:
        """Make the devices, program them for the first time (metered), and initialise everything else."""
        # compiled as a whole: one operation after the other takes several times as long
        init = jax.jit(self.rule.init, static_argnums=1)
        memory, plans = init(self.streams("initial weights"), self.architecture.shapes)
        array, info, exposure = None, self._nothing, None
        if self.rule.uses_device:
            array, _ = self.fabricate()
            if plans is not None:
                array, info = jax.jit(self._program)(self.stream("first programming"), jnp.int32(0), array, plans)
            exposure = None if self.rates is None else arrays_.nothing(self.shapes)
        model = models.init(self.architecture)
        state = TrainState(jnp.int32(0), memory, array, model, self.optimizer.transform.init(model.norms), exposure)
        # leaves that are the same buffer twice could not be donated
        return jax.tree.map(jnp.array, state), Meter(jnp.float32(0), *info, jnp.int32(0))

    def fabricate(self, *names) -> tuple[sampling.Array, jax.Array]:
        """Make this run's devices, or with ``names`` another set of them; see `network.sampling.fabricate`."""
        keys = (self.stream("state as made", *names), self.stream("instance", *names))
        return self._fabricate(keys)

    @property
    def _nothing(self) -> sampling.Info:
        return sampling.Info(jnp.zeros(self.commands, jnp.int32), jnp.int32(0))

    def _program(self, stream, step, array, plans):
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
            found = self.rule.product(layer, x, weights, keys[number], step)
            if found is not None:
                return found
            return layers.read(x, weights, layer, layers.Noise(keys[number], step), self.converters, number == 0)

        return product

    def _step(self, streams: dict, images: jax.Array, labels: jax.Array, factors, state: TrainState, batch: jax.Array):
        x, y = self._shaped(self.prepare(images[batch])), labels[batch]
        arrays, context = self._seen(self._arrays(state), factors), Context(streams["rule"], state.step)
        weights = self.rule.weights(state.memory, arrays, context)
        product = self._product(streams["read noise"], state.step)

        def objective(values, norms, probes):
            # the rest of an entry (the variance of its reads) is no parameter
            entries = tuple(entry._replace(value=value) for entry, value in zip(weights, values, strict=True))
            scores, statistics, inputs = models.forward(
                self.architecture, product, entries, state.model._replace(norms=norms), x, True, probes
            )
            return models.loss(scores, y, self.settings.loss), (statistics, inputs)

        values = tuple(entry.value for entry in weights)
        probes = None
        if self.rule.outer:
            probes = tuple(jnp.zeros((len(x), layer.outputs)) for layer in self.architecture.layers)
        wanted = (1, 2) if self.rule.outer else (0, 1)
        (loss, (statistics, inputs)), gradients = jax.value_and_grad(objective, argnums=wanted, has_aux=True)(
            values, state.model.norms, probes
        )
        if self.rule.outer:
            norm_gradients, errors = gradients
            scales = tuple(layer.scale for layer in self.architecture.layers)
            signals = Signals(inputs=inputs, errors=errors, scales=scales)
        else:
            value_gradients, norm_gradients = gradients
            signals = Signals(gradients=value_gradients)
        updates, optimizer = self.optimizer.transform.update(norm_gradients, state.optimizer, state.model.norms)
        model = models.Model(optax.apply_updates(state.model.norms, updates), statistics)
        memory, plans = self.rule.propose(state.memory, arrays, signals, context)
        array, exposure, info, disturbs = state.array, state.exposure, self._nothing, jnp.int32(0)
        if plans is not None:
            array, info = self._program(streams["programming"], state.step, array, plans)
            if exposure is not None:
                exposure = arrays_.expose(exposure, plans, self.rates)
                array, exposure, disturbs = self._disturb(streams["disturb"], state.step, array, exposure)
        new = TrainState(state.step + 1, memory, array, model, optimizer, exposure)
        return new, Meter(loss, *info, disturbs)

    def _disturb(self, stream, step, array, exposure):
        def apply():
            arrays = sampling.views(array, self.shapes)
            chance = [arrays_.probability(e, a.state) for e, a in zip(exposure, arrays, strict=True)]
            moved, count = arrays_.disturb(stream, step, array, sampling.pack(tuple(chance)), self.tables)
            return moved, jax.tree.map(jnp.zeros_like, exposure), count

        return jax.lax.cond(
            step % arrays_.INTERVAL == arrays_.INTERVAL - 1, apply, lambda: (array, exposure, jnp.int32(0))
        )

    def _epoch_body(self, state: TrainState, images, labels, batches: jax.Array, streams: dict, factors):
        """Scan over the steps; ``batches`` is int32[steps, batch_size], rows of image numbers."""

        def body(carry, batch):
            state, total = carry
            state, meter = self._step(streams, images, labels, factors, state, batch)
            return (state, jax.tree.map(jnp.add, total, meter)), None

        (state, total), _ = jax.lax.scan(body, (state, Meter(jnp.float32(0), *self._nothing, jnp.int32(0))), batches)
        return state, total._replace(loss=total.loss / self.steps)

    def epoch(self, state: TrainState, number: int) -> tuple[TrainState, Meter]:
        """Train epoch ``number`` (from 1); ``state`` is used up."""
        order = generator(self.settings.seed, "network", "batches", self.replicate, number).permutation(
            len(self.labels)
        )[: self.samples]
        batches = jnp.asarray(order.reshape(self.steps, -1).astype(np.int32))
        streams = {
            "rule": self.streams("rule"),
            "read noise": self.streams("read noise"),
            "programming": self.stream("programming"),
            "disturb": self.stream("disturb"),
        }
        return self._epoch(state, self.images, self.labels, batches, streams, self.factors(state))

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
        return array, np.asarray(writes, np.int64)

    def _scores_body(self, state: TrainState, x: jax.Array, streams: dict, factors, chunk: jax.Array) -> jax.Array:
        arrays = self._seen(self._arrays(state), factors)
        weights = self.rule.deployed_weights(state.memory, arrays, Context(streams["rule"], chunk))
        product = self._product(streams["read noise"], chunk)
        scores, _, _ = models.forward(self.architecture, product, weights, state.model, self._shaped(x), False)
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
                random = generator(self.settings.seed, "network", "input noise", self.replicate, part, chunk)
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
            images after the last epoch; ``evaluations``: see `evaluations`; ``meter``: see `meter`.

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
            if self.waited(history):
                say(f"no better validation accuracy for {self.settings.early_stopping['patience']} epochs: stopped")
                break
            state, meter = self.epoch(state, number)
            if not np.isfinite(float(meter.loss)):
                raise UserError(
                    f"variant {self.settings.variant}, replicate {self.replicate}: the training loss is not finite in "
                    f"epoch {number}; lower network.optimizer.learning_rate"
                )
            (validation, confusion), _ = self.evaluate(state, number, parts=("validation", "test"))
            history.append(self._row(number, meter, validation, confusion))
            checkpoint.save(path, name, state, {"history": history, "confusion": confusion.tolist()})
            report(self.samples, history[-1])
        evaluations = self.evaluations(state, history[-1]["epoch"])
        meter = self.meter(state, history)
        return {"history": history, "confusion": confusion, "evaluations": evaluations, "meter": meter}

    def waited(self, history: list[dict]) -> bool:
        """Return whether validation has been without improvement for longer than the config's patience."""
        if not self.settings.early_stopping:
            return False
        best = max(history[1:], key=lambda row: row["validation_accuracy"], default=history[0])
        return history[-1]["epoch"] - best["epoch"] >= self.settings.early_stopping["patience"]

    def evaluations(self, state: TrainState, number: int) -> list[dict]:
        """Test the trained network once per draw of its rule, and under each configured noise of the pictures.

        Returns
        -------
        list of dict
            ``condition`` ("draw", "input_noise_sd"), ``value``, ``draw``, ``test_accuracy``, ``writes``.
        """
        rows = []

        def add(condition: str, value: float, draw: int, **options) -> None:
            (matrix,), writes = self.evaluate(state, number, draw, **options)
            rows.append({
                "condition": condition, "value": value, "draw": draw, "test_accuracy": _rate(matrix),
                "writes": int((writes @ self.alphabet.pulses).sum()),
            })  # fmt: skip

        if self.rule.draws > 1:
            for draw in range(self.rule.draws):
                add("draw", float(draw), draw)
        for sd in self.settings.evaluation.get("input_noise_sds", ()):
            add("input_noise_sd", float(sd), 0, noise_sd=float(sd))
        return rows

    def identity(self, data_id: str) -> str:
        """Return the hash that a checkpoint must carry to be resumed by this run."""
        return checkpoint.identity(
            settings=self.settings.identity(), device=self.device.digest, replicate=self.replicate, data=data_id
        )

    def _row(self, number: int, meter: Meter, validation: np.ndarray | None, test: np.ndarray | None) -> dict:
        """Return one epoch as a dict of JSON values; ``writes_by_pulse`` counts the card's pulses, [P]."""
        return {
            "epoch": number,
            "samples": self.samples if number else 0,
            "train_loss": float(meter.loss) if number else None,
            "validation_accuracy": None if validation is None else _rate(validation),
            "test_accuracy": None if test is None else _rate(test),
            "writes_by_pulse": (np.asarray(meter.writes, np.int64) @ self.alphabet.pulses).tolist(),
            "transitions": int(meter.transitions),
            "disturbs": int(meter.disturbs),
        }

    def meter(self, state: TrainState, history: list[dict]) -> dict:
        """Return all that `network.metering` needs to know of the run, as JSON values."""
        array, deployment = self.deployed(state, history[-1]["epoch"], 0)
        arrays = [jax.tree.map(np.asarray, one) for one in self._arrays(state._replace(array=array)) or ()]
        count = len(self.device.states)
        return {
            "variant": self.settings.variant,
            "rule": self.rule.name,
            "replicate": self.replicate,
            "device": self.device.digest,
            "uses_device": self.rule.uses_device,
            "epochs": history[-1]["epoch"],
            "samples": sum(row["samples"] for row in history),
            "steps": int(state.step),
            "layers": [[layer.inputs, layer.outputs, layer.uses] for layer in self.architecture.layers],
            "devices_per_synapse": len(self.rule.mix) if arrays or self.rule.reads_per_product else 0,
            "reads_per_product": self.rule.reads_per_product,
            "clocks": self.rule.clocks(state.memory),
            "outer": self.rule.outer,
            "pulses": list(self.device.pulses),
            "writes_by_pulse": np.sum([row["writes_by_pulse"] for row in history], axis=0).tolist(),
            "deployment_by_pulse": (deployment @ self.alphabet.pulses).tolist(),
            "first_writes": int(np.sum(history[0]["writes_by_pulse"])),
            "transitions": sum(row["transitions"] for row in history),
            "disturbs": sum(row["disturbs"] for row in history),
            "writes_by_layer": [int(np.sum(a.writes, dtype=np.int64)) for a in arrays],
            "most_writes_on_a_device": [int(a.writes.max()) for a in arrays],
            "devices_by_state": [np.bincount(a.state.ravel(), minlength=count).tolist() for a in arrays],
            "state_reads_per_step": self.rule.state_reads_per_step,
            "memory_bits": self.rule.memory_bits(state.memory),
        }


def _rate(confusion: np.ndarray) -> float:
    return float(np.trace(confusion) / confusion.sum())
