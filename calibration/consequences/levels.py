"""How many levels of a written position a reader can tell: distances between neighbours, and information in bits.

A level is what one pulse writes. A write is told by a reader who knows the writes of the *other* devices and sees
this one's position, so nothing is judged by what it was learned from, and a device's own offset counts against it. The
reader takes each level's positions as a sum of normal kernels (width by Silverman, Density Estimation (1986), equation
3.31) and half a write spread over the whole range, and the levels as equally frequent. A lost wall is an outcome of its
own.

With q the reader's probability of the level that was meant, log2 K + mean log2 q is a lower bound of the mutual
information of level and position, whatever the reader (Barber and Agakov, NIPS 16, 201 (2003), equation 3); 2 to its
power is the number of levels that noiseless ones would need to say as much. Nothing told gives a little less than 0.

Intervals are those of the jackknife over devices (Efron, Ann. Stat. 9, 586 (1981)) with Student's quantiles: writes of
one device share its edges, and with a handful of devices a bootstrap is too narrow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from calibration.counting.writes import Simulated
from spinloom.errors import UserError
from spinloom.write_events import Position

PRIOR = 0.5  # writes that a level may have had where none was seen: anywhere in the range, or lost
NARROWEST = 1e-3  # width of a kernel over the range of positions, at least


@dataclass(frozen=True)
class Levels:
    """Written positions of several levels on several devices.

    Attributes
    ----------
    level, device : int64[writes]
        Which of the levels a write meant, from 0; on which device it was made.
    position : float64[writes]
        Where it ended, NaN for a wall that was lost.
    """

    level: np.ndarray
    device: np.ndarray
    position: np.ndarray

    @property
    def number(self) -> int:
        """How many levels there are."""
        return int(self.level.max()) + 1

    def where(self, kept: np.ndarray) -> Levels:
        """Return the writes that ``kept``, bool[writes], says."""
        return Levels(self.level[kept], self.device[kept], self.position[kept])


def levels(told: Simulated, pulses: Sequence[int] = (), column: str | None = None) -> Levels:
    """Return the levels that pulses write.

    Parameters
    ----------
    told : Simulated
        The device stage's tables (`calibration.sources.simulated.told`).
    pulses : sequence of int
        Pulses whose writes are the levels, in order; all of them if there are none.
    column : str, optional
        Column of the events with the position, by default the one after the write.

    Raises
    ------
    UserError
        If the device has no positions, there are fewer than two pulses or devices, or there is no such pulse or column.
    """
    states, events, outcome = told.means.states, told.events, told.means.outcome
    if not isinstance(states, Position) or states.before is not None:
        raise UserError(
            f"{told.events_file}: found no positions after a reset, allowed: writes of a wall after a reset"
        )
    column = column or states.after
    if column not in events or not pd.api.types.is_float_dtype(events[column]):
        raise UserError(f"{told.events_file}: found no column {column} of numbers, allowed: a column with positions")
    chosen = list(pulses) or sorted(told.pulses["pulse"])
    if len(set(chosen)) < 2 or len(set(chosen)) < len(chosen) or not set(chosen) <= set(events["pulse"]):
        raise UserError(f"{told.events_file}: found pulses {chosen}, allowed: two or more of those written, each once")
    own = events[events["pulse"].isin(chosen)]
    if own["instance"].nunique() < 2:
        raise UserError(
            f"{told.events_file}: found 1 device, allowed: 2 or more, because a reader learns from the other devices"
        )
    position = own[column].where(own[outcome.column].isin(outcome.counted))
    return Levels(
        own["pulse"].map({pulse: level for level, pulse in enumerate(chosen)}).to_numpy(),
        own["instance"].to_numpy(),
        position.to_numpy(float),
    )


def scores(writes: Levels) -> tuple[float, float]:
    """Return the bits that a reader tells, and the share of writes whose level is the reader's first choice."""
    bits, right = np.empty(len(writes.level)), np.empty(len(writes.level))
    for device in np.unique(writes.device):
        out = writes.device == device
        chances = _chances(writes.where(~out), writes.position[out], writes.number)
        meant = chances[np.arange(out.sum()), writes.level[out]]
        bits[out] = np.log2(writes.number * meant)
        best = chances.max(axis=1)
        right[out] = (meant == best) / (chances == best[:, None]).sum(axis=1)  # ties are drawn
    by_level = pd.DataFrame({"bits": bits, "right": right}).groupby(writes.level).mean()
    return float(by_level["bits"].mean()), float(by_level["right"].mean())


