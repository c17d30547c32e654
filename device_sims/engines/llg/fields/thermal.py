"""Thermal field of Brown: white, Gaussian, sd = sqrt(2 alpha kB T / (gamma0 mu0 Ms V dt)) in each component.

It is held for a step. With the step's noise fixed, Heun and Runge-Kutta schemes converge to the Stratonovich solution.
"""

import math

from device_sims.problem import BOLTZMANN, GAMMA0, MU0, Problem


def standard_deviation(problem: Problem) -> float:
    """Return the reduced standard deviation (H / Ms)."""
    material = problem.material
    variance = 2 * material.alpha * BOLTZMANN * problem.temperature_K
    variance /= GAMMA0 * MU0 * material.Ms_A_per_m * problem.mesh.cell_volume_m3 * problem.numerics.dt_s
    return math.sqrt(variance) / material.Ms_A_per_m
