"""Material constants cell by cell: uniform values, maps and regions put together."""

from __future__ import annotations

import numpy as np

from device_sims.problem import geometry, grains, ovf, shapes
from device_sims.problem.parts import MAPPED, Mesh, Region
from device_sims.problem.problem import Problem
from spinloom.errors import UserError

POSITIVE = ("Ms_A_per_m",)
NOT_NEGATIVE = ("A_J_per_m", "alpha")


def mask(problem: Problem) -> np.ndarray:
    """Return the cells with material, ``bool[nz, ny, nx]``: those of the geometry whose Ms is not 0.

    Raises
    ------
    UserError
        If none is left; as of `geometry.mask`.
    """
    inside = geometry.mask(problem.geometry, problem.mesh)
    if not any("Ms_A_per_m" in region.changes for region in problem.regions):
        if all(entry.constant != "Ms_A_per_m" for entry in problem.maps):
            return inside
    inside = inside & (unmasked(problem)["Ms_A_per_m"] != 0)
    if not inside.any():
        raise UserError("Ms_A_per_m: found 0 in every cell, allowed: at least one cell with material")
    return inside


def region_mask(mesh: Mesh, region: Region) -> np.ndarray:
    """Return the cells whose centre lies in a region, ``bool[nz, ny, nx]``."""
    if region.shape is not None:
        return shapes.cells(region.shape, mesh)
    x = (np.arange(mesh.nx) + 0.5) * mesh.cell_m[0]
    y = (np.arange(mesh.ny) + 0.5) * mesh.cell_m[1]
    along, across = ((low <= c) & (c < high) for c, (low, high) in ((x, region.x_m), (y, region.y_m)))
    return np.broadcast_to(across[:, None] & along[None, :], mesh.shape).copy()


def region_index(problem: Problem) -> np.ndarray:
    """Return the region of each cell, ``int64[nz, ny, nx]``: i + 1 for ``regions[i]``, 0 for none.

    Of regions that overlap it is the last.
    """
    index = np.zeros(problem.mesh.shape, np.int64)
    for number, region in enumerate(problem.regions, start=1):
        index[region_mask(problem.mesh, region)] = number
    return index


def varying(problem: Problem) -> set[str]:
    """Return what may differ from cell to cell by a map, regions, grains or smoothed edges: constants, and ``axis``."""
    names = {entry.constant for entry in problem.maps}.union(*(region.changes for region in problem.regions))
    if problem.geometry.edge_smoothing:
        names.add("Ms_A_per_m")
    return names | (grains.spreading(problem.grains) if problem.grains is not None else set())


def axis(problem: Problem) -> np.ndarray:
    """Return the axis of the anisotropy, ``float64[3, nz, ny, nx]`` if it is `varying`, else ``[3, 1, 1, 1]``."""
    uniform = np.reshape(problem.material.axis, (3, 1, 1, 1))
    if "axis" not in varying(problem):
        return uniform
    axes = np.broadcast_to(uniform, (3, *problem.mesh.shape)).copy()
    for region in problem.regions:
        if region.axis is not None:
            axes[:, region_mask(problem.mesh, region)] = np.reshape(region.axis, (3, 1))
    if problem.grains is not None and problem.grains.tilt_rad:
        axes = grains.tilted(problem.grains, problem.mesh, axes)
    return axes


def cubic_axes(problem: Problem) -> np.ndarray:
    """Return the first two cubic axes.

    Returns
    -------
    float64[2, 3, nz, ny, nx] or [2, 3, 1, 1, 1]
        The former if grains turn them or a region has its own.
    """
    if problem.grains is None or not problem.grains.random_cubic_axes:
        uniform = np.reshape(problem.material.cubic_axes, (2, 3, 1, 1, 1))
        turned = [(region, region.cubic_axes) for region in problem.regions if region.cubic_axes is not None]
        if turned:
            uniform = np.broadcast_to(uniform, (2, 3, *problem.mesh.shape)).copy()
        for region, own in turned:
            uniform[:, :, region_mask(problem.mesh, region)] = np.reshape(own, (2, 3, 1))
        return uniform
    found = grains.drawn(problem.grains, problem.mesh)
    axes = np.moveaxis(found.cubic_axes[found.number], (2, 3), (0, 1))[:, :, None]
    return np.broadcast_to(axes, (2, 3, *problem.mesh.shape))


