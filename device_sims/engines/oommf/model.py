"""A `Problem` in ubermag's words.

What ubermag can say is said with its classes. What OOMMF can do and ubermag cannot say (an anisotropy that changes in
time, step control of the Zhang-Li evolver, stages of different length) is put into the MIF file that ubermag wrote, at
the head of the block concerned (`amended`).

Signs and factors that differ from ours:

* D of ``Cnv_z`` is minus our D.
* OOMMF's torque takes the thickness of one cell, ours that of the film: J is divided by the number of layers.
* OOMMF's polarisation P is positive and at most 1: a negative angle turns J, a larger one scales it.
* ``eps_prime`` is to P/2 as the field-like torque to the damping-like one.
* A field of numbers reaches OOMMF as the length of a vector, which is never negative: a negative Ku is a term of its
  own with the factor -1.
"""

# ubermag's annotations are narrower than what it takes: a T of 0.5 K, a field of an array
# pyright: reportArgumentType=false, reportAssignmentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportOptionalMemberAccess=false

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, replace
from itertools import product

import discretisedfield as df  # pyright: ignore[reportMissingImports]: ubermag is the user's own
import micromagneticmodel as mm  # pyright: ignore[reportMissingImports]: as above
import numpy as np
import oommfc as oc  # pyright: ignore[reportMissingImports]: as above

from device_sims.engines.oommf import limits, pulses, terms
from device_sims.problem import GAMMA0, MU0, Problem, material, waveform
from device_sims.problem.magnetostatics import end_charges
from device_sims.problem.waveforms import moves, simple, steady
from spinloom import streams
from spinloom.errors import UserError

MAX_ITERATIONS = 200_000  # of a relaxation
NAME = "problem"  # of the system, hence of its directory and files

# row and state of t = 0, which the ends of stages leave out
START = """Schedule DataTable table Step 1000000000
Schedule Oxs_TimeDriver::Magnetization mags Step 1000000000
"""

# {last stage, begin, duration, start, stop, amplitude, frequency, phase} for each phase; a product's rate by its rule
TCL = """
proc drive { rows stage time } {
  foreach row $rows {
    lassign $row last begin duration start stop amplitude frequency phase
    if { $stage <= $last } break
  }
  set t [expr {$time - $begin}]
  set omega [expr {6.283185307179586*$frequency}]
  set slope [expr {($stop - $start)/$duration}]
  set value [expr {$start + $slope*$t + $amplitude*sin($omega*$t + $phase)}]
  return [list $value [expr {$slope + $amplitude*$omega*cos($omega*$t + $phase)}]]
}

proc product { tables stage time } {
  set value 1.0
  set rate 0.0
  foreach rows $tables {
    lassign [drive $rows $stage $time] factor slope
    set rate [expr {$rate*$factor + $value*$slope}]
    set value [expr {$value*$factor}]
  }
  return [list $value $rate]
}
"""


@dataclass
class Model:
    """A problem for ubermag, and what its MIF file needs beside.

    Attributes
    ----------
    system : micromagneticmodel.System
    driver : oommfc driver
    arguments : dict
        Of ``driver.drive``.
    procedures : list of str
        Tcl, in front of all.
    lines : dict of list of str
        Lines at the head of a block, by ``class:name``.
    stopping_times_s : list of float
        Length of each stage, if they differ.
    constant_energy_J : dict of float
        To be added to the energy of the term of that name.
    pulses : bool
        Whether drives are other than numbers, ramps and sines.
    seed : int or None
        Of OOMMF's random numbers. The evolver's own ``uniform_seed`` has no effect: OOMMF seeds once more when it has
        made all objects.
    """

    system: mm.System
    driver: oc.Driver = None
    arguments: dict = field(default_factory=dict)
    procedures: list[str] = field(default_factory=list)
    lines: dict[str, list[str]] = field(default_factory=dict)
    stopping_times_s: list[float] = field(default_factory=list)
    constant_energy_J: dict[str, float] = field(default_factory=dict)
    pulses: bool = False
    seed: int | None = None

    def amended(self, mif: str) -> str:
        """Return the MIF file that ubermag wrote with what it could not say.

        Raises
        ------
        UserError
            If a block is not there: another ubermag than ours was made for.
        """
        head = "" if self.seed is None else f"RandomSeed {self.seed}\n"
        if self.procedures:
            head += "".join([pulses.extended(TCL) if self.pulses else TCL, *self.procedures])
        mif = _after(mif, "# MIF 2.2\n", head)
        for name, lines in self.lines.items():
            mif = _after(mif, f"Specify {name} {{\n", "".join(f"  {line}\n" for line in lines))
        if self.stopping_times_s:
            times = " ".join(map(repr, self.stopping_times_s))
            mif, found = re.subn(r"^  stopping_time .*", f"  stopping_time {{ {times} }}", mif, flags=re.MULTILINE)
            _only(found, "stopping_time")
        return mif


