"""Transition rows of a pulse that nobody simulated, between pulses that were.

Over voltage, logarithm of duration, and temperature (axes that do not vary drop out) the logarithms of a row's
probabilities, relative to any reference state, are interpolated linearly within the Delaunay simplex of known pulses.
That keeps rows positive and normalised, does not depend on the reference, and moves a peak between neighbours along.

The variance of a log-odds has two parts. One is the posterior's of the neighbours, psi1(a) + psi1(A - a) for a
Dirichlet of total A, propagated with the squared weights. The other is the error of the straight line, c^2 q^2, where
q(x) = sum_i w_i |x_i|^2 - |x|^2 (axes scaled to 0..1) is the error that a straight line makes for the curve |x|^2, 0 at
known pulses. Leaving out known pulses one by one shows c^2, the mean of (error^2 - posterior variances) / q^2, taken
larger by the squared ratio of Student's to the normal quantile because it is known from few pulses. If no pulse can be
left out, the truth is taken for uniform between the neighbours: sd = their range / sqrt(12), less near a known pulse.

Interval and worth are those of the Beta distribution that has the same mean and variance of the log-odds; at a known
pulse they are the posterior's own. Rows that a law or a source states have no posterior variance, the straight line's
error remains.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import scipy
from scipy import special

from spinloom.errors import UserError

AXES = ("voltage_V", "duration_s", "temperature_K")
LEAST = 1e-12  # probability that stands for 0 in a logarithm
INSIDE = 1e-9  # of the scaled axes
EXACT = 1e11  # rows worth more writes than that were stated, not counted: no posterior variance, not even of a 0
NORMAL = 1e9  # total beyond which a Beta's log-odds are normal


@dataclass(frozen=True)
class Interpolated:
    """Rows of the wanted pulses; all float64[Q, S, S].

    Attributes
    ----------
    probability, ci_low, ci_high : ndarray
    effective_count : ndarray
        Parameters of the Dirichlet that has the mean and about the width of each row; no pseudocount is to be added.
    extrapolated : ndarray, bool[Q]
    """

    probability: np.ndarray
    ci_low: np.ndarray
    ci_high: np.ndarray
    effective_count: np.ndarray
    extrapolated: np.ndarray


def interpolate(
    pulses: pd.DataFrame,
    probability: np.ndarray,
    effective_count: np.ndarray,
    wanted: pd.DataFrame,
    pseudocount: float = 0.5,
    level: float = 0.95,
    extrapolate: bool = False,
    where: str = "calibration.interpolate.points",
) -> Interpolated:
    """Interpolate transition rows.

    Parameters
    ----------
    pulses : DataFrame
        Known pulses of one channel and one polarity: ``voltage_V``, ``duration_s``, ``temperature_K``; no two alike.
    probability, effective_count : ndarray, float64[P, S, S]
        Their rows and what these are worth; 1e12 p for a row that is known exactly.
    wanted : DataFrame
        Pulses to make, the same columns.
    pseudocount : float or ndarray, float64[P, 1, 1] or float64[P, S, S]
        Of the Dirichlet prior, added to ``effective_count``.
    level : float
        Probability that each interval holds.
    extrapolate : bool
        Outside of the known pulses take the rows of the nearest one; the standard error of a log-odds grows by the
        distance times the steepest change of that log-odds between any two known pulses. Along an axis that no known
        pulse varies, and from a single pulse, nothing is ever extrapolated.
    where : str
        Begins the error.

    Returns
    -------
    Interpolated

    Raises
    ------
    UserError
        If a wanted pulse lies outside of the known ones, if two known pulses are alike, or if they span fewer
        directions than they vary in.
    """
    space = _Space(pulses, where)
    target = space.scaled(wanted)
    alpha = effective_count + pseudocount
    total = alpha.sum(axis=-1, keepdims=True)
    odds = _logit(probability)
    variance = special.polygamma(1, alpha) + special.polygamma(1, np.maximum(total - alpha, LEAST))
    variance = np.where(total >= EXACT, 0.0, variance)

    curvature = _curvature(space, probability, odds, variance, level)
    result: dict[str, list[np.ndarray]] = {"p": [], "v": [], "least": []}
    outside = np.zeros(len(wanted), bool)
    for number, point in enumerate(target):
        weights, off_axis = space.weights(point), space.off_axis(wanted.iloc[number])
        if weights is None or off_axis:
            outside[number] = True
            if not extrapolate or off_axis:
                raise UserError(f"{where}: found {space.told(wanted.iloc[number])}, allowed: {space.ranges()}")
            nearest, distance = space.nearest(point)
            result["p"].append(probability[nearest])
            result["least"].append(total[nearest, :, 0])
            result["v"].append(variance[nearest] + (distance * _steepest(space.points, odds)) ** 2)
            continue
        used = np.flatnonzero(weights)
        row = _mix(weights[used], probability[used])
        spread = np.einsum("p,pij->ij", weights[used] ** 2, variance[used])
        if curvature is not None:
            spread = spread + curvature * space.bubble(point, weights) ** 2
        else:
            near = min(1.0, 2 * (1 - np.sum(weights**2)))
            spread = spread + near**2 * np.ptp(odds[used], axis=0) ** 2 / 12
        result["p"].append(row)
        result["least"].append(total[used, :, 0].min(axis=0))
        result["v"].append(spread)
    p, v = np.array(result["p"]), np.array(result["v"])
    beta = _total(p, v, min(total.max(), EXACT))
    tail = (1 - level) / 2
    reach = special.ndtri(1 - tail) * np.sqrt(v)
    low, high = (
        np.where(
            beta < NORMAL,
            special.betaincinv(np.minimum(beta, NORMAL) * p, np.minimum(beta, NORMAL) * (1 - p), share),
            special.expit(_logit(p) + sign * reach),
        )
        for share, sign in ((tail, -1), (1 - tail, 1))
    )
    # what is impossible or certain has no Beta distribution
    sure = (p <= 0) | (p >= 1)
    low, high = (np.where(sure, p, end) for end in (np.fmin(low, p), np.fmax(high, p)))
    spread = p * (1 - p)
    variance_p = (spread / (beta + 1)).sum(axis=-1)
    worth = np.where(variance_p > 0, spread.sum(axis=-1) / np.maximum(variance_p, 1e-300) - 1, 0.0)
    # the spread of a row that is certain tells nothing; it is worth what the least known neighbour is
    worth = np.where(sure.all(axis=-1), np.array(result["least"]), worth)
    return Interpolated(p, low, high, worth[..., None] * p, outside)


class _Space:
    """The known pulses as points, each varying axis scaled to 0..1."""

    def __init__(self, pulses: pd.DataFrame, where: str):
        self._where = where
        raw = self._raw(pulses)
        spread = np.nan_to_num(np.ptp(raw, axis=0))
        self._varies = spread > 1e-9 * np.maximum(np.nan_to_num(np.abs(raw).max(axis=0)), 1e-30)
        self._known = pulses[list(AXES)].to_numpy(float)
        self._low, self._spread = raw[:, self._varies].min(axis=0), spread[self._varies]
        self._fixed = raw[0, ~self._varies]
        self.points = (raw[:, self._varies] - self._low) / self._spread
        if len(np.unique(np.round(self.points, 9), axis=0)) < len(self.points):
            raise UserError(f"{where}: found two known pulses alike in {', '.join(AXES)}, allowed: pulses that differ")
        if np.linalg.matrix_rank(self.points - self.points[0], tol=1e-6) < self.points.shape[1]:
            axes = ", ".join(np.array(AXES)[self._varies])
            raise UserError(
                f"{where}: found known pulses whose {axes} vary together, allowed: {self.points.shape[1] + 1} or more "
                "pulses that vary them independently"
            )

    @cached_property
    def _mesh(self) -> scipy.spatial.Delaunay:
        return scipy.spatial.Delaunay(self.points)

    @staticmethod
    def _raw(pulses: pd.DataFrame) -> np.ndarray:
        raw = pulses[list(AXES)].to_numpy(float).copy()
        raw[:, 1] = np.log(raw[:, 1])
        return raw

    def scaled(self, pulses: pd.DataFrame) -> np.ndarray:
        return (self._raw(pulses)[:, self._varies] - self._low) / self._spread

    def off_axis(self, pulse: pd.Series) -> bool:
        """Whether the pulse differs on an axis that no known pulse varies: nothing tells what that does."""
        raw = self._raw(pulse.to_frame().T)[0, ~self._varies]
        apart = np.abs(raw - self._fixed) > 1e-9 * np.maximum(np.abs(self._fixed), 1e-30)
        return bool((apart | (np.isnan(raw) != np.isnan(self._fixed))).any())

    def weights(self, point: np.ndarray, without: int | None = None) -> np.ndarray | None:
        """Return the known pulses' weights, float64[P], or None outside of them."""
        keep = np.arange(len(self.points)) != (-1 if without is None else without)
        points, out = self.points[keep], np.zeros(len(self.points))
        places = np.flatnonzero(keep)
        if points.shape[1] == 0:
            out[places[0]] = 1.0
            return out
        if points.shape[1] == 1:
            order = np.argsort(points[:, 0])
            x = points[order, 0]
            if not x[0] - INSIDE <= point[0] <= x[-1] + INSIDE or len(x) < 2:
                return None
            left = int(np.clip(np.searchsorted(x, point[0]) - 1, 0, len(x) - 2))
            share = np.clip((point[0] - x[left]) / (x[left + 1] - x[left]), 0, 1)
            out[places[order[[left, left + 1]]]] = 1 - share, share
            return out
        try:
            mesh = self._mesh if without is None else scipy.spatial.Delaunay(points)
        except scipy.spatial.QhullError:
            return None
        simplex = int(mesh.find_simplex(point, tol=INSIDE))
        if simplex < 0:
            return None
        affine = mesh.transform[simplex]
        first = affine[:-1] @ (point - affine[-1])
        part = np.clip(np.append(first, 1 - first.sum()), 0, 1)
        # rounding must not make a known pulse lean on its neighbours
        part[part < INSIDE] = 0.0
        out[places[mesh.simplices[simplex]]] = part / part.sum()
        return out

    def bubble(self, point: np.ndarray, weights: np.ndarray) -> float:
        """Return q, the error of the straight line for |x|^2."""
        return float(max(weights @ np.sum(self.points**2, axis=1) - point @ point, 0.0))

    def nearest(self, point: np.ndarray) -> tuple[int, float]:
        distance = np.linalg.norm(self.points - point, axis=1)
        return int(np.argmin(distance)), float(distance.min())

    def told(self, pulse: pd.Series) -> str:
        return ", ".join(f"{axis} {pulse[axis]:g}" for axis in AXES if np.isfinite(pulse[axis]))

    def ranges(self) -> str:
        if len(self.points) == 1:
            alone = ", one pulse of this channel and polarity, nothing to interpolate between"
            return self.told(pd.Series(self._known[0], AXES)) + alone
        low, high = self._known.min(axis=0), self._known.max(axis=0)
        known = [f"{a} {x:g}..{y:g}" for a, x, y in zip(AXES, low, high) if np.isfinite(x)]
        return ", ".join(known) + (" (inside the known pulses' hull)" if self.points.shape[1] > 1 else "")


