"""Interfacial Dzyaloshinskii-Moriya interaction, w = D [mz div m - (m . grad) mz].

Discretised as an energy of bonds, (D/d) (mz_i mx_j - mx_i mz_j) for j to the right of i and likewise along y, whose
derivative is the field. Where a neighbour is missing the bond is missing, and the minimum of that energy obeys the
free-edge condition dm/dn = -(D/2A) (z x n) x m (Rohart and Thiaville, PRB 88, 184422) without a ghost cell.
"""

from device_sims.problem import MU0, Problem


def coefficients(problem: Problem) -> tuple[float, float]:
    """Return ``D / (mu0 Ms^2 d)`` for bonds along x and y."""
    material, cell = problem.material, problem.mesh.cell_m
    strength = material.D_J_per_m2 / (MU0 * material.Ms_A_per_m**2)
    return strength / cell[0], strength / cell[1]


def field(neighbours, dx, dy):
    """Return the reduced DMI field."""
    left, right, below, above = neighbours
    return (
        dx * (right[2] - left[2]),
        dy * (above[2] - below[2]),
        dx * (left[0] - right[0]) + dy * (below[1] - above[1]),
    )
