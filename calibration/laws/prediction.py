"""From a fit to intervals, draws and predicted probabilities with what they are worth in counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from calibration.laws.fitting import Fit, derivative
from calibration.laws.scales import Scale

TINY = 1e-300


@dataclass(frozen=True)
class Prediction:
    """Rows of probabilities that a fit predicts.

    Attributes
    ----------
    probability, ci_low, ci_high : ndarray, float64[..., K]
        Interval by the delta method on the log-odds of every probability.
    effective_count : ndarray, float64[...]
        Number n of independent writes whose multinomial row would be known as well: for the row's probabilities p with
        variances v, n = sum p (1 - p) / sum v. 0 where the fit knows no error (all parameters fixed).
    """

    probability: np.ndarray
    ci_low: np.ndarray
    ci_high: np.ndarray
    effective_count: np.ndarray


def scale_of(fit: Fit) -> Scale:
    """Return the search scale of a fit's parameters."""
    from calibration import laws

    law = laws.get(fit.law)
    own = law.parameters_of(fit.parameters) if hasattr(law, "parameters_of") else law.PARAMETERS
    known = {parameter.name: parameter for parameter in own}
    parameters = tuple(known[name] for name in fit.parameters)
    # derivatives take steps of a size that matters: a standard error, whatever the unit
    return Scale(tuple(replace(one, step=fit.standard_errors[one.name] or 1.0) for one in parameters))


def _on_scale(fit: Fit) -> tuple[Scale, np.ndarray, np.ndarray, np.ndarray]:
    """Return scale, coordinates, which of them vary, and their covariance."""
    scale = scale_of(fit)
    values = np.array(list(fit.parameters.values()))
    free = np.array([fit.standard_errors[name] is not None for name in fit.parameters])
    x = scale.forward(values)
    covariance = np.zeros((len(x), len(x)))
    if free.any():
        # what varies on the scale varies in the values: the inverse of the delta method that made the covariance
        slope = np.linalg.inv(derivative(scale.backward, x, free)[free])
        covariance[np.ix_(free, free)] = slope @ np.array(fit.covariance)[np.ix_(free, free)] @ slope.T
    return scale, x, free, covariance


def interval(fit: Fit, name: str, level: float = 0.95) -> tuple[float, float] | None:
    """Return the confidence interval of a parameter, None where there is no standard error.

    Wald's interval, estimate +- z standard errors, on the search scale: a logarithm for positive parameters, log-odds
    for probabilities. It never leaves the parameter's range.
    """
    if fit.standard_errors[name] is None:
        return None
    scale, x, _, covariance = _on_scale(fit)
    entry = scale.names.index(name)
    kind = scale.parameters[entry].kind
    value, error = fit.parameters[name], fit.standard_errors[name]
    if kind == "odds":
        # the odds against staying mix a row's probabilities; the log-odds of this one alone are told by its own error
        z = special.ndtri((1 + level) / 2) * error / (value * (1 - value))
        return tuple(float(special.expit(special.logit(value) + sign * z)) for sign in (-1, 1))
    reach = special.ndtri((1 + level) / 2) * np.sqrt(covariance[entry, entry])
    ends = (scale.backward(np.where(np.arange(len(x)) == entry, x + sign * reach, x))[entry] for sign in (-1, 1))
    return tuple(float(end) for end in ends)


def draw(fit: Fit, rng: np.random.Generator) -> dict[str, float]:
    """Return parameters drawn from the fit's uncertainty: normal on the search scale, so none leaves its range.

    Parameters
    ----------
    fit : Fit
    rng : Generator
        From `spinloom.streams.generator`. What is fixed or on a bound stays.
    """
    scale, x, free, covariance = _on_scale(fit)
    if not free.any():
        return dict(fit.parameters)
    root = np.linalg.cholesky(covariance[np.ix_(free, free)])
    moved = x.copy()
    moved[free] += root @ rng.standard_normal(int(free.sum()))
    values = scale.backward(moved)
    return {name: float(v) if f else fit.parameters[name] for name, v, f in zip(scale.names, values, free)}


def predict(fit: Fit, rows: Callable[[dict[str, float]], np.ndarray], level: float = 0.95) -> Prediction:
    """Return the probabilities ``rows(parameters)`` with intervals and effective counts.

    Parameters
    ----------
    fit : Fit
    rows : callable
        Parameters -> float64[..., K], rows of probabilities that sum to 1 along the last axis; for a switching law
        e.g. ``lambda p: np.stack([1 - law.probability(p, v, t), law.probability(p, v, t)], axis=-1)``.
    level : float
        Probability that each interval holds.

    Returns
    -------
    Prediction
        The uncertainty of the law's parameters only; that the law itself may be wrong is told by ``fit.goodness``.
    """
    scale, x, free, covariance = _on_scale(fit)
    names = scale.names

    def at(point: np.ndarray) -> np.ndarray:
        values = scale.backward(point)
        return rows({n: float(v) if f else fit.parameters[n] for n, v, f in zip(names, values, free)})

    probability = np.asarray(rows(fit.parameters), float)
    variance = np.zeros_like(probability)
    if free.any():
        slope = derivative(at, x, free)
        variance = np.einsum("...a,ab,...b->...", slope, covariance[np.ix_(free, free)], slope)
    odds = special.logit(np.clip(probability, TINY, 1 - 1e-16))
    with np.errstate(divide="ignore", invalid="ignore"):
        sd = np.sqrt(variance) / (probability * (1 - probability))
        reach = special.ndtri((1 + level) / 2) * np.nan_to_num(sd, nan=0.0, posinf=0.0)
        known = (probability * (1 - probability)).sum(axis=-1) / variance.sum(axis=-1)
    sure = (probability <= 0) | (probability >= 1)
    low = np.where(sure, probability, np.minimum(special.expit(odds - reach), probability))
    high = np.where(sure, probability, np.maximum(special.expit(odds + reach), probability))
    return Prediction(probability, low, high, np.nan_to_num(known, nan=0.0, posinf=0.0))
