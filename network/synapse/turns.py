"""Writes of synapses of several devices, of which nearly always one at most gets a pulse.

A `Turn` names, for each synapse, the device and its command, so that words are drawn and tables looked up once for a
synapse instead of once for each of its devices. The random words belong to a device's place in the array, so the result
is the very same as that of programming the dense `Plan` (`plan`).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Integer

from network.synapse import sampling
from network.synapse.random_words import Key, Step
from network.synapse.sampling import Array, Info, Plan, Tables

WRITTEN = ("state", "weight", "writes")  # what is the instance's own never changes


class Turn(NamedTuple):
    """One device of each synapse of a layer, and what to do to it."""

    second: Bool[jax.Array, "inputs outputs"]  # whether it is the second device of the two
    pulse: Integer[jax.Array, "inputs outputs"]  # index of the command
    mask: Bool[jax.Array, "inputs outputs"]  # whether it is programmed at all


class Turns(NamedTuple):
    """What to do to a layer of pairs of devices."""

    first: Turn
    other: Turn  # for the few synapses of which both devices get a pulse; never the device of the first turn


def plan(turns: Turns) -> Plan:
    """Return the same pulses as a `Plan` for both devices of each synapse, [2, inputs, outputs]."""
    sides = [[turn.mask & (turn.second == second) for turn in turns] for second in (False, True)]
    pulses = [jnp.where(other, turns.other.pulse, turns.first.pulse) for _, other in sides]
    return Plan(jnp.stack(pulses), jnp.stack([first | other for first, other in sides]))


def program(
    key: Key,
    step: Step,
    array: Array,
    of_layers: tuple[Turns, ...],
    shapes: tuple[tuple[int, int, int], ...],
    table: Tables,
    pulses: int,
) -> tuple[Array, Info]:
    """Program the devices whose turn it is; parameters and return as of `network.synapse.pulse_trains.program`."""
    nothing = Info(jnp.zeros(pulses, jnp.int32), jnp.int32(0))

    def take(array: Array, info: Info, of_turn: tuple[Turn, ...]) -> tuple[Array, Info]:
        layers = []
        for turn, layer, begin in zip(of_turn, sampling.views(array, shapes), begins, strict=True):
            written, more = _turn(key, step, begin, layer, turn, table, pulses)
            layers.append(written)
            info = jax.tree.map(jnp.add, info, more)
        for name, parts in zip(WRITTEN, zip(*layers, strict=True), strict=True):
            old = getattr(array, name)
            parts = [*(part.ravel() for part in parts), old.ravel()[size:]]
            array = array._replace(**{name: jnp.concatenate(parts).reshape(old.shape)})
        return array, info

    *begins, size = np.cumsum([0, *(math.prod(shape) for shape in shapes)]).tolist()
    array, info = take(array, nothing, tuple(turns.first for turns in of_layers))
    others = tuple(turns.other for turns in of_layers)
    some = jnp.any(jnp.stack([jnp.any(turn.mask) for turn in others]))
    return jax.lax.cond(some, lambda: take(array, info, others), lambda: (array, info))


def _turn(key, step, begin: int, layer: Array, turn: Turn, table: Tables, pulses: int) -> tuple[tuple, Info]:
    """Return the fields `WRITTEN` of a layer, whose devices begin at ``begin`` of all, after a turn."""
    count = turn.second.size
    one = jax.tree.map(lambda field: jnp.where(turn.second, field[1], field[0]), layer)
    place = begin + jnp.arange(count, dtype=jnp.int32).reshape(turn.second.shape) + turn.second * jnp.int32(count)
    new, info = sampling.program_at(key, step, place, one, Plan(turn.pulse, turn.mask), table, pulses)

    def back(name: str) -> jax.Array:
        old, written = getattr(layer, name), getattr(new, name)
        return jnp.stack([jnp.where(turn.second == second, written, old[int(second)]) for second in (False, True)])

    return tuple(back(name) for name in WRITTEN), info