def _logit(probability: np.ndarray) -> np.ndarray:
    return special.logit(np.clip(probability, LEAST, 1 - LEAST))


def _mix(weights: np.ndarray, rows: np.ndarray) -> np.ndarray:
    mixed = np.exp(np.einsum("p,pij->ij", weights, np.log(np.maximum(rows, LEAST))))
    # what is impossible for all neighbours stays impossible
    mixed = np.where((rows > 0).any(axis=0), mixed, 0.0)
    return mixed / mixed.sum(axis=-1, keepdims=True)


def _total(p: np.ndarray, variance: np.ndarray, most: float) -> np.ndarray:
    """Return the total A of the Beta(A p, A (1 - p)) whose log-odds have this variance, by bisection in ln A."""
    mean = np.clip(p, LEAST, 1 - LEAST)
    low, high = np.full(p.shape, np.log(1e-3)), np.full(p.shape, np.log(2 * most + 1))
    for _ in range(60):
        middle = (low + high) / 2
        total = np.exp(middle)
        wide = special.polygamma(1, total * mean) + special.polygamma(1, total * (1 - mean)) > variance
        low, high = np.where(wide, middle, low), np.where(wide, high, middle)
    return np.exp((low + high) / 2)


def _curvature(space: _Space, probability, odds, variance, level: float) -> float | None:
    """Return c^2 of the module's text, cells weighted with p (1 - p); None if no pulse can be left out."""
    error = scale = 0.0
    pulses = 0
    for left in range(len(space.points) if len(space.points) > 1 else 0):
        weights = space.weights(space.points[left], without=left)
        if weights is None:
            continue
        q = space.bubble(space.points[left], weights)
        if q < INSIDE:
            continue
        pulses += 1
        used = np.flatnonzero(weights)
        miss = _logit(_mix(weights[used], probability[used])) - odds[left]
        chance = variance[left] + np.einsum("p,pij->ij", weights[used] ** 2, variance[used])
        weight = probability[left] * (1 - probability[left])
        # 1/q^2 is inside the mean, so that wide gaps do not outvote narrow ones
        error += float(np.sum(weight * (miss**2 - chance)) / q**2)
        scale += float(np.sum(weight))
    if not scale > 0:
        return None
    few = scipy.stats.t.ppf((1 + level) / 2, pulses) / special.ndtri((1 + level) / 2)
    return max(error / scale, 0.0) * few**2


def _steepest(points: np.ndarray, odds: np.ndarray) -> np.ndarray:
    steepest = np.zeros(odds.shape[1:])
    for one in range(len(points)):
        for other in range(one):
            distance = np.linalg.norm(points[one] - points[other])
            steepest = np.maximum(steepest, np.abs(odds[one] - odds[other]) / distance)
    return steepest
