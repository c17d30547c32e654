"""A card as steps up and down: one pulse for each direction, as most programs for networks know devices."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from calibration.card import KernelCard, Kind
from calibration.exports.exported import Loss
from spinloom.declare import Section, Whole, key
from spinloom.errors import UserError

UP, DOWN = 0, 1


class Directions(Section):
    """Options of formats that know one pulse up and one pulse down."""

    pulse_up: Annotated[Whole | None, Field(ge=0)] = key(
        "Pulse of the card that raises the conductance; null: of those with the most writes, the largest step.", None
    )
    pulse_down: Annotated[Whole | None, Field(ge=0)] = key("Pulse that lowers it; null: as above.", None)


def chosen(card: KernelCard, options: Directions, format: str) -> tuple[int, int]:
    """Return the pulse up and the pulse down.

    Raises
    ------
    UserError
        If the device is volatile or is reset before each write, there is no such pulse, or one moves the conductance
        the other way.
    """
    if card.meta.flags.volatile:
        raise UserError(f"export as {format}: found a volatile device, allowed: one that holds its state")
    if card.rows_repeat:
        raise UserError(
            f"export as {format}: found a device that is reset before each write, allowed: one that a pulse moves from "
            "where it is (docs/exports.md)"
        )
    step = steps(card)
    given = {"pulse_up": options.pulse_up, "pulse_down": options.pulse_down}
    if None in given.values():
        both = sorted(card.most_written(), key=lambda pulse: -step[pulse])
        given = {name: given[name] if given[name] is not None else both[place] for place, name in enumerate(given)}
    for place, (name, pulse) in enumerate(given.items()):
        if pulse is None or pulse >= len(step):
            raise UserError(f"export as {format}: options.{name}: found {pulse}, allowed: 0 to {len(step) - 1}")
        if (step[pulse] <= 0) if place == UP else (step[pulse] >= 0):
            allowed = np.flatnonzero(step > 0 if place == UP else step < 0)
            raise UserError(
                f"export as {format}: options.{name}: found {pulse}, whose mean step is {step[pulse]:.3g} S, allowed: "
                f"{', '.join(map(str, allowed)) or 'none of this card'}"
            )
    return int(given["pulse_up"]), int(given["pulse_down"])  # type: ignore[arg-type]


def steps(card: KernelCard) -> np.ndarray:
    """Return the mean step of each pulse over the states, each with its occupancy, float64[pulses], S."""
    conductance, occupancy = (card.states[name].to_numpy() for name in ("conductance_S", "occupancy"))
    return (card.kernel @ conductance - conductance) @ occupancy


def common_losses(card: KernelCard, used: tuple[int, int]) -> list[Loss]:
    """Return what no table of steps up and down says of a card."""
    states = card.states
    span = float(np.ptp(states["conductance_S"]))
    found = []
    if rest := len(card.pulses) - len(set(used)):
        found.append(Loss("pulses left out", rest, "1", "of the card's pulses, two are exported"))
    if Kind.LEVELS in card.kinds(used):
        found.append(Loss(
            "levels as steps", 1, "1", "these pulses write a level whatever the state before; a program that counts "
            "their steps expects a second pulse to move the device again",
        ))  # fmt: skip
    spread = float(states["occupancy"].to_numpy() @ states["conductance_sd_S"].to_numpy() ** 2) ** 0.5
    if spread > 0:
        found.append(Loss("spread within a state", spread / span, "of the range", "rms sd of the conductance"))
    noise = card.reads["noise_sd_S"].to_numpy()
    if noise.any():
        found.append(Loss("read noise", float(noise.mean()) / span, "of the range", "sd of one read, mean over states"))
    factor, offset = device_spread(card)
    if factor > 0:
        found.append(Loss("spread of devices' factors", factor, "1", "sd of the conductance factor"))
    if offset > 0:
        found.append(Loss("spread of devices' offsets", offset / span, "of the range", "sd"))
    basis = card.transitions["basis"].to_numpy().reshape(card.kernel.shape)[list(used), :, 0]
    if assumed := int((basis == "assumed").sum()):
        found.append(Loss("assumed rows", assumed, "1", "rows that nobody wrote and that stay where they are"))
    if "retention" in card.extras:
        found.append(Loss("retention", 1, "1", "the card's rates of loss are left out"))
    return found


def device_spread(card: KernelCard) -> tuple[float, float]:
    """Return the standard deviations between devices of the conductance factor and of the conductance offset, in S.

    Offsets of few writes are mostly noise, so what the card estimates of their spread goes before their own.
    """
    if len(card.population) < 2:
        return 0.0, 0.0
    factor, offset = (
        float(np.std(card.population[name].to_numpy(), ddof=1))
        for name in ("conductance_factor", "conductance_offset_S")
    )
    between = (card.meta.spread or {}).get("device_to_device_sd_S")
    return factor, offset if between is None else float(between)


def own_kernels(card: KernelCard) -> np.ndarray | None:
    """Return each device's own kernel, float64[devices, pulses, states, states]; None if the card has none."""
    table = card.extras.get("by_instance")
    if table is None:
        return None
    shape = (table["instance"].nunique(), *card.kernel.shape)
    return table["probability"].to_numpy().reshape(shape) if len(table) == np.prod(shape) else None


def own_states(kernel: np.ndarray) -> slice:
    """Return the states between the lowest and the highest that a device is ever brought to.

    Parameters
    ----------
    kernel : ndarray, float64[pulses, states, states]
    """
    reached = np.flatnonzero(kernel.sum(axis=(0, 1)) > 0)
    return slice(int(reached[0]), int(reached[-1]) + 1)