def _after(mif: str, head: str, text: str) -> str:
    _only(mif.count(head), head)
    return mif.replace(head, head + text)


def _only(found: int, what: str) -> None:
    if found != 1:
        raise UserError(f"oommf: found an oommfc that writes '{what.strip()}' {found} times, allowed: oommfc 0.66")


def relaxation(problem: Problem, mask: np.ndarray, m: np.ndarray, tolerance: float) -> Model:
    """Return the model of a state's relaxation under the drives of t = 0, at T = 0 and without currents.

    Parameters
    ----------
    problem : Problem
    mask : bool[nz, ny, nx]
    m : float64[3, nz, ny, nx]
        Unit magnetisation to start from.
    tolerance : float
        ``max |m x H| / Ms`` at which it ends.
    """
    still = limits.at_start(problem)
    model = _statics(still, mask, m)
    torque = tolerance * problem.material.Ms_A_per_m
    model.driver = oc.MinDriver(stopping_mxHxm=torque, total_iteration_limit=MAX_ITERATIONS, evolver=oc.CGEvolver())
    return model


def trajectory(problem: Problem, mask: np.ndarray, m: np.ndarray) -> Model:
    """Return the model of a problem's trajectory, one stage a record; arguments as of `relaxation`."""
    stages = [steps * problem.numerics.dt_s for _, steps, _ in problem.frames()]
    model = _statics(problem, mask, m)
    constants, evolver = material.constants(problem, mask), limits.evolver(problem)
    alpha = constants["alpha"]
    model.system.dynamics = mm.Precession(gamma0=GAMMA0) + mm.Damping(
        alpha=_field(model.system.m.mesh, alpha) if isinstance(alpha, np.ndarray) else alpha
    )
    if limits.has_current(problem):
        model.system.dynamics += _slonczewski(problem, model)
    if limits.has_velocity(problem):
        model.system.dynamics += _zhang_li(problem, model)
    if problem.temperature_K:
        model.system.T, model.seed = problem.temperature_K, seed(problem)
    model.driver = oc.TimeDriver(evolver=_evolver(problem, evolver))
    model.arguments = {"t": sum(stages), "n": len(stages)}
    model.arguments["compute"] = START
    if max(stages) - min(stages) > 1e-9 * max(stages):
        model.stopping_times_s = stages
    return model


