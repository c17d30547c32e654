"""Series of readings -> arrays of equal length that a filter runs over together."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64, Int64

from calibration.counting.writes import REST

LONGEST = 256  # readings; a longer series is cut, which costs its parts one reading each


@dataclass(frozen=True)
class Segments:
    """Readings by segment and place in it; what a shorter segment leaves free is filled with missing rest readings.

    Attributes
    ----------
    pulse
        Row of the models' parameters that was applied before each reading; `REST` for none.
    value
        Readings, S; NaN where there is none.
    row
        Row of `calibration.counting.writes.Writes.readings`; -1 where the segment has ended.
    device
        Place of each segment's device in ``devices``.
    factor
        Mean steps of the segment's device over those of a typical one.
    pulses
        Number of each pulse of the card that has parameters, ascending.
    devices
        Instance of each device, ascending.
    """

    pulse: Int64[np.ndarray, "segments places"]
    value: Float64[np.ndarray, "segments places"]
    row: Int64[np.ndarray, "segments places"]
    device: Int64[np.ndarray, " segments"]
    factor: Float64[np.ndarray, " segments"]
    pulses: tuple[int, ...]
    devices: tuple[int, ...]

    def without(self, rows: Bool[np.ndarray, " readings"]) -> Segments:
        """Return the segments with the readings ``rows`` taken for missing."""
        gone = np.append(rows, False)[self.row]
        return replace(self, value=np.where(gone, np.nan, self.value))

    def whole(self, values: Float64[np.ndarray, "segments places"], readings: int) -> Float64[np.ndarray, " readings"]:
        """Return values of the segments by the row of the reading; NaN for rows that are in no segment."""
        out = np.full(readings + 1, np.nan)
        out[self.row.ravel()] = values.ravel()
        return out[:-1]

    def writes(self) -> Int64[np.ndarray, " pulses"]:
        """Return how often each of `pulses` was applied."""
        return np.bincount(self.pulse[self.pulse != REST], minlength=len(self.pulses))

    def chained(self) -> int:
        """Return the number of readings between two others of their segment, which tell noise from writing."""
        return int((np.isfinite(self.value).sum(axis=1) - 2).clip(min=0).sum())


def segments(readings: pd.DataFrame) -> Segments:
    """Cut the series of `calibration.counting.writes.Writes.readings` into segments of at most `LONGEST` readings.

    A segment begins with a reading that is there. Series that have fewer than two readings tell nothing and are left
    out.
    """
    pulses = tuple(sorted(int(number) for number in readings["pulse"].unique() if number != REST))
    place = {number: index for index, number in enumerate(pulses)} | {REST: REST}
    pulse, value = readings["pulse"].map(place).to_numpy(np.int64), readings["value"].to_numpy(np.float64)
    cuts = np.flatnonzero(np.diff(readings["series"].to_numpy())) + 1
    parts = []
    for start, stop in zip([0, *cuts], [*cuts, len(value)]):
        known = start + np.flatnonzero(np.isfinite(value[start:stop]))
        while len(known) > 1:
            begin = known[0]
            end = known[known < begin + LONGEST][-1]
            if end == begin:  # a gap of a whole segment
                known = known[1:]
                continue
            parts.append((begin, end + 1))
            known = known[known >= end]
    size = max((stop - start for start, stop in parts), default=0)
    shape = (len(parts), size)
    devices, device = np.unique(readings["instance"].to_numpy(np.int64), return_inverse=True)
    own = device[[start for start, stop in parts]]
    table = Segments(
        np.full(shape, REST),
        np.full(shape, np.nan),
        np.full(shape, -1),
        own,
        np.ones(len(parts)),
        pulses,
        tuple(devices.tolist()),
    )
    for number, (start, stop) in enumerate(parts):
        places = slice(0, stop - start)
        table.pulse[number, places], table.value[number, places] = pulse[start:stop], value[start:stop]
        table.pulse[number, 0] = REST
        table.row[number, places] = np.arange(start, stop)
    return table
