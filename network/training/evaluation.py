"""How a trained network is tested, and what its run has cost."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from network.model import layer_stack
from network.model.layers import Clipping
from network.results.meter import Clipped, LayerUse, Meter
from network.rules.base import Context
from network.rules.capabilities import Devices
from network.synapse import resting, sampling, write_verify
from network.synapse.write_verify import Reached
from network.training.machine import Machine, TrainState
from spinloom.streams import generator

EVALUATION_BATCH = 500


class Deployment(NamedTuple):
    """What it took to program the devices that classify."""

    writes: np.ndarray  # int64[K], by pulse of the card
    looks: int  # at single devices
    reached: Reached | None = None  # of a closed loop


class Evaluator:
    """Tests of the network of a `Machine`."""

    def __init__(self, machine: Machine):
        self.machine, self.settings, self.rule = machine, machine.settings, machine.rule
        self.holds = self._holds()
        self._deploy = jax.jit(self._deploy_body)
        self._scores = jax.jit(self._scores_body)
        self._clipped = jax.jit(self._clipped_body)

    def _deploy_body(self, memory, array: sampling.Array, keys: dict):
        machine = self.machine

        def program(step: int, array: sampling.Array, plans):
            return machine.program(keys["programming"], step, array, plans)

        return self.rule.deploy(memory, array, machine.shapes, program, Context(keys["rule"], jnp.int32(0)))

    def deployed(self, state: TrainState, number: int, draw: int) -> tuple[sampling.Array | None, Deployment]:
        """Return the devices that classify after epoch ``number``, and what it took.

        Rules that train in place classify with the devices that they trained; others program a set of devices of its
        own for each draw.
        """
        machine = self.machine
        if self.rule.devices is not Devices.DEPLOYED:
            return state.array, Deployment(np.zeros(len(machine.device.pulses), np.int64), 0)
        names = ("deployment", number, draw)
        array, _ = machine.fabricate(*names)
        keys = {"programming": machine.stream("programming", *names), "rule": machine.streams("rule", *names)}
        array, done = self._deploy(state.memory, array, keys)
        pulses = np.asarray(done.writes, np.int64) @ machine.alphabet.pulses
        return machine.rested(array, 0, *names)[0], Deployment(pulses, int(done.looks), done.reached)

    def _holds(self) -> list[tuple[dict, resting.Held]]:
        """Return the configured ways of keeping the network, and what becomes of its devices; none without devices."""
        machine = self.machine
        section = self.settings.evaluation.retention
        if section is None or self.rule.devices not in (Devices.IN_PLACE, Devices.DEPLOYED):
            return []
        found = []
        for temperature in section.temperatures_K:
            where, count = "network.evaluation.retention", len(machine.device.states)
            hops = resting.rates(machine.device.retention, temperature, count, where)
            for interval in section.refresh_intervals_s:
                for hold_s in section.holds_s:
                    way = {"value": float(hold_s), "temperature_K": float(temperature), "refresh_interval_s": interval}
                    kept = resting.hold(hops, machine.device.transition, hold_s, interval, section.attempts)
                    found.append((way, kept))
        return found

    def _scores_body(
        self, state: TrainState, x: jax.Array, streams: dict, factors, chunk: jax.Array, clippings: Any = None
    ) -> jax.Array:
        machine = self.machine
        arrays = machine.seen(machine.arrays(state), factors)
        weights = self.rule.deployed_weights(state.memory, arrays, Context(streams["rule"], chunk))
        product = machine.product(streams["read noise"], chunk, clippings)
        return layer_stack.forward(machine.architecture, product, weights, state.model, machine.shaped(x), False)[0]

    def _clipped_body(self, state: TrainState, x: jax.Array, streams: dict, factors, chunk: jax.Array):
        clippings = tuple(Clipping() for _ in self.machine.architecture.layers)
        self._scores_body(state, x, streams, factors, chunk, clippings)
        return [[sum(part) / len(part) if part else None for part in (one.dac, one.adc)] for one in clippings]

    def clipped(self, state: TrainState, number: int) -> tuple[Clipped, ...]:
        """Return what the converters of each layer cut off of the validation images, with the devices of `deployed`.

        ``number`` is the epoch, which names the random numbers. A last incomplete batch among others is left out.
        """
        machine, converters = self.machine, self.settings.converters
        if not converters.dac_bits and not converters.adc_bits:
            return tuple(Clipped(None, None) for _ in machine.architecture.layers)
        images, _ = machine.validation
        size = min(EVALUATION_BATCH, len(images))
        streams = {
            "read noise": machine.streams("evaluation", "clipping", number),
            "rule": machine.streams("evaluated rule", "clipping", number),
        }
        factors = machine.factors(state)
        parts = [
            self._clipped(state, machine.prepare(images[first : first + size]), streams, factors, jnp.int32(chunk))
            for chunk, first in enumerate(range(0, len(images) - size + 1, size))
        ]
        return tuple(
            Clipped(*(None if one[0] is None else float(np.mean(one)) for one in zip(*layer, strict=True)))
            for layer in zip(*parts, strict=True)
        )

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
        factors : tuple of network.crossbar.array_effects.Factors or None
            Of these devices' lines.
        noise_sd : float
            Of Gaussian noise on the pictures, whose values are 0 to 1.

        Returns
        -------
        ndarray, int64[classes, classes]
            Rows are the true classes, columns the network's answers.
        """
        machine = self.machine
        images, labels = getattr(machine, part)
        names = (part, number) if not draw else (part, number, draw)
        streams = {
            "read noise": machine.streams("evaluation", *names),
            "rule": machine.streams("evaluated rule", *names),
        }
        answers = []
        for chunk, first in enumerate(range(0, len(images), EVALUATION_BATCH)):
            piece = images[first : first + EVALUATION_BATCH]
            # a short last chunk is padded: one shape, one compilation
            padded = np.pad(piece, ((0, EVALUATION_BATCH - len(piece)), (0, 0)))
            x = machine.prepare(padded)
            if noise_sd:
                random = generator(self.settings.seed, "network", "input noise", *machine.run_names, part, chunk)
                x = x + jnp.float32(noise_sd) * random.standard_normal(x.shape, dtype=np.float32)
            scores = self._scores(state, x, streams, factors, jnp.int32(chunk))
            answers.append(np.argmax(np.asarray(scores), axis=1)[: len(piece)])
        pairs = labels.astype(np.int64) * machine.classes + np.concatenate(answers)
        return np.bincount(pairs, minlength=machine.classes**2).reshape(machine.classes, machine.classes)

    def evaluate(self, state: TrainState, number: int, draw: int = 0, parts: tuple[str, ...] = ("test",), **options):
        """Return the confusion matrix of each part, and what deploying took."""
        array, deployment = self.deployed(state, number, draw)
        shown = state._replace(array=array)
        factors = self.machine.factors(shown)
        return [self.confusion(shown, part, number, draw, factors, **options) for part in parts], deployment

    def evaluations(self, state: TrainState, number: int) -> list[dict]:
        """Test the trained network once per draw of its rule, under each noise of the pictures, and after each hold.

        Returns
        -------
        list of dict
            ``condition`` ("draw", "input_noise_sd", "hold_s"), ``value``, ``draw``, ``test_accuracy``, ``writes``; of
            a hold also ``temperature_K``, ``refresh_interval_s``, and of its refreshes the expected
            ``refresh_writes_per_device``, ``refresh_writes_of_worst_state`` and ``refresh_energy_J`` of all devices.
        """
        machine = self.machine
        rows = []

        def add(condition: str, value: float, draw: int, **options) -> None:
            (matrix,), deployment = self.evaluate(state, number, draw, **options)
            rows.append({
                "condition": condition, "value": value, "draw": draw, "test_accuracy": rate(matrix),
                "writes": int(deployment.writes.sum()),
            })  # fmt: skip

        if self.rule.draws > 1:
            for draw in range(self.rule.draws):
                add("draw", float(draw), draw)
        for sd in self.settings.evaluation.input_noise_sds:
            add("input_noise_sd", float(sd), 0, noise_sd=float(sd))
        if not self.holds:
            return rows
        array, deployment = self.deployed(state, number, 0)
        counts = np.sum(self._states(state._replace(array=array)), axis=0)
        given = int(deployment.writes.sum())
        for place, (way, held) in enumerate(self.holds):
            aged, _ = machine.relax(machine.stream("hold"), jnp.int32(place), array, machine.alone(held.kernel))
            shown = state._replace(array=aged)
            # these devices are not those of the step, whose lines may be known
            lines = machine.solve(shown)
            each, energy = held.writes.sum(axis=1), held.writes @ machine.device.write_energy
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
        machine = self.machine
        count = len(machine.device.states)
        return [np.bincount(np.ravel(a.state), minlength=count).tolist() for a in machine.arrays(state)]

    def meter(self, state: TrainState, history: list[dict], first: Reached | None = None) -> tuple[Meter, list[dict]]:
        """Return the counters of the run, and the rows of programming.csv.

        ``first`` is what the loop of the first programming did, if there was one.
        """
        machine = self.machine
        array, deployment = self.deployed(state, history[-1]["epoch"], 0)
        shown = state._replace(array=array)
        arrays = [jax.tree.map(np.asarray, one) for one in machine.arrays(shown)]
        loops = {"first programming": first, "deployment": deployment.reached}
        rows = [
            {"stage": stage, **row}
            for stage, reached in loops.items() if reached is not None
            for row in write_verify.table(reached, machine.device.g_scale)
        ]  # fmt: skip
        clipped = self.clipped(shown, history[-1]["epoch"])
        looks = deployment.looks + (0 if first is None else int(first.looks))
        absent: dict[str, Any] = {}  # where a network has no such parts, as the section asks
        if any(machine.architecture.between):
            absent["between"] = machine.architecture.between
        if machine.given is not None:
            absent["pretrained"] = machine.given.sha256
        counted = Meter(
            **absent,
            variant=self.settings.variant,
            rule=self.rule.name,
            replicate=machine.replicate,
            device=machine.device.digest,
            assumed="; ".join(filter(None, (self.rule.assumes(self.rule.options), machine.device.assumed))),
            uses_device=self.rule.devices is Devices.IN_PLACE,
            epochs=history[-1]["epoch"],
            samples=sum(row["samples"] for row in history),
            steps=int(state.step),
            layers=tuple(LayerUse(one.inputs, one.outputs, one.uses) for one in machine.architecture.layers),
            normalisation=machine.architecture.normalisation,
            devices_per_synapse=len(self.rule.mix) if arrays or self.rule.costs.reads_per_product else 0,
            reads_per_product=self.rule.costs.reads_per_product,
            clocks=None if (clocks := self.rule.clocks(state.memory)) is None else tuple(clocks),
            outer=self.rule.outer,
            pulses=tuple(machine.device.pulses),
            writes_by_pulse=np.sum([row["writes_by_pulse"] for row in history], axis=0).tolist(),
            deployment_by_pulse=deployment.writes.tolist(),
            first_writes=int(np.sum(history[0]["writes_by_pulse"])),
            transitions=sum(row["transitions"] for row in history),
            disturbs=sum(row["disturbs"] for row in history),
            writes_by_layer=tuple(int(np.sum(a.writes, dtype=np.int64)) for a in arrays),
            most_writes_on_a_device=tuple(int(a.writes.max()) for a in arrays),
            devices_by_state=tuple(map(tuple, self._states(shown))),
            state_reads_per_step=self.rule.costs.state_reads_per_step,
            verify_reads=looks * (1 if self.rule.loop is None else self.rule.loop.reads),
            memory_bits=self.rule.memory_bits(state.memory) if machine.given is None else {},
            weight_bits=self.rule.costs.weight_bits,
            clipped=clipped,
        )
        return counted, rows


def rate(confusion: np.ndarray) -> float:
    """Return the fraction of right answers in a confusion matrix, int[classes, classes]."""
    return float(np.trace(confusion) / confusion.sum())
