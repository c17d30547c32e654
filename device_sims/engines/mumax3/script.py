"""A problem as a mumax3 script (3.11, or 3.12 and newer), and the fields that lie beside it as OVF files.

What of mumax3's this rests on (read in its source):

* a function of time set at the very moment at which the last one was evaluated is not evaluated again before time has
  moved on, so each change of a drive is first written as its value and then as its function;
* ``Steps`` counts steps exactly, where ``Run`` compares sums of time steps; only adaptive steps need it;
* with ``OpenBC`` a missing neighbour is a missing bond of exchange and DMI, which is the discretisation of `Problem`;
  between regions, exchange and DMI have the harmonic mean, or what ``ext_InterExchange`` and ``ext_InterDind`` say;
* ``Ku2`` multiplies -(m.u)^4 and ``Ku1`` -(m.u)^2, so Ku sin^2 + Ku2 sin^4 is Ku1 = Ku + 2 Ku2, Ku2 = -Ku2;
* energies of cubic anisotropy are zero along its axes, as ours; it has bulk or interfacial DMI, never both;
* relaxation lets time run, so drives are constant until it is over.

Torques (cuda/slonczewski2.cu, cuda/zhangli2.cu; the fixed layer on top, its default):

* Slonczewski: fields A (m x p) + B p with A = (hbar/e) J_z/(Ms t) eps, eps = Pol L^2/(L^2 + 1 + (L^2 - 1) m.p), and
  B = (hbar/e) J_z/(Ms t) EpsilonPrime. Ours are these with Pol = theta and, for L = 1, EpsilonPrime = theta ratio/2.
* Zhang-Li: u = -muB Pol J_x/(e Ms (1 + xi^2)), of which one factor is a constant of the source over ``GammaLL``.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from device_sims.engines.llg import stability
from device_sims.engines.mumax3.functions import function, literal
from device_sims.engines.mumax3.regions import Regions, partition
from device_sims.problem import GAMMA0, MU0, Drive, Phase, Problem, material, waveforms
from device_sims.problem.initial import initial_magnetisation
from device_sims.problem.magnetostatics import end_charges
from spinloom import streams

RESEEDS = (3, 12)  # the first version with ThermReseed, and with noise on any number of cells
SOLVERS = {"heun": 2, "rk4": 4, "dopri5": 5}
ADAPTIVE = ("dopri5",)
COLUMNS = ("E_exch", "E_anis", "E_demag", "E_Zeeman")
GAMMA = GAMMA0 / MU0  # rad/(T s)
# mumax3's own constants, where a torque of it has them
BOHR_MAGNETON, ELECTRON, GAMMA_OF_SOURCE = 9.2740091523e-24, 1.60217646e-19, 1.7595e11


@dataclass(frozen=True)
class Script:
    """A script; ``fields`` are OVF files by name, ``float[nz, ny, nx]`` or ``[3, nz, ny, nx]``, that it reads."""

    text: str
    fields: dict[str, np.ndarray]
    mask: np.ndarray
    regions: Regions


class Value(NamedTuple):
    """The text of a quantity when the phase begins, and that of its function of time if it has one."""

    start: str
    function: str | None = None


def seed(problem: Problem) -> int:
    """Return the seed of a problem's thermal noise: 62 bits of its stream's key."""
    low, high = (int(word) for word in streams.digest(*problem.stream, "mumax3")[:2])
    return (high << 32 | low) >> 2


def frames(problem: Problem) -> Iterator[tuple[int, int, int, bool]]:
    """Yield what belongs to each record but that of t = 0.

    ``(phase, steps since the last record, steps since the phase began, the phase ends here)``.
    """
    for number, phase in enumerate(problem.schedule):
        taken = 0
        for count, is_end in problem.frames_of(phase):
            taken += count
            yield number, count, taken, is_end


def at(drive: Drive, phase: Phase, t_s: float) -> float:
    """Return the value of a drive ``t_s`` after its phase began."""
    return waveforms.at(drive, t_s, phase.duration_s)


def ku_factors(problem: Problem, regions: Regions, phase: Phase) -> list[list[Drive]]:
    """Return the factors on the Ku of each of mumax3's regions in a phase."""
    return [
        [phase.Ku_factor, *(drive for name, drive in phase.region_Ku_factors if name in held)]
        for held in regions.driven
    ]


