"""The search for the parameters of greatest likelihood.

Every law is searched on a scale on which its parameters are free (`scales`). In shapes, k counts the parameters and a
those that are free: neither held fixed nor on a bound.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy
from scipy import linalg

from calibration.laws.fitting.scales import Scale
from spinloom.errors import UserError

ON_BOUND = 1e-4  # a bound that costs less log-likelihood than this is where the parameter is
# standard error on the search scale beyond which data are said not to tell a parameter: e^3 = 20-fold either way
UNTOLD = {"log": 3.0, "logit": 8.0, "identity": 1e3}
STARTS = 3  # how many of a law's first guesses are followed
REACH = 2.0  # longest step of the search: e^2 in a positive parameter


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
    x = max((search(problem, point, free, low, high) for point in points), key=problem.log_likelihood)
    bound = []
    for entry in np.flatnonzero(free):
        parameter = scale.parameters[entry]
        for end, limit in (("low", -np.inf), ("high", np.inf)):
            if not free[entry] or parameter.closed not in (end, "both"):
                continue
            moved = np.where(np.arange(len(x)) == entry, limit, x)
            if problem.log_likelihood(moved) > problem.log_likelihood(x) - ON_BOUND:
                free[entry] = False
                x = search(problem, moved, free, low, high) if free.any() else moved
                bound.append(parameter.name)
    if not free.any():
        return x, free, np.zeros((0, 0)), bound
    information = problem.information(x, free)
    _check_told(problem, x, free, information, low, high)
    return x, free, information, bound


def search(problem: Problem, x: np.ndarray, free: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return the search coordinates of greatest likelihood in the free ones, from ``x``, within ``low`` and ``high``.

    All are float64[k], ``free`` is bool[k].
    """
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
