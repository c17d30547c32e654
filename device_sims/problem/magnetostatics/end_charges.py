"""A track that goes on beyond the box: the field of its two end faces, with the sign that removes it.

A domain magnetised along x leaves the charge Ms mx on the face where the box cuts it, whose field pulls walls to the
middle or to the ends. With ``Geometry.beyond_mx`` the opposite charges are put there, as mumax3's
``ext_rmSurfaceCharge`` does; the field is the mean over each cell (Newell), where mumax3 takes a point charge a cell.
"""

from __future__ import annotations

import numpy as np

from device_sims.problem import material
from device_sims.problem.magnetostatics.newell import face_field
from device_sims.problem.problem import Problem
from spinloom.errors import UserError


def field(problem: Problem, mask: np.ndarray) -> np.ndarray:
    """Return the field that the track beyond the box adds, ``float64[3, nz, ny, nx]``, A/m.

    Parameters
    ----------
    problem : Problem
        With ``geometry.beyond_mx``.
    mask : bool[nz, ny, nx]
        Of `material.mask`.

    Raises
    ------
    UserError
        If the mesh is periodic, or no magnetic cell lies at an end of the box.
    """
    mesh = problem.mesh
    left, right = problem.geometry.beyond_mx or (0.0, 0.0)
    if any(mesh.wraps):
        raise UserError("geometry.beyond_mx: found with mesh.periodic, allowed: a track with two ends")
    if not (mask[..., 0].any() and mask[..., -1].any()):
        raise UserError(
            "geometry.beyond_mx: found no magnetic cell at an end of the box, allowed: a track that runs through the "
            "whole box"
        )
    ms = np.where(mask, material.constants(problem, mask)["Ms_A_per_m"], 0.0)
    unit = face_field(mesh.nx, mesh.ny, mesh.nz, mesh.cell_m)
    # a domain of mx leaves -Ms mx at the left end and Ms mx at the right one
    from_left = _spread(left * ms[..., 0], unit)
    from_right = _spread(-right * ms[..., -1], unit)[..., ::-1]
    from_right[0] *= -1
    return (from_left + from_right) * mask


def reduced(problem: Problem, mask: np.ndarray) -> np.ndarray:
    """Return `field` over the material's Ms, ``float64[3, nz, ny, nx]``."""
    return field(problem, mask) / problem.material.Ms_A_per_m


def _spread(charges: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Return the field of the charges ``float64[nz, ny]`` of a face in all columns, a convolution along z and y."""
    nz, ny = charges.shape
    size = (2 * nz - 1, 2 * ny - 1)
    kernel = np.empty((3, *size, unit.shape[-1]))
    below, beside = np.arange(1 - nz, nz), np.arange(1 - ny, ny)
    kernel[:] = unit[:, np.abs(below)][:, :, np.abs(beside)]
    kernel[1] *= np.sign(beside)[None, :, None]
    kernel[2] *= np.sign(below)[:, None, None]
    # displacement 0 comes first
    spectrum = np.fft.rfft2(np.fft.ifftshift(kernel, axes=(1, 2)), axes=(1, 2))
    product = spectrum * np.fft.rfft2(charges, size)[None, :, :, None]
    return np.fft.irfft2(product, size, axes=(1, 2))[:, :nz, :ny]
