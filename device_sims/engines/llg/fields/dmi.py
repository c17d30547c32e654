"""Interfacial Dzyaloshinskii-Moriya interaction, w = D [mz div m - (m . grad) mz].

Discretised as an energy of bonds, (D/d) (mz_i mx_j - mx_i mz_j) for j to the right of i and likewise along y, whose
derivative is the field. Where a neighbour is missing the bond is missing, and the minimum of that energy obeys the
free-edge condition dm/dn = -(D/2A) (z x n) x m (Rohart and Thiaville, PRB 88, 184422) without a ghost cell. Between
cells of different D a bond has their mean.
"""

import numpy as np
from jaxtyping import Bool

from device_sims.engines.llg.fields import Coefficient, Neighbours, Triple, bonds
from device_sims.problem import MU0, Problem

Coefficients = tuple[Coefficient, Coefficient, Coefficient, Coefficient]  # left, right, below, above


def prepare(problem: Problem, constants: dict, mask: Bool[np.ndarray, "nz ny nx"]) -> Coefficients:
    """Return ``D / (mu0 Ms0 Ms d)`` for the bonds of each cell in the plane."""
    unit = 1 / (MU0 * problem.material.Ms_A_per_m * constants["Ms_A_per_m"])
    strengths = bonds(constants["D_J_per_m2"], mask, lambda a, b: (a + b) / 2, problem.mesh.wraps)
    left, right, below, above = (s * unit / problem.mesh.cell_m[axis] for s, axis in zip(strengths, (0, 0, 1, 1)))
    return left, right, below, above


def field(around: Neighbours, coefficients: Coefficients) -> Triple:
    """Return the reduced DMI field."""
    left, right, below, above = coefficients
    return (
        right * around.right[2] - left * around.left[2],
        above * around.above[2] - below * around.below[2],
        left * around.left[0] - right * around.right[0] + below * around.below[1] - above * around.above[1],
    )
