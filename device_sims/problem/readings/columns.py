"""Columns that a problem file asks for beside those that every table has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from device_sims.problem import material, observables, shapes
from device_sims.problem.parts import Mesh, Shape
from device_sims.problem.problem import Problem
from device_sims.problem.readings import textures
from spinloom.errors import UserError

KIND = "wall_kind"  # columns of words, not of numbers


@dataclass(frozen=True)
class Column:
    """What to read off each record.

    ``kind`` is one of `KINDS`; ``component`` x, y or z is that of a wall's domains; ``region`` or ``shape`` limit it
    to some of the cells; ``name`` is appended to the names of its columns.
    """

    kind: str
    component: str = "z"
    region: str = ""
    shape: Shape | None = None
    name: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of its columns in the table."""
        own = tuple(name.format(c=self.component) for name in KINDS[self.kind][0])
        return tuple(_suffixed(name, self.name or self.region) for name in own)


def _suffixed(name: str, suffix: str) -> str:
    if not suffix:
        return name
    return f"{name[:-2]}_{suffix}_m" if name.endswith("_m") else f"{name}_{suffix}"


def _wall_position(m: np.ndarray, mask: np.ndarray, mesh: Mesh, component: int) -> tuple[float]:
    values = m[component]
    if observables.wall_state(values, mask, up_left=None) != observables.SINGLE:
        return (np.nan,)
    return (float(observables.wall_position(values, mask, mesh.cell_m[0], up_left=None)),)


def _wall_kind(m: np.ndarray, mask: np.ndarray, mesh: Mesh, component: int) -> tuple[str]:
    return (textures.wall_kind(m, mask, component),)


def _charge(m: np.ndarray, mask: np.ndarray, mesh: Mesh, component: int) -> tuple[float]:
    return (textures.topological_charge(m, mask),)


def _skyrmion(m: np.ndarray, mask: np.ndarray, mesh: Mesh, component: int) -> textures.Skyrmion:
    return textures.skyrmion(m, mask, mesh)


def _core(m: np.ndarray, mask: np.ndarray, mesh: Mesh, component: int) -> textures.Core:
    return textures.core(m, mask, mesh)


def _mean(m: np.ndarray, mask: np.ndarray, mesh: Mesh, component: int) -> tuple[float, ...]:
    return tuple(observables.mean_magnetisation(m, mask).tolist())


# by kind, the names of its columns and what makes their values for one record
KINDS: dict[str, tuple[tuple[str, ...], Callable[[np.ndarray, np.ndarray, Mesh, int], tuple]]] = {
    "wall_position": (("wall_position_{c}_m",), _wall_position),
    "wall_kind": ((KIND + "_{c}",), _wall_kind),
    "topological_charge": (("topological_charge",), _charge),
    "skyrmion": (("skyrmion_x_m", "skyrmion_y_m", "skyrmion_radius_m"), _skyrmion),
    "core": (("core_x_m", "core_y_m", "core_mz"), _core),
    "mean": (("mx", "my", "mz"), _mean),
}


def cells(problem: Problem, column: Column, mask: np.ndarray) -> np.ndarray:
    """Return the cells that a column looks at, ``bool[nz, ny, nx]``, of those of ``mask``.

    Raises
    ------
    UserError
        If there is no such region, or it holds no magnetic cell.
    """
    found = mask
    if column.region:
        named = [region for region in problem.regions if region.name == column.region]
        if not named:
            known = ", ".join(region.name for region in problem.regions if region.name) or "none has a name"
            raise UserError(f"region: found '{column.region}', allowed: the name of a region ({known})")
        found = mask & material.region_mask(problem.mesh, named[0])
    if column.shape is not None:
        found = mask & shapes.cells(column.shape, problem.mesh)
    if not found.any():
        raise UserError("found no magnetic cell in the region or shape, allowed: one cell or more")
    return found


def read_off(problem: Problem, column: Column, m: np.ndarray, mask: np.ndarray) -> dict[str, np.ndarray]:
    """Return the values of a column's columns by name, ``float64[n]`` or texts.

    Parameters
    ----------
    problem : Problem
    column : Column
    m : float[n, 3, nz, ny, nx]
    mask : bool[nz, ny, nx]
    """
    inside = cells(problem, column, mask)
    read, component = KINDS[column.kind][1], "xyz".index(column.component)
    rows = [read(one * inside, inside, problem.mesh, component) for one in m]
    return {name: np.array(row) for name, row in zip(column.names, zip(*rows))}
