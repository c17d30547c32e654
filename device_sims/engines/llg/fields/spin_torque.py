"""Slonczewski / spin-orbit torque as effective fields: damping-like a (m x p), field-like b p.

a = hbar theta J / (2 e mu0 Ms t): 3.29 mT at J = 1e11 A/m2, theta = 0.1, Ms = 1e6 A/m, t = 1 nm. In a Slonczewski
junction theta is the polarisation P, and a is multiplied by 2 L^2 / (L^2 + 1 + (L^2 - 1) m.p), 1 for L = 1
(Slonczewski, JMMM 247, 324 (2002)).
"""

from device_sims.engines.llg.fields import Coefficient, Triple, cross
from device_sims.problem import ELEMENTARY_CHARGE, HBAR, MU0, Problem, Vector


def prepare(problem: Problem, constants: dict) -> Coefficient:
    """Return the reduced damping-like amplitude per current density, 1/(A/m2)."""
    material = problem.material
    a = HBAR * material.spin_hall_angle
    return a / (2 * ELEMENTARY_CHARGE * MU0 * constants["Ms_A_per_m"] * problem.mesh.size_m[2] * material.Ms_A_per_m)


def field(m: Triple, p: Vector, a: Coefficient, ratio: float, asymmetry: float) -> Triple:
    """Return the reduced effective field of the torque.

    ``p`` is the polarisation, ``a`` the amplitude, ``ratio`` field-like over damping-like, ``asymmetry`` L.
    """
    if asymmetry != 1.0:
        square = asymmetry**2
        along = p[0] * m[0] + p[1] * m[1] + p[2] * m[2]
        a = a * (2 * square / (square + 1 + (square - 1) * along))
    damping_like = cross(m, p)
    x, y, z = (a * (damping_like[i] + ratio * p[i]) for i in range(3))
    return x, y, z
