"""CrossSim: lookup tables of the change of the conductance under a pulse up and a pulse down."""

from __future__ import annotations

import numpy as np

from calibration.card import KernelCard
from calibration.exports.exported import Exported, Loss
from calibration.exports.steps import Directions, chosen, common_losses, own_kernels, own_states
from calibration.sources.importers.base import Switch
from spinloom.declare import Whole, key

NAMES = ("dG_increasing", "dG_decreasing")
HEADER = (
    "conductances (S); CDF points; then a row of changes (S) for each CDF point"  # the program skips the first line
)
JUMP = 1e-9  # over this much of the CDF a table goes from one outcome to the next
LEAST = 1e-30  # S, sum of mean steps that is none
FINEST = 1e8  # probabilities are told to one part of this


class Options(Directions):
    """Options of crosssim."""

    cdf_points: Whole = key("Most CDF points of a table; more outcomes than these can tell are rounded.", 4096, ge=3)
    by_instance: Switch = key("One pair of tables for each device that has a kernel of its own, numbered from 0.", True)


def make(card: KernelCard, options: Options) -> Exported:
    """Return ``dG_increasing.txt`` and ``dG_decreasing.txt``, conductances in S.

    A table tells the quantile function of the change for each conductance of the card, linear between its CDF points.
    An outcome is a constant piece of it, with a jump to the next that takes `JUMP` of the CDF. The program takes the
    CDF points of the table up for both ways, so a pair has the same.

    Parameters
    ----------
    card : KernelCard
    options : Options
    """
    used = chosen(card, options, "crosssim")
    devices = own_kernels(card) if options.by_instance else None
    kernels = {"": card.kernel} if devices is None else {str(number): own for number, own in enumerate(devices)}
    losses = common_losses(card, used)
    files, worst = {}, {}
    unscaled: set[int] = set()
    conductance = card.states["conductance_S"].to_numpy()
    for label, kernel in kernels.items():
        # a device's own conductances: what it is never brought to is another's
        own = own_states(kernel[list(used)]) if label else slice(0, len(kernel[0]))
        rows = kernel[list(used), own, own]
        points, changes, told = table(rows, conductance[own], options.cdf_points)
        distances = 0.5 * np.abs(told - rows).sum(axis=-1)
        mean = rows @ conductance[own] - conductance[own]
        unscaled |= {pulse for pulse, own_mean in zip(used, mean, strict=True) if abs(own_mean[:-1].sum()) < LEAST}
        for name, pulse, change, distance in zip(NAMES, used, changes, distances, strict=True):
            files[f"{name}{label}.txt"] = _text(conductance[own], points, change)
            found = (float(distance.max()), f"{name}{label}.txt", int(distance.argmax()) + own.start)
            worst[pulse] = max(worst.get(pulse, found), found)
    for pulse, (distance, file, state) in worst.items():
        meaning = f"largest total variation between a row of the kernel and {file}"
        losses.append(Loss("distance of the kernels", distance, "1", meaning, pulse, state))
    for pulse in sorted(unscaled):
        losses.append(Loss(
            "no mean step", 1, "1", "CrossSim 2.0 divides by the mean step over all conductances but the highest, "
            "which is 0 for this pulse, and gets no numbers", pulse,
        ))  # fmt: skip
    pitch = np.diff(conductance)
    if len(pitch) and (uneven := float(np.abs(pitch / pitch.mean() - 1).max())) > 1e-6:
        losses.append(Loss(
            "uneven conductances", uneven, "1", "largest deviation of a step between neighbouring states from the "
            "mean one; between conductances the program interpolates changes, and our import takes an even lattice",
        ))  # fmt: skip
    return Exported(files, tuple(losses))


def table(kernel: np.ndarray, conductance: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return CDF points, quantiles of the change at them, and the kernel that they tell.

    Parameters
    ----------
    kernel : ndarray, float64[pulses, states, states]
    conductance : ndarray, float64[states]
        S, increasing.
    most : int
        CDF points.

    Returns
    -------
    points : ndarray, float64[m]
        Increasing from 0 to 1, the same for all pulses.
    change : ndarray, float64[pulses, m, states]
        S, by CDF point and conductance.
    told : ndarray, float64[pulses, states, states]
    """
    upper = np.cumsum(kernel, axis=-1) / kernel.sum(axis=-1, keepdims=True)
    # edges that a jump cannot lie between are one
    upper = np.round(upper * FINEST) / FINEST
    # two points for each edge within, and the two ends
    grid = (most - 2) // 2
    if len(np.unique(upper)) > grid:
        upper = np.round(upper * (grid + 1)) / (grid + 1)
    edges = np.unique(upper)
    inside = edges[(edges > 0) & (edges < 1)]
    points = np.concatenate([[0.0], np.stack([inside - JUMP / 2, inside + JUMP / 2], axis=1).ravel(), [1.0]])
    # each constant piece lies between two edges; its outcome is the first whose CDF reaches beyond its middle
    ends = np.concatenate([[0.0], inside, [1.0]])
    middle = (ends[1:] + ends[:-1]) / 2
    outcome = np.stack([[np.searchsorted(row, middle, side="left") for row in rows] for rows in upper])
    change = np.swapaxes(conductance[outcome] - conductance[:, None], 1, 2)
    told = np.zeros_like(kernel)
    for place in np.ndindex(kernel.shape[:2]):
        np.add.at(told[place], outcome[place], np.diff(ends))
    return points, np.repeat(change, 2, axis=1), told


def _text(conductance: np.ndarray, points: np.ndarray, change: np.ndarray) -> bytes:
    """Return a table as text; a change is told to 1e-9 of itself, which moves no outcome to another state."""
    head = [",".join([f"{value:.15g}" for value in row]) for row in (conductance, points)]
    rows = [",".join([f"{value:.10g}" for value in row]) for row in change]
    return "".join(f"{line}\n" for line in (HEADER, *head, *rows)).encode()
