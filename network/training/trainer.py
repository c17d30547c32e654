"""One trainer for all rules: one compiled call per epoch, everything metered, resumable bit for bit.

An epoch is a ``lax.scan`` over its steps under one ``jit``; the images stay on the accelerator as uint8.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from network.crossbar import array_effects as arrays_
from network.datasets import Data
from network.model import layer_stack
from network.model.augmentation import augment
from network.model.layers import Noise
from network.rules.base import Context, Signals
from network.rules.capabilities import Devices
from network.synapse import pulse_trains, sampling, turns
from network.synapse.device import DeviceModel
from network.synapse.write_verify import Reached, Targets
from network.training import checkpoint
from network.training.evaluation import Evaluator, rate
from network.training.machine import Machine, TrainState
from network.training.settings import Settings
from spinloom import sources
from spinloom.errors import UserError
from spinloom.streams import generator


class Meter(NamedTuple):
    """Sums over the steps of an epoch."""

    loss: jax.Array  # float32[], mean
    writes: jax.Array | np.ndarray  # int64[K] (of one step int32), programming events by command
    transitions: jax.Array | np.ndarray  # int64[]
    disturbs: jax.Array | np.ndarray  # int64[], devices that moved without being written: half-selected, or at rest


def more(low: Any, high: Any, counts: Any) -> tuple[Any, Any]:
    """Add ``counts`` (int32, less than 2^30 each) to sums of 2^30 ``high`` + ``low``, trees of one structure.

    An epoch of single images can have more writes than 32 bits hold, and JAX has no more without being asked.
    """
    low = jax.tree.map(jnp.add, low, counts)
    high = jax.tree.map(lambda h, value: h + (value >> 30), high, low)
    return jax.tree.map(lambda value: value & (2**30 - 1), low), high


class Trainer:
    """A run: one variant, one replicate. Parameters as of `Machine`."""

    def __init__(
        self,
        settings: Settings,
        device: DeviceModel,
        replicate: int,
        data: Data,
        chip: tuple[int, int] | None = None,
    ):
        self.machine = Machine(settings, device, replicate, data, chip)
        self.evaluator = Evaluator(self.machine)
        self.settings, self.rule = settings, self.machine.rule
        self.reached: Reached | None = None  # of the closed loop of the first programming, if there was one
        self._epoch = jax.jit(self._epoch_body, donate_argnums=0)

    def start(self) -> tuple[TrainState, Meter]:
        """Make the devices, program them for the first time (metered), and initialise everything else."""
        machine = self.machine
        # compiled as a whole: one operation after the other takes several times as long
        init = jax.jit(self.rule.init, static_argnums=1)
        memory, plans = init(machine.streams("initial weights"), machine.architecture.shapes)
        array, info, exposure, self.reached = None, machine.nothing, None, None
        if self.rule.devices is Devices.IN_PLACE:
            array, _ = machine.fabricate()
            if plans is not None and isinstance(plans[0], Targets):
                array, self.reached = self._reach(array, plans)
                info = self.reached.info
            elif plans is not None:
                array, info = jax.jit(machine.program)(machine.stream("first programming"), jnp.int32(0), array, plans)
            exposure = None if machine.rates is None else arrays_.nothing(machine.shapes)
        model = layer_stack.init(machine.architecture)
        if machine.given is not None:
            memory = self.rule.holding(tuple(map(jnp.asarray, machine.given.weights)))
            model = layer_stack.given(machine.given.digital)
        state = TrainState(jnp.int32(0), memory, array, model, machine.optimizer.transform.init(model.norms), exposure)
        # leaves that are the same buffer twice could not be donated
        return jax.tree.map(jnp.array, state), Meter(jnp.float32(0), info.writes, info.transitions, jnp.int32(0))

    def _reach(self, array: sampling.Array, targets: tuple[Targets, ...]) -> tuple[sampling.Array, Reached]:
        """Program new devices to their first weights in a closed loop."""
        machine, loop = self.machine, self.rule.loop
        assert loop is not None
        stream, keys = machine.stream("first programming"), machine.streams("first looks")

        def program(number, array, plans):
            return machine.program(stream, number, array, plans)

        weights = tuple(one.weight for one in targets)
        return jax.jit(lambda array, weights: loop.reach(keys, array, weights, machine.shapes, program))(array, weights)

    def _step(self, streams: dict, images: jax.Array, labels: jax.Array, factors, state: TrainState, batch: jax.Array):
        machine = self.machine
        x = machine.shaped(machine.prepare(self._varied(streams, images[batch], state.step)))
        y = labels[batch]
        arrays, context = machine.seen(machine.arrays(state), factors), Context(streams["rule"], state.step)
        weights = self.rule.weights(state.memory, arrays, context)
        product = machine.product(streams["read noise"], state.step)
        dropout = tuple(Noise(key, state.step) for key in streams["dropout"]) if "dropout" in streams else None

        def objective(values, norms, probes):
            # the rest of an entry (the variance of its reads) is no parameter
            entries = tuple(entry._replace(value=value) for entry, value in zip(weights, values, strict=True))
            scores, statistics, inputs = layer_stack.forward(
                machine.architecture, product, entries, state.model._replace(norms=norms), x, True, probes, dropout
            )
            return layer_stack.loss(scores, y, self.settings.loss), (statistics, inputs)

        values = tuple(entry.value for entry in weights)
        probes = None
        if self.rule.outer:
            probes = tuple(jnp.zeros((len(x), layer.outputs)) for layer in machine.architecture.layers)
        wanted = (1, 2) if self.rule.outer else (0, 1)
        (loss, (statistics, inputs)), gradients = jax.value_and_grad(objective, argnums=wanted, has_aux=True)(
            values, state.model.norms, probes
        )
        scales = tuple(layer.scale for layer in machine.architecture.layers)
        if self.rule.outer:
            norm_gradients, errors = gradients
            signals = Signals(inputs=inputs, errors=errors, scales=scales)
        else:
            value_gradients, norm_gradients = gradients
            signals = Signals(gradients=value_gradients, scales=scales)
        norms: Any = state.model.norms  # optax's types know no leaves that are None
        updates, optimizer = machine.optimizer.transform.update(norm_gradients, state.optimizer, norms)
        norms = optax.apply_updates(norms, updates)
        model = layer_stack.Model(norms, statistics)
        memory, plans = self.rule.propose(state.memory, arrays, signals, context)
        array, exposure, info, disturbs = state.array, state.exposure, machine.nothing, jnp.int32(0)
        if plans is not None:
            array, exposure, info = self._write(streams["programming"], state.step, array, exposure, plans)
            array, exposure, info = self._maintain(streams["maintenance"], state.step, array, exposure, info)
            if exposure is not None:
                array, exposure, disturbs = self._disturb(streams["disturb"], state.step, array, exposure)
        new = TrainState(state.step + 1, memory, array, model, optimizer, exposure)
        return new, Meter(loss, info.writes, info.transitions, disturbs)

    def _varied(self, streams: dict, images: jax.Array, step: jax.Array) -> jax.Array:
        """Move the pictures of a batch (uint8[batch, ...]) if the config asks for it."""
        how = self.settings.augmentation
        if not how.shift_px and not how.mirror:
            return images
        return augment(
            streams["augmentation"], step, images.reshape(len(images), *self.machine.picture), how.shift_px, how.mirror
        )

    def _write(self, stream, step, array, exposure, plans):
        machine = self.machine
        array, info = machine.program(stream, step, array, plans)
        if exposure is not None and machine.rates is not None:
            if isinstance(plans[0], pulse_trains.Trains):
                plans = tuple(
                    pulse_trains.plan(one, shape[0]) for one, shape in zip(plans, machine.shapes, strict=True)
                )
            elif isinstance(plans[0], turns.Turns):
                plans = tuple(turns.plan(one) for one in plans)
            exposure = arrays_.expose(exposure, plans, machine.rates)
        return array, exposure, info

    def _maintain(self, stream, step, array, exposure, info):
        if not (every := self.rule.interval):
            return array, exposure, info

        def apply():
            plans = self.rule.maintain(sampling.views(array, self.machine.shapes))
            new, exposed, more = self._write(stream, step, array, exposure, plans)
            return new, exposed, jax.tree.map(jnp.add, info, more)

        return jax.lax.cond(step % every == every - 1, apply, lambda: (array, exposure, info))

    def _disturb(self, stream, step, array, exposure):
        machine = self.machine

        def apply():
            arrays = sampling.views(array, machine.shapes)
            chance = [arrays_.probability(e, a.state) for e, a in zip(exposure, arrays, strict=True)]
            moved, count = arrays_.disturb(stream, step, array, sampling.pack(tuple(chance)), machine.tables)
            return moved, jax.tree.map(jnp.zeros_like, exposure), count

        return jax.lax.cond(
            step % arrays_.INTERVAL == arrays_.INTERVAL - 1, apply, lambda: (array, exposure, jnp.int32(0))
        )

    def _epoch_body(self, state: TrainState, images, labels, batches: jax.Array, streams: dict, factors):
        """Scan over the steps; ``batches`` is int32[steps, batch_size], rows of image numbers."""
        machine = self.machine

        def body(carry, batch):
            state, loss, low, high = carry
            state, meter = self._step(streams, images, labels, factors, state, batch)
            return (state, loss + meter.loss, *more(low, high, tuple(meter[1:]))), None

        none = (*machine.nothing, jnp.int32(0))
        (state, loss, low, high), _ = jax.lax.scan(body, (state, jnp.float32(0), none, none), batches)
        return state, loss / machine.steps, low, high

    def epoch(self, state: TrainState, number: int) -> tuple[TrainState, Meter]:
        """Train epoch ``number`` (from 1); ``state`` is used up."""
        machine = self.machine
        order = generator(self.settings.seed, "network", "batches", *machine.run_names, number).permutation(
            len(machine.labels)
        )[: machine.samples]
        batches = jnp.asarray(order.reshape(machine.steps, -1).astype(np.int32))
        streams = {
            "rule": machine.streams("rule"),
            "read noise": machine.streams("read noise"),
            "programming": machine.stream("programming"),
            "maintenance": machine.stream("maintenance"),
            "disturb": machine.stream("disturb"),
            "augmentation": machine.stream("augmentation"),
        }
        if machine.architecture.dropped:
            streams["dropout"] = machine.streams("dropout")
        state, loss, low, high = self._epoch(
            state, machine.images, machine.labels, batches, streams, machine.factors(state)
        )
        writes, transitions, disturbs = (
            np.asarray(few, np.int64) + (np.asarray(many, np.int64) << 30) for few, many in zip(low, high, strict=True)
        )
        return state, Meter(loss, writes, transitions, disturbs)

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
            images after the last epoch; ``evaluations``, ``meter`` and ``programming``: see `Evaluator`.

        Raises
        ------
        UserError
            If the training loss is no longer finite.
        """
        machine = self.machine
        path = directory / "checkpoint.npz"
        state, first = self.start()
        name = self.identity(data_id)
        stored = checkpoint.load(path, name, state)
        history = [self._row(0, first, None, None)]
        confusion, stopping = None, self.settings.early_stopping
        if machine.given is not None:  # there is no epoch: the first programming has the accuracies
            say(f"the weights come from a file of SHA-256 {machine.given.sha256}; nothing is trained")
            (validation, confusion), _ = self.evaluator.evaluate(state, 0, parts=("validation", "test"))
            history = [self._row(0, first, validation, confusion)]
        if stored is not None and self.passes(stored[1]["history"]):
            state, record = stored
            history, confusion = record["history"], np.array(record["confusion"])
            say(f"resuming after epoch {history[-1]['epoch']}")
            report(machine.samples * history[-1]["epoch"], history[-1])
        elif path.exists():
            say("the checkpoint belongs to another run and is not used")
        for number in range(history[-1]["epoch"] + 1, self.settings.epochs + 1):
            if stopping is not None and self.waited(history):
                say(f"no better validation accuracy for {stopping.patience} epochs: stopped")
                break
            state, meter = self.epoch(state, number)
            if not np.isfinite(float(meter.loss)):
                raise UserError(
                    f"variant {self.settings.variant}, replicate {machine.replicate}: the training loss is not finite "
                    f"in epoch {number}; lower network.optimizer.learning_rate"
                )
            if state.array is not None:
                array, moved = machine.rested(state.array, number)
                state, meter = state._replace(array=array), meter._replace(disturbs=meter.disturbs + moved)
            (validation, confusion), _ = self.evaluator.evaluate(state, number, parts=("validation", "test"))
            history.append(self._row(number, meter, validation, confusion))
            checkpoint.save(path, name, state, {"history": history, "confusion": confusion.tolist()})
            report(machine.samples, history[-1])
        evaluations = self.evaluator.evaluations(state, history[-1]["epoch"])
        meter, programming = self.evaluator.meter(state, history, self.reached)
        return {
            "history": history, "confusion": confusion, "evaluations": evaluations, "programming": programming,
            "meter": meter,
        }  # fmt: skip

    def waited(self, history: list[dict]) -> bool:
        """Return whether validation has been without improvement for longer than the config's patience."""
        if self.settings.early_stopping is None:
            return False
        best = max(history[1:], key=lambda row: row["validation_accuracy"], default=history[0])
        return history[-1]["epoch"] - best["epoch"] >= self.settings.early_stopping.patience

    def passes(self, history: list[dict]) -> bool:
        """Return whether this run, with its own number of epochs and patience, comes by the end of ``history``."""
        stopped = any(self.waited(history[:number]) for number in range(2, len(history)))
        return history[-1]["epoch"] <= self.settings.epochs and not stopped

    def identity(self, data_id: str) -> str:
        """Return the hash that a checkpoint must carry to be resumed by this run."""
        machine = self.machine
        return checkpoint.identity(
            sources.command("network", "train", *self.settings.modules),
            settings=self.settings.identity(),
            device=machine.device.digest,
            replicate=machine.replicate,
            data=data_id,
            chip=machine.chip,
            **({} if machine.given is None else {"pretrained": machine.given.sha256}),
        )

    def _row(self, number: int, meter: Meter, validation: np.ndarray | None, test: np.ndarray | None) -> dict:
        """Return one epoch as a dict of JSON values; ``writes_by_pulse`` counts the card's pulses, [P]."""
        machine = self.machine
        return {
            "epoch": number,
            "samples": machine.samples if number else 0,
            "train_loss": float(meter.loss) if number else None,
            "validation_accuracy": None if validation is None else rate(validation),
            "test_accuracy": None if test is None else rate(test),
            "writes_by_pulse": (np.asarray(meter.writes, np.int64) @ machine.alphabet.pulses).tolist(),
            "transitions": int(meter.transitions),
            "disturbs": int(meter.disturbs),
        }
