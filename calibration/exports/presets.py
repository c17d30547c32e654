"""Laws of normal steps with a hard end on each side, and the most likely of them for two rows of transitions.

A device is a weight w between -1 and 1. A pulse moves it by a normal step, and it stops at the ends. With u = 1 for a
pulse up, -1 for one down, c = c_up or c_down, and normal noise z, the laws are those that aihwkit's source defines:

    constant    dw = u c (1 + s z)
    linear      dw = u c (1 - k w u) (1 + s z), each direction with its own k
    additive    dw = u c (1 - k w u + s z)
    soft        linear with k = 1
    power       dw = u c ((1 - w u) / 2)^p (1 + s z), each direction with its own p
    exponential dw = u c max(0, 1 - A exp(b u w)) (1 + s z), each direction with its own A and b
    piecewise   dw = u v(w) (1 + s z), v linear between equidistant knots

The likelihood takes each outcome for the step it stands for, and an outcome in the last state for all steps that lead
there or further. Mean and spread of a step are then those of the law, as they are in cards. Laws are compared by the
Bayesian information criterion (Schwarz, Ann. Stat. 6, 461 (1978)).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import optimize, special

LEAST = 0.02  # spread of a step, in spacings of the states: levels tell no less
KNOTS = (3, 5, 9, 17)
SPREADS = (0.5, 2.0)  # of a step, where the search begins
PATIENCE: Any = {"maxiter": 1000, "maxfun": 100_000, "ftol": 1e-12, "gtol": 1e-7}
GRID = 2000  # quantiles by which distributions are compared
Sizes = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # up, down: mean size; up, down: what s multiplies


@dataclass(frozen=True)
class Law:
    """A family of laws: how many parameters, where they lie, and the sizes that they mean.

    A vector of parameters begins with log c_up, log c_down (of piecewise: the logarithms of all knots, up then down)
    and ends with log s.
    """

    name: str
    bounds: tuple[tuple[float, float], ...]  # of the parameters between c and s
    starts: tuple[tuple[float, ...], ...]  # where the search for them begins
    sizes: Callable[[np.ndarray, np.ndarray], Sizes]  # of parameters float64[p] and weights float64[n]
    knots: int = 1


@dataclass(frozen=True)
class Fit:
    """The most likely law of a family."""

    law: Law
    values: np.ndarray  # float64[p]
    log_likelihood: float
    bic: float

    @property
    def spread(self) -> float:
        """The relative spread s."""
        return float(np.exp(self.values[-1]))

    def moments(self, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and sd of a step that no end stops, up and down.

        Parameters
        ----------
        weight : ndarray, float64[n]
            From -1 to 1.

        Returns
        -------
        mean, sd : ndarray, float64[2, n]
            In weights.
        """
        up, down, up_unit, down_unit = self.law.sizes(self.values, weight)
        return np.stack([up, -down]), self.spread * np.stack([up_unit, down_unit])


def _scaled(values: np.ndarray, up: np.ndarray, down: np.ndarray, additive: bool = False) -> Sizes:
    one = np.ones_like(up)
    sizes = np.exp(values[0]) * up, np.exp(values[1]) * down
    return *sizes, *((np.exp(values[0]) * one, np.exp(values[1]) * one) if additive else sizes)


def _piecewise(values: np.ndarray, weight: np.ndarray, knots: int) -> Sizes:
    at = np.linspace(-1, 1, knots)
    up, down = (np.interp(weight, at, np.exp(values[way * knots : (way + 1) * knots])) for way in range(2))
    return up, down, up, down


def _exponential(values: np.ndarray, weight: np.ndarray) -> Sizes:
    up, down = (
        np.maximum(1 - values[2 + way] * np.exp(values[4 + way] * sign * weight), 0) for way, sign in ((0, 1), (1, -1))
    )
    return _scaled(values, up, down)


def families(states: int) -> tuple[Law, ...]:
    """Return the laws that a device of so many states may follow; knots are at least two states apart."""
    knots = [number for number in KNOTS if 2 * (number - 1) < states]
    pieces = (Law("piecewise", (), ((),), lambda v, w, n=number: _piecewise(v, w, n), number) for number in knots)
    bent, bends = ((-0.99, 1.0),) * 2, ((0.0, 0.0), (0.8, 0.8))
    power, powers = ((0.0, 5.0),) * 2, ((0.2, 0.2), (1.0, 1.0))
    grown, growths = ((0.0, 0.95),) * 2 + ((0.05, 20.0),) * 2, ((0.02, 0.02, 2.0, 2.0), (0.3, 0.3, 1.0, 1.0))
    return (
        Law("constant", (), ((),), lambda v, w: _scaled(v, np.ones_like(w), np.ones_like(w))),
        Law("soft", (), ((),), lambda v, w: _scaled(v, 1 - w, 1 + w)),
        Law("linear", bent, bends, lambda v, w: _scaled(v, 1 - v[2] * w, 1 + v[3] * w)),
        Law("additive", bent, bends, lambda v, w: _scaled(v, 1 - v[2] * w, 1 + v[3] * w, additive=True)),
        Law("power", power, powers, lambda v, w: _scaled(v, ((1 - w) / 2) ** v[2], ((1 + w) / 2) ** v[3])),
        Law("exponential", grown, growths, _exponential),
        *pieces,
    )


