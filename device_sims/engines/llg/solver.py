"""The equation of motion and its advance in time.

Landau-Lifshitz-Gilbert in explicit form (Gilbert damping alpha, gamma0 = 2.211e5 m/(A s)), reduced time
tau = gamma0 Ms t:

    dm/dtau = -1/(1 + alpha^2) [ m x h + alpha m x (m x h) ],   h = H_eff / Ms + torque fields

which is exact for the spin torques too, because they enter as effective fields (`fields/spin_torque.py`).
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from device_sims import geometry
from device_sims.engines.llg.fields import (
    Triple,
    anisotropy,
    cross,
    demag,
    dmi,
    exchange,
    shifted,
    spin_torque,
    thermal,
    total,
    zeeman,
)
from device_sims.engines.llg.integrators import INTEGRATORS
from device_sims.problem import GAMMA0, MU0, Phase, Problem, initial_magnetisation


class System(NamedTuple):
    """Arrays of one device; all of one dtype. May differ between replicas in a batch."""

    mask: jax.Array  # [ny, nx], 0 or 1
    bonds: jax.Array  # [ny, nx]
    ku: jax.Array  # [ny, nx]


class Drive(NamedTuple):
    """Numbers that change from phase to phase."""

    ku_factor: jax.Array  # []
    dl: jax.Array  # [] damping-like amplitude
    fl: jax.Array  # [] field-like amplitude
    applied: jax.Array  # [3]


class State(NamedTuple):
    """Magnetisation, and the last two evaluations of the other cells' stray field, for its extrapolation."""

    m: jax.Array  # [3, ny, nx]
    stray: jax.Array  # [3, ny, nx]
    earlier: jax.Array  # [3, ny, nx]


