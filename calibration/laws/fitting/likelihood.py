"""Maximum likelihood for the laws of this package, and what a fit is.

Every law is searched on a scale on which its parameters are free: logarithms of what is positive, log-odds of what is
a probability. There the likelihood is nearly Gaussian, so intervals are formed there too (`Fit.interval`). In
shapes, k counts the parameters and a those that are free: neither held fixed nor on a bound.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import scipy
from scipy import linalg

from calibration.laws.fitting.scales import Scale
from spinloom.errors import UserError

ON_BOUND = 1e-4  # a bound that costs less log-likelihood than this is where the parameter is
# standard error on the search scale beyond which data are said not to tell a parameter: e^3 = 20-fold either way
UNTOLD = {"log": 3.0, "logit": 8.0, "identity": 1e3}
STARTS = 3  # how many of a law's first guesses are followed
# log-likelihood lost at the limit of a parameter on a bound, ln 20: where the likelihood falls exponentially from the
# bound, as after 0 of n writes, 95 % of it lie within (3/n). 1.645^2/2, for a parabola, would be 1.35/n: 74 %
DROP = float(np.log(20))
REACH = 2.0  # longest step of the search: e^2 in a positive parameter
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
            raise UserError(f"{where}: laws: not a fit ({error}); allowed are the entries of Fit.to_dict") from None


def derivative(function: Callable[[np.ndarray], np.ndarray], x: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Return the central differences of ``function`` in the free entries of ``x``: float64[k] to float64[..., a]."""
    columns = []
    for entry in np.flatnonzero(free):
        h = np.zeros(len(x))
        h[entry] = 1e-5 * max(1.0, abs(x[entry]))
        columns.append((function(x + h) - function(x - h)) / (2 * h[entry]))
    return np.stack(columns, axis=-1)


