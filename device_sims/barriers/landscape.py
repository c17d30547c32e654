"""The energy of a problem as a function of m, with its gradient and curvature in the tangent space of the spheres.

Lengths and gradients are measured in the metric ``sum over cells of (Ms/Ms0) |dm|^2``, in which the gradient of the
energy over mu0 Ms0^2 V is minus the reduced field. All in float64, under the drives at the begin of one phase.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from device_sims.engines.llg import stability
from device_sims.engines.llg.descent import descent
from device_sims.engines.llg.fields import anisotropy, cross, cubic, total
from device_sims.engines.llg.solver import Solver
from device_sims.problem import GAMMA0, MU0, Problem, material, waveforms
from spinloom.errors import UserError

ANISOTROPIES = ("anisotropy", "second", "cubic")
RELAXED = 1e-6  # |m x H|/Ms at a minimum


class Landscape:
    """Energy of one problem; states are ``float64[3, nz, ny, nx]``, 0 outside the mask.

    Parameters
    ----------
    problem : Problem
    phase : str, optional
        Name of the phase whose drives act; default: the first.

    Raises
    ------
    UserError
        If there is no such phase, or it has a current: its torque has no energy.
    """

    def __init__(self, problem: Problem, phase: str | None = None):
        names = [one.name for one in problem.schedule]
        if phase is not None and phase not in names:
            raise UserError(f"phase: found '{phase}', allowed: {', '.join(names)}")
        chosen = problem.schedule[0 if phase is None else names.index(phase)]
        _refuse_currents(problem, chosen)
        numerics = replace(problem.numerics, precision="float64", demag_interval_steps=0)
        self.problem = replace(problem, schedule=(chosen,), numerics=numerics)
        self.mask = material.mask(self.problem)
        self.cells = int(self.mask.sum())
        # J per unit of reduced energy, and 1/s per unit of reduced rate
        self.unit_J = MU0 * problem.material.Ms_A_per_m**2 * problem.mesh.cell_volume_m3
        self.unit_per_s = GAMMA0 * problem.material.Ms_A_per_m
        with jax.enable_x64(True):
            self.solver = Solver(self.problem)
            self.system = self.solver.system(self.problem)
            self.values = self.solver.values(self.solver.drive(self.problem, chosen), 0)
            shape = self.mask.shape
            self.weight = jnp.asarray(np.where(self.mask, np.broadcast_to(self.system.ms, shape), 0.0))
            self.alpha = np.broadcast_to(np.asarray(self.system.alpha), shape)[self.mask]
        self._minimum = descent(self._torque)

    @cached_property
    def stiffness(self) -> float:
        """An upper bound of the curvature, in units of mu0 Ms0^2 V."""
        fastest = max(rate * (1 + alpha**2) for alpha, rate in stability.fastest_waves(self.problem))
        return fastest / self.unit_per_s

    def field(self, m: Float[Array, "3 nz ny nx"]) -> Float[Array, "3 nz ny nx"]:
        """Return the reduced field H/Ms0; traced, in float64."""
        terms = self.solver._local(self.system, self.values, (m[0], m[1], m[2])).values()
        return jnp.stack(total(tuple(self.solver._stray(m, self.system.ms)), *terms))

    def force(self, m: Float[Array, "3 nz ny nx"]) -> Float[Array, "3 nz ny nx"]:
        """Return the part of the field at right angles to m, minus the gradient; traced."""
        h = self.field(m)
        return jnp.where(self.weight > 0, h - (m * h).sum(0) * m, 0.0)

    def energy(self, m: Float[Array, "3 nz ny nx"]) -> Float[Array, ""]:
        """Return the energy over mu0 Ms0^2 V, terms and zeros as of `Solver.energies`; traced."""
        terms = self.solver._local(self.system, self.values, (m[0], m[1], m[2]))
        fields = {name: jnp.stack(h) for name, h in terms.items() if name not in ANISOTROPIES}
        zeeman = fields.pop("zeeman")
        pairs = sum(fields.values()) + self.solver._stray(m, self.system.ms)
        density = -(m * (pairs / 2 + zeeman)).sum(0) + self._anisotropy(m)
        return (self.weight * density).sum()

    def _anisotropy(self, m):
        system, constants = self.system, self.problem.material
        ku = anisotropy.strength(system.anisotropy, self.values.ku_factor, self.values.regions)
        axis = system.anisotropy.axis if self.solver.axis is None else self.solver.axis
        s = 1 - (axis[0] * m[0] + axis[1] * m[1] + axis[2] * m[2]) ** 2
        density = ku / 2 * s + system.anisotropy.ku2 / 4 * s * s
        if system.second is not None:
            axis = constants.second_axis
            density += system.second / 2 * (1 - (axis[0] * m[0] + axis[1] * m[1] + axis[2] * m[2]) ** 2)
        if system.cubic is not None:
            a, b, c = (part**2 for part in cubic.components((m[0], m[1], m[2]), system.cubic.axes))
            density += system.cubic.kc1 / 2 * (a * b + b * c + c * a) + system.cubic.kc2 / 2 * a * b * c
        return density

    def _torque(self, _, m):
        return jnp.where(self.weight > 0, jnp.stack(cross((m[0], m[1], m[2]), tuple(self.field(m)))), 0.0)

    def minimum(self, m: np.ndarray, name: str = "state", tolerance: float = RELAXED) -> np.ndarray:
        """Return the minimum below a state, float64[3, nz, ny, nx]; `UserError` as of `descent.descent`."""
        with jax.enable_x64(True):
            return self._minimum((), self.weight, np.asarray(m, np.float64), tolerance, name)

    def energy_J(self, m: np.ndarray) -> float:
        """Return the energy of a state, float64[3, nz, ny, nx], in J."""
        with jax.enable_x64(True):
            return float(self._energy(jnp.asarray(m))) * self.unit_J

    @cached_property
    def _energy(self):
        return jax.jit(self.energy)


def _refuse_currents(problem: Problem, phase) -> None:
    for name, drive in phase.drives().items():
        maps = {one.name for one in problem.drive_maps if one.acts == "current"}
        torque = name in ("current_density_A_per_m2", "zhang_li_u_m_per_s")
        if (torque or name.removeprefix("drive_maps.") in maps) and waveforms.moves(drive):
            raise UserError(
                f"phase {phase.name}: {name}: found a current, whose torque has no energy, allowed: a phase without a "
                "current"
            )
