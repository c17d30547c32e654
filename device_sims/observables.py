"""What is read off a magnetisation: pure functions of m and the mask."""

from __future__ import annotations

import numpy as np

SATURATION = 0.5  # |mz| beyond which a cell counts as wholly up or down
SINGLE, LOST, MULTIPLE = "single", "lost", "multiple"


def wall_position(mz: np.ndarray, mask: np.ndarray, dx: float) -> float:
    """Return the area-equivalent position of a wall with the up domain on its left, m.

    The track of equal area whose left part, up to this position, is up. It is what the conductance of a tunnel
    junction over the track sees, and does not mind a tilted or bent wall. ``mz`` is clipped at +-0.5 and rescaled,
    so that thermal fluctuations inside the domains do not pull the position towards the middle.

    Parameters
    ----------
    mz : float[..., ny, nx]
    mask : bool[ny, nx]
    dx : float
        Cell length along the track, m.
    """
    up = (1 + np.clip(np.asarray(mz, np.float64) / SATURATION, -1, 1)) / 2
    return (up * mask).sum((-2, -1)) / mask.sum() * mz.shape[-1] * dx


def wall_state(mz: np.ndarray, mask: np.ndarray) -> str:
    """Classify a track: ``single`` wall (up left, down right), ``lost`` or ``multiple``.

    Columns are averaged over the width and called up or down where the average passes +-0.5; the number of
    changes along the track counts the walls.
    """
    profile = (np.asarray(mz, np.float64) * mask).sum(0) / np.maximum(mask.sum(0), 1)
    signs = np.sign(profile[np.abs(profile) > SATURATION])
    changes = int((np.diff(signs) != 0).sum()) if signs.size else 0
    if changes == 0:
        return LOST
    return SINGLE if changes == 1 and signs[0] > 0 else MULTIPLE


def mean_magnetisation(m: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return the mean over magnetic cells of ``m`` (``float[3, ny, nx]``), ``float64[3]``."""
    return np.asarray(m, np.float64).sum((-2, -1)) / mask.sum()
