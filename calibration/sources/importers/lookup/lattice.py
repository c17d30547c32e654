"""A continuous step of the conductance -> probabilities on a lattice of conductances, by its moments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Pieces:
    """A distribution made of uniform pieces; a piece of length 0 is a point.

    Attributes
    ----------
    low, high : ndarray, float64[n]
        Ends of each piece, ``low <= high``, in any unit.
    weight : ndarray, float64[n]
        Probability of each piece; they sum to 1.
    """

    low: np.ndarray
    high: np.ndarray
    weight: np.ndarray

    @classmethod
    def from_quantiles(cls, probability: np.ndarray, value: np.ndarray) -> Pieces:
        """Return the distribution of q(U), U uniform in 0..1 and q linear between the points given.

        Parameters
        ----------
        probability : ndarray, float64[n + 1]
            Strictly increasing from 0 to 1.
        value : ndarray, float64[n + 1]
            q there. Where q falls, its piece is the same as if it rose.
        """
        ends = np.sort(np.stack([value[:-1], value[1:]]), axis=0)
        return cls(ends[0], ends[1], np.diff(probability))

    def clipped(self, low: float, high: float) -> Pieces:
        """Return the distribution with all that lies outside ``low..high`` moved to the nearer end."""
        length = self.high - self.low
        # where a piece is a point, it lies on one side altogether
        safe = np.where(length > 0, length, 1.0)
        below = np.where(length > 0, np.clip((low - self.low) / safe, 0, 1), self.low < low)
        above = np.where(length > 0, np.clip((self.high - high) / safe, 0, 1), self.high > high)
        ends = np.array([low, high])
        outside = np.array([self.weight @ below, self.weight @ above])
        return Pieces(
            np.concatenate([np.clip(self.low, low, high), ends]),
            np.concatenate([np.clip(self.high, low, high), ends]),
            np.concatenate([self.weight * (1 - below - above), outside]),
        )

    @property
    def mean(self) -> float:
        """Expected value."""
        return float(self.weight @ (self.low + self.high) / 2)

    @property
    def variance(self) -> float:
        """Expected squared deviation; from deviations, because squares would cancel."""
        middle = (self.low + self.high) / 2
        return float(self.weight @ ((middle - self.mean) ** 2 + (self.high - self.low) ** 2 / 12))


def split(step: Pieces, points: int) -> np.ndarray:
    """Return probabilities on 0, 1, ..., points - 1 with the mean of ``step`` and, if they can, its variance.

    Each value is first shared linearly between its two neighbours (cloud in cell; Birdsall and Langdon, Plasma
    Physics via Computer Simulation, section 2-6). That keeps the mean m and adds E[f (1 - f)] <= 1/4 to the
    variance, f being the value's fractional part. Of all distributions on the lattice with the mean m, the one on
    the two neighbours of m has the least variance, r (1 - r) with r = m - floor(m). A mixture of the two has the
    mean m, and a variance that is linear in its share, hence is exact if the variance of ``step`` is at least
    r (1 - r). If not, the result is the least one, whose variance is too large by at most r (1 - r) <= 1/4.

    Parameters
    ----------
    step : Pieces
        In units of the lattice and within 0..points - 1.
    points : int
        At least 2.

    Returns
    -------
    ndarray, float64[points]
    """
    mean, variance = step.mean, step.variance
    wide = _shared(step, points)
    least = _shared(Pieces(np.array([mean]), np.array([mean]), np.ones(1)), points)
    highest = wide @ (np.arange(points) - mean) ** 2
    lowest = least @ (np.arange(points) - mean) ** 2
    # with equal variances both are the same distribution
    share = np.clip((highest - variance) / (highest - lowest), 0, 1) if highest > lowest else 0.0
    mixture = (1 - share) * wide + share * least
    return mixture / mixture.sum()


def _shared(step: Pieces, points: int) -> np.ndarray:
    """Return the linear sharing of each piece between lattice points."""
    lattice = np.arange(points)[:, None]
    length = step.high - step.low
    # a difference over a short length is rounding error; the middle has the same mean, and the variance is set later
    short = length < 1e-5
    middle = np.clip(1 - np.abs((step.low + step.high) / 2 - lattice), 0, None)
    rise = _hat_integral(step.high - lattice) - _hat_integral(step.low - lattice)
    return np.where(short, middle, rise / np.where(short, 1.0, length)) @ step.weight


def _hat_integral(x: np.ndarray) -> np.ndarray:
    # of max(0, 1 - |x|) from -1
    x = np.clip(x, -1, 1)
    return 0.5 + x - np.copysign(x**2, x) / 2
