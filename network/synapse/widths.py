r"""Pulses beside a card's, which nobody measured: assumptions that a study makes, and says.

**Shorter ones.** A pulse that lasts the share f of one of the card's is taken to move a device f times as far in the
mean, with f times the variance: the parts of a pulse add up independently. With m the mean step from a state and e the
deviation of an outcome from it, the outcome is moved to f m + sqrt(f) e. Energy and duration go with f.

**Ones in between.** Between two pulses of one direction, neighbours in their mean step, a pulse at the share f of the
way is taken to have a mean and a variance of the step at the share f of the way between theirs. Its outcomes are those
of both, with the weights 1 - f and f, moved to the common mean. Drive, energy and duration are at the share f too. If a
driver draws one of the two instead, the mean is the same, and the variance is larger by f (1 - f) times the squared
difference of the mean steps.

An outcome lies between two states and is split between them in proportion to nearness, which keeps the mean and adds
variance; the same mean on its two nearest states has the least variance that states allow; a mixture of the two has the
wanted variance if any has. What would leave the range stays at its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from spinloom.errors import UserError
from spinloom.quantities import DRIVES

SCALED = ("energy_mean_J", "duration_s")  # columns of a pulse that go with its length


def added(
    kernels: Sequence[np.ndarray],
    pulses: pd.DataFrame,
    conductance: np.ndarray,
    occupancy: np.ndarray,
    shares: tuple[float, ...],
    between: int,
) -> tuple[list[np.ndarray], pd.DataFrame]:
    """Return the pulses with those that are assumed after them.

    Parameters
    ----------
    kernels : sequence of ndarray, float64[..., K, S, S]
        The first, float64[K, S, S], tells which pulses are neighbours.
    pulses : DataFrame
        Rows of the card's ``pulses``, K of them.
    conductance, occupancy : ndarray, float64[S]
        Of the states, S (siemens), all different; and how often a device is in each.
    shares : tuple of float
        Of the length of each pulse, for shorter ones.
    between : int
        Pulses in between each two neighbours, those of ``shares`` included.

    Raises
    ------
    UserError
        If there are to be pulses in between and no direction has two.
    """
    kernels = [
        np.concatenate([one, *(shortened(one, conductance, share) for share in shares)], axis=-3) for one in kernels
    ]
    pulses = pd.concat([pulses, *(_shorter(pulses, share) for share in shares)])
    if not between:
        return kernels, pulses
    step = (kernels[0] @ conductance - conductance) @ occupancy
    sides = [sorted(np.flatnonzero(sign * step > 0).tolist(), key=lambda k: abs(step[k])) for sign in (1, -1)]
    pairs = [pair for side in sides for pair in pairwise(side)]
    if not pairs:
        raise UserError(
            f"network.device.between: found {between}, allowed: 0, because neither direction has two pulses "
            "(network.device.widths adds some)"
        )
    places = [(low, high, number) for low, high in pairs for number in range(1, between + 1)]
    rows = [_between(pulses.iloc[[low]], pulses.iloc[[high]], number, between + 1) for low, high, number in places]
    wider = []
    for one in kernels:
        new = [
            interpolated(one[..., low, :, :], one[..., high, :, :], conductance, number / (between + 1))
            for low, high, number in places
        ]
        wider.append(np.concatenate([one, np.stack(new, axis=-3)], axis=-3))
    return wider, pd.concat([pulses, *rows])


def told(shares: tuple[float, ...], between: int) -> str:
    """Return what `added` assumes in words, "" if it adds nothing."""
    words = []
    if shares:
        lengths = ", ".join(f"{share:g}" for share in shares)
        words.append(f"pulses of {lengths} of their width, steps and variances in proportion")
    if between:
        words.append(f"{between} pulses between each two of a direction, steps and variances in between")
    return "; ".join(words)


def _shorter(pulses: pd.DataFrame, share: float) -> pd.DataFrame:
    named = {"pulse": [f"{name} x {share:g}" for name in pulses["pulse"]]}
    return pulses.assign(**named, **{column: share * pulses[column] for column in SCALED})


def _between(low: pd.DataFrame, high: pd.DataFrame, number: int, parts: int) -> pd.DataFrame:
    name, share = f"{low['pulse'].iloc[0]} to {high['pulse'].iloc[0]}, {number}/{parts}", number / parts
    columns = [column for column in (*SCALED, *DRIVES) if column in low]
    ends = (pd.to_numeric(one.iloc[0][columns]) for one in (low, high))
    first, last = ends
    return low.assign(pulse=[name], **((1 - share) * first + share * last).to_dict())


def shortened(transition: np.ndarray, conductance: np.ndarray, share: float) -> np.ndarray:
    """Return the kernels of pulses that last ``share`` of those given.

    Parameters
    ----------
    transition : ndarray, float64[..., S, S]
    conductance : ndarray, float64[S]
        Of the states, S (siemens), all different.
    share : float
        Above 0, at most 1.

    Returns
    -------
    ndarray, float64[..., S, S]
    """
    mean = transition @ conductance
    step = share * (mean - conductance)
    outcome = (conductance + step)[..., None] + np.sqrt(share) * (conductance - mean[..., None])
    return _placed(transition, outcome, conductance)


def interpolated(low: np.ndarray, high: np.ndarray, conductance: np.ndarray, share: float) -> np.ndarray:
    """Return the kernel of a pulse at ``share`` of the way from one pulse to another.

    Parameters
    ----------
    low, high : ndarray, float64[..., S, S]
    conductance : ndarray, float64[S]
        Of the states, S (siemens), all different.
    share : float
        From 0 to 1.

    Returns
    -------
    ndarray, float64[..., S, S]
    """
    apart = ((high - low) @ conductance)[..., None]
    outcome = np.concatenate([conductance + share * apart, conductance - (1 - share) * apart], axis=-1)
    return _placed(np.concatenate([(1 - share) * low, share * high], axis=-1), outcome, conductance)


def _placed(weight: np.ndarray, outcome: np.ndarray, conductance: np.ndarray) -> np.ndarray:
    """Return rows, float64[..., S, S], with mean and variance of outcomes with weights, float64[..., S, N] each."""
    outcome = np.clip(outcome, conductance.min(), conductance.max())
    wide = np.einsum("...t,...tu->...u", weight, split(outcome, conductance))
    middle = (weight * outcome).sum(axis=-1)
    least = split(middle, conductance)
    variance = (weight * (outcome - middle[..., None]) ** 2).sum(axis=-1)
    high, low = ((one * (conductance - middle[..., None]) ** 2).sum(axis=-1) for one in (wide, least))
    span = high - low
    part = np.clip(np.divide(high - variance, span, out=np.zeros_like(span), where=span > 0), 0, 1)[..., None]
    mixed = (1 - part) * wide + part * least
    return mixed / mixed.sum(axis=-1, keepdims=True)


def split(value: np.ndarray, conductance: np.ndarray) -> np.ndarray:
    """Return each value, float64[...], as probabilities of its two neighbouring states: float64[..., S], same mean."""
    order = np.argsort(conductance, kind="stable")
    rising = conductance[order]
    below = np.clip(np.searchsorted(rising, value, side="right") - 1, 0, len(rising) - 2)
    share = np.clip((value - rising[below]) / (rising[below + 1] - rising[below]), 0, 1)
    found = np.zeros((*np.shape(value), len(rising)))
    np.put_along_axis(found, order[below][..., None], (1 - share)[..., None], axis=-1)
    np.put_along_axis(found, order[below + 1][..., None], share[..., None], axis=-1)
    return found
