"""Trains of equal pulses: the mean conductance along them, and the exponential law of Chen, Peng and Yu (2018).

After P of P_max pulses up, G = B (1 - exp(-P/A)) + G_min with B = (G_max - G_min)/(1 - exp(-P_max/A)). Pulses down
run backwards along such a curve of their own (IEEE Trans. Computer-Aided Design 37, 3067). As shares of the range and
of the train that is one law, `law`, with the one parameter P_max/A, the bend.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq, least_squares
from scipy.special import ndtri

from spinloom.errors import UserError

LABEL = 0.07  # distance of a curve from the straight line that counts as a label of 1
LABELS = (0.01, 9.0)  # least and largest of NeuroSim
QUANTILES = 1000  # of a step, for distances


class Ends(NamedTuple):
    """When a train is at its end."""

    reached: float  # share of the way to its limit
    most: int  # pulses


class Law(NamedTuple):
    """The law of a train."""

    up: bool
    start_S: float
    stop_S: float
    pulses: int
    bend: float  # positive: the first pulses move most
    error: float  # rms over the range

    @property
    def label(self) -> float:
        """`label` of the bend."""
        return label(self.bend)


def label(bend: float) -> float:
    """Return NeuroSim's label of a nonlinearity.

    It is the largest distance between the curve, both axes from 0 to 1, and the straight line, in units of `LABEL`;
    its sign is that of the bend.
    """
    if abs(bend) < 1e-3:  # to first order
        return float(bend / 8 / np.sqrt(2) / LABEL)
    place = -np.log(-np.expm1(-bend) / bend) / bend  # where the slope is 1
    return float((law(np.array([place]), bend)[0] - place) / np.sqrt(2) / LABEL)


def law(pulses: np.ndarray, bend: float) -> np.ndarray:
    """Return the share of the range after a share of the train, float64[n].

    Parameters
    ----------
    pulses : ndarray, float64[n]
        Share of the train, 0 to 1.
    bend : float
        P_max / A.
    """
    if abs(bend) < 1e-6:  # to first order: the quotient below is 0 over 0
        return pulses * (1 + bend / 2 * (1 - pulses))
    return np.expm1(-bend * pulses) / np.expm1(-bend)


def fit(kernel: np.ndarray, conductance: np.ndarray, up: bool, ends: Ends, where: str) -> Law:
    """Return the law of the mean conductance along a train from the end that it leaves.

    Parameters
    ----------
    kernel : ndarray, float64[states, states]
        Of the pulse.
    conductance : ndarray, float64[states]
        S.
    up : bool
        Whether the train begins at the lowest state.
    ends : Ends
    where : str
        Names the pulse in errors.

    Raises
    ------
    UserError
        If the train is longer than ``ends.most``, or of one pulse.
    """
    at = np.zeros(len(conductance))
    at[0 if up else -1] = 1.0
    mean, goal = [float(at @ conductance)], _limit(kernel, at) @ conductance
    while abs(mean[-1] - goal) > (1 - ends.reached) * abs(mean[0] - goal):
        if len(mean) > ends.most:
            raise UserError(
                f"export as neurosim: {where}: found {ends.most} pulses that do not reach {ends.reached:g} of the "
                "range, allowed: fewer (options most_pulses, reached)"
            )
        at = at @ kernel
        mean.append(float(at @ conductance))
    curve = np.array(mean)
    if len(curve) < 3:
        raise UserError(
            f"export as neurosim: {where}: found a single pulse that goes through {ends.reached:g} of the range, "
            "allowed: a device of several levels, or weaker pulses (options pulse_up, pulse_down)"
        )
    share = (curve - curve[0]) / (curve[-1] - curve[0])
    pulses = np.arange(len(curve)) / (len(curve) - 1)
    least, most = (brentq(lambda bend, wanted=wanted: label(bend) - wanted, 1e-4, 100) for wanted in LABELS)
    found = least_squares(lambda bend: law(pulses, bend[0]) - share, [1.0], bounds=(-most, most))
    bend = float(np.copysign(max(abs(found.x[0]), least), found.x[0]))
    error = float(np.sqrt(np.mean((law(pulses, bend) - share) ** 2)))
    return Law(up, mean[0], mean[-1], len(curve) - 1, bend, error)


def distance(
    kernel: np.ndarray, conductance: np.ndarray, law_: Law, ends: tuple[float, float], sd: float
) -> np.ndarray:
    """Return how far apart the card's step and the law's end, float64[states], S: Wasserstein's first distance.

    The law's step goes one pulse along its curve, with a normal error of standard deviation ``sd``, and stops at the
    ends, G_min and G_max in S.

    Parameters
    ----------
    kernel : ndarray, float64[states, states]
    conductance : ndarray, float64[states]
        S, increasing.
    law_ : Law
    ends : tuple of float
    sd : float
        S.
    """
    low, high = ends
    sign, start = (1, low) if law_.up else (-1, high)
    share = np.clip(sign * (conductance - start) / (high - low), 0, 1)
    with np.errstate(divide="ignore"):  # the end of a curve that is flat there
        place = np.minimum(-np.log1p(share * np.expm1(-law_.bend)) / law_.bend, 1)
    mean = start + sign * (high - low) * law(place + 1 / law_.pulses, law_.bend)
    middle = (np.arange(QUANTILES) + 0.5) / QUANTILES
    theirs = np.clip(mean[:, None] + sd * ndtri(middle), low, high)
    ours = np.stack([np.searchsorted(np.cumsum(row)[:-1], middle) for row in kernel])
    return np.abs(conductance[ours] - theirs).mean(axis=1)


def _limit(kernel: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Return the distribution after very many pulses."""
    for _ in range(64):  # 2^64 of them
        more = kernel @ kernel
        more /= more.sum(axis=-1, keepdims=True)
        if np.array_equal(more, kernel):
            break
        kernel = more
    return at @ kernel
