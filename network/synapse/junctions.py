"""Turns of junctions, drawn from a ladder (`network.synapse.turns`, `network.synapse.pulse_ladder`)."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float32, Int32, Integer, UInt32

from network.synapse import pulse_ladder, random_words
from network.synapse.apart import apart
from network.synapse.device import DeviceModel
from network.synapse.pulse_ladder import Ladder
from network.synapse.random_words import Key, Step
from network.synapse.turns import MAY, SECOND, Turn

HALF = 16  # bits of a word that tell whether a junction may switch


class Junctions(NamedTuple):
    """What a rule's turns are drawn from."""

    ladder: Ladder
    reach: Int32[jax.Array, " places"]  # upper half of the last word (see `ordered`) that may switch
    dither: bool


def make(device: DeviceModel, ladder: Ladder, dither: bool) -> Junctions:
    """Return what turns of a two-state device are drawn from."""
    kernel = device.transition[None] if device.by_instance is None else device.by_instance
    moves = 1 - np.diagonal(kernel, axis1=-2, axis2=-1).min(axis=(0, -1))  # [pulses], of whatever state and instance
    reach = np.floor(moves * 2**HALF).astype(np.int32)[np.asarray(ladder.command)]
    # one of a place's two rungs is taken, never number 0; a word more, as tables are rounded
    reach = np.maximum(reach, np.concatenate([reach[:, 1:], reach[:, -1:]], axis=1)) + 1
    return Junctions(ladder, jnp.asarray(reach.ravel()), dither)


def ordered(word: UInt32[jax.Array, "*shape"], state: Integer[jax.Array, "*shape"]) -> UInt32[jax.Array, "*shape"]:
    """Return words such that the smallest are those with which `sampling.draw_state` leaves one of two states.

    The upper half of the result follows from the upper half of the word.
    """
    # the upper bit is the column of the alias table; the other state's own column comes first
    turned = word ^ jnp.where(state == 0, jnp.uint32(2**31), jnp.uint32(0))
    # of the state's own column it is the last words that leave it
    return jnp.where(turned >> 31, turned ^ jnp.uint32(2**31 - 1), turned)


def draw(
    of: Junctions,
    key: Key,
    step: Step,
    back: Bool[jax.Array, "inputs outputs"],
    strength: Float32[jax.Array, "inputs outputs"],
    state: Integer[jax.Array, "devices inputs outputs"],
    second: Bool[jax.Array, "inputs outputs"] | None = None,
) -> Turn:
    """Draw the pulses of a turn.

    Parameters
    ----------
    of : Junctions
    key, step
        Name the random words of the layer.
    back, strength
        As of `pulse_ladder.aim`, for all junctions of a synapse alike.
    state : int
        Of the junctions.
    second : bool, optional
        Whether it is the turn of the second junction of a pair; None: all have their turn.
    """
    count, step = strength.size, jnp.asarray(step)

    def aimed() -> tuple[pulse_ladder.Aim, jax.Array]:
        at = pulse_ladder.aim(of.ladder, back, strength)
        return at, of.reach.at[at.place].get(mode="promise_in_bounds")

    def code() -> jax.Array:
        # the junctions of a synapse have one aim
        at, reach = aimed() if second is not None or len(state) == 1 else apart(step, aimed)
        place = jnp.arange(count, dtype=jnp.uint32).reshape(strength.shape)
        if second is not None:
            place, mine = place + second * jnp.uint32(count), jnp.where(second, state[1], state[0])
        else:
            at, reach, place = jax.tree.map(lambda one: one[None], (at, reach, place))
            place, mine = place + jnp.arange(len(state), dtype=jnp.uint32)[:, None, None] * jnp.uint32(count), state
        choice, word = random_words.words_at(key, step, place)
        taken = pulse_ladder.take(at, choice, of.dither)
        may = (ordered(word, mine) >> HALF).astype(jnp.int32) <= reach
        parts = taken | jnp.where(may & pulse_ladder.given(of.ladder, taken), MAY, 0)
        return parts if second is None else parts | jnp.where(second, SECOND, 0)

    return Turn(apart(step, code), of.ladder.command.ravel(), key, step)
