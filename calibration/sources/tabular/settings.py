"""Pulses whose voltage, current, field, duration or temperature was measured -> the pulses that were programmed.

A source that is set to 1.5 V is read back as 1.498, 1.501 and 1.500 V. Values then lie in groups that are much narrower
than their distance, and within a group they come in no order. Each group is one setting. Pulses stay apart

- if the values within groups come in an order, as those of a protocol do (permutation test);
- if effects differ beyond chance: the mean or the spread of the step goes with the value within a setting (Spearman's
  rank correlation, once the state before and the device are allowed for).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, Int64
from scipy import stats

from spinloom.errors import UserError
from spinloom.quantities import of
from spinloom.streams import generator

MEASURED = ("voltage_V", "current_density_A_per_m2", "field_T", "duration_s", "temperature_K")
WIDEST = 0.05  # of the largest value, or of a duration itself: what differs by more is no setting
APART = 1.5  # least distance of two groups, in widths of the widest
MOST = 1024  # groups that are looked for
ROUNDING = 1e-9  # of the largest value: numbers closer than that are one number
ALARM = 1e-3  # chance that pulses of one setting are kept apart
PERMUTATIONS = 999
SEEN = 2000  # pulses whose order is looked at
ORDER = 0.8  # share of what is expected without an order, below which an order matters
FEWEST = 12  # writes of a setting whose effects can be compared
TOLD = 6  # settings that a sentence lists


class Settings(NamedTuple):
    """Pulses as they were programmed.

    ``number`` int64[measured pulses] is the row of ``pulses`` (the fields of each) that a measured one belongs to,
    ``notes`` tell what stays apart, and ``assumed`` what counts as one.
    """

    number: Int64[np.ndarray, " measured"]
    pulses: pd.DataFrame
    notes: tuple[str, ...]
    assumed: tuple[str, ...]


def settings(
    pulses: pd.DataFrame,
    applied: Int64[np.ndarray, " applied"],
    writes: pd.DataFrame,
    tolerance: float | None,
    where: str,
) -> Settings:
    """Return the programmed pulses behind measured ones.

    Parameters
    ----------
    pulses : DataFrame
        Fields of each measured pulse.
    applied : int64[applied]
        Rows of ``pulses`` in the order of the measurement.
    writes : DataFrame
        ``pulse``, ``instance``, ``before_S`` (NaN after a reset), ``after_S``.
    tolerance : float or None
        Share of the largest value (of durations: of the value) by which those of a setting may differ from their
        middle; 0: each value is a setting; None: as the values show.
    where : str
        Begins the error.

    Raises
    ------
    UserError
        If values that differ by less than the tolerance from their neighbours hang together over more than it allows.
    """
    apart = np.arange(len(pulses))
    grouped = {}
    for name in (one for one in MEASURED if tolerance != 0 and len(pulses) > 1 and pulses[one].notna().all()):
        values = pulses[name].to_numpy(float)
        if name == "duration_s" and values.min() <= 0:
            continue
        group = _groups(values, name) if tolerance is None else _within(values, name, tolerance, where)
        if tolerance is None and not _jitters(values, group, applied):
            continue
        if group.max() + 1 < len(np.unique(values)):
            grouped[name] = group
    if not grouped:
        return Settings(apart, pulses, (), ())
    number = pulses.assign(**grouped).fillna(np.inf).groupby(list(pulses.columns), sort=False).ngroup().to_numpy()
    different = _different(pulses, number, list(grouped), writes)
    if tolerance is None:
        number = np.where(np.isin(number, list(different)), len(pulses) + apart, number)
    _, first, number = np.unique(number, return_index=True, return_inverse=True)
    made = pulses.iloc[first].reset_index(drop=True)
    joined = np.bincount(number)[number] > 1
    count = np.maximum(np.bincount(applied, minlength=len(pulses)), 1) * joined
    assumed = []
    for name, group in grouped.items():
        found = _moments(pulses[name].to_numpy(float), name, group, count)
        made[name] = np.where(joined[first], found["mean"].reindex(group[first]), made[name])
        assumed += _told(name, found[found["values"] > 1])
    order = np.lexsort([made[name] for name in reversed(MEASURED)] + [pd.factorize(made["polarity"])[0]])
    number, made = np.argsort(order)[number], made.iloc[order].reset_index(drop=True)
    notes = []
    for spans, chance in different.values():
        if tolerance is None:
            notes.append(f"{spans} are not one pulse: their effects differ (p = {chance:.1g}; option pulse_tolerance)")
        else:
            assumed.append(f"{spans} count as one pulse, though their effects differ beyond chance (p = {chance:.1g}).")
    return Settings(number, made, (*notes, *assumed), tuple(assumed))


def _positions(values: np.ndarray, name: str) -> tuple[np.ndarray, float]:
    """Return where values lie on an axis on which their jitter is alike, and a length that a jitter is a share of."""
    if name == "duration_s":
        return np.log(values), 1.0
    return values, float(np.abs(values).max())


def _grouped(position: np.ndarray, distance: float) -> tuple[np.ndarray, float]:
    """Return groups between neighbours of which lies more than a distance, and the width of the widest."""
    unique, place = np.unique(position, return_inverse=True)
    new = np.diff(unique) > distance
    return np.append(0, np.cumsum(new))[place], _width(unique, np.flatnonzero(new))


def _width(unique: np.ndarray, cuts: np.ndarray) -> float:
    """Return the width of the widest group of sorted values that are cut after those numbered."""
    return float((unique[np.append(cuts, -1)] - unique[np.append(0, cuts + 1)]).max())


def _groups(values: np.ndarray, name: str) -> np.ndarray:
    """Return the groups that stand out most: the least distance of two over the width of the widest."""
    position, size = _positions(values, name)
    unique = np.unique(position)
    gaps = np.diff(unique)
    longest = np.argsort(-gaps, kind="stable")[:MOST]
    best, apart = 0.0, 0.0
    for cuts in range(len(longest)):
        # nothing is expected nearer than the widest setting may be, so one group alone stands out, too
        clear = min(gaps[longest[cuts - 1]] if cuts else np.inf, WIDEST * size)
        width = _width(unique, np.sort(longest[:cuts]))
        if 2 * (cuts + 1) > len(unique) and width > ROUNDING * size:
            continue  # two values that are alike by chance
        if width < WIDEST * size and clear > max(best, APART) * max(width, ROUNDING * size):
            best, apart = clear / max(width, ROUNDING * size), float(gaps[longest[cuts]])
    return _grouped(position, apart)[0]


def _within(values: np.ndarray, name: str, tolerance: float, where: str) -> np.ndarray:
    position, size = _positions(values, name)
    group, width = _grouped(position, tolerance * size)
    if width > 2 * tolerance * size:
        wide = max((values[group == own] for own in range(group.max() + 1)), key=np.ptp)
        raise UserError(
            f"{where}: option pulse_tolerance: found {tolerance:g}, with which {_span(name, wide)} count as one value, "
            "allowed: a smaller tolerance"
        )
    return group


def _jitters(values: np.ndarray, group: np.ndarray, applied: np.ndarray) -> bool:
    """Return whether values in groups vary as measured ones do: three or more in a group, and in no order."""
    table = pd.DataFrame({"group": group, "value": values}).groupby("group")["value"]
    if (table.max() - table.min()).max() <= ROUNDING * np.abs(values).max():
        return True
    if table.nunique().max() < 3:
        return False
    applied = applied[:SEEN]
    own, value = group[applied], values[applied]
    order = np.argsort(own, kind="stable")
    own, value = own[order], value[order]
    same, code = own[1:] == own[:-1], np.unique(value, return_inverse=True)[1]

    def statistics(index: np.ndarray) -> np.ndarray:
        """Return the squared differences of successive values, and the number of different successive pairs."""
        before, after = index[:-1][same], index[1:][same]
        return np.array(
            [((value[after] - value[before]) ** 2).sum(), len(np.unique(code[before] * len(code) + code[after]))]
        )

    rng = generator(0, "order of measured pulses")
    found = statistics(np.arange(len(own)))
    shuffled = np.array([statistics(np.lexsort([rng.random(len(own)), own])) for _ in range(PERMUTATIONS)])
    # the two ways in which an order shows: slow changes, and the same sequence again
    rare = (shuffled <= found).mean(axis=0) < ALARM
    return not (rare & (found < ORDER * shuffled.mean(axis=0))).any()


def _different(
    pulses: pd.DataFrame, number: np.ndarray, names: list[str], writes: pd.DataFrame
) -> dict[int, tuple[str, float]]:
    """Return the settings whose values go with their effects: what they span, and the chance that this is chance."""
    values = pulses.iloc[writes["pulse"].to_numpy()][names].reset_index(drop=True)
    before = writes["before_S"].to_numpy()
    step = writes["after_S"].to_numpy() - np.nan_to_num(before)
    found, tests = {}, 0
    for own, rows in writes.reset_index(drop=True).groupby(number[writes["pulse"].to_numpy()]).indices.items():
        varied = [name for name in names if values[name].iloc[rows].nunique() > 1]
        instance = pd.get_dummies(writes["instance"].iloc[rows]).to_numpy(float)
        state = np.nan_to_num(before[rows] - before[rows].mean())
        state /= np.abs(state).max() or 1.0
        known = np.column_stack([instance, state, state**2])
        if not varied or len(rows) < FEWEST + known.shape[1]:
            continue

        def left(of_: Float[np.ndarray, " rows"], known: np.ndarray = known) -> np.ndarray:
            return of_ - known @ np.linalg.lstsq(known, of_, rcond=None)[0]

        effect = left(step[rows])
        if not np.ptp(effect) > 0:
            continue
        chances = []
        for name in varied:
            value = left(values[name].iloc[rows].to_numpy())
            chances += [stats.spearmanr(value, one).pvalue for one in (effect, np.abs(effect))]
        tests += len(chances)
        found[own] = " and ".join(_span(name, values[name].iloc[rows]) for name in varied), min(chances)
    return {own: (span, chance) for own, (span, chance) in found.items() if chance * tests < ALARM}


def _moments(values: np.ndarray, name: str, group: np.ndarray, count: np.ndarray) -> pd.DataFrame:
    """Return of each group its mean, to the digit that the spread leaves, sd, ends, and number of values."""
    table = pd.DataFrame({"group": group, "value": values, "count": count, "total": count * values})
    table = table[count > 0]
    sums = table.groupby("group")[["count", "total"]].sum()
    mean = sums["total"] / sums["count"]
    off = table["count"] * (table["value"] - mean[table["group"]].to_numpy()) ** 2
    sd = np.sqrt(off.groupby(table["group"]).sum() / sums["count"])
    # few values tell their spread badly: all groups share it
    usual = np.sqrt(np.mean((sd / mean) ** 2)) * mean if name == "duration_s" else np.sqrt(np.mean(sd**2))
    ends = table.groupby("group")["value"].agg(["min", "max", "nunique"])
    rounded = [_rounded(*own) for own in zip(mean, np.maximum(sd, usual))]
    return ends.set_axis(["low", "high", "values"], axis=1).assign(mean=rounded, sd=sd)


def _rounded(mean: float, sd: float) -> float:
    """Return a mean to the decimal place of its values' sd."""
    if not sd > 0:
        return mean
    digits = int(np.floor(np.log10(abs(mean) or sd)) - np.floor(np.log10(sd)))
    return float(f"{mean:.{min(max(digits, 0), 15)}e}")


def _told(name: str, found: pd.DataFrame) -> list[str]:
    if found.empty:
        return []
    told = of(name).told
    columns = found.head(TOLD)[["mean", "sd", "low", "high"]].to_numpy()
    each = "; ".join(f"{told(mean)} (sd {told(sd)}, {told(low)} to {told(high)})" for mean, sd, low, high in columns)
    more = f"; and {len(found) - TOLD} more, sd at most {told(found['sd'].max())}" if len(found) > TOLD else ""
    return [
        f"{int(found['values'].sum())} measured values of the {of(name).label} count as {len(found)} programmed: {each}"
        f"{more} (option pulse_tolerance)."
    ]


def _span(name: str, values: pd.Series | np.ndarray) -> str:
    unit = of(name)
    return f"pulses of {unit.told(values.min())} to {unit.told(values.max())}"