def _statics(problem: Problem, mask: np.ndarray, m: np.ndarray) -> Model:
    """Return the model with mesh, energies and first state."""
    constants = material.constants(problem, mask)
    # boxes of one D each, which must not follow the shape's outline
    D = material.unmasked(replace(problem, maps=()))["D_J_per_m2"]
    mesh = df.Mesh(
        p1=(0, 0, 0),
        p2=problem.mesh.size_m,
        n=(problem.mesh.nx, problem.mesh.ny, problem.mesh.nz),
        subregions=_boxes(problem, D) if isinstance(D, np.ndarray) else terms.layers(problem) or None,
    )
    model = Model(mm.System(name=NAME), pulses=pulses.used(problem))
    ms = np.where(mask, constants["Ms_A_per_m"], 0.0)
    model.system.m = _field(mesh, m * ms)
    A = constants["A_J_per_m"]
    energy = mm.Energy()
    if problem.couplings:
        energy += terms.coupled(problem, mask)
    else:
        energy += mm.Exchange(A=_field(mesh, A) if isinstance(A, np.ndarray) else A)
    if isinstance(D, np.ndarray):
        energy += mm.DMI(D=_pairs(problem, D), crystalclass="Cnv_z")
    elif D:
        energy += mm.DMI(D=-D, crystalclass="Cnv_z")
    for term in _anisotropies(problem, mask, constants["Ku_J_per_m3"], mesh, model):
        energy += term
    for term, lacks_J in terms.others(problem, mask, lambda values: _field(mesh, values)):
        energy += term
        model.constant_energy_J[term.name] = lacks_J
    Ku2 = problem.material.Ku2_J_per_m3
    if Ku2:
        # Ku2 sin^4 = Ku2 - 2 Ku2 cos^2 + Ku2 cos^4; OOMMF's zero is the axis if K1 > 0, else the plane
        energy += mm.UniaxialAnisotropy(K1=2 * Ku2, K2=-Ku2, u=_axis(problem, mesh), name="anisotropy_fourth")
        if Ku2 < 0:
            model.constant_energy_J["anisotropy_fourth"] = Ku2 * float(mask.sum()) * problem.mesh.cell_volume_m3
    if any(moves(b) for phase in problem.schedule for b in phase.field_T):
        energy += _zeeman(problem, model)
    if problem.geometry.beyond_mx is not None:
        energy += mm.Zeeman(H=_field(mesh, end_charges.field(problem, mask)), name="zeeman_beyond")
    if problem.numerics.demag:
        energy += mm.Demag()
    model.system.energy = energy
    return model


def _field(mesh: df.Mesh, values: np.ndarray) -> df.Field:
    """Return ``[nz, ny, nx]`` or ``[3, nz, ny, nx]`` as a field."""
    if values.ndim == 3:
        return df.Field(mesh, nvdim=1, value=np.ascontiguousarray(values.transpose(2, 1, 0))[..., None])
    return df.Field(mesh, nvdim=3, value=np.ascontiguousarray(values.transpose(3, 2, 1, 0)))


# -- drives in time ------------------------------------------------------------------------------------------------
def _rows(problem: Problem, drives: list, unit: float = 1.0) -> list[tuple]:
    """Return the table of a drive over ``unit`` for Tcl, given its value or waveform in each phase."""
    rows, last, begin = [], -1, 0.0
    counts = [0] * len(problem.schedule)
    names = [phase.name for phase in problem.schedule]
    for phase, _, _ in problem.frames():
        counts[names.index(phase.name)] += 1
    for phase, drive, count in zip(problem.schedule, drives, counts):
        last += count
        if simple(drive):
            wave = waveform(drive)
            shape = (wave.start / unit, wave.stop / unit, wave.amplitude / unit, wave.frequency_Hz, wave.phase_rad)
        else:
            shape = (0.0, 0.0, 0.0, 0.0, 0.0, f"{pulses.expression(drive, phase.duration_s)}/{unit!r}")
        rows.append((last, begin, phase.duration_s, *shape))
        begin += phase.duration_s
    return rows


def _constant(drives: list) -> float | None:
    """Return the one value of a drive in all phases, or None."""
    values = {steady(drive) for drive in drives}
    return values.pop() if len(values) == 1 else None


def _tcl(rows: list[tuple]) -> str:
    def entry(x) -> str:
        return f"{{{x}}}" if isinstance(x, str) else repr(x)

    return "{" + " ".join("{" + " ".join(map(entry, row)) + "}" for row in rows) + "}"


def _procedure(name: str, body: str) -> str:
    return f"\nproc {name} {{ stage time }} {{\n  return {body}\n}}\n"


ARGUMENTS = "{stage total_time}"  # what OOMMF hands to a procedure


def _profile(problem: Problem, drives: list, model: Model, name: str) -> dict[str, dict[str, str]]:
    """Return ubermag's arguments for a torque that follows drives in time."""
    model.procedures.append(_procedure(name, f"[lindex [drive {_tcl(_rows(problem, drives))} $stage $time] 0]"))
    return {"tcl_strings": {"script": "", "script_name": name, "script_args": ARGUMENTS}}


