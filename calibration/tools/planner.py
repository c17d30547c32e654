"""How many more writes, replicas or devices a card needs until its probabilities are known well enough."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table
from scipy import optimize, special

from calibration.card import KernelCard
from calibration.counting.estimator import posterior
from calibration.counting.states import assign_states
from spinloom.errors import UserError
from spinloom.quantities import PULSE

# what may tell a pulse from the others in device_sims.sweep.replicas
MATCHED = ("direction", *(name for name in PULSE if name != "temperature_K"))
LEAST_WIDTH = 1e-4  # 1e8 writes; beyond it the quantiles of the intervals cannot be computed
MOST_NARROW = 1000.0
MOST_COUNT = 100_000  # replicas of a pulse, or devices, of a study
MOST_RATIO = 2.0  # replicas are asked for as long as they cost no more than this many times the writes of new devices


def plan(card: KernelCard, width: float, starts: int = 1, narrow: float | None = None) -> pd.DataFrame:
    """Return what each row of the kernel needs until its widest interval has the half-width ``width``.

    The prediction is the posterior's own: with N independent writes more or less, the row's probabilities being what
    they are now, the interval of each is that of Beta(p (N + K a), (1 - p) (N + K a)).

    Where devices differ (posterior.pooling instances), N writes are worth N / design effect. More replicas on the same
    I devices raise the design effect 1 + (N/I - 1) rho, and no number of them is worth more than I / rho independent
    writes. If replicas would need more than `MOST_RATIO` times the writes that new devices need, new devices are
    advised.

    Parameters
    ----------
    card : KernelCard
    width : float
        Wanted half-width of the intervals, `LEAST_WIDTH` or more and less than 0.5.
    starts : int
        Start positions from which each pulse is simulated on each device; 1 if each write begins with a reset.
    narrow : float or None
        If given, ``width`` does not matter: each row's interval shall be this many times narrower than it is now, and
        with it all that rests on the row.

    Returns
    -------
    DataFrame
        One row per (pulse, state_from) that rests on counts, or that nobody wrote (``state_from`` 0 alone if rows
        repeat):
        ``writes``, ``half_width`` now (largest over the states after), ``independent_writes`` now and
        ``independent_writes_needed``, ``more_writes`` on the advised way, ``share`` of the pulse's writes that begin
        in the state, ``more_replicas`` (per instance and start, at that share; NaN where none begin there or no number
        suffices), ``more_instances`` (written as often as the present ones), ``advice`` (enough,
        replicas, instances, or start: nobody wrote from this state) and ``half_width_after``.

    Raises
    ------
    UserError
        If ``width`` or ``narrow`` is impossible, the card has no interval, or no row has counts.
    """
    if narrow is None and not LEAST_WIDTH <= width < 0.5:
        raise UserError(f"plan: width: found {width:g}, allowed: a half-width from {LEAST_WIDTH:g} to less than 0.5")
    if narrow is not None and not 1 < narrow <= MOST_NARROW:
        raise UserError(f"plan: narrow: found {narrow:g}, allowed: more than 1 and at most {MOST_NARROW:g}")
    where, size = f"card {card.meta.name}", len(card.states)
    if not card.transitions["count"].any():
        raise UserError(f"{where}: this card has no counted writes; nothing to plan")
    mass, pseudocount = _beliefs(card, where)
    shape = card.kernel.shape
    basis = card.transitions["basis"].to_numpy().reshape(shape)[..., 0]
    counts = card.transitions["count"].to_numpy().reshape(shape)
    effective = card.transitions["effective_count"].to_numpy().reshape(shape)
    instances = max(1, len(card.population))
    rows = []
    for pulse, start in np.ndindex(shape[:2]):
        if (card.rows_repeat and start > 0) or not (basis[pulse, start] == "counts" or not counts[pulse, start].any()):
            continue
        writes, worth = int(counts[pulse, start].sum()), float(effective[pulse, start].sum())
        of_pulse = int(counts[pulse, 0 if card.rows_repeat else slice(None)].sum())
        # nobody wrote this row: the prior is all that is known, and what the card assumes is no reason to write less
        known = worth > 0 and basis[pulse, start] == "counts"
        row = effective[pulse, start] if known else np.zeros(size)
        mean, low, high = posterior(row, pseudocount, mass, where)
        now = float((high - low).max() / 2)
        goal = width if narrow is None else max(LEAST_WIDTH, now / narrow)
        rows.append(
            {
                "pulse": pulse,
                "state_from": start,
                "writes": writes,
                "half_width": now,
                "independent_writes": worth,
                "share": writes / of_pulse if of_pulse else 0.0,
                **_need(mean, goal, size * pseudocount, mass, writes, worth, instances, of_pulse / instances / starts),
            }
        )
    order = ["pulse", "state_from", "writes", "half_width", "half_width_after", "independent_writes"]
    order += ["independent_writes_needed", "more_writes", "share", "more_replicas", "more_instances", "advice"]
    return pd.DataFrame(rows)[order]


def half_width(mean: np.ndarray, total: float, mass: float) -> float:
    """Return the largest half-width of the intervals of a Dirichlet distribution.

    Parameters
    ----------
    mean : ndarray, float64[states]
        Probabilities.
    total : float
        Sum of its parameters: independent writes and pseudocounts.
    mass : float
        Of the equal-tailed intervals.
    """
    tail, inside = (1 - mass) / 2, mean[(mean > 0) & (mean < 1)]
    if not len(inside):
        return 0.0
    low, high = (special.betaincinv(inside * total, (1 - inside) * total, share) for share in (tail, 1 - tail))
    return float((high - low).max() / 2)


def _needed(mean: np.ndarray, width: float, prior: float, mass: float) -> float:
    """Return the independent writes with which the half-width is ``width``; 0 if the prior alone is as narrow."""

    def excess(log_total: float) -> float:
        return half_width(mean, math.exp(log_total), mass) - width

    low, high = math.log(prior), math.log(prior + 2 / width**2 * special.ndtri(0.5 + mass / 2) ** 2)
    if excess(low) <= 0:
        return 0.0
    return max(0.0, math.exp(optimize.brentq(excess, low, high, xtol=1e-6)) - prior)


def _need(mean, width, prior, mass, writes, worth, instances, replicas) -> dict[str, Any]:
    needed = _needed(mean, width, prior, mass)
    nothing = {"independent_writes_needed": needed, "more_writes": 0, "more_replicas": 0.0, "more_instances": 0}
    if writes and worth >= needed * (1 - 1e-6):
        return {**nothing, "advice": "enough", "half_width_after": half_width(mean, worth + prior, mass)}
    if not writes:
        after = half_width(mean, math.ceil(needed) + prior, mass)
        start = {"more_writes": math.ceil(needed), "more_replicas": np.nan, "advice": "start"}
        return {**nothing, **start, "half_width_after": after}
    effect, each = writes / worth, writes / instances
    rho = min(1.0, max(0.0, (effect - 1) / (each - 1))) if each > 1 else 0.0
    # N / (1 + (N/I - 1) rho) = needed, solved for N
    left = 1 - needed * rho / instances
    by_replicas = math.ceil(needed * (1 - rho) / left) if left > 0 else math.inf
    by_instances = math.ceil(needed * effect)
    more_instances = math.ceil(by_instances / each) - instances
    if by_replicas > MOST_RATIO * by_instances:
        advice, total = "instances", (instances + more_instances) * each
        reached = total / effect
    else:
        advice, total = "replicas", by_replicas
        reached = total / (1 + (total / instances - 1) * rho)
    # a replica on each device gives as many writes from this state as the ones before did
    more_replicas = math.ceil((by_replicas - writes) / (writes / replicas)) if math.isfinite(by_replicas) else np.nan
    return {
        "independent_writes_needed": needed,
        "more_writes": math.ceil(total) - writes,
        "more_replicas": float(more_replicas),
        "more_instances": max(0, more_instances),
        "advice": advice,
        "half_width_after": half_width(mean, reached + prior, mass),
    }


def sweep(
    table: pd.DataFrame, card: KernelCard, section: dict, pulses: pd.DataFrame, started: pd.DataFrame | None = None
) -> dict[str, Any]:
    """Return the change of the study's config that carries out a plan, to be laid over it.

    Rows that need replicas become entries of ``device_sims.sweep.replicas``, which raise the replicas of the pulses
    that have their values, to full blocks of ``replicas_per_chunk`` (of the replicas there are, if it is null), so that
    no finished write is simulated again; rows that need devices raise ``sweep.instances``. Rows that cannot be written
    from, because the sweep has no start positions, are left as they are.
    If walls are written from where they are, an entry names a start position whose writes begin, on average, in the
    row's state: all of its writes then count, whatever the share in the plan. If there is none, the replicas of all
    starts are raised at the present share.

    Parameters
    ----------
    table : DataFrame
        From `plan`.
    card : KernelCard
        Made from this sweep.
    section : dict
        ``device_sims`` of the study's config.
    pulses : DataFrame
        The card's pulses, of which the columns that the device stage's ``pulses.csv`` has too.
    started : DataFrame or None
        The sweep's writes, if they begin at several positions: columns ``nominal_start_m`` and ``start_position_m``
        (where the wall was when the pulse began).

    Returns
    -------
    dict
        ``{"device_sims": {"sweep": {...}}}``; the sweep is empty if nothing is needed.

    Raises
    ------
    UserError
        If no start position leads into a state that nobody wrote from, the card is not of a simulation, or a study
        cannot have that many replicas or devices.
    """
    check_plan(card)
    swept, starts = section["sweep"], _starts(card, started)
    # in blocks of what is finished, which the larger sweep then keeps
    block = swept["replicas_per_chunk"] or swept["replicas_per_instance"]
    chosen = [dict(old) for old in swept["replicas"]]
    instances, columns = max(1, len(card.population)), _told_by(pulses)
    entries: dict[tuple, int] = {}
    more_instances = 0
    for row in table.to_dict("records"):
        if row["advice"] == "instances":
            more_instances = max(more_instances, int(row["more_instances"]))
        if row["advice"] not in ("replicas", "start") or (row["advice"] == "start" and starts is None):
            continue
        pulse = {column: _plain(pulses[column].iloc[row["pulse"]]) for column in columns}
        own = [] if starts is None else sorted(starts.index[starts == row["state_from"]])
        places: list[dict] = [{**pulse, "nominal_start_m": float(position)} for position in own] or [pulse]
        if own:
            extra = math.ceil(row["more_writes"] / instances / len(own))
        elif row["advice"] == "start":
            raise UserError(
                f"plan: pulse {row['pulse']}, state {row['state_from']}: found no start position whose writes begin "
                "there, allowed: one more in pulses.start_positions_m, then simulate and plan again"
            )
        else:
            extra = int(row["more_replicas"])
        for place in places:
            now = max(
                [swept["replicas_per_instance"], *(old["replicas_per_instance"] for old in _fitting(chosen, place))]
            )
            key, wanted = tuple(sorted(place.items())), block * math.ceil((now + extra) / block)
            if wanted > MOST_COUNT:
                _too_many("replicas_per_instance", wanted, table, card, (MOST_COUNT - block - now) / extra)
            entries[key] = max(entries.get(key, 0), wanted)
    change: dict[str, Any] = {}
    if more_instances:
        change["instances"] = swept["instances"] + more_instances
        if change["instances"] > MOST_COUNT:
            _too_many("instances", change["instances"], table, card, (MOST_COUNT - swept["instances"]) / more_instances)
    if () in entries:  # one pulse has no values that tell it from others
        change["replicas_per_instance"] = entries[()]
    elif entries:
        new = [{**dict(key), "replicas_per_instance": wanted} for key, wanted in sorted(entries.items(), key=repr)]
        change["replicas"] = chosen + new
    if entries:
        change["replicas_per_chunk"] = block
    return {"device_sims": {"sweep": change}}


def check_plan(card: KernelCard) -> None:
    """Check that a sweep can be written for ``card``.

    Raises
    ------
    UserError
        If it is not made of a simulation.
    """
    kind = card.meta.source.kind
    if kind != "simulated":
        raise UserError(f"card {card.meta.name}: source.kind: found {kind}, allowed for a sweep: simulated")


def _too_many(key: str, found: int, table: pd.DataFrame, card: KernelCard, share: float) -> None:
    """Raise the error that names the half-width which a ``share`` of the additional writes gives."""
    size, kernel, would_do = len(card.states), card.kernel, 0.0
    mass, pseudocount = _beliefs(card, "card")
    effective = card.transitions["effective_count"].to_numpy().reshape(kernel.shape)
    for row in table[table["advice"] != "enough"].to_dict("records"):
        # what writes are worth rises ever more slowly with their number, so the share of it is not less than this
        worth = row["independent_writes"] + max(0.0, share) * (
            row["independent_writes_needed"] - row["independent_writes"]
        )
        known = effective[row["pulse"], row["state_from"]] if row["independent_writes"] else np.zeros(size)
        mean, _, _ = posterior(known, pseudocount, mass)
        would_do = max(would_do, half_width(mean, worth + size * pseudocount, mass))
    # two digits, rounded up
    step = 10.0 ** (math.floor(math.log10(would_do)) - 1)
    raise UserError(
        f"plan: device_sims.sweep.{key}: found a need of {found}, allowed: {MOST_COUNT} at most; a half-width of "
        f"{math.ceil(would_do / step) * step:.2g} would do"
    )


def _beliefs(card: KernelCard, where: str) -> tuple[float, float]:
    """Return the mass of the card's intervals and its pseudocount."""
    told = card.meta.posterior
    if told.interval is None or told.pseudocount is None:
        missing = "interval" if told.interval is None else "pseudocount"
        raise UserError(f"{where}: key posterior.{missing} is missing")
    return told.interval, told.pseudocount


