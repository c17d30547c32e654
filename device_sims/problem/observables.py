"""What is read off a magnetisation: pure functions of m and the mask.

Arrays over cells are ``[nz, ny, nx]``; the functions take ``[ny, nx]`` as well.
"""

from __future__ import annotations

import numpy as np
import scipy

from device_sims.problem.parts import Mesh, Until

SATURATION = 0.5  # |mz| beyond which a cell counts as wholly up or down
SMALLEST_DOMAIN_CELLS = 9  # a smaller island of reversed cells is thermal noise, not a domain
SINGLE, LOST, MULTIPLE = "single", "lost", "multiple"
WALL, MEANS = "wall_position_m", ("mx", "my", "mz")  # columns of a trajectory's table
ANNIHILATED, NUCLEATED, LEFT_TRACK = "annihilated", "nucleated", "left_track"


def wall_position(mz: np.ndarray, mask: np.ndarray, dx: float, up_left: bool | None = True) -> np.ndarray:
    """Return the area-equivalent position of a wall, m.

    The track of equal area whose left part, up to this position, is the left domain. It is what the conductance of a
    tunnel junction over the track sees, and does not mind a tilted or bent wall. ``mz`` is clipped at +-0.5 and
    rescaled, so that thermal fluctuations inside the domains do not pull the position towards the middle.

    Parameters
    ----------
    mz : float[..., *cells]
    mask : bool[*cells]
    dx : float
        Cell length along the track, m.
    up_left : bool or None
        Whether the left domain is up; None: judged from the track's ends, state by state.

    Returns
    -------
    float64[...]
    """
    over = tuple(range(-mask.ndim, 0))
    up = (1 + np.clip(np.asarray(mz, np.float64) / SATURATION, -1, 1)) / 2
    share = (up * mask).sum(over) / mask.sum()
    if up_left is None:
        left, right = _ends(mz, mask)
        share = np.where(left >= right, share, 1 - share)
    elif not up_left:
        share = 1 - share
    return share * mask.shape[-1] * dx


def _ends(mz: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean mz of the first and of the last column that hold magnetic cells, ``float64[...]``."""
    over = tuple(range(1 - mask.ndim, 0))
    columns = _columns(mask)[[0, -1]]
    first, last = ((np.asarray(mz, np.float64)[..., c] * mask[..., c]).sum(over) / mask[..., c].sum() for c in columns)
    return first, last


def _columns(mask: np.ndarray) -> np.ndarray:
    return np.flatnonzero(mask.any(axis=tuple(range(mask.ndim - 1))))


def wall_state(mz: np.ndarray, mask: np.ndarray, up_left: bool | None = True) -> str:
    """Classify a track: ``single`` wall, ``lost`` (one domain) or ``multiple``.

    A domain is a connected region of at least 9 cells with ``|mz| > 0.5`` (mean over the thickness). The wall is
    single, however tilted or bent, if there is one up and one down domain, each holds cells of its end of the track,
    and their centroids are more than a quarter of the track apart along x: half of it for a straight wall anywhere,
    a third for the steepest diagonal, nothing for a wall along the track.

    Parameters
    ----------
    mz : float[*cells]
    mask : bool[*cells]
    up_left : bool or None
        Which domain a ``single`` wall must have on its left; None: either.
    """
    if mask.ndim == 3:
        mz = (np.asarray(mz, np.float64) * mask).sum(0) / np.maximum(mask.sum(0), 1)
        mask = np.asarray(mask.any(0))
    up, down = (_domains(sign * mz > SATURATION, mask) for sign in (1, -1))
    if not (up and down):
        return LOST
    if len(up) > 1 or len(down) > 1:
        return MULTIPLE
    columns = _columns(mask)
    for left, right, allowed in ((up[0], down[0], up_left is not False), (down[0], up[0], not up_left)):
        apart = right.mean() - left.mean() > len(columns) / 4
        if allowed and apart and left.min() == columns[0] and right.max() == columns[-1]:
            return SINGLE
    return MULTIPLE


def _domains(cells: np.ndarray, mask: np.ndarray) -> list[np.ndarray]:
    """Return the columns of the cells of each connected region that is large enough."""
    labels, _ = scipy.ndimage.label(cells & mask)
    large = np.flatnonzero(np.bincount(labels.ravel())[1:] >= SMALLEST_DOMAIN_CELLS) + 1
    return [np.nonzero(labels == label)[1] for label in large]


def wall_states(mz: np.ndarray, mask: np.ndarray, up_left: bool | None = True) -> list[str]:
    """Return `wall_state` of each record of ``mz``, ``float[n, *cells]``."""
    return [wall_state(record, mask, up_left) for record in mz]


def state_events(t_s: np.ndarray, states: list[str]) -> list[tuple[float, str]]:
    """Return when the number of walls changed, and how; ``states`` are `wall_states` at ``t_s``, float64[n].

    A lone wall can only go through an end (``left_track``); of several, some can meet (``annihilated``); and what was
    not there has been ``nucleated``. A track that starts without its wall nucleated it then.
    """
    order = {LOST: 0, SINGLE: 1, MULTIPLE: 2}
    events = []
    for t, before, after in zip(t_s, [SINGLE, *states], states):
        if order[after] > order[before]:
            events.append((float(t), NUCLEATED))
        elif order[after] < order[before]:
            events.append((float(t), LEFT_TRACK if before == SINGLE else ANNIHILATED))
    return events


def reached(until: Until, m: np.ndarray, mask: np.ndarray, mesh: Mesh) -> bool:
    """Return whether a state fulfils a condition; ``m`` is ``float[3, *cells]``, ``mask`` ``bool[*cells]``.

    Where there is no single wall, a wall's position is neither above nor below anything.
    """
    if until.observable == WALL:
        single = wall_state(m[2], mask, up_left=None) == SINGLE
        value = float(wall_position(m[2], mask, mesh.cell_m[0], up_left=None)) if single else np.nan
    else:
        value = mean_magnetisation(m, mask)[MEANS.index(until.observable)]
    if until.above is not None:
        return bool(value > until.above)
    return until.below is not None and bool(value < until.below)


def mean_magnetisation(m: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return the mean over magnetic cells of ``m`` (``float[..., 3, *cells]``), ``float64[..., 3]``."""
    return np.asarray(m, np.float64).sum(tuple(range(-mask.ndim, 0))) / mask.sum()
