"""What is beaten by nothing: as cheap and better, or cheaper and as good."""

from __future__ import annotations

import numpy as np


def front(cost: np.ndarray, value: np.ndarray) -> list[int]:
    """Return the numbers of the points that no other beats, by rising cost; equals do not beat each other.

    Parameters
    ----------
    cost, value : array_like, float[points]
        The less and the more the better.
    """
    cost, value = np.asarray(cost), np.asarray(value)
    as_good = (cost[:, None] <= cost) & (value[:, None] >= value)
    beats = as_good & ((cost[:, None] < cost) | (value[:, None] > value))
    return [place for place in np.lexsort((-value, cost)).tolist() if not beats[:, place].any()]
