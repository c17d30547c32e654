"""What does not belong to the model of the readings: outliers, and drift of a device at rest."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool

from calibration.counting.writes import REST
from calibration.measurement.level_model import Levels
from calibration.measurement.segments import Segments
from calibration.measurement.step_model import Fit, filtered

SURPRISE = 5.0  # standard deviations beyond which a reading is looked at; one in 2e6 by chance
MOST = 0.01  # share of the readings: more are no accidents but the tails of the steps
DRIFT = 3.3  # standard errors beyond which a change at rest is told; one in 1000 by chance
FEWEST = 10  # pairs of readings at rest that tell of it


def gross(table: Segments, readings: int) -> Bool[np.ndarray, " readings"]:
    """Return which readings lie outside by more than the range of nearly all others, e.g. a lost contact."""
    low, high = np.nanquantile(table.value, [0.01, 0.99])
    far = (table.value < low - (high - low)) | (table.value > high + (high - low))
    return _rows(table, far, readings)


def glitches(fit: Fit, table: Segments, readings: int) -> tuple[Bool[np.ndarray, " readings"], int]:
    """Return which readings surprise and are followed by one that does not once they are left out.

    A surprise that lasts is a long step of the device, and stays.

    Returns
    -------
    bool[readings]
    int
        Number of readings that surprise, if they are too many to be accidents; nothing is then left out.
    """
    with np.errstate(invalid="ignore"):
        odd = np.abs(fit.surprise) > SURPRISE
    if odd.sum() > max(MOST * np.isfinite(table.value).sum(), 3):
        return np.zeros(readings, dtype=bool), int(odd.sum())
    if not odd.any():
        return np.zeros(readings, dtype=bool), 0
    odd[:, 1:] &= ~odd[:, :-1]  # the reading after an outlier surprises because of it
    again = filtered(fit, table.without(_rows(table, odd, readings)))
    lone = np.zeros_like(odd)
    for segment, place in np.argwhere(odd):
        after = again[segment, place + 1 :]
        after = after[np.isfinite(after)]
        lone[segment, place] = not len(after) or abs(after[0]) < SURPRISE
    return _rows(table, lone, readings), 0


def far_from_levels(fit: Levels, table: Segments, readings: int) -> tuple[Bool[np.ndarray, " readings"], int]:
    """Return the same of a device with levels: which readings lie far from all of them."""
    with np.errstate(invalid="ignore"):
        odd = np.abs(table.value[..., None] - fit.level).min(axis=-1) > SURPRISE * fit.noise
    if odd.sum() > max(MOST * np.isfinite(table.value).sum(), 3):
        return np.zeros(readings, dtype=bool), int(odd.sum())
    return _rows(table, odd, readings), 0


def drift_at_rest(table: Segments) -> str | None:
    """Return what to tell if repeated readings of unwritten devices change by more than their scatter allows.

    One slope is fitted to all runs of readings at rest, each with an offset of its own.
    """
    rest = table.pulse == REST
    seen = np.isfinite(table.value)
    # a run is the readings from one pulse to the next
    run = (np.cumsum(~rest, axis=1) + np.arange(len(rest))[:, None] * (rest.shape[1] + 1))[seen]
    place, value = np.broadcast_to(np.arange(rest.shape[1]), rest.shape)[seen], table.value[seen]
    _, run, size = np.unique(run, return_inverse=True, return_counts=True)
    pairs = int((size - 1).sum())
    if pairs < FEWEST:
        return None
    x, y = (part - (np.bincount(run, part) / size)[run] for part in (place, value))
    power = (x**2).sum()
    slope = (x * y).sum() / power
    error = np.sqrt(((y - slope * x) ** 2).sum() / (pairs - 1) / power)
    if not abs(slope) > DRIFT * error:
        return None
    return (
        f"the device drifts at rest: by {slope:.3g} S from one reading to the next without a pulse "
        f"({pairs} pairs, standard error {error:.2g} S); the card does not have this drift"
    )


def _rows(table: Segments, chosen: np.ndarray, readings: int) -> np.ndarray:
    rows = np.zeros(readings, dtype=bool)
    rows[table.row[chosen]] = True
    return rows
