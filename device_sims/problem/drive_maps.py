"""Fields and currents that differ from place to place: a map times a drive of the phase."""

from __future__ import annotations

import numpy as np

from device_sims.problem import material, ovf
from device_sims.problem.parts import MU0, DriveMap, Mesh
from device_sims.problem.problem import Problem
from spinloom.errors import UserError


def values(problem: Problem, drive_map: DriveMap) -> np.ndarray:
    """Return what a map is per unit of its drive, ``float64[3, nz, ny, nx]`` (field) or ``[1, nz, ny, nx]`` (current).

    Raises
    ------
    UserError
        If its file does not fit the mesh, or its region is not there.
    """
    mesh, components = problem.mesh, 3 if drive_map.acts == "field" else 1
    if drive_map.file is not None:
        return ovf.on_mesh(drive_map.file, mesh, components)
    if drive_map.pillar is not None:
        return _oersted(mesh, *drive_map.pillar)
    (region,) = [region for region in problem.regions if region.name == drive_map.region] or [None]
    if region is None:
        raise UserError(
            f"drive_maps.{drive_map.name}.region: found '{drive_map.region}', allowed: the name of a region"
        )
    direction = drive_map.direction if drive_map.acts == "field" else (1.0,)
    return material.region_mask(mesh, region) * np.reshape(direction, (components, 1, 1, 1))


def _oersted(mesh: Mesh, x_m: float, y_m: float, radius_m: float) -> np.ndarray:
    """Return the field, T per A/m2, of a uniform current along z through a long cylinder, ``float64[3, nz, ny, nx]``.

    Ampere's law: ``mu0 J r / 2`` inside and ``mu0 J R^2 / (2 r)`` outside, counterclockwise.
    """
    x = ((np.arange(mesh.nx) + 0.5) * mesh.cell_m[0] - x_m)[None, :]
    y = ((np.arange(mesh.ny) + 0.5) * mesh.cell_m[1] - y_m)[:, None]
    per_length = MU0 / 2 * np.minimum(1.0, radius_m**2 / np.maximum(x * x + y * y, 1e-300))
    return np.broadcast_to(np.stack([-y * per_length, x * per_length, 0 * per_length])[:, None], (3, *mesh.shape))