def write(problem: Problem, version: tuple[int, int] = (3, 11)) -> Script:
    """Return a problem's script and fields.

    Parameters
    ----------
    problem : Problem
    version : (int, int)
        Of the mumax3 that is to run it: 3.12 has ``ThermReseed`` in place of ``ThermSeed``.

    Raises
    ------
    UserError
        As of `material.mask`, `material.constants`, `initial_magnetisation` and `partition`.
    """
    mask = material.mask(problem)
    regions = partition(problem, mask)
    fields = {"m0.ovf": initial_magnetisation(problem, mask)}
    lines = ["// One replica. Lengths in m, all other quantities in SI units too.", *_mesh(problem, mask)]
    if problem.geometry.beyond_mx is not None:
        fields["beyond.ovf"] = MU0 * end_charges.field(problem, mask)
    if not mask.all():
        fields["mask.ovf"] = mask.astype(float)
    if regions.count > 1:
        fields["regions.ovf"] = regions.index.astype(float)
        lines.append('regions.LoadFile("regions.ovf")')
    lines += ["", *_material(problem, regions)]
    if problem.geometry.beyond_mx is not None:
        lines.append('B_ext.Add(LoadFile("beyond.ovf"), 1)')
    lines += ["", 'm.LoadFile("m0.ovf")', "OutputFormat = OVF2_BINARY"]
    lines += [f"TableAdd({column})" for column in COLUMNS]
    known: dict[str, list[Value]] = {}
    if (relax := problem.initial.relax_tolerance) is not None:
        lines += ["", "// to rest, under the drives of t = 0 but without current"]
        for name, values in _drives(problem, regions, problem.schedule[0], 0.0).items():
            lines += _assigned(name, [Value(value.start) for value in values]) if name not in ("J", "Temp") else []
        lines += _relaxed(problem, relax)
    lines += ["", *_stepping(problem, version)]
    begin = 0
    for index, phase in enumerate(problem.schedule):
        own = _drives(problem, regions, phase, begin * problem.numerics.dt_s)
        lines += ["", f"// phase {index}: {_comment(phase.name)}"]
        lines += [line for name, values in own.items() if known.get(name) != values for line in _assigned(name, values)]
        known = own
        lines += ["TableSave()", "Save(m)"] if index == 0 else []
        lines += _advance(problem, index)
        begin += problem.phase_steps(phase)
    return Script("\n".join(lines) + "\n", fields, mask, regions)


def _mesh(problem: Problem, mask: np.ndarray) -> list[str]:
    if not mask.all():
        return ['ext_InitGeomFromOVF("mask.ovf")']
    mesh = problem.mesh
    periodic = [f"SetPBC({mesh.periodic[0]}, {mesh.periodic[1]}, 0)"] if any(mesh.wraps) else []
    return [*periodic, f"SetGridSize({mesh.nx}, {mesh.ny}, {mesh.nz})", f"SetCellSize({_numbers(mesh.cell_m)})"]


