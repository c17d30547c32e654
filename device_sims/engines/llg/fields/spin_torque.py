"""Slonczewski / spin-orbit torque as effective fields: damping-like a (m x p), field-like b p.

a = hbar theta J / (2 e mu0 Ms t): 3.29 mT at J = 1e11 A/m2, theta = 0.1, Ms = 1e6 A/m, t = 1 nm. For a symmetric
Slonczewski junction (Lambda = 1) theta is the polarisation P.
"""

from device_sims.engines.llg.fields import cross
from device_sims.problem import ELEMENTARY_CHARGE, HBAR, MU0, Phase, Problem


def strength(problem: Problem, phase: Phase) -> tuple[float, float]:
    """Return the reduced damping-like and field-like amplitudes ``(a, b)``."""
    material = problem.material
    a = HBAR * material.spin_hall_angle * phase.current_density_A_per_m2
    a /= 2 * ELEMENTARY_CHARGE * MU0 * material.Ms_A_per_m * problem.mesh.cell_m[2]
    a /= material.Ms_A_per_m
    return a, a * material.field_like_ratio


def field(m, p, a, b):
    """Return the reduced effective field of the torque; ``p`` is a triple of numbers."""
    damping_like = cross(m, p)
    return tuple(a * damping_like[i] + b * p[i] for i in range(3))
