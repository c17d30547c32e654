"""Exchange between cells, where it is not simply the harmonic mean: between regions, layers and grains."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from device_sims.problem import grains, material
from device_sims.problem.parts import Coupling
from device_sims.problem.problem import Problem
from spinloom.errors import UserError


def exchange_is_plain(problem: Problem) -> bool:
    """Return whether all exchange is the harmonic mean of the two cells' stiffness."""
    return not problem.couplings and (problem.grains is None or problem.grains.exchange_factor == 1)


def stiffness(problem: Problem, mask: np.ndarray, A: float | np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the stiffness of the bond from each cell to the next one along z, y and x.

    Parameters
    ----------
    problem : Problem
    mask : bool[nz, ny, nx]
    A : float or float64[nz, ny, nx]
        Of the cells, J/m.

    Returns
    -------
    tuple of three float64[nz, ny, nx]
        J/m, 0 where there is no bond. A surface energy J across a face is ``A = J d / 2`` with the distance d of the
        two cells: the bond's energy ``2 A / d`` per area and ``1 - m1.m2`` is then J.

    Raises
    ------
    UserError
        If a coupling acts nowhere, or names a region that the problem does not have.
    """
    a = np.broadcast_to(np.asarray(A, float), mask.shape)
    present = [_present(problem, mask, axis) for axis in range(3)]
    bonds = [np.where(present[axis], _mean(a, axis), 0.0) for axis in range(3)]
    if problem.grains is not None and problem.grains.exchange_factor != 1:
        number = np.broadcast_to(grains.drawn(problem.grains, problem.mesh).number, mask.shape)
        for axis in (1, 2):
            bonds[axis][number != np.roll(number, -1, axis)] *= problem.grains.exchange_factor
    over = [gap.place for gap in gaps(problem, mask)]
    filled = [_mean(np.broadcast_to(material.part(problem, mask), mask.shape), axis) for axis in range(3)]
    for place, coupling in enumerate(problem.couplings):
        found = place in over
        for axis, distance in enumerate(reversed(problem.mesh.cell_m)):
            faces = _faces(problem, coupling, place, axis) & present[axis]
            found = found or bool(faces.any())
            if coupling.factor is not None:
                bonds[axis][faces] *= coupling.factor
            elif coupling.A_J_per_m is not None:
                bonds[axis][faces] = coupling.A_J_per_m * filled[axis][faces]
            elif coupling.J_J_per_m2 is not None:
                bonds[axis][faces] = coupling.J_J_per_m2 * distance / 2 * filled[axis][faces]
        if not found:
            raise UserError(f"couplings.{place}: found two parts that do not touch, allowed: parts with a common face")
    return bonds[0], bonds[1], bonds[2]


def _mean(values: np.ndarray, axis: int) -> np.ndarray:
    """Return the harmonic mean of a cell's and the next one's value."""
    following = np.roll(values, -1, axis)
    return 2 * values * following / (values + following + 1e-300)


class Gap(NamedTuple):
    """A coupling of two layers across empty cells."""

    place: int  # of the coupling in the problem
    low: int  # layer
    high: int  # layer
    J_J_per_m2: float
    part: np.ndarray  # float64[ny, nx], of each column: 0 unless both are magnetic and nothing in between is


def gaps(problem: Problem, mask: np.ndarray) -> list[Gap]:
    """Return the couplings that act across empty cells; ``mask`` is ``bool[nz, ny, nx]``.

    Raises
    ------
    UserError
        If a layer is not there, or anything but J is to act across empty cells.
    """
    found = []
    for place, coupling in enumerate(problem.couplings):
        if coupling.layers is None:
            continue
        low, high = coupling.layers
        if not 0 <= low < high < problem.mesh.nz:
            raise UserError(
                f"couplings.{place}.layers: found {low} and {high}, allowed: two layers from 0 to "
                f"{problem.mesh.nz - 1}, the lower one first"
            )
        if high == low + 1:
            continue
        if coupling.J_J_per_m2 is None:
            raise UserError(
                f"couplings.{place}: found layers {low} and {high}, which do not touch, allowed across empty cells: J"
            )
        columns = mask[low] & mask[high] & ~mask[low + 1 : high].any(0)
        if columns.any():
            filled = np.broadcast_to(material.part(problem, mask), mask.shape)[[low, high]]
            found.append(Gap(place, low, high, coupling.J_J_per_m2, np.where(columns, _mean(filled, 0)[0], 0.0)))
    return found


def _present(problem: Problem, mask: np.ndarray, axis: int) -> np.ndarray:
    """Return whether a cell and the next one along an axis are both magnetic."""
    there = mask & np.roll(mask, -1, axis)
    if not problem.mesh.wraps[axis]:
        np.moveaxis(there, axis, 0)[-1] = False
    return there


def _faces(problem: Problem, coupling: Coupling, place: int, axis: int) -> np.ndarray:
    """Return whether the face between a cell and the next one along an axis is a coupling's, ``bool[nz, ny, nx]``."""
    shape = problem.mesh.shape
    if coupling.layers is not None:
        faces = np.zeros(shape, bool)
        low, high = coupling.layers
        if axis == 0 and high == low + 1:
            faces[low] = True
        return faces
    held = {region.name: region for region in problem.regions}
    for name in coupling.regions:
        if name not in held:
            allowed = ", ".join(filter(None, held)) or "none: there is no region with a name"
            raise UserError(f"couplings.{place}.regions: found '{name}', allowed: {allowed}")
    inside = [material.region_mask(problem.mesh, held[name]) for name in coupling.regions]
    one = inside[0]
    other = inside[1] if len(inside) > 1 else ~one
    one, other = one & ~other, other & ~one
    return one & np.roll(other, -1, axis) | other & np.roll(one, -1, axis)
