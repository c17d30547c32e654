"""From near a saddle to the saddle itself: Newton's method that goes up along one mode and down along all others.

A minimum is found in the same way, without the mode that goes up: where a well is shallow, steepest descent is slow.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import numpy as np
from scipy.sparse.linalg import LinearOperator, minres

from device_sims.barriers.curvature import Curvature, Curvatures
from device_sims.barriers.sphere import moved

LARGEST_TURN = 0.15  # rad
WATCHED = 4  # lowest modes that are followed each for itself


class Saddle(NamedTuple):
    """A stationary state."""

    m: np.ndarray  # float64[3, nz, ny, nx]
    curvature: Curvature
    modes: np.ndarray  # float64[k], the lowest eigenvalues of the Hessian
    vectors: np.ndarray  # float64[2 n, k]
    force: float  # largest field at right angles to m, over Ms0
    converged: bool

    @property
    def down(self) -> int:
        """How many directions lead down."""
        return int((self.modes < -FLAT).sum())


LEAST = 1e-5  # curvature by which a slope is divided at least
FLAT = 1e-7  # an eigenvalue nearer to 0, in units of mu0 Ms0^2 V, is that of a direction without any slope
TOLERANCE = 1e-7


def refined(
    family: Curvatures, m: np.ndarray, way: np.ndarray | None, tolerance: float = TOLERANCE, steps: int = 60
) -> Saddle:
    """Return the saddle, or without a ``way`` the minimum, near a state.

    Parameters
    ----------
    family : Curvatures
    m : ndarray, float64[3, nz, ny, nx]
        Highest state of a path that has converged.
    way : ndarray, float64[3, nz, ny, nx], or None
        The path's direction there: the mode nearest to it is the one that is climbed.
    tolerance : float
        Largest field at right angles to m that is left, over Ms0.
    steps : int
        At most so many.

    Returns
    -------
    Saddle
        Of any index: whoever asks looks whether it is 1.
    """
    start = followed = None
    for _ in range(steps):
        here = family.at(m)
        values, vectors = here.lowest(WATCHED, start)
        force = _largest(here.force)
        if force <= tolerance:
            return Saddle(m, here, values, vectors, force, True)
        start = vectors.sum(1)
        up = None
        if way is not None:
            ahead = here.coordinates(way if followed is None else followed)
            up = int(np.abs(vectors.T @ ahead).argmax())
            followed = here.vector(vectors[:, up])
        x = _step(here, values, vectors, up)
        turn = here.vector(x)
        m = np.asarray(_moved(m, turn * min(1.0, LARGEST_TURN / max(_largest(turn), 1e-30))))
    here = family.at(m)
    values, vectors = here.lowest(WATCHED, start)
    force = _largest(here.force)
    return Saddle(m, here, values, vectors, force, bool(force <= tolerance))


def _step(here: Curvature, values: np.ndarray, vectors: np.ndarray, up: int | None) -> np.ndarray:
    """Return the step in coordinates: up along one mode, exact in the other lowest ones, by MINRES in what is left."""
    slopes = vectors.T @ here.gradient
    along = -slopes / np.maximum(np.abs(values), LEAST)
    if up is not None:
        along[up] *= -1
    along[np.abs(values) < FLAT] = 0.0

    def rest(x):
        return x - vectors @ (vectors.T @ x)

    projected = LinearOperator(
        (here.size, here.size), matvec=lambda x: rest(here.product(rest(np.ravel(x)))), dtype=np.float64
    )
    right = -rest(here.gradient)
    size = float(np.linalg.norm(right))
    others = minres(projected, right, rtol=min(1e-2, max(1e-6, size)), maxiter=400)[0] if size > 0 else 0 * right
    return rest(others) + vectors @ along


def _largest(v: np.ndarray) -> float:
    return float(np.sqrt((v**2).sum(0)).max())


def _moved(m: np.ndarray, turn: np.ndarray) -> np.ndarray:
    with jax.enable_x64(True):
        return np.asarray(moved(m, turn))
