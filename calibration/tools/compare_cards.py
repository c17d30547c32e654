"""Two cards side by side, and whether they tell of the same device."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table
from scipy import special, stats

from calibration.card import KernelCard
from spinloom.errors import UserError
from spinloom.quantities import PULSE, of
from spinloom.streams import generator

RELATIVE = 1e-6
FIGURES = ("conductance_ratio", "distinguishable_levels")


def compare(a: KernelCard, b: KernelCard) -> dict[str, Any]:
    """Compare two cards, as far as they have the same pulses and states.

    Pulses match by their drive, duration, polarity and temperature. States match by their edges; by their labels, if
    they are states by nature (coordinate level) or a card tells no edges in the other's coordinate.

    For each row that both cards counted, the chi-square test of homogeneity of the 2 x K table of counts over the
    states that either reached. The statistic is divided by the larger of the two rows' design effects (counts over
    effective counts; Rao and Scott, Ann. Stat. 12, 46 (1984)). Where an expected count is below 1, or more than a
    fifth of them below 5, the chi-square distribution is a poor one (Cochran, Biometrics 10, 417 (1954)), and the
    p-value is that of 9999 permutations of the writes. The p-values are corrected for the number of rows (Holm, Scand.
    J. Stat. 6, 65 (1979)); the cards are alike at the 5 % level if the smallest corrected one is above 0.05. With
    posterior.pooling events that is said of the devices that were written, and not of their kinds.

    Mean conductances by Welch's t with Satterthwaite's degrees of freedom (Welch, Biometrika 34, 28 (1947)); the bins
    of a lattice have no error.

    Parameters
    ----------
    a, b : KernelCard

    Returns
    -------
    dict
        ``pulses``: DataFrame ``pulse_a``, ``pulse_b`` of matching pulses with their drive. ``states``: DataFrame
        ``state``, mean conductances ``a_S``, ``b_S``, ``difference_S``, its standard error, ``t``, ``dof`` (NaN where
        a card states no error), ``p_value`` and ``p_holm``. ``rows``: DataFrame of rows with ``writes_a``,
        ``writes_b``, ``total_variation`` (half the sum of the absolute differences of the probabilities),
        ``statistic``, ``dof``, ``p_value`` and ``p_holm`` (NaN where a card has no counts). ``derived``: DataFrame of
        figures of both cards and their ratio. ``of_devices``: bool, whether a card pools events, so that the tests
        hold for the devices that were written. ``devices_differ``: bool, whether a card shows that its devices differ
        (p < 0.05). ``only_a``, ``only_b``: pulses that the other card lacks, lists. ``alike``: bool, or None if no row
        could be tested. ``largest_total_variation``: float, None if the states do not match.

    Raises
    ------
    UserError
        If neither pulses nor states match.
    """
    pulses = _matching_pulses(a.pulses, b.pulses)
    same_states = _same_states(a, b)
    if pulses.empty and not same_states:
        raise UserError(
            f"compare: found no pulse of {a.meta.name} in {b.meta.name}, and other states ({len(a.states)} and "
            f"{len(b.states)}), allowed: cards with a common pulse (drive, duration, polarity, temperature) or with "
            "the same states"
        )
    rows = _rows(a, b, pulses) if same_states else pd.DataFrame()
    states = conductances(a, b) if same_states else pd.DataFrame()
    tested = rows["p_holm"].dropna() if len(rows) else pd.Series(dtype=float)
    return {
        "names": (a.meta.name, b.meta.name),
        "same_tables": a.hash == b.hash,
        "same_states": same_states,
        "pulses": pulses,
        "only_a": sorted(set(a.pulses["pulse"]) - set(pulses["pulse_a"])),
        "only_b": sorted(set(b.pulses["pulse"]) - set(pulses["pulse_b"])),
        "rows": rows,
        "states": states,
        "derived": _derived(a, b, pulses, same_states),
        "of_devices": any(card.meta.posterior.pooling == "events" for card in (a, b)),
        "devices_differ": _devices_differ(a) or _devices_differ(b),
        "alike": bool(tested.min() > 0.05) if len(tested) else None,
        "largest_total_variation": float(rows["total_variation"].max()) if len(rows) else None,
    }


def _matching_pulses(a: pd.DataFrame, b: pd.DataFrame) -> pd.DataFrame:
    found, taken = [], set()
    for one in a.to_dict("records"):
        for other in b.to_dict("records"):
            if other["pulse"] not in taken and one["channel"] == other["channel"] and _agree(one, other):
                taken.add(other["pulse"])
                told = {key: one[key] for key in PULSE if a[key].notna().any()}
                found.append({"pulse_a": one["pulse"], "pulse_b": other["pulse"], **told})
                break
    return pd.DataFrame(found, columns=None if found else ["pulse_a", "pulse_b"])


def _agree(one: dict[Hashable, Any], other: dict[Hashable, Any]) -> bool:
    pairs = [(one[key], other[key]) for key in PULSE]
    return all(np.isnan(x) or np.isnan(y) or np.isclose(x, y, rtol=RELATIVE, atol=0) for x, y in pairs)


def _same_states(a: KernelCard, b: KernelCard) -> bool:
    if len(a.states) != len(b.states):
        return False
    one, other = a.meta.states, b.meta.states
    by_edges = one.coordinate == other.coordinate != "level"
    if by_edges and one.edges and other.edges:
        x, y = np.array(one.edges, dtype=float), np.array(other.edges, dtype=float)
        return bool(np.allclose(x, y, rtol=0, atol=RELATIVE * np.ptp(x)))
    # states by nature are numbered from 0 whatever they are, so their edges tell nothing and their names do
    return list(a.states["label"]) == list(b.states["label"])


def _devices_differ(card: KernelCard) -> bool:
    for spread in (card.meta.spread, card.meta.spread_position):
        p_value = (spread or {}).get("p_value")
        if p_value is not None and p_value < 0.05:
            return True
    # intervals of the devices' sd: of alike devices one in 40 lies above 0
    ends = [row.interval[0] > 0 for row in card.meta.probability_spread if row.interval]
    return bool(ends) and stats.binomtest(sum(ends), len(ends), 0.025, alternative="greater").pvalue < 0.05


def _rows(a: KernelCard, b: KernelCard, pulses: pd.DataFrame) -> pd.DataFrame:
    cells = {}
    for name, card in (("a", a), ("b", b)):
        table, shape = card.transitions, card.kernel.shape
        counted = table["basis"].isin(["counts", "borrowed"]).to_numpy().reshape(shape)
        # counts of rows that a law or an interpolation gave are not what the row says
        counts = np.where(counted, table["count"].to_numpy().reshape(shape), 0)
        worth = table["effective_count"].where(table["basis"] != "borrowed", table["count"])
        cells[name] = counts, worth.to_numpy().reshape(shape)
    once = a.rows_repeat and b.rows_repeat
    rows = []
    for one, other in zip(pulses["pulse_a"], pulses["pulse_b"]):
        for start in range(1 if once else len(a.states)):
            counts = np.stack([cells["a"][0][one, start], cells["b"][0][other, start]])
            worth = np.stack([cells["a"][1][one, start], cells["b"][1][other, start]])
            statistic, dof, p_value = _homogeneity(counts, worth)
            rows.append(
                {
                    "pulse_a": one,
                    "pulse_b": other,
                    "state_from": start,
                    "writes_a": int(counts[0].sum()),
                    "writes_b": int(counts[1].sum()),
                    "total_variation": float(np.abs(a.kernel[one, start] - b.kernel[other, start]).sum() / 2),
                    "statistic": statistic,
                    "dof": dof,
                    "p_value": p_value,
                }
            )
    table = pd.DataFrame(rows)
    if len(table):
        table["p_holm"] = holm(table["p_value"].to_numpy())
    return table


def _homogeneity(counts: np.ndarray, worth: np.ndarray) -> tuple[float, float, float]:
    """Return statistic, degrees of freedom and p-value for counts and effective counts int64, float64[2, states]."""
    if not counts.sum(axis=1).all():
        return np.nan, np.nan, np.nan
    reached = counts[:, counts.sum(axis=0) > 0]
    if reached.shape[1] == 1:
        return 0.0, 0.0, 1.0
    effect = max(1.0, float((counts.sum(axis=1) / worth.sum(axis=1)).max()))
    statistic, p_value, dof, expected = stats.chi2_contingency(reached, correction=False)
    if expected.min() >= 1 and (expected < 5).mean() <= 0.2:
        return float(statistic / effect), float(dof), float(special.chdtrc(dof, statistic / effect))
    # tables with these margins at random, as if the writes were dealt out to the cards anew
    rng = generator(0, "compare", *(int(count) for count in reached.ravel()))
    dealt = rng.multivariate_hypergeometric(reached.sum(axis=0), int(reached[0].sum()), size=9999, method="marginals")
    square = ((dealt - expected[0]) ** 2 * (1 / expected[0] + 1 / expected[1])).sum(axis=1)
    return (
        float(statistic / effect),
        float(dof),
        float((1 + (square >= statistic / effect * (1 - 1e-12)).sum()) / 10000),
    )


def holm(p_values: np.ndarray) -> np.ndarray:
    """Return p-values corrected for their number, in the same order (Holm 1979); NaN are no tests and stay NaN.

    Parameters
    ----------
    p_values : ndarray, float64[n]
    """
    corrected = np.full(len(p_values), np.nan)
    order = np.argsort(p_values, kind="stable")[: int(np.isfinite(p_values).sum())]
    steps = p_values[order] * np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(steps)) if len(order) else steps
    return corrected


def conductances(a: KernelCard, b: KernelCard) -> pd.DataFrame:
    """Return ``states`` of `compare` for two cards of the same states."""

    def error(card: KernelCard) -> tuple[np.ndarray, np.ndarray]:
        count = card.states["count"].to_numpy(float)
        known = (count >= 2) & (card.meta.states.method != "lattice")
        some = np.where(known, count, 2.0)
        return np.where(known, card.states["conductance_sd_S"] / np.sqrt(some), np.nan), some - 1

    mean_a, mean_b = (card.states["conductance_S"].to_numpy(float) for card in (a, b))
    (se_a, free_a), (se_b, free_b) = error(a), error(b)
    se = np.hypot(se_a, se_b)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(se > 0, (mean_b - mean_a) / se, np.nan)
        dof = np.where(se > 0, 1 / ((se_a / se) ** 4 / free_a + (se_b / se) ** 4 / free_b), np.nan)
    p_value = 2 * stats.t.sf(np.abs(t), dof)
    return pd.DataFrame(
        {
            "state": a.states["state"],
            "a_S": mean_a,
            "b_S": mean_b,
            "difference_S": mean_b - mean_a,
            "difference_se_S": se,
            "t": t,
            "dof": dof,
            "p_value": p_value,
            "p_holm": holm(np.asarray(p_value)),
        }
    )


def _derived(a: KernelCard, b: KernelCard, pulses: pd.DataFrame, same_states: bool) -> pd.DataFrame:
    one, other = a.meta.derived, b.meta.derived
    rows = (
        [] if one is None or other is None else [(name, getattr(one, name), getattr(other, name)) for name in FIGURES]
    )
    for name in ("spread", "spread_position"):
        x, y = (getattr(card.meta, name) or {} for card in (a, b))
        rows += [(f"{name}: {key}", x[key], y[key]) for key in x if "_sd" in key and key in y]
    for pulse_a, pulse_b in zip(pulses["pulse_a"], pulses["pulse_b"]):
        for column in ("energy_mean_J", "latency_s"):
            x, y = (float(card[column].iloc[at]) for card, at in ((a.pulses, pulse_a), (b.pulses, pulse_b)))
            rows.append((f"pulse {pulse_a}: {column}", x, y))
    if same_states:
        occupancy = zip(a.states["occupancy"], b.states["occupancy"])
        rows += [(f"state {state}: occupancy", x, y) for state, (x, y) in enumerate(occupancy)]
    rows = [row for row in rows if row[1] is not None and row[2] is not None]
    table = pd.DataFrame(rows, columns=["figure", "a", "b"])
    with np.errstate(divide="ignore", invalid="ignore"):
        table["ratio"] = table["b"].astype(float) / table["a"].astype(float)
    return table


def render(comparison: dict[str, Any], console: Console) -> None:
    """Print what `compare` found."""
    one, other = comparison["names"]
    console.print(f"a: {one}\nb: {other}", markup=False)
    for key, name in (("only_a", "a"), ("only_b", "b")):
        if comparison[key]:
            console.print(f"pulses of {name} alone: {', '.join(map(str, comparison[key]))}")
    if not comparison["same_states"]:
        console.print("the states differ: transitions and conductances cannot be compared")
    for title, key in (
        ("pulses", "pulses"),
        ("transitions", "rows"),
        ("conductances", "states"),
        ("figures", "derived"),
    ):
        if len(comparison[key]):
            console.print(_rich(title, comparison[key]))
    console.print(_verdict(comparison))


def _verdict(comparison: dict[str, Any]) -> str:
    if comparison["same_tables"]:
        return "The tables of the two cards are the same."
    distance = comparison["largest_total_variation"]
    largest = "" if distance is None else f" Largest total variation of a row: {distance:.3g}."
    if comparison["alike"] is None:
        return f"No row was counted in both cards, so no test is possible.{largest}"
    smallest = comparison["rows"]["p_holm"].min()
    word = "do not differ" if comparison["alike"] else "differ"
    whose = " of the devices that were written" if comparison["of_devices"] else ""
    text = f"The counts{whose} {word} at the 5 % level (smallest p after Holm's correction {smallest:.2g}).{largest}"
    if comparison["of_devices"] and comparison["devices_differ"]:
        text += (
            " Devices of one card differ among themselves, so other devices of the same kind would differ too: make "
            "both cards with posterior.pooling instances to test the kinds."
        )
    return text


def _rich(title: str, frame: pd.DataFrame) -> Table:
    table, scales = Table(title=title, title_justify="left"), []
    for column in frame:
        quantity = of(str(column))
        table.add_column(quantity.title, justify="right")
        scales.append(quantity.scale)
    for row in frame.itertuples(index=False):
        table.add_row(
            *(
                ("-" if np.isnan(value) else f"{value * scale:.4g}") if isinstance(value, float) else str(value)
                for value, scale in zip(row, scales)
            )
        )
    return table
