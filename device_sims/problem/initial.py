"""The magnetisation at t = 0."""

from __future__ import annotations

import numpy as np

from device_sims.problem import ovf
from device_sims.problem.problem import Problem
from spinloom.errors import UserError

KINDS = ("uniform", "wall", "vortex", "file")


def initial_magnetisation(problem: Problem, mask: np.ndarray) -> np.ndarray:
    """Return the initial unit magnetisation, zero outside the mask; the solver relaxes it if the problem asks so.

    The formulas of ``uniform`` and ``wall`` are those of `Initial`. The ``vortex`` is the start of mumax3's
    ``vortex(1, 1)``: with x, y and r from the middle of the box, ``(-y/r, x/r, 1.5 exp(-r^2 / (2 dx^2)))``, and +z
    where r = 0, normalised; its core relaxes within some ps.

    Parameters
    ----------
    problem : Problem
    mask : bool[nz, ny, nx]

    Returns
    -------
    float64[3, nz, ny, nx]

    Raises
    ------
    UserError
        If the kind is unknown, a direction is zero, or the file does not fit or is zero in a magnetic cell.
    """
    mesh, initial = problem.mesh, problem.initial
    m = np.zeros((3, *mesh.shape))
    x = (np.arange(mesh.nx) + 0.5) * mesh.cell_m[0]
    y = ((np.arange(mesh.ny) + 0.5 - mesh.ny / 2) * mesh.cell_m[1])[:, None]
    if initial.kind == "uniform":
        m[:] = np.asarray(initial.direction, float)[:, None, None, None]
    elif initial.kind == "wall":
        u = ((x - initial.position_m) * np.cos(initial.tilt_rad) - y * np.sin(initial.tilt_rad)) / initial.width_m
        sech = 1 / np.cosh(np.clip(u, -700, 700))  # cosh overflows at 710
        m[0] = np.cos(initial.azimuth_rad) * sech
        m[1] = np.sin(initial.azimuth_rad) * sech
        m[2] = np.tanh(-u if initial.up_left else u)
    elif initial.kind == "vortex":
        x = (np.arange(mesh.nx) + 0.5 - mesh.nx / 2) * mesh.cell_m[0]
        r = np.hypot(x, y)
        r_safe = np.where(r > 0, r, 1)
        m[0], m[1] = -y / r_safe, x / r_safe
        m[2] = 1.5 * np.exp(-(r**2) / (2 * mesh.cell_m[0] ** 2))
    elif initial.kind == "file" and initial.file is not None:
        m = ovf.on_mesh(initial.file, mesh, 3).copy()
    else:
        raise UserError(f"initial.kind: found '{initial.kind}', allowed: {', '.join(KINDS)} (file needs file)")
    m *= mask
    norm = np.sqrt((m * m).sum(0))
    if (norm[mask] == 0).any():
        source = f"{initial.file.path}: found" if initial.file is not None else "initial.direction: found"
        raise UserError(f"{source} a zero vector in a magnetic cell; allowed: vectors of any other length")
    return m / np.where(norm > 0, norm, 1)
