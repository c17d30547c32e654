"""What turns a moment: its constants, the rate of the equation of motion, and Heun's step."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Spin(NamedTuple):
    """What a lane keeps for its whole run, on the host; fields times ``gamma0 dt``, so in radians per step."""

    demag: np.ndarray  # [3, 3]
    ku: float  # 2 Ku/(mu0 Ms)
    ku2: float  # 4 Ku2/(mu0 Ms)
    axis: np.ndarray  # [3]
    p: np.ndarray  # [3], spin polarisation
    ratio: float  # field-like over damping-like
    square: float  # Lambda^2
    alpha: float
    noise: float  # sd of the thermal field


class Spins(NamedTuple):
    """The lanes' `Spin`s on the device: each field with a trailing axis of lanes."""

    demag: jax.Array
    ku: jax.Array
    ku2: jax.Array
    axis: jax.Array
    p: jax.Array
    ratio: jax.Array
    square: jax.Array
    alpha: jax.Array
    noise: jax.Array


def _cross(a, b):
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


def rate(spin: Spins, drives, m, noise):
    """Return dm per step."""
    p, axis, n = spin.p, spin.axis, spin.demag
    c = axis[0] * m[0] + axis[1] * m[1] + axis[2] * m[2]
    uniaxial = (spin.ku * drives[0] + spin.ku2 * (1 - c * c)) * c
    along = p[0] * m[0] + p[1] * m[1] + p[2] * m[2]
    a = drives[1] * 2 * spin.square / (spin.square + 1 + (spin.square - 1) * along)
    torque = _cross(m, p)
    h = [
        uniaxial * axis[i]
        + a * (torque[i] + spin.ratio * p[i])
        + drives[2 + i]
        + noise[i]
        - (n[i, 0] * m[0] + n[i, 1] * m[1] + n[i, 2] * m[2])
        for i in range(3)
    ]
    t = _cross(m, h)
    u = _cross(m, t)
    return [-(t[i] + spin.alpha * u[i]) / (1 + spin.alpha**2) for i in range(3)]


def step(spin: Spins, at, m, noise, number):
    """Return the moments after a step; ``at(number)`` are the drives of a step."""
    field = [spin.noise * noise[i] for i in range(3)]
    m = [m[i] for i in range(3)]
    k1 = rate(spin, at(number), m, field)
    k2 = rate(spin, at(number + 1), [m[i] + k1[i] for i in range(3)], field)
    m = [m[i] + (k1[i] + k2[i]) / 2 for i in range(3)]
    norm = jnp.sqrt(m[0] * m[0] + m[1] * m[1] + m[2] * m[2])
    return jnp.stack([m[i] / norm for i in range(3)])
