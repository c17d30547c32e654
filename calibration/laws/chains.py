"""Counts of transitions after known exposures, and how any law of the transition matrix is fitted to them.

An exposure is a duration (s) or a number of pulses. Rows of counts are multinomial and independent,

    log L = sum over exposures, from, to of  n_ij(t) log P_ij(t),

(Kalbfleisch and Lawless, J. Am. Stat. Assoc. 80, 863 (1985), for panel data), and the information is the expected one.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

import numpy as np
from scipy import linalg
from threadpoolctl import ThreadpoolController

from calibration.laws.fitting import Fit, Problem, finish, pearson
from calibration.laws.scales import Scale
from spinloom.errors import UserError

# exponentials of a few states: a second thread of the linear algebra would wait longer than it works
THREADS = ThreadpoolController()


@dataclass(frozen=True)
class Chain:
    """Counted transitions of one device under one drive.

    Attributes
    ----------
    counts : ndarray, int64[exposures, S, S]
        Writes by exposure, state before, state after.
    exposure : ndarray, float64[exposures]
        Duration in s (``ctmc``, ``birth_death``) or number of pulses (``banded``).
    """

    counts: np.ndarray
    exposure: np.ndarray


def check(data: Chain, where: str, whole: bool) -> Chain:
    """Return ``data`` as arrays; ``whole``: exposures are numbers of pulses.

    Raises
    ------
    UserError
        If a value is impossible.
    """
    counts, exposure = np.asarray(data.counts), np.atleast_1d(np.asarray(data.exposure, float))
    if counts.ndim == 2:
        counts = counts[None]
    shape = "x".join(map(str, counts.shape))
    if counts.ndim != 3 or counts.shape[1] != counts.shape[2] or counts.shape[1] < 2:
        raise UserError(f"{where}: counts: found an array {shape}, allowed: exposures x S x S with S >= 2")
    if exposure.shape != counts.shape[:1]:
        raise UserError(f"{where}: exposure: found {exposure.size} values, allowed: {len(counts)}, one per matrix")
    bad = ~np.isfinite(exposure) | (exposure <= 0) | (whole & (exposure != np.round(exposure)))
    if bad.any():
        kind = "an integer >= 1" if whole else "a number > 0"
        raise UserError(f"{where}: exposure: found {exposure[bad][0]:g}, allowed: {kind}")
    if np.any(counts < 0) or np.any(counts != np.round(counts)):
        raise UserError(
            f"{where}: counts: found {counts[(counts < 0) | (counts != np.round(counts))][0]:g}, allowed: integers >= 0"
        )
    empty = counts.sum(axis=(0, 2)) == 0
    if empty.any():
        raise UserError(
            f"{where}: counts: found no write from state {int(np.argmax(empty))}, allowed: 1 or more per state"
        )
    return Chain(counts.astype(np.int64), exposure)


def fit(law: ModuleType, data: Chain, where: str, fixed: dict[str, float | None] | None = None, **options: int) -> Fit:
    """Fit the law of module ``law``; arguments and errors as in `laws.fit`.

    ``options``: ``bandwidth`` for ``banded``, the largest change of state in one pulse (default 1).
    """
    data = check(data, where, law.WHOLE)
    parameters = law.parameters_for(data, where, **options)
    names = [parameter.name for parameter in parameters]
    unknown = set(fixed or {}) - set(names)
    if unknown:
        raise UserError(f"{where}: law {law.NAME}: found parameter {sorted(unknown)[0]}, allowed: {', '.join(names)}")
    held = {name: value for name, value in (fixed or {}).items() if value is not None}
    states = data.counts.shape[1]
    counts = data.counts.reshape(-1, states)

    def log_cells(values: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore"):
            return np.log(np.maximum(_matrices(law, dict(zip(names, values)), data), 1e-300)).reshape(-1, states)

    def goodness(values: np.ndarray, fitted: int) -> dict:
        return pearson(counts, np.exp(log_cells(values)), fitted)

    starts = [np.array([{**guess, **held}[name] for name in names]) for guess in law.starts(data, parameters)]
    problem = Problem(law.NAME, where, Scale(parameters), log_cells, counts, held, law.HINT)
    unit = "pulses" if law.WHOLE else "duration_s"
    conditions = {unit: [float(data.exposure.min()), float(data.exposure.max())], "states": states, **options}
    return finish(problem, starts, goodness, conditions)


def _matrices(law: ModuleType, parameters: dict[str, float], data: Chain) -> np.ndarray:
    return np.stack([law.matrix(parameters, exposure) for exposure in data.exposure])


def log_likelihood(law: ModuleType, parameters: dict[str, float], data: Chain, where: str = "data") -> float:
    """Return the log-likelihood under given parameters (multinomial coefficients left out)."""
    with np.errstate(divide="ignore"):
        log_p = np.maximum(np.log(np.maximum(_matrices(law, parameters, data), 0.0)), -1e3)
    return float(np.sum(data.counts * log_p))


def split(data: Chain, folds: int, rng: np.random.Generator) -> list[tuple[Chain, Chain]]:
    """Return (rest, fold) for each of ``folds`` random parts of the single writes."""
    counts = np.asarray(data.counts)
    cell = rng.permutation(np.repeat(np.arange(counts.size), counts.ravel()))
    fold = np.arange(len(cell)) % folds

    def part(chosen: np.ndarray) -> Chain:
        return Chain(np.bincount(cell[chosen], minlength=counts.size).reshape(counts.shape), data.exposure)

    return [(part(fold != one), part(fold == one)) for one in range(folds)]


def exponential(matrix: np.ndarray) -> np.ndarray:
    """Return exp of ``matrix``, float64[S, S]."""
    with THREADS.limit(limits=1, user_api="blas"):
        return linalg.expm(matrix)


def states_of(parameters: dict[str, float]) -> int:
    """Return the number of states that a fit's parameter names speak of: the numbers in the names are states."""
    numbers = [int(word) for name in parameters for word in name.split("_") if word.isdigit()]
    return max(numbers) + 1


def shares(data: Chain) -> tuple[np.ndarray, float]:
    """Return the matrix of the shares seen at the shortest exposure that wrote from all states, and that exposure."""
    full = [k for k in np.argsort(data.exposure) if data.counts[k].sum(axis=1).min() > 0]
    counts = data.counts[full[0]] if full else data.counts.sum(axis=0)
    counts = counts + 0.5 / len(counts)
    exposure = data.exposure[full[0]] if full else data.exposure.mean()
    return counts / counts.sum(axis=1, keepdims=True), float(exposure)
