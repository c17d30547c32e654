"""Newell's tensor and the field made of it."""

from __future__ import annotations

import jax
import numpy as np

from device_sims.engines.llg.fields import demag
from device_sims.problem import Geometry, Mesh
from device_sims.problem.magnetostatics import newell
from device_sims.problem.magnetostatics.body import demag_tensor
from device_sims.validation import Row

AHARONI = "Aharoni, J. Appl. Phys. 83, 3432 (1998)"
PRISMS = {(512, 64, 1): 0.969162, (600, 60, 1): 0.968054, (500, 125, 3): 0.952644, (60, 60, 1): 0.948796}


def factors():
    cube = newell.tensor(1, 1, (5e-9, 5e-9, 5e-9))
    worst = max((float(cube[name][0, 0, 0]) for name in ("xx", "yy", "zz")), key=lambda n: abs(n - 1 / 3))
    yield Row("cube", "worst of Nxx, Nyy, Nzz", 1 / 3, "symmetry", worst, 1e-12)
    for size, expected in PRISMS.items():
        obtained = float(newell.tensor(1, 1, size)["zz"][0, 0, 0])
        yield Row("prism " + "x".join(map(str, size)), "Nzz", expected, AHARONI, obtained, 1e-5)
    obtained = float(newell.tensor(1, 1, (4, 4, 1))["zz"][0, 0, 0])
    yield Row("cell 4x4x1", "Nzz", 0.650633, AHARONI, obtained, 1e-6)


def assembled():
    """The near and the far form of the tensor together: the prism's factor from the pairs of its cells."""
    mean = demag_tensor(Geometry(), Mesh(128, 16, (4e-9, 4e-9, 1e-9)))
    note = "mean over all pairs of 4 nm cells, self terms included"
    yield Row("prism 512x64x1 of cells", "Nzz", PRISMS[512, 64, 1], AHARONI, float(mean[2, 2]), 1e-5, note=note)
    yield Row("prism 512x64x1 of cells", "trace of N", 1.0, "Maxwell", float(np.trace(mean)), 1e-9)


def fft_field():
    for shape in ((1, 6, 9), (3, 4, 5)):
        nz, ny, nx = shape
        mesh = Mesh(nx, ny, (4e-9, 3e-9, 1e-9), nz)
        m = np.random.default_rng(5).normal(size=(3, *shape))
        with jax.enable_x64(True):
            kernel = demag.kernel(mesh)
            field = np.asarray(demag.nonlocal_field(jax.numpy.asarray(m), kernel.spectrum, kernel.padded))
        error = float(np.abs(field - kernel.own[:, None, None, None] * m - direct_sum(mesh, m)).max())
        name = f"{nx}x{ny}x{nz} cells, random m"
        yield Row(name, "max |H_FFT - H_sum|/Ms", 0.0, "sum over all pairs of cells", error, 1e-12)


def direct_sum(mesh: Mesh, m: np.ndarray) -> np.ndarray:
    """Return the reduced stray field of ``m``, both float64[3, nz, ny, nx], summed pair by pair."""
    parts = newell.tensor(mesh.nx, mesh.ny, mesh.cell_m, mesh.nz)
    field = np.zeros_like(m)
    for here in np.ndindex(mesh.shape):
        for there in np.ndindex(mesh.shape):
            away = np.subtract(here, there)
            field[(slice(None), *here)] -= pair(parts, away) @ m[(slice(None), *there)]
    return field


def pair(parts: dict, away) -> np.ndarray:
    """Return the tensor between two cells ``away = (k, j, i)`` apart, ``float64[3, 3]``."""
    sign = dict(zip("zyx", np.sign(away)))
    tensor = np.empty((3, 3))
    for name, part in parts.items():
        a, b = ("xyz".index(axis) for axis in name)
        odd = 1 if a == b else sign[name[0]] * sign[name[1]]
        tensor[a, b] = tensor[b, a] = odd * part[tuple(np.abs(away))]
    return tensor


CHECKS = (factors, assembled, fft_field)
QUICK = (factors, fft_field)
