"""Rows of a kernel: from counts, from laws fitted to them, or none.

A law that was fitted to counted writes says in its ``conditions`` what it holds for: ``pulses``, and ``state_from``,
null where it gives the rows of every state before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pandas as pd

from calibration import laws
from calibration.card import KernelCard
from calibration.card.tables import drive
from calibration.counting.estimator import Rows
from calibration.counting.spread import probability_spread
from calibration.counting.writes import Writes
from calibration.laws import fitting
from calibration.laws.fitting import Displacements, Fit, switching
from calibration.sections import Kernel
from spinloom.errors import UserError

REJECTED = 1e-3  # p-value of the goodness of fit below which a switching law does not make rows
NODES = 16  # starts in a state that a law of displacements is averaged over


def table(rows: Rows, basis: str = "counts") -> pd.DataFrame:
    """Return rows as `calibration.card.tables.TRANSITIONS`, with a basis of `calibration.card.tables.BASES`."""
    keys = np.indices(rows.counts.shape).reshape(3, -1)
    columns: dict[str, np.ndarray] = dict(zip(("pulse", "state_from", "state_to"), keys, strict=True))
    columns |= {"count": rows.counts, "effective_count": rows.effective, "probability": rows.probability}
    columns |= {"ci_low": rows.ci_low, "ci_high": rows.ci_high}
    return pd.DataFrame({name: part.ravel() for name, part in columns.items()}).assign(basis=basis)


def stated(kernel: np.ndarray, basis: str | None = None) -> pd.DataFrame:
    """Return a kernel that nobody counted as rows: count 0, the interval the probability itself.

    Parameters
    ----------
    kernel : ndarray, float64[pulses, states, states]
    basis : str or None
        Of `calibration.card.tables.BASES`; None leaves out ``effective_count`` and ``basis``.
    """
    pulse, start, stop = np.indices(kernel.shape).reshape(3, -1)
    probability = kernel.ravel()
    table = {"pulse": pulse, "state_from": start, "state_to": stop, "count": np.zeros(len(pulse), dtype=np.int64)}
    table |= {"effective_count": 0.0} if basis else {}
    table |= {"probability": probability, "ci_low": probability, "ci_high": probability}
    return pd.DataFrame(table | ({"basis": basis} if basis else {}))


# -- laws ------------------------------------------------------------------------------------------------------------
def fit_laws(
    writes: Writes, start: np.ndarray, options: Kernel, seed: int, where: str
) -> tuple[list[Fit], list[dict[str, Any]]]:
    """Fit the laws that suit the device.

    Parameters
    ----------
    writes : Writes
    start : ndarray, int64[n]
        State before each write.
    options : Kernel
    seed : int
        Of the study; names the stream that splits the writes for ``criterion`` held_out.
    where : str
        Name of the config file, for errors.

    Returns
    -------
    list of Fit
        The first of each group of pulses is the best and the one that rows are made of.
    list of dict
        Groups that no law could be fitted to: ``pulses``, ``state_from``, ``reason``.

    Raises
    ------
    UserError
        If the config names a law that does not suit the device, or wants all rows by a law that cannot be fitted or
        that the counts reject.
    """
    tried, groups = _groups(writes, start)
    asked = options.law
    if asked != "auto" and asked not in (suitable := _suitable(tried)):
        raise UserError(
            f"{where}: kernel.law: found '{asked}', allowed for {writes.name}: {', '.join(['auto', *suitable])}"
        )
    if options.form == "law" and not tried:
        raise UserError(
            f"{where}: kernel.form: found 'law', allowed for {writes.name}: counts, as no law is known for it"
        )
    chosen = tried if asked == "auto" else [asked]
    fits, failed = [], []
    for pulses, state, data, polarity in groups if tried else ():
        place = {"pulses": pulses, "state_from": state} | ({} if polarity is None else {"polarity": polarity})
        name = f"{writes.where}: pulses {pulses}" + ("" if state is None else f" from state {state}")
        try:
            best = fitting.choose(chosen, data, options.criterion, name, seed)
        except UserError as error:
            if options.form == "law" or options.empty_rows == "law":
                raise
            failed.append({**place, "reason": str(error)})
            continue
        if options.form == "law" and rejected(best[0].law, best[0].goodness["p_value"]):
            start_of = "" if state is None else f" from {writes.labels[state]}"
            raise UserError(
                f"{where}: kernel.form: found 'law' with {best[0].law}, which the counts reject (pulses {pulses[0]} to "
                f"{pulses[-1]}{start_of}: goodness of fit p = {best[0].goodness['p_value']:.2g}), allowed: counts, or "
                f"a law with p >= {REJECTED:g}"
            )
        fits += [
            replace(fit, conditions={**fit.conditions, **place, "chosen": rank == 0}) for rank, fit in enumerate(best)
        ]
    return fits, failed


def rejected(law: str, p_value: float | None) -> bool:
    """Return whether the counts of switching reject a law, by the p-value of its goodness of fit."""
    return laws.get(law).KIND == "switching" and p_value is not None and p_value < REJECTED


def rejected_laws(card: KernelCard) -> list[str]:
    """Return a sentence for each law that is the best of its group and that the counts reject."""
    return [
        f"the counts reject {law.law} from {card.states['label'][law.conditions.state_from or 0]}, the best of the "
        f"laws tried (goodness of fit p = {law.goodness.p_value:.2g})"
        for law in card.meta.laws
        if law.conditions.chosen and rejected(law.law, law.goodness.p_value)
    ]


def _suitable(tried: list[str]) -> list[str]:
    """Return the laws that ``tried`` may be replaced by, these first: those of the same kind and axes."""

    def form(name: str) -> tuple:
        law = laws.get(name)
        return law.KIND, getattr(law, "AXES", None)

    others = [name for name in laws.REGISTRY.names() if tried and name not in tried]
    return tried + [name for name in others if form(name) == form(tried[0])]


def _groups(writes: Writes, start: np.ndarray) -> tuple[list[str], list]:
    """Return the laws that "auto" tries, and each group of writes that one is for.

    A group is (pulses, state before, data, polarity that leaves the state or None where the size of a drive counts).
    """
    events, pulses = writes.events, writes.pulses
    pulse, after = events["pulse"].to_numpy(), events["after"].to_numpy()
    if writes.coordinate != "level":
        before = events["before"].to_numpy()
        # a wall that would pass the end is lost and not counted; a conductance that would, saturates
        ends = "truncate" if writes.coordinate == "position_m" else "clip"
        own = [(int(number), pulse == number) for number in np.unique(pulse)]
        return laws.tried("displacement"), [
            ([number], None, Displacements(before[where], after[where], *writes.bounds, ends), None)
            for number, where in own
        ]
    if len(writes.labels) != 2:
        return [], []
    if writes.flags["reset_before_write"]:
        return laws.tried("switching", ("drive",)), [
            (pulses["pulse"].tolist(), None, _counts(writes, np.ones(len(pulse), bool), after == 1), None)
        ]
    if writes.laws:
        return list(writes.laws), _directed(writes, start)
    if (pulses["current_density_A_per_m2"].fillna(0.0) == 0).all():
        return [], []  # a voltage that turns the moment about an axis: the probability is no monotone function of it
    groups = []
    for state in np.unique(start):
        own = start == state
        data = _counts(writes, own, after != state)
        groups.append((sorted(set(pulse[own].tolist())), int(state), data, None))
    return laws.tried("switching", switching.PULSE_AXES), groups


def leaving(polarity: Any, switched: Any) -> int:
    """Return the polarity, 1 or -1, of the pulses that made the device leave a state: that of most such writes.

    ``polarity`` and ``switched`` are int[n], of pulses and how many writes switched; if none did, most pulses count.
    """
    polarity, switched = np.asarray(polarity), np.asarray(switched)
    return -1 if (polarity @ switched or polarity.sum()) < 0 else 1


def _directed(writes: Writes, start: np.ndarray) -> list:
    """Return the groups of writes whose drive counts positive in the direction that leaves the state before.

    What the laws do not know (a field beside the voltage; the duration of a pulse of current or field) is the same in
    all writes of a group.
    """
    pulses, events, count = writes.pulses, writes.events, writes.count
    pulse, after = events["pulse"].to_numpy(), events["after"].to_numpy()
    kind = _alike(pulses, laws.get(writes.laws[0]).AXES)
    groups = []
    for state in np.unique(start):
        left = (start == state) & (after != state)
        own = start == state
        polarity = leaving(pulses["polarity"].to_numpy()[pulse[own]], np.where(left, count, 0)[own])
        for number in np.unique(kind[pulse[start == state]]):
            own = (start == state) & (kind[pulse] == number)
            data = _counts(writes, own, left, polarity)
            groups.append((sorted(set(pulse[own].tolist())), int(state), data, polarity))
    return groups


def _alike(pulses: pd.DataFrame, axes: tuple[str, ...]) -> np.ndarray:
    """Return a number for each pulse, int64[pulses], equal where the pulses differ in what the laws know alone."""
    others = [name for name in ("field_T", "duration_s", "temperature_K") if name not in axes]
    if "voltage_V" not in axes:
        others.remove("field_T")  # it may be the drive
    return pulses.groupby(others, dropna=False).ngroup().to_numpy()


def _counts(writes: Writes, own: np.ndarray, switched: np.ndarray, polarity: int | None = None) -> pd.DataFrame:
    pulse, number = writes.events["pulse"].to_numpy()[own], writes.count[own]
    count = np.bincount(pulse, number, minlength=len(writes.pulses)).astype(np.int64)
    hits = np.bincount(pulse, switched[own] * number, minlength=len(writes.pulses)).astype(np.int64)
    drives = _drives(writes.pulses, polarity)
    return drives.assign(writes=count, switched=hits)[count > 0].reset_index(drop=True)


def _drives(pulses: pd.DataFrame, polarity: int | None = None) -> pd.DataFrame:
    """Return the axes of the laws for each pulse; with a polarity, drives against it are negative."""
    sign = 1 if polarity is None else polarity * pulses["polarity"]
    return pd.DataFrame(
        {
            "voltage_V": sign * pulses["voltage_V"].abs().fillna(0.0),
            "duration_s": pulses["duration_s"],
            "temperature_K": pulses["temperature_K"],
            "drive": sign * drive(pulses),
        }
    )


def law_rows(
    fit: Fit, pulses: pd.DataFrame, edges: np.ndarray
) -> tuple[list[tuple[int, int]], Callable[[dict[str, float]], np.ndarray]]:
    """Return which rows a fitted law gives, as (pulse, state before), and the function from parameters to them.

    Parameters
    ----------
    fit : Fit
        From `fit_laws`.
    pulses : DataFrame
        The card's pulses.
    edges : ndarray, float64[states + 1]
        Of the states, in the coordinate.

    Returns
    -------
    list of tuple
    callable
        Parameters -> float64[rows, states], in the same order.
    """
    law, own, size = laws.get(fit.law), fit.conditions["pulses"], len(edges) - 1
    if law.KIND == "displacement":
        places = [(pulse, state) for pulse in own for state in range(size)]
        bounds, ends = tuple(fit.conditions["bounds"]), fit.conditions["ends"]
        # a device may be anywhere in its state: from its middle a step shorter than half of it would never leave it
        node, weight = np.polynomial.legendre.leggauss(NODES)
        starts = ((edges[:-1] + edges[1:]) / 2)[:, None] + (np.diff(edges) / 2)[:, None] * node

        def displaced(parameters: dict[str, float]) -> np.ndarray:
            rows = law.rows(parameters, edges, starts.ravel(), bounds, ends).reshape(size, NODES, size)
            return np.tile(np.einsum("snt,n->st", rows, weight / 2), (len(own), 1))

        return places, displaced
    drives = _drives(pulses, fit.conditions.get("polarity")).iloc[own]
    axes = [drives[axis].to_numpy() for axis in law.AXES]
    state = fit.conditions["state_from"]

    def switched(parameters: dict[str, float]) -> np.ndarray:
        p = law.probability(parameters, *axes)
        rows = np.stack([1 - p, p], axis=-1)
        if state is None:  # the outcome does not depend on the state before
            return np.repeat(rows, 2, axis=0)
        return rows if state == 0 else rows[:, ::-1]

    return [(pulse, s) for pulse in own for s in ([state] if state is not None else [0, 1])], switched


def with_laws(
    table: pd.DataFrame,
    wanted: np.ndarray,
    fits: list[Fit],
    pulses: pd.DataFrame,
    edges: np.ndarray,
    level: float,
    where: str,
) -> pd.DataFrame:
    """Return the table with the rows ``wanted``, bool[pulses, states], given by the chosen laws.

    Raises
    ------
    UserError
        If there is no law for one of them.
    """
    columns = ("probability", "ci_low", "ci_high", "effective_count")
    shape = (*wanted.shape, wanted.shape[1])
    values = {name: table[name].to_numpy().reshape(shape).copy() for name in columns}
    basis = table["basis"].to_numpy().reshape(shape).copy()
    left = wanted.copy()
    for fit in fits:
        if not fit.conditions["chosen"]:
            continue
        places, rows = law_rows(_everywhere(fit, pulses), pulses, edges)
        known = fitting.predict(fit, rows, level)
        for number, place in enumerate(places):
            if not wanted[place]:
                continue
            for name, part in zip(columns, (known.probability, known.ci_low, known.ci_high)):
                values[name][place] = part[number]
            values["effective_count"][place] = known.effective_count[number] * known.probability[number]
            basis[place], left[place] = "law", False
    if left.any():
        pulse, state = np.argwhere(left)[0]
        raise UserError(
            f"{where}: pulse {pulse} from state {state} has no law, needed with kernel.form or empty_rows law"
        )
    return table.assign(**{name: part.ravel() for name, part in values.items()}, basis=basis.ravel())


def _everywhere(fit: Fit, pulses: pd.DataFrame) -> Fit:
    """Return a fit of directed drives for all pulses that it can tell of: those against its direction too."""
    if "polarity" not in fit.conditions:
        return fit
    own = list(fit.conditions["pulses"])
    same = _alike(pulses, laws.get(fit.law).AXES)
    return replace(fit, conditions={**fit.conditions, "pulses": np.flatnonzero(same == same[own[0]]).tolist()})


def with_law(fits: list[Fit], pulses: pd.DataFrame, states: int) -> np.ndarray:
    """Return which rows the chosen laws give, bool[pulses, states]."""
    known = np.zeros((len(pulses), states), bool)
    for fit in (_everywhere(one, pulses) for one in fits if one.conditions["chosen"]):
        state = fit.conditions["state_from"]
        known[fit.conditions["pulses"], slice(None) if state is None else state] = True
    return known


def with_stay(table: pd.DataFrame, wanted: np.ndarray) -> pd.DataFrame:
    """Return the table with the rows ``wanted``, bool[pulses, states], in which the device stays as it is."""
    rows = wanted[table["pulse"], table["state_from"]]
    stays = (table["state_from"] == table["state_to"]).astype(np.float64)
    changed = {name: table[name].where(~rows, stays) for name in ("probability", "ci_low", "ci_high")}
    return table.assign(
        **changed,
        effective_count=table["effective_count"].where(~rows, 0.0),
        basis=table["basis"].where(~rows, "assumed"),
    )


def probability_spreads(
    after: np.ndarray, cell: np.ndarray, instance: np.ndarray, count: np.ndarray, size: int
) -> list[dict[str, Any]]:
    """Return, for each pulse and state before of a device of two states, how much devices differ in P(state 1).

    Parameters
    ----------
    after : ndarray, float64[writes]
        State after each write, 0 or 1.
    cell : ndarray, int64[writes]
        ``size`` times the pulse plus the state before.
    instance : ndarray, int64[writes]
        Number of the device.
    count : ndarray, int64[writes]
        Equal writes that an entry stands for.
    size : int
        Number of states.
    """
    spreads = []
    for number in np.unique(cell):
        own = cell == number
        devices, place = np.unique(instance[own], return_inverse=True)
        written = np.bincount(place, count[own]).astype(np.int64)
        spread = probability_spread(np.bincount(place, after[own] * count[own]).astype(np.int64), written)
        pulse, state = divmod(int(number), size)
        told = {name: None if isinstance(v, float) and np.isnan(v) else v for name, v in asdict(spread).items()}
        spreads.append({"pulse": pulse, "state_from": state, "devices": len(devices), **told})
    return spreads
