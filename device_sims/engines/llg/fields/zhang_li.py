"""Zhang-Li torque of a current along x, dm/dt = -u dm/dx + beta m x (u dm/dx), as an effective field.

-v + beta m x v with v = u dm/dx is -gamma0 m x H for H = -(m x v + beta v)/gamma0, whatever part of v lies along m.
Central differences; a missing neighbour counts as equal to the cell, because what m = 0 leaves out lies along m
(Zhang and Li, PRL 93, 127204; Thiaville et al., EPL 69, 990).
"""

from device_sims.engines.llg.fields import Sides, cross
from device_sims.problem import GAMMA0, Problem


def prepare(problem: Problem) -> float:
    """Return the reduced field per velocity and per difference between the neighbours, s/m."""
    return 1 / (2 * problem.mesh.cell_m[0] * GAMMA0 * problem.material.Ms_A_per_m)


def field(m, around: Sides, unit, u, beta):
    """Return the reduced field; ``u`` in m/s, ``unit`` from `prepare`."""
    v = tuple(unit * u * (around.right[i] - around.left[i]) for i in range(3))
    precession = cross(m, v)
    return tuple(-(precession[i] + beta * v[i]) for i in range(3))
