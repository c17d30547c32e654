"""What an array does to its devices beyond what each does alone: IR drop in its lines, and half-selected neighbours.

IR drop. A read through resistive lines sees the effective conductance G' = transfer(G) of
`network.crossbar.nodal_solver` instead of G. Training uses the ratio f = G'/G of the last refresh (once per epoch and
before every evaluation), because the devices that change within an epoch hardly move it; with w = G/G_scale - g_0,

    w' = f (w + g_0) - r g_0,

where r is the mean of f over the columns: the reference is a column of its own in the same array.

Half-select. In an array without transistors, whatever writes a cell puts a share of its voltage across the others of
its row and column. Each write adds h_s = P(a device in state s moves under the pulse's share) to its two lines; every
`INTERVAL` steps a device in state s moves with probability 1 - exp(-(h_s of its row + h_s of its column)). A device's
own writes count as well, which makes one of the many. For devices of two states.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from network import sections
from network.crossbar import nodal_solver
from network.synapse import random_words
from network.synapse.device import DeviceModel
from network.synapse.sampling import Alphabet, Array, Plan, Tables, placed
from spinloom.errors import UserError

INTERVAL = 20  # steps between applications of the disturbs: these are rare


class Factors(NamedTuple):
    """Ratios of effective to true conductance of a layer."""

    device: jax.Array  # float32[devices, inputs, outputs]
    reference: jax.Array  # float32[devices, inputs, 1]


class Exposure(NamedTuple):
    """Expected moves of half-selected devices since the last application; the last axis is their state."""

    rows: jax.Array  # float32[devices, inputs, 2]
    columns: jax.Array  # float32[devices, outputs, 2]


def factors(arrays: tuple[Array, ...], device: DeviceModel, lines: sections.Array) -> tuple[Factors, ...]:
    """Solve the arrays of all layers.

    Returns
    -------
    tuple of Factors
    """
    found = []
    for array in arrays:
        conductance = np.asarray(array.weight, np.float64) * device.g_scale + device.g_ref
        # the spread of a real-valued model may reach below zero, no conductance does
        conductance = np.maximum(conductance, 1e-3 * device.g_ref)
        ratio = np.stack([
            nodal_solver.tiled_transfer(one, lines.tile_rows, lines.tile_columns, **lines.resistances_ohm) / one
            for one in conductance
        ])  # fmt: skip
        found.append(Factors(jnp.asarray(ratio, jnp.float32), jnp.asarray(ratio.mean(2, keepdims=True), jnp.float32)))
    return tuple(found)


def seen(array: Array, factor: Factors, device: DeviceModel) -> Array:
    """Return the devices of a layer with the weights that are read through the lines."""
    middle = jnp.float32(device.g_ref / device.g_scale)
    return array._replace(weight=factor.device * (array.weight + middle) - factor.reference * middle)


def half_select_rates(device: DeviceModel, commands: Alphabet, share: float) -> np.ndarray:
    """Return the probability that a device in each state moves when a command's share is on it, float64[K, 2].

    Raises
    ------
    UserError
        If the card has no such kernel or more than two states.
    """
    kernel = next((rows for at, rows in device.half_select.items() if abs(at - share) < 1e-3), None)
    if kernel is None:
        known = ", ".join(f"{at:g}" for at in device.half_select) or "none"
        raise UserError(
            f"network.array.half_select: found {share:g}, allowed: {known} (the fractions of the card, "
            "calibration.half_select.fractions)"
        )
    if len(device.states) != 2:
        raise UserError(
            f"network.array.half_select: found a device of {len(device.states)} states, allowed: null, or a device of "
            "2 states"
        )
    moves = 1 - np.einsum("kss->ks", kernel)
    return commands.pulses @ moves


def nothing(shapes: tuple[tuple[int, int, int], ...]) -> tuple[Exposure, ...]:
    """Return no exposure for layers of [devices, inputs, outputs]."""
    return tuple(Exposure(jnp.zeros((d, i, 2)), jnp.zeros((d, o, 2))) for d, i, o in shapes)


def expose(exposure: tuple[Exposure, ...], plans: tuple[Plan, ...], rates: jax.Array) -> tuple[Exposure, ...]:
    """Add what the writes of one step do to the lines; ``rates`` is float32[K, 2]."""

    def add(old: Exposure, plan: Plan) -> Exposure:
        each = [jnp.where(plan.mask, rates[:, s][plan.pulse.astype(jnp.int32)], 0) for s in range(2)]
        rows = jnp.stack([jnp.sum(h, axis=2) for h in each], axis=-1)
        columns = jnp.stack([jnp.sum(h, axis=1) for h in each], axis=-1)
        return Exposure(old.rows + rows, old.columns + columns)

    return tuple(add(old, plan) for old, plan in zip(exposure, plans, strict=True))


def probability(exposure: Exposure, state: jax.Array) -> jax.Array:
    """Return with what probability each device (``state``: int[devices, inputs, outputs]) has been disturbed."""
    totals = [exposure.rows[:, :, None, s] + exposure.columns[:, None, :, s] for s in range(2)]
    return -jnp.expm1(-jnp.where(state == 0, totals[0], totals[1]))


def disturb(key: jax.Array, step: jax.Array, array: Array, chance: jax.Array, table: Tables) -> tuple[Array, jax.Array]:
    """Move disturbed devices to their other state.

    Parameters
    ----------
    key, step : uint32[2], int32[]
        Name the random numbers.
    array : Array
        Packed.
    chance : jax.Array, float32, packed
        See `probability`.
    table : Tables

    Returns
    -------
    array : Array
    moved : jax.Array, int32[]
    """
    first, second = random_words.words(key, step, array.state.shape)
    hit = random_words.fraction(first) < chance
    if array.stuck is not None:
        hit = hit & ~array.stuck
    state = jnp.where(hit, 1 - array.state, array.state)
    weight = jnp.where(hit, placed(state, second, table) * array.gain + array.offset, array.weight)
    return array._replace(state=state, weight=weight), jnp.sum(hit, dtype=jnp.int32)
