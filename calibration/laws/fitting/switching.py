"""Counts of switched writes, and how any law P(switch) is fitted to them.

Data are a table with one row per condition: the law's axes (voltage_V, duration_s, temperature_K; or drive), ``writes``
and ``switched``. Voltages count positive in the direction that switches. Rows are binomial and independent,

    log L = sum over rows of  k log P + (n - k) log(1 - P),

and the information is the expected one, sum n P'P'^T / (P (1 - P)) (McCullagh and Nelder, Generalized Linear Models,
section 4.4).
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np
import pandas as pd

from calibration.laws.fitting.likelihood import DROP, Fit, finish, joined, pearson
from calibration.laws.fitting.scales import Parameter, Scale
from calibration.laws.fitting.search import Problem
from spinloom.errors import UserError

PULSE_AXES = ("voltage_V", "duration_s", "temperature_K")
CLIP = 500.0  # largest exponent; e^500 does not overflow and is beyond all data


def check(law: ModuleType, data: pd.DataFrame, where: str) -> pd.DataFrame:
    """Return ``data`` as one row per condition, sorted.

    Raises
    ------
    UserError
        If a column is missing or a value impossible.
    """
    axes = law.AXES
    # a law without temperature also describes writes at 0 K
    above_0 = ("duration_s", "temperature_K") if law.THERMAL else ("duration_s",)
    for column in (*axes, "writes", "switched"):
        if column not in data:
            raise UserError(f"{where}: {column}: found no such column, allowed: {', '.join(axes)}, writes, switched")
        values = pd.to_numeric(data[column], errors="coerce").to_numpy(float)
        positive = column in above_0
        bad = ~np.isfinite(values) | (positive & (values <= 0))
        if column in ("writes", "switched"):
            bad |= (values < 0) | (values != np.round(values))
        if bad.any():
            allowed = (
                "a number > 0" if positive else "an integer >= 0" if column in ("writes", "switched") else "a number"
            )
            raise UserError(f"{where}: {column}: found {data[column].iloc[int(np.argmax(bad))]}, allowed: {allowed}")
    if (data["switched"] > data["writes"]).any():
        row = data[data["switched"] > data["writes"]].iloc[0]
        raise UserError(f"{where}: switched: found {row['switched']:g} of {row['writes']:g} writes, allowed: 0..writes")
    table = data.groupby(list(axes), as_index=False)[["writes", "switched"]].sum()
    table = table[table["writes"] > 0]
    if table.empty:
        raise UserError(f"{where}: writes: found 0 in all, allowed: 1 or more")
    return table.astype({axis: float for axis in axes}).reset_index(drop=True)


def fit(law: ModuleType, data: pd.DataFrame, where: str, fixed: dict[str, float | None] | None = None) -> Fit:
    """Fit the law of module ``law``.

    Parameters
    ----------
    law : module
        With ``NAME``, ``AXES``, ``PARAMETERS``, ``FIXED``, ``THERMAL``, ``HINT``, ``log_probabilities`` and ``starts``;
        where it applies ``USUAL``, name -> values that a parameter is held at, the first that the data do not
        contradict (a log-likelihood that is lower by ln 20); it is free if they contradict all.
    data : DataFrame
        Columns as told in this module.
    where : str
        File that errors name.
    fixed : dict
        Parameters held at a value, over the law's own ``FIXED``; None sets one free.

    Raises
    ------
    UserError
        If the data are impossible or do not tell a parameter.
    """
    names = [parameter.name for parameter in law.PARAMETERS]
    unknown = set(fixed or {}) - set(names)
    if unknown:
        raise UserError(f"{where}: law {law.NAME}: found parameter {sorted(unknown)[0]}, allowed: {', '.join(names)}")
    held = {name: value for name, value in {**law.FIXED, **(fixed or {})}.items() if value is not None}
    data = check(law, data, where)
    usual = {name: values for name, values in getattr(law, "USUAL", {}).items() if name not in (fixed or {})}
    if not usual:
        return _fit(law, data, where, held)
    kept = [_fit(law, data, where, {**held, **dict(zip(usual, values))}) for values in zip(*usual.values())]
    try:
        kept.append(_fit(law, data, where, held))
    except UserError:
        pass  # the writes do not tell it, which is what the usual values are for
    enough = max(one.log_likelihood for one in kept) - DROP
    return next(one for one in kept if one.log_likelihood >= enough)


def _fit(law: ModuleType, data: pd.DataFrame, where: str, held: dict[str, float]) -> Fit:
    names = [parameter.name for parameter in law.PARAMETERS]
    axes = [data[axis].to_numpy() for axis in law.AXES]
    span = max(float(np.ptp(axes[0])), 1e-3 * float(np.abs(axes[0]).max()), 1e-30)
    scale = Scale(
        tuple(
            # a threshold far outside of what was driven could not be told from any other
            Parameter(p.name, p.kind, axes[0].min() - 10 * span, axes[0].max() + 10 * span, step=span)
            if p.kind == "identity"
            else p
            for p in law.PARAMETERS
        )
    )
    counts = np.column_stack([data["switched"], data["writes"] - data["switched"]]).astype(np.int64)

    def log_cells(values: np.ndarray) -> np.ndarray:
        return np.column_stack(law.log_probabilities(dict(zip(names, values)), *axes))

    def goodness(values: np.ndarray, fitted: int) -> dict:
        return pearson(*joined(counts, np.exp(log_cells(values))), fitted)

    shares = (data["switched"].to_numpy() + 0.5) / (data["writes"].to_numpy() + 1)
    guesses = [{**guess, **held} for guess in law.starts(shares, data["writes"].to_numpy(float), *axes, held)]
    starts = [np.array([guess[name] for name in names], float) for guess in guesses]
    problem = Problem(law.NAME, where, scale, log_cells, counts, held, law.HINT)
    ranges = {axis: [float(values.min()), float(values.max())] for axis, values in zip(law.AXES, axes)}
    return finish(problem, starts, goodness, ranges)


def log_likelihood(law: ModuleType, parameters: dict[str, float], data: pd.DataFrame, where: str = "data") -> float:
    """Return the log-likelihood of ``data`` under given parameters (binomial coefficients left out)."""
    data = check(law, data, where)
    yes, no = law.log_probabilities(parameters, *(data[axis].to_numpy() for axis in law.AXES))
    # a write that the law holds for impossible must not make all comparisons meaningless
    yes, no = np.maximum(yes, -1e3), np.maximum(no, -1e3)
    return float(np.sum(data["switched"] * yes + (data["writes"] - data["switched"]) * no))


def split(data: pd.DataFrame, folds: int, rng: np.random.Generator) -> list[tuple[pd.DataFrame, pd.DataFrame]]:
    """Return (rest, fold) for each of ``folds`` random parts of the single writes."""
    data = data.reset_index(drop=True)
    switched = rng.permuted(np.arange(len(data)).repeat(data["switched"]))
    stayed = rng.permuted(np.arange(len(data)).repeat(data["writes"] - data["switched"]))
    row, outcome = np.concatenate([switched, stayed]), np.repeat([1, 0], [len(switched), len(stayed)])
    fold = np.arange(len(row)) % folds

    def table(chosen: np.ndarray) -> pd.DataFrame:
        writes = np.bincount(row[chosen], minlength=len(data))
        hits = np.bincount(row[chosen], outcome[chosen], minlength=len(data)).astype(np.int64)
        return data.assign(writes=writes, switched=hits)

    return [(table(fold != one), table(fold == one)) for one in range(folds)]


def chances(log_ratio: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return ln P and ln(1 - P) of P = 1 - exp(-t / tau) for ``log_ratio`` = ln(t / tau), float64[n]."""
    stay = -np.exp(np.clip(log_ratio, -CLIP, CLIP))
    with np.errstate(divide="ignore"):
        # ln(1 - e^-x) = ln x for tiny x, where the difference would be 0
        return np.where(log_ratio < -30, log_ratio, np.log(-np.expm1(np.minimum(stay, -1e-14)))), stay


