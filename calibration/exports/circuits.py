"""A card as a two-terminal device of a circuit: which pulse was meant, the table of chances, what is lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from calibration.card import KernelCard
from calibration.exports.exported import Loss
from spinloom.declare import Real, Section, key
from spinloom.errors import UserError

OTHER_LINES = ("sot", "gate")  # channels that write through a terminal which the reading does not use


class Circuit(Section):
    """Options of formats of circuit simulators."""

    tolerance: Real = key(
        "Largest deviation of a pulse from a listed one, of its voltage or width, relative to the listed.",
        0.1,
        gt=0,
        lt=1,
    )
    threshold_V: Annotated[Real | None, Field(gt=0)] = key(
        "Voltage above which a pulse is on, of either sign; null: half of the lowest of the card's.", None
    )


@dataclass(frozen=True)
class Device:
    """What a model of a circuit simulator needs."""

    pulses: np.ndarray  # int64[pulses], their numbers in the card
    voltage_V: np.ndarray  # float64[pulses]
    duration_s: np.ndarray  # float64[pulses]
    latency_s: np.ndarray  # float64[pulses]
    kernel: np.ndarray  # float64[pulses, states, states]
    conductance_S: np.ndarray  # float64[states]
    noise_sd_S: np.ndarray  # float64[states]
    read_s: float  # time for which a draw of the read noise holds
    threshold_V: float
    tolerance: float


def device(card: KernelCard, options: Circuit, format: str, most: int, precision: float) -> tuple[Device, list[Loss]]:
    """Return a card as a device between two terminals, and what is lost.

    Parameters
    ----------
    card : KernelCard
    options : Circuit
    format : str
        For errors.
    most : int
        Entries of the kernel above 0 that the format can hold.
    precision : float
        To which the model finds the voltage and the width of a pulse, relative.

    Raises
    ------
    UserError
        If the device has other terminals, a pulse lacks a voltage or width, or pulses cannot be told apart.
    """
    where, pulses = f"export as {format}", card.pulses
    for row in pulses.itertuples():
        if set(str(row.channel).split("+")) & set(OTHER_LINES):
            raise UserError(
                f"{where}: pulse {row.pulse}: found channel {row.channel}, allowed: a device with two terminals, which "
                "is written through the terminals that read it"
            )
        for name in ("voltage_V", "duration_s"):
            if np.isnan(getattr(row, name)):
                raise UserError(
                    f"{where}: pulse {row.pulse}: found no {name}, allowed: pulses of known voltage and width"
                )
    used = np.flatnonzero(pulses["voltage_V"] != 0)
    if not len(used):
        raise UserError(f"{where}: found only pulses of 0 V, allowed: at least one of another voltage")
    if (found := int((card.kernel[used] > 0).sum())) > most:
        raise UserError(f"{where}: found {found} transitions with a chance above 0, allowed: at most {most}")
    voltage, duration = (pulses[name].to_numpy()[used] for name in ("voltage_V", "duration_s"))
    lowest = float(np.abs(voltage).min())
    threshold = options.threshold_V or lowest / 2
    if threshold >= lowest:
        raise UserError(
            f"{where}: options.threshold_V: found {threshold:g}, allowed: below {lowest:g}, the lowest pulse"
        )
    apart = _apart(voltage, duration)
    if apart.min() < 2 * precision:
        one, other = np.unravel_index(apart.argmin(), apart.shape)
        raise UserError(
            f"{where}: pulses {used[one]} and {used[other]}: found {apart.min():.2g} as their relative difference in "
            f"voltage or width, allowed: at least {2 * precision:g}, to be told apart in a circuit"
        )
    latency = pulses["latency_s"].to_numpy()[used]
    reads = card.reads
    noise = reads["noise_sd_S"].to_numpy()
    read = float(reads["latency_s"].mean()) or float(duration.min())
    made = Device(
        used, voltage, duration, np.where(latency > 0, latency, duration.min()), card.kernel[used],
        card.states["conductance_S"].to_numpy(), noise, read, threshold, options.tolerance,
    )  # fmt: skip
    return made, _losses(card, made, apart, latency)


def outcome(row: np.ndarray, choose: Callable[[float, str, str], str]) -> str:
    """Return an expression of the next state, by bisection of the CDF of a row.

    Parameters
    ----------
    row : ndarray, float64[states]
    choose : callable
        From a CDF value, and the expressions for a draw below it and for one not below it.
    """
    states = np.flatnonzero(row)
    return bisect([str(state) for state in states], np.cumsum(row[states])[:-1] / row.sum(), choose)


def bisect(leaves: list[str], edges: np.ndarray, choose: Callable[[float, str, str], str]) -> str:
    """Return an expression that chooses one of the leaves by the edges between them.

    Parameters
    ----------
    leaves : list of str
        Expressions.
    edges : ndarray, float64[leaves - 1]
        Rising.
    choose : callable
        As of `outcome`.
    """
    if len(leaves) == 1:
        return leaves[0]
    middle = len(leaves) // 2
    below, above = bisect(leaves[:middle], edges[: middle - 1], choose), bisect(leaves[middle:], edges[middle:], choose)
    return choose(float(edges[middle - 1]), below, above)


def by_number(number: str, leaves: list[str]) -> str:
    """Return an expression that chooses one of the leaves by a whole number, itself an expression."""
    return bisect(
        leaves,
        np.arange(1, len(leaves)) - 0.5,
        lambda edge, below, above: f"({number} < {float(edge)!r} ? {below} : {above})",
    )


def identifier(card: KernelCard) -> str:
    """Return the name of the model: that of a card's hash, so that two cards do not collide in a circuit."""
    return f"spinloom_{card.hash[:8]}"