def part(problem: Problem, mask: np.ndarray) -> float | np.ndarray:
    """Return the part of each cell that is material: 1.0, or ``float64[nz, ny, nx]`` with edge smoothing, 1 outside."""
    if not problem.geometry.edge_smoothing:
        return 1.0
    return np.where(mask, geometry.part(problem.geometry, problem.mesh), 1.0)


def constants(problem: Problem, mask: np.ndarray) -> dict[str, float | np.ndarray]:
    """Return the constants of `MAPPED` at t = 0, without any phase's factors.

    With edge smoothing all but alpha are those of the material times the `part` of a cell that it fills, so that they
    give a cell's moment and energy by its whole volume.

    Parameters
    ----------
    problem : Problem
    mask : bool[nz, ny, nx]
        Of `mask`.

    Returns
    -------
    dict
        By name: a float if no map, no region and no grains are of the constant, else ``float64[nz, ny, nx]`` with the
        material's own value outside the mask.

    Raises
    ------
    UserError
        If a map does not fit the mesh, a name is not in `MAPPED`, or in some cell Ms is not positive or A or alpha is
        negative.
    """
    sources = {name: "material" for name in MAPPED}
    for entry in problem.maps:
        sources[entry.constant] = entry.file.path
    for region in problem.regions:
        for name in sorted(region.changes - {"axis"}):
            _known(name, "regions")
            sources[name] += f", region '{region.name}'" if region.name else ", regions"
    for name in sorted(grains.spreading(problem.grains) - {"axis"}) if problem.grains is not None else ():
        sources[name] += ", grains"
    values = unmasked(problem)
    filled = part(problem, mask)
    for name, value in values.items():
        inside = np.broadcast_to(value, mask.shape)[mask]
        if name in POSITIVE and not (inside > 0).all():
            raise UserError(f"{sources[name]}: {name}: found {inside.min():g} in a magnetic cell, allowed: more than 0")
        if name in NOT_NEGATIVE and not (inside >= 0).all():
            raise UserError(f"{sources[name]}: {name}: found {inside.min():g} in a magnetic cell, allowed: 0 or more")
        if isinstance(filled, np.ndarray) and name != "alpha" and np.any(value):
            value = value * filled
        if isinstance(value, np.ndarray):
            values[name] = np.where(mask, value, float(getattr(problem.material, name)))
    return values


def unmasked(problem: Problem) -> dict[str, float | np.ndarray]:
    """Return the constants of `constants` without regard to shape, smoothing and range.

    A constant is an array by what is asked for and not by what comes out, so that devices of one family have arrays of
    one shape.
    """
    base: dict[str, float | np.ndarray] = {name: float(getattr(problem.material, name)) for name in MAPPED}
    factors: dict[str, np.ndarray] = {}
    for entry in problem.maps:
        _known(entry.constant, "maps")
        base[entry.constant] = ovf.on_mesh(entry.file, problem.mesh, 1)[0]
    for region in problem.regions:
        here = region_mask(problem.mesh, region) if region.factors or region.values else np.False_
        for name, factor in region.factors:
            _known(name, "regions")
            factors[name] = factors.get(name, 1.0) * np.where(here, factor, 1.0)
        for name, value in region.values:
            _known(name, "regions")
            base[name] = np.where(here, value, base[name])
            if name in factors:
                factors[name] = np.where(here, 1.0, factors[name])
    if problem.grains is not None:
        for name, factor in grains.factors(problem.grains, problem.mesh).items():
            factors[name] = factors.get(name, 1.0) * np.broadcast_to(factor, problem.mesh.shape)
    return {name: value * factors[name] if name in factors else value for name, value in base.items()}


def _known(name: str, where: str) -> None:
    if name not in MAPPED:
        raise UserError(f"{where}: found constant '{name}', allowed: {', '.join(MAPPED)}")
