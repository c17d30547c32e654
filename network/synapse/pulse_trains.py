"""Coincidences of pulse trains: what one step of a single image does to an array, as a short list of events.

Rows and columns carry trains of at most 32 slots, kept as the bits of a word. The device at (i, j) gets one pulse for
each slot in which both fire: n_ij = popcount(row_i & column_j). Hardly any of the synapses is met (a hundred of
80,000), so they are never listed one by one: event k is found from the sums of the rows, and only the devices of events
are read, drawn and written. The random words belong to a device's place in the array, so this gives the very same
result as programming the dense `Plan` (`plan`).
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float32, Int32, UInt32

from network.synapse import random_words, sampling
from network.synapse.random_words import Key, Step
from network.synapse.sampling import Array, Info, Plan, Tables

BITS = 32
EVENTS = 128  # devices that are programmed at once


class Trains(NamedTuple):
    """The trains on the lines of one layer."""

    rows: UInt32[jax.Array, " inputs"]  # bit s: fires in slot s
    columns: UInt32[jax.Array, "signs outputs"]  # that meet rows which do not fall, and which do; or one for both
    falling_rows: Bool[jax.Array, " inputs"]  # sign of the row; a pulse falls where row and column agree
    falling_columns: Bool[jax.Array, " outputs"]
    device: Int32[jax.Array, ""]  # which of a synapse's devices is pulsed
    commands: Int32[jax.Array, "2"]  # the command "one pulse" that raises, that lowers; n pulses are n - 1 further on


def drawn(key: Key, step: Step, chance: Float32[jax.Array, " lines"], slots: int) -> UInt32[jax.Array, " lines"]:
    """Return the trains of lines that fire in each slot with probability ``chance``.

    Parameters
    ----------
    key, step
        Name the random words.
    chance : float32[lines]
        Beyond 1: always.
    slots : int
        At most 31.
    """
    bits, line = jnp.zeros(chance.shape, jnp.uint32), jax.lax.iota(jnp.uint32, len(chance))
    # slot by slot and not as a sum over an axis, which a processor does one by one (six times as long)
    for first in range(0, slots, 2):
        words = random_words.words_at(key, step, jnp.uint32(first // 2 * len(chance)) + line)
        for slot, word in enumerate(words[: slots - first], start=first):
            bits = bits | (random_words.fraction(word) < chance).astype(jnp.uint32) << slot
    return bits


def plan(train: Trains, devices: int) -> Plan:
    """Return the same pulses as a `Plan` for all ``devices`` of each synapse, [devices, inputs, outputs]."""
    times = jax.lax.population_count(train.rows[:, None] & _meeting(train)).astype(jnp.int32)
    falling = train.falling_rows[:, None] == train.falling_columns[None, :]
    command = (train.commands[falling.astype(jnp.int32)] + jnp.maximum(times, 1) - 1).astype(jnp.int16)
    target = jnp.arange(devices)[:, None, None] == train.device
    return Plan(jnp.broadcast_to(command[None], (devices, *times.shape)), (times > 0)[None] & target)


def _meeting(train: Trains) -> jax.Array:
    """Return the columns' trains as each row meets them, uint32[inputs or 1, outputs]."""
    if len(train.columns) == 1:
        return train.columns
    return jnp.where(train.falling_rows[:, None], train.columns[1], train.columns[0])


def program(
    key: Key,
    step: Step,
    array: Array,
    of_layers: tuple[Trains, ...],
    shapes: tuple[tuple[int, int, int], ...],
    table: Tables,
    pulses: int,
) -> tuple[Array, Info]:
    """Program the devices at which trains coincide.

    Parameters
    ----------
    key, step, table, pulses
        As of `network.synapse.sampling.program`.
    array : Array
        Packed.
    of_layers : tuple of Trains
    shapes : tuple
        [devices, inputs, outputs] of each layer.

    Returns
    -------
    array : Array
    info : Info
    """
    flat = jax.tree.map(jnp.ravel, array)
    total, first = Info(jnp.zeros(pulses, jnp.int32), jnp.int32(0)), 0
    for train, (devices, inputs, outputs) in zip(of_layers, shapes, strict=True):
        flat, total = _layer(key, step, flat, total, train, first, table, pulses)
        first += devices * inputs * outputs
    return jax.tree.map(lambda new, old: new.reshape(old.shape), flat, array), total


