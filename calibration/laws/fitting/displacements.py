"""Writes as displacements in a device's coordinate, and how their distribution is fitted.

The writes are independent; the information is the observed one, minus the second derivatives of the log-likelihood.
The fit is tested by Pearson's statistic of F(after | before), uniform if the law holds, in 2 n^(2/5) equal cells (Mann
and Wald, Ann. Math. Stat. 13, 306 (1942)). Two degrees of freedom go for location and scale, to which the distribution
of F adapts; a slope changes it in second order only.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

import numpy as np
import scipy

from calibration.laws.fitting.likelihood import Fit, finish
from calibration.laws.fitting.scales import Parameter, Scale
from calibration.laws.fitting.search import Problem
from spinloom.errors import UserError
from spinloom.streams import generator

ENDS = ("truncate", "clip")


@dataclass(frozen=True)
class Displacements:
    """Writes with one pulse.

    Attributes
    ----------
    before, after : ndarray, float64[n]
        Coordinate before and after the write; ``before`` NaN throughout for a device that was reset.
    low, high : float
        Ends of the coordinate.
    ends : {"truncate", "clip"}
        What happens at the ends. ``truncate``: nothing accumulates there, the distribution is that of what stayed
        inside (a wall that is repelled by, or lost at, the track's ends). ``clip``: what would go beyond stays on the
        end (a conductance that saturates).
    """

    before: np.ndarray
    after: np.ndarray
    low: float
    high: float
    ends: str = "truncate"

    @property
    def reset(self) -> bool:
        """Whether the device was reset before every write."""
        return bool(np.isnan(self.before).all())

    def take(self, chosen: np.ndarray) -> Displacements:
        """Return the chosen writes, bool[n]."""
        return Displacements(self.before[chosen], self.after[chosen], self.low, self.high, self.ends)


def check(data: Displacements, where: str) -> Displacements:
    """Return ``data`` as float arrays.

    Raises
    ------
    UserError
        If a value is impossible.
    """
    before, after = np.asarray(data.before, float), np.asarray(data.after, float)
    if data.ends not in ENDS:
        raise UserError(f"{where}: ends: found {data.ends!r}, allowed: {', '.join(ENDS)}")
    if not data.low < data.high:
        raise UserError(f"{where}: bounds: found {data.low:g}..{data.high:g}, allowed: low < high")
    if before.shape != after.shape or not len(after):
        raise UserError(
            f"{where}: before, after: found {before.size} and {after.size} values, allowed: equally many > 0"
        )
    for name, values in (("before", before), ("after", after)):
        if name == "before" and np.isnan(values).all():
            continue
        bad = ~((values >= data.low) & (values <= data.high))
        if bad.any():
            raise UserError(f"{where}: {name}: found {values[bad][0]:g}, allowed: {data.low:g}..{data.high:g}")
    return Displacements(before, after, float(data.low), float(data.high), data.ends)


def fit(law: ModuleType, data: Displacements, where: str, fixed: dict[str, float | None] | None = None) -> Fit:
    """Fit the law of module ``law``; arguments and errors as in `laws.fit`."""
    data = check(data, where)
    size = data.high - data.low
    parameters, held = law.parameters_for(data, fixed or {}, where)
    names = [parameter.name for parameter in parameters]
    scale = Scale(
        tuple(
            Parameter(p.name, "identity", -1e3 * size, 1e3 * size, step=size)
            if p.kind == "identity" and p.name != "shift_slope"
            else Parameter(p.name, p.kind, 1e-9 * size, 1e2 * size) if p.kind == "log" else p
            for p in parameters
        )
    )  # fmt: skip

    def log_density(values: np.ndarray) -> np.ndarray:
        return law.log_density(dict(zip(names, values)), data)

    def goodness(values: np.ndarray, fitted: int) -> dict:
        share = law.share_below(dict(zip(names, values)), data, generator(0, "share below, on the ends"))
        adapted = min(fitted, 2)
        cells = max(int(2 * len(share) ** 0.4), adapted + 2)
        test = scipy.stats.chisquare(np.histogram(share, cells, (0, 1))[0], ddof=adapted)
        return {
            "test": "pearson_chi2",
            "statistic": float(test.statistic),
            "dof": cells - 1 - adapted,
            "p_value": float(test.pvalue),
        }

    starts = [np.array([{**guess, **held}[name] for name in names]) for guess in law.starts(data, held)]
    problem = Problem(law.NAME, where, scale, log_density, np.ones(len(data.after)), held, law.HINT)
    conditions = {"bounds": [data.low, data.high], "ends": data.ends, "reset": data.reset}
    return finish(problem, starts, goodness, conditions)


def log_likelihood(law: ModuleType, parameters: dict[str, float], data: Displacements, where: str = "data") -> float:
    """Return the log-likelihood (of densities per unit of the coordinate) under given parameters."""
    return float(np.maximum(law.log_density(parameters, check(data, where)), -1e3).sum())


def split(data: Displacements, folds: int, rng: np.random.Generator) -> list[tuple[Displacements, Displacements]]:
    """Return (rest, fold) for each of ``folds`` random parts of the writes."""
    fold = rng.permutation(len(data.after)) % folds
    return [(data.take(fold != one), data.take(fold == one)) for one in range(folds)]
