"""Pulses of a ladder for junctions, nearly all of which stay as they are.

A ladder has pulses that switch once in a million times, so most junctions get one in every step and hardly any
switches. A `Turn` tells, for each junction whose turn it is, which pulse it gets and whether it *may* switch: the upper
half of its random word is compared with the largest probability in question. Pulses are counted for all junctions. The
few that may switch, one of a thousand, are then drawn with the card's table and the whole word, as
`network.synapse.sampling` draws them. The result is the very same as that of drawing all of them.

A junction has two random words in each step, from the stream of its layer and by its place in it: the first chooses
between two rungs, the second draws the state.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Int32, Integer, Shaped

from network.synapse import random_words, sampling
from network.synapse.apart import apart
from network.synapse.pulse_trains import set_bit
from network.synapse.random_words import Key, Step
from network.synapse.sampling import LANES, Array, Info, Plan, Tables

EVENTS = 128  # junctions that are drawn at once
MANY = 50  # more than one junction in so many: go through all
# the parts of a code: place of the rung, whether the junction may switch, whether it is the second of a pair
PLACE, MAY, SECOND = 2**15 - 1, 2**15, 2**16
BITS = 32


class Turn(NamedTuple):
    """What junctions get; [devices, inputs, outputs] if all have their turn, [inputs, outputs] if one of each pair."""

    code: Int32[jax.Array, "*shape"]  # see `PLACE`
    command: Integer[jax.Array, " places"]  # of each place of the ladder
    key: Key  # the stream and the step of the random words
    step: Step


class Turns(NamedTuple):
    """What to do to a layer."""

    first: Turn
    other: Turn | None = None  # for the few pairs of which both junctions get a pulse; never that of the first turn
    both: Bool[jax.Array, ""] | None = None  # whether there may be any


def _is_pulse(turn: Turn, place: jax.Array) -> jax.Array:
    """Return whether the rung at each place is a pulse, as `pulse_ladder.given`."""
    return (place != 0) & (place != len(turn.command) // 2)


def _turns_of(code: jax.Array, number: int) -> jax.Array:
    """Return whose turn it is: that of the pair's junction ``number``."""
    return ((code & SECOND) != 0) == (number == 1)


def plan(turns: Turns) -> Plan:
    """Return the same pulses as a `Plan` for all junctions, [devices, inputs, outputs]."""
    first, other = turns.first, turns.other
    place = first.code & PLACE
    if first.code.ndim == 3:
        return Plan(first.command[place], _is_pulse(first, place))
    pulse, given = [first.command[place]] * 2, [_turns_of(first.code, n) & _is_pulse(first, place) for n in range(2)]
    if other is not None:
        place = other.code & PLACE
        more = [_turns_of(other.code, n) & _is_pulse(other, place) for n in range(2)]
        pulse = [jnp.where(also, other.command[place], one) for also, one in zip(more, pulse, strict=True)]
        given = [one | also for one, also in zip(given, more, strict=True)]
    return Plan(jnp.stack(pulse), jnp.stack(given))


def program(
    array: Array, of_layers: tuple[Turns, ...], shapes: tuple[tuple[int, int, int], ...], table: Tables, pulses: int
) -> tuple[Array, Info]:
    """Program the junctions that have their turn; parameters and return as of `network.synapse.pulse_trains.program`.

    The random words are those of the turns. The conductance within a state must have no spread.
    """
    flat, total = jax.tree.map(jnp.ravel, array), Info(jnp.zeros(pulses, jnp.int32), jnp.int32(0))

    def take(flat: Array, total: Info, of_turn: tuple[Turn, ...]) -> tuple[Array, Info]:
        flat = flat._replace(writes=flat.writes + _given(of_turn, shapes, flat.writes.size))
        writes, moved = total.writes, total.transitions
        for turn, shape, begin in zip(of_turn, shapes, begins, strict=True):
            writes = writes.at[turn.command.astype(jnp.int32)].add(_counts(turn))
            flat, more = _switch(flat, turn, begin, shape, table)
            moved = moved + more
        return flat, Info(writes, moved)

    *begins, _ = np.cumsum([0, *(math.prod(shape) for shape in shapes)]).tolist()
    flat, total = take(flat, total, tuple(turns.first for turns in of_layers))
    others = tuple(turns.other for turns in of_layers if turns.other is not None)
    if others:
        # a loop of one round or none: unlike a conditional, it leaves the arrays where they are
        some = jnp.any(jnp.stack([turns.both for turns in of_layers if turns.both is not None]))
        _, flat, total = jax.lax.while_loop(
            lambda carry: carry[0], lambda carry: (jnp.bool_(False), *take(*carry[1:], others)), (some, flat, total)
        )
    return jax.tree.map(lambda new, old: new.reshape(old.shape), flat, array), total


def _given(of_turn: tuple[Turn, ...], shapes: tuple[tuple[int, int, int], ...], size: int) -> jax.Array:
    """Return which of ``size`` devices, one layer after the other, get a pulse, bool[size]."""
    step = of_turn[0].step

    def parts() -> list[jax.Array]:
        found = []
        for turn, (devices, *_) in zip(of_turn, shapes, strict=True):
            code = turn.code.ravel()
            pulse = _is_pulse(turn, code & PLACE)
            found += [pulse] if turn.code.ndim == 3 else [pulse & _turns_of(code, number) for number in range(devices)]
        return [*found, jnp.zeros(size - sum(len(part) for part in found), bool)]

    # each part by itself, then copied end to end: as one loop it takes four times as long
    each = apart(step, parts)
    return apart(step, lambda: jnp.concatenate(each))


