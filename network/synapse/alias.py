"""Alias tables (Walker 1977; Vose, IEEE TSE 17, 972 (1991)) built in integers.

Probabilities are rounded to multiples of 2^-32 that sum to exactly 1; the table reproduces these multiples without
further rounding.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int32, UInt32

BITS = 32


def alias_row(
    probabilities: Float[np.ndarray, " states"], columns: int
) -> tuple[UInt32[np.ndarray, " columns"], Int32[np.ndarray, " columns"]]:
    """Build the integer alias table of one distribution.

    Parameters
    ----------
    probabilities : float64[states]
        Sum to 1.
    columns : int
        Number of columns, a power of two, at least 2 and at least the number of states.

    Returns
    -------
    threshold : uint32[columns]
        Out of the ``2^32 / columns`` words that fall into a column, how many keep the column's own state.
    alias : int32[columns]
        State taken by the other words.
    """
    total, capacity = 1 << BITS, (1 << BITS) // columns
    exact = np.asarray(probabilities, dtype=np.float64) / np.sum(probabilities) * total
    share = [int(v) for v in np.floor(exact)] + [0] * (columns - len(exact))
    # largest remainders make the sum exact; only possible outcomes may gain, an impossible one stays impossible
    order = sorted(np.flatnonzero(exact > 0).tolist(), key=lambda s: (share[s] - exact[s], s))
    lack = total - sum(share)
    for i in range(lack):
        share[order[i % len(order)]] += 1
    threshold, alias = [capacity] * columns, list(range(columns))
    small = [c for c in range(columns) if share[c] < capacity]
    large = [c for c in range(columns) if share[c] > capacity]
    while small:
        low, high = small.pop(), large[-1]
        threshold[low], alias[low] = share[low], high
        share[high] -= capacity - share[low]
        if share[high] <= capacity:
            large.pop()
            if share[high] < capacity:
                small.append(high)
    return np.array(threshold, dtype=np.uint32), np.array(alias, dtype=np.int32)