def _chances(known: Levels, position: np.ndarray, number: int) -> np.ndarray:
    """Return the probability of each level at positions, float64[positions, levels], learned from ``known``."""
    found = known.position[~np.isnan(known.position)]
    range_ = np.ptp(found) if len(found) else 1.0
    likely = np.empty((len(position), number))
    for level in range(number):
        own = known.position[known.level == level]
        kept, writes = own[~np.isnan(own)], len(own)
        density = np.full(len(position), PRIOR / range_ if range_ else PRIOR)
        if len(kept) > 1 and range_:
            quartiles = np.subtract(*np.percentile(kept, [75, 25]))
            width = 0.9 * min(kept.std(ddof=1), quartiles / 1.34) * len(kept) ** -0.2
            density += stats.norm.pdf(position[:, None], kept, max(width, NARROWEST * range_)).sum(axis=1)
        likely[:, level] = np.where(np.isnan(position), writes - len(kept) + PRIOR, density) / (writes + 2 * PRIOR)
    return likely / likely.sum(axis=1, keepdims=True)


def distance(writes: Levels, level: int) -> float:
    """Return the distance of ``level`` to the one before it in units of their root mean square sd, of walls kept."""
    below, above = (writes.position[(writes.level == k) & ~np.isnan(writes.position)] for k in (level - 1, level))
    if min(len(below), len(above)) < 2:
        return float("nan")
    return float((above.mean() - below.mean()) / np.sqrt((above.var(ddof=1) + below.var(ddof=1)) / 2))


def interval(writes: Levels, figure: Callable[[Levels], float], mass: float = 0.95) -> tuple[float, float]:
    """Return the jackknife interval over devices of a figure of levels."""
    devices = np.unique(writes.device)
    n = len(devices)
    if n < 3:
        return float("nan"), float("nan")  # one device left to learn from, and none to compare with
    without = np.array([figure(writes.where(writes.device != device)) for device in devices])
    error = np.sqrt((n - 1) / n * np.square(without - without.mean()).sum())
    reach = stats.t.ppf(0.5 + mass / 2, n - 1) * error
    middle = figure(writes)
    return float(middle - reach), float(middle + reach)


def table(told: Simulated, writes: Levels, pulses: Sequence[int] = ()) -> pd.DataFrame:
    """Return a row per level: pulse, drives, writes, lost, mean, sd, distance to the level before with interval."""
    chosen = list(pulses) or sorted(told.pulses["pulse"])
    drives = told.pulses.set_index("pulse")[list(told.means.pulse.drives)]
    rows = []
    for level, pulse in enumerate(chosen):
        position = writes.position[writes.level == level]
        kept = position[~np.isnan(position)]
        row = {
            "pulse": pulse,
            **drives.loc[pulse].to_dict(),
            "writes": len(position),
            "lost": len(position) - len(kept),
            "mean": kept.mean() if len(kept) else np.nan,
            "sd": kept.std(ddof=1) if len(kept) > 1 else np.nan,
        }
        if level:
            low, high = interval(writes, lambda some, level=level: distance(some, level))
            row |= {"distance_over_sd": distance(writes, level), "distance_low": low, "distance_high": high}
        rows.append(row)
    return pd.DataFrame(rows)


def summary(writes: Levels) -> dict[str, float]:
    """Return what a reader tells of the levels: bits and share of right choices, each with its interval."""
    bits, right = scores(writes)
    bits_low, bits_high = interval(writes, lambda some: scores(some)[0])
    right_low, right_high = np.clip(interval(writes, lambda some: scores(some)[1]), 0, 1)
    return {
        "levels": writes.number,
        "writes": len(writes.level),
        "devices": len(np.unique(writes.device)),
        "lost": int(np.isnan(writes.position).sum()),
        "bits": bits,
        "bits_low": bits_low,
        "bits_high": min(bits_high, np.log2(writes.number)),
        "noiseless_levels": 2**bits,
        "right": right,
        "right_low": float(right_low),
        "right_high": float(right_high),
    }
