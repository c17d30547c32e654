"""Values of any range -> 0 to 1, by the statistics of the training samples alone."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from spinloom.errors import UserError

ROWS = 4096  # samples at once
MOST = 1e150  # and least; the square of a value and the sum of many are floats


class Scaled(NamedTuple):
    """Samples in 0 to 1.

    ``train`` and ``test`` are float32 of their shape, ``clipped`` is the share of test values outside, ``constant`` the
    number of features that do not change in training, of ``features``.
    """

    train: np.ndarray
    test: np.ndarray
    clipped: float
    constant: int
    features: int


def axes(ndim: int, by: str, where: str) -> tuple[int, ...]:
    """Return the axes of samples [n, ...] whose values share a scale.

    Raises
    ------
    UserError
        If there are no channels.
    """
    if by == "all":
        return tuple(range(ndim))
    if by == "feature":
        return (0,)
    if ndim < 3:
        raise UserError(f"{where}: scale_by: found 'channel' for samples without channels, allowed: feature or all")
    return (0, 2) if ndim == 3 else (0, 1, 2)


def scaled(train: np.ndarray, test: np.ndarray, method: str, by: str, z_limit: float, where: str) -> Scaled:
    """Return samples scaled by min_max or z_score.

    Parameters
    ----------
    train, test : ndarray, [n, ...] and [m, ...]
        Finite.
    method : {"min_max", "z_score"}
    by : {"feature", "channel", "all"}
    z_limit : float
        Standard deviations (n) from the mean that become 0 and 1.
    where : str
        Begins the error.

    Raises
    ------
    UserError
        If values are too large or too small, or there are no channels.
    """
    shared = axes(train.ndim, by, where)
    low, high = (pick(train, axis=shared, keepdims=True).astype(np.float64) for pick in (np.min, np.max))
    size = np.maximum(abs(low), abs(high))
    if (wrong := (low != high) & ((size > MOST) | (size < 1 / MOST))).any():
        raise UserError(
            f"{where}: found values from {low[wrong][0]:g} to {high[wrong][0]:g}, allowed: {1 / MOST:g} to {MOST:g} in "
            "size, because the squares of others exceed a float"
        )
    if method == "min_max":
        span = high - low
    else:
        middle = train.mean(axis=shared, keepdims=True, dtype=np.float64)
        sd = train.std(axis=shared, keepdims=True, dtype=np.float64)
        sd = np.where(np.ptp(train, axis=shared, keepdims=True) == 0, 0.0, sd)  # rounding gives equal values a spread
        low, span = middle - z_limit * sd, 2 * z_limit * sd
    still = span == 0
    low, span = np.where(still, low - (0.5 if method == "z_score" else 0.0), low), np.where(still, 1.0, span)

    def placed(values: np.ndarray) -> np.ndarray:
        made = np.empty(values.shape, np.float32)
        for first in range(0, len(values), ROWS):  # in doubles, of which a whole file may be too many
            part = slice(first, first + ROWS)
            made[part] = (values[part] - low) / span
        return made

    own, tested = placed(train), placed(test)
    outside = float(np.mean((tested < 0) | (tested > 1)))
    constant = int((np.ptp(train, axis=0) == 0).sum())
    return Scaled(np.clip(own, 0, 1), np.clip(tested, 0, 1), outside, constant, int(train[0].size))


def within(values: np.ndarray, limits: tuple[float, float], where: str) -> np.ndarray:
    """Return values [n, ...] between ``limits`` as float32[n, ...] in 0 to 1.

    Raises
    ------
    UserError
        If one lies outside.
    """
    low, high = limits
    least, most = float(values.min()), float(values.max())
    if least < low or most > high:
        raise UserError(
            f"{where}: found values from {least:g} to {most:g} with scaling none, allowed: {low:g} to {high:g}; give "
            "the key limits, or set scaling to min_max or z_score"
        )
    return ((values - low) / (high - low)).astype(np.float32)
