"""Material constants cell by cell: uniform values, maps and regions put together."""

from __future__ import annotations

import numpy as np

from device_sims.problem import ovf
from device_sims.problem.parts import MAPPED, Mesh, Region
from device_sims.problem.problem import Problem
from spinloom.errors import UserError

POSITIVE = ("Ms_A_per_m", "alpha")
NOT_NEGATIVE = ("A_J_per_m",)


def region_mask(mesh: Mesh, region: Region) -> np.ndarray:
    """Return the cells whose centre lies in a region, ``bool[nz, ny, nx]``."""
    x = (np.arange(mesh.nx) + 0.5) * mesh.cell_m[0]
    y = (np.arange(mesh.ny) + 0.5) * mesh.cell_m[1]
    along, across = ((low <= c) & (c < high) for c, (low, high) in ((x, region.x_m), (y, region.y_m)))
    return np.broadcast_to(across[:, None] & along[None, :], mesh.shape).copy()


def constants(problem: Problem, mask: np.ndarray) -> dict[str, float | np.ndarray]:
    """Return the constants of `MAPPED` at t = 0, without any phase's factors.

    Parameters
    ----------
    problem : Problem
    mask : bool[nz, ny, nx]

    Returns
    -------
    dict
        By name: a float if no map and no region's factor is of the constant, else ``float64[nz, ny, nx]`` with the
        material's own value outside the mask.

    Raises
    ------
    UserError
        If a map does not fit the mesh, a name is not in `MAPPED`, or in some cell Ms or alpha is not positive or A is
        negative.
    """
    sources = {name: "material" for name in MAPPED}
    maps: dict[str, np.ndarray] = {}
    for entry in problem.maps:
        _known(entry.constant, "maps")
        maps[entry.constant] = ovf.on_mesh(entry.file, problem.mesh, 1)[0]
        sources[entry.constant] = entry.file.path
    factors: dict[str, np.ndarray] = {}
    for region in problem.regions:
        for name, factor in region.factors:
            _known(name, "regions")
            here = np.where(region_mask(problem.mesh, region), factor, 1.0)
            factors[name] = factors.get(name, 1.0) * here
            sources[name] += f", region '{region.name}'" if region.name else ", regions"
    values: dict[str, float | np.ndarray] = {}
    for name in MAPPED:
        uniform = float(getattr(problem.material, name))
        value = maps.get(name, uniform) * factors.get(name, 1.0)
        inside = np.broadcast_to(value, mask.shape)[mask]
        if name in POSITIVE and not (inside > 0).all():
            raise UserError(f"{sources[name]}: {name}: found {inside.min():g} in a magnetic cell, allowed: more than 0")
        if name in NOT_NEGATIVE and not (inside >= 0).all():
            raise UserError(f"{sources[name]}: {name}: found {inside.min():g} in a magnetic cell, allowed: 0 or more")
        # by what is asked for and not by what comes out, so that devices of one family have arrays of one shape
        values[name] = np.where(mask, value, uniform) if name in maps or name in factors else uniform
    return values


def _known(name: str, where: str) -> None:
    if name not in MAPPED:
        raise UserError(f"{where}: found constant '{name}', allowed: {', '.join(MAPPED)}")
