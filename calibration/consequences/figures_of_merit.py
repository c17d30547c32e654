"""Figures of merit that follow from the card's tables alone; printed for every card."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from spinloom.quantities import DRIVES

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


def response_pairs(kernel: np.ndarray, occupancy: np.ndarray, mean: np.ndarray, pulses: pd.DataFrame) -> list[dict]:
    """Return what pairs of opposite pulses do to each state: the asymmetry of up and down, and where they balance.

    Two pulses are a pair if they differ in polarity alone: the same gate voltage, opposite currents or junction
    voltages of one size, the same duration and temperature; or if the card has just one pulse of each polarity.

    Parameters
    ----------
    kernel : ndarray, float64[pulses, states, states]
    occupancy, mean : ndarray, float64[states]
        Stationary distribution; conductance, S.
    pulses : DataFrame
        `calibration.card.tables.PULSES`.

    Returns
    -------
    list of dict
        ``up`` and ``down`` (pulses, up being the one whose mean step is the larger), ``asymmetry`` per state,
        (E_up + E_down)/(E_up - E_down), 0 if the steps are opposite, None where both are zero;
        ``symmetry_point_S``, the conductance at which E_up = -E_down, by linear interpolation between neighbouring
        states, None if there is none.
    """
    step = kernel @ mean - mean
    size = [*(name for name in DRIVES if name != "voltage_V"), "duration_s", "temperature_K"]
    gate = pulses["channel"].str.startswith("gate")
    keys = (
        pulses[size]
        .abs()
        .assign(channel=pulses["channel"], voltage=pulses["voltage_V"].where(gate, pulses["voltage_V"].abs()))
    )
    groups = [own for _, own in pulses.groupby([keys[name] for name in keys], dropna=False)]
    if (pulses["polarity"] > 0).sum() == (pulses["polarity"] < 0).sum() == 1:
        groups = [pulses[pulses["polarity"] != 0]]
    pairs = []
    for own in groups:
        if sorted(own["polarity"]) != [-1, 1]:
            continue
        up, down = sorted(own["pulse"], key=lambda pulse: -float(occupancy @ step[pulse]))
        total, apart = step[up] + step[down], step[up] - step[down]
        asymmetry = [float(t / d) if d else None for t, d in zip(total, apart, strict=True)]
        pairs.append({"up": int(up), "down": int(down), "asymmetry": asymmetry, "symmetry_point_S": _zero(mean, total)})
    return pairs


def _zero(x: np.ndarray, y: np.ndarray) -> float | None:
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]
    for i in range(len(x) - 1):
        if y[i] == 0 or y[i] * y[i + 1] < 0:
            return float(x[i] - y[i] * (x[i + 1] - x[i]) / (y[i + 1] - y[i])) if y[i] else float(x[i])
    return float(x[-1]) if y[-1] == 0 else None


def derive(
    kernel: np.ndarray,
    states: pd.DataFrame,
    pulses: pd.DataFrame,
    reads: pd.DataFrame,
    rows_repeat: bool,
    intended: np.ndarray | None = None,
) -> dict[str, Any]:
    """Return all figures as JSON values.

    Parameters
    ----------
    kernel : ndarray, float64[pulses, states, states]
    states, pulses, reads : DataFrame
        Tables of the card.
    rows_repeat : bool
        Whether each write begins with a reset; then no pulse goes up or down.
    intended : ndarray or None
        int64[pulses], the state that each pulse is meant to write; None if pulses are steps.

    Returns
    -------
    dict
        ``writes``: per pulse the probability of a change and the energy per change (averaged over the state before
        with the occupancy), and, with ``intended``, that state, the probability to reach it in one write and energy /
        probability, the mean energy of writing until it is reached. ``steps``: per pulse and state before, mean and
        spread of the conductance step and the probability of no change. ``pairs``: see `response_pairs`.
        ``stationary_distribution``, ``conductance_ratio`` (largest over smallest state mean),
        ``distinguishable_levels`` and ``distinguishable_misread``.
    """
    mean, sd, occupancy = (states[name].to_numpy() for name in ("conductance_S", "conductance_sd_S", "occupancy"))
    energy = pulses["energy_mean_J"].to_numpy()
    step, step_sd = conductance_steps(kernel, mean, sd)
    number, size = step.shape
    change = 1 - np.einsum("s,kss->k", occupancy, kernel)
    writes = []
    for pulse in range(number):
        own = {"pulse": pulse, "probability_change": float(np.clip(change[pulse], 0, 1))}
        own["energy_per_change_J"] = _over(energy[pulse], change[pulse])
        if intended is not None:
            success = float(occupancy @ kernel[pulse, :, intended[pulse]])
            own |= {"intended_state": int(intended[pulse]), "probability_intended": success}
            own["energy_per_success_J"] = _over(energy[pulse], success)
        writes.append(own)
    return {
        "writes": writes,
        "steps": [
            {
                "pulse": pulse,
                "state_from": state,
                "conductance_step_mean_S": float(step[pulse, state]),
                "conductance_step_sd_S": float(step_sd[pulse, state]),
                "probability_no_change": float(kernel[pulse, state, state]),
            }
            for pulse in range(number)
            for state in range(size)
        ],
        "pairs": [] if rows_repeat else response_pairs(kernel, occupancy, mean, pulses),
        "stationary_distribution": [float(value) for value in occupancy],
        "conductance_ratio": float(mean.max() / mean.min()),
        "distinguishable_levels": distinguishable_levels(mean, np.hypot(sd, reads["noise_sd_S"].to_numpy())),
        "distinguishable_misread": MISREAD,
    }


def _over(energy: float, probability: float) -> float | None:
    # a write that never succeeds costs no number of joules; nor does one whose energy nobody knows
    return float(energy / probability) if probability > 1e-12 and np.isfinite(energy) else None