def _material(problem: Problem, regions: Regions) -> list[str]:
    constants, numerics = problem.material, problem.numerics
    by_region = {
        "Msat": regions.constants["Ms_A_per_m"],
        "Aex": regions.constants["A_J_per_m"],
        "alpha": regions.constants["alpha"],
        "Dind": regions.constants["D_J_per_m2"],
    }
    if cubic := bool(regions.constants["Kc1_J_per_m3"].any() or constants.Kc2_J_per_m3):
        by_region["Kc1"] = regions.constants["Kc1_J_per_m3"]
    lines = [f"GammaLL = {literal(GAMMA)}", f"EnableDemag = {_truth(numerics.demag)}", "OpenBC = true"]
    for name, values in by_region.items():
        lines.append(f"{name} = {literal(values[0])}")
        lines += [f"{name}.SetRegion({r}, {literal(v)})" for r, v in enumerate(values) if v != values[0]]
    lines += [f"ext_InterDind({a}, {b}, {literal(d)})" for a, b, d in _unequal_dmi(problem, regions)]
    lines += [f"ext_InterExchange({a}, {b}, {literal(A)})" for a, b, A in regions.bonds]
    if cubic:
        lines.append(f"Kc2 = {literal(constants.Kc2_J_per_m3)}")
        for place, name in enumerate(("anisC1", "anisC2")):
            axes = regions.cubic_axes[:, place]
            lines += _assigned(name, _agreed([Value(f"vector({_numbers(axis)})") for axis in axes]))
    if constants.Dbulk_J_per_m2:
        lines.append(f"Dbulk = {literal(constants.Dbulk_J_per_m2)}")
    lines += _assigned("anisU", _agreed([Value(f"vector({_numbers(axis)})") for axis in regions.axes]))
    lines.append(f"Ku2 = {literal(0.0 - constants.Ku2_J_per_m3)}")
    torque, drift = bool(constants.spin_hall_angle), moves(problem)
    lines += [
        f"DisableSlonczewskiTorque = {str(not torque).lower()}",
        f"DisableZhangLiTorque = {str(not drift).lower()}",
    ]
    if torque:
        lines += [
            f"Pol = {literal(constants.spin_hall_angle)}",
            f"Lambda = {literal(constants.slonczewski_lambda)}",
            f"EpsilonPrime = {literal(constants.spin_hall_angle * constants.field_like_ratio / 2)}",
            f"FixedLayer = vector({_numbers(constants.polarisation)})",
            "FixedLayerPosition = FIXEDLAYER_TOP",
            f"FreeLayerThickness = {literal(problem.mesh.size_m[2])}",
        ]
    if drift:
        lines.append(f"xi = {literal(constants.zhang_li_beta)}")
    return lines


def _relaxed(problem: Problem, tolerance: float) -> list[str]:
    return [
        f"RelaxTorqueThreshold = {literal(tolerance * MU0 * problem.material.Ms_A_per_m)}",
        f"MaxErr = {literal(relax_error(problem, tolerance))}",
        "Relax()",
    ]


def relax_error(problem: Problem, tolerance: float) -> float:
    """Return the error per step with which a relaxation reaches its tolerance, ``max |m x H| / Ms``.

    The steps leave the stiffest wave an amplitude of the order of their error, which is a torque of that times its
    frequency. If it is above the threshold `Relax` never ends: with 1.2 times that it did not, with 0.1 it did.
    """
    fastest = max(rate for _, rate in stability.fastest_waves(problem))
    return 0.1 * tolerance * GAMMA0 * problem.material.Ms_A_per_m / fastest


def moves(problem: Problem) -> bool:
    """Return whether a phase has a Zhang-Li velocity."""
    return any(waveforms.moves(phase.zhang_li_u_m_per_s) for phase in problem.schedule)


def _unequal_dmi(problem: Problem, regions: Regions) -> list[tuple[int, int, float]]:
    """Return pairs of neighbouring regions of unlike D, and the mean that their bonds have."""
    d, index = regions.constants["D_J_per_m2"], regions.index
    if (d == d[0]).all():
        return []
    pairs = set()
    for axis in (1, 2):
        count = index.shape[axis]
        last = count if problem.mesh.wraps[axis] else count - 1
        a, b = index.take(range(last), axis), index.take([(i + 1) % count for i in range(last)], axis)
        low, high = np.minimum(a, b), np.maximum(a, b)
        pairs |= {divmod(int(code), regions.count) for code in np.unique(low * regions.count + high)}
    return [(a, b, float((d[a] + d[b]) / 2)) for a, b in sorted(pairs) if d[a] != d[b]]


def _stepping(problem: Problem, version: tuple[int, int]) -> list[str]:
    numerics = problem.numerics
    lines = [f"SetSolver({SOLVERS[numerics.integrator]})"]
    if numerics.integrator in ADAPTIVE:
        lines.append(f"MaxErr = {literal(numerics.tolerance)}")
        pulse_s = min(waveforms.shortest_s(drive) for phase in problem.schedule for drive in phase.drives().values())
        lines += [f"MaxDt = {literal(pulse_s)}"] if math.isfinite(pulse_s) else []
    else:
        lines.append(f"FixDt = {literal(numerics.dt_s)}")
    # always a seed: the default is the same for every run
    seeded = "ThermReseed" if version >= RESEEDS else "ThermSeed"
    return [*lines, f"Temp = {literal(problem.temperature_K)}", f"{seeded}({seed(problem)})"]


