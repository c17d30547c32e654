r"""From the probability that a rule wants to a pulse that the card has, for devices of two states.

The pulses that drive a device from one state to the other are a *ladder*: rung 0 is no pulse, then the weakest, up to
the strongest. What a rule wants is a strength u in 0 to 1; ``predistortion`` says what the driver makes of it:

full
    a pulse that switches with probability u: the law's inverse, as the card's own probabilities give it.
none
    a pulse of duration u T, T being that of the longest pulse. The probability is then whatever the law makes of it:
    with the high-current law of a junction nothing below a dead zone (papers call it incubation), so small strengths
    are ignored altogether.
offset
    a pulse of duration t_0 + u (T - t_0), with t_0 the longest that switches with at most 1 %.

A card has finitely many pulses. Between two rungs the driver takes one of them at random, so that the mean of the
probability (full) or of the duration (none, offset) is the wanted one; with ``dither: false`` it takes the nearer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from network.synapse.device import DeviceModel
from spinloom.declare import Flag, Real, Section, key
from spinloom.errors import UserError

LEAST = 0.01  # probability that ends the dead zone
FIRST = int(np.float32(2**-24).view(np.int32)) >> 16  # see `_bins`


class Options(Section):
    """Options of rules that ask for a pulse by its probability."""

    predistortion: Literal["full", "none", "offset"] = key(
        "What the driver makes of a wanted probability: full inverts the device's law, none scales the duration, "
        "offset scales it from the end of the dead zone.",
        "full",
    )
    voltage_V: Real | None = key(
        "Voltage of the pulses that are used, V (its size); null: with full all pulses, else those of the voltage of "
        "the strongest.",
        None,
        ge=-1e3,
        le=1e3,
    )
    dither: Flag = key("Between two pulses one is drawn, so that the mean is as wanted; false: the nearer.", True)


class Ladder(NamedTuple):
    """Rungs of both directions, the shorter filled up with copies of its last; R + 1 with rung 0."""

    command: jax.Array  # int16[2, R + 1], pulse of each rung; of rung 0 never used
    coordinate: jax.Array  # float32[2, R + 2], rising from 0, infinite beyond the last rung
    start: jax.Array  # float32[2], coordinate of the smallest strength above 0
    stop: jax.Array  # float32[2], coordinate of strength 1
    strongest: jax.Array  # int16[2], pulse of the last rung
    below: jax.Array  # int16[2, bins], rung at the beginning of each bin of `_bins`
    crowd: int  # most rungs that begin within a bin


def make(
    device: DeviceModel, predistortion: str, voltage_V: float | None, where: str = "network.rule_options"
) -> Ladder:
    """Build the ladders of a two-state device; direction 0 goes from state 0 to 1, direction 1 back.

    Parameters
    ----------
    device : DeviceModel
    predistortion : str
        As in `Options`.
    voltage_V : float or None
        Use the pulses of this voltage only (its size; the sign is the direction's); None: the voltage with the
        strongest pulse if durations count, else all.
    where : str
        Begins the errors.

    Raises
    ------
    UserError
        If the device has other than two states, the second is not of higher conductance, or a direction has no pulse.
    """
    if len(device.states) != 2:
        raise UserError(f"states.csv: found {len(device.states)} states, allowed 2 for pulses by their probability")
    if not device.state_weight[1] > device.state_weight[0]:
        raise UserError("states.csv: conductance_S: found one that falls, allowed one that rises with the state")
    sides = []
    for direction in (0, 1):
        ahead = device.transition[:, direction, 1 - direction]
        back = device.transition[:, 1 - direction, direction]
        use = (ahead > back) & (ahead > 0)
        size = np.nan_to_num(np.abs(device.write_voltage))
        if voltage_V is not None:
            use &= np.isclose(size, abs(voltage_V), rtol=1e-6)
        elif predistortion != "full" and use.any():
            use &= np.isclose(size, size[use][np.argmax(ahead[use])], rtol=1e-6)
        pulses = np.flatnonzero(use)
        if not len(pulses):
            least = f"{device.states[direction]} to {device.states[1 - direction]}"
            at = "" if voltage_V is None else f" at {abs(voltage_V):g} V"
            raise UserError(f"{where}.voltage_V: found no pulse of the card from state {least}{at}")
        duration = device.write_duration[pulses]
        if np.isnan(duration).any():
            if not np.isnan(duration).all():
                raise UserError("pulses.csv: duration_s: found some unknown, allowed for this rule: all or none")
            duration = np.ones(len(pulses))  # one duration, whichever it is
        sides.append(_rungs(pulses, ahead[pulses], duration, predistortion))
    return _ladder(sides, predistortion == "full")


def of_steps(sides: Sequence[tuple[np.ndarray, np.ndarray]]) -> Ladder:
    """Build the ladders of a device that is moved in steps; direction 0 is up.

    Parameters
    ----------
    sides : sequence of (commands, steps)
        Of each direction, int[R] and float64[R]: what may be asked for, and its mean step of the weight, rising from
        above 0. A strength is the wanted step.
    """
    return _ladder(
        [(np.concatenate([command[:1], command]), np.concatenate([[0.0], step]), 0.0) for command, step in sides], True
    )


def _ladder(sides: Sequence[tuple[np.ndarray, np.ndarray, float]], full: bool) -> Ladder:
    """Return a ladder of commands and coordinates with rung 0 first, and of where the smallest strength begins.

    ``full``: a strength is a coordinate; else 1 is that of the last rung.
    """
    most = max(len(side[0]) for side in sides)
    command = np.stack([np.pad(side[0], (0, most - len(side[0])), mode="edge") for side in sides])
    # relative to the last rung, so that one set of bins serves all cards
    units = [side[1][-1] for side in sides]
    scaled = [(side[1] / unit).astype(np.float32) for side, unit in zip(sides, units, strict=True)]
    coordinate = np.stack([np.pad(c, (0, most + 1 - len(c)), constant_values=np.inf) for c in scaled])
    edges = _edges()
    below = np.stack([np.searchsorted(c, edges, side="right") - 1 for c in scaled])
    return Ladder(
        jnp.asarray(command, jnp.int16),
        jnp.asarray(coordinate, jnp.float32),
        jnp.asarray([side[2] / unit for side, unit in zip(sides, units, strict=True)], jnp.float32),
        jnp.asarray([1 / unit if full else 1.0 for unit in units], jnp.float32),
        jnp.asarray(command[:, -1], jnp.int16),
        jnp.asarray(below, jnp.int16),
        int(max(np.diff(below, axis=1).max(), 1)),
    )


def _bins(value: jax.Array) -> jax.Array:
    """Return the bin (int32) of values of 0 to 1: sign, exponent and 7 bits of the float, from 2^-24 on.

    Bins of equal relative width keep rungs apart that are dense in the logarithm of the probability.
    """
    bits = jax.lax.bitcast_convert_type(jnp.minimum(value, 1), jnp.int32)
    return jnp.maximum((bits >> 16) - FIRST, 0)


def _edges() -> np.ndarray:
    """Return where the bins begin, float32[bins]; the first holds all smaller values, the last is 1."""
    last = int(np.float32(1).view(np.int32)) >> 16
    edges = (np.arange(FIRST, last + 1, dtype=np.int32) << 16).view(np.float32)
    return np.concatenate([[np.float32(0)], edges[1:]])


def _rungs(pulses, probability, duration, predistortion) -> tuple[np.ndarray, np.ndarray, float]:
    """Return commands and coordinates with rung 0 first, and where the smallest strength begins."""
    start = 0.0
    if predistortion == "full":
        # of pulses that are equally likely to switch the shortest will do
        order = np.lexsort((duration, probability))
        keep = order[np.concatenate([[True], np.diff(probability[order]) > 0])]
        coordinate = probability[keep]
    else:
        # of pulses that last equally long the strongest, as of the voltages
        order = np.lexsort((-probability, duration))
        keep = order[np.concatenate([[True], np.diff(duration[order]) > 0])]
        coordinate = duration[keep]
        dead = coordinate[probability[keep] <= LEAST]
        if predistortion == "offset":
            start = float(dead.max(initial=0.0))
    return np.concatenate([pulses[keep][:1], pulses[keep]]), np.concatenate([[0.0], coordinate]), start


class Aim(NamedTuple):
    """The two rungs about a strength; all of one shape."""

    gap: jax.Array  # float32, between their coordinates; infinite beyond the last rung
    excess: jax.Array  # float32, of the wanted coordinate over the lower one
    place: jax.Array  # int32, of the lower rung in all commands
    more: jax.Array  # int32, 0 if there is no higher one, otherwise 1
    above: jax.Array  # bool, whether the lower rung is a pulse


def aim(ladder: Ladder, back: jax.Array, strength: jax.Array) -> Aim:
    """Find the rungs for each strength.

    Parameters
    ----------
    ladder : Ladder
    back : jax.Array, bool[...]
        Whether the direction is 1.
    strength : jax.Array, float32[...]
        0: nothing; 1 and more: the strongest.
    """
    side = back.astype(jnp.int32)
    start, stop = (jnp.where(back, table[1], table[0]) for table in (ladder.start, ladder.stop))
    wanted = jnp.where(strength > 0, start + jnp.minimum(strength, 1) * (stop - start), 0)
    wide, bins = ladder.coordinate.shape[1], ladder.below.shape[1]
    coordinate = ladder.coordinate.ravel()
    rung = ladder.below.ravel()[side * bins + _bins(wanted)].astype(jnp.int32)
    low, high = (coordinate[side * wide + rung + i] for i in range(2))
    for _ in range(ladder.crowd):
        further = wanted >= high
        rung, low = rung + further, jnp.where(further, high, low)
        high = jnp.where(further, coordinate[side * wide + rung + 1], high)
    place = side * (wide - 1) + rung
    more = (rung < wide - 2).astype(jnp.int32)  # beyond the last rung there is none to take
    return Aim(high - low, wanted - low, place, more, rung > 0)


def take(ladder: Ladder, at: Aim, word: jax.Array, dither: bool = True) -> tuple[jax.Array, jax.Array]:
    """Return the pulse, from `aim` and random words (uint32[...]) for the choice between two rungs.

    Parameters
    ----------
    ladder : Ladder
    at : Aim
    word : jax.Array, uint32
    dither : bool
        See the module text.

    Returns
    -------
    command : jax.Array, int16[...]
    given : jax.Array, bool[...]
        Whether there is a pulse at all.
    """
    # 31 bits: the strength may be a millionth of the lowest rung
    chance = (word >> 1).astype(jnp.int32).astype(jnp.float32) * jnp.float32(2**-31) if dither else jnp.float32(0.5)
    higher = chance * at.gap < at.excess
    return ladder.command.ravel()[at.place + higher * at.more], higher | at.above


def choose(
    ladder: Ladder, back: jax.Array, strength: jax.Array, word: jax.Array, dither: bool = True
) -> tuple[jax.Array, jax.Array]:
    """Return the pulse for each strength: `take` after `aim`, with arguments and return as of these."""
    return take(ladder, aim(ladder, back, strength), word, dither)
