"""A window that moves with the wall: whole columns of cells leave on one side and enter on the other.

The columns at both ends stay as they are, so that canted or charged ends of the box keep their equilibrium; what enters
is the domain beside them. A cell that a rough edge makes magnetic there has the direction of the domain too.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from device_sims.problem import Problem, material
from device_sims.problem.observables import LOST, SINGLE, wall_position, wall_state
from spinloom.errors import UserError

ENDS = 8  # of the box, the part at each end that stays


def columns_ahead(problem: Problem, m: np.ndarray, mask: np.ndarray) -> int:
    """Return by how many columns the wall is ahead of the middle of the box, whole ones only.

    Parameters
    ----------
    problem : Problem
        With a window.
    m : float[3, nz, ny, nx]
    mask : bool[nz, ny, nx]

    Raises
    ------
    UserError
        If there is no wall any more, or it went too far to be followed.
    """
    assert problem.window is not None
    component = m["xyz".index(problem.window.component)]
    state = wall_state(component, mask, up_left=None)
    if state == LOST:
        raise UserError("window: found no wall that the window can follow, allowed: one wall that stays in the track")
    if state != SINGLE:
        return 0  # it may be for a moment
    mesh = problem.mesh
    ahead = int(float(wall_position(component, mask, mesh.cell_m[0], up_left=None)) / mesh.cell_m[0] - mesh.nx / 2)
    most = mesh.nx // 2 - mesh.nx // ENDS - 1
    if abs(ahead) > most:
        raise UserError(
            f"window: found the wall {abs(ahead)} cells from the middle at a record, allowed: at most {most}; "
            "shorten outputs.record_interval_s, or start with the wall in the middle"
        )
    return ahead


def moved(problem: Problem, columns: int) -> Problem:
    """Return the problem whose window is ``columns`` further along the track."""
    first = problem.geometry.first_column + columns
    return replace(problem, geometry=replace(problem.geometry, first_column=first))


def shifted(problem: Problem, m: np.ndarray, columns: int) -> np.ndarray:
    """Return a state as it is seen from the window of ``problem``, which has moved by ``columns``.

    Parameters
    ----------
    problem : Problem
        The moved one.
    m : float[3, nz, ny, nx]
        Before the window moved.
    columns : int
        Positive along x.

    Returns
    -------
    float[3, nz, ny, nx]
    """
    if columns < 0:
        mirrored = np.flip(m, -1)
        source = np.flip(_gathered(mirrored, -columns), -1)
    else:
        source = _gathered(m, columns)
    mask = material.mask(problem)
    edge = source[..., :, -1 if columns > 0 else 0]
    mean = edge.sum((1, 2)) if edge.any() else np.zeros(3)
    domain = mean / max(float(np.sqrt((mean**2).sum())), 1e-30)
    empty = (source == 0).all(0)
    return np.where(mask, np.where(empty, domain[:, None, None, None], source), 0.0).astype(m.dtype)


def _gathered(m: np.ndarray, columns: int) -> np.ndarray:
    nx = m.shape[-1]
    end = nx // ENDS
    place = np.arange(nx)
    inside = np.minimum(place + columns, nx - end - 1)
    return m[..., np.where((place >= end) & (place < nx - end), inside, place)]
