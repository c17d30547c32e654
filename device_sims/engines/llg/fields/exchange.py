"""Exchange: H = 2 A / (mu0 Ms) laplacian m, six-neighbour differences, free surface.

Between cells of different A a bond has their harmonic mean, as the flux through two slabs in series has. Couplings and
boundaries of grains change it (`problem/couplings.py`).
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

from device_sims.engines.llg.fields import SIDES, Cells, Coefficient, Neighbours, Triple, beside, bonds
from device_sims.problem import MU0, Problem, couplings


class Coefficients(NamedTuple):
    """What the field needs of the material."""

    sides: list[Coefficient]  # in the order of `Neighbours`
    total: Cells  # sum over a cell's bonds


def prepare(problem: Problem, constants: dict, mask: Bool[np.ndarray, "nz ny nx"]) -> Coefficients:
    """Return ``2 A / (mu0 Ms0 Ms d^2)`` for each bond, and their sum for each cell."""
    cell, wraps = problem.mesh.cell_m, problem.mesh.wraps
    unit = 2 / (MU0 * problem.material.Ms_A_per_m * constants["Ms_A_per_m"])
    A = constants["A_J_per_m"]
    if couplings.exchange_is_plain(problem):
        stiffness = bonds(A, mask, lambda a, b: 2 * a * b / (a + b + 1e-300), wraps)
    else:
        following = couplings.stiffness(problem, mask, A)
        stiffness = [np.roll(following[axis], max(shift, 0), axis) for axis, shift in SIDES]
    sides = [s * unit / cell[2 - axis] ** 2 for s, (axis, _) in zip(stiffness, SIDES)]
    total = np.zeros(mask.shape)
    for side, (axis, shift) in zip(sides, SIDES):
        total += side * beside(mask.astype(float), axis, shift, wraps)
    return Coefficients(sides, total * mask)


def field(m: Triple, around: Neighbours, coefficients: Coefficients) -> Triple:
    """Return the reduced exchange field."""
    sides, own = coefficients
    pairs = [(c, n) for c, n in zip(sides, around) if n is not None]
    x, y, z = (sum(c * n[i] for c, n in pairs) - own * m[i] for i in range(3))
    return x, y, z
