r"""Fractions of a pulse: CrossSim's numeric model, for comparison with programs that apply a change as it is wanted.

A wanted change is n pulses, n any number from 0. With m(w) the mean step of one pulse at the weight w and e the
deviation of one drawn outcome from its mean,

    dw = n m(w) + sqrt(n) e,        E[dw] = n m(w),        Var[dw] = n Var[e],

as if the steps of the parts of a pulse added up independently (CrossSim V2.0, ``dGLookupParams.compute_update``). Whole
pulses of the same mean add n m^2 to the variance, so that an update is (1 + cv^2) / cv^2 times as noisy, cv being the
relative spread of a step. No device is driven so unless it has pulses of any width or voltage.

The weight is continuous then: m is linear between the states, e is drawn from the row of the nearest state, the
conductance ends where the states end. A fraction counts as a pulse with probability n (as its whole part and one more
with the rest's), so that counts are whole numbers and right in the mean.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float32, Int32, Integer

from network.synapse import random_words, sampling
from network.synapse.device import DeviceModel
from network.synapse.random_words import Key, Step
from network.synapse.sampling import Array, Info, Tables

ROWS = 32  # of inputs that are gone through at once


class Law(NamedTuple):
    """What one pulse does to a weight, for all kinds of device."""

    weight: Float32[jax.Array, " states"]  # of the states, rising
    state: Integer[jax.Array, " states"]  # number of each of them on the card
    step: Float32[jax.Array, "instances directions states"]  # mean step of a pulse up, of one down
    command: Int32[jax.Array, " directions"]  # a pulse up, a pulse down
    rows: int  # of the tables that belong to one instance


class Fractions(NamedTuple):
    """What to do to one layer."""

    amount: Float32[jax.Array, "inputs outputs"]  # pulses, negative for those down
    device: Int32[jax.Array, ""]  # which of a synapse's devices they go to
    law: Law


def law(device: DeviceModel, pulses: tuple[int, int], commands: tuple[int, int], of_table: int) -> Law:
    """Return the law of a device.

    Parameters
    ----------
    device : DeviceModel
    pulses : tuple of int
        The pulse up and the pulse down on the card.
    commands : tuple of int
        What they are called in the sampler tables.
    of_table : int
        Number of commands in the tables.
    """
    order = np.argsort(device.state_weight, kind="stable")
    kernel = device.transition[None] if device.by_instance is None else device.by_instance
    outcome = np.einsum("ikst,t->iks", kernel[:, list(pulses)], device.state_weight.astype(np.float64))
    step = (outcome - device.state_weight)[..., order]
    return Law(
        jnp.asarray(device.state_weight[order]),
        jnp.asarray(order, jnp.int32),
        jnp.asarray(step, jnp.float32),
        jnp.asarray(commands, jnp.int32),
        of_table * len(device.states),
    )


def program(
    key: Key,
    step: Step,
    array: Array,
    of_layers: tuple[Fractions, ...],
    shapes: tuple[tuple[int, int, int], ...],
    table: Tables,
    commands: int,
) -> tuple[Array, Info]:
    """Apply fractions of pulses; parameters and return as of `network.synapse.pulse_trains.program`."""
    flat = jax.tree.map(jnp.ravel, array)
    total, first = Info(jnp.zeros(commands, jnp.int32), jnp.int32(0)), 0
    for one, shape in zip(of_layers, shapes, strict=True):
        flat, total = _layer(key, step, flat, total, one, first, table)
        first += math.prod(shape)
    return jax.tree.map(lambda new, old: new.reshape(old.shape), flat, array), total


def _layer(key, step, flat, total, one, first, table):
    """Apply what one layer gets, whose devices begin at ``first`` of the flat array; rows without any are left out."""
    inputs, outputs = one.amount.shape
    start = first + one.device * (inputs * outputs)
    lines = jax.tree.map(
        lambda field: jax.lax.dynamic_slice(field, (start,), (inputs * outputs,)).reshape(inputs, outputs), flat
    )
    hit = jnp.any(one.amount != 0, axis=1)
    order = jnp.nonzero(hit, size=-(-inputs // ROWS) * ROWS, fill_value=inputs)[0].astype(jnp.int32)
    count = jnp.sum(hit, dtype=jnp.int32)

    def more(carry):
        chunk, old, total = carry
        rows = jax.lax.dynamic_slice(order, (chunk * ROWS,), (ROWS,))
        part = jax.tree.map(lambda field: field.at[rows].get(mode="clip"), old)
        amount = one.amount.at[rows].get(mode="fill", fill_value=0)  # rows beyond the count are fillers
        place = start + rows[:, None] * outputs + jnp.arange(outputs)[None]
        new, given = apply(key, step, place, part, amount, one.law, table)
        counts = jnp.stack([jnp.sum(jnp.where(side, given, 0)) for side in (amount > 0, amount < 0)])
        total = Info(
            total.writes.at[one.law.command].add(counts),
            total.transitions + jnp.sum((new.state != part.state) & (amount != 0), dtype=jnp.int32),
        )
        kept = {
            name: getattr(old, name).at[rows].set(getattr(new, name), mode="drop")
            for name in ("state", "weight", "writes")
        }
        return chunk + 1, old._replace(**kept), total

    left = (jnp.int32(0), lines, total)
    _, lines, total = jax.lax.while_loop(lambda carry: carry[0] * ROWS < count, more, left)
    kept = {
        name: jax.lax.dynamic_update_slice(getattr(flat, name), getattr(lines, name).ravel(), (start,))
        for name in ("state", "weight", "writes")
    }
    return flat._replace(**kept), total


def apply(
    key: Key,
    step: Step,
    place: Integer[jax.Array, "*shape"],
    array: Array,
    amount: Float32[jax.Array, "*shape"],
    of_pulse: Law,
    table: Tables,
) -> tuple[Array, Int32[jax.Array, "*shape"]]:
    """Apply ``amount`` pulses (negative: down) to devices.

    Parameters
    ----------
    key, step, place
        Name the random words.
    array : Array
    amount : float32
    of_pulse : Law
    table : Tables

    Returns
    -------
    array : Array
    given : int32
        Pulses that each device is counted for.
    """
    chance, rest = random_words.words_at(key, step, place)
    down, number = (amount < 0).astype(jnp.int32), jnp.abs(amount)
    weight = (array.weight - array.offset) / array.gain  # of a device of the mean instance
    low, share = between(weight, of_pulse.weight)
    near = low + (share >= 0.5)
    instance = jnp.zeros_like(down) if array.kind is None else array.kind // of_pulse.rows
    mean = of_pulse.step[instance, down, low] * (1 - share) + of_pulse.step[instance, down, low + 1] * share
    state = of_pulse.state[near].astype(array.state.dtype)
    drawn = sampling.draw_state(chance, state, of_pulse.command[down], table, array.kind)
    error = table.state_weight[drawn] - of_pulse.weight[near] - of_pulse.step[instance, down, near]
    moved = jnp.clip(weight + number * mean + jnp.sqrt(number) * error, of_pulse.weight[0], of_pulse.weight[-1])
    low, share = between(moved, of_pulse.weight)
    moves = number > 0 if array.stuck is None else (number > 0) & ~array.stuck
    given = jnp.floor(number + random_words.fraction(rest)).astype(jnp.int32)
    changed = array._replace(
        state=jnp.where(moves, of_pulse.state[low + (share >= 0.5)].astype(array.state.dtype), array.state),
        weight=jnp.where(moves, moved * array.gain + array.offset, array.weight),
        writes=array.writes + given,
    )
    return changed, given


def between(weight: jax.Array, states: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return which of the rising ``states`` (float32[S]) lies below each weight, and the share of the way to the next.

    Both have the shape of ``weight`` (int32 and float32 from 0 to 1).
    """
    low = jnp.clip(jnp.searchsorted(states, weight, side="right").astype(jnp.int32) - 1, 0, len(states) - 2)
    share = (weight - states[low]) / (states[low + 1] - states[low])
    return low, jnp.clip(share, 0, 1)