def _counts(turn: Turn) -> Int32[jax.Array, " places"]:
    """Return how many junctions get the pulse of each place."""
    counts = sampling.tally(turn.code & PLACE, len(turn.command))
    return counts.at[jnp.array([0, len(counts) // 2])].set(0)  # rungs that are no pulse


def _switch(
    flat: Array, turn: Turn, begin: int, shape: tuple[int, int, int], table: Tables
) -> tuple[Array, Int32[jax.Array, ""]]:
    """Draw the junctions that may switch, of a layer that begins at ``begin``; return how many changed their state."""
    code, synapses = turn.code.ravel(), math.prod(shape[1:])
    may = jnp.pad((code & MAY) != 0, (0, -len(code) % LANES)).reshape(-1, LANES)
    ends = jnp.cumsum(jnp.sum(may, axis=1, dtype=jnp.int32))
    many = ends[-1] * MANY > len(code)
    last = jnp.where(many, 0, ends[-1])

    def some(carry):
        chunk, state, weight, moved = carry
        number = chunk * EVENTS + jnp.arange(EVENTS, dtype=jnp.int32)
        found = jnp.minimum(_find(may, ends, number), len(code) - 1)
        own = code[found]
        local = found if turn.code.ndim == 3 else found + jnp.where((own & SECOND) != 0, synapses, 0)
        at = jnp.where(number < last, begin + local, flat.state.size)  # fillers: nothing is read or written there
        part = jax.tree.map(lambda field: field.at[at].get(mode="clip"), flat._replace(state=state, weight=weight))
        new = _drawn(turn, own, local, part, table)
        moved = moved + jnp.sum((number < last) & (new != part.state), dtype=jnp.int32)
        state, weight = (
            field.at[at].set(value, mode="drop", unique_indices=True)
            for field, value in ((state, new), (weight, _weight(new, part, table)))
        )
        return chunk + 1, state, weight, moved

    def everything(carry):
        _, state, weight, moved = carry
        now = flat._replace(state=state, weight=weight)
        # junction by junction of a synapse: as one array, an index would be divided for each element
        width, count = turn.code.size, math.prod(shape) // turn.code.size
        sides = [jax.tree.map(lambda f, n=n: f[begin + n * width : begin + (n + 1) * width], now) for n in range(count)]
        local, part = jnp.arange(width, dtype=jnp.int32), sides[0]
        second = (code & SECOND) != 0
        if turn.code.ndim == 2:
            local = local + second * jnp.int32(synapses)
            part = jax.tree.map(lambda one, other: jnp.where(second, other, one), *sides)
        new = apart(turn.step, lambda: jnp.where((code & MAY) != 0, _drawn(turn, code, local, part, table), part.state))

        def written(name: str, value: jax.Array) -> jax.Array:
            field, end = getattr(now, name), begin + math.prod(shape)
            mine = [jnp.where(second == (n == 1), value, getattr(old, name)) for n, old in enumerate(sides)]
            parts = apart(turn.step, lambda: [field[:begin], *(mine if turn.code.ndim == 2 else [value]), field[end:]])
            return apart(turn.step, lambda: jnp.concatenate(parts))

        moved = moved + jnp.sum(new != part.state, dtype=jnp.int32)
        return jnp.bool_(False), written("state", new), written("weight", _weight(new, part, table)), moved

    carry = (jnp.int32(0), flat.state, flat.weight, jnp.int32(0))
    carry = jax.lax.while_loop(lambda carry: carry[0] * EVENTS < last, some, carry)
    _, state, weight, moved = jax.lax.while_loop(lambda carry: carry[0], everything, (many, *carry[1:]))
    return flat._replace(state=state, weight=weight), moved


def _drawn(turn: Turn, code: jax.Array, local: jax.Array, part: Array, table: Tables) -> jax.Array:
    """Return the next states of junctions by their ``code`` and place in the layer (``local``); all of one shape."""
    word = random_words.words_at(turn.key, turn.step, local)[1]
    drawn = sampling.draw_state(word, part.state, turn.command[code & PLACE], table, part.kind)
    return drawn if part.stuck is None else jnp.where(part.stuck, part.state, drawn)


def _weight(state: jax.Array, part: Array, table: Tables) -> jax.Array:
    """Return the weights of junctions that have come into ``state``."""
    return table.state_weight[state] * part.gain + part.offset


def _find(
    mask: Bool[jax.Array, "rows lanes"], ends: Int32[jax.Array, " rows"], number: Int32[jax.Array, " events"]
) -> Shaped[jax.Array, " events"]:
    """Return the places in the flat ``mask`` of its true entries by number; ``ends`` counts those up to each row."""
    row = jnp.minimum(jnp.searchsorted(ends, number, side="right", method="scan_unrolled"), len(ends) - 1).astype(
        jnp.int32
    )
    before = jnp.where(row > 0, ends[jnp.maximum(row - 1, 0)], 0)
    lanes = mask[row].reshape(len(row), -1, BITS).astype(jnp.uint32)
    words = jnp.sum(lanes << jnp.arange(BITS, dtype=jnp.uint32)[None, None], axis=-1, dtype=jnp.uint32)
    return row * LANES + jnp.minimum(set_bit(words, number - before), LANES - 1)
