"""Zhang-Li torque of a current along x, dm/dt = -u dm/dx + beta m x (u dm/dx), as an effective field.

-v + beta m x v with v = u dm/dx is -gamma0 m x H for H = -(m x v + beta v)/gamma0, whatever part of v lies along m.
Central differences; a missing neighbour counts as equal to the cell, because what m = 0 leaves out lies along m
(Zhang and Li, PRL 93, 127204; Thiaville et al., EPL 69, 990).
"""

from device_sims.engines.llg.fields import Neighbours, Scalar, Triple, cross
from device_sims.problem import GAMMA0, Problem


def prepare(problem: Problem) -> float:
    """Return the reduced field per velocity and per difference between the neighbours, s/m."""
    return 1 / (2 * problem.mesh.cell_m[0] * GAMMA0 * problem.material.Ms_A_per_m)


def field(m: Triple, around: Neighbours, unit: float, u: Scalar, beta: float) -> Triple:
    """Return the reduced field; ``u`` in m/s, ``unit`` from `prepare`."""
    v = [unit * u * (right - left) for right, left in zip(around.right, around.left)]
    x, y, z = (-(p + beta * along) for p, along in zip(cross(m, (v[0], v[1], v[2])), v))
    return x, y, z
