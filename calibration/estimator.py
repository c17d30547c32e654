"""Counts -> transition probabilities with intervals; positions -> spread within and between devices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special

from spinloom.errors import UserError


def count_transitions(pulse, state_from, state_to, pulses: int, states: int) -> np.ndarray:
    """Return how often each pulse led from each state to each state.

    Parameters
    ----------
    pulse, state_from, state_to : ndarray, int64[n]
        One entry per write.
    pulses, states : int
        Numbers of pulses and states.

    Returns
    -------
    ndarray, int64[pulses, states, states]
    """
    counts = np.zeros((pulses, states, states), dtype=np.int64)
    np.add.at(counts, (pulse, state_from, state_to), 1)
    return counts


def posterior(
    counts: np.ndarray, pseudocount: float, interval: float, where: str = "config"
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return posterior mean and credible interval of categorical probabilities.

    With a symmetric Dirichlet prior of parameter a per state, the posterior of a row with counts n_k, sum N, is
    Dirichlet(n + a): mean (n_k + a) / (N + K a), and each probability alone is Beta(n_k + a, N - n_k + (K - 1) a)
    (Gelman et al., Bayesian Data Analysis, section 3.4). The interval has equal tails.
    It takes the writes for independent; writes to one device are not, if devices differ (see `Spread`).

    Parameters
    ----------
    counts : ndarray, int64[..., K]
        Rows of counts along the last axis.
    pseudocount : float
        a > 0; 0.5 is Jeffreys' prior.
    interval : float
        Probability that each interval holds, in (0, 1).
    where : str
        Name of the config file; begins the error.

    Returns
    -------
    tuple of three ndarrays, float64[..., K]
        Mean, lower end, upper end; ``low <= mean <= high``.

    Raises
    ------
    UserError
        If the prior or the interval is impossible, or so extreme that a mean lies outside its own interval.
    """
    if not pseudocount > 0:
        raise UserError(f"{where}: posterior.pseudocount is {pseudocount:g}; allowed is a number > 0")
    if not 0 < interval < 1:
        raise UserError(f"{where}: posterior.interval is {interval:g}; allowed is a number between 0 and 1")
    states = counts.shape[-1]
    alpha = counts + pseudocount
    total = counts.sum(axis=-1, keepdims=True) + states * pseudocount
    mean = alpha / total
    tail = (1 - interval) / 2
    low, high = (special.betaincinv(alpha, total - alpha, share) for share in (tail, 1 - tail))
    if np.any((mean < low) | (mean > high)):
        raise UserError(
            f"{where}: with posterior.pseudocount {pseudocount:g} and posterior.interval {interval:g} a mean lies "
            "outside its interval; allowed are a larger pseudocount or a wider interval (0.5 and 0.95 are usual)"
        )
    return mean, low, high


def stationary(kernel: np.ndarray) -> np.ndarray:
    """Return the occupancy of the states under uniformly random pulses.

    The distribution pi with pi = pi M and sum 1, M being the mean of the pulses' transition matrices. With a
    Dirichlet posterior every probability is positive, so there is exactly one.

    Parameters
    ----------
    kernel : ndarray, float64[pulses, states, states]
        Probabilities, indexed by pulse, from, to.

    Returns
    -------
    ndarray, float64[states]
    """
    mean = kernel.mean(axis=0)
    states = len(mean)
    # one of the balance equations follows from the others; normalisation takes its place
    system = np.eye(states) - mean.T
    system[-1] = 1.0
    occupancy = np.linalg.solve(system, np.eye(states)[-1])
    return np.clip(occupancy, 0.0, None) / np.clip(occupancy, 0.0, None).sum()


@dataclass(frozen=True)
class Spread:
    """One-way random-effects analysis of variance, x = mean of the cell + device + cycle.

    Sums over cells of SS_within and SS_between with their degrees of freedom give the mean squares MSW and MSB.
    Their expectations are s_c^2 and s_c^2 + n0 s_d^2 with n0 = sum_cells(N - sum_i n_i^2 / N) / df_between, also
    for unequal numbers of writes n_i, hence the method of moments (Searle, Casella, McCulloch, Variance
    Components, section 3.6): s_c^2 = MSW, s_d^2 = max(0, (MSB - MSW) / n0).

    Attributes
    ----------
    cycle_to_cycle_sd_m : float or None
        Spread of repeated writes to one device, m. None if no device was written twice by the same pulse.
    device_to_device_sd_m : float or None
        Spread of the devices' means, m, 0 if the writes do not show any. None if there is one device or
        `cycle_to_cycle_sd_m` is None.
    f_statistic, p_value : float or None
        MSB / MSW and the probability of a larger one if devices were alike and spread were normal and the same for
        all cells. None where there is no within-device spread to compare with.
    intraclass_correlation : float or None
        s_d^2 / (s_d^2 + s_c^2).
    design_effect : float or None
        1 + (n0 - 1) times the intraclass correlation: the factor by which the variance of a pulse's mean over all
        its writes exceeds that of as many independent writes. Intervals that are to hold for devices not simulated are
        wider than those of `posterior` by about its square root.
    """

    cycle_to_cycle_sd_m: float | None
    device_to_device_sd_m: float | None
    f_statistic: float | None
    p_value: float | None
    intraclass_correlation: float | None
    design_effect: float | None


