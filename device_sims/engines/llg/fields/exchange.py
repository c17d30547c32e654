"""Exchange: H = 2 A / (mu0 Ms) laplacian m, six-neighbour differences, free surface.

Between cells of different A a bond has their harmonic mean, as the flux through two slabs in series has.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

from device_sims.engines.llg.fields import Cells, Coefficient, Neighbours, Triple, bonds
from device_sims.problem import MU0, Problem


class Coefficients(NamedTuple):
    """What the field needs of the material."""

    sides: list[Coefficient]  # in the order of `Neighbours`
    total: Cells  # sum over a cell's bonds


def prepare(problem: Problem, constants: dict, mask: Bool[np.ndarray, "nz ny nx"]) -> Coefficients:
    """Return ``2 A / (mu0 Ms0 Ms d^2)`` for each bond, and their sum for each cell."""
    cell = problem.mesh.cell_m
    unit = 2 / (MU0 * problem.material.Ms_A_per_m * constants["Ms_A_per_m"])
    stiffness = bonds(constants["A_J_per_m"], mask, lambda a, b: 2 * a * b / (a + b + 1e-300))
    sides = [s * unit / cell[axis] ** 2 for s, axis in zip(stiffness, (0, 0, 1, 1, 2, 2))]
    inside = np.pad(mask.astype(float), 1)
    total = np.zeros(mask.shape)
    for index, (axis, shift) in enumerate((axis, shift) for axis in (2, 1, 0) for shift in (1, -1)):
        total += sides[index] * np.roll(inside, shift, axis)[1:-1, 1:-1, 1:-1]
    return Coefficients(sides, total * mask)


def field(m: Triple, around: Neighbours, coefficients: Coefficients) -> Triple:
    """Return the reduced exchange field."""
    sides, own = coefficients
    pairs = [(c, n) for c, n in zip(sides, around) if n is not None]
    x, y, z = (sum(c * n[i] for c, n in pairs) - own * m[i] for i in range(3))
    return x, y, z
