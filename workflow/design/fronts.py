"""Points that no other beats, how they are spread, and the volume that they rule. All values: the larger the better."""

from __future__ import annotations

import numpy as np


def beats(values: np.ndarray) -> np.ndarray:
    """Return whether point i beats point j, bool[points, points]; ``values`` is float[points, objectives].

    It does if it is nowhere worse and somewhere better.
    """
    values = np.asarray(values, float)
    as_good = (values[:, None] >= values[None]).all(axis=-1)
    return np.logical_and(as_good, (values[:, None] > values[None]).any(axis=-1))


def ranks(values: np.ndarray) -> np.ndarray:
    """Return the front that each point belongs to, int[points]: 0 is beaten by none, 1 by those of 0 alone."""
    over = beats(values)
    found, left = np.full(len(over), -1), np.ones(len(over), bool)
    for rank in range(len(over)):
        best = left & ~over[left].any(axis=0)
        found[best] = rank
        left &= ~best
        if not left.any():
            break
    return found


def crowding(values: np.ndarray) -> np.ndarray:
    """Return how far neighbours are, float[points]; ends are infinitely far (NSGA-II, Deb et al., 2002)."""
    values = np.asarray(values, float)
    far = np.zeros(len(values))
    for column in values.T:
        order = np.argsort(column, kind="stable")
        span = column[order[-1]] - column[order[0]]
        far[order[[0, -1]]] = np.inf
        if span > 0:
            far[order[1:-1]] += (column[order[2:]] - column[order[:-2]]) / span
    return far


def promising(values: np.ndarray, count: int) -> list[int]:
    """Return the numbers of the ``count`` best points: by front, within one those in the emptiest places; rising.

    ``values`` is float[points, objectives].
    """
    rank, far = ranks(values), np.zeros(len(values))
    for one in range(rank.max() + 1):
        own = np.flatnonzero(rank == one)
        far[own] = crowding(values[own])
    return sorted(np.lexsort((np.arange(len(rank)), -far, rank))[:count].tolist())


def spread(values: np.ndarray, count: int) -> list[int]:
    """Return the numbers of ``count`` points of a front that lie far from each other, the ends first; rising.

    The next one is that whose nearest chosen point is the farthest, in units of the front's extent; ``values`` is
    float[points, objectives].
    """
    values = np.asarray(values, float)
    extent = np.ptp(values, axis=0)
    unit = (values - values.min(axis=0)) / np.where(extent > 0, extent, 1.0)
    chosen = [int(np.argmax(unit[:, 0]))]
    while len(chosen) < min(count, len(unit)):
        gaps = np.linalg.norm(unit[:, None] - unit[chosen][None], axis=-1).min(axis=1)
        gaps[chosen] = -1.0
        chosen.append(int(np.argmax(gaps)))
    return sorted(chosen)


def hypervolume(values: np.ndarray, reference: np.ndarray) -> float:
    """Return the volume between a reference point and the points that are better than it in all objectives.

    Parameters
    ----------
    values : ndarray, float[points, objectives]
    reference : ndarray, float[objectives]
    """
    above = np.asarray(values, float).reshape(-1, len(reference)) - np.asarray(reference, float)
    return _volume(above[(above > 0).all(axis=1)])


def _volume(above: np.ndarray) -> float:
    """Return the volume of the union of boxes from the origin to each point, by slices along the last objective."""
    if not len(above):
        return 0.0
    if above.shape[1] == 1:
        return float(above.max())
    order = np.argsort(-above[:, -1], kind="stable")
    heights = np.append(above[order, -1], 0.0)
    return sum(
        _volume(above[order[: number + 1], :-1]) * (heights[number] - heights[number + 1])
        for number in range(len(order))
        if heights[number] > heights[number + 1]
    )