def _layer(key, step, flat, total, train, first, table, pulses):
    """Program one layer, whose devices begin at ``first`` of the flat array."""
    inputs, outputs = len(train.rows), train.columns.shape[1]
    met = jnp.sum((_meeting(train).T & train.rows[None, :]) != 0, axis=0, dtype=jnp.int32)
    ends = jnp.cumsum(met)

    def more(carry):
        chunk, old, total = carry
        number = chunk * EVENTS + jnp.arange(EVENTS, dtype=jnp.int32)
        row, column, command = _find(train, ends, number)
        mask = number < ends[-1]
        place = first + (train.device * inputs + row) * outputs + column
        place = jnp.where(mask, place, old.state.size)  # fillers: nothing is read or written there
        part = jax.tree.map(lambda a: a.at[place].get(mode="clip"), old)
        new, info = sampling.program_at(key, step, place, part, Plan(command, mask), table, pulses)
        # what is the instance's own never changes, so it is not written back
        kept = {
            name: getattr(old, name).at[place].set(getattr(new, name), mode="drop", unique_indices=True)
            for name in ("state", "weight", "writes")
        }
        return chunk + 1, old._replace(**kept), jax.tree.map(jnp.add, total, info)

    left = (jnp.int32(0), flat, total)
    return jax.lax.while_loop(lambda carry: carry[0] * EVENTS < ends[-1], more, left)[1:]


def _find(train: Trains, ends: jax.Array, number: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return row, column (int32[n]) and command (int16[n]) of events; those before the end of row i are ``ends[i]``."""
    row = jnp.minimum(jnp.searchsorted(ends, number, side="right"), len(ends) - 1).astype(jnp.int32)
    bits, outputs = train.rows[row], train.columns.shape[1]
    before = jnp.where(row > 0, ends[jnp.maximum(row - 1, 0)], 0)
    own = _meeting(train._replace(falling_rows=train.falling_rows[row]))  # one line for each of the rows, or for all
    column = set_bit(_packed(bits, own), number - before)
    column = jnp.clip(column, 0, outputs - 1)
    line = jnp.zeros_like(row) if len(own) == 1 else jnp.arange(len(row))
    times = jax.lax.population_count(bits & own[line, column]).astype(jnp.int32)
    falling = train.falling_rows[row] == train.falling_columns[column]
    command = train.commands[falling.astype(jnp.int32)] + jnp.maximum(times, 1) - 1
    return row, column, command.astype(jnp.int16)


def _packed(rows: jax.Array, columns: jax.Array) -> jax.Array:
    """Return which ``columns``, uint32[rows or 1, outputs], meet each row, as bits: uint32[rows, words]."""
    groups = jnp.pad(columns, ((0, 0), (0, -columns.shape[1] % BITS))).reshape(len(columns), -1, BITS)
    meets = (rows[:, None, None] & groups) != 0
    return jnp.sum(
        meets.astype(jnp.uint32) << jnp.arange(BITS, dtype=jnp.uint32)[None, None], axis=-1, dtype=jnp.uint32
    )


def set_bit(words: jax.Array, rank: jax.Array) -> jax.Array:
    """Return the place (int32[n]) of the set bit number ``rank`` (int32[n], from 0) in each row of ``words``."""
    count = jax.lax.population_count(words).astype(jnp.int32)
    ends = jnp.cumsum(count, axis=1)
    word = jnp.minimum(jnp.sum(ends <= rank[:, None], axis=1, dtype=jnp.int32), words.shape[1] - 1)
    take = word[:, None]
    rank = rank - (jnp.take_along_axis(ends - count, take, axis=1)[:, 0])
    bits, place = jnp.take_along_axis(words, take, axis=1)[:, 0], jnp.zeros_like(word)
    for half in (16, 8, 4, 2, 1):  # is it among the lower bits that are left, or beyond them?
        low = jax.lax.population_count(bits & jnp.uint32(2**half - 1)).astype(jnp.int32)
        beyond = rank >= low
        bits, rank = jnp.where(beyond, bits >> half, bits), jnp.where(beyond, rank - low, rank)
        place = place + jnp.where(beyond, half, 0)
    return word * BITS + place
