r"""Ex-situ: train in float against the device as the card describes it, then program real devices once.

The ex-situ rule of Misba et al. (arXiv 2111.07284). Training is that of `accumulate_quantise_program` with the float
accumulator and its ``margin``, but no device takes part: each step draws what the devices would hold if they were
programmed to the present levels, from the card's table and from the spread between devices, afresh.

Deploying programs each of a set of new devices once with the pulse of its level. With ``attempts`` above 1 they are
read and programmed again while they are off by more than ``verify_margin`` of the smallest distance between two
levels, at most so often in all. The network is tested on ``deployments`` sets of devices: the spread between them is
what one who builds a single one must expect.

With a ``tolerance`` the weights are analogue, between the lowest and the highest conductance of a state, and devices
are programmed to them in a closed loop (`network.synapse.write_verify`), from whatever state they are made in: the way
for devices that are moved in steps, none of whose pulses writes a level. Training then draws weights that a loop has
left anywhere within the tolerance, afresh at each step.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from calibration.card import Kind
from network.model.layers import Synapses
from network.model.optimizers import Optimizer
from network.rules import accumulate_quantise_program, float_baseline
from network.rules.accumulate_quantise_program import AccumulateQuantiseProgram, Memory, lookup
from network.rules.base import Context, Deployed, Keys, Program, Rule, Shapes, Signals
from network.rules.capabilities import Devices
from network.rules.float_baseline import FloatBaseline
from network.synapse import random_words, sampling, write_verify
from network.synapse.alias import alias_row
from network.synapse.device import DeviceModel
from network.synapse.sampling import Array, Plan
from network.synapse.write_verify import Loop
from spinloom.declare import Real, Whole, key
from spinloom.errors import UserError


class Options(write_verify.Options):
    """Options of train_then_deploy."""

    margin: Real = key("As in `accumulate_quantise_program`, during the training.", 0.0, ge=0, le=10)
    attempts: Whole = key(
        "Largest number of writes of a device. With more than 1, writes are verified.", 1, ge=1, le=100
    )
    verify_margin: Real = key(
        "A device is written again if its error exceeds this part of the smallest distance between two levels.",
        0.5,
        ge=0,
        le=10,
    )
    deployments: Whole = key("Number of sets of devices on which the trained network is tested.", 20, ge=1, le=1000)


class TrainThenDeploy(Rule[Options]):
    """See the module text."""

    name = "train_then_deploy"
    kinds = (Kind.LEVELS, Kind.STEPS)
    devices = Devices.DEPLOYED
    takes_weights = True

    def __init__(self, device: DeviceModel, optimizer: Optimizer, options: Options):
        super().__init__(device, optimizer, options)
        self.needs(volatile=False, destructive_read=False)
        self.attempts, self.draws, self.verify_margin = options.attempts, options.deployments, options.verify_margin
        if options.tolerance is None:
            levels = accumulate_quantise_program.Options(margin=options.margin)
            self.training, self.loop = AccumulateQuantiseProgram(device, optimizer, levels), None
            self.level_pulse = jnp.asarray(device.level_pulse, jnp.int16)
        else:
            for name, value, alone in (("attempts", options.attempts, 1), ("margin", options.margin, 0)):
                if value != alone:
                    raise UserError(
                        f"network.rule_options.{name}: found {value:g}, allowed: {alone} if there is a tolerance"
                    )
            pulses = range(len(device.pulses))
            self.training = FloatBaseline(device, optimizer, float_baseline.Options())
            self.loop = Loop(device, options, pulses, pulses)
        self.tables = sampling.tables(device)
        threshold, alias = alias_row(device.occupancy, sampling.columns(len(device.states)))
        self.start = self.tables._replace(
            threshold=jnp.asarray(threshold), alias=jnp.asarray(alias, self.tables.alias.dtype)
        )

    @classmethod
    def usable(cls, options: Options) -> tuple[Kind, ...]:
        """Return the kinds of devices: in a closed loop also what moves in steps.

        If writes are verified, a pulse that fails is given again.
        """
        if options.tolerance is not None:
            return cls.kinds
        return (Kind.LEVELS, Kind.SWITCHING) if options.attempts > 1 else (Kind.LEVELS,)

    @classmethod
    def scaled_by(cls, options: Options) -> str:
        """Return what -1 and 1 are: levels, or in a closed loop the ends of the range."""
        return "levels" if options.tolerance is None else "states"

    def init(self, keys: Keys, shapes: Shapes) -> tuple[Any, None]:
        """Draw the weights uniformly in -1 to 1."""
        return self.training.init(keys, shapes)[0], None

    def holding(self, weights: tuple[jax.Array, ...]) -> Any:
        """Return the memory of the training, as if it had ended with ``weights``, float32[inputs, outputs] each."""
        return self.training.holding(weights)

    def weights(self, memory: Any, arrays: tuple[Array, ...], context: Context) -> tuple[Synapses, ...]:
        """Draw devices that have just been programmed to the present levels or weights."""
        sample, wanted = (self.sample, memory.command) if isinstance(memory, Memory) else (self.near, memory.weight)
        return tuple(sample(key, context.step, one) for key, one in zip(context.keys, wanted, strict=True))

    def near(self, key: jax.Array, step: jax.Array, target: jax.Array) -> Synapses:
        """Return synapses (float32[inputs, outputs]) that a loop has brought within the tolerance of ``target``.

        Stuck ones are where they were made.
        """
        assert self.loop is not None
        step = 2 * jnp.asarray(step).astype(jnp.uint32)
        (defect, where), (before, _) = (random_words.words(key, step + i, target.shape) for i in range(2))
        weight = target + self.loop.tolerance * (2 * random_words.fraction(where) - 1)
        if self.device.stuck:
            zero = jnp.zeros(target.shape, jnp.int8)
            made = self.tables.state_weight[sampling.draw_state(before, zero, zero, self.start)]
            weight = jnp.where(random_words.fraction(defect) < self.device.stuck, made, weight)
        if not np.any(self.device.read_sd > 0):
            return Synapses(weight)
        order = np.argsort(self.device.state_weight)
        return Synapses(weight, jnp.interp(weight, self.tables.state_weight[order], self.read_variance[order]))

    def sample(self, key: jax.Array, step: jax.Array, level: jax.Array) -> Synapses:
        """Return synapses (float32[inputs, outputs]) after one write to ``level`` (int) on devices drawn at random."""
        shape = level.shape
        (outcome, within), (before, which), (defect, _) = (
            random_words.words(key, 3 * jnp.asarray(step).astype(jnp.uint32) + i, shape) for i in range(3)
        )
        instance = (which % jnp.uint32(len(self.device.instance_gain))).astype(jnp.int32)
        zero = jnp.zeros(shape, jnp.int8)
        made = sampling.draw_state(before, zero, zero, self.start)
        kind = None if self.device.by_instance is None else instance * self.device.transition[..., 0].size
        state = sampling.draw_state(outcome, made, lookup(self.level_pulse, level), self.tables, kind)
        if self.device.stuck:
            state = jnp.where(random_words.fraction(defect) < self.device.stuck, made, state)
        weight = sampling.placed(state, within, self.tables) * jnp.asarray(self.device.instance_gain)[instance]
        weight = weight + jnp.asarray(self.device.instance_weight)[instance]
        noisy = bool(np.any(self.device.read_sd > 0))
        return Synapses(weight, self.read_variance[state] if noisy else None)

    def propose(self, memory: Any, arrays: tuple[Array, ...], signals: Signals, context: Context) -> tuple[Any, None]:
        """Accumulate; a level changes when its band is left."""
        return self.training.propose(memory, (), signals, context)[0], None

    def memory_bits(self, memory: Any) -> dict[str, int]:
        """Count as of `AccumulateQuantiseProgram` or of `FloatBaseline`."""
        return self.training.memory_bits(memory)

    def deployed_weights(self, memory: Memory, arrays: tuple[Array, ...], context: Context) -> tuple[Synapses, ...]:
        """Return the programmed devices."""
        return super().weights(memory, arrays, context)

    def deploy(
        self,
        memory: Any,
        array: Array,
        shapes: tuple[tuple[int, int, int], ...],
        program: Program,
        context: Context,
    ) -> tuple[Array, Deployed]:
        """Program all devices, then those that are off; arguments and return as of `Rule.deploy`."""
        if not isinstance(memory, Memory):
            assert self.loop is not None
            array, reached = self.loop.reach(
                context.keys, array, tuple(weight[None] for weight in memory.weight), shapes, program
            )
            return array, Deployed(reached.info.writes, reached.looks, reached)
        pulses = tuple(lookup(self.level_pulse, level)[None] for level in memory.command)
        level_of = jnp.asarray(self.device.level)
        off = jnp.asarray(self.verify_margin * np.min(np.diff(self.device.level)), jnp.float32)

        def attempt(number, carry):
            array, masks, total = carry
            array, info = program(number, array, tuple(Plan(*pair) for pair in zip(pulses, masks, strict=True)))
            masks = tuple(
                jnp.abs(one.weight - lookup(level_of, level)[None]) > off
                for one, level in zip(sampling.views(array, shapes), memory.command, strict=True)
            )
            return array, masks, total + info.writes

        masks = tuple(jnp.ones(shape, bool) for shape in shapes)
        nothing = jnp.zeros(len(self.device.pulses), jnp.int32)
        array, _, total = jax.lax.fori_loop(0, self.attempts, attempt, (array, masks, nothing))
        return array, Deployed(total, jnp.sum(total) if self.attempts > 1 else jnp.int32(0))


RULE = TrainThenDeploy
