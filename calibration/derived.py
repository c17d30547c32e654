"""Figures of merit that follow from the card's tables alone; printed for every card.

Figures that need pulses of both polarities (up/down asymmetry, symmetry point) or a continuous pulse (inverse
from probability to pulse, its dead zone) do not exist for a device that is reset before each write.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special

MISREAD = 0.01


def conductance_steps(kernel: np.ndarray, mean: np.ndarray, sd: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of the conductance step by pulse and state.

    The step runs from the mean conductance of the state before to a conductance drawn in the state after:
    E = sum_t T[a,s,t] G_t - G_s, var = sum_t T[a,s,t] (sd_t^2 + G_t^2) - (sum_t T[a,s,t] G_t)^2.

    Parameters
    ----------
    kernel : ndarray, float64[pulses, states, states]
    mean, sd : ndarray, float64[states]
        Conductance, S.

    Returns
    -------
    tuple of two ndarrays, float64[pulses, states], S
    """
    expected = kernel @ mean
    # from deviations, not from squares, which would cancel
    deviation = mean - expected[..., None]
    variance = np.sum(kernel * (sd**2 + deviation**2), axis=-1)
    return expected - mean, np.sqrt(variance)


def distinguishable_levels(mean: np.ndarray, sd: np.ndarray, misread: float = MISREAD) -> int:
    """Return how many states one read can tell apart.

    The largest number of states that can be kept so that between neighbours (by conductance) a threshold exists
    that each of the two crosses with a probability of at most ``misread``, conductances being normal:
    G_j - G_i >= z (sd_i + sd_j), z = 2.326 for 1 %. It is the longest chain under that condition.

    Parameters
    ----------
    mean, sd : ndarray, float64[states]
        Conductance and its spread on reading, S: spread within the state and read noise together.
    misread : float
        Probability at each threshold.
    """
    z = -special.ndtri(misread)
    order = np.argsort(mean, kind="stable")
    mean, sd = mean[order], sd[order]
    chain = np.ones(len(mean), dtype=int)
    for upper in range(len(mean)):
        for lower in range(upper):
            if mean[upper] - mean[lower] >= z * (sd[upper] + sd[lower]) and mean[upper] > mean[lower]:
                chain[upper] = max(chain[upper], chain[lower] + 1)
    return int(chain.max())


def derive(
    kernel: np.ndarray,
    occupancy: np.ndarray,
    mean: np.ndarray,
    sd: np.ndarray,
    noise: np.ndarray,
    intended: np.ndarray,
    energy: np.ndarray,
) -> dict[str, Any]:
    """Return all figures as JSON values.

    Parameters
    ----------
    kernel : ndarray, float64[pulses, states, states]
    occupancy : ndarray, float64[states]
        Stationary distribution under uniformly random pulses.
    mean, sd, noise : ndarray, float64[states]
        Conductance, its spread within the state and the noise of one read, S.
    intended : ndarray, int64[pulses]
        The state that each pulse is meant to write.
    energy : ndarray, float64[pulses]
        Mean energy of one write, J.

    Returns
    -------
    dict
        ``writes``: per pulse the intended state, the probability to reach it in one write (averaged over the
        state before with ``occupancy``) and energy / probability, the mean energy of writing until it is
        reached. ``steps``: per pulse and state before, mean and spread of the conductance step and the
        probability of no change. ``stationary_distribution``, ``conductance_ratio`` (largest over smallest
        state mean), ``distinguishable_levels`` and ``distinguishable_misread``.
    """
    step, step_sd = conductance_steps(kernel, mean, sd)
    pulses, states = step.shape
    success = np.array([occupancy @ kernel[pulse, :, intended[pulse]] for pulse in range(pulses)])
    return {
        "writes": [
            {
                "pulse": pulse,
                "intended_state": int(intended[pulse]),
                "probability_intended": float(success[pulse]),
                "energy_per_success_J": float(energy[pulse] / success[pulse]),
            }
            for pulse in range(pulses)
        ],
        "steps": [
            {
                "pulse": pulse,
                "state_from": state,
                "conductance_step_mean_S": float(step[pulse, state]),
                "conductance_step_sd_S": float(step_sd[pulse, state]),
                "probability_no_change": float(kernel[pulse, state, state]),
            }
            for pulse in range(pulses)
            for state in range(states)
        ],
        "stationary_distribution": [float(value) for value in occupancy],
        "conductance_ratio": float(mean.max() / mean.min()),
        "distinguishable_levels": distinguishable_levels(mean, np.hypot(sd, noise)),
        "distinguishable_misread": MISREAD,
    }
