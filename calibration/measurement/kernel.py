"""Steps of a continuous conductance -> probabilities between states: points of a lattice, or intervals."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64
from scipy import special

from calibration.measurement.step_model import Steps

NODES = 8  # starts in an interval over which its row is averaged
NOTHING = 1e-9  # probabilities below are rounding errors of differences


def on_points(steps: Steps, points: Float[np.ndarray, " states"]) -> Float64[np.ndarray, "pulses states states"]:
    """Return probabilities on equally spaced conductances with the mean of the step and, if they can, its variance.

    Each landing is shared linearly between its two neighbours, which keeps the mean and widens the variance by at most
    a quarter of the squared pitch. That distribution is mixed with the narrowest of the same mean, on the two
    neighbours of the mean, so that the variance is that of the step
    (`calibration.sources.importers.lookup.lattice.split` does the same for measured quantiles). What would pass the
    first or last point, or a hard end, stops there.

    Parameters
    ----------
    steps : Steps
    points : float[states]
        Ascending, S.
    """
    pitch = points[1] - points[0]
    mean, sd = steps.at(points)
    mean, sd = (points + mean)[..., None] / pitch, np.maximum(sd[..., None] / pitch, 1e-6)
    at = points / pitch
    low, high = max(steps.low / pitch, at[0]), min(steps.high / pitch, at[-1])
    low, high = min(low, at[-2]), max(high, at[1])

    def below(x):
        # integral of the normal distribution function up to x
        z = (x - mean) / sd
        return sd * (z * special.ndtr(z) + np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi))

    # the same of the clipped variable, one point further at each end
    further = np.concatenate([[at[0] - 1], at, [at[-1] + 1]])
    inside = np.clip(further, low, high)
    total = below(inside) - below(np.full(1, low)) + np.clip(further - high, 0, None)
    wide = np.diff(total, 2, axis=-1)
    wide = np.where(wide < NOTHING, 0.0, wide)
    wide /= wide.sum(axis=-1, keepdims=True)
    centre = wide @ at
    place = np.clip((centre - at[0]), 0, len(at) - 1)[..., None]
    least = np.clip(1 - np.abs(place - np.arange(len(at))), 0, None)
    variance = _clipped_variance(mean[..., 0], sd[..., 0], low, high)
    highest, lowest = ((part * (at - centre[..., None]) ** 2).sum(axis=-1) for part in (wide, least))
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(highest > lowest, np.clip((highest - variance) / (highest - lowest), 0, 1), 0.0)[..., None]
    return (1 - share) * wide + share * least


def _clipped_variance(mean: np.ndarray, sd: np.ndarray, low: float, high: float) -> np.ndarray:
    a, b = (low - mean) / sd, (high - mean) / sd
    below, above = special.ndtr(a), special.ndtr(-b)
    pa, pb = (np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) for z in (a, b))
    first = below * a + above * b + pa - pb
    second = below * a**2 + above * b**2 + (1 - below - above) + a * pa - b * pb
    return sd**2 * np.maximum(second - first**2, 0)


def in_intervals(steps: Steps, edges: Float[np.ndarray, " edges"]) -> Float64[np.ndarray, "pulses states states"]:
    """Return probabilities between intervals, averaged over starts that are uniform in an interval.

    Parameters
    ----------
    steps : Steps
    edges : float[states + 1]
        Ascending, S; the outermost intervals hold what lies beyond.
    """
    node, weight = np.polynomial.legendre.leggauss(NODES)
    starts = (edges[:-1, None] + edges[1:, None]) / 2 + np.diff(edges)[:, None] / 2 * node
    mean, sd = steps.at(starts.ravel())
    to = (starts.ravel() + mean)[..., None]
    inner = edges[1:-1]
    share = special.ndtr((inner - to) / np.maximum(sd[..., None], 1e-300))
    share = np.where(inner < steps.low, 0.0, np.where(inner >= steps.high, 1.0, share))
    ends = np.ones((*share.shape[:-1], 1))
    rows = np.diff(np.concatenate([0 * ends, share, ends], axis=-1), axis=-1)
    return rows.reshape(len(mean), len(edges) - 1, NODES, -1).transpose(0, 1, 3, 2) @ (weight / 2)
