"""Maximum likelihood for the laws of this package, and what a fit is.

Every law is searched on a scale on which its parameters are free: logarithms of what is positive, log-odds of what is
a probability. There the likelihood is nearly Gaussian, so intervals are formed there too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import scipy

from calibration.laws.fitting.search import Problem, derivative, maximise, search
from spinloom.errors import UserError

# log-likelihood lost at the limit of a parameter on a bound, ln 20: where the likelihood falls exponentially from the
# bound, as after 0 of n writes, 95 % of it lie within (3/n). 1.645^2/2, for a parabola, would be 1.35/n: 74 %
DROP = float(np.log(20))
ENOUGH = 5.0  # smallest expected count of a joined row of two cells, whose p-values are wanted down to 0.001
EXPECTED = 1.0  # smallest expected count of a cell in the chi-square test; smaller cells are pooled (Cochran 1954)


@dataclass(frozen=True)
class Fit:
    """A law with numbers, and how well they are known.

    Attributes
    ----------
    law : str
        Name in the registry.
    parameters : dict of float
        Values, those held fixed included.
    standard_errors : dict
        None for what was held fixed or lies on a bound: there the curvature of the likelihood tells no error.
    covariance : list of list of float
        Of all parameters in the order of ``parameters``; zeros where the standard error is None.
    log_likelihood : float
        Without the terms that do not depend on the parameters; comparable between laws on the same data only.
    observations : int
        Writes.
    aic, bic : float
        2 k - 2 log L and k ln n - 2 log L, k counting all parameters that were searched.
    goodness : dict
        ``test``, ``statistic``, ``dof``, ``p_value`` (None if no degree of freedom is left).
    held_out_log_likelihood : float or None
        Sum over the folds of `laws.choose` of the log-likelihood of writes that the fit did not see.
    conditions : dict
        What the fit holds for: ranges of the data, options, ``fixed`` and ``on_bound`` parameters; ``bound_limits``,
        name -> value that a parameter on a bound may have, 95 % (`bound_limits`).
    """

    law: str
    parameters: dict[str, float]
    standard_errors: dict[str, float | None]
    covariance: list[list[float]]
    log_likelihood: float
    observations: int
    aic: float
    bic: float
    goodness: dict[str, Any]
    held_out_log_likelihood: float | None = None
    conditions: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values, all of them finite; parameters sorted and the covariance by names, as in a file."""
        names = list(self.parameters)
        covariance = {
            one: {other: self.covariance[names.index(one)][names.index(other)] for other in sorted(names)}
            for one in sorted(names)
        }
        parameters = {name: self.parameters[name] for name in sorted(names)}
        return {**asdict(self), "parameters": parameters, "covariance": covariance}

    @classmethod
    def from_dict(cls, content: dict[str, Any], where: str = "card.json") -> Fit:
        """Return the fit that `to_dict` told.

        Raises
        ------
        UserError
            If an entry is missing or unknown.
        """
        try:
            rows = content["covariance"]
            covariance = [[rows[one][other] for other in content["parameters"]] for one in content["parameters"]]
            return cls(**{**content, "covariance": covariance})
        except (TypeError, KeyError) as error:
            raise UserError(
                f"{where}: laws: found no fitted law ({error}), allowed: the entries of Fit.to_dict"
            ) from None


def bound_limits(problem: Problem, x: np.ndarray, free: np.ndarray, bound: list[str]) -> dict[str, float]:
    """Return how far each parameter on a closed bound may lie from it, in its own unit.

    At the limit the log-likelihood, maximised over the free parameters, is lower by ln 20 (profile likelihood: Venzon
    and Moolgavkar, Appl. Stat. 37, 87 (1988)); other parameters on a bound stay there. Where even the end of the search
    costs less, it is the limit. ``x``, ``free`` and ``bound`` are as of `maximise`.
    """
    entries = {name: problem.scale.names.index(name) for name in bound}
    return {name: float(_limit(problem, x, free, entry)) for name, entry in entries.items()}


def _limit(problem, x, free, entry):
    low, high = problem.scale.bounds()
    near, far = (low[entry], high[entry]) if x[entry] < 0 else (high[entry], low[entry])
    top, best = problem.log_likelihood(x), x

    def at(place: float, of: np.ndarray) -> np.ndarray:
        return np.where(np.arange(len(x)) == entry, place, of)

    def lost(point: np.ndarray) -> float:
        return float(np.log(max(top - problem.log_likelihood(point), 1e-9) / DROP))

    def lost_least(place: float) -> float:
        nonlocal best
        best = search(problem, at(place, best), free, low, high)
        return lost(best)

    # with the others held the limit lies nearer and is cheap; from there they follow
    place = _crossing(lambda one: lost(at(one, x)), near, far)
    if free.any():
        end = place
        while lost_least(end) < 0 and end != far:
            place, end = end, float(np.clip(end + np.sign(far - near), min(near, far), max(near, far)))
        place = _crossing(lost_least, place, end)
        lost_least(place)
    return problem.scale.backward(at(place, best))[entry]


