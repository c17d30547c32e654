"""What a cheap form of a study is worth: what it costs, how it ranks points, and what it says of the next form."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy import stats

from spinloom.errors import UserError
from workflow.design.space import Space
from workflow.study.planning import Plan

LEAST = 6  # points made at both fidelities before the cheap one is trusted
LEAST_SHARE = 0.25  # of a generation that goes on, however good the cheap one is
Z = 1.2816  # of the 80 % interval whose lower end decides


def check(space: Space) -> None:
    """Refuse a fidelity that takes more work than the next one, in the study as it stands.

    Fidelities of different engines are not compared, because nothing is known of an engine's speed before it runs.

    Raises
    ------
    UserError
        Naming the fidelity.
    """
    plans = [space.planner.plan(space.config(space.design.fidelities.get(level, {}))) for level in space.levels]
    for level, after, cheap, dear in zip(space.levels, space.levels[1:], plans, plans[1:], strict=False):
        if _engines(cheap) != _engines(dear):
            continue
        work = {"training": (_trained(cheap), _trained(dear)), "simulations": (_simulated(cheap), _simulated(dear))}
        more = {what: (own, other) for what, (own, other) in work.items() if own > other}
        if more and all(own >= other for own, other in work.values()):
            told = " and ".join(
                f"{own / other:.3g} times the {what}" if other else f"more {what} than those"
                for what, (own, other) in more.items()
            )
            raise UserError(
                f"design.fidelities.{level}: found {told} of {after}, allowed: a cheaper form of the study, the "
                "cheapest first"
            )


def _engines(plan: Plan) -> set[str]:
    return {chunk.work for chunk in plan.chunks}


def _simulated(plan: Plan) -> float:
    return sum(chunk.cell_steps for chunk in plan.chunks)


def _trained(plan: Plan) -> float:
    """Return the work of all trainings; 0 of a data set whose size is not known yet."""
    return sum(one.seeds * one.work(one.learned or 0) for one in plan.trained)


class Agreement(NamedTuple):
    """Spearman's rank correlation of an objective at two fidelities, its 80 % interval and the number of points."""

    rho: float
    low: float
    high: float
    points: int


def agreement(cheap: np.ndarray, dear: np.ndarray) -> Agreement:
    """Return how alike two fidelities rank the points that both have seen, float[points] each.

    The interval is Fisher's, with the standard error of Bonett and Wright, Psychometrika 65, 23 (2000). With fewer than
    four points, or where one of them does not vary, nothing is known: the correlation is NaN.
    """
    n = len(cheap)
    if n < 4 or np.ptp(cheap) == 0 or np.ptp(dear) == 0:
        return Agreement(math.nan, -1.0, 1.0, n)
    rho = float(stats.spearmanr(cheap, dear).statistic)
    centre, half = math.atanh(min(max(rho, -0.999999), 0.999999)), Z * math.sqrt((1 + rho**2 / 2) / (n - 3))
    return Agreement(rho, math.tanh(centre - half), math.tanh(centre + half), n)


def share(cheap: np.ndarray, dear: np.ndarray) -> float:
    """Return the share of a generation that goes on to the dear fidelity, by what the cheap one was worth so far.

    Parameters
    ----------
    cheap, dear : ndarray, float[points, objectives]
        Of the points that both have seen.

    Returns
    -------
    float
        1 less the lower end of the interval of the correlation, of the objective that is ranked worst; all until
        `LEAST` points are known, and at least `LEAST_SHARE`.
    """
    if len(cheap) < LEAST:
        return 1.0
    lows = [agreement(a, b).low for a, b in zip(np.transpose(cheap), np.transpose(dear), strict=True)]
    return min(max(1 - min(lows), LEAST_SHARE), 1.0)


def predicted(cheap: np.ndarray, dear: np.ndarray, value: float) -> float:
    """Return what a cheap value says of the dear one: by the line through the points that both have seen.

    ``cheap`` and ``dear`` are float[points]. A line that would turn the ranking round is level.
    """
    if len(cheap) < 2 or np.ptp(cheap) == 0:
        return float(np.mean(dear)) if len(dear) else float(value)
    slope = max(float(np.cov(cheap, dear)[0, 1] / np.var(cheap, ddof=1)), 0.0)
    return float(np.mean(dear) + slope * (value - np.mean(cheap)))
