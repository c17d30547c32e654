"""From a fit to intervals, draws and predicted probabilities with what they are worth in counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from calibration import laws
from calibration.laws.fitting.likelihood import DROP, Fit
from calibration.laws.fitting.scales import Scale
from calibration.laws.fitting.search import derivative

TINY = 1e-300


@dataclass(frozen=True)
class Prediction:
    """Rows of probabilities that a fit predicts.

    Attributes
    ----------
    probability, ci_low, ci_high : ndarray, float64[..., K]
        Interval by the delta method on the log-odds of every probability. What each parameter on a bound would change
        at its limit is added in quadrature, on the side to which it moves the probability (Zou and Donner, Stat. Med.
        27, 1693 (2008)).
    effective_count : ndarray, float64[...]
        Number n of independent writes whose multinomial row would be known as well: for the row's probabilities p with
        variances v, n = sum p (1 - p) / sum v, at most the writes of the fit. A parameter on a bound adds the mean and
        variance of its exponential (`draw`). 0 where the fit knows no error (all parameters fixed).
    """

    probability: np.ndarray
    ci_low: np.ndarray
    ci_high: np.ndarray
    effective_count: np.ndarray


def scale_of(fit: Fit) -> Scale:
    """Return the search scale of a fit's parameters."""
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


def _limits(fit: Fit, scale: Scale, shares: dict[str, float]) -> dict[str, float]:
    """Return the values of the parameters on a bound that lie ``shares`` of the way to their limits, and beyond.

    None leaves the range: rates are cut at 0, probabilities at 0 and 1.
    """
    limits, out = fit.conditions.get("bound_limits", {}), {}
    for name, share in shares.items():
        value = fit.parameters[name] + share * (limits[name] - fit.parameters[name])
        kind = scale.parameters[scale.names.index(name)].kind
        out[name] = float(np.clip(value, 0.0, np.inf if kind == "log" else 1.0))
    return out


def _reach(level: float) -> float:
    """Return the share of a limit (95 %) that holds ``level`` of an exponential fall from the bound."""
    return float(-np.log1p(-level) / DROP)


def interval(fit: Fit, name: str, level: float = 0.95) -> tuple[float, float] | None:
    """Return the confidence interval of a parameter, None where it was held fixed.

    Wald's interval, estimate +- z standard errors, on the search scale: a logarithm for positive parameters, log-odds
    for probabilities. It never leaves the parameter's range. For a parameter on a bound, from there to its limit.
    """
    if name in fit.conditions.get("bound_limits", {}):
        limit = _limits(fit, scale_of(fit), {name: _reach(level)})[name]
        low, high = sorted((fit.parameters[name], limit))
        return low, high
    if fit.standard_errors[name] is None:
        return None
    scale, x, _, covariance = _on_scale(fit)
    entry = scale.names.index(name)
    reach = special.ndtri((1 + level) / 2) * np.sqrt(covariance[entry, entry])
    ends = (scale.backward(np.where(np.arange(len(x)) == entry, x + sign * reach, x))[entry] for sign in (-1, 1))
    low, high = map(float, ends)
    return low, high


def _values(fit: Fit, scale: Scale, x: np.ndarray, free: np.ndarray) -> dict[str, float]:
    """Return the parameters at search coordinates; those held fixed are exact."""
    limits = fit.conditions.get("bound_limits", {})
    values = zip(scale.names, scale.backward(x), free)
    return {name: float(v) if f or name in limits else fit.parameters[name] for name, v, f in values}


def draw(fit: Fit, rng: np.random.Generator) -> dict[str, float]:
    """Return parameters drawn from the fit's uncertainty.

    Normal on the search scale, so none leaves its range. A parameter on a bound falls off exponentially from there,
    95 % of it within its limit.

    Parameters
    ----------
    fit : Fit
    rng : Generator
        From `spinloom.streams.generator`. What is fixed stays.
    """
    scale, x, free, covariance = _on_scale(fit)
    moved = x.copy()
    if free.any():
        root = np.linalg.cholesky(covariance[np.ix_(free, free)])
        moved[free] += root @ rng.standard_normal(int(free.sum()))
    shares = {name: rng.standard_exponential() / DROP for name in sorted(fit.conditions.get("bound_limits", {}))}
    for name, value in _limits(fit, scale, shares).items():
        moved = scale.moved(moved, scale.names.index(name), value)
    return _values(fit, scale, moved, free)


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

    def at(point: np.ndarray) -> np.ndarray:
        return np.asarray(rows(_values(fit, scale, point, free)), float)

    probability = np.asarray(rows(fit.parameters), float)
    variance = np.zeros_like(probability)
    if free.any():
        slope = derivative(at, x, free)
        variance = np.einsum("...a,ab,...b->...", slope, covariance[np.ix_(free, free)], slope)
    odds = special.logit(np.clip(probability, TINY, 1 - 1e-16))
    sure = (probability <= 0) | (probability >= 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        sd = np.sqrt(variance) / (probability * (1 - probability))
        reach = special.ndtri((1 + level) / 2) * np.nan_to_num(sd, nan=0.0, posinf=0.0)
    low, high = (np.where(sure, probability, special.expit(odds + sign * reach)) for sign in (-1, 1))
    # what the parameters on a bound add: to either side of the interval, to the mean and to the variance
    down, up = (np.fmin(low - probability, 0.0) ** 2, np.fmax(high - probability, 0.0) ** 2)
    mean = probability.copy()
    for name in fit.conditions.get("bound_limits", {}):
        value = _limits(fit, scale, {name: _reach(level)})[name]
        change = at(scale.moved(x, scale.names.index(name), value)) - probability
        down, up = down + np.fmin(change, 0.0) ** 2, up + np.fmax(change, 0.0) ** 2
        typical = change / (_reach(level) * DROP)
        mean, variance = mean + typical, variance + typical**2
    low, high = np.maximum(probability - np.sqrt(down), 0.0), np.minimum(probability + np.sqrt(up), 1.0)
    mean = np.clip(mean, 0.0, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        known = (mean * (1 - mean)).sum(axis=-1) / variance.sum(axis=-1)
    known = np.minimum(np.nan_to_num(known, nan=0.0, posinf=0.0), fit.observations)
    return Prediction(probability, low, high, known)