def _starts(card: KernelCard, started: pd.DataFrame | None) -> pd.Series | None:
    """Return the state that the writes of each nominal start begin in on average; None if it does not matter."""
    if card.rows_repeat or started is None:
        return None
    mean = started.groupby("nominal_start_m")["start_position_m"].mean()
    edges = np.array(card.meta.states.edges, dtype=float)
    return pd.Series(assign_states(mean.to_numpy(), edges), index=mean.index)


def _told_by(pulses: pd.DataFrame) -> list[str]:
    """Return the columns in which the pulses differ; they name a pulse among the others."""
    return [name for name in MATCHED if name in pulses and pulses[name].notna().all() and pulses[name].nunique() > 1]


def _plain(value: Any) -> int | float | str:
    return value.item() if isinstance(value, np.generic) else value


def _fitting(entries: list[dict], place: dict) -> list[dict]:
    """Return the entries whose values are all those of ``place``."""

    def same(value: Any, other: Any) -> bool:
        return value == other if isinstance(value, str) else math.isclose(value, other, rel_tol=1e-9)

    keys = [[key for key in entry if key != "replicas_per_instance"] for entry in entries]
    fits = (all(key in place and same(entry[key], place[key]) for key in own) for entry, own in zip(entries, keys))
    return [entry for entry, fit in zip(entries, fits) if fit]


def render(table: pd.DataFrame, card: KernelCard, goal: str, console: Console) -> None:
    """Print a plan, of which ``goal`` says what it is for."""
    found = Table(title=f"{card.meta.name}: {goal}", title_justify="left")
    names = {
        "pulse": "pulse",
        "state_from": "from",
        "writes": "writes",
        "half_width": "half-width",
        "independent_writes": "worth",
        "independent_writes_needed": "needed",
        "advice": "advice",
        "more_writes": "more writes",
        "more_replicas": "more per device",
        "more_instances": "or more devices",
        "half_width_after": "half-width then",
    }
    for name in names.values():
        found.add_column(name, justify="right")
    for row in table[list(names)].itertuples(index=False):
        found.add_row(*(f"{value:.3g}" if isinstance(value, float) else str(value) for value in row))
    console.print(found)
    short = int((table["advice"] != "enough").sum())
    console.print(f"{len(table) - short} of {len(table)} rows are known well enough.")
