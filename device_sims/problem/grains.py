"""Grains of a film: which grain each column of cells lies in, and what each grain drew.

A Poisson-Voronoi tessellation. Points are drawn tile by tile, in squares that lie at fixed places, each from a stream
of its own; so a device's grains depend neither on its cells nor on the order in which they are visited.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np

from device_sims.problem.parts import Grains, Mesh
from spinloom import streams
from spinloom.errors import UserError

TILE = 2  # grain sizes along an edge of a tile, as in mumax3's ext_makegrains
MARGIN = 4  # grain sizes beyond the box; no point within that distance has a probability of exp(-50)
MAX_GRAINS = 10**6  # beyond it a slip of the keyboard


class Drawn(NamedTuple):
    """The grains of a box."""

    number: np.ndarray  # int64[ny, nx], each column's grain
    spreads: dict[str, np.ndarray]  # standard normals by constant, float64[grains]
    tilt: np.ndarray  # the same for the two components of the tilt, float64[grains, 2]
    cubic_axes: np.ndarray  # two unit vectors at right angles, float64[grains, 2, 3]


@lru_cache(maxsize=64)
def drawn(grains: Grains, mesh: Mesh) -> Drawn:
    """Return a device's grains; arrays are shared between calls.

    Raises
    ------
    UserError
        If there are too many, or none in a periodic box.
    """
    from scipy.spatial import cKDTree  # imported here: a problem without grains needs none of it

    size = grains.size_m
    if (count := mesh.size_m[0] * mesh.size_m[1] / size**2) > MAX_GRAINS:
        raise UserError(f"grains.size_m: found {size:g}, which makes {count:.2g} grains, allowed: at most {MAX_GRAINS}")
    places, normals = _points(grains, mesh)
    grain = np.arange(len(places))  # a point and its periodic images are one grain
    for axis, periodic in enumerate(mesh.periodic):
        if periodic:
            length = mesh.size_m[axis]
            inside = (places[:, axis] >= 0) & (places[:, axis] < length)
            shift = np.where(np.arange(2) == axis, length, 0.0)
            places = np.concatenate([places[inside] + i * shift for i in (0, 1, -1)])
            grain = np.concatenate([grain[inside]] * 3)
    if not len(places):
        raise UserError(
            f"grains.size_m: found {size:g}, which is not below the size of the periodic box, allowed: a size well "
            "below that of the box"
        )
    x, y = ((np.arange(n) + 0.5) * edge for n, edge in zip((mesh.nx, mesh.ny), mesh.cell_m))
    nearest = grain[cKDTree(places).query(np.stack(np.meshgrid(x, y), axis=-1))[1]]
    chosen, number = np.unique(nearest, return_inverse=True)
    normal = normals[chosen]
    first = normal[:, 5:8] / np.linalg.norm(normal[:, 5:8], axis=1)[:, None]
    second = np.cross(first, normal[:, 8:11])
    second /= np.linalg.norm(second, axis=1)[:, None]
    return Drawn(
        number.reshape(mesh.ny, mesh.nx),
        {"Ku_J_per_m3": normal[:, 0], "Kc1_J_per_m3": normal[:, 1], "Ms_A_per_m": normal[:, 2]},
        normal[:, 3:5],
        np.stack([first, second], axis=1),
    )


def _points(grains: Grains, mesh: Mesh) -> tuple[np.ndarray, np.ndarray]:
    """Return where the grains' points lie, ``float64[n, 2]`` from the box's corner, and 11 normals of each."""
    edge = TILE * grains.size_m
    margin = MARGIN // TILE
    columns, rows = (range(-margin, int(length // edge) + 1 + margin) for length in mesh.size_m[:2])
    places, normals = [], []
    for i, j in product(columns, rows):
        rng = streams.generator(grains.seed, "grains", grains.instance, i, j)
        count = rng.poisson(TILE**2)
        places.append((np.array([i, j]) + rng.random((count, 2))) * edge)
        normals.append(rng.standard_normal((count, 11)))
    return np.concatenate(places), np.concatenate(normals)


def _spreads(grains: Grains) -> dict[str, float]:
    spreads = {"Ku_J_per_m3": grains.Ku_spread, "Kc1_J_per_m3": grains.Kc1_spread, "Ms_A_per_m": grains.Ms_spread}
    return {name: spread for name, spread in spreads.items() if spread}


def spreading(grains: Grains) -> set[str]:
    """Return the names of what differs from grain to grain: constants, and ``axis``."""
    return {*_spreads(grains), *(["axis"] if grains.tilt_rad else [])}


def factors(grains: Grains, mesh: Mesh) -> dict[str, np.ndarray]:
    """Return what constants are multiplied by, ``float64[ny, nx]`` each, of those that spread."""
    found = drawn(grains, mesh)
    return {name: (1 + spread * found.spreads[name])[found.number] for name, spread in _spreads(grains).items()}


def tilted(grains: Grains, mesh: Mesh, axis: np.ndarray) -> np.ndarray:
    """Return easy axes with each grain's tilt, ``float64[3, nz, ny, nx]`` from axes of that shape (unit vectors)."""
    found = drawn(grains, mesh)
    x, y, z = axis
    # two directions at right angles to the axis, from the one of x and z that is further from it
    upright = np.abs(z) > np.abs(x)
    helper = np.stack([upright.astype(float), np.zeros_like(x), 1.0 - upright])
    first = np.cross(axis, helper, axis=0)
    first /= np.sqrt((first**2).sum(0))
    second = np.cross(axis, first, axis=0)
    a, b = (grains.tilt_rad * found.tilt[:, i][found.number] for i in (0, 1))
    leaning = axis + a * first + b * second
    return leaning / np.sqrt((leaning**2).sum(0))
