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
FINE = (7, 8, 9)  # bits of a float's fraction that may name a bin, see `_bins`
MOST_PLACES = 2**15  # as many bits has a place here and in `network.synapse.turns`


class Options(Section):
    """Options of rules that ask for a pulse by its probability."""

    predistortion: Literal["full", "none", "offset"] = key(
        "How the driver chooses a pulse for a wanted probability. `full` inverts the device's law. `none` "
        "scales the length of the pulse. `offset` scales it from the end of the dead zone "
        "(docs/rules/pulses.md).",
        "full",
    )
    voltage_V: Real | None = key(
        "Size of the voltage of the pulses to use. With null, `full` uses all pulses, and the others use the "
        "voltage of the strongest pulse.",
        None,
        ge=-1e3,
        le=1e3,
    )
    dither: Flag = key(
        "With true, one of the two nearest pulses is drawn, so that the mean is as wanted. With false, the "
        "nearer one is taken.",
        True,
    )


class Ladder(NamedTuple):
    """Rungs of both directions, the shorter filled up with copies of its last; R + 1 with rung 0.

    A rung's *place* is its number among all rungs of both directions.
    """

    command: jax.Array  # int16[2, R + 1], pulse of each rung; of rung 0 never used
    coordinate: jax.Array  # float32[2, R + 1], rising from 0 to 1
    gap: jax.Array  # float32[2, R + 1], from a rung's coordinate to the next one's; infinite beyond the last
    start: jax.Array  # float32[2], coordinate of the smallest strength above 0
    stop: jax.Array  # float32[2], coordinate of strength 1
    strongest: jax.Array  # int16[2], pulse of the last rung
    bins: jax.Array  # uint32[crowd, 2 * bins], see `_bins`
    first: int  # of a float in the first bin, the bits that name its bin
    fine: int  # how many bits of its fraction are among them


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
        raise UserError(
            f"states.csv: found {len(device.states)} states, allowed: 2 for a rule that chooses pulses by their "
            "probability"
        )
    if not device.state_weight[1] > device.state_weight[0]:
        raise UserError(
            "states.csv: conductance_S: found a second state that conducts less than the first, allowed: a "
            "conductance that rises with the state"
        )
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
            raise UserError(
                f"{where}.voltage_V: found no pulse of the card that moves state {least}{at}, allowed: a voltage that "
                "has pulses in both directions"
            )
        duration = device.write_duration[pulses]
        if np.isnan(duration).any():
            if not np.isnan(duration).all():
                raise UserError(
                    "pulses.csv: duration_s: found durations that are known for some pulses only, allowed for this "
                    "rule: all known, or none"
                )
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
    # relative to the last rung, so that 1 is where all ladders end
    units = [side[1][-1] for side in sides]
    scaled = [(side[1] / unit).astype(np.float32) for side, unit in zip(sides, units, strict=True)]
    # a rung that no float reaches is none
    reached = [np.concatenate([[True], one[1:] >= np.finfo(np.float32).tiny]) for one in scaled]
    commands = [side[0][keep] for side, keep in zip(sides, reached, strict=True)]
    scaled = [one[keep] for one, keep in zip(scaled, reached, strict=True)]
    most = max(len(one) for one in commands)
    if 2 * most > MOST_PLACES:
        raise UserError(
            f"pulses.csv: found {most - 1} pulses of one direction, allowed: at most {MOST_PLACES // 2 - 1}"
        )
    command = np.stack([np.pad(one, (0, most - len(one)), mode="edge") for one in commands])
    coordinate = np.stack([np.pad(one, (0, most - len(one)), mode="edge") for one in scaled])
    gap = np.stack([np.pad(np.diff(one), (0, most + 1 - len(one)), constant_values=np.inf) for one in scaled])
    bins, first, fine = _bins(scaled, most)
    return Ladder(
        jnp.asarray(command, jnp.int16),
        jnp.asarray(coordinate),
        jnp.asarray(gap),
        jnp.asarray([side[2] / unit for side, unit in zip(sides, units, strict=True)], jnp.float32),
        jnp.asarray([1 / unit if full else 1.0 for unit in units], jnp.float32),
        jnp.asarray(command[:, -1], jnp.int16),
        jnp.asarray(bins),
        first,
        fine,
    )