@dataclass(frozen=True)
class Problem:
    """What `maximise` needs: log-probabilities of what may be seen, and how often it was.

    Attributes
    ----------
    law : str
    where : str
        File, for errors.
    scale : Scale
    log_cells : callable
        Parameter values float64[k] -> log-probabilities float64[rows, cells], or log-densities float64[n].
    counts : ndarray
        Of the same shape.
    fixed : dict of float
        Parameters held at a value.
    hint : str
        What data would tell the parameters; ends the error.
    """

    law: str
    where: str
    scale: Scale
    log_cells: Callable[[np.ndarray], np.ndarray]
    counts: np.ndarray
    fixed: dict[str, float]
    hint: str

    def log_likelihood(self, x: np.ndarray) -> float:
        """Return the log-likelihood at search coordinates ``x``, float64[k]."""
        with np.errstate(invalid="ignore"):
            terms = np.where(self.counts > 0, self.counts * self.log_cells(self.scale.backward(x)), 0.0)
        return float(np.maximum(np.nan_to_num(terms, nan=-1e12), -1e12).sum())

    def slopes(self, x: np.ndarray, free: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return score and information for the search: expected (cells) or sum of squared scores (densities).

        ``x`` is float64[k], ``free`` bool[k], the score float64[a], the information float64[a, a].
        """
        slope = derivative(self._finite, x, free)
        if self.counts.ndim == 1:
            return np.einsum("n,na->a", self.counts, slope), np.einsum("na,nb->ab", slope, slope)
        weight = self.counts.sum(axis=-1, keepdims=True) * np.exp(self._finite(x))
        # cells that are never seen may have any log-probability, however steep
        score = np.einsum("rc,rca->a", self.counts, np.where(self.counts[..., None] > 0, slope, 0.0))
        return score, np.einsum("rc,rca,rcb->ab", weight, slope, slope)

    def information(self, x: np.ndarray, free: np.ndarray) -> np.ndarray:
        """Return the expected (cells) or observed (densities) information, float64[a, a]; arguments as of `slopes`."""
        if self.counts.ndim > 1:
            return self.slopes(x, free)[1]
        hessian = -derivative(lambda at: self.slopes(at, free)[0], x, free)
        return (hessian + hessian.T) / 2

    def _finite(self, x: np.ndarray) -> np.ndarray:
        return np.maximum(self.log_cells(self.scale.backward(x)), -1e9)


def maximise(problem: Problem, starts: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[str]]:
    """Return search coordinates, free mask, information there and the names of parameters on a closed bound.

    Scoring steps from the best starts, L-BFGS-B where these do not converge; parameters for which a closed bound is as
    good go there.

    ``starts`` are first guesses of the parameters, in their own units, float64[k]; the arrays returned are float64[k],
    bool[k] and float64[a, a].

    Raises
    ------
    UserError
        If a parameter runs to the end of the search, or the data do not tell it.
    """
    scale = problem.scale
    low, high = scale.bounds()
    free = np.array([name not in problem.fixed for name in scale.names])
    # one on a closed bound may be as good as left out
    needed = sum(bool(one) and not p.closed for one, p in zip(free, scale.parameters, strict=True))
    if problem.counts.ndim > 1 and (told := problem.counts.shape[0] * (problem.counts.shape[1] - 1)) < needed:
        found = f"data that do not tell {needed} parameters (frequencies: {told})"
        raise UserError(f"{problem.where}: law {problem.law}: found {found}, allowed: {problem.hint}")
    held = scale.forward(np.array([problem.fixed.get(p.name, 0.5) for p in scale.parameters]))
    points = [np.where(free, np.clip(np.nan_to_num(scale.forward(p)), low + 1e-3, high - 1e-3), held) for p in starts]
    points = sorted(points, key=problem.log_likelihood, reverse=True)[:STARTS]
    x = max((_search(problem, point, free, low, high) for point in points), key=problem.log_likelihood)
    bound = []
    for entry in np.flatnonzero(free):
        parameter = scale.parameters[entry]
        for end, limit in (("low", -np.inf), ("high", np.inf)):
            if not free[entry] or parameter.closed not in (end, "both"):
                continue
            moved = np.where(np.arange(len(x)) == entry, limit, x)
            if problem.log_likelihood(moved) > problem.log_likelihood(x) - ON_BOUND:
                free[entry] = False
                x = _search(problem, moved, free, low, high) if free.any() else moved
                bound.append(parameter.name)
    if not free.any():
        return x, free, np.zeros((0, 0)), bound
    information = problem.information(x, free)
    _check_told(problem, x, free, information, low, high)
    return x, free, information, bound


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
        best = _search(problem, at(place, best), free, low, high)
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


def _search(problem, x, free, low, high):
    x, converged = _scoring(problem, x, free, low, high)
    if converged:
        return x
    total = max(problem.counts.sum(), 1)

    def whole(part):
        out = x.copy()
        out[free] = part
        return out

    found = scipy.optimize.minimize(
        lambda part: -problem.log_likelihood(whole(part)) / total,
        x[free],
        jac=lambda part: -problem.slopes(whole(part), free)[0] / total,
        method="L-BFGS-B",
        bounds=scipy.optimize.Bounds(low[free], high[free]),
        options={"maxiter": 500, "ftol": 1e-13, "gtol": 1e-9},
    )
    return _scoring(problem, whole(found.x), free, low, high)[0]


def _scoring(problem, x, free, low, high):
    """Return the coordinates after scoring steps, which no units of the parameters can upset, and if they converged."""
    best = problem.log_likelihood(x)
    for _ in range(40):
        score, information = problem.slopes(x, free)
        if not (np.isfinite(score).all() and np.isfinite(information).all()):
            return x, False
        step = linalg.lstsq(information, score)[0]
        if problem.counts.ndim == 1 and score @ step < 1:
            # near the top the curvature itself converges faster than squared scores do
            curvature = problem.information(x, free)
            if np.linalg.eigvalsh(curvature)[0] > 0:
                step = np.linalg.solve(curvature, score)
        if score @ step < 1e-10:  # twice the log-likelihood still to gain
            return x, True
        step *= min(1.0, REACH / np.max(np.abs(step)))
        for _ in range(12):
            moved = x.copy()
            moved[free] = np.clip(x[free] + step, low[free], high[free])
            value = problem.log_likelihood(moved)
            if value >= best:
                break
            step = step / 2
        else:
            return x, score @ step < 1e-6
        x, best = moved, value
    return x, False


def _check_told(problem, x, free, information, low, high):
    parameters = [parameter for parameter, one in zip(problem.scale.parameters, free) if one]
    edge = np.minimum(x[free] - low[free], high[free] - x[free]) < 1e-6 * (high - low)[free]
    curvature = np.diag(information)
    weak = edge | ~(curvature > 0) | ~np.isfinite(curvature)
    if not weak.any():
        norm = np.sqrt(curvature)
        values, vectors = np.linalg.eigh(information / np.outer(norm, norm))
        if values[0] < 1e-8:
            weak[np.argmax(np.abs(vectors[:, 0]))] = True
        else:
            error = np.sqrt(np.diag(np.linalg.inv(information)))
            weak = error > [UNTOLD[parameter.kind] for parameter in parameters]
    if weak.any():
        name = parameters[np.flatnonzero(weak)[0]].name
        raise UserError(
            f"{problem.where}: law {problem.law}: found data that do not tell {name}, allowed: {problem.hint}"
        )


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
