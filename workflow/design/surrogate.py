"""A fit of each objective over the variables, and what it says: which variable matters, one-knob curves, robustness.

The fit is scikit-learn's Gaussian process (Matérn 5/2, a length for each variable) on the unit cube, of choices one
coordinate each; the noise of a point is its standard error. Its error is told by five-fold cross-validation.

Sensitivities are Sobol's indices of the fit, by SciPy (Saltelli's scheme), the mean of eight scrambled samples. Their
intervals hold two errors: that of the sampling, by the spread over these samples (SciPy's bootstrap takes no seed), and
that of the fit, by the jackknife over the five folds. They hold over the whole ranges, constraints or not, and say
nothing of a point by itself.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import stats

from spinloom import streams
from workflow.design.space import Space, Values

FOLDS = 5
LEAST = 10  # points of a fit
SAMPLES = 512  # of Sobol's indices, times the number of variables and 2
REPEATS = 8  # of these, each scrambled in its own way
Z = 1.96  # of 95 % intervals
STEPS = 21  # of a curve


@dataclass(frozen=True)
class Fit:
    """A fitted objective.

    Attributes
    ----------
    space : Space
    folds : list
        Regressors fitted without one fifth of the points each.
    whole
        Regressor of all points.
    mean, scale : float
        By which values were brought to mean 0 and sd 1.
    rmse : float
        Error of prediction by cross-validation, in units of the values.
    r2 : float
        Share of the variance that cross-validation predicts; below 0 it is worse than the mean.
    points : int
    """

    space: Space
    folds: list
    whole: object
    mean: float
    scale: float
    rmse: float
    r2: float
    points: int

    def predict(self, points: list[Values]) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation at points, float64[points] each."""
        mean, sd = self.whole.predict(encoded(self.space, points), return_std=True)  # pyright: ignore
        return mean * self.scale + self.mean, sd * self.scale


class Sobol(NamedTuple):
    """Sobol's index of first order and in total, with 95 % intervals, float64[variables] each."""

    first: np.ndarray
    first_half: np.ndarray
    total: np.ndarray
    total_half: np.ndarray


def encoded(space: Space, points: list[Values]) -> np.ndarray:
    """Return points as coordinates, float64[points, coordinates]: one for each range, one for each choice."""
    unit = np.array([space.unit(values) for values in points]).reshape(len(points), len(space.variables))
    columns = []
    for place, (name, one) in enumerate(space.variables.items()):
        if one.choices is None:
            columns.append(unit[:, place])
            continue
        for choice in one.choices:
            columns.append(np.array([float(name in values and values[name] == choice) for values in points]))
    return np.stack(columns, axis=1)


def fit(space: Space, points: list[Values], values: np.ndarray, errors: np.ndarray, seed: int) -> Fit | None:
    """Return the fit of an objective; None of fewer than `LEAST` points, or of values that are all alike.

    Parameters
    ----------
    points : list of dict
        Values of the variables.
    values, errors : ndarray, float64[points]
        As they are compared (`Goal.scaled`), and their standard errors.
    seed : int
    """
    if len(points) < LEAST or np.ptp(values) == 0:
        return None
    x, mean, scale = encoded(space, points), float(np.mean(values)), float(np.std(values))
    y, noise = (values - mean) / scale, (errors / scale) ** 2
    whole = _fitted(x, y, noise, seed)
    # folds in an order by chance, the same for the same seed
    order = streams.generator(seed, "design", "folds").permutation(len(y))
    folds, left = [], np.zeros(len(y))
    for number in range(FOLDS):
        out = np.zeros(len(y), bool)
        out[order[number::FOLDS]] = True
        one = _fitted(x[~out], y[~out], noise[~out], seed, whole.kernel_)
        left[out] = one.predict(x[out])
        folds.append(one)
    rmse = float(np.sqrt(np.mean((left - y) ** 2)))
    return Fit(space, folds, whole, mean, scale, rmse * scale, 1 - rmse**2, len(points))


def _fitted(x: np.ndarray, y: np.ndarray, noise: np.ndarray, seed: int, start=None):
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    kernel = start
    if kernel is None:
        kernel = ConstantKernel(1.0, (1e-2, 1e2)) * Matern(np.ones(x.shape[1]), (5e-2, 1e2), nu=2.5)  # pyright: ignore
        kernel = kernel + WhiteKernel(1e-2, (1e-6, 1.0))
    random = int(streams.digest(seed, "design", "surrogate")[0])
    found = GaussianProcessRegressor(
        kernel,
        alpha=1e-10 + noise,  # pyright: ignore[reportArgumentType]: one for each point
        n_restarts_optimizer=0 if start is not None else 2,
        random_state=random,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a length at its bound says that the variable does not matter
        return found.fit(x, y)


def sobol(found: Fit, seed: int) -> Sobol:
    """Return Sobol's indices of a fit (see the module text)."""
    number = len(found.space.variables)

    def predicted(regressor):
        def function(unit: np.ndarray) -> np.ndarray:  # float64[variables, n]
            points = [found.space.active(found.space.values(column)) for column in unit.reshape(number, -1).T]
            return regressor.predict(encoded(found.space, points)).reshape(unit.shape[1:])

        return function

    def indices(regressor, repeat=0):
        # SciPy spawns of it
        random = np.random.default_rng(streams.digest(seed, "design", "sobol", repeat).tolist())
        return stats.sobol_indices(func=predicted(regressor), n=SAMPLES, dists=[stats.uniform()] * number, rng=random)  # pyright: ignore

    wholes = [indices(found.whole, repeat) for repeat in range(REPEATS)]
    parts = [indices(one) for one in found.folds]
    told = []
    for name in ("first_order", "total_order"):
        each, own = (np.array([getattr(one, name) for one in some]) for some in (wholes, parts))
        sampling = each.std(axis=0, ddof=1) / np.sqrt(REPEATS)
        jackknife = np.sqrt((FOLDS - 1) / FOLDS * ((own - own.mean(axis=0)) ** 2).sum(axis=0))
        told += [each.mean(axis=0), Z * np.hypot(jackknife, sampling)]
    return Sobol(*told)


def curve(space: Space, point: Values, name: str) -> list[Values]:
    """Return points that differ from one in one variable alone, over its range or its choices."""
    one = space.variables[name]
    if one.choices is not None:
        return [{**point, name: choice} for choice in one.choices]
    place, found = list(space.variables).index(name), []
    for step in np.linspace(0, 1, STEPS):
        unit = np.full(len(space.variables), 0.5)
        unit[place] = step
        value = space.values(unit)[name]
        if not found or found[-1][name] != value:
            found.append({**point, name: value})
    return found


def off(space: Space, point: Values, name: str) -> list[Values]:
    """Return a point with a variable off by the search's tolerance, down and up; of choices and whole numbers none."""
    one, share = space.variables[name], space.design.tolerance
    if one.range is None or one.whole or name not in point:
        return []
    low, high = one.range
    return [{**point, name: min(max(point[name] * factor, low), high)} for factor in (1 - share, 1 + share)]
