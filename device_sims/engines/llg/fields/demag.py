"""Magnetostatic field of all cells by FFT with Newell's tensor (`newell.py`).

The tensor is split into the cell's own part (diagonal, local) and that of all other cells (the convolution), so that
the integrator may evaluate them at different rates; their sum is the full field, nothing is truncated.

In a periodic direction the tensor is summed over the repetitions (`newell.repeated`) and the transform needs no
padding: the field of a state that is moved along is the field moved along.
"""

from functools import lru_cache
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float
from scipy.fft import next_fast_len

from device_sims.problem import Mesh
from device_sims.problem.magnetostatics.newell import repeated, tensor

FLAT = ("xx", "yy", "zz", "xy")  # in one layer xz and yz vanish
FULL = (*FLAT, "xz", "yz")


class Kernel(NamedTuple):
    """Transforms of the non-local tensor (4 or 6 parts, all real, px // 2 + 1 columns) and own factors."""

    spectrum: Float[np.ndarray, "parts pz columns py"]
    own: Float[np.ndarray, "3"]
    padded: tuple[int, int, int]  # (pz, py, px)


@lru_cache(maxsize=4)
def kernel(mesh: Mesh) -> Kernel:
    """Return the kernel of a mesh in float64; arrays are shared, and cannot be written to."""
    wraps = mesh.wraps
    pz, py, px = (
        n if wraps[axis] or n == 1 and axis == 0 else next_fast_len(2 * n - 1, real=True)
        for axis, n in enumerate(mesh.shape)
    )
    padded = pz, py, px
    parts = repeated(mesh) if any(wraps) else tensor(mesh.nx, mesh.ny, mesh.cell_m, mesh.nz)
    own = np.array([parts[name][0, 0, 0] for name in ("xx", "yy", "zz")])
    spectra = []
    for name in FLAT if mesh.nz == 1 else FULL:
        part = parts[name].copy()
        part[0, 0, 0] = 0.0
        full = np.zeros(padded)
        for signs in np.ndindex(2, 2, 2):
            # the mirror images: negative displacements lie at the far end of the padded box, or are there already
            if any(s and (n == 1 or wraps) for s, n, wraps in zip(signs, mesh.shape, mesh.wraps)):
                continue
            mirrored = part
            for axis, sign in enumerate(signs):
                if sign:
                    mirrored = np.flip(mirrored.take(range(1, part.shape[axis]), axis), axis)
            parity = np.prod([-1.0 if sign and "zyx"[axis] in name else 1.0 for axis, sign in enumerate(signs)])
            parity = 1.0 if name[0] == name[1] else parity
            place = tuple(slice(p - n + 1, None) if s else slice(0, n) for s, n, p in zip(signs, mesh.shape, padded))
            full[place] = parity * mirrored
        # every part is even under inversion, so its transform is real
        spectra.append(np.swapaxes(np.fft.rfftn(full).real, 1, 2))
    spectrum = np.stack(spectra)
    spectrum.flags.writeable = own.flags.writeable = False
    return Kernel(spectrum, own, padded)


def nonlocal_field(
    m: Float[Array | np.ndarray, "3 nz ny nx"],
    spectrum: Float[Array | np.ndarray, "parts pz columns py"],
    padded: tuple[int, int, int],
) -> Float[Array, "3 nz ny nx"]:
    """Return the reduced field of all other cells.

    Transforms go axis by axis, so that each skips the rows that are only padding.
    """
    pz, py, px = padded
    nz, ny, nx = m.shape[1:]
    transform = jnp.fft.fft(jnp.swapaxes(jnp.fft.rfft(m, n=px), 2, 3), n=py)
    if nz > 1:
        transform = jnp.fft.fft(transform, n=pz, axis=1)
    x, y, z = transform
    nxx, nyy, nzz, nxy = spectrum[:4]
    product = [nxx * x + nxy * y, nxy * x + nyy * y, nzz * z]
    if nz > 1:
        nxz, nyz = spectrum[4:]
        product = [product[0] + nxz * z, product[1] + nyz * z, product[2] + nxz * x + nyz * y]
    back = jnp.stack(product)
    if nz > 1:
        back = jnp.fft.ifft(back, axis=1)[:, :nz]
    rows = jnp.swapaxes(jnp.fft.ifft(back)[..., :ny], 2, 3)
    return -jnp.fft.irfft(rows, n=px)[..., :nx]
