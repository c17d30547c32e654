"""What a device can be used as, from its table: whether a pulse writes a level, takes a step, or switches by chance."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
import pandas as pd

PARTS = 10  # of the range, by which writes from like states are told
APART = 6.0  # standard deviations of a reading between two states that are told at a glance
CLEARLY = 2.0  # by how much more a pulse must say than the state before, where states are not known yet


class Kind(StrEnum):
    """What pulses do to a device; one device may be of several kinds."""

    LEVELS = "levels"  # each pulse writes a level of its own, whatever the state before
    STEPS = "steps"  # a pulse moves the device up or down from where it is
    SWITCHING = "switching"  # two states, between which a pulse switches with a probability
    VOLATILE = "volatile"  # it forgets its state


def kinds(
    kernel: np.ndarray, conductance: np.ndarray, known: np.ndarray, volatile: bool, reset: bool
) -> tuple[Kind, ...]:
    """Return what a device can be used as.

    A device that is not reset writes levels if a pulse says more of where it ends than the state before. With M_k(s)
    the mean conductance after pulse k from state s, and the pulses that lead highest and lowest on average, that is

        ((mean_s M_high - mean_s M_low) / 2)^2  >=  mean of the variances of M_high and M_low over s.

    A junction of two states, for example, does so if these pulses switch with a probability of at least a half.

    Parameters
    ----------
    kernel : ndarray, float64[pulses, states, states]
        Of the pulses that are used.
    conductance : ndarray, float64[states]
        S.
    known : ndarray, bool[pulses, states]
        Whether the row is more than the assumption that the device stays.
    volatile, reset : bool
        Whether the state is lost without a write, and whether each write begins with a reset.

    Returns
    -------
    tuple of Kind
        At least one.
    """
    if volatile:
        return (Kind.VOLATILE,)
    found = []
    if len(conductance) == 2:
        found.append(Kind.SWITCHING)
    elif not reset:
        found.append(Kind.STEPS)
    if reset or _writes_levels(kernel @ conductance, known):
        found.append(Kind.LEVELS)
    return tuple(found)


def _writes_levels(after: np.ndarray, known: np.ndarray, margin: float = 1.0) -> bool:
    """Return whether ``after``, the mean conductance after each pulse from each state, is up to the pulse."""
    mean = np.mean(after, axis=1, where=known | ~known.any(axis=1, keepdims=True))
    ends = [int(np.argmax(mean)), int(np.argmin(mean))]
    common = known[ends].all(axis=0)
    both = after[ends][:, common if common.any() else slice(None)]
    apart = (both[0].mean() - both[1].mean()) / 2
    return bool(apart > 0 and apart**2 >= margin * both.var(axis=1).mean())


def at_a_glance(pulse: np.ndarray, before: np.ndarray, after: np.ndarray) -> Kind:
    """Return what a device is that is not reset, from some of its writes, before its states are known.

    It is said to switch, or to have levels, only if that is plain: a card with more than two states is one of steps.

    Parameters
    ----------
    pulse : ndarray, int64[writes]
    before, after : ndarray, float64[writes]
        Readings, S.
    """
    readings = np.concatenate([before, after])
    low, high = readings.min(initial=np.inf), readings.max(initial=-np.inf)
    if not low < high:
        return Kind.STEPS
    upper = readings > (low + high) / 2
    spread = np.sqrt(np.mean([readings[side].var() for side in (upper, ~upper)]))
    if readings[upper].mean() - readings[~upper].mean() > APART * spread:
        return Kind.SWITCHING
    part = np.minimum((PARTS * (before - low) / (high - low)).astype(np.int64), PARTS - 1)
    means = pd.DataFrame({"pulse": pulse, "part": part, "after": after}).pivot_table("after", "pulse", "part")
    found = means.to_numpy(np.float64)
    levels = _writes_levels(np.nan_to_num(found), np.isfinite(found), CLEARLY)
    return Kind.LEVELS if levels else Kind.STEPS