def _crossing(function: Callable[[float], float], below: float, above: float) -> float:
    """Return where ``function`` grows through 0, or the end that it does not reach 0 before."""
    if below == above or function(above) <= 0:
        return above
    if function(below) >= 0:
        return below
    return float(scipy.optimize.brentq(function, below, above, xtol=0.01))  # 1 % of a rate


def finish(problem: Problem, starts: list[np.ndarray], goodness: Callable, conditions: dict) -> Fit:
    """Maximise the likelihood and return the `Fit`.

    Parameters
    ----------
    problem : Problem
    starts : list of ndarray, float64[k]
        Parameter values to start from.
    goodness : callable
        (parameter values float64[k], number of parameters fitted) -> the fit's ``goodness``.
    conditions : dict
        JSON values.

    Raises
    ------
    UserError
        As `maximise`.
    """
    scale = problem.scale
    x, free, information, bound = maximise(problem, starts)
    values = scale.backward(x)
    values = np.array([problem.fixed.get(name, value) for name, value in zip(scale.names, values)], float)
    covariance = np.zeros((len(x), len(x)))
    if free.any():
        slope = derivative(scale.backward, x, free)
        covariance = slope @ np.linalg.inv(information) @ slope.T
    errors = np.sqrt(np.diag(covariance))
    log_likelihood = problem.log_likelihood(x)
    searched = len(scale.names) - len(problem.fixed)
    observations = int(round(float(problem.counts.sum())))
    return Fit(
        law=problem.law,
        parameters=dict(zip(scale.names, map(float, values))),
        standard_errors={name: float(e) if told else None for name, e, told in zip(scale.names, errors, free)},
        covariance=covariance.tolist(),
        log_likelihood=log_likelihood,
        observations=observations,
        aic=2 * searched - 2 * log_likelihood,
        bic=float(searched * np.log(max(observations, 1)) - 2 * log_likelihood),
        goodness=goodness(values, int(free.sum())),
        conditions={
            **conditions,
            "fixed": sorted(problem.fixed),
            "on_bound": bound,
            "bound_limits": bound_limits(problem, x, free, bound),
        },
    )


def joined(counts: np.ndarray, probability: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return rows of two cells, those joined that expect too little in one cell to be tested alone.

    Rows whose smaller cell expects fewer than 5 counts say little each, and together as much as any other row: where
    100 rows expect 0.1 count, 50 counts contradict the law. Those with the same smaller cell are added up, from the
    least expected on, until a row expects 5 or more.

    Parameters
    ----------
    counts : ndarray, int64[rows, 2]
    probability : ndarray, float64[rows, 2]

    Returns
    -------
    tuple of int64[rows, 2] and float64[rows, 2]
        As the parameters, of at most as many rows.
    """
    expected = counts.sum(axis=1, keepdims=True) * probability
    least = expected.min(axis=1)
    rows, shares = [counts[least >= ENOUGH]], [expected[least >= ENOUGH]]
    for cell in (0, 1):
        own = np.flatnonzero((least < ENOUGH) & (expected.argmin(axis=1) == cell))
        own = own[np.argsort(least[own], kind="stable")]
        if not len(own):
            continue
        start, summed = [0], 0.0
        for place, amount in enumerate(least[own]):
            if summed >= ENOUGH:
                start, summed = [*start, place], 0.0
            summed += amount
        if summed < ENOUGH and len(start) > 1:
            start.pop()  # what is left over goes to the last row that is full
        rows.append(np.add.reduceat(counts[own], start))
        shares.append(np.add.reduceat(expected[own], start))
    seen, expected = np.concatenate(rows), np.concatenate(shares)
    return seen, expected / seen.sum(axis=1, keepdims=True)


def pearson(counts: np.ndarray, probability: np.ndarray, fitted: int) -> dict[str, Any]:
    """Return Pearson's chi-square test of rows of counts.

    Cells of a row that expect fewer than 1 count are pooled into one (and that one into the smallest other while it
    expects fewer than 1 still). Every row gives one degree of freedom less than it has cells, every fitted parameter
    takes one.

    Parameters
    ----------
    counts : ndarray, int64[rows, cells]
    probability : ndarray, float64[rows, cells]
    fitted : int
        Number of parameters estimated from these counts.
    """
    statistic, dof = 0.0, -fitted
    for seen, share in zip(counts, probability):
        expected = seen.sum() * share
        order = np.argsort(expected)
        seen, expected = seen[order], expected[order]
        # pooled: the shortest run of smallest cells that together expect enough
        small = np.count_nonzero(expected < EXPECTED)
        if small:
            enough = np.cumsum(expected) >= EXPECTED
            small = max(small, int(np.argmax(enough)) + 1) if enough.any() else len(seen)
            seen = np.append(seen[small:], seen[:small].sum())
            expected = np.append(expected[small:], expected[:small].sum())
        if len(seen) > 1:
            statistic += float(np.sum((seen - expected) ** 2 / expected))
            dof += len(seen) - 1
    p_value = float(scipy.stats.chi2.sf(statistic, dof)) if dof > 0 else None
    return {"test": "pearson_chi2", "statistic": statistic, "dof": max(dof, 0), "p_value": p_value}
