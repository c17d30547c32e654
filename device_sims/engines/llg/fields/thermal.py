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
from jax import Array
from jaxtyping import Float, Integer, Key, UInt32
from scipy.optimize import brentq
from scipy.special import ndtri

from device_sims.engines.llg.fields import Coefficient
from device_sims.problem import BOLTZMANN, GAMMA0, MU0, Problem


def standard_deviation(problem: Problem) -> float:
    """Return the reduced standard deviation (H / Ms) in a cell of the material's alpha and Ms.

    It goes with sqrt(alpha / Ms), which `prepare` gives where they differ.
    """
    material = problem.material
    variance = 2 * material.alpha * BOLTZMANN * problem.temperature_K
    variance /= GAMMA0 * MU0 * material.Ms_A_per_m * problem.mesh.cell_volume_m3 * problem.numerics.dt_s
    return math.sqrt(variance) / material.Ms_A_per_m


def prepare(problem: Problem, constants: dict) -> Coefficient:
    """Return the factor on the standard deviation in each cell (1.0 in a uniform material)."""
    material = problem.material
    if not problem.temperature_K:
        return 1.0
    relative = constants["alpha"] / material.alpha * material.Ms_A_per_m / constants["Ms_A_per_m"]
    return np.sqrt(relative)


def levels() -> Float[np.ndarray, "1024"]:
    """Return the noise values: normal quantiles, the outermost pair moved to make kurtosis 3."""
    z = ndtri((np.arange(1024) + 0.5) / 1024)

    def stretched(outer):
        moved = z.copy()
        moved[[0, -1]] *= outer
        return moved / np.sqrt((moved**2).mean())

    return stretched(brentq(lambda outer: (stretched(outer) ** 4).mean() - 3, 1, 3))


def words(
    key: Key[Array, ""], index: int | Integer[Array | np.ndarray, ""], cells: tuple[int, ...]
) -> UInt32[Array, "nz ny nx"]:
    """Return the random words of step ``index`` for an array of the shape ``cells``."""
    return jax.random.bits(jax.random.fold_in(key, index), cells, jnp.uint32)


def noise(words: UInt32[Array, "nz ny nx"], table: Float[Array, "1024"]) -> Float[Array, "3 nz ny nx"]:
    """Return the noise that ``words`` stand for, in the type of ``table``."""
    choices = [(words >> shift) & 1023 for shift in (0, 10, 20)]
    return jnp.stack([table.at[choice].get(mode="promise_in_bounds") for choice in choices])
