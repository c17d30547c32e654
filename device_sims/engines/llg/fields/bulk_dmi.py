"""Bulk Dzyaloshinskii-Moriya interaction, w = D m.(curl m): mumax3's ``Dbulk``, the D of ubermag's class T.

Discretised as an energy of bonds, (D/d) m_i.(e x m_j) for j one cell along e from i, whose derivative is the field
``-D/(mu0 Ms d) e x (m_next - m_previous)``. Where a neighbour is missing the bond is missing, and the minimum obeys the
free-edge condition dm/dn = (D/2A) n x m (what is left of the variation of w at a face with the outward normal n).
"""

import numpy as np
from jaxtyping import Bool

from device_sims.engines.llg.fields import SIDES, Coefficient, Neighbours, Triple, bonds
from device_sims.problem import MU0, Problem, material


def prepare(problem: Problem, constants: dict, mask: Bool[np.ndarray, "nz ny nx"]) -> list[Coefficient]:
    """Return ``D / (mu0 Ms0 Ms d)`` for the bond at each side; with smoothed edges a bond has the mean of two cells."""
    unit = 1 / (MU0 * problem.material.Ms_A_per_m * constants["Ms_A_per_m"])
    D = problem.material.Dbulk_J_per_m2 * material.part(problem, mask)
    strengths = bonds(D, mask, lambda a, b: (a + b) / 2, problem.mesh.wraps)
    return [s * unit / problem.mesh.cell_m[2 - axis] for s, (axis, _) in zip(strengths, SIDES)]


def field(around: Neighbours, coefficients: list[Coefficient]) -> Triple:
    """Return the reduced bulk DMI field."""
    to_left, to_right, to_below, to_above, to_under, to_over = coefficients
    left, right, below, above, under, over = around
    x = to_below * below[2] - to_above * above[2]
    y = to_right * right[2] - to_left * left[2]
    z = to_left * left[1] - to_right * right[1] + to_above * above[0] - to_below * below[0]
    if under is not None and over is not None:
        x = x + to_over * over[1] - to_under * under[1]
        y = y + to_under * under[0] - to_over * over[0]
    return x, y, z
