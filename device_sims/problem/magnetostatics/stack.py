"""The stray field of one layer of a pillar in another: layers of one outline, any thickness and any distance."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from device_sims.problem import geometry
from device_sims.problem.magnetostatics.newell import between
from device_sims.problem.parts import Geometry, Mesh


@lru_cache(maxsize=256)
def normal_factor(shape: Geometry, mesh: Mesh, gap_m: float, thickness_m: float) -> float:
    """Return the mean over a layer of the normal stray field of another that is magnetised along the normal, H/M.

    Parameters
    ----------
    shape : Geometry
        The outline of both layers.
    mesh : Mesh
        Of the layer in which the field is; one layer of cells.
    gap_m : float
        From its upper face to the lower face of the other, m.
    thickness_m : float
        Of the other layer, m.

    Returns
    -------
    float
        Positive, as the field beyond the flat face of a magnet points along its magnetisation.
    """
    inside = geometry.mask(shape, mesh)[0].astype(float)
    size = [2 * n - 1 for n in inside.shape]
    spectrum, reversed_spectrum = (np.fft.rfft2(one, size) for one in (inside, inside[::-1, ::-1]))
    pairs = np.rint(np.fft.irfft2(spectrum * reversed_spectrum, size))  # of cells that are (j, i) apart
    own = mesh.size_m[2]
    field = between(mesh.nx, mesh.ny, mesh.cell_m[:2], (0.0, own), (own + gap_m, own + gap_m + thickness_m))
    near = np.ix_(*(np.abs(np.arange(1 - n, n)) for n in inside.shape))
    return float((pairs * field[near]).sum() / inside.sum())
