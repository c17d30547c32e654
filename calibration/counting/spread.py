"""How much devices, and repeated writes to one device, differ: variance components with their uncertainty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
import scipy
from jaxtyping import Float, Integer
from scipy import special

WITHOUT_UNIT = ("f_statistic", "p_value", "intraclass_correlation", "design_effect")


@dataclass(frozen=True)
class Spread:
    """One-way random-effects analysis of variance, x = mean of the cell + device + cycle.

    The mean square within, MSW, estimates s_c^2. Sums of squares between devices, SS = sum w (mean - weighted mean)^2
    over the means of n writes each, have the expectation A s_d^2 + B s_c^2 with A = sum_cells(W - sum w^2 / W),
    B = sum_cells(sum w / n - sum (w^2 / n) / W), W = sum w of the cell, for any weights w, hence the method of moments:
    s_d^2 = max(0, (SS - B MSW) / A). Weights n, those of the analysis of variance (Searle, Casella, McCulloch, Variance
    Components, section 3.6), give a first s_d^2 and the F test; weights 1 / (s_d^2 + s_c^2 / n) the second and last
    (two steps: DerSimonian and Kacker, Contemp. Clin. Trials 28, 105 (2007)). For equal n both are the same. For
    unequal n the first lets devices with many writes speak for all, and its SS is far from chi-square; equal weights
    (Thomas and Hultquist, Ann. Stat. 6, 582 (1978)) are the limit of the second for devices that differ much.

    The same devices are in all cells, so their common effect does not average out over cells. For the uncertainty,
    SS is therefore split into what a device does in all cells alike (devices - 1 degrees of freedom) and how its
    effect differs from cell to cell (the rest), and s_d^2 is a sum of three independent mean squares. Its standard
    error follows from var(MS) = 2 MS^2 / dof, its interval from the modified large-sample method (Burdick and
    Graybill, Confidence Intervals on Variance Components, section 3.3). Both take effects for normal; the split is
    exact for equal numbers of writes.

    Attributes
    ----------
    cycle_to_cycle_sd, cycle_to_cycle_se, cycle_to_cycle_low, cycle_to_cycle_high : float or None
        Spread of repeated writes to one device, its standard error and its interval (chi-square), in the unit of x.
        None if no device was written twice in the same cell.
    device_to_device_sd, device_to_device_se, device_to_device_low, device_to_device_high : float or None
        Spread of the devices' means, 0 if the writes do not show any; its standard error
        sqrt(s_d^2 + SE(s_d^2)) - s_d, which is the delta method's SE(s_d^2) / (2 s_d) where s_d is well above it, and
        finite at 0; its interval. None if there is one device or `cycle_to_cycle_sd` is None.
    f_statistic, p_value : float or None
        MSB / MSW, MSB being SS / dof of weights n, and the probability of a larger one if devices were alike and
        spread were normal and the same for all cells. None where there is no within-device spread to compare with.
    intraclass_correlation : float or None
        s_d^2 / (s_d^2 + s_c^2).
    design_effect : float or None
        1 + (n0 - 1) times the intraclass correlation, n0 = A / dof of weights n: the factor by which the variance of a
        cell's mean over all its writes exceeds that of as many independent writes.
    """

    cycle_to_cycle_sd: float | None = None
    cycle_to_cycle_se: float | None = None
    cycle_to_cycle_low: float | None = None
    cycle_to_cycle_high: float | None = None
    device_to_device_sd: float | None = None
    device_to_device_se: float | None = None
    device_to_device_low: float | None = None
    device_to_device_high: float | None = None
    f_statistic: float | None = None
    p_value: float | None = None
    intraclass_correlation: float | None = None
    design_effect: float | None = None


def _square_interval(parts: Sequence[tuple[float, float, float]], mass: float) -> tuple[float, float, float]:
    """Return standard error and interval of sum(weight * mean square) for (weight, mean square, dof) of each.

    Burdick and Graybill, section 3.3, without the small cross terms, which makes it slightly too wide.
    """
    tail = (1 - mass) / 2
    estimate = sum(weight * square for weight, square, _ in parts)
    error = below = above = 0.0
    for weight, square, dof in parts:
        # relative distances to the ends of a mean square's own interval
        down, up = 1 - dof / special.chdtri(dof, tail), dof / special.chdtri(dof, 1 - tail) - 1
        if weight < 0:
            down, up = up, down
        part = (weight * square) ** 2
        error, below, above = error + 2 * part / dof, below + down**2 * part, above + up**2 * part
    low, high = estimate - np.sqrt(below), estimate + np.sqrt(above)
    return float(np.sqrt(error)), float(max(0.0, low)), float(max(0.0, high))


def as_dict(spread: Spread, unit: str) -> dict[str, float | None]:
    """Return the fields of ``spread`` for ``card.json``, those with a unit named by it, e.g. ``..._sd_m``.

    Parameters
    ----------
    spread : Spread
    unit : str
        Suffix of the coordinate's unit, e.g. ``S``; ``"1"`` for none.
    """
    suffix = "" if unit == "1" else f"_{unit}"
    return {name + suffix * (name not in WITHOUT_UNIT): value for name, value in asdict(spread).items()}


def random_effects(
    values: Float[np.ndarray, " writes"],
    cell: Integer[np.ndarray, " writes"],
    instance: Integer[np.ndarray, " writes"],
    mass: float = 0.95,
) -> Spread:
    """Split the variance of what was written into within and between devices, pooled over cells.

    Parameters
    ----------
    values : float[writes]
        What was written, in any coordinate.
    cell : int[writes]
        What was done (the pulse, and the state before unless it was reset); means may differ freely between cells.
    instance : int[writes]
        The device.
    mass : float
        Probability that each interval holds, in (0, 1).
    """
    groups = _Groups(values, cell, instance)
    df_between = len(groups.n) - groups.cells
    df_within = len(values) - len(groups.n)
    if df_within == 0:
        return Spread()
    within = groups.squares.sum() / df_within
    error, low, high = _square_interval([(1.0, within, df_within)], mass)
    cycle = {
        "cycle_to_cycle_sd": float(np.sqrt(within)),
        "cycle_to_cycle_se": float(error / (2 * np.sqrt(within))) if within else 0.0,
        "cycle_to_cycle_low": float(np.sqrt(low)),
        "cycle_to_cycle_high": float(np.sqrt(high)),
    }
    if df_between == 0:
        return Spread(**cycle)
    by_writes = groups.between(groups.n.astype(float))
    between, n0 = by_writes.squares / df_between, by_writes.devices / df_between
    device = max(0.0, (by_writes.squares - by_writes.cycles * within) / by_writes.devices)
    # what the means are worth if devices differ by that much
    variance = device + within / groups.n
    sums = groups.between(1 / variance) if device or within else by_writes
    device = max(0.0, (sums.squares - sums.cycles * within) / sums.devices)

    df_common = min(sums.freedom, df_between)
    df_rest = df_between - df_common
    # devices that seem more alike than chance allows do not prove that they are: uncertainty as if SS were B MSW
    lift = max(1.0, sums.cycles * within / sums.squares) if sums.squares else 1.0
    scale = lift / sums.devices
    parts = [(df_common * scale, sums.common / df_common, df_common)]
    parts.append((-sums.cycles / sums.devices, within, df_within))
    if df_rest:
        parts.append((df_rest * scale, max(0.0, sums.squares - sums.common) / df_rest, df_rest))
    error, low, high = _square_interval(parts, mass)
    correlation = device / (device + within) if within else None
    return Spread(
        **cycle,
        device_to_device_sd=float(np.sqrt(device)),
        device_to_device_se=float(np.sqrt(device + error) - np.sqrt(device)),
        device_to_device_low=float(np.sqrt(low)),
        device_to_device_high=float(np.sqrt(high)),
        f_statistic=float(between / within) if within else None,
        p_value=float(special.fdtrc(df_between, df_within, between / within)) if within else None,
        intraclass_correlation=None if correlation is None else float(correlation),
        design_effect=None if correlation is None else float(1 + (n0 - 1) * correlation),
    )


def device_offsets(
    values: Float[np.ndarray, " writes"],
    cell: Integer[np.ndarray, " writes"],
    instance: Integer[np.ndarray, " writes"],
) -> pd.DataFrame:
    """Return by how much each device differs from the population.

    Within a cell, a device's offset is the mean of its writes less the mean over devices of such means; a
    device's offset is the mean of that over the cells in which it has writes. The standard error carries the
    cycle-to-cycle spread only, MSW of the cell (of all cells where the cell has no repeated writes), propagated
    through both means: var = MSW ((1 - 2/I) / n_i + sum_j(1 / n_j) / I^2) for I devices.

    Parameters
    ----------
    values, cell, instance
        As in `random_effects`.

    Returns
    -------
    DataFrame
        ``instance`` int64, ``events`` int64, ``offset`` and ``offset_se`` float64 in the unit of ``values`` (NaN if
        no device was written twice in any cell), sorted by instance.
    """
    groups = _Groups(values, cell, instance)
    devices = groups.over_cell(np.ones_like(groups.mean))
    freedom = groups.over_cell(groups.n) - devices
    repeated = len(values) - len(groups.n)
    pooled = groups.squares.sum() / repeated if repeated else np.nan
    within = np.where(freedom > 0, groups.over_cell(groups.squares) / np.maximum(freedom, 1), pooled)
    variance = within * ((1 - 2 / devices) / groups.n + groups.over_cell(1 / groups.n) / devices**2)
    offset = groups.mean - groups.over_cell(groups.mean) / devices
    instances, of = np.unique(groups.instance, return_inverse=True)
    cells = np.bincount(of)
    return pd.DataFrame(
        {
            "instance": instances,
            "events": np.bincount(of, groups.n).astype(np.int64),
            "offset": np.bincount(of, offset) / cells,
            "offset_se": np.sqrt(np.bincount(of, np.maximum(variance, 0.0))) / cells,
        }
    )


@dataclass(frozen=True)
class ProbabilitySpread:
    """Mean and between-device spread of a switching probability; None where the writes cannot tell.

    Attributes
    ----------
    mean, mean_se : float
        Mean of the devices' shares and its standard error, devices' differences included (NaN for one device).
    sd, sd_se : float or None
        Between-device standard deviation, 0 if the writes do not show any, and its standard error.
    interval : tuple of float or None
        Interval of the sd.
    intraclass_correlation : float or None
        rho = sd^2 / (p (1 - p)): of a beta-binomial distribution, 1 / (a + b + 1).
    """

    mean: float
    mean_se: float
    sd: float | None
    sd_se: float | None
    interval: tuple[float, float] | None
    intraclass_correlation: float | None


def probability_spread(
    switched: Integer[np.ndarray, " devices"], writes: Integer[np.ndarray, " devices"], mass: float = 0.95
) -> ProbabilitySpread:
    """Return how much devices differ in a probability.

    Moments of the beta-binomial distribution (Kleinman, JASA 68, 46 (1973)) in the unweighted form, which is unbiased
    for any distribution of the devices' probabilities: the variance of the shares p_i = x_i / n_i over devices
    less the binomial part, the mean of p_i (1 - p_i) / (n_i - 1). Standard error and interval are those of a difference
    of mean squares as for `Spread`. A variance of I values with excess kurtosis g has the degrees of freedom
    (I - 1) / (1 + g (I - 1) / (2 I)); g is that of the fitted beta distribution or of the shares, whichever is larger.

    Parameters
    ----------
    switched, writes : int[devices]
        Writes that switched, and all writes of each device; devices with fewer than 2 writes are left out.
    mass : float
        Of the interval, in (0, 1).
    """
    kept = writes >= 2
    devices = int(kept.sum())
    if devices < 2:
        share = switched.sum() / writes.sum() if writes.sum() else np.nan
        return ProbabilitySpread(float(share), np.nan, None, None, None, None)
    n = writes[kept].astype(float)
    share = switched[kept] / n
    noise = (share * (1 - share) / (n - 1)).mean()
    variance, mean = share.var(ddof=1), share.mean()
    sd = np.sqrt(max(0.0, variance - noise))
    correlation = min(1.0, sd**2 / (mean * (1 - mean))) if 0 < mean < 1 else None
    excess = max(0.0, _beta_excess(mean, correlation), float(scipy.stats.kurtosis(share)) if variance else 0.0)
    freedom = (devices - 1) / (1 + excess * (devices - 1) / (2 * devices))
    # as in `random_effects`: less variance than chance gives proves nothing
    parts = [(1.0, max(variance, noise), freedom), (-1.0, noise, float((n - 1).sum()))]
    error, low, high = _square_interval(parts, mass)
    return ProbabilitySpread(
        mean=float(mean),
        mean_se=float(np.sqrt(variance / devices)),
        sd=float(sd),
        sd_se=float(np.sqrt(sd**2 + error) - sd),
        interval=(float(np.sqrt(low)), float(np.sqrt(high))),
        intraclass_correlation=None if correlation is None else float(correlation),
    )


def _beta_excess(mean: float, correlation: float | None) -> float:
    if not correlation or correlation >= 1:
        return 0.0
    size = 1 / correlation - 1
    return float(scipy.stats.beta(mean * size, (1 - mean) * size).stats("k"))


class _Groups:
    """Number, mean and sum of squared deviations of the values of each (cell, instance)."""

    def __init__(self, values: np.ndarray, cell: np.ndarray, instance: np.ndarray):
        pairs, group = np.unique(np.column_stack([cell, instance]), axis=0, return_inverse=True)
        self.n = np.bincount(group)
        self.mean = np.bincount(group, values) / self.n
        self.squares = np.bincount(group, (values - self.mean[group]) ** 2)
        self.instance = pairs[:, 1]
        cells, self._cell = np.unique(pairs[:, 0], return_inverse=True)
        self.cells = len(cells)

    def over_cell(self, values: np.ndarray) -> np.ndarray:
        """Return, for each group, the sum of ``values`` over the groups of its cell."""
        return np.bincount(self._cell, values)[self._cell]

    def between(self, weight: np.ndarray) -> _Between:
        """Return the sum of squares between devices for weights float64[groups] of the means."""
        total = self.over_cell(weight)
        deviation = weight * (self.mean - self.over_cell(weight * self.mean) / total)
        _, of = np.unique(self.instance, return_inverse=True)
        return _Between(
            squares=float((deviation**2 / weight).sum()),
            common=float((np.bincount(of, deviation) ** 2 / np.bincount(of, weight)).sum()),
            devices=float((weight - weight**2 / total).sum()),
            cycles=float((weight / self.n - weight**2 / (self.n * total)).sum()),
            freedom=int(of.max()),
        )


@dataclass(frozen=True)
class _Between:
    """Sum of squares between devices, the part that each device has in all cells, and what `Spread` calls A and B."""

    squares: float
    common: float
    devices: float
    cycles: float
    freedom: int
