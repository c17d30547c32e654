"""Exchange: H = 2 A / (mu0 Ms) laplacian m, six-neighbour differences, free surface."""

import numpy as np

from device_sims.problem import MU0, Problem


def coefficients(problem: Problem) -> tuple[float, float]:
    """Return ``2 A / (mu0 Ms^2 d^2)`` for bonds along x and y."""
    material, cell = problem.material, problem.mesh.cell_m
    strength = 2 * material.A_J_per_m / (MU0 * material.Ms_A_per_m**2)
    return strength / cell[0] ** 2, strength / cell[1] ** 2


def bond_sum(problem: Problem, mask: np.ndarray) -> np.ndarray:
    """Return the summed coefficient of each cell's bonds to magnetic neighbours, ``float64[ny, nx]``."""
    cx, cy = coefficients(problem)
    p = np.pad(mask.astype(float), 1)
    return cx * (p[1:-1, :-2] + p[1:-1, 2:]) + cy * (p[:-2, 1:-1] + p[2:, 1:-1])


def field(m, neighbours, bonds, cx, cy):
    """Return the reduced exchange field; ``bonds`` is `bond_sum`."""
    left, right, below, above = neighbours
    return tuple(cx * (left[i] + right[i]) + cy * (below[i] + above[i]) - bonds * m[i] for i in range(3))
