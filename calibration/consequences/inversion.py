"""From the probability that is wanted to the pulse that gives it.

A pulse whose duration is taken proportional to the wanted probability does almost nothing below the dead zone, the
largest duration that switches with at most 1 %: small gradients are then ignored altogether. The inverse t(p) removes
it.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import scipy

from calibration.card import KernelCard
from calibration.card.tables import INVERSE, conform
from spinloom.quantities import DRIVES

PROBABILITIES = (0.01, 0.02, 0.05, *np.round(np.arange(0.1, 0.95, 0.1), 1).tolist(), 0.95, 0.98, 0.99)
EXACT = ("law", "given")  # bases of rows that nobody counted: their probability is no estimate


class Counted:
    """Monotone P(t) through counted pulses: isotonic regression, then straight lines over ln t.

    Parameters
    ----------
    duration_s, probability, weight : ndarray, float64[n]
        Pulses of one voltage and temperature with different durations; ``weight`` their numbers of writes.
    """

    def __init__(self, duration_s, probability, weight):
        order = np.argsort(duration_s)
        self._log_t = np.log(np.asarray(duration_s, float)[order])
        weight = np.maximum(np.asarray(weight, float)[order], 1e-9)
        self._p = scipy.optimize.isotonic_regression(np.asarray(probability, float)[order], weights=weight).x

    @property
    def rise(self) -> float:
        """How much the probability grows from the shortest to the longest pulse."""
        return float(self._p[-1] - self._p[0])

    def duration(self, probability) -> np.ndarray:
        """Return the shortest t with P(t) = p in s, float64[...]; NaN outside the counted probabilities."""
        # of a flat piece only its beginning counts: it is the shortest pulse
        first = np.concatenate([[True], np.diff(self._p) > 0])
        ends = np.concatenate([np.flatnonzero(first)[1:] - 1, [len(first) - 1]])
        p, log_t = [], []
        for begin, end in zip(np.flatnonzero(first), ends):
            p.append(self._p[begin])
            log_t.append((self._log_t[begin], self._log_t[end]))
        wanted = np.asarray(probability, float)
        out = np.full(wanted.shape, np.nan)
        for k in range(len(p)):
            out = np.where(wanted == p[k], np.exp(log_t[k][0]), out)
            if k:
                # only inside: between two plateaus almost alike the line is so steep that it overflows elsewhere
                inside = (wanted > p[k - 1]) & (wanted < p[k])
                share = (wanted[inside] - p[k - 1]) / (p[k] - p[k - 1])
                out[inside] = np.exp(log_t[k - 1][1] + share * (log_t[k][0] - log_t[k - 1][1]))
        return out


def inverse_of_card(card: KernelCard, probabilities=PROBABILITIES, where: str = "card") -> pd.DataFrame | None:
    """Return the pulses for a grid of probabilities by the card's own pulses, between their durations only.

    For every change of state, voltage and temperature with pulses of two or more durations whose probabilities grow
    with the duration, and not by chance: the interval of a longer pulse lies above that of a shorter one, and none lies
    below (rows by a law or as given are exact; a precessional probability goes up and down and has no inverse). If
    pulses of two directions (or channels) share a voltage, the one that makes the change counts: that with the larger
    rise. ``duration_s`` is empty where no pulse within the durations gives the probability.

    Pulses are compared that differ in their duration alone. The table knows pulses by their voltage, so those without
    one have no inverse, nor have those whose voltage comes with several current densities or fields. None if nothing
    is left.
    """
    pulses = card.pulses.dropna(subset=["voltage_V", "duration_s"])
    shape = card.kernel.shape
    columns = {name: card.transitions[name].to_numpy().reshape(shape) for name in ("effective_count", "basis")}
    effective, exact = columns["effective_count"].sum(axis=-1), np.isin(columns["basis"], EXACT)
    low, high = (
        np.where(exact, card.kernel, card.transitions[name].to_numpy(float).reshape(shape))
        for name in ("ci_low", "ci_high")
    )
    best: dict[tuple, tuple[float, pd.DataFrame]] = {}
    for (voltage, temperature, *_), group in pulses.groupby(["voltage_V", "temperature_K", "channel", "polarity"]):
        group = group.sort_values("duration_s")
        rows = group["pulse"].to_numpy()
        durations = group["duration_s"].to_numpy()
        several = len(group.drop_duplicates(list(DRIVES[1:]))) > 1
        if several or len(np.unique(durations)) < max(2, len(durations)):
            continue
        for start, end in np.argwhere(~np.eye(len(card.states), dtype=bool)):
            least = np.fmin.accumulate(high[rows, start, end])
            most = np.fmax.accumulate(low[rows, start, end])
            rises = (low[rows[1:], start, end] > least[:-1]).any()
            falls = (high[rows[1:], start, end] < most[:-1]).any()
            if falls or not rises:
                continue
            law = Counted(durations, card.kernel[rows, start, end], effective[rows, start])
            key = (start, end, voltage, temperature)
            if law.rise > best.get(key, (0.0, None))[0]:
                found = law.duration(np.asarray(probabilities))
                best[key] = (law.rise, _block(start, end, voltage, temperature, probabilities, found))
    if not best:
        return None
    return conform(pd.concat([block for _, block in best.values()], ignore_index=True), INVERSE, where)


def _block(state_from, state_to, voltage, temperature, probabilities, durations) -> pd.DataFrame:
    durations = np.asarray(durations, float)
    return pd.DataFrame(
        {
            "state_from": np.int64(state_from),
            "state_to": np.int64(state_to),
            "voltage_V": float(voltage),
            "temperature_K": float(temperature),
            "probability": np.asarray(probabilities, float),
            "duration_s": np.where(np.isfinite(durations), durations, np.nan),
        }
    )
