"""What the trainer asks of a learning rule: pure functions on a memory that is any pytree.

A step of the trainer is

    weights  = rule.weights(memory, arrays, context)           what the forward pass sees
    signals  = gradients of the weights, or the inputs and errors of each layer's columns
    memory, plans = rule.propose(memory, arrays, signals, context)
    arrays   = devices after the plans' commands (`network.synapse.sampling.program`,
    `network.synapse.pulse_trains.program`)

A new rule is a file in this folder with a section ``Options``, and a subclass of `Rule` that receives it, ``RULE``. How
the trainer and the checks of a study treat a rule follows from four things that it says of itself: ``kinds``,
``devices``, ``outer`` and ``scale``. What only the rule can count of its costs it tells the meter by `Costs`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import optax

from calibration.card import Kind
from network.model.layers import (
    Layer,
    Noise,
    Synapses,
    read,
)
from network.model.optimizers import Optimizer
from network.rules.capabilities import Costs, Devices
from network.synapse import random_words, sampling
from network.synapse.device import DeviceModel
from network.synapse.fractions import Fractions
from network.synapse.pulse_trains import Trains
from network.synapse.sampling import Alphabet, Array, Plan
from network.synapse.turns import Turns
from network.synapse.write_verify import Keys, Loop, Program, Reached, Targets
from spinloom.declare import Section
from spinloom.errors import UserError

Options = TypeVar("Options", bound=Section)
Shapes = tuple[tuple[int, int], ...]


class Context(NamedTuple):
    """Names the random numbers of one step and tells what the step is for."""

    keys: Keys
    step: jax.Array  # int32[]


class Deployed(NamedTuple):
    """What deploying did."""

    writes: jax.Array  # int32[K], by command
    looks: jax.Array  # int32[], at single devices
    reached: Reached | None = None  # of a closed loop


class Signals(NamedTuple):
    """What the backward pass hands to a rule; gradients, or inputs and errors, are empty if it did not ask for them."""

    gradients: tuple[jax.Array, ...] = ()  # of the mean loss, float32[inputs, outputs] per layer
    inputs: tuple[jax.Array, ...] = ()  # float32[batch, inputs] per layer
    errors: tuple[jax.Array, ...] = ()  # of the mean loss per column, float32[batch, outputs] per layer
    scales: tuple[float, ...] = ()  # column value of one input and weight 1, per layer


class Rule(ABC, Generic[Options]):
    """Base of all rules: one device per synapse, which is read as it is.

    Parameters
    ----------
    device : DeviceModel
        Made with the rule's ``scale``.
    optimizer : Optimizer
    options : Section
        ``network.rule_options`` as the ``Options`` of the rule's file.
    """

    name = ""
    kinds: tuple[Kind, ...] = ()  # of devices that it can use, one of which a card must be; none: any
    devices = Devices.IN_PLACE
    outer = False  # whether signals are the inputs and errors of one image instead of gradients
    scale = "levels"  # see `network.synapse.device`
    mix: tuple[float, ...] = (1.0,)  # weight of each device in its synapse
    interval: int | None = None  # steps between two calls of `maintain`; None: it is never called
    loop: Loop | None = None  # programs what `init` gives targets for
    takes_weights = False  # whether `holding` makes a memory of weights that were trained elsewhere
    # options that `network.tune` may look for, by name: smallest and largest value of a range divided by its logarithm
    tunable: ClassVar[Mapping[str, tuple[float, float]]] = MappingProxyType({})
    draws = 1  # evaluations of a trained network, each with random numbers (and deployed devices) of its own
    costs = Costs()

    def __init__(self, device: DeviceModel, optimizer: Optimizer, options: Options):
        self.device, self.optimizer, self.options = device, optimizer, options
        self.read_variance = jnp.asarray(device.read_sd) ** 2

    @classmethod
    def uses_card(cls, options: Options) -> bool:
        """Return whether a training depends on the kernel card."""
        return cls.devices is not Devices.NONE

    @classmethod
    def usable(cls, options: Options) -> tuple[Kind, ...]:
        """Return the kinds of devices that the rule can use with these options."""
        return cls.kinds

    @classmethod
    def effort(cls, options: Options) -> tuple[float, float]:
        """Return the work of a weight at each use and at each step, in the units of `spinloom.speed`."""
        return 1.0, 35.0  # measured with Adam

    @classmethod
    def scaled_by(cls, options: Options) -> str:
        """Return what the weights -1 and 1 are, as `network.synapse.device` tells it."""
        return cls.scale

    @classmethod
    def assumes(cls, options: Options) -> str:
        """Return what the rule takes a driver for that no card says, in words for tables; empty: nothing."""
        return ""

    def needs(self, states: int | None = None, **flags: bool) -> None:
        """Check that the card's flags and number of states suit the rule.

        Raises
        ------
        UserError
            If they do not.
        """
        for flag, value in flags.items():
            if bool(self.device.flags.get(flag)) != value:
                found = str(not value).lower()
                raise UserError(
                    f"card.json: flags.{flag}: found {found}, allowed: {str(value).lower()} for {self.name}"
                )
        if states is not None and len(self.device.states) != states:
            raise UserError(f"states.csv: found {len(self.device.states)} states, allowed: {states} for {self.name}")

    def alphabet(self) -> Alphabet:
        """Return the commands that the plans' numbers mean."""
        return sampling.alphabet(self.device)

    @abstractmethod
    def init(self, keys: Keys, shapes: Shapes) -> tuple[Any, tuple[Plan | Targets, ...] | None]:
        """Return the memory and the first programming, [devices, inputs, outputs] per layer.

        That is a plan, or the weights that ``loop`` is to reach.
        """

    def holding(self, weights: tuple[jax.Array, ...]) -> Any:
        """Return the memory after a training that ended with ``weights``, float32[inputs, outputs] of -1 to 1."""
        raise NotImplementedError

    def weights(self, memory: Any, arrays: tuple[Array, ...], context: Context) -> tuple[Any, ...]:
        """Return what the forward pass takes as weights, one entry per layer; the first leaf is differentiated.

        ``arrays`` are the devices of each layer, here and below; empty for a rule without devices.
        """
        return tuple(self.combine(array) for array in arrays)

    def combine(self, array: Array) -> Synapses:
        """Return the synapses of a layer: the devices' sum with the weights ``mix``."""
        value = jnp.asarray(sum(factor * array.weight[d] for d, factor in enumerate(self.mix)))
        if not np.any(self.device.read_sd > 0):
            return Synapses(value)
        if self.device.uniform_read_noise:
            return Synapses(value, sum(factor**2 for factor in self.mix) * self.read_variance[0])
        variance = sum(f**2 * self.read_variance[array.state[d]] for d, f in enumerate(self.mix))
        return Synapses(value, jnp.asarray(variance))

    def product(self, layer: Layer, x: jax.Array, weights: Any, noise: Noise) -> jax.Array:
        """Return the column values; ``weights`` is an entry of `weights`, the rest is as in `model.layers.read`."""
        return read(x, weights, layer, noise)

    def column_unit(self, layer: Layer) -> float:
        """Return the column value of uniform weights and unit inputs."""
        return 1.0

    @abstractmethod
    def propose(
        self, memory: Any, arrays: tuple[Array, ...], signals: Signals, context: Context
    ) -> tuple[Any, tuple[Plan | Trains | Fractions | Turns, ...] | None]:
        """Take in the signals and say which devices get which command."""

    def maintain(self, arrays: tuple[Array, ...]) -> tuple[Plan, ...]:
        """Say what is done to the devices every ``interval`` steps, after that step's own commands."""
        raise NotImplementedError

    def deployed_weights(self, memory: Any, arrays: tuple[Array, ...], context: Context) -> tuple[Any, ...]:
        """Return the weights of a trained network; by default as in training."""
        return self.weights(memory, arrays, context)

    def deploy(
        self, memory: Any, array: Array, shapes: tuple[tuple[int, int, int], ...], program: Program, context: Context
    ) -> tuple[Array, Deployed]:
        """Program new devices with what has been trained.

        Parameters
        ----------
        memory : Any
        array : Array
            Packed, as made.
        shapes : tuple
            [devices, inputs, outputs] of each layer in it.
        program : callable
            ``program(counter, array, plans) -> array, Info``.
        context : Context

        Returns
        -------
        array : Array
        deployed : Deployed
        """
        raise NotImplementedError

    def clocks(self, memory: Any) -> list[float] | None:
        """Return how many of each of the card's pulses one read of all synapses takes, if a read is a pulse."""
        return None

    @abstractmethod
    def memory_bits(self, memory: Any) -> dict[str, int]:
        """Return the bits of digital memory that the rule keeps, by name, for all synapses together."""


