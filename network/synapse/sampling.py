"""The stochastic update of an array of synapses: a Markov kernel, one step at a time.

A synapse in state s that gets pulse a moves to s' with probability T_a[s, s'] (the card's table). The draw is made
with the alias method: a 32-bit word w picks the column ``c = w >> (32 - b)`` of the row's table of 2^b columns; the
low bits decide between the column's own state and its alias. The probabilities realised are exact multiples of 2^-32.
What a rule may ask for is a *command*: one of the card's pulses, or several of them in a row as one entry
(`Alphabet`), whose kernel is then their product. A second word is the analogue deviate within the state: a state is a
bin of the wall's position, so its conductance is bounded, and a uniform deviate with the card's sd is used. It is held
until the next programming event.

Words come from a counter-based generator (`network.synapse.random_words`), keyed by a named stream (seed, purpose,
replicate), with the step and the synapse's position as the counter.

Example
-------
>>> array, info = program(key, step, array, plan, tables)   # doctest: +SKIP
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32, Int64, Integer, Shaped, UInt32

from network.synapse import random_words
from network.synapse.alias import BITS, alias_row
from network.synapse.device import MAX_PULSES, DeviceModel, index_type
from network.synapse.random_words import Key, Step
from spinloom.errors import UserError

LANES = 128  # columns of the packed array
COUNTERS = 8  # of each command, a power of two
CHUNK_ROWS = 32  # rows that are programmed at once while the rest is left alone
MAX_ENTRIES = 2**31 - 1  # of the sampler tables: their places are int32
MANY = 4  # more than one row in so many: program all at once
WRITTEN = ("state", "weight", "writes")  # fields of an array that a write changes


class Array(NamedTuple):
    """Devices. All of one shape: [devices per synapse, inputs, outputs] for a layer, [rows, LANES] for all, packed."""

    state: Integer[jax.Array, "*shape"]  # index of the state, of the type of `index_type`
    weight: Float32[jax.Array, "*shape"]  # analogue weight now: (state + deviate within the state) x gain + offset
    offset: Float32[jax.Array, "*shape"]  # the instance's offset, for ever
    gain: Float32[jax.Array, "*shape"]  # the instance's factor, for ever
    writes: Int32[jax.Array, "*shape"]  # pulses so far (endurance)
    kind: Int32[jax.Array, "*shape"] | None = None  # first row of its own kernel in the tables; None: one for all
    stuck: Bool[jax.Array, "*shape"] | None = None  # never moves; None: none does


class Plan(NamedTuple):
    """What to do to devices. Both of the shape of the `Array`."""

    pulse: Integer[jax.Array, "*shape"]  # int16 or int8, index of the command
    mask: Bool[jax.Array, "*shape"]  # whether the device is programmed at all


class Info(NamedTuple):
    """What one programming step did."""

    writes: Int32[jax.Array, " commands"]  # programming events by command
    transitions: Int32[jax.Array, ""]  # events that changed the state


class Alphabet(NamedTuple):
    """The commands that a rule uses."""

    transition: Float64[np.ndarray, "*instances commands states states"]
    pulses: Int64[np.ndarray, "commands pulses"]  # how many of each of the card's pulses a command is made of


class Tables(NamedTuple):
    """What the kernel needs, on the accelerator; entries run over kinds of device, commands, states and columns."""

    threshold: UInt32[jax.Array, " entries"]
    alias: Integer[jax.Array, " entries"]  # states, of the type of `index_type`
    state_weight: Float32[jax.Array, " states"]
    state_spread: Float32[jax.Array, " states"]
    pulses: Int32[jax.Array, " commands"] | None  # pulses per command; None: one each


def alphabet(device: DeviceModel) -> Alphabet:
    """Return the card's own pulses as commands."""
    kernel = device.transition if device.by_instance is None else device.by_instance
    return Alphabet(kernel, np.eye(len(device.pulses), dtype=np.int64))


