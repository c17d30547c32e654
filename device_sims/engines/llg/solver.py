"""The equation of motion and its advance in time.

Landau-Lifshitz-Gilbert in explicit form (Gilbert damping alpha, gamma0 = 2.211e5 m/(A s)), reduced time
tau = gamma0 Ms0 t:

    dm/dtau = -1/(1 + alpha^2) [ m x h + alpha m x (m x h) ],   h = H_eff / Ms0 + torque fields

which is exact for the torques of currents too, because they enter as effective fields (`fields/spin_torque.py`,
`fields/zhang_li.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from device_sims.engines.llg import drives
from device_sims.engines.llg.descent import descent
from device_sims.engines.llg.drives import Drive, Values
from device_sims.engines.llg.fields import (
    Cells,
    Coefficient,
    Triple,
    anisotropy,
    bulk_dmi,
    cross,
    cubic,
    demag,
    dmi,
    exchange,
    interlayer,
    neighbours,
    spin_torque,
    thermal,
    total,
    zhang_li,
)
from device_sims.engines.llg.integrators import FIXED, dormand_prince
from device_sims.engines.llg.minimise import relaxed
from device_sims.problem import GAMMA0, MU0, Phase, Problem, material, waveforms
from device_sims.problem.initial import initial_magnetisation
from device_sims.problem.magnetostatics import end_charges

# fields of `_local` that are counted as part of another
TERMS = {"own": "stray", "bulk": "dmi", "interlayer": "exchange", "second": "anisotropy", "cubic": "anisotropy"}
MAX_DRIFT = 0.3  # of abs(m)^2 in one step, before it is normalised
# XLA's own choice is vectors of 256 bits also on a processor that has wider ones; a GPU does not look at it
OPTIONS = {"xla_cpu_prefer_vector_width": 512}


class System(NamedTuple):
    """Coefficients of one device, numbers where uniform, else ``[nz, ny, nx]``. Replicas of a batch may differ.

    A term that is absent is None.
    """

    mask: Cells  # 0 or 1
    exchange: exchange.Coefficients
    dmi: dmi.Coefficients
    anisotropy: anisotropy.Coefficients
    torque: Coefficient  # damping-like amplitude per current density
    noise: Coefficient  # factor on the thermal field
    alpha: Coefficient
    ms: Coefficient  # Ms / Ms0
    second: Coefficient | None  # Ku of the second anisotropy
    cubic: cubic.Coefficients | None
    bulk: list[Coefficient] | None
    interlayer: list[interlayer.Pair] | None
    beyond: jax.Array | np.ndarray | None = None  # [3, nz, ny, nx] reduced field of the track beyond the box
    # of the maps per unit of their drives, in the order of `drives.maps`: reduced fields, then currents
    maps: list[jax.Array] | list[np.ndarray] | None = None


class State(NamedTuple):
    """Where a trajectory is.

    Besides m: the last two evaluations of the other cells' stray field, for its extrapolation; the first step that
    changed a cell's abs(m)^2 by more than `MAX_DRIFT` before m was normalised, -1 if none did; and the step that an
    adaptive integrator will try next.
    """

    m: jax.Array  # [3, nz, ny, nx]
    stray: jax.Array  # [3, nz, ny, nx]
    earlier: jax.Array  # [3, nz, ny, nx]
    since: jax.Array  # int32[nz, ny, nx]
    step: jax.Array  # []


class Solver:
    """A problem made ready for stepping.

    Problems that differ only in geometry, drive strengths, initial state or random stream share one compiled program:
    what differs is passed in as arrays (`System`, `Drive`, key). ``others`` are problems that it also solves.
    """

    def __init__(self, problem: Problem, others: Sequence[Problem] = ()):
        self.problem = problem
        numerics, constants = problem.numerics, problem.material
        self.dtype = jnp.dtype(numerics.precision)
        self.unit_time = GAMMA0 * constants.Ms_A_per_m
        self.step_size = numerics.dt_s * self.unit_time
        self.kernel = demag.kernel(problem.mesh)
        if not numerics.demag:
            self.kernel = self.kernel._replace(spectrum=0 * self.kernel.spectrum, own=0 * self.kernel.own)
        self.spectrum = jnp.asarray(self.kernel.spectrum, self.dtype)
        self.thermal = jnp.asarray(thermal.standard_deviation(problem) * thermal.levels(), self.dtype)
        self.zhang_li = zhang_li.prepare(problem)
        # what is absent is not computed: these decide it once, for all replicas of a batch
        maps = material.varying(problem)
        self.uniform_alpha = "alpha" not in maps and "Ms_A_per_m" not in maps
        self.uniform_ms = "Ms_A_per_m" not in maps
        self.axis = None if "axis" in maps else constants.axis
        self.has_dmi = bool(constants.D_J_per_m2) or "D_J_per_m2" in maps
        self.has_cubic = bool(constants.Kc1_J_per_m3 or constants.Kc2_J_per_m3) or "Kc1_J_per_m3" in maps
        self.gaps = [(low, high) for _, low, high, _ in interlayer.layers(problem)]
        phases = [(one, phase) for one in (problem, *others) for phase in one.schedule]
        moving = [drive for one, phase in phases for drive in drives.of_phase(one, phase)]
        self.steady = all(waveforms.steady(drive) is not None for drive in moving)
        self.has_current = bool(constants.spin_hall_angle)
        self.has_velocity = any(waveforms.moves(phase.zhang_li_u_m_per_s) for _, phase in phases)
        self.heats = any(phase.temperature_factor != 1.0 for _, phase in phases)
        self.on_cpu = jax.default_backend() == "cpu"
        self.advance = jax.jit(self._advance, compiler_options=OPTIONS)
        together = jax.vmap(self._advance, in_axes=(0, 0, 0, 0, None, None))
        self.advance_together = jax.jit(together, compiler_options=OPTIONS)
        self.local = jax.jit(self._local)
        self.stray = jax.jit(self._stray)

    # -- preparation ---------------------------------------------------------------------------------------------
    def system(self, problem: Problem) -> System:
        """Return the coefficients of ``problem``, which must share this solver's mesh, material and numerics."""
        mask = material.mask(problem)
        constants = material.constants(problem, mask)
        system = System(
            mask,
            exchange.prepare(problem, constants, mask),
            dmi.prepare(problem, constants, mask),
            anisotropy.prepare(problem, constants, mask),
            spin_torque.prepare(problem, constants) * material.part(problem, mask),
            thermal.prepare(problem, constants),
            constants["alpha"],
            constants["Ms_A_per_m"] / problem.material.Ms_A_per_m,
            anisotropy.second(problem, constants, mask) if problem.material.second_Ku_J_per_m3 else None,
            cubic.prepare(problem, constants, mask) if self.has_cubic else None,
            bulk_dmi.prepare(problem, constants, mask) if problem.material.Dbulk_J_per_m2 else None,
            interlayer.prepare(problem, constants, mask) if self.gaps else None,
            end_charges.reduced(problem, mask) if problem.geometry.beyond_mx is not None else None,
            drives.prepared_maps(problem),
        )
        return jax.tree.map(lambda a: jnp.asarray(a, self.dtype), system)

    def drive(self, problem: Problem, phase: Phase, begin: int = 0) -> Drive:
        """Return the waveforms of a phase that begins with step ``begin``."""
        return drives.prepare(problem, phase, begin, self.dtype)

    def values(self, drive: Drive, step, fraction=0.0) -> Values:
        """Return the drives ``fraction`` of a step after ``step``, an integer counted as the phase's begin is."""
        return drives.values(drive, step, fraction, self.steady, len(self.problem.drive_maps))

    def start(self, problem: Problem) -> State:
        """Return the initial state, relaxed if the problem asks for it."""
        mask = material.mask(problem)
        m = initial_magnetisation(problem, mask)
        if (tolerance := problem.initial.relax_tolerance) is not None:
            m = self._relaxed(problem, m, tolerance)
        return self.state(self.system(problem), jnp.asarray(m, self.dtype))

    def _relaxed(self, problem: Problem, m: np.ndarray, tolerance: float) -> np.ndarray:
        """Return the minimum below ``m``, float64[3, nz, ny, nx], under the drives of t = 0 but without currents."""
        with jax.enable_x64(True):
            wide = Solver(_in_float64(problem))
            system, values = wide.system(problem), wide.values(wide.drive(problem, problem.schedule[0]), 0)

            def torque(m):
                local = wide._local(system, values, tuple(m)).values()
                return jnp.stack(cross(tuple(m), total(tuple(wide._stray(m, system.ms)), *local)))

            return relaxed(torque, m, tolerance)

    def relax(self, problem: Problem, phase: Phase, m: np.ndarray, tolerance: float) -> np.ndarray:
        """Return the minimum below ``m``, float64[3, nz, ny, nx], under the drives of a phase that relaxes.

        Raises
        ------
        UserError
            If the largest torque, abs(m x H)/Ms, does not fall below ``tolerance``.
        """
        with jax.enable_x64(True):
            wide, descend = self._descent
            system, values = wide.system(problem), wide.values(wide.drive(problem, phase), 0)
            return descend((system, values), system.ms, m, tolerance, f"phase {phase.name}: tolerance")

    @cached_property
    def _descent(self):
        """The solver in float64 and its way down, compiled once for all phases that relax."""
        wide = Solver(_in_float64(self.problem))

        def torque(arguments, m):
            system, values = arguments
            local = wide._local(system, values, tuple(m)).values()
            return jnp.stack(cross(tuple(m), total(tuple(wide._stray(m, system.ms)), *local)))

        return wide, descent(torque)

    def state(self, system: System, m) -> State:
        """Return a state at rest in ``m``: the stray field's past is its present."""
        stray = self.stray(m, system.ms)
        return State(m, stray, stray, jnp.full(m.shape[1:], -1), jnp.asarray(self.step_size, self.dtype))

    # -- physics -------------------------------------------------------------------------------------------------
    def _stray(self, m, ms):
        if not self.problem.numerics.demag:
            return jnp.zeros_like(m)
        return demag.nonlocal_field(m if self.uniform_ms else m * ms, self.spectrum, self.kernel.padded)

    def _local(self, system: System, values: Values, m: Triple) -> dict[str, Triple]:
        """Return the reduced fields, by name, that derive from an energy and need no more than a cell's neighbours."""
        around = neighbours(m, self.problem.mesh.wraps)
        own, constants = self.kernel.own, self.problem.material
        ku = anisotropy.strength(system.anisotropy, values.ku_factor, values.regions)
        own_x, own_y, own_z = (-float(own[i]) * (m[i] if self.uniform_ms else system.ms * m[i]) for i in range(3))
        applied = values.field if system.beyond is None else [values.field[i] + system.beyond[i] for i in range(3)]
        for place, own_map in enumerate(system.maps or ()):
            if len(own_map) == 3:
                applied = [applied[i] + values.maps[place] * own_map[i] for i in range(3)]
        x, y, z = (applied[i] + jnp.zeros_like(m[i]) for i in range(3))
        terms = {
            "exchange": exchange.field(m, around, system.exchange),
            "anisotropy": anisotropy.field(m, ku, system.anisotropy, self.axis, bool(constants.Ku2_J_per_m3)),
            "own": (own_x, own_y, own_z),
            "zeeman": (x, y, z),
        }
        if self.has_dmi:
            terms["dmi"] = dmi.field(around, system.dmi)
        if system.second is not None:
            terms["second"] = anisotropy.field(m, system.second, system.anisotropy, constants.second_axis, False)
        if system.cubic is not None:
            terms["cubic"] = cubic.field(m, system.cubic)
        if system.bulk is not None:
            terms["bulk"] = bulk_dmi.field(around, system.bulk)
        if system.interlayer is not None:
            terms["interlayer"] = interlayer.field(m, system.interlayer, self.gaps)
        return terms

    def _rate(self, system: System, values: Values, m, extra):
        """Return dm/dtau; ``extra`` is the field that this evaluation does not compute (stray and thermal)."""
        constants = self.problem.material
        m = (m[0], m[1], m[2])
        h = total((extra[0], extra[1], extra[2]), *self._local(system, values, m).values())
        if self.has_current:
            current = values.current
            for place, own_map in enumerate(system.maps or ()):
                current = current + values.maps[place] * own_map[0] if len(own_map) == 1 else current
            amplitude = system.torque * current
            torque = spin_torque.field(
                m, constants.polarisation, amplitude, constants.field_like_ratio, constants.slonczewski_lambda
            )
            h = total(h, torque)
        if self.has_velocity:
            torque = zhang_li.field(
                m, neighbours(m, self.problem.mesh.wraps), self.zhang_li, values.velocity, constants.zhang_li_beta
            )
            h = total(h, torque)
        if self.on_cpu:
            # Each component of the rate needs the whole field, which XLA would compute again for each of them. It keeps
            # one array behind a barrier in memory; three it does not.
            stacked = jax.lax.optimization_barrier(jnp.stack(h))
            h = stacked[0], stacked[1], stacked[2]
        alpha = constants.alpha if self.uniform_alpha else system.alpha
        t = cross(m, h)
        u = cross(m, t)
        return jnp.stack([(t[i] + alpha * u[i]) * (-1 / (1 + alpha**2)) for i in range(3)])

    def _step(self, system: System, drive: Drive, state: State, noise, index) -> State:
        m, stray, earlier = state.m, state.stray, state.earlier
        interval = self.problem.numerics.demag_interval_steps
        if interval == 0:

            def rate(m, c, weight):
                extra = self._stray(m, system.ms) + weight * noise
                return self._rate(system, self.values(drive, index, c), m, extra)
        else:
            phase = index % interval
            stray, earlier = jax.lax.cond(
                phase == 0, lambda: (self._stray(m, system.ms), stray), lambda: (stray, earlier)
            )
            trend = (stray - earlier) / interval

            def rate(m, c, weight):
                extra = stray + (phase + c).astype(self.dtype) * trend + weight * noise
                return self._rate(system, self.values(drive, index, c), m, extra)

        m = FIXED[self.problem.numerics.integrator](rate, m, self.step_size)
        square = (m * m).sum(0)
        # not (<=), which is false for what is no number too
        wild = ~(jnp.abs(square - 1) <= MAX_DRIFT) & (system.mask > 0) & (state.since < 0)
        m = m / jnp.sqrt(jnp.maximum(square, jnp.finfo(self.dtype).tiny))
        return State(m, stray, earlier, jnp.where(wild, index, state.since), state.step)

    def _advance(self, system: System, drive: Drive, state: State, key, first, count) -> State:
        """Take ``count`` steps; ``first`` numbers the first of them in the random stream."""
        if self.problem.numerics.integrator == "dopri5":
            return self._adapt(system, drive, state, first, count)
        if not self.problem.temperature_K:
            return jax.lax.fori_loop(first, first + count, lambda i, s: self._step(system, drive, s, 0.0, i), state)

        def words(index):
            return thermal.words(key, index, system.mask.shape)

        def noise(words):
            field = thermal.noise(words, self.thermal)
            return field if self.uniform_alpha else field * system.noise

        def body(index, carry):
            # The random words of the next step are part of the carry because a loop's carry lies in memory: used
            # directly, XLA on CPU computes them again inside every consumer.
            state, drawn = carry
            field = noise(drawn)
            if self.heats:  # the noise of a step is that of the temperature in its middle
                field = field * jnp.sqrt(jnp.maximum(self.values(drive, index, 0.5).heat, 0))
            return self._step(system, drive, state, field, index), words(index + 1)

        start = state, words(first)
        return jax.lax.fori_loop(first, first + count, body, start)[0]

    def _adapt(self, system: System, drive: Drive, state: State, first, count) -> State:
        """Cover the time of ``count`` steps with steps of the integrator's choice."""

        def rate(m, tau):
            values = self.values(drive, first, tau / self.step_size)
            return self._rate(system, values, m, self._stray(m, system.ms))

        stop = jnp.asarray(count * self.step_size, self.dtype)
        start = jnp.zeros((), self.dtype)
        tolerance = self.problem.numerics.tolerance
        m, step, _, _ = dormand_prince(rate, state.m, start, stop, state.step, tolerance, drive.longest)
        return state._replace(m=m, step=step)

    # -- observables ---------------------------------------------------------------------------------------------
    def fields_T(self, system: System, drive: Drive, m, step=0) -> dict[str, np.ndarray]:
        """Return the field B of each term, and of all that derive from an energy (``effective``).

        Each is ``float64[3, nz, ny, nx]`` in T, and zero outside the mask.
        """
        local = self.local(system, self.values(drive, step), tuple(m))
        unit = MU0 * self.problem.material.Ms_A_per_m * np.asarray(system.mask, np.float64)
        fields = {"stray": unit * np.asarray(self.stray(m, system.ms), np.float64)}
        for name, h in local.items():
            term = TERMS[name] if name in TERMS else name
            fields[term] = fields.get(term, np.zeros(m.shape)) + unit * np.asarray(h, np.float64)
        return {**fields, "effective": sum(fields.values(), start=np.zeros(m.shape))}

    def energies(self, system: System, drive: Drive, m, step=0) -> dict[str, float]:
        """Return the energy of each term and their sum, J; sums in float64.

        E = -1/2 mu0 Ms V sum m.H for exchange (with couplings), both kinds of DMI and demag; -mu0 Ms V sum m.H for the
        applied field; the anisotropy is the sum of the uniaxial ones, zero along their axes, and the cubic one.
        """
        constants = self.problem.material
        unit = MU0 * constants.Ms_A_per_m**2 * self.problem.mesh.cell_volume_m3
        values = self.values(drive, step)
        fields = {name: np.asarray(h, np.float64) for name, h in self.local(system, values, tuple(m)).items()}
        fields["demag"] = fields.pop("own") + np.asarray(self.stray(m, system.ms), np.float64)
        m64, ms = np.asarray(m, np.float64), np.asarray(system.ms, np.float64)
        energies: dict[str, float] = {}
        for name, h in fields.items():
            if name in ("anisotropy", "second", "cubic"):
                continue
            part = -unit / (1 if name == "zeeman" else 2) * float((m64 * ms * h).sum())
            term = TERMS.get(name, name)
            energies[term] = energies[term] + part if term in energies else part
        ku = anisotropy.strength(system.anisotropy, values.ku_factor, values.regions)
        axis = np.asarray(system.anisotropy.axis if self.axis is None else self.axis, np.float64)
        density = anisotropy.density(m64, ku, system.anisotropy.ku2, axis)
        if system.second is not None:
            density = density + anisotropy.density(m64, system.second, 0.0, np.asarray(constants.second_axis))
        if system.cubic is not None:
            density = density + cubic.density(m64, system.cubic)
        energies["anisotropy"] = unit * float((np.asarray(system.mask, np.float64) * ms * density).sum())
        return {**energies, "total": sum(energies.values())}


def _in_float64(problem: Problem) -> Problem:
    """Return the problem as it is relaxed."""
    return replace(problem, numerics=replace(problem.numerics, precision="float64", demag_interval_steps=0))
