"""Thermal field of Brown: white noise with sd = sqrt(2 alpha kB T / (gamma0 mu0 Ms V dt)) in each component.

It is held for a step. With the step's noise fixed, Heun and Runge-Kutta schemes converge to the Stratonovich solution.

The noise is drawn from 1024 equally likely values whose moments up to the fifth are the normal distribution's (variance
1, kurtosis 3, odd ones zero): all that a scheme of weak order two asks for (Kloeden and Platen, Numerical Solution of
Stochastic Differential Equations, section 14.2). One 32-bit word serves the three components of a cell, ten bits each,
at a third of the cost of normals. Sums over the thousands of steps of a correlation time are normal anyway; the
Boltzmann and thermometer tests run on this noise.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtri

from device_sims.problem import BOLTZMANN, GAMMA0, MU0, Problem


def standard_deviation(problem: Problem) -> float:
    """Return the reduced standard deviation (H / Ms) in a cell of the material's alpha and Ms.

    It goes with sqrt(alpha / Ms), which `prepare` gives where they differ.
    """
    material = problem.material
    variance = 2 * material.alpha * BOLTZMANN * problem.temperature_K
    variance /= GAMMA0 * MU0 * material.Ms_A_per_m * problem.mesh.cell_volume_m3 * problem.numerics.dt_s
    return math.sqrt(variance) / material.Ms_A_per_m


def prepare(problem: Problem, constants: dict):
    """Return the factor on the standard deviation in each cell (1.0 in a uniform material)."""
    material = problem.material
    relative = constants["alpha"] / material.alpha * material.Ms_A_per_m / constants["Ms_A_per_m"]
    return np.sqrt(relative)


def levels() -> np.ndarray:
    """Return the noise values, ``float64[1024]``: normal quantiles, the outermost pair moved to make kurtosis 3."""
    z = ndtri((np.arange(1024) + 0.5) / 1024)

    def stretched(outer):
        moved = z.copy()
        moved[[0, -1]] *= outer
        return moved / np.sqrt((moved**2).mean())

    return stretched(brentq(lambda outer: (stretched(outer) ** 4).mean() - 3, 1, 3))


def words(key, index, cells):
    """Return the random words of step ``index``, ``uint32[nz, ny, nx]``."""
    return jax.random.bits(jax.random.fold_in(key, index), cells, jnp.uint32)


def noise(words, table):
    """Return the noise that ``words`` stand for, ``[3, nz, ny, nx]`` in ``table``'s dtype."""
    choices = [(words >> shift) & 1023 for shift in (0, 10, 20)]
    return jnp.stack([table.at[choice].get(mode="promise_in_bounds") for choice in choices])