def _bins(sides: Sequence[np.ndarray], most: int) -> tuple[np.ndarray, int, int]:
    """Return tables that tell the rung below a coordinate, ``Ladder.bins``, and what names the bins.

    A bin holds the floats of one exponent and the same ``fine`` first bits of the fraction: bins of equal relative
    width keep rungs apart that are dense in the logarithm of the probability. The first table has, for each direction
    and bin, the place of the last rung before the bin, and below that in the same word the remaining bits of the first
    rung inside the bin, so that one look finds the rung in nearly all bins. Further tables have those of a second rung
    inside the bin, and so on. Without one there stands a number that no remaining bits reach.

    Parameters
    ----------
    sides : sequence of float32[rungs]
        Coordinates of each direction, rising from 0 to 1.
    most : int
        Rungs that a direction has in the ladder.
    """
    bits = [side[1:].view(np.int32) for side in sides]

    def crowd(fine: int) -> int:
        return max(int(np.unique(one >> (23 - fine), return_counts=True)[1].max()) for one in bits)

    fine = min(FINE, key=crowd)
    shift, rungs = 23 - fine, crowd(fine)
    names = [one >> shift for one in bits]
    first = min(int(one[0]) for one in names)
    # bin 0 is of all that is smaller
    count = (int(np.float32(1).view(np.int32)) >> shift) - first + 2
    table = np.full((rungs, 2, count), 1 << shift, np.uint32)
    for side, (name, own) in enumerate(zip(names, bits, strict=True)):
        before = np.searchsorted(name, np.arange(count) + first - 1)
        inside = np.arange(len(name)) - np.searchsorted(name, name)
        table[inside, side, name - first + 1] = own & ((1 << shift) - 1)
        table[0, side] |= (side * most + before).astype(np.uint32) << (shift + 1)
    return table.reshape(rungs, -1), first, fine


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
    """The two rungs about a strength; both of one shape."""

    place: jax.Array  # int32, of the lower rung
    share: jax.Array  # float32, of the way to the higher one; 0 if there is none


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

    def look(table: jax.Array, place: jax.Array) -> jax.Array:
        return table.ravel().at[place].get(mode="promise_in_bounds")

    start, stop = (jnp.where(back, table[1], table[0]) for table in (ladder.start, ladder.stop))
    wanted = jnp.where(strength > 0, jnp.minimum(start + jnp.minimum(strength, 1) * (stop - start), 1), 0)
    shift, count = 23 - ladder.fine, ladder.bins.shape[1] // 2
    bits = jax.lax.bitcast_convert_type(wanted, jnp.int32)
    number = jnp.maximum((bits >> shift) - (ladder.first - 1), 0) + jnp.where(back, count, 0)
    rest = bits & ((1 << shift) - 1)
    found = look(ladder.bins[0], number)
    place = (found >> (shift + 1)).astype(jnp.int32) + (rest >= (found & ((2 << shift) - 1)).astype(jnp.int32))
    for further in ladder.bins[1:]:
        place = place + (rest >= look(further, number).astype(jnp.int32))
    return Aim(place, (wanted - look(ladder.coordinate, place)) / look(ladder.gap, place))


def take(at: Aim, word: jax.Array, dither: bool = True) -> jax.Array:
    """Return the place (int32[...]) of the rung that is taken, with random words (uint32[...]) for the choice.

    With ``dither`` False it is the nearer one.
    """
    # 31 bits: the strength may be a millionth of the lowest rung
    chance = (word >> 1).astype(jnp.int32).astype(jnp.float32) * jnp.float32(2**-31) if dither else jnp.float32(0.5)
    return at.place + (chance < at.share)


def given(ladder: Ladder, place: jax.Array) -> jax.Array:
    """Return whether the rung at each place (int32[...]) is a pulse at all, bool[...]."""
    return (place != 0) & (place != ladder.command.shape[1])


def choose(
    ladder: Ladder, back: jax.Array, strength: jax.Array, word: jax.Array, dither: bool = True
) -> tuple[jax.Array, jax.Array]:
    """Return the pulse for each strength, drawn with random words.

    Parameters
    ----------
    ladder : Ladder
    back : jax.Array, bool[...]
        Whether the direction is 1.
    strength : jax.Array, float32[...]
        0: nothing; 1 and more: the strongest.
    word : jax.Array, uint32[...]
    dither : bool
        See the module text.

    Returns
    -------
    command : jax.Array, int16[...]
    given : jax.Array, bool[...]
        Whether there is a pulse at all.
    """
    place = take(aim(ladder, back, strength), word, dither)
    return ladder.command.ravel()[place], given(ladder, place)