def uniform(keys: Keys, shapes: Shapes) -> tuple[jax.Array, ...]:
    """Draw float32[inputs, outputs] uniformly in -1 to 1 for each layer."""
    return tuple(
        random_words.uniform(random_words.words(key, 0, shape)[0]) / jnp.float32(3**0.5)
        for key, shape in zip(keys, shapes, strict=True)
    )


def descend(
    transform: optax.GradientTransformation,
    value: tuple[jax.Array, ...],
    state: optax.OptState,
    gradients: tuple[jax.Array, ...],
    scales: tuple[float, ...] | None = None,
) -> tuple[tuple[jax.Array, ...], optax.OptState]:
    """Move ``value`` by one optimiser step and clip it to -1 to 1, float32[...] per layer.

    With ``scales`` the optimiser moves the true weights, scale times value, and sees their gradients.
    """
    if scales is None:
        updates, state = transform.update(gradients, state, value)
        moves = jax.tree.leaves(updates)
    else:
        true = tuple(v * s for v, s in zip(value, scales, strict=True))
        updates, state = transform.update(tuple(g / s for g, s in zip(gradients, scales, strict=True)), state, true)
        moves = [u / s for u, s in zip(jax.tree.leaves(updates), scales, strict=True)]
    return tuple(jnp.clip(v + u, -1.0, 1.0) for v, u in zip(value, moves, strict=True)), state


def bits(tree) -> int:
    """Return the size of all arrays of one or more axes in ``tree`` (a step counter is not memory of synapses)."""
    return sum(leaf.nbytes * 8 for leaf in jax.tree.leaves(tree) if leaf.ndim)
