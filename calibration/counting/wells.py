"""States of a device that rests in wells, as a wall in notches does: edges midway between where its writes settled."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from calibration.counting.states import apart, assign_states, shown
from spinloom.errors import UserError


def well_edges(
    values: Float[np.ndarray, " writes"], wells: tuple[float, ...], bounds: tuple[float, float], unit: str, where: str
) -> Float[np.ndarray, " edges"]:
    """Return the edges of the states of a device that rests in wells: midway between where the writes settled.

    A well is the median of the values that are nearest to it, found by iteration (Lloyd's, with medians) from where
    the device has it by design.

    Parameters
    ----------
    values : float[writes]
        What the writes led to, in the coordinate.
    wells : tuple of float
        By design, rising.
    bounds, unit, where
        As of `state_edges`.

    Raises
    ------
    UserError
        If a well was never reached, or lies outside of the bounds.
    """
    centres = np.asarray(wells, dtype=float)
    for _ in range(len(values)):
        of = assign_states(values, np.concatenate([[bounds[0]], (centres[1:] + centres[:-1]) / 2, [bounds[1]]]))
        empty = np.setdiff1d(np.arange(len(centres)), of)
        if len(empty):
            raise UserError(
                f"{where}: states.method: found wells, but no write ended in well {empty[0]} "
                f"({shown([float(centres[empty[0]])], unit)}), allowed: writes that reach each of the {len(wells)}"
            )
        settled = np.array([np.median(values[of == number]) for number in range(len(centres))])
        if np.array_equal(settled, centres):
            break
        centres = settled
    edges = np.concatenate([[bounds[0]], (centres[1:] + centres[:-1]) / 2, [bounds[1]]])
    apart(edges, edges, "wells", "wells", unit, where)
    return edges