def fit(law: Law, weight: np.ndarray, counts: np.ndarray) -> Fit:
    """Return the most likely law of a family.

    Parameters
    ----------
    law : Law
    weight : ndarray, float64[n]
        Of the states, rising from -1 to 1.
    counts : ndarray, float64[2, n, n]
        How often a pulse up and one down led from each state to each.
    """
    total = float(counts.sum())
    inner = counts[:, :, 1:-1]
    step = (weight - weight[:, None])[:, 1:-1]
    # all that the likelihood of normal steps needs of a row: how many, their sum and the sum of their squares
    number, first, second = inner.sum(axis=-1), (inner * step).sum(axis=-1), (inner * step**2).sum(axis=-1)
    spacing = 2 / (len(weight) - 1)
    # outcomes in the last states begin halfway to their neighbours
    low, high = (weight[0] + weight[1]) / 2 - weight, weight - (weight[-1] + weight[-2]) / 2

    def surprise(values: np.ndarray) -> float:
        up, down, up_unit, down_unit = law.sizes(values, weight)
        mean, unit = np.stack([up, -down]), np.stack([up_unit, down_unit])
        sd = np.hypot(np.exp(values[-1]) * unit, LEAST * spacing)
        square = (second - 2 * mean * first + number * mean**2) / sd**2
        log = -0.5 * square - number * np.log(sd * np.sqrt(2 * np.pi) / spacing)
        log += counts[:, :, 0] * special.log_ndtr((low - mean) / sd)
        log += counts[:, :, -1] * special.log_ndtr((high + mean) / sd)
        return -float(log.sum()) / total

    # of all steps: a start, which the ends make a little small
    every = counts * np.abs(weight - weight[:, None])
    size = np.maximum(every.sum(axis=(1, 2)) / counts.sum(axis=(1, 2)), 1e-6)
    bounds = [(np.log(1e-7), np.log(20))] * (2 * law.knots) + [*law.bounds] + [(np.log(1e-4), np.log(100))]
    found = [
        optimize.minimize(
            surprise, np.concatenate([np.repeat(np.log(size), law.knots), start, [np.log(spread)]]), method="L-BFGS-B",
            bounds=bounds, options=PATIENCE,
        ) for start in law.starts for spread in SPREADS
    ]  # fmt: skip
    best = min(found, key=lambda one: one.fun)
    likelihood = -float(best.fun) * total
    return Fit(law, best.x, likelihood, len(best.x) * float(np.log(total)) - 2 * likelihood)


def distances(fitted: Fit, weight: np.ndarray, kernel: np.ndarray) -> dict[str, np.ndarray]:
    """Return how far each row of a kernel is from the law with its ends.

    Parameters
    ----------
    fitted : Fit
    weight : ndarray, float64[n]
        Of the states, rising from -1 to 1.
    kernel : ndarray, float64[2, n, n]
        Of the pulse up and the pulse down.

    Returns
    -------
    dict of ndarray, float64[2, n]
        ``mean_card``, ``mean_law``, ``sd_card``, ``sd_law``: of the step, in weights. ``wasserstein``: mean distance
        between outcomes of equal rank, over the range of 2. ``total_variation``: with outcomes of the law put into the
        nearest state.
    """
    rank = (np.arange(GRID) + 0.5) / GRID
    mean, sd = fitted.moments(weight)
    shape = mean.shape
    found = {name: np.zeros(shape) for name in (
        "mean_card", "mean_law", "sd_card", "sd_law", "wasserstein", "total_variation",
    )}  # fmt: skip
    normal = special.ndtri(rank)
    edges = np.concatenate([[-np.inf], (weight[1:] + weight[:-1]) / 2, [np.inf]])
    for way, state in np.ndindex(shape):
        row, at = kernel[way, state], (way, state)
        of_law = np.clip(weight[state] + mean[at] + sd[at] * normal, -1, 1)
        # rounding may leave the last sum below the last rank
        of_card = weight[np.minimum(np.searchsorted(np.cumsum(row), rank), len(weight) - 1)]
        found["mean_law"][at], found["sd_law"][at] = of_law.mean() - weight[state], of_law.std()
        found["mean_card"][at] = centre = row @ weight - weight[state]
        found["sd_card"][at] = np.sqrt(max(row @ (weight - weight[state] - centre) ** 2, 0))
        found["wasserstein"][at] = np.abs(of_law - of_card).mean() / 2
        share = np.diff(special.ndtr((edges - weight[state] - mean[at]) / max(sd[at], 1e-12)))
        found["total_variation"][at] = 0.5 * np.abs(share - row).sum()
    return found
