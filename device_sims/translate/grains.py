"""Voronoi grains as mumax3 makes them, and the field that makes up for the charges at the ends of a wire."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.spatial import cKDTree

from device_sims.translate.world import Mesh
from spinloom import streams

TILE = 2  # edge of a tile of the plane in grains: four grains are expected in it


def voronoi(size_m: float, regions: int, seed: int) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Return the function that gives the region of each place, from the middle of the box.

    Centres are a Poisson process of one in ``size_m`` squared, each with a region drawn from 0 to ``regions - 1``; a
    tile's centres come from a stream of its own, so the grains do not depend on the size of the box.
    """
    edge = TILE * size_m

    def region_of(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        tiles = [range(int(np.floor(c.min() / edge)) - 2, int(np.floor(c.max() / edge)) + 3) for c in (x, y)]
        centres, numbers = [], []
        for i in tiles[0]:
            for j in tiles[1]:
                rng = streams.generator(seed, "mumax3", "grains", i, j)
                count = rng.poisson(TILE**2)
                centres.append((rng.random((count, 2)) + (i, j)) * edge)
                numbers.append(rng.integers(regions, size=count))
        nearest = cKDTree(np.concatenate(centres)).query(np.column_stack([x, y]))[1]
        return np.concatenate(numbers)[nearest]

    return region_of


def surface_charges(mesh: Mesh, left: float, right: float, ms_T: float) -> np.ndarray:
    """Return the field, float64[3, nz, ny, nx] in T, of charges that cancel those of a wire's two ends.

    The charge of an end cell of mx = +-1, ``mu0 Ms`` times its face, sits in the middle of its face.
    """
    place = np.array(mesh.places())
    charge = ms_T * mesh.cell_m[1] * mesh.cell_m[2] / (4 * np.pi)
    field = np.zeros_like(place)
    for k in range(mesh.cells[2]):
        for j in range(mesh.cells[1]):
            _, y, z = mesh.centre(0, j, k)
            for x, own in ((-mesh.size_m[0] / 2, left), (mesh.size_m[0] / 2, -right)):
                apart = place - np.array([[x], [y], [z]])
                field += own * charge * apart / np.sum(apart**2, axis=0) ** 1.5
    return field.reshape(3, *mesh.shape)