def activated(log_time: Callable[..., np.ndarray]) -> tuple[Callable[..., np.ndarray], Callable[..., tuple]]:
    """Return ``probability`` and ``log_probabilities`` of a law P = 1 - exp(-t / tau), from its ln(tau / 1 s).

    Parameters
    ----------
    log_time : callable
        ``log_time(parameters, voltage_V, temperature_K)``, numbers or float64[n]; V counts positive in the direction
        that switches, T > 0.
    """

    def probability(parameters: dict[str, float], voltage_V, duration_s, temperature_K=300.0):
        """Return P(switch)."""
        return -np.expm1(-duration_s * np.exp(-log_time(parameters, voltage_V, temperature_K)))

    def log_probabilities(parameters: dict[str, float], voltage_V, duration_s, temperature_K):
        """Return ln P and ln(1 - P)."""
        return chances(np.log(duration_s) - log_time(parameters, voltage_V, temperature_K))

    return probability, log_probabilities


def line(rows: list[np.ndarray], target: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return weighted least-squares coefficients of ``target`` on ``rows``; start values only.

    Parameters
    ----------
    rows : list of ndarray, float64[n]
        One per coefficient.
    target, weight : ndarray, float64[n]

    Returns
    -------
    ndarray, float64[len(rows)]
    """
    root = np.sqrt(weight)
    return np.linalg.lstsq(np.column_stack(rows) * root[:, None], target * root, rcond=None)[0]