def _zeeman(problem: Problem, model: Model) -> mm.Zeeman:
    axes = [[phase.field_T[axis] for phase in problem.schedule] for axis in range(3)]
    steady = [b / MU0 for drives in axes if (b := _constant(drives)) is not None]
    if len(steady) == 3:
        return mm.Zeeman(H=tuple(steady))
    tables = [_tcl(_rows(problem, drives, MU0)) for drives in axes]
    lines = "".join(f"  lassign [drive {table} $stage $time] H{i} d{i}\n" for i, table in enumerate(tables))
    body = f"{lines}  return [list $H0 $H1 $H2 $d0 $d1 $d2]\n"
    model.procedures.append(f"\nproc applied_field {{ stage time }} {{\n{body}}}\n")
    script = {"script": "", "script_name": "applied_field", "script_args": ARGUMENTS, "energy": "Oxs_ScriptUZeeman"}
    return mm.Zeeman(H=(0, 0, 0), tcl_strings=script)


def _anisotropies(problem: Problem, mask: np.ndarray, Ku, mesh: df.Mesh, model: Model):
    """Yield the terms of Ku: one for each set of regions that are driven together, and for each sign."""
    driven = sorted({name for phase in problem.schedule for name, _ in phase.region_Ku_factors})
    regions = {region.name: region for region in problem.regions}
    inside = np.array([material.region_mask(problem.mesh, regions[name])[mask] for name in driven], bool)
    everywhere = [phase.Ku_factor for phase in problem.schedule]
    # which regions each magnetic cell lies in, [driven regions, cells], and the different answers to that
    inside = inside.reshape(len(driven), int(mask.sum()))
    sets, which = np.unique(inside, axis=1, return_inverse=True) if driven else (np.zeros((0, 1), bool), 0)
    for number, chosen in enumerate(sets.T):
        group = np.zeros_like(mask)
        group[mask] = np.ravel(which) == number
        own = [name for name, within in zip(driven, chosen) if within]
        factors = [everywhere] + [[dict(p.region_Ku_factors).get(name, 1.0) for p in problem.schedule] for name in own]
        steady = [value for value in map(_constant, factors) if value is not None]
        moving = [_rows(problem, drives) for drives in factors if _constant(drives) is None]
        for sign in (1, -1):
            strength = sign * math.prod(steady) * np.asarray(Ku, float)
            strength = np.where(group, np.maximum(strength, 0.0), 0.0)
            if not strength.any():
                continue
            uniform = np.unique(strength[mask])
            name = f"anisotropy_{number}" + ("_negative" if sign < 0 else "")
            value = float(uniform[0]) if len(uniform) == 1 else _field(mesh, strength)
            if moving or sign < 0:
                tables = [*moving] if sign > 0 else [[(10**9, 0.0, 1.0, -1.0, -1.0, 0.0, 0.0, 0.0)], *moving]
                body = "[product {" + " ".join(map(_tcl, tables)) + "} $stage $time]"
                model.procedures.append(_procedure(f"{name}_factor", body))
                model.lines[f"Oxs_UniaxialAnisotropy:{name}"] = [
                    f"multscript {name}_factor",
                    f"multscript_args {ARGUMENTS}",
                ]
            yield mm.UniaxialAnisotropy(K=value, u=_axis(problem, mesh), name=name)


def _axis(problem: Problem, mesh: df.Mesh) -> tuple[float, ...] | df.Field:
    if "axis" in material.varying(problem):
        return _field(mesh, material.axis(problem))
    return problem.material.axis


# -- torques -------------------------------------------------------------------------------------------------------
def _slonczewski(problem: Problem, model: Model) -> mm.Slonczewski:
    constants = problem.material
    polarisation = min(abs(constants.spin_hall_angle), 1.0)
    scale = constants.spin_hall_angle / polarisation / problem.mesh.nz
    drives = [phase.current_density_A_per_m2 for phase in problem.schedule]
    value = _constant(drives)
    profile = {} if value is not None else _profile(problem, drives, model, "current_density")
    return mm.Slonczewski(
        J=scale if value is None else scale * value,
        mp=constants.polarisation,
        P=polarisation,
        Lambda=constants.slonczewski_lambda,
        eps_prime=constants.field_like_ratio * polarisation / 2,
        **profile,
    )