class Solver:
    """A problem made ready for stepping.

    Problems that differ only in geometry instance, Ku, schedule or random stream share one compiled program: what
    differs is passed in as arrays (`System`, `Drive`, key).
    """

    def __init__(self, problem: Problem):
        self.problem = problem
        numerics, material = problem.numerics, problem.material
        self.dtype = jnp.dtype(numerics.precision)
        self.step_size = numerics.dt_s * GAMMA0 * material.Ms_A_per_m
        self.kernel = demag.kernel(problem.mesh)
        if not numerics.demag:
            self.kernel = self.kernel._replace(spectrum=0 * self.kernel.spectrum, own=0 * self.kernel.own)
        self.spectrum = jnp.asarray(self.kernel.spectrum, self.dtype)
        self.exchange = exchange.coefficients(problem)
        self.dmi = dmi.coefficients(problem)
        self.thermal = jnp.asarray(thermal.standard_deviation(problem) * thermal.levels(), self.dtype)
        self.advance = jax.jit(self._advance)
        self.local = jax.jit(self._local)
        self.stray = jax.jit(self._stray)

    # -- preparation ---------------------------------------------------------------------------------------------
    def system(self, problem: Problem) -> System:
        """Return the arrays of ``problem``, which must share this solver's mesh, material and numerics."""
        mask = geometry.mask(problem.geometry, problem.mesh)
        arrays = (mask, exchange.bond_sum(problem, mask), anisotropy.strength(problem, mask))
        return System(*(jnp.asarray(a, self.dtype) for a in arrays))

    def drive(self, problem: Problem, phase: Phase) -> Drive:
        """Return the numbers of a phase."""
        dl, fl = spin_torque.strength(problem, phase)
        numbers = (phase.Ku_factor, dl, fl, zeeman.strength(problem, phase))
        return Drive(*(jnp.asarray(n, self.dtype) for n in numbers))

    def start(self, problem: Problem) -> State:
        """Return the initial state."""
        mask = geometry.mask(problem.geometry, problem.mesh)
        return self.state(jnp.asarray(initial_magnetisation(problem, mask), self.dtype))

    def state(self, m) -> State:
        """Return a state at rest in ``m``: the stray field's past is its present."""
        stray = self.stray(m)
        return State(m, stray, stray)

    # -- physics -------------------------------------------------------------------------------------------------
    def _stray(self, m):
        if not self.problem.numerics.demag:
            return jnp.zeros_like(m)
        return demag.nonlocal_field(m, self.spectrum, self.kernel.padded)

    def _local(self, system: System, drive: Drive, m: Triple) -> dict[str, Triple]:
        """Return the reduced fields, by name, that need no more than a cell's neighbours."""
        neighbours = shifted(m)
        own = self.kernel.own
        terms = {
            "exchange": exchange.field(m, neighbours, system.bonds, *self.exchange),
            "anisotropy": anisotropy.field(m, system.ku, drive.ku_factor),
            "own": tuple(-float(own[i]) * m[i] for i in range(3)),
            "zeeman": tuple(drive.applied[i] + jnp.zeros_like(m[i]) for i in range(3)),
        }
        if self.problem.material.D_J_per_m2:
            terms["dmi"] = dmi.field(neighbours, *self.dmi)
        return terms

    def _rate(self, system: System, drive: Drive, m, extra):
        """Return dm/dtau; ``extra`` is the field that this evaluation does not compute (stray and thermal)."""
        material = self.problem.material
        m = tuple(m)
        h = total(tuple(extra), *self._local(system, drive, m).values())
        if material.spin_hall_angle:
            h = total(h, spin_torque.field(m, material.polarisation, drive.dl, drive.fl))
        t = cross(m, h)
        u = cross(m, t)
        return jnp.stack([(t[i] + material.alpha * u[i]) * (-1 / (1 + material.alpha**2)) for i in range(3)])

    def _step(self, system: System, drive: Drive, state: State, noise, index) -> State:
        m, stray, earlier = state
        interval = self.problem.numerics.demag_interval_steps
        if interval == 0:

            def rate(m, _):
                return self._rate(system, drive, m, self._stray(m) + noise)
        else:
            phase = index % interval
            stray, earlier = jax.lax.cond(phase == 0, lambda: (self._stray(m), stray), lambda: (stray, earlier))
            trend = (stray - earlier) / interval

            def rate(m, c):
                return self._rate(system, drive, m, stray + (phase + c).astype(self.dtype) * trend + noise)

        m = INTEGRATORS[self.problem.numerics.integrator](rate, m, self.step_size)
        norm = jnp.sqrt(jnp.maximum((m * m).sum(0), jnp.finfo(self.dtype).tiny))
        return State(m / norm, stray, earlier)

    def _advance(self, system: System, drive: Drive, state: State, key, first, count) -> State:
        """Take ``count`` steps; ``first`` numbers the first of them in the random stream."""

        if not self.problem.temperature_K:
            return jax.lax.fori_loop(first, first + count, lambda i, s: self._step(system, drive, s, 0.0, i), state)

        def words(index):
            return thermal.words(key, index, system.mask.shape)

        def body(index, carry):
            # The noise of the next step and the random words of the one after are part of the carry because a loop's
            # carry lies in memory: used directly, XLA on CPU computes them again inside every consumer.
            state, noise, later = carry
            state = self._step(system, drive, state, noise, index)
            return state, thermal.noise(later, self.thermal), words(index + 2)

        start = (state, thermal.noise(words(first), self.thermal), words(first + 1))
        return jax.lax.fori_loop(first, first + count, body, start)[0]

    # -- observables ---------------------------------------------------------------------------------------------
    def energies(self, system: System, drive: Drive, m) -> dict[str, float]:
        """Return the energy of each term and their sum, J; sums in float64.

        E = -1/2 mu0 Ms V sum m.H for exchange, DMI and demag; Ku V sum (1 - mz^2) for the anisotropy, which is zero
        along the easy axis; -mu0 Ms V sum m.H for the applied field.
        """
        material = self.problem.material
        unit = MU0 * material.Ms_A_per_m**2 * self.problem.mesh.cell_volume_m3
        fields = {name: np.asarray(h, np.float64) for name, h in self.local(system, drive, tuple(m)).items()}
        fields["demag"] = fields.pop("own") + np.asarray(self.stray(m), np.float64)
        m64 = np.asarray(m, np.float64)
        energies = {name: -unit / (1 if name == "zeeman" else 2) * float((m64 * h).sum()) for name, h in fields.items()}
        energies["anisotropy"] += unit / 2 * float(np.asarray(system.ku, np.float64).sum()) * float(drive.ku_factor)
        return {**energies, "total": sum(energies.values())}
