"""Magnetostatic field of all cells by FFT with Newell's tensor (`newell.py`), open boundaries.

The tensor is split into the cell's own part (diagonal, local) and that of all other cells (the convolution), so that
the integrator may evaluate them at different rates; their sum is the full field, nothing is truncated.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from scipy.fft import next_fast_len

from device_sims.engines.llg.newell import tensor
from device_sims.problem import Mesh


class Kernel(NamedTuple):
    """Transforms of the non-local tensor (``[4, px // 2 + 1, py]``: xx yy zz xy, all real) and own factors."""

    spectrum: np.ndarray
    own: np.ndarray  # [3]
    padded: tuple[int, int]  # (py, px)


def kernel(mesh: Mesh) -> Kernel:
    """Return the kernel of a mesh in float64."""
    px, py = (next_fast_len(2 * n - 1, real=True) for n in (mesh.nx, mesh.ny))
    parts = tensor(mesh.nx, mesh.ny, mesh.cell_m)
    own = np.array([parts["xx"][0, 0], parts["yy"][0, 0], parts["zz"][0, 0]])
    spectra = []
    for name in ("xx", "yy", "zz", "xy"):
        part = parts[name].copy()
        part[0, 0] = 0.0
        odd = -1.0 if name == "xy" else 1.0
        full = np.zeros((py, px))
        ny, nx = mesh.ny, mesh.nx
        full[:ny, :nx] = part
        full[:ny, px - nx + 1 :] = odd * part[:, :0:-1]
        full[py - ny + 1 :, :nx] = odd * part[:0:-1, :]
        full[py - ny + 1 :, px - nx + 1 :] = part[:0:-1, :0:-1]
        # every part is even under inversion, so its transform is real
        spectra.append(np.fft.rfft2(full).real.T)
    return Kernel(np.stack(spectra), own, (py, px))


def nonlocal_field(m, spectrum, padded):
    """Return the reduced field of all other cells.

    Transforms go axis by axis, so that those along x skip the rows that are only padding.
    """
    py, px = padded
    ny, nx = m.shape[1:]
    transform = jnp.fft.fft(jnp.swapaxes(jnp.fft.rfft(m, n=px), 1, 2), n=py)
    nxx, nyy, nzz, nxy = spectrum
    product = jnp.stack(
        [
            nxx * transform[0] + nxy * transform[1],
            nxy * transform[0] + nyy * transform[1],
            nzz * transform[2],
        ]
    )
    rows = jnp.swapaxes(jnp.fft.ifft(product)[:, :, :ny], 1, 2)
    return -jnp.fft.irfft(rows, n=px)[:, :, :nx]