def _apart(voltage: np.ndarray, duration: np.ndarray) -> np.ndarray:
    """Return how far pulses are from each other, as the models judge it, float64[pulses, pulses]."""
    apart = np.maximum(np.abs(voltage[:, None] / voltage - 1), np.abs(duration[:, None] / duration - 1))
    np.fill_diagonal(apart, np.inf)
    return apart


def _losses(card: KernelCard, made: Device, apart: np.ndarray, latency: np.ndarray) -> list[Loss]:
    pulses, states = card.pulses, card.states
    losses = [
        Loss(
            "time of the switch", float(made.latency_s.max()), "s", "the state is drawn when the pulse ends, which is "
            "when its width is known; the conductance then follows over this latency (largest of the pulses)",
        )
    ]  # fmt: skip
    for pulse in sorted(set(range(len(pulses))) - set(made.pulses)):
        losses.append(Loss("pulse of 0 V", 1, "1", "a circuit cannot see it, and it is left out", pulse))
    for pulse, known in zip(made.pulses, latency > 0, strict=True):
        if not known:
            told = "latency unknown or 0: the width of the shortest pulse stands for it"
            losses.append(Loss("latency", float(made.duration_s.min()), "s", told, int(pulse)))
    if len(made.pulses) > 1 and apart.min() < 2 * made.tolerance:
        told = "smallest relative difference between two pulses; a pulse deviates by less than half of it or is another"
        losses.append(Loss("pulses close to each other", float(apart.min()), "1", told))
    if (volt := float(card.reads["read_voltage_V"].abs().max())) >= made.threshold_V:
        losses.append(Loss("read voltage", volt, "V", "a read this high is above the threshold and counts as a pulse"))
    if (spread := float(states["conductance_sd_S"].max())) > 0:
        losses.append(Loss("spread within a state", spread, "S", "largest sd; a state has one conductance"))
    if made.noise_sd_S.any():
        told = "a draw of the read noise holds this long, whether the device is read or not"
        losses.append(Loss("time of a read", made.read_s, "s", told))
    if len(card.population) > 1:
        told = "sd over devices; instances take theirs as parameters factor and offset"
        losses.append(Loss("devices' factors", float(card.population["conductance_factor"].std()), "1", told))
    energy = pulses["energy_mean_J"].to_numpy()[made.pulses]
    ohmic = made.voltage_V**2 * made.duration_s * float(states["occupancy"] @ made.conductance_S)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = ohmic / energy
    if np.isfinite(ratio).any():
        worst = int(np.nanargmax(np.abs(np.log(np.where(np.isfinite(ratio) & (ratio > 0), ratio, np.nan)))))
        told = "V^2 G t of the circuit over the card's energy of a write, where they differ most"
        losses.append(Loss("energy of a write", float(ratio[worst]), "1", told, int(made.pulses[worst])))
    for name, told in (
        ("by_instance", "devices' own kernels are left out; the pooled one is here"),
        ("half_select", "pulses below the listed voltages do nothing"),
        ("retention", "the card's rates of loss are left out"),
    ):
        if name in card.extras:
            losses.append(Loss(name, 1, "1", told))
    flags = card.meta.flags
    for flag, told in (
        ("volatile", "the last state stands until the next pulse"),
        ("reset_before_write", "a pulse stands for the reset and the write; the current of the reset is left out"),
        ("destructive_read", "reads leave the state as it is"),
    ):
        if getattr(flags, flag):
            losses.append(Loss(flag, 1, "1", told))
    if assumed := int((card.transitions["basis"] == "assumed").to_numpy().reshape(card.kernel.shape)[:, :, 0].sum()):
        losses.append(Loss("assumed rows", assumed, "1", "rows that nobody wrote and that stay where they are"))
    return losses
