"""Writes as they were observed, and the same writes as a card would have made them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64, Int64

from calibration.card import KernelCard
from calibration.counting.states import assign_states
from calibration.counting.writes import REST, Writes

LENGTH = 50  # readings after which a replicate starts anew from what was read
FEWEST, MOST, DRAWS = 12, 200, 2_000_000  # replicates, and outcomes in all of them
SHARP = 0.1  # of the distance of states: with less noise a reading tells the state


@dataclass(frozen=True)
class Changes:
    """Changes of the conductance by writes, observed or replicated.

    Attributes
    ----------
    change_S
        After the write less before it; after it alone, if each write begins with a reset.
    row
        pulse * states + state before, which is that of the reading before if there are readings.
    pulse
        Of each write.
    after_S
        Conductance after the write.
    follows
        Whether the write is the next one of its series after the one above it.
    """

    change_S: Float64[np.ndarray, "replicates writes"]
    row: Int64[np.ndarray, "replicates writes"]
    pulse: Int64[np.ndarray, " writes"]
    after_S: Float64[np.ndarray, "replicates writes"]
    follows: Bool[np.ndarray, " writes"]


class Source:
    """The writes behind a card.

    Parameters
    ----------
    card : KernelCard
    writes : Writes
        That it was made of.
    """

    def __init__(self, card: KernelCard, writes: Writes):
        self.card, self.writes = card, writes
        self.edges = np.array(card.meta.states.edges, dtype=np.float64)
        self.mean, self.sd = (card.states[name].to_numpy() for name in ("conductance_S", "conductance_sd_S"))
        self.noise = card.reads["noise_sd_S"].to_numpy()
        states = len(self.mean)
        kernel, self.rows_of, self.offset_of = card.kernel, {}, {}
        if card.meta.measurement is not None and card.meta.measurement.devices:
            # of devices that differ, each has rows of its own, and an offset that is none of its state
            kernel = card.extras["by_instance"]["probability"].to_numpy()
            told = [one.dump() for one in card.meta.measurement.devices]
            self.rows_of = {one["instance"]: place * len(card.pulses) * states for place, one in enumerate(told)}
            self.offset_of = {one["instance"]: one["offset_S"] for one in told}
        # all rows one after the other, rising, so that one search draws from any of them
        cumulative = np.cumsum(kernel.reshape(-1, states), axis=1)
        cumulative[:, -1] = 1.0
        self._cumulative = (np.minimum(cumulative, 1.0) + np.arange(len(cumulative))[:, None]).ravel()
        self.grain = np.abs(np.gradient(self.mean))

    def state_of(self, value: np.ndarray) -> np.ndarray:
        """Return the state, int64[...], of values of the coordinate, float64[...]."""
        return assign_states(value.ravel(), self.edges).reshape(value.shape)

    def _next(self, row: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the state after a write of each row, int64[...]."""
        at = np.searchsorted(self._cumulative, row + rng.random(row.shape), side="right")
        return np.clip(at - row * len(self.mean), 0, len(self.mean) - 1)

    def _value(self, state: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the conductance that a device has just been written to, S, as the trainer draws it."""
        if not self.sd.any():
            return self.mean[state]
        return self.mean[state] + self.sd[state] * np.sqrt(12) * (rng.random(state.shape) - 0.5)

    def changes(self, rng: np.random.Generator | None) -> Changes:
        """Return the writes as they were observed or, with ``rng``, as the card makes them."""
        return self._pairs(rng) if self.writes.readings is None else self._series(self.writes.readings, rng)

    def _pairs(self, rng: np.random.Generator | None) -> Changes:
        # in an order of their own, so that no draw depends on how the events are told
        events = self.writes.events.sort_values(["pulse", "before", "after"])
        pulse, reset = events["pulse"].to_numpy(), self.card.rows_repeat
        start = np.zeros_like(pulse) if reset else self.state_of(events["before"].to_numpy())
        before = 0.0 if reset else self.writes.conductance(events["before"].to_numpy())
        row = (pulse * len(self.mean) + start)[None]
        if rng is None:
            after = self.writes.conductance(events["after"].to_numpy())[None]
        else:
            row = np.repeat(row, replicates(len(pulse)), axis=0)
            after = self._value(self._next(row, rng), rng)
        return Changes(after - before, row, pulse, after, np.zeros(len(pulse), dtype=bool))

    def _series(self, readings: pd.DataFrame, rng: np.random.Generator | None) -> Changes:
        """Return the writes between readings as they were read or, with ``rng``, as the card would have been read.

        A replicate starts from the first reading of a series, and again after some fifty, gets the same pulses, and is
        read with the card's noise where the device was read.
        """
        series, pulse, value = (readings[name].to_numpy() for name in ("series", "pulse", "value"))
        own = readings["instance"].map(self.rows_of).fillna(0).to_numpy(np.int64)
        value = value - readings["instance"].map(self.offset_of).fillna(0).to_numpy(np.float64)
        known = np.isfinite(value)
        inside = np.append(False, series[1:] == series[:-1])
        place = pd.Series(known).groupby(series).cumsum().to_numpy() - 1  # among the known of its series
        start = known & (place % LENGTH == 0)
        written = np.flatnonzero(inside & known & np.append(False, known[:-1]) & (pulse != REST))
        follows = np.append(False, np.diff(written) == 1) & ~start[written - 1]
        if rng is None:
            before, after = value[None, written - 1], value[None, written]
        else:
            before, after = self._read(pulse, value, own, inside, start, written, rng)
        row = pulse[written] * len(self.mean) + self.state_of(before)
        return Changes(after - before, row, pulse[written], after, follows)

    def _read(
        self,
        pulse: np.ndarray,
        value: np.ndarray,
        own: np.ndarray,
        inside: np.ndarray,
        start: np.ndarray,
        written: np.ndarray,
        rng: np.random.Generator,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return replicated readings before and after each write, float64[replicates, writes] each."""
        number = replicates(len(written))
        begin, first = np.flatnonzero(start), np.flatnonzero(~inside)
        end = np.append(first[1:], len(value))[np.searchsorted(first, begin, side="right") - 1]  # of each one's series
        last = np.minimum(np.append(begin[1:], len(value)), end - 1)
        write_of = np.full(len(value), -1)
        write_of[written] = np.arange(len(written))
        before, after = np.empty((2, len(written), number))
        state = self._start(np.repeat(value[begin, None], number, axis=1), rng)
        held, read = self._value(state, rng), np.repeat(value[begin, None], number, axis=1)
        for step in range(1, int((last - begin).max(initial=0)) + 1):
            here = np.flatnonzero(begin + step <= last)
            at = begin[here] + step
            hit = here[pulse[at] != REST]
            row = own[begin[hit], None] + pulse[begin[hit] + step, None] * len(self.mean)
            state[hit] = self._next(row + state[hit], rng)
            held[hit] = self._value(state[hit], rng)
            new = held[here] + self.noise[state[here]] * rng.standard_normal((len(here), number))
            of_write = write_of[at] >= 0
            before[write_of[at[of_write]]], after[write_of[at[of_write]]] = read[here[of_write]], new[of_write]
            read[here] = new
        return before.T, after.T

    def _start(self, reading: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw the state behind each first reading, int64 of its shape: it has noise as well."""
        if (self.noise <= SHARP * self.grain).all():
            return self.state_of(reading)
        variance = self.noise**2 + self.sd**2
        weight = -((reading[:, :1] - self.mean) ** 2) / (2 * variance) - np.log(variance) / 2
        weight = np.exp(weight - weight.max(axis=1, keepdims=True)) * (self.card.states["count"].to_numpy() + 1)
        chance = np.cumsum(weight / weight.sum(axis=1, keepdims=True), axis=1)
        return (rng.random(reading.shape)[..., None] > chance[:, None, :-1]).sum(axis=-1)


def replicates(writes: int) -> int:
    """Return how many replicates there are of so many writes."""
    return int(np.clip(DRAWS // max(writes, 1), FEWEST, MOST))
