"""Cells gathered into mumax3's regions: at most 256 sets of cells, each with constants of its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from device_sims.problem import MAPPED, Problem, couplings, grains, material
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
    cubic_axes : float64[n, 2, 3]
        Its two cubic axes.
    bonds : tuple of (int, int, float)
        Two regions, and the exchange stiffness between their cells where it is not the harmonic mean of theirs, J/m.
    errors : dict of float
        Largest distance of a cell's value from its region's, of the constants for which it is not zero.
    """

    index: np.ndarray
    constants: dict[str, np.ndarray]
    driven: tuple[tuple[str, ...], ...]
    axes: np.ndarray
    cubic_axes: np.ndarray
    bonds: tuple[tuple[int, int, float], ...]
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

    Regions that phases drive, grains with axes or boundaries of their own, and what a coupling tells apart are never
    mixed. The number of bins is the same for each constant that varies, and as
    large as leaves at most 256 regions with cells in them.

    Parameters
    ----------
    problem : Problem
    mask : bool[nz, ny, nx]

    Raises
    ------
    UserError
        If what is never mixed makes more than 256 sets of cells; or if a coupling by J has faces of unlike cell edges.
    """
    values = material.constants(problem, mask)
    varying = {name: value[mask] for name, value in values.items() if isinstance(value, np.ndarray)}
    axis = material.axis(problem)
    if "axis" in material.varying(problem):
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
    apart = _numbers(membership, _apart(problem, mask))
    if (found := int(apart.max(initial=0)) + 1) > MOST:
        key = "couplings" if problem.grains is None else "grains"
        raise UserError(f"{key}: found {found} parts with exchange or axes of their own, allowed with mumax3: {MOST}")
    number = _numbers(apart, [np.unique(value, return_inverse=True)[1].reshape(-1) for value in varying.values()])
    if number.max(initial=0) >= MOST:
        number = _rounded(apart, list(varying.values()))
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
    cubic = np.broadcast_to(material.cubic_axes(problem), (2, 3, *mask.shape))[:, :, mask]
    cubic_axes = np.moveaxis(cubic[:, :, order[first]], -1, 0)
    bonds = _bonds(problem, mask, index, values["A_J_per_m"], constants["A_J_per_m"])
    return Regions(index, constants, driven, axes, cubic_axes, bonds, errors)


def _apart(problem: Problem, mask: np.ndarray) -> list[np.ndarray]:
    """Return labels of the magnetic cells; those that differ in one must be in different regions."""
    labels = []
    held = problem.grains
    if held is not None and (held.exchange_factor != 1 or held.tilt_rad or held.random_cubic_axes):
        labels.append(np.broadcast_to(grains.drawn(held, problem.mesh).number, mask.shape)[mask])
    named = {region.name: region for region in problem.regions}
    for name in sorted({name for coupling in problem.couplings for name in coupling.regions}):
        labels.append(material.region_mask(problem.mesh, named[name])[mask].astype(int))
    if any(coupling.layers is not None for coupling in problem.couplings):
        labels.append(np.broadcast_to(np.arange(mask.shape[0])[:, None, None], mask.shape)[mask])
    return labels


def _bonds(problem: Problem, mask: np.ndarray, index: np.ndarray, A, A_by_region: np.ndarray):
    """Return `Regions.bonds`."""
    if couplings.exchange_is_plain(problem):
        return ()
    found: dict[tuple[int, int], float] = {}
    for axis, bond in enumerate(couplings.stiffness(problem, mask, A)):
        following = np.roll(index, -1, axis)
        present = mask & np.roll(mask, -1, axis)
        if not problem.mesh.wraps[axis]:
            np.moveaxis(present, axis, 0)[-1] = False
        low, high = np.minimum(index, following)[present], np.maximum(index, following)[present]
        pairs, place = np.unique(low * MOST + high, return_index=True)
        for pair, value in zip(pairs.tolist(), bond[present][place].tolist()):
            pair = divmod(pair, MOST)
            if abs(found.setdefault(pair, value) - value) > 1e-9 * abs(value):
                raise UserError(
                    "couplings: found J across faces whose cells have different edges, allowed with mumax3: J across "
                    "layers, or A"
                )
    mean = {(a, b): 2 / (1 / A_by_region[a] + 1 / A_by_region[b]) for a, b in found if A_by_region[[a, b]].all()}
    return tuple((*p, A) for p, A in sorted(found.items()) if abs(A - mean.get(p, 0.0)) > 1e-9 * mean.get(p, 0.0))


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
