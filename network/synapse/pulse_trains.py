"""Coincidences of pulse trains: what one step of a single image does to an array, as a short list of events.

Rows and columns carry trains of at most 32 slots, kept as the bits of a word. The device at (i, j) gets one pulse for
each slot in which both fire: n_ij = popcount(row_i & column_j). Hardly any of the synapses is met (a hundred of
80,000), so they are never listed one by one: event k is found from the sums of the rows, and only the devices of events
are read, drawn and written. The random words belong to a device's place in the array, so this gives the very same
result as programming the dense `Plan` (`plan`).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
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
    lines = _lines(step, of_layers, shapes)

    def more(carry):
        chunk, old, total = carry
        number = chunk * EVENTS + jnp.arange(EVENTS, dtype=jnp.int32)
        place, command = _find(lines, number)
        mask = number < lines.ends[-1]
        place = jnp.where(mask, place, old.state.size)  # fillers: nothing is read or written there
        part = jax.tree.map(lambda a: a.at[place].get(mode="clip"), old)
        new, info = sampling.program_at(key, step, place, part, Plan(command, mask), table, pulses)
        # what is the instance's own never changes, so it is not written back
        kept = {
            name: getattr(old, name).at[place].set(getattr(new, name), mode="drop", unique_indices=True)
            for name in ("state", "weight", "writes")
        }
        return chunk + 1, old._replace(**kept), jax.tree.map(jnp.add, total, info)

    nothing = Info(jnp.zeros(pulses, jnp.int32), jnp.int32(0))
    left = (jnp.int32(0), jax.tree.map(jnp.ravel, array), nothing)
    _, flat, total = jax.lax.while_loop(lambda carry: carry[0] * EVENTS < lines.ends[-1], more, left)
    return jax.tree.map(lambda new, old: new.reshape(old.shape), flat, array), total


class _Lines(NamedTuple):
    """The lines of all layers, one layer after the other, and where their trains meet."""

    trains: Trains  # ``device`` as int32[rows]: of each row; ``commands`` as int32[layers, 2]
    meets: jax.Array  # uint32[words, rows], the columns that meet each row, as bits
    ends: jax.Array  # int32[rows], events up to and with each row
    starts: jax.Array  # int32[rows], events before
    first: np.ndarray  # int32[rows], place of the row's first synapse's first device in the packed array
    size: np.ndarray  # int32[rows], synapses of the row's layer
    column: np.ndarray  # int32[rows], the first column of the row's layer
    layer: np.ndarray  # int32[rows]


def _lines(step: Step, of_layers: tuple[Trains, ...], shapes: tuple[tuple[int, int, int], ...]) -> _Lines:
    words = -(-max(outputs for _, _, outputs in shapes) // BITS)
    # The condition always holds. It keeps XLA from fusing the draw of the trains into this, which would draw them anew
    # for each pair of lines (a step then took ten times as long).
    meets = jax.lax.cond(
        jnp.asarray(step) >= 0,
        lambda: jnp.concatenate([_packed(train, words) for train in of_layers], axis=1),
        lambda: jnp.zeros((words, sum(inputs for _, inputs, _ in shapes)), jnp.uint32),
    )
    met = jnp.sum(jax.lax.population_count(meets).astype(jnp.int32), axis=0, dtype=jnp.int32)
    ends = jnp.cumsum(met)
    inputs, outputs = [np.array([shape[axis] for shape in shapes]) for axis in (1, 2)]
    sizes = np.array([math.prod(shape) for shape in shapes])
    devices, columns = np.cumsum(sizes) - sizes, np.cumsum(outputs) - outputs
    row = np.concatenate([np.arange(count) for count in inputs])

    def each(of_layer):
        return np.repeat(of_layer, inputs).astype(np.int32)

    def joined(lines):
        return jnp.concatenate(lines, axis=-1)

    trains = Trains(
        joined([train.rows for train in of_layers]),
        joined([train.columns for train in of_layers]),
        joined([train.falling_rows for train in of_layers]),
        joined([train.falling_columns for train in of_layers]),
        joined([jnp.broadcast_to(train.device, train.rows.shape) for train in of_layers]),
        jnp.stack([train.commands for train in of_layers]),
    )
    return _Lines(
        trains,
        meets,
        ends,
        ends - met,
        each(devices) + row.astype(np.int32) * each(outputs),
        each(inputs * outputs),
        each(columns),
        each(np.arange(len(shapes))),
    )


def _packed(train: Trains, words: int) -> jax.Array:
    """Return which columns meet each row, as bits: uint32[words, rows]."""
    kinds, outputs = train.columns.shape
    own = -(-outputs // BITS)
    columns = jnp.pad(train.columns, ((0, 0), (0, own * BITS - outputs))).reshape(kinds, own, BITS)
    lines = columns[0, :, :, None]
    if kinds == 2:
        lines = jnp.where(train.falling_rows[None, None, :], columns[1, :, :, None], lines)
    bit = jnp.uint32(1) << jnp.arange(BITS, dtype=jnp.uint32)
    meets = jnp.where((lines & train.rows[None, None, :]) != 0, bit[None, :, None], jnp.uint32(0))
    return jnp.pad(jnp.sum(meets, axis=1, dtype=jnp.uint32), ((0, words - own), (0, 0)))


def _find(lines: _Lines, number: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return place (int32[n]) and command (int16[n]) of the events ``number``."""
    trains = lines.trains
    row = jnp.searchsorted(lines.ends, number, side="right", method="scan_unrolled").astype(jnp.int32)
    row = jnp.minimum(row, len(lines.ends) - 1)
    column = set_bit(lines.meets[:, row].T, number - lines.starts[row])
    line = jnp.minimum(jnp.asarray(lines.column)[row] + column, trains.columns.shape[1] - 1)
    falls = trains.falling_rows[row]
    bits = trains.columns[0, line]
    if len(trains.columns) == 2:
        bits = jnp.where(falls, trains.columns[1, line], bits)
    times = jax.lax.population_count(trains.rows[row] & bits).astype(jnp.int32)
    falling = (falls == trains.falling_columns[line]).astype(jnp.int32)
    command = trains.commands[jnp.asarray(lines.layer)[row], falling] + jnp.maximum(times, 1) - 1
    place = jnp.asarray(lines.first)[row] + trains.device[row] * jnp.asarray(lines.size)[row] + column
    return place, command.astype(jnp.int16)


def set_bit(words: jax.Array, rank: jax.Array) -> jax.Array:
    """Return the place (int32[n]) of the set bit number ``rank`` (int32[n], from 0) in each row of ``words``."""
    before = place = jnp.zeros_like(rank)
    bits, left = words[:, 0], rank
    for number, word in enumerate(words.T):
        count = jax.lax.population_count(word).astype(jnp.int32)
        here = (rank >= before) & (rank < before + count)
        bits, left, place = (
            jnp.where(here, new, old) for new, old in ((word, bits), (rank - before, left), (number * BITS, place))
        )
        before = before + count
    for half in (16, 8, 4, 2, 1):  # is it among the lower bits that are left, or beyond them?
        low = jax.lax.population_count(bits & jnp.uint32(2**half - 1)).astype(jnp.int32)
        beyond = left >= low
        bits, left = jnp.where(beyond, bits >> half, bits), jnp.where(beyond, left - low, left)
        place = place + jnp.where(beyond, half, 0)
    return place