def repeated(device: DeviceModel, most: int, pulses: tuple[int, ...] | None = None) -> Alphabet:
    """Return the commands "n times pulse k", n = 1 to ``most``; command ``k * most + n - 1``.

    With ``pulses``, k counts these pulses of the card instead of all.
    """
    used = list(range(len(device.pulses)) if pulses is None else pulses)
    one = alphabet(device).transition[..., used, :, :]
    powers = [one]
    while len(powers) < most:
        powers.append(powers[-1] @ one)
    kernel = np.stack(powers, axis=-3)  # [..., K, n, S, S]
    counts = np.kron(np.eye(len(device.pulses), dtype=np.int64)[used], np.arange(1, most + 1)[:, None])
    return Alphabet(kernel.reshape(*one.shape[:-3], -1, *one.shape[-2:]), counts)


def tables(device: DeviceModel, commands: Alphabet | None = None) -> Tables:
    """Build the sampler tables of ``commands`` (default: the card's pulses).

    Raises
    ------
    UserError
        If there are more than 32767 commands, or the tables have more entries than an int32 can count.
    """
    commands = alphabet(device) if commands is None else commands
    if len(commands.pulses) > MAX_PULSES:
        raise UserError(f"network.rule: found {len(commands.pulses)} pulse commands, allowed: at most {MAX_PULSES}")
    count = len(device.states)
    width = columns(count)
    if (entries := math.prod(commands.transition.shape[:-1]) * width) > MAX_ENTRIES:
        raise UserError(
            f"network.rule: found sampler tables of {entries:.3g} entries (devices x commands x states x columns), "
            f"allowed: at most {MAX_ENTRIES:.3g}; take fewer states, fewer pulses, or fewer devices with their own "
            "table"
        )
    rows = [alias_row(row, width) for row in commands.transition.reshape(-1, count)]
    each = commands.pulses.sum(axis=1)
    return Tables(
        jnp.asarray(np.concatenate([t for t, _ in rows])),
        jnp.asarray(np.concatenate([a for _, a in rows]), dtype=index_type(count)),
        jnp.asarray(device.state_weight),
        jnp.asarray(device.state_spread),
        None if np.all(each == 1) else jnp.asarray(each, dtype=jnp.int32),
    )


def columns(count: int) -> int:
    """Return the columns of the alias tables of ``count`` states, a power of two."""
    return max(2, 1 << (count - 1).bit_length())


def pack(parts: tuple[Shaped[jax.Array, "..."], ...]) -> Shaped[jax.Array, "rows lanes"]:
    """Lay the layers' arrays end to end into one of `LANES` columns, filled up with zeros.

    One programming step for the whole network is much cheaper than one per layer.
    """
    flat = jnp.concatenate([part.ravel() for part in parts])
    return jnp.pad(flat, (0, -len(flat) % LANES)).reshape(-1, LANES)


def unpack(
    packed: Shaped[jax.Array, "rows lanes"], shapes: tuple[tuple[int, ...], ...]
) -> tuple[Shaped[jax.Array, "..."], ...]:
    """Undo `pack`."""
    flat, parts, first = packed.ravel(), [], 0
    for shape in shapes:
        parts.append(flat[first : first + math.prod(shape)].reshape(shape))
        first += math.prod(shape)
    return tuple(parts)


def views(array: Array, shapes: tuple[tuple[int, ...], ...]) -> tuple[Array, ...]:
    """Return a packed `Array` as one `Array` per layer."""
    fields = [(None,) * len(shapes) if field is None else unpack(field, shapes) for field in array]
    return tuple(Array(*of_layer) for of_layer in zip(*fields, strict=True))


