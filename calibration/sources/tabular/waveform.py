"""Rows of a waveform, in which pulses and reads are rows of their own -> rows of a reading after a pulse each."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

FAR = 2.0  # times the read voltage, from which on a voltage is a pulse's
SAME = 0.02  # relative difference of two reads' voltages
FEWEST = 0.2  # share of the rows that reads are at least
OHMIC = 0.9  # share of the rows whose current has the sign of the voltage, where every row has one


class Fold(NamedTuple):
    """How rows are put together.

    ``place`` int64[n] are the rows that stay, ``pulse`` int64[n] the row of the pulse before each (its own where no
    read follows the pulse), -1 where there was none; ``read_V`` is the voltage of the reads.
    """

    place: np.ndarray
    pulse: np.ndarray
    read_V: float


def fold(voltage: np.ndarray, reading: np.ndarray, current: bool, read_V: float | None) -> Fold | None:
    """Return how the rows of a waveform are put together, None if the table is none.

    Reads are all at one voltage, pulses at no less than twice that. Either rows with a pulse hold no reading, or they
    hold a current that flows during the pulse, so that all currents have the sign of their voltage, or it is said at
    which voltage is read.

    Parameters
    ----------
    voltage, reading : ndarray, float64[rows]
        NaN where there is none.
    current : bool
        The readings are currents.
    read_V : float or None
        Voltage of the reads where it is known, V.
    """
    if not len(voltage) or not np.isfinite(voltage).all():
        return None
    known, size = np.isfinite(reading), np.abs(voltage)
    if FEWEST < known.mean() < 1 - FEWEST / 4 and (size[~known] > 0).any():
        at = float(np.median(voltage[known]))
        reads = known
    elif current and (size > 0).any():
        ohmic = np.sign(reading[known & (size > 0)]) == np.sign(voltage[known & (size > 0)])
        told = read_V is not None and np.isclose(voltage, read_V, rtol=SAME, atol=0).any()
        if not told and not ((voltage < 0).any() and (voltage > 0).any() and ohmic.mean() > OHMIC):
            return None
        at = float(read_V) if told and read_V is not None else float(voltage[size > 0][size[size > 0].argmin()])
        reads = known & np.isclose(voltage, at, rtol=SAME, atol=0)
    else:
        return None
    pulses = ~reads & (size > SAME * size.max())
    alike = np.abs(voltage[reads] - at) <= SAME * max(abs(at), SAME * size.max())
    if reads.mean() < FEWEST or not pulses.any() or not alike.all() or (size[pulses] < FAR * abs(at)).any():
        return None
    rows = np.flatnonzero(reads | pulses)
    rows = rows[: len(rows) - int(np.argmax(reads[rows][::-1]))]  # what follows the last read is not seen
    is_read = reads[rows]
    follows = np.concatenate([[False], ~is_read[:-1]])  # a pulse stands before
    before = np.concatenate([[-1], rows[:-1]])
    unread = ~is_read & np.concatenate([~is_read[1:], [False]])
    stays = is_read | unread
    pulse = np.where(is_read, np.where(follows, before, -1), rows)
    return Fold(rows[stays], pulse[stays], at)
