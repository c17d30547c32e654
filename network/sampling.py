"""The stochastic update of an array of synapses: a Markov kernel, one step at a time.

A synapse in state s that gets pulse a moves to s' with probability T_a[s, s'] (the card's table). The draw is made
with the alias method: a 32-bit word w picks the column ``c = w >> (32 - b)`` of the row's table of 2^b columns; the
low bits decide between the column's own state and its alias. The probabilities realised are exact multiples of
2^-32. A second word is the analogue deviate within the state: a state is a bin of the wall's position, so its
conductance is bounded, and a uniform deviate with the card's sd is used. It is held until the next programming event.

Words come from a counter-based generator (`network.rng`), keyed by a named stream (seed, purpose, replicate), with
the step and the synapse's position as the counter.

Example
-------
>>> array, info = program(key, step, array, plan, device)   # doctest: +SKIP
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from network import rng
from network.device import BITS, DeviceModel, alias_row

LANES = 128  # columns of the packed array
FEW_ROWS = 128  # rows that are programmed without touching the rest


class Array(NamedTuple):
    """Synapses. All of shape [inputs, outputs] for one layer, or [rows, LANES] for all layers packed."""

    state: jax.Array  # int8, index of the state
    weight: jax.Array  # float32, analogue weight now: (state + deviate within the state) x gain + offset
    offset: jax.Array  # float32, the instance's offset, for ever
    gain: jax.Array  # float32, the instance's factor, for ever
    writes: jax.Array  # int32, programming events so far (endurance)


class Plan(NamedTuple):
    """What to do to synapses. Both of the shape of the `Array`."""

    pulse: jax.Array  # int8, index of the pulse
    mask: jax.Array  # bool, whether the synapse is programmed at all


class Info(NamedTuple):
    """What one programming step did."""

    writes: jax.Array  # int32[K], programming events by pulse
    transitions: jax.Array  # int32[], events that changed the state


class Tables(NamedTuple):
    """The arrays of a `DeviceModel` that the kernel needs, on the accelerator."""

    threshold: jax.Array  # uint32[K * S * columns]
    alias: jax.Array  # int8[K * S * columns]
    state_weight: jax.Array  # float32[S]
    state_spread: jax.Array  # float32[S]


def tables(device: DeviceModel) -> Tables:
    """Move the sampler tables of ``device`` to the accelerator."""
    return Tables(
        jnp.asarray(device.threshold),
        jnp.asarray(device.alias, dtype=jnp.int8),
        jnp.asarray(device.state_weight),
        jnp.asarray(device.state_spread),
    )


def pack(parts: tuple[jax.Array, ...]) -> jax.Array:
    """Lay the layers' arrays [inputs, outputs] end to end into one [rows, LANES], filled up with zeros.

    One programming step for the whole network is much cheaper than one per layer.
    """
    flat = jnp.concatenate([part.ravel() for part in parts])
    return jnp.pad(flat, (0, -len(flat) % LANES)).reshape(-1, LANES)


def unpack(packed: jax.Array, shapes: tuple[tuple[int, int], ...]) -> tuple[jax.Array, ...]:
    """Undo `pack`."""
    flat, parts, first = packed.ravel(), [], 0
    for inputs, outputs in shapes:
        parts.append(flat[first : first + inputs * outputs].reshape(inputs, outputs))
        first += inputs * outputs
    return tuple(parts)


def views(array: Array, shapes: tuple[tuple[int, int], ...]) -> tuple[Array, ...]:
    """Return a packed `Array` as one `Array` per layer."""
    return tuple(Array(*fields) for fields in zip(*(unpack(field, shapes) for field in array), strict=True))


def packed_shape(shapes: tuple[tuple[int, int], ...]) -> tuple[int, int]:
    """Return the shape of the packed array."""
    return -(-sum(inputs * outputs for inputs, outputs in shapes) // LANES), LANES


def draw_state(word: jax.Array, state: jax.Array, pulse: jax.Array, table: Tables) -> jax.Array:
    """Draw next states.

    Parameters
    ----------
    word : jax.Array, uint32[...]
        Random words.
    state, pulse : jax.Array, int8[...]
        Present states and pulses applied.
    table : Tables

    Returns
    -------
    jax.Array, int8[...]
    """
    count = table.state_weight.shape[0]
    bits = max(1, (count - 1).bit_length())
    column = (word >> (BITS - bits)).astype(jnp.int32)
    rest = word & jnp.uint32((1 << (BITS - bits)) - 1)
    row = pulse.astype(jnp.int32) * count + state.astype(jnp.int32)
    entry = (row << bits) + column
    return jnp.where(rest < table.threshold[entry], column.astype(jnp.int8), table.alias[entry])


def program(
    key: jax.Array, step: jax.Array | int, array: Array, plan: Plan, table: Tables, pulses: int
) -> tuple[Array, Info]:
    """Program the masked synapses once.

    Parameters
    ----------
    key : jax.Array, uint32[2]
        The stream (`network.rng.stream`).
    step : int
        Counter that names this event; each step has its own words.
    array, plan : Array, Plan
        The synapses and what to do to them.
    table : Tables
        Sampler tables.
    pulses : int
        Number K of pulses.

    Returns
    -------
    array : Array
        Synapses outside the mask are untouched.
    info : Info
    """

    inputs = array.state.shape[0]
    hit = jnp.any(plan.mask, axis=1)
    count = jnp.sum(hit, dtype=jnp.int32)

    def idle():
        return array, Info(jnp.zeros(pulses, jnp.int32), jnp.int32(0))

    def some():
        rows = jnp.nonzero(hit, size=FEW_ROWS, fill_value=inputs)[0]
        part, plan_part = (jax.tree.map(lambda a: a.at[rows].get(mode="clip"), tree) for tree in (array, plan))
        # rows beyond the count are fillers: nothing may be counted or written there
        plan_part = plan_part._replace(mask=plan_part.mask & (rows < inputs)[:, None])
        part, info = _program_rows(key, step, rows, part, plan_part, table, pulses)
        # what is the instance's own never changes, so it is not written back
        put = [old.at[rows].set(new, mode="drop") for old, new in zip(array, part, strict=True)]
        return Array(*put)._replace(offset=array.offset, gain=array.gain), info

    def all_rows():
        return _program_rows(key, step, jnp.arange(inputs), array, plan, table, pulses)

    # Programming is rare: mostly no row, or a few, have anything to do. The three ways give the same result.
    if inputs <= FEW_ROWS:
        return jax.lax.cond(count > 0, all_rows, idle)
    return jax.lax.switch((count > 0).astype(jnp.int32) + (count > FEW_ROWS), (idle, some, all_rows))


def _program_rows(key, step, rows, array, plan, table, pulses) -> tuple[Array, Info]:
    """Program whole rows; ``rows`` (int32[rows]) are their numbers, the rest is as in `program`."""
    # a conditional keeps XLA from fusing the draw into each of its uses, which would repeat it several times over
    drawn, fresh = jax.lax.cond(
        jnp.any(plan.mask),
        lambda: _draw(key, step, rows, array, plan, table),
        lambda: (array.state, array.weight),
    )
    state = jnp.where(plan.mask, drawn, array.state)
    weight = jnp.where(plan.mask, fresh, array.weight)
    counts = jnp.stack([jnp.sum(plan.mask & (plan.pulse == k), dtype=jnp.int32) for k in range(pulses)])
    moved = jnp.sum(state != array.state, dtype=jnp.int32)
    return Array(state, weight, array.offset, array.gain, array.writes + plan.mask), Info(counts, moved)


def _draw(key, step, rows, array, plan, table) -> tuple[jax.Array, jax.Array]:
    first, second = rng.words(key, step, array.state.shape, rows)
    drawn = draw_state(first, array.state, plan.pulse, table)
    placed = table.state_weight[drawn] + table.state_spread[drawn] * rng.uniform(second)
    return drawn, placed * array.gain + array.offset


def fabricate(
    keys: tuple[jax.Array, jax.Array], shape: tuple[int, int], device: DeviceModel, table: Tables
) -> tuple[Array, jax.Array]:
    """Make synapses as they leave the factory: states by the card's occupancy, each synapse a named instance.

    Parameters
    ----------
    keys : pair of uint32[2]
        Streams for the states and for the instances.
    shape : tuple
        (rows, columns).
    device, table : DeviceModel, Tables

    Returns
    -------
    array : Array
    instance : jax.Array, int32[rows, columns]
        Which row of the population table each synapse is.
    """
    where, deviate = rng.words(keys[0], 0, shape)
    first, _ = rng.words(keys[1], 0, shape)
    instance = (first % jnp.uint32(len(device.instance_weight))).astype(jnp.int32)
    offset, gain = jnp.asarray(device.instance_weight)[instance], jnp.asarray(device.instance_gain)[instance]
    # the occupancy as one more pulse whose rows are all the same, drawn by the same kernel
    threshold, alias = alias_row(device.occupancy, device.columns)
    prior = table._replace(threshold=jnp.asarray(threshold), alias=jnp.asarray(alias, jnp.int8))
    zero = jnp.zeros(shape, jnp.int8)
    state = draw_state(where, zero, zero, prior)
    weight = (table.state_weight[state] + table.state_spread[state] * rng.uniform(deviate)) * gain + offset
    return Array(state, weight, offset, gain, jnp.zeros(shape, jnp.int32)), instance
