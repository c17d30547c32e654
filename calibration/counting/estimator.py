"""Counts of writes -> transition probabilities with intervals, for these devices or for all devices like them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy
from jaxtyping import Float, Float64, Int64, Integer, Real
from scipy import sparse, special

from calibration.counting.spread import Spread, device_offsets, random_effects
from calibration.sections import Posterior
from spinloom.errors import UserError

__all__ = [
    "Rows",
    "Spread",
    "by_instance",
    "count_transitions",
    "design_effects",
    "device_offsets",
    "empty_row_error",
    "empty_rows",
    "posterior",
    "random_effects",
    "stationary",
    "transition_rows",
]

PerWrite = Integer[np.ndarray, " writes"]
PRIOR_DEVICES = 4  # what all other rows tell about a row's correlation counts as much as so many devices of its own


def count_transitions(
    pulse: PerWrite, state_from: PerWrite, state_to: PerWrite, pulses: int, states: int, count: PerWrite | None = None
) -> Int64[np.ndarray, "pulses states states"]:
    """Return how often each pulse led from each state to each state.

    Parameters
    ----------
    pulse, state_from, state_to : int[writes]
    pulses, states : int
        Numbers of pulses and states.
    count : int[writes] or None
        Equal writes that an entry stands for; None: 1.
    """
    counts = np.zeros((pulses, states, states), dtype=np.int64)
    np.add.at(counts, (pulse, state_from, state_to), 1 if count is None else count)
    return counts


def posterior(
    counts: Real[np.ndarray, "*rows states"], pseudocount: float, interval: float, where: str = "config"
) -> tuple[
    Float64[np.ndarray, "*rows states"], Float64[np.ndarray, "*rows states"], Float64[np.ndarray, "*rows states"]
]:
    """Return posterior mean and interval of categorical probabilities.

    With a symmetric Dirichlet prior of parameter a per state, the posterior of a row with counts n_k, sum N, is
    Dirichlet(n + a): mean (n_k + a) / (N + K a), and each probability alone is Beta(n_k + a, N - n_k + (K - 1) a)
    (Gelman et al., Bayesian Data Analysis, section 3.4). The interval has equal tails, but begins at 0 for a state
    that was never reached and ends at 1 for one that always was (Brown, Cai, DasGupta, Stat. Sci. 16, 101 (2001),
    section 4.1.1): no number of writes can exclude that a probability is 0.
    It takes the writes for independent; writes to one device are not, if devices differ (see `transition_rows`).

    Parameters
    ----------
    counts : int or float[..., states]
        Rows of counts along the last axis.
    pseudocount : float
        a > 0; 0.5 is Jeffreys' prior for two states.
    interval : float
        Probability that each interval holds, in (0, 1).
    where : str
        Name of the config file; begins the error.

    Returns
    -------
    tuple of three float64[..., states]
        Mean, lower end, upper end; ``low <= mean <= high``. A row without counts is the prior.

    Raises
    ------
    UserError
        If the prior or the interval is impossible, or so extreme that a mean lies outside its own interval.
    """
    if not pseudocount > 0:
        raise UserError(f"{where}: posterior.pseudocount: found {pseudocount:g}, allowed: a number > 0")
    if not 0 < interval < 1:
        raise UserError(f"{where}: posterior.interval: found {interval:g}, allowed: a number between 0 and 1")
    states = counts.shape[-1]
    alpha = counts + pseudocount
    number = counts.sum(axis=-1, keepdims=True)
    total = number + states * pseudocount
    mean = alpha / total
    tail = (1 - interval) / 2
    low, high = (special.betaincinv(alpha, total - alpha, share) for share in (tail, 1 - tail))
    low = np.where((counts == 0) & (number > 0), 0.0, low)
    # from the other states: with a float sum the equality of one count and the number is a matter of rounding
    reached = counts != 0
    others = reached.sum(axis=-1, keepdims=True) - reached
    high = np.where((others == 0) & (number > 0), 1.0, high)
    if np.any((mean < low) | (mean > high)):
        raise UserError(
            f"{where}: posterior: found pseudocount {pseudocount:g} with interval {interval:g}, where a mean lies "
            "outside its interval, allowed: a larger pseudocount or a wider interval (0.5 and 0.95 are usual)"
        )
    return mean, low, high


@dataclass(frozen=True)
class Rows:
    """Transition probabilities, all arrays indexed by pulse, state before, state after.

    Attributes
    ----------
    counts
        Writes; a row of zeros is a row that nobody wrote, and its probabilities are the prior's.
    effective
        Independent writes that the row is worth: counts over the row's design effect.
    probability, ci_low, ci_high
        Posterior mean and interval, of the effective counts.
    """

    counts: Int64[np.ndarray, "pulses states states"]
    effective: Float64[np.ndarray, "pulses states states"]
    probability: Float64[np.ndarray, "pulses states states"]
    ci_low: Float64[np.ndarray, "pulses states states"]
    ci_high: Float64[np.ndarray, "pulses states states"]


def transition_rows(
    pulse: PerWrite,
    start: PerWrite,
    state: PerWrite,
    instance: PerWrite,
    pulses: int,
    states: int,
    options: Posterior,
    where: str,
    count: PerWrite | None = None,
) -> Rows:
    """Estimate the transition probabilities of all rows.

    With ``pooling: events`` every write counts once; intervals then hold for the devices that were written, or for
    all if devices are alike. With ``pooling: instances`` each row's counts are divided by its design effect
    (`design_effects`), and the intervals hold for devices that were not written. Probability and interval are those of
    `posterior` with the effective counts, so the prior weighs a little more where devices differ.

    Parameters
    ----------
    pulse, start, state, instance : int[writes]
        What was done, the states before and after, the device.
    pulses, states : int
        Numbers of pulses and states.
    options : Posterior
    where : str
        File that errors name.
    count : int[writes] or None
        Equal writes that an entry stands for; None: 1.

    Returns
    -------
    Rows

    Raises
    ------
    UserError
        As `posterior`, or if there is one device and ``pooling`` is instances.
    """
    counts = count_transitions(pulse, start, state, pulses, states, count)
    effective = counts.astype(np.float64)
    if options.pooling == "instances":
        devices = len(np.unique(instance))
        if devices < 2:
            raise UserError(
                f"{where}: posterior.pooling: found instances with writes to {devices} device, "
                "allowed: instances with 2 devices or more (8 or more are wise), or events"
            )
        row, effect = design_effects(np.asarray(pulse) * states + start, state, instance, options.interval, count)
        effective.reshape(-1, states)[row] /= effect[:, None]
    return Rows(counts, effective, *posterior(effective, options.pseudocount, options.interval, where))


def design_effects(
    row: PerWrite, state: PerWrite, instance: PerWrite, interval: float = 0.95, count: PerWrite | None = None
) -> tuple[Integer[np.ndarray, " rows"], Float64[np.ndarray, " rows"]]:
    """Return by what factor writes to the same devices are worth less than independent writes, row by row.

    The variance of a row's shares exceeds that of N independent writes by 1 + (sum_i n_i^2 / N - 1) rho for n_i
    writes to device i (Rao and Scott, Ann. Stat. 12, 46 (1984); Brier, Biometrika 67, 591 (1980)). The intra-device
    correlation rho comes from the mean squares between and within devices, added up over the states (Weir and Hill,
    Annu. Rev. Genet. 36, 721 (2002)): (MSB - MSW) / (MSB + (n0 - 1) MSW), at least 0. A row of few devices tells little
    about it, so a row's own value is averaged with that of all other rows together, with the weights (devices - 1) and
    `PRIOR_DEVICES`. Where the factor is above 1 it is an estimate itself, and is multiplied by the square of the
    ratio of Student's to the normal quantile with as many degrees of freedom as the sum of these weights (Korn and
    Graubard, Surv. Methodol. 24, 193 (1998)).

    Parameters
    ----------
    row, state, instance : int[writes]
    interval : float
        Mass of the interval that the factor is for; sets the quantiles.
    count : int[writes] or None
        Equal writes that an entry stands for; None: 1.

    Returns
    -------
    tuple of int[rows] and float64[rows]
        Rows that have writes, ascending, and their factors, >= 1.
    """
    rows, row = np.unique(row, return_inverse=True)
    groups, group = np.unique(np.column_stack([row, instance]), axis=0, return_inverse=True)
    of, states = groups[:, 0], int(np.max(state)) + 1
    counts = np.zeros((len(groups), states))
    np.add.at(counts, (group, state), 1 if count is None else count)
    n = counts.sum(axis=1)

    def over_row(values: np.ndarray) -> np.ndarray:
        return np.bincount(of, values, len(rows))

    number, devices, squares = over_row(n), over_row(np.ones_like(n)), over_row(n**2)
    totals = np.zeros((len(rows), states))
    np.add.at(totals, of, counts)
    within = number - over_row((counts**2).sum(axis=1) / n)
    between = over_row((counts**2).sum(axis=1) / n) - (totals**2).sum(axis=1) / number
    free, free_within, weight = devices - 1, number - devices, number - squares / number

    def correlation(between, free, within, free_within, weight):
        with np.errstate(invalid="ignore", divide="ignore"):
            large, small, n0 = between / free, within / free_within, weight / free
            return np.clip((large - small) / (large + (n0 - 1) * small), 0.0, 1.0)

    parts = (between, free, within, free_within, weight)
    own = correlation(*parts)
    # a row that always ends in one state, or has one device, has no correlation to tell
    known = np.where(np.isnan(own), 0.0, free)
    others = correlation(*(part.sum() - part for part in parts))
    lent = np.where(np.isnan(others), 0.0, PRIOR_DEVICES)
    # where no row tells anything, writes count in full: nothing was repeated, or all ended alike
    mixed = known * np.nan_to_num(own) + lent * np.nan_to_num(others)
    mixed = np.divide(mixed, known + lent, out=np.zeros_like(mixed), where=known + lent > 0)
    effect = 1 + (squares / number - 1) * mixed
    tail = (1 - interval) / 2
    uncertain = (scipy.stats.t.isf(tail, np.maximum(known + lent, 1)) / scipy.stats.norm.isf(tail)) ** 2
    return rows, np.where(effect > 1, effect * uncertain, 1.0)


def by_instance(
    pulse: PerWrite,
    start: PerWrite,
    state: PerWrite,
    instance: PerWrite,
    pulses: int,
    states: int,
    options: Posterior,
    where: str,
    reset: bool = False,
    count: PerWrite | None = None,
) -> pd.DataFrame:
    """Return each device's own transition probabilities, for the rows in which it was written.

    Parameters
    ----------
    pulse, start, state, instance, pulses, states, options, where
        As for `transition_rows`; ``pooling`` is not used, because the writes to one device are independent.
    reset : bool
        Whether each write begins with a reset: the row of state 0 is then given for every state before.
    count : int[writes] or None
        Equal writes that an entry stands for; None: 1.

    Returns
    -------
    DataFrame
        `calibration.card.tables.BY_INSTANCE`: ``instance``, ``pulse``, ``state_from``, ``state_to``, ``count``,
        ``probability``, ``ci_low``, ``ci_high``.

    Raises
    ------
    UserError
        As `posterior`.
    """
    keys, group = np.unique(np.column_stack([instance, pulse, start]), axis=0, return_inverse=True)
    counts = np.zeros((len(keys), states), dtype=np.int64)
    np.add.at(counts, (group, state), 1 if count is None else count)
    mean, low, high = posterior(counts, options.pseudocount, options.interval, where)
    table = pd.DataFrame(np.repeat(keys, states, axis=0), columns=["instance", "pulse", "state_from"], dtype=np.int64)
    table["state_to"] = np.tile(np.arange(states, dtype=np.int64), len(keys))
    table["count"] = counts.ravel()
    table["probability"], table["ci_low"], table["ci_high"] = mean.ravel(), low.ravel(), high.ravel()
    if not reset:
        return table
    every = pd.concat([table.assign(state_from=start) for start in range(states)])
    return every.sort_values(["instance", "pulse", "state_from", "state_to"], ignore_index=True)


def empty_rows(counts: Int64[np.ndarray, "pulses states states"]) -> Int64[np.ndarray, "rows 2"]:
    """Return pulse and state before of the rows without writes."""
    return np.argwhere(counts.sum(axis=-1) == 0)


def empty_row_error(
    counts: Int64[np.ndarray, "pulses states states"],
    replicas: int | None,
    where: str,
    labels: tuple[str, ...] = (),
) -> UserError:
    """Word the error of a row without writes: which, and what would fill it.

    The share f of all writes that begin in the state says how many more writes of the pulse it takes until one of
    them begins there with a probability of 95 %: ln 0.05 / ln(1 - f).

    Parameters
    ----------
    counts : int64[pulses, states, states]
        With at least one row of zeros.
    replicas : int or None
        Writes of each pulse to each device from each start, as the sweep was planned; None if the writes were
        measured, and writes are named instead.
    where : str
        File of the writes.
    labels : tuple of str
        Names of the states, if they have any.

    Returns
    -------
    UserError
        To be raised by the caller.
    """
    empty = empty_rows(counts)
    pulse, state = (int(index) for index in empty[0])
    named = f"state {state}" + (f" ({labels[state]})" if labels else "")
    others = f" ({len(empty)} such rows)" if len(empty) > 1 else ""
    start = f"{where}: pulse {pulse}: found no write that begins in {named}{others}"
    share = counts[:, state].sum() / max(1, counts.sum())
    if share == 0:
        return UserError(
            f"{start}, and no pulse has one, allowed: at least 1, so write from it (for simulated walls: a start "
            "position inside the state), allow fewer states, or choose kernel.empty_rows"
        )
    writes = math.ceil(math.log(0.05) / math.log1p(-share)) if share < 1 else 1
    of_pulse = int(counts[pulse].sum())
    if replicas is None or of_pulse == 0:
        more = f"{writes} more writes"
    else:
        more = f"{math.ceil(writes * replicas / of_pulse)} more replicas per instance"
    return UserError(
        f"{start}, allowed: at least 1; {100 * share:.2g} % of all writes begin there, so about {more} of this "
        "pulse would give one (95 % sure), or choose kernel.empty_rows"
    )


def stationary(kernel: Float[np.ndarray, "pulses states states"]) -> Float64[np.ndarray, " states"]:
    """Return the occupancy of the states under uniformly random pulses.

    M is the mean of the pulses' transition matrices. If every state can be reached from every other, the occupancy is
    the one distribution with pi = pi M. Otherwise (a law may have states that are never left) there are many, and this
    is the one that a start in a uniformly random state leads to, averaged over time: the weight of each closed class of
    states is the probability to end there (Kemeny and Snell, Finite Markov Chains, chapter 3).

    Parameters
    ----------
    kernel : float[pulses, states, states]
        Probabilities, indexed by pulse, from, to.
    """
    mean = kernel.mean(axis=0)
    states = len(mean)
    count, label = sparse.csgraph.connected_components(mean > 0, connection="strong")
    closed = [own for own in range(count) if not (mean[label == own][:, label != own] > 0).any()]
    transient = ~np.isin(label, closed)
    leaving = np.eye(int(transient.sum())) - mean[np.ix_(transient, transient)]
    occupancy = np.zeros(states)
    for own in closed:
        inside = label == own
        # expected visits of each transient state from a uniform start lead into the class
        visits = np.linalg.solve(leaving.T, np.full(len(leaving), 1 / states))
        weight = inside.sum() / states + visits @ mean[np.ix_(transient, inside)].sum(axis=1)
        occupancy[inside] = weight * _balance(mean[np.ix_(inside, inside)])
    return occupancy / occupancy.sum()


def _balance(matrix: np.ndarray) -> np.ndarray:
    # one of the balance equations follows from the others; normalisation takes its place
    system = np.eye(len(matrix)) - matrix.T
    system[-1] = 1.0
    share = np.clip(np.linalg.solve(system, np.eye(len(matrix))[-1]), 0.0, None)
    return share / share.sum()