def random_effects(position: np.ndarray, cell: np.ndarray, instance: np.ndarray) -> Spread:
    """Split the variance of positions into within and between devices, pooled over cells.

    Parameters
    ----------
    position : ndarray, float64[n]
        Final positions, m.
    cell : ndarray, int64[n]
        What was done (the pulse); means may differ freely between cells.
    instance : ndarray, int64[n]
        The device.

    Returns
    -------
    Spread
    """
    groups = _Groups(position, cell, instance)
    events = groups.over_cell(groups.n)
    grand = groups.over_cell(groups.n * groups.mean) / events
    df_between = len(groups.n) - groups.cells
    df_within = len(position) - len(groups.n)
    if df_within == 0:
        return Spread(None, None, None, None, None, None)
    within = groups.squares.sum() / df_within
    if df_between == 0:
        return Spread(float(np.sqrt(within)), None, None, None, None, None)
    between = (groups.n * (groups.mean - grand) ** 2).sum() / df_between
    n0 = (groups.n.sum() - (groups.n**2 / events).sum()) / df_between
    device = max(0.0, (between - within) / n0)
    if within == 0:
        return Spread(0.0, float(np.sqrt(device)), None, None, None, None)
    correlation = device / (device + within)
    return Spread(
        cycle_to_cycle_sd_m=float(np.sqrt(within)),
        device_to_device_sd_m=float(np.sqrt(device)),
        f_statistic=float(between / within),
        p_value=float(special.fdtrc(df_between, df_within, between / within)),
        intraclass_correlation=float(correlation),
        design_effect=float(1 + (n0 - 1) * correlation),
    )


def device_offsets(position: np.ndarray, cell: np.ndarray, instance: np.ndarray) -> pd.DataFrame:
    """Return by how much each device differs from the population.

    Within a cell, a device's offset is the mean of its writes less the mean over devices of such means; a
    device's offset is the mean of that over the cells in which it has writes. The standard error carries the
    cycle-to-cycle spread only, MSW of the cell, propagated through both means:
    var = MSW ((1 - 2/I) / n_i + sum_j(1 / n_j) / I^2) for I devices.

    Parameters
    ----------
    position, cell, instance : ndarray[n]
        As in `random_effects`.

    Returns
    -------
    DataFrame
        ``instance``, ``events``, ``position_offset_m``, ``position_offset_se_m`` (NaN if no device was written
        twice in one of its cells), sorted by instance.
    """
    groups = _Groups(position, cell, instance)
    devices = groups.over_cell(np.ones_like(groups.mean))
    freedom = groups.over_cell(groups.n) - devices
    # without a degree of freedom 0/0 gives the NaN that is wanted
    with np.errstate(invalid="ignore"):
        within = groups.over_cell(groups.squares) / freedom
    variance = within * ((1 - 2 / devices) / groups.n + groups.over_cell(1 / groups.n) / devices**2)
    offset = groups.mean - groups.over_cell(groups.mean) / devices
    instances, of = np.unique(groups.instance, return_inverse=True)
    cells = np.bincount(of)
    return pd.DataFrame(
        {
            "instance": instances,
            "events": np.bincount(of, groups.n).astype(np.int64),
            "position_offset_m": np.bincount(of, offset) / cells,
            "position_offset_se_m": np.sqrt(np.bincount(of, variance)) / cells,
        }
    )


class _Groups:
    """Number, mean and sum of squared deviations of the positions of each (cell, instance)."""

    def __init__(self, position: np.ndarray, cell: np.ndarray, instance: np.ndarray):
        pairs, group = np.unique(np.column_stack([cell, instance]), axis=0, return_inverse=True)
        self.n = np.bincount(group)
        self.mean = np.bincount(group, position) / self.n
        self.squares = np.bincount(group, (position - self.mean[group]) ** 2)
        self.instance = pairs[:, 1]
        cells, self._cell = np.unique(pairs[:, 0], return_inverse=True)
        self.cells = len(cells)

    def over_cell(self, values: np.ndarray) -> np.ndarray:
        """Return, for each group, the sum of ``values`` over the groups of its cell."""
        return np.bincount(self._cell, values)[self._cell]
