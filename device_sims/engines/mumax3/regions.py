"""Cells gathered into mumax3's regions: at most 256 sets of cells, each with constants of its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from device_sims.problem import MAPPED, Problem, material
from spinloom.errors import UserError

MOST = 256  # a region's number is a byte


@dataclass(frozen=True)
class Regions:
    """A partition of the magnetic cells.

    Attributes
    ----------
    index : int64[nz, ny, nx]
        Number of each cell's region, 0 outside the mask.
    constants : dict of float64[n]
        Each constant of `MAPPED`, by region: the middle of its cells' values.
    driven : tuple of n tuples of str
        The problem's regions that a phase drives by name and that hold the cells of this one.
    axes : float64[n, 3]
        Axis of the anisotropy, by region.
    errors : dict of float
        Largest distance of a cell's value from its region's, of the constants for which it is not zero.
    """

    index: np.ndarray
    constants: dict[str, np.ndarray]
    driven: tuple[tuple[str, ...], ...]
    axes: np.ndarray
    errors: dict[str, float]

    @property
    def count(self) -> int:
        """Number of regions."""
        return len(self.driven)

    def note(self) -> str:
        """Return what was rounded, in a line, or '' if nothing was."""
        if not self.errors:
            return ""
        worst = ", ".join(f"{name} by at most {error:.3g}" for name, error in sorted(self.errors.items()))
        return f"constants that differ from cell to cell are rounded to {self.count} regions: {worst}"


def partition(problem: Problem, mask: np.ndarray) -> Regions:
    """Return the regions of a problem's cells: exact where 256 suffice, else with values rounded to equal bins.

    Regions that phases drive are never mixed. The number of bins is the same for each constant that varies, and as
    large as leaves at most 256 regions with cells in them.

    Parameters
    ----------
    problem : Problem
    mask : bool[nz, ny, nx]

    Raises
    ------
    UserError
        If the driven regions alone make more than 256 sets of cells.
    """
    values = material.constants(problem, mask)
    varying = {name: value[mask] for name, value in values.items() if isinstance(value, np.ndarray)}
    axis = material.axis(problem)
    if any("axis" in region.changes for region in problem.regions):
        varying |= {f"axis_{name}": component[mask] for name, component in zip("xyz", axis)}
    names = sorted({name for phase in problem.schedule for name, _ in phase.region_Ku_factors})
    held = {r.name: material.region_mask(problem.mesh, r)[mask] for r in problem.regions if r.name in names}
    inside = np.stack([held[name] for name in names], axis=1) if names else np.zeros((int(mask.sum()), 0), bool)
    patterns, membership = np.unique(inside, axis=0, return_inverse=True)
    membership = membership.reshape(-1)  # its shape has changed between versions of NumPy
    if len(patterns) > MOST:
        raise UserError(
            f"regions: found {len(patterns)} different overlaps of driven regions, allowed with mumax3: {MOST}"
        )
    number = _numbers(membership, [np.unique(value, return_inverse=True)[1].reshape(-1) for value in varying.values()])
    if number.max(initial=0) >= MOST:
        number = _rounded(membership, list(varying.values()))
    count = int(number.max(initial=0)) + 1
    order = np.argsort(number, kind="stable")
    first = np.searchsorted(number[order], np.arange(count))
    constants, errors = {}, {}
    uniform = {name: values[name] for name in MAPPED}
    uniform |= {f"axis_{name}": component.item(0) for name, component in zip("xyz", axis)}
    for name, value in uniform.items():
        if name not in varying:
            constants[name] = np.full(count, float(value))
            continue
        ordered = varying[name][order]
        low, high = np.minimum.reduceat(ordered, first), np.maximum.reduceat(ordered, first)
        constants[name] = low + (high - low) / 2  # and not (low + high) / 2, which would round equal values
        if (error := float((high - low).max() / 2)) > 0:
            errors[name] = error
    index = np.zeros(mask.shape, np.int64)
    index[mask] = number
    driven = tuple(tuple(np.array(names)[patterns[membership[order[place]]]].tolist()) for place in first)
    axes = np.stack([constants.pop(f"axis_{name}") for name in "xyz"], axis=1)
    return Regions(index, constants, driven, axes, errors)


def _numbers(first: np.ndarray, others: list[np.ndarray]) -> np.ndarray:
    """Return which combination each row is, counted from 0 in lexical order."""
    number = first
    for other in others:
        number = np.unique(number * (int(other.max(initial=0)) + 1) + other, return_inverse=True)[1].reshape(-1)
    return number


def _rounded(membership: np.ndarray, values: list[np.ndarray]) -> np.ndarray:
    """Return region numbers with as many bins of each constant as fit."""

    def binned(bins: int) -> np.ndarray:
        parts = []
        for value in values:
            width = np.ptp(value) / bins
            parts.append(np.minimum((value - value.min()) // width, bins - 1).astype(int) if width else 0 * membership)
        return _numbers(membership, parts)

    fits, fails = 1, MOST + 1
    while fails - fits > 1:
        middle = (fits + fails) // 2
        fits, fails = (middle, fails) if binned(middle).max() < MOST else (fits, middle)
    return binned(fits)