def _zhang_li(problem: Problem, model: Model) -> mm.ZhangLi:
    drives = [phase.zhang_li_u_m_per_s for phase in problem.schedule]
    value = _constant(drives)
    profile = {} if value is not None else _profile(problem, drives, model, "velocity")
    return mm.ZhangLi(u=1.0 if value is None else value, beta=problem.material.zhang_li_beta, **profile)


class _SpinT(oc.SpinTEvolver):
    """ubermag's with the step control that OOMMF's class has."""

    _allowed_attributes = sorted({*oc.SpinTEvolver._allowed_attributes, *oc.RungeKuttaEvolver._allowed_attributes})


EVOLVERS = {
    limits.RUNGE_KUTTA: oc.RungeKuttaEvolver,
    limits.SLONCZEWSKI: oc.SpinXferEvolver,
    limits.ZHANG_LI: _SpinT,
    limits.THERMAL: oc.Xf_ThermHeunEvolver,
    limits.THERMAL_SLONCZEWSKI: oc.Xf_ThermSpinXferEvolver,
}


def _evolver(problem: Problem, name: str) -> mm.Evolver:
    numerics = problem.numerics
    options = {"method": limits.METHODS[name][numerics.integrator], "error_rate": -1, "relative_step_error": -1}
    if numerics.integrator == "dopri5":
        options["absolute_step_error"] = math.degrees(numerics.tolerance)
        if math.isfinite(longest_s := pulses.longest_step_s(problem)):
            options["max_timestep"] = longest_s
    else:
        options |= {"absolute_step_error": -1, "min_timestep": numerics.dt_s, "max_timestep": numerics.dt_s}
    return EVOLVERS[name](**options)


def seed(problem: Problem) -> int:
    """Return the seed of OOMMF's generator on the problem's stream: 0 to 2^31 - 3, since OOMMF adds up to 2."""
    return int(streams.digest(*problem.stream)[0]) % (2**31 - 2)


# -- regions of D --------------------------------------------------------------------------------------------------
def _boxes(problem: Problem, D: np.ndarray) -> dict[str, df.Region]:
    """Return disjoint boxes, cut wherever D changes, that cover the mesh."""
    (xs, ys), (dx, dy, _) = _cuts(D), problem.mesh.cell_m
    height = problem.mesh.size_m[2]
    return {
        f"box_{i}_{j}": df.Region(p1=(xs[i] * dx, ys[j] * dy, 0), p2=(xs[i + 1] * dx, ys[j + 1] * dy, height))
        for i, j in product(range(len(xs) - 1), range(len(ys) - 1))
    }


def _cuts(D: np.ndarray) -> tuple[list[int], list[int]]:
    flat = D[0]
    columns = np.flatnonzero((np.diff(flat, axis=1) != 0).any(0)) + 1
    rows = np.flatnonzero((np.diff(flat, axis=0) != 0).any(1)) + 1
    return [0, *columns.tolist(), flat.shape[1]], [0, *rows.tolist(), flat.shape[0]]


def _pairs(problem: Problem, D: np.ndarray) -> dict[str, float]:
    """Return ubermag's D of each box and, their mean as in our bonds, of each pair of boxes that touch."""
    xs, ys = _cuts(D)
    values = {(i, j): float(D[0, y, x]) for i, x in enumerate(xs[:-1]) for j, y in enumerate(ys[:-1])}
    pairs = {f"box_{i}_{j}": -value for (i, j), value in values.items()}
    for (i, j), value in values.items():
        for other in ((i + 1, j), (i, j + 1)):
            if other in values:
                pairs[f"box_{i}_{j}:box_{other[0]}_{other[1]}"] = -(value + values[other]) / 2
    return pairs
