"""A magnetic body as a whole: its volume and its mean demagnetising tensor."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from device_sims.problem import geometry
from device_sims.problem.magnetostatics.newell import tensor
from device_sims.problem.parts import Geometry, Mesh


@lru_cache(maxsize=64)
def demag_tensor(shape: Geometry, mesh: Mesh) -> np.ndarray:
    """Return the mean demagnetising tensor of a body's cells, ``float64[3, 3]``.

    ``N = 1/n sum_ij N(r_i - r_j)`` over its n magnetic cells (Newell's tensor, self terms included): the field
    ``-N Ms m`` is the mean stray field of the uniformly magnetised body, ``mu0 Ms^2 V m.N.m / 2`` its energy.
    """
    inside = geometry.mask(shape, mesh).astype(float)
    # how many pairs of cells are (k, j, i) apart: a correlation; scipy.signal, which has one, takes 0.5 s to import
    size, axes = [2 * n - 1 for n in mesh.shape], (0, 1, 2)
    spectrum, reversed_spectrum = (np.fft.rfftn(one, size, axes) for one in (inside, inside[::-1, ::-1, ::-1]))
    pairs = np.rint(np.fft.irfftn(spectrum * reversed_spectrum, size, axes))
    parts = tensor(mesh.nx, mesh.ny, mesh.cell_m, mesh.nz)
    apart = np.ix_(*(np.arange(1 - n, n) for n in mesh.shape))
    near = np.ix_(*(np.abs(np.arange(1 - n, n)) for n in mesh.shape))
    mean = np.empty((3, 3))
    for name, part in parts.items():
        a, b = ("xyz".index(axis) for axis in name)
        # odd in both of its directions off the diagonal; arrays are [z, y, x]
        sign = 1 if a == b else np.sign(apart[2 - a]) * np.sign(apart[2 - b])
        mean[a, b] = mean[b, a] = (pairs * sign * part[near]).sum() / inside.sum()
    return mean


@lru_cache(maxsize=64)
def volume_m3(shape: Geometry, mesh: Mesh) -> float:
    """Return the volume of the magnetic cells."""
    return float(geometry.mask(shape, mesh).sum()) * mesh.cell_volume_m3