def _drives(problem: Problem, regions: Regions, phase: Phase, begin_s: float) -> dict[str, list[Value]]:
    """Return what a phase sets, by quantity: one value, or one for each region."""
    constants, drift = problem.material, moves(problem)

    def product(scale: float, *drives: Drive, offset: float = 0.0) -> Value:
        return _product(scale, drives, offset, phase, begin_s)

    ku = [
        product(ku, *factors, offset=2 * constants.Ku2_J_per_m3)
        for ku, factors in zip(regions.constants["Ku_J_per_m3"], ku_factors(problem, regions, phase))
    ]
    drives = {"Ku1": _agreed(ku), "B_ext": [_vector([product(1.0, b) for b in phase.field_T])]}
    if constants.spin_hall_angle or drift:
        through = product(float(bool(constants.spin_hall_angle)), phase.current_density_A_per_m2)
        along = [
            product(current_per_velocity(problem, ms) if drift else 0.0, phase.zhang_li_u_m_per_s)
            for ms in regions.constants["Ms_A_per_m"]
        ]
        drives["J"] = _agreed([_vector([drifting, product(0.0), through]) for drifting in along])
    if any(one.temperature_factor != 1.0 for one in problem.schedule):
        drives["Temp"] = [product(problem.temperature_K, phase.temperature_factor)]
    return drives


def _agreed(values: list[Value]) -> list[Value]:
    return values[:1] if all(value == values[0] for value in values) else values


def _assigned(name: str, values: list[Value]) -> list[str]:
    """Return the lines that set a quantity: its value first, then its function."""
    lines = []
    for region, value in enumerate(values):
        target = f"{name} = {{}}" if len(values) == 1 else f"{name}.SetRegion({region}, {{}})"
        lines += [target.format(text) for text in value if text is not None]
    return lines


def current_per_velocity(problem: Problem, ms: float) -> float:
    """Return the current density along x per Zhang-Li velocity, A s/m3, in a material of Ms ``ms``, A/m."""
    xi, polarisation = problem.material.zhang_li_beta, problem.material.spin_hall_angle or 1.0
    return -ELECTRON * ms * (1 + xi**2) / (BOHR_MAGNETON * polarisation) * GAMMA_OF_SOURCE / GAMMA


def _vector(components: list[Value]) -> Value:
    start = f"vector({', '.join(start for start, _ in components)})"
    if all(function is None for _, function in components):
        return Value(start)
    return Value(start, f"vector({', '.join(function or start for start, function in components)})")


def _product(scale: float, drives, offset: float, phase: Phase, begin_s: float) -> Value:
    """Return ``scale`` times drives plus ``offset``: its value at the begin, and its function if it has one."""
    start = scale * math.prod(at(drive, phase, 0.0) for drive in drives) + offset
    functions = [function(drive, phase, begin_s) for drive in drives]
    if not scale or all(function is None for function in functions):
        return Value(literal(start))
    steady = scale * math.prod(at(drive, phase, 0.0) for drive, f in zip(drives, functions) if f is None)
    text = "*".join([literal(steady), *filter(None, functions)])
    return Value(literal(start), text + (f"+{literal(offset)}" if offset else ""))


def _advance(problem: Problem, phase: int) -> list[str]:
    """Return the lines that take a phase's steps and save its records."""
    lines, tolerance = [], problem.schedule[phase].relax_tolerance
    if tolerance is not None:
        lines += _relaxed(problem, tolerance)
        if problem.numerics.integrator in ADAPTIVE:
            lines.append(f"MaxErr = {literal(problem.numerics.tolerance)}")
        return [*lines, "TableSave()", "Save(m)"]
    counts = [count for count, _ in problem.frames_of(problem.schedule[phase])]
    for count, group in itertools.groupby(counts):
        step = f"Steps({count})"
        if problem.numerics.integrator in ADAPTIVE:
            step = f"Run({literal(count * problem.numerics.dt_s)})"
        body, times = [step, "TableSave()", "Save(m)"], len(list(group))
        lines += [f"for i := 0; i < {times}; i++ {{", *(f"\t{line}" for line in body), "}"] if times > 1 else body
    return lines


def _comment(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)


def _truth(value: bool) -> str:
    return "true" if value else "false"


def _numbers(values) -> str:
    return ", ".join(map(literal, values))
