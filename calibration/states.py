"""Final positions -> discrete states: where the edges lie and which state a position belongs to."""

from __future__ import annotations

import numpy as np
import pandas as pd

from spinloom.errors import UserError

FAMILIES = ("domain_wall",)  # whose writes become states here
METHODS = ("nearest_mean", "equal_width", "equal_population")


def check_count(config: dict, pulses: int) -> None:
    """Check the number of states against the number of pulses.

    Parameters
    ----------
    config : dict
        The calibration section.
    pulses : int
        Number of pulses of the sweep.

    Raises
    ------
    UserError
        If ``nearest_mean`` is asked for another number of states than there are pulses.
    """
    method, count = config["states"]["method"], config["states"]["count"]
    if method == "nearest_mean" and count != pulses:
        raise UserError(
            f"calibration.states.count: found {count}, allowed: {pulses}, the number of pulses (nearest_mean)"
        )


def state_edges(
    events: pd.DataFrame, method: str, count: int, track_length: float, where: str = "config"
) -> np.ndarray:
    """Return the edges of the position states.

    Parameters
    ----------
    events : DataFrame
        Columns ``pulse`` and ``final_position_m``, one row per write that kept its wall.
    method : {"nearest_mean", "equal_width", "equal_population"}
        ``nearest_mean``: one state per pulse; the edges lie midway between neighbouring pulses' mean positions,
        so that a position belongs to the pulse whose mean is nearest.
        ``equal_width``: the range of all positions in ``count`` equal parts.
        ``equal_population``: quantiles of all positions pooled (linear interpolation), so that each state holds
        the same number of events.
    count : int
        Number of states, at least 2.
    track_length : float
        Length of the track, m. The outermost edges are the track's ends, whatever the method: every position
        that a later write can reach has a state.
    where : str
        Name of the config file; begins the error.

    Returns
    -------
    ndarray, float64[count + 1]
        Edges, m, strictly increasing from 0 to ``track_length``.

    Raises
    ------
    UserError
        If the positions cannot carry that many states.
    """
    if count < 2:
        raise UserError(f"{where}: states.count is {count}; allowed is 2 or more")
    positions = np.sort(events["final_position_m"].to_numpy())
    if method == "nearest_mean":
        means = np.sort(events.groupby("pulse")["final_position_m"].mean().to_numpy())
        if len(means) != count:
            raise UserError(
                f"{where}: states.count is {count} but there are {len(means)} pulses; "
                "allowed with states.method nearest_mean is one state per pulse"
            )
        inner = (means[1:] + means[:-1]) / 2
    elif method == "equal_width":
        inner = np.linspace(positions[0], positions[-1], count + 1)[1:-1]
    elif method == "equal_population":
        inner = np.quantile(positions, np.arange(1, count) / count)
    else:
        raise UserError(f"{where}: states.method is {method!r}; allowed are {', '.join(METHODS)}")
    edges = np.concatenate([[0.0], inner, [track_length]])
    # two pulses with one mean still leave an edge, but no way to tell which of them a position belongs to
    apart = np.diff(means) if method == "nearest_mean" else np.diff(edges)
    # widths below rounding error mean that the positions coincide
    if np.any(apart <= 1e-12 * track_length):
        what, where_m = ("pulse means", means) if method == "nearest_mean" else ("edges", edges)
        shown = ", ".join(f"{1e9 * position:g}" for position in where_m)
        raise UserError(
            f"{where}: states.count is {count} but {what} coincide ({shown} nm, states.method {method}): "
            "the final positions are too much alike for that many states; allowed are fewer states"
        )
    return edges


def assign_states(positions: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return the state of each position.

    Parameters
    ----------
    positions : ndarray, float64[n]
        Wall positions, m.
    edges : ndarray, float64[states + 1]
        From `state_edges`. State s holds ``edges[s] < x <= edges[s + 1]``; the outermost states also hold
        what lies on or beyond the ends.

    Returns
    -------
    ndarray, int64[n]
    """
    return np.searchsorted(edges[1:-1], positions, side="left").astype(np.int64)