def packed_shape(shapes: tuple[tuple[int, ...], ...]) -> tuple[int, int]:
    """Return the shape of the packed array."""
    return -(-sum(math.prod(shape) for shape in shapes) // LANES), LANES


def draw_state(
    word: UInt32[jax.Array, "*shape"],
    state: Integer[jax.Array, "*shape"],
    pulse: Integer[jax.Array, "*shape"],
    table: Tables,
    kind: Int32[jax.Array, "*shape"] | None = None,
) -> Integer[jax.Array, "*shape"]:
    """Return the next states, drawn with random words, of devices in ``state`` that get the command ``pulse``."""
    count = table.state_weight.shape[0]
    bits = max(1, (count - 1).bit_length())
    column = (word >> (BITS - bits)).astype(jnp.int32)
    rest = word & jnp.uint32((1 << (BITS - bits)) - 1)
    row = pulse.astype(jnp.int32) * count + state.astype(jnp.int32)
    entry = ((row if kind is None else row + kind) << bits) + column
    return jnp.where(rest < table.threshold[entry], column.astype(table.alias.dtype), table.alias[entry])


def program(key: Key, step: Step, array: Array, plan: Plan, table: Tables, pulses: int) -> tuple[Array, Info]:
    """Program the masked devices once; the others are untouched.

    Parameters
    ----------
    key, step
        Name the random words: the stream and the number of this event in it.
    array, plan : Array, Plan
        The devices, packed, and what to do to them.
    table : Tables
        Sampler tables.
    pulses : int
        Number of commands.
    """
    inputs, lanes = array.state.shape
    hit = jnp.any(plan.mask, axis=1)
    count = jnp.sum(hit, dtype=jnp.int32)
    order = jnp.nonzero(hit, size=-(-inputs // CHUNK_ROWS) * CHUNK_ROWS, fill_value=inputs)[0]

    def places(rows):
        return rows[:, None] * lanes + jnp.arange(lanes)[None, :]

    def written(new):
        # what is the instance's own never changes, so it is not written back
        return {name: getattr(new, name) for name in WRITTEN}

    def some(carry):
        chunk, fields, total = carry
        old = array._replace(**fields)
        rows = jax.lax.dynamic_slice(order, (chunk * CHUNK_ROWS,), (CHUNK_ROWS,))
        part, plan_part = (jax.tree.map(lambda a: a.at[rows].get(mode="clip"), tree) for tree in (old, plan))
        # rows beyond the count are fillers: nothing may be counted or written there
        plan_part = plan_part._replace(mask=plan_part.mask & (rows < inputs)[:, None])
        part, info = program_at(key, step, places(rows), part, plan_part, table, pulses)
        new = {name: fields[name].at[rows].set(value, mode="drop") for name, value in written(part).items()}
        return chunk + 1, new, jax.tree.map(jnp.add, total, info)

    def all_rows(carry):
        _, fields, total = carry
        new, info = program_at(key, step, places(jnp.arange(inputs)), array._replace(**fields), plan, table, pulses)
        return jnp.bool_(False), written(new), jax.tree.map(jnp.add, total, info)

    # Programming is rare: mostly a few rows have anything to do. Both ways give the same result; the other one is a
    # loop of no round, which leaves the arrays where they are (a conditional copies them).
    nothing = Info(jnp.zeros(pulses, jnp.int32), jnp.int32(0))
    many = count * MANY > inputs
    last = jnp.where(many, 0, count)
    _, fields, info = jax.lax.while_loop(
        lambda carry: carry[0] * CHUNK_ROWS < last, some, (jnp.int32(0), written(array), nothing)
    )
    _, fields, info = jax.lax.while_loop(lambda carry: carry[0], all_rows, (many, fields, info))
    return array._replace(**fields), info


def program_at(
    key: Key,
    step: Step,
    place: Integer[jax.Array, "*shape"],
    array: Array,
    plan: Plan,
    table: Tables,
    pulses: int,
) -> tuple[Array, Info]:
    """Program a part of an array.

    Parameters
    ----------
    place : int32
        Of each device in the packed array, which names its random words; ``array`` and ``plan`` have its shape.
    key, step, array, plan, table, pulses
        As of `program`.
    """
    # a conditional keeps XLA from fusing the draw into each of its uses, which would repeat it several times over
    drawn, fresh = jax.lax.cond(
        jnp.any(plan.mask),
        lambda: _draw(key, step, place, array, plan, table),
        lambda: (array.state, array.weight),
    )
    moves = plan.mask if array.stuck is None else plan.mask & ~array.stuck
    state = jnp.where(moves, drawn, array.state)
    weight = jnp.where(moves, fresh, array.weight)
    each = plan.mask if table.pulses is None else plan.mask * table.pulses[plan.pulse.astype(jnp.int32)]
    moved = jnp.sum(state != array.state, dtype=jnp.int32)
    changed = array._replace(state=state, weight=weight, writes=array.writes + each)
    return changed, Info(count_commands(plan, pulses), moved)


def count_commands(plan: Plan, pulses: int) -> Int32[jax.Array, " commands"]:
    """Return how often each command is given."""
    return tally(jnp.where(plan.mask, plan.pulse.astype(jnp.int32), pulses), pulses + 1)[:pulses]


def tally(number: Int32[jax.Array, "*shape"], numbers: int) -> Int32[jax.Array, " numbers"]:
    """Return how often each number from 0 to below ``numbers`` is there; others must not be."""
    # counted in turn by one of several counters: additions to one and the same place would wait for each other
    flat = number.ravel()
    place = flat * COUNTERS + (jax.lax.iota(jnp.int32, flat.size) & (COUNTERS - 1))
    counters = jnp.zeros(numbers * COUNTERS, jnp.int32).at[place].add(1, mode="promise_in_bounds")
    return counters.reshape(numbers, COUNTERS).sum(axis=1)


def _draw(key, step, place, array, plan, table) -> tuple[jax.Array, jax.Array]:
    first, second = random_words.words_at(key, step, place)
    drawn = draw_state(first, array.state, plan.pulse, table, array.kind)
    return drawn, placed(drawn, second, table) * array.gain + array.offset


def placed(
    state: Integer[jax.Array, "*shape"], word: UInt32[jax.Array, "*shape"], table: Tables
) -> Float32[jax.Array, "*shape"]:
    """Return the analogue weight of a device of the mean instance that has just come into ``state``."""
    return table.state_weight[state] + table.state_spread[state] * random_words.uniform(word)


def relax(key: Key, step: Step, array: Array, table: Tables) -> tuple[Array, Int32[jax.Array, ""]]:
    """Let all devices follow the one kernel in ``table`` without being written; stuck ones stay.

    Returns
    -------
    array : Array
    moved : int32
        Devices that changed their state.
    """
    first, second = random_words.words(key, step, array.state.shape)
    drawn = draw_state(first, array.state, jnp.zeros_like(array.state), table)
    moved = drawn != array.state
    if array.stuck is not None:
        moved = moved & ~array.stuck
    weight = jnp.where(moved, placed(drawn, second, table) * array.gain + array.offset, array.weight)
    return array._replace(state=jnp.where(moved, drawn, array.state), weight=weight), jnp.sum(moved, dtype=jnp.int32)


def fabricate(
    keys: tuple[Key, Key], shape: tuple[int, int], device: DeviceModel, table: Tables, commands: int
) -> tuple[Array, Int32[jax.Array, "rows columns"]]:
    """Make devices as they leave the factory: states by the card's occupancy, each a named instance.

    Stuck devices stay in the state in which they are made.

    Parameters
    ----------
    keys
        Streams for the states and for the instances.
    shape : tuple
        (rows, columns).
    device, table : DeviceModel, Tables
    commands : int
        Number of commands in ``table``.

    Returns
    -------
    array : Array
    instance : int32[rows, columns]
        Which row of the population table each device is.
    """
    where, deviate = random_words.words(keys[0], 0, shape)
    first, second = random_words.words(keys[1], 0, shape)
    instance = (first % jnp.uint32(len(device.instance_weight))).astype(jnp.int32)
    offset, gain = jnp.asarray(device.instance_weight)[instance], jnp.asarray(device.instance_gain)[instance]
    # the occupancy as one more pulse whose rows are all the same, drawn by the same kernel
    threshold, alias = alias_row(device.occupancy, columns(len(device.states)))
    prior = table._replace(threshold=jnp.asarray(threshold), alias=jnp.asarray(alias, table.alias.dtype))
    zero = jnp.zeros(shape, jnp.int8)
    state = draw_state(where, zero, zero, prior)
    weight = placed(state, deviate, table) * gain + offset
    kind = None if device.by_instance is None else instance * (commands * len(device.states))
    stuck = random_words.fraction(second) < device.stuck if device.stuck else None
    return Array(state, weight, offset, gain, jnp.zeros(shape, jnp.int32), kind, stuck), instance
