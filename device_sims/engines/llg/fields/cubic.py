"""Cubic anisotropy, w = Kc1 (a1^2 a2^2 + a2^2 a3^2 + a3^2 a1^2) + Kc2 a1^2 a2^2 a3^2.

a are m's components along two given axes at right angles and their cross product (Vansteenkiste et al., AIP Advances 4,
107133 (2014), section III.D, whose Kc1 and Kc2 these are). H = -dw/dm / (mu0 Ms); w is zero along the axes.
"""

from typing import NamedTuple

import numpy as np
from jax import Array
from jaxtyping import Bool, Float

from device_sims.engines.llg.fields import Coefficient, Triple
from device_sims.problem import MU0, Problem, material


class Coefficients(NamedTuple):
    """What the field needs of the material."""

    kc1: Coefficient  # 2 Kc1 / (mu0 Ms0 Ms)
    kc2: Coefficient  # 2 Kc2 / (mu0 Ms0 Ms)
    axes: Float[Array | np.ndarray, "3 3 ..."]  # three axes, their components, cells if they differ


def prepare(problem: Problem, constants: dict, mask: Bool[np.ndarray, "nz ny nx"]) -> Coefficients:
    """Return the reduced strengths and the three axes."""
    unit = 2 / (MU0 * problem.material.Ms_A_per_m * constants["Ms_A_per_m"])
    first, second = material.cubic_axes(problem)
    axes = np.stack([first, second, np.cross(first, second, axis=0)])
    return Coefficients(
        constants["Kc1_J_per_m3"] * unit, problem.material.Kc2_J_per_m3 * material.part(problem, mask) * unit, axes
    )


def components(m: Triple, axes) -> Triple:
    """Return m's components along the axes."""
    a, b, c = (axis[0] * m[0] + axis[1] * m[1] + axis[2] * m[2] for axis in axes)
    return a, b, c


def field(m: Triple, coefficients: Coefficients) -> Triple:
    """Return the reduced cubic anisotropy field."""
    axes = coefficients.axes
    a, b, c = components(m, axes)
    a2, b2, c2 = a * a, b * b, c * c
    kc1, kc2 = coefficients.kc1, coefficients.kc2
    along = (
        -(kc1 * (b2 + c2) + kc2 * b2 * c2) * a,
        -(kc1 * (c2 + a2) + kc2 * c2 * a2) * b,
        -(kc1 * (a2 + b2) + kc2 * a2 * b2) * c,
    )
    first, second, third = axes
    x, y, z = (along[0] * first[i] + along[1] * second[i] + along[2] * third[i] for i in range(3))
    return x, y, z


def density(m: Float[np.ndarray, "3 nz ny nx"], coefficients: Coefficients) -> Float[np.ndarray, "nz ny nx"]:
    """Return the energy density over ``mu0 Ms0 Ms``, in float64."""
    a, b, c = components((m[0], m[1], m[2]), np.asarray(coefficients.axes, np.float64))
    a2, b2, c2 = a * a, b * b, c * c
    kc1, kc2 = (np.asarray(k, np.float64) for k in (coefficients.kc1, coefficients.kc2))
    return kc1 / 2 * (a2 * b2 + b2 * c2 + c2 * a2) + kc2 / 2 * a2 * b2 * c2
