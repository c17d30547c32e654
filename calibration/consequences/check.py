"""Whether a card agrees with the writes that it was made of: a posterior predictive check (Gelman et al., BDA, ch. 6).

The same writes are made again by the card (`replicates`): from the same states, with the same pulses, read with its
noise. Of the observed and of the replicated writes are compared

- the mean and the standard deviation of the step, and the share of changes against the direction of the pulse, by pulse
  and state before and by pulse alone;
- the correlation of two successive changes, by pulse, if the device was read again and again: noise that was taken for
  writing shows here;
- the range, between the 1 % and the 99 % quantile of the conductances;
- the distance of readings from the nearest level, if the device has levels: a given noise that is not theirs shows.

A card is refused for what chance does not explain and the width of its states does not either. Chance: a statistic is
the mean of n contributions x. With m and t its mean and t / sqrt(n) its standard deviation over the replicates, it is
beyond chance if

    |mean - m| sqrt(n) / t  >  q + c a / (3 sqrt(n)),        c = E|x - m|^3 / var(x)^(3/2),  a = ln(2 M / ALARM)

with q the quantile of Student's t for ALARM / M two-sided, M being the number of statistics. The second term is that of
Bernstein's inequality, for rows that rarely change. A change counts as six standard deviations at most, so that a
reading that went wrong is no reason. ALARM bounds the probability that a right card is refused; a card that was fitted
to the very writes is nearer to them than that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import scipy

from calibration.card import KernelCard
from calibration.card.meta import Check
from calibration.consequences.replicates import Changes, Source
from calibration.counting.writes import Writes
from spinloom.errors import UserError
from spinloom.quantities import of
from spinloom.streams import generator

ALARM = 1e-4
LEAST = 10  # writes of a group that is compared
CLIP = 6.0  # standard deviations that a change counts at most
NEAR = 3.0  # the same of a distance from a level
SHARE = 0.25  # of a mean step, or of a product of successive changes, by which it may be off
RATIO = 1.5  # of two standard deviations
DIFFERENCE = 0.15  # of two correlations, or two shares, or by which a scatter about levels may be off
RANGE = (0.01, 0.99)
BY_NATURE = ("device", "levels")  # methods whose states are no intervals
ENDS = ("range_low", "range_high")
OF_ALL = (*ENDS, "scatter")  # statistics of all writes together
NO_GROUP = -1  # of statistics of all writes
TINY = 1e-6  # distances of neighbouring states: less spread is none
ROW = ("step_mean", "step_sd", "against")  # statistics that a row of the card has


@dataclass(frozen=True)
class Width:
    """What the width of the states explains, in distances of neighbouring states, or squares of them."""

    mean: float  # of a row's mean step
    total: float  # of a pulse's mean step
    variance: float
    product: float  # of two successive changes
    against: float  # change that counts as one against the pulse


# a move by part of a state is a whole one with that chance, at most 1/4; start and end are anywhere in theirs, 2/12
INTERVALS = Width(mean=0.5, total=0.1, variance=0.5, product=0.125, against=1.0)
POINTS = Width(mean=0.1, total=0.05, variance=1 / 16, product=0.02, against=0.5)


def checked(card: KernelCard, writes: Writes, seed: int, accept: bool) -> KernelCard:
    """Return the card with its comparison to the writes that it was made of.

    Parameters
    ----------
    card : KernelCard
    writes : Writes
    seed : int
        Of the study; the stream is (seed, "check", card.hash).
    accept : bool
        A contradiction is a warning of the card and no error.

    Raises
    ------
    UserError
        If the card contradicts the writes.
    """
    source, rng = Source(card, writes), generator(seed, "check", card.hash)
    comparison = Comparison(card, source.grain, source.changes(None), source.changes(rng))
    entry, warnings = comparison.entry(), card.meta.warnings
    if entry.contradictions:
        told = contradiction(card, entry)
        if not accept:
            raise UserError(f"{writes.where}: {told}; {REMEDIES[entry.worst.statistic]} (or accept_misfit: true)")
        warnings = (*warnings, told)
    meta = card.meta.model_copy(update={"check": entry, "warnings": warnings})
    return replace(card, extras={**card.extras, "check": comparison.table()}, meta=meta)


# statistic -> what is wrong, and what helps
WORDS = {
    "step_mean": "a mean step",
    "step_sd": "a spread of the step",
    "against": "a share of changes against the pulse",
    "correlation": "a correlation of successive changes",
    "range_low": "a lowest conductance",
    "range_high": "a highest conductance",
    "scatter": "a scatter of readings about their levels",
}
STATES = "fewer states, more writes or another law give rows that follow the writes"
REMEDIES = {
    "step_mean": STATES,
    "step_sd": STATES,
    "against": "give pulses that were driven differently as different pulses",
    "correlation": "noise of the readings was taken for writing, or writing for noise; give the noise of a read",
    "range_low": STATES,
    "range_high": STATES,
    "scatter": "give the measured noise of a read (option read_noise_S), or leave the option out and it is estimated",
}


def contradiction(card: KernelCard, entry: Check) -> str:
    """Return in one line what the card says otherwise than its writes, at its worst."""
    worst = entry.worst
    pulse = "" if worst.pulse is None else f"pulse {worst.pulse}"
    if worst.state_from is not None:
        pulse += f" from state {worst.state_from}"
    elif worst.pulse is not None:
        pulse += " from all states"
    times = f"{worst.deviation:.3g} times" if worst.deviation < 1000 else "more than 1000 times"
    observed, own = (_told(worst.statistic, value) for value in (worst.observed, worst.card))
    more = "" if entry.contradictions == 1 else f", the worst of {entry.contradictions}"
    return (
        f"the card contradicts its own writes{more}: {pulse or 'all pulses'}: {WORDS[worst.statistic]} of {own} where "
        f"the writes have {observed}, {times} what chance allows"
    )


def _told(statistic: str, value: float) -> str:
    return f"{value:.3g}" if statistic in ("against", "correlation") else of("conductance_S").told(value)


class Comparison:
    """Observed writes beside those that a card makes, by row of the card (pulse and state before) and by pulse.

    A group is a row or, after all rows, a pulse.

    Parameters
    ----------
    card : KernelCard
    grain : ndarray, float64[states]
        Distance of each state from its neighbours, S.
    seen, made : Changes
        Observed, and made by the card.
    """

    def __init__(self, card: KernelCard, grain: np.ndarray, seen: Changes, made: Changes):
        self.card, self.seen, self.made = card, seen, made
        self.states, self.pulses = len(card.states), len(card.pulses)
        self.rows = self.states * self.pulses
        self.width = INTERVALS if card.meta.states.method not in BY_NATURE else POINTS
        self.grain = np.concatenate([np.tile(grain, self.pulses), np.full(self.pulses, grain.mean())])
        self.count = self._sums(seen, np.broadcast_to(1.0, seen.change_S.shape))[0]
        self.counts = self._sums(made, np.broadcast_to(1.0, made.change_S.shape))
        self.leveled = card.meta.states.method == "levels"
        tested, replicates = 3 * int((self.count >= LEAST).sum()) + self.pulses + len(RANGE), len(made.change_S)
        tested += self.leveled
        self.q = scipy.stats.t.isf(ALARM / tested / 2, replicates - 1) * np.sqrt(1 + 1 / replicates)
        self.a = np.log(2 * tested / ALARM)
        self.statistics = dict([*self._compare(), *self._range(), *self._scatter()])

    def _sums(self, changes: Changes, x: Iterable[np.ndarray], chosen: np.ndarray | None = None) -> np.ndarray:
        """Return sums over groups, float64[replicates, groups], of x, float64[writes] for each of the replicates.

        With ``chosen`` writes, those of pulses alone.
        """
        size, pulse, found = self.rows + self.pulses, self.rows + changes.pulse, []
        for row, own in zip(changes.row, x):  # one by one: many writes of all replicates are much memory
            if chosen is not None:
                found.append(np.bincount(pulse[chosen], own[chosen], size))
            else:
                found.append(np.bincount(row, own, size) + np.bincount(pulse, own, size))
        return np.array(found)

    def _compare(self) -> Iterator[tuple[str, pd.DataFrame]]:
        rows, floor, reset = self.rows, TINY * self.grain, self.card.rows_repeat
        known = np.maximum(self.counts.sum(axis=0), 1)
        mean = self._sums(self.made, self.made.change_S).sum(axis=0) / known
        apart = ((own - mean[row]) ** 2 for own, row in zip(self.made.change_S, self.made.row))
        sd = np.sqrt(self._sums(self.made, apart).sum(axis=0) / known)
        # where no replicate came, what was observed is compared as all of its pulse
        sd = np.where(self.counts.sum(axis=0)[:rows] > 1, sd[:rows], sd[rows:].repeat(self.states))
        most = CLIP * np.maximum(sd, floor[:rows])

        def about(changes: Changes, middle: np.ndarray) -> np.ndarray:
            return np.clip(changes.change_S - middle[changes.row], -most[changes.row], most[changes.row])

        seen, made = about(self.seen, mean), about(self.made, mean)
        found = self._statistic(seen, made, floor)
        step = self._sums(self.seen, self.seen.change_S)[0] / np.maximum(self.count, 1)
        apart = (found["observed"] - found["card"]).to_numpy()
        # of a device that is reset a step has no size of its own
        size = np.zeros(len(step)) if reset else np.maximum(np.abs(step), np.abs(step - apart))
        part = np.where(reset | (np.arange(len(step)) < rows), self.width.mean, self.width.total)
        off = np.abs(apart) / np.maximum(SHARE * size, part * self.grain)
        yield "step_mean", found.assign(observed=step, card=step - apart, off=off)

        found = self._statistic(seen**2, made**2, floor**2, positive=True)
        wide, of_card = found["observed"].to_numpy(), found["card"].to_numpy()
        ratio = np.sqrt(np.maximum(wide, of_card) / np.maximum(np.minimum(wide, of_card), floor**2)) / RATIO
        off = np.minimum(np.abs(wide - of_card) / (self.width.variance * self.grain**2), ratio)
        yield "step_sd", found.assign(observed=np.sqrt(wide), card=np.sqrt(of_card), off=off)

        if not reset:
            margin, towards = self.width.against * self.grain, np.sign(mean[rows:])
            back, of_card = (one.change_S * towards[one.pulse] < -margin[one.row] for one in (self.seen, self.made))
            found = self._statistic(1.0 * back, 1.0 * of_card, np.full(len(step), TINY), positive=True)
            yield "against", found.assign(off=(found["observed"] - found["card"]).abs() / DIFFERENCE)
        if self.seen.follows.any():
            # about the observed means: if the card's are wrong, successive changes would seem alike
            pulse = np.arange(len(step)) // self.states % self.pulses
            own = mean + np.where(self.count >= LEAST, apart, apart[rows + pulse])
            yield "correlation", self._correlation(about(self.seen, own), made)

    def _correlation(self, seen: np.ndarray, made: np.ndarray) -> pd.DataFrame:
        pairs = np.flatnonzero(self.seen.follows)

        def parts(changes: Changes, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            joint = (own * np.append(0.0, own[:-1]) for own in x)
            power = ((own**2 + np.append(0.0, own[:-1]) ** 2) / 2 for own in x)
            return self._sums(changes, joint, pairs), self._sums(changes, power, pairs)

        count = self._sums(self.seen, np.ones(seen.shape), pairs)[0]
        (own, power), (of_card, powers) = parts(self.seen, seen), parts(self.made, made)
        with np.errstate(invalid="ignore", divide="ignore"):
            # a ratio whose parts share their extremes needs no more than Student's quantile
            observed, each = own[0] / power[0], of_card / powers
            card, sd = each.mean(axis=0), each.std(axis=0, ddof=1)
            over = np.abs(observed - card) / np.maximum(sd, TINY) / self.q
            over = np.where((count < LEAST) | (power[0] / count < (TINY * self.grain) ** 2), np.nan, over)
            joint = own[0] / count, of_card.mean(axis=0) / count
            size = np.maximum(*np.abs(joint))
            off = np.abs(joint[0] - joint[1]) / np.maximum(SHARE * size, self.width.product * self.grain**2)
        off = np.minimum(off, np.abs(observed - card) / DIFFERENCE)
        return pd.DataFrame({"observed": observed, "card": card, "over": over, "off": off})

    def _statistic(self, seen: np.ndarray, made: np.ndarray, least: np.ndarray, positive: bool = False) -> pd.DataFrame:
        """Return the means of contributions by group: observed, by the card, and how far apart over what chance allows.

        Parameters
        ----------
        seen, made : ndarray, float64[replicates, writes]
            Of the observed and of the made writes.
        least : ndarray
            float64[groups], a spread of the contributions that is none.
        positive : bool
            No contribution is negative.
        """
        with np.errstate(invalid="ignore", divide="ignore"):
            known, total = self.counts.sum(axis=0), self._sums(self.made, made)
            observed, card = self._sums(self.seen, seen)[0] / self.count, total.sum(axis=0) / known
            # of each replicate with its own number of writes, as of one write
            apart = (total - self.counts * card) / np.sqrt(self.counts)
            apart = np.where(self.counts < LEAST / 2, np.nan, apart)
            usable = np.isfinite(apart).sum(axis=0)
            t = np.sqrt(np.nansum(apart**2, axis=0) / np.maximum(usable - 1, 1))
            middle = np.nan_to_num(card)

            def moment(power: int) -> np.ndarray:
                off = (np.abs(own - middle[row]) ** power for own, row in zip(made, self.made.row))
                return self._sums(self.made, off).sum(axis=0) / known

            second, third = moment(2), moment(3)
            skew = third / np.maximum(second, least**2) ** 1.5
            limit = self.q + skew * self.a / (3 * np.sqrt(self.count))
            if positive:  # nothing pulls the mean far down
                limit = np.where(observed < card, self.q * np.sqrt(1 + card**2 / np.maximum(second, least**2)), limit)
            over = np.abs(observed - card) * np.sqrt(self.count) / np.maximum(t, least) / limit
        compared = (self.count >= LEAST) & (usable >= len(made) / 2)
        return pd.DataFrame({"observed": observed, "card": card, "over": np.where(compared, over, np.nan)})

    def _range(self) -> Iterator[tuple[str, pd.DataFrame]]:
        observed, made = (np.quantile(one.after_S, RANGE, axis=1) for one in (self.seen, self.made))
        width = max(self.grain.max(), (observed[1, 0] - observed[0, 0]) / 10)
        for name, own, of_card in zip(ENDS, observed[:, 0], made):
            apart = abs(own - of_card.mean())
            over = apart / max(of_card.std(ddof=1) * self.q, 1e-6 * width)
            values = {"observed": own, "card": of_card.mean(), "over": over, "off": apart / width}
            yield name, pd.DataFrame(values, index=[NO_GROUP])

    def _scatter(self) -> Iterator[tuple[str, pd.DataFrame]]:
        if not self.leveled:
            return
        level = self.card.states["conductance_S"].to_numpy()

        def far(changes: Changes) -> np.ndarray:
            return np.abs(changes.after_S - level[np.searchsorted((level[1:] + level[:-1]) / 2, changes.after_S)])

        seen, made = far(self.seen), far(self.made)
        # a level may be read exactly
        most = NEAR * max(np.sqrt((made**2).mean()), TINY * self.grain.mean())
        own, of_card = (np.sqrt((np.minimum(one, most) ** 2).mean(axis=1)) for one in (seen, made))
        apart, least = abs(own[0] - of_card.mean()), TINY * self.grain.mean()
        over = apart / max(of_card.std(ddof=1) * self.q, least)
        off = apart / max(min(own[0], of_card.mean()), least) / DIFFERENCE
        yield (
            "scatter",
            pd.DataFrame({"observed": own[0], "card": of_card.mean(), "over": over, "off": off}, [NO_GROUP]),
        )

    def entry(self) -> Check:
        """Return what ``card.json`` tells."""
        found = pd.concat(self.statistics, names=["statistic", "group"]).dropna(subset=["over", "off"])
        found = found.reset_index()
        wrong = found[(found["over"] > 1) & (found["off"] > 1)]
        worst = _worst(wrong if len(wrong) else found)
        name, group = worst["statistic"], int(worst["group"])
        row = group != NO_GROUP and group < self.rows
        pulses = [self._pulse(pulse) for pulse in range(self.pulses) if self.count[self.rows + pulse]]
        return Check.model_validate({
            "alarm": ALARM, "replicates": len(self.made.change_S), "statistics": len(found),
            "contradictions": len(wrong), "pulses": pulses,
            "range_S": [float(self.statistics[end]["observed"].iloc[0]) for end in ENDS],
            "range_card_S": [float(self.statistics[end]["card"].iloc[0]) for end in ENDS],
            "worst": {
                "statistic": name, "observed": float(worst["observed"]), "card": float(worst["card"]),
                "deviation": float(worst["over"]),
                "pulse": None if group == NO_GROUP else int(group // self.states if row else group - self.rows),
                "state_from": int(group % self.states) if row else None,
            },
        })  # fmt: skip

    def _pulse(self, pulse: int) -> dict[str, Any]:
        """Return the statistics of a pulse over all states, with the units of their columns."""
        found: dict[str, Any] = {"pulse": pulse, "writes": int(self.count[self.rows + pulse])}
        for name, one in self.statistics.items():
            if name not in OF_ALL:
                found |= self._named(name, one, self.rows + pulse)
        return found

    @staticmethod
    def _named(name: str, one: pd.DataFrame, group: int) -> dict[str, Any]:
        names = {"step_mean": ("step_mean_S", "step_mean_card_S"), "step_sd": ("step_sd_S", "step_sd_card_S")}
        own, card = names.get(name, (name, f"{name}_card"))
        return {own: _number(one.at[group, "observed"]), card: _number(one.at[group, "card"])}

    def table(self) -> pd.DataFrame:
        """Return `calibration.card.tables.CHECK`: the rows that were written from."""
        rows = np.flatnonzero(self.count[: self.rows])
        if self.card.rows_repeat:
            rows = rows[rows % self.states == 0]
        found = {"pulse": rows // self.states, "state_from": rows % self.states, "writes": self.count[rows].astype(int)}
        for name in ROW:
            if name in self.statistics:
                own = self.statistics[name].loc[rows]
                unit = "_S" if name.startswith("step") else ""
                found |= {f"{name}{unit}": own["observed"].to_numpy(), f"{name}_card{unit}": own["card"].to_numpy()}
            else:
                found |= {name: np.nan, f"{name}_card": np.nan}
        over = pd.concat([self.statistics[name].loc[rows, "over"] for name in ROW if name in self.statistics], axis=1)
        return pd.DataFrame({**found, "deviation": over.max(axis=1).to_numpy()})


def _worst(found: pd.DataFrame) -> pd.Series:
    """Return the statistic to name: what noise does first, as it touches all others, then the largest deviation."""
    rank = found["statistic"].map({"scatter": 0.5, "correlation": 2, "range_low": 3, "range_high": 3}).fillna(1)
    noise = (found["statistic"] == "correlation") & (found["observed"] < found["card"])
    return found.assign(rank=rank.where(~noise, 0)).sort_values(["rank", "over"], ascending=[True, False]).iloc[0]


def _number(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
