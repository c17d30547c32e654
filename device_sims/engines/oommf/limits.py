"""What OOMMF cannot do of a problem, said before anything runs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from device_sims.engines import refuse_terms
from device_sims.engines.llg import stability
from device_sims.engines.oommf import program
from device_sims.problem import ADAPTIVE, LEAST_TOLERANCE, Phase, Problem, couplings, demands, material
from device_sims.problem.waveforms import at, moves
from spinloom.errors import UserError

RUNGE_KUTTA, SLONCZEWSKI, ZHANG_LI = "Oxs_RungeKuttaEvolve", "Oxs_SpinXferEvolve", "Anv_SpinTEvolve"
THERMAL, THERMAL_SLONCZEWSKI = "Xf_ThermHeunEvolve", "Xf_ThermSpinXferEvolve"
DMI, BULK_DMI, QUARTIC = "Oxs_DMI_Cnv_z", "Oxs_DMI_T", "Southampton_UniaxialAnisotropy4"
EXTENSIONS = (ZHANG_LI, THERMAL, THERMAL_SLONCZEWSKI, DMI, BULK_DMI, QUARTIC)  # not in NIST's own distribution
# of what `refuse_terms` knows
DOES = (
    *("material.Kc1_J_per_m3", "material.second_Ku_J_per_m3", "material.Dbulk_J_per_m2", "couplings"),
    *("grains.Kc1_spread", "grains.Ms_spread", "grains.tilt_rad", "grains.random_cubic_axes"),
)
# by our name of the integrator, OOMMF's
METHODS = {
    RUNGE_KUTTA: {"dopri5": "rkf54", "rk4": "rk4", "heun": "rk2heun"},
    SLONCZEWSKI: {"dopri5": "rkf54", "rk4": "rk4", "heun": "rk2heun"},
    ZHANG_LI: {"dopri5": "rkf54"},  # its rk4 ends with "max spin angle set to two different values" (2.1a0)
    THERMAL: {"heun": "rk2heun"},
    THERMAL_SLONCZEWSKI: {"heun": "rk2heun"},
}


def has_current(problem: Problem) -> bool:
    """Return whether a spin-orbit or Slonczewski torque acts at any time."""
    return bool(problem.material.spin_hall_angle) and any(moves(p.current_density_A_per_m2) for p in problem.schedule)


def has_velocity(problem: Problem) -> bool:
    """Return whether a Zhang-Li torque acts at any time."""
    return any(moves(phase.zhang_li_u_m_per_s) for phase in problem.schedule)


def evolver(problem: Problem) -> str:
    """Return the OOMMF class that solves the equation of motion.

    Raises
    ------
    UserError
        If no class has all the torques.
    """
    if has_velocity(problem):
        index = next(i for i, phase in enumerate(problem.schedule) if moves(phase.zhang_li_u_m_per_s))
        key = f"schedule.{index}.zhang_li_u_m_per_s"
        if has_current(problem):
            raise UserError(f"{key}: found together with a current_density, allowed with oommf: one of the two torques")
        if problem.temperature_K:
            raise UserError(
                f"{key}: found at {problem.temperature_K:g} K, allowed with oommf: temperature_K 0, because it has no "
                "thermal evolver with a Zhang-Li torque"
            )
        return ZHANG_LI
    if problem.temperature_K:
        return THERMAL_SLONCZEWSKI if has_current(problem) else THERMAL
    return SLONCZEWSKI if has_current(problem) else RUNGE_KUTTA


def classes(problem: Problem) -> list[str]:
    """Return the extensions that OOMMF must have been built with."""
    used = [evolver(problem)]
    if problem.material.D_J_per_m2 or "D_J_per_m2" in material.varying(problem):
        used.append(DMI)
    if problem.material.Dbulk_J_per_m2:
        used.append(BULK_DMI)
    if problem.material.Ku2_J_per_m3:
        used.append(QUARTIC)
    return [name for name in used if name in EXTENSIONS]


def check(problem: Problem) -> None:
    """Check that OOMMF, as it was built here, can do a problem.

    Raises
    ------
    UserError
        Naming the first key that cannot be. The engine must be usable (`program.probe`).
    """
    check_problem(problem)
    for name in classes(problem):
        if not program.has_class(name):
            key = "temperature_K" if name in (THERMAL, THERMAL_SLONCZEWSKI) else "engine"
            raise UserError(
                f"{key}: found an OOMMF that was built without the extension {name}, allowed: one with it, as the "
                "source at github.com/fangohr/oommf, or conda-forge's package if it was built from that source"
            )


def check_problem(problem: Problem) -> None:
    """Check what does not depend on the OOMMF that is there; errors as of `check`."""
    refuse_terms(problem, "oommf", DOES)
    demands.refuse(problem, "oommf", does=(demands.PULSES,))
    _check_terms(problem)
    for entry in problem.maps:
        if entry.constant == "D_J_per_m2":
            raise UserError("maps.D_J_per_m2: found a map, allowed with oommf: rectangular regions with their own D")
    constants, numerics = problem.material, problem.numerics
    for index, region in enumerate(problem.regions):
        if region.shape is not None and "D_J_per_m2" in region.changes:
            raise UserError(
                f"regions.{index}: found D_J_per_m2 in a region with a shape, allowed with oommf: a region given by "
                "x_m and y_m"
            )
    smooth = problem.geometry.edge_smoothing
    for key, value in (("D_J_per_m2", constants.D_J_per_m2), ("Ku2_J_per_m3", constants.Ku2_J_per_m3)):
        if smooth and value:
            raise UserError(
                f"geometry.edge_smoothing: found {smooth} with material.{key}, allowed with oommf: one of the two"
            )
    if smooth and has_current(problem):
        raise UserError(
            f"geometry.edge_smoothing: found {smooth} with a current density, allowed with oommf: one of the two"
        )
    methods = METHODS[evolver(problem)]
    if numerics.integrator not in methods:
        why = f" at {problem.temperature_K:g} K" if problem.temperature_K else ""
        raise UserError(
            f"numerics.integrator: found '{numerics.integrator}', allowed with oommf{why}: {', '.join(methods)}"
        )
    if numerics.integrator == ADAPTIVE:
        least = LEAST_TOLERANCE["float64"]
        if numerics.tolerance < least:
            raise UserError(f"numerics.tolerance: found {numerics.tolerance:g}, allowed: at least {least:g}")
    else:
        stability.check(problem)
    if has_current(problem):
        if constants.slonczewski_lambda < 1:
            raise UserError(
                f"material.slonczewski_lambda: found {constants.slonczewski_lambda:g}, allowed with oommf: at least 1"
            )
        if constants.slonczewski_lambda != 1 and constants.field_like_ratio:
            raise UserError(
                f"material.field_like_ratio: found {constants.field_like_ratio:g} with slonczewski_lambda "
                f"{constants.slonczewski_lambda:g}, allowed with oommf: 0, because its eps_prime does not depend on "
                "the angle"
            )


def _check_terms(problem: Problem) -> None:
    """Check what of the terms in `DOES` cannot be said."""
    varying, mask = material.varying(problem), material.mask(problem)
    if problem.geometry.edge_smoothing:
        refuse_terms(problem, "oommf beside geometry.edge_smoothing")
    if "Kc1_J_per_m3" in varying:
        least = float(np.min(np.broadcast_to(material.constants(problem, mask)["Kc1_J_per_m3"], mask.shape)[mask]))
        if least < 0:
            raise UserError(
                f"Kc1_J_per_m3: found {least:.3g} in a cell, allowed with oommf where it differs from cell to cell: 0 "
                "or more, because its fields of numbers have no sign"
            )
    if not problem.couplings:
        return
    for index, coupling in enumerate(problem.couplings):
        if coupling.layers is None:
            raise UserError(f"couplings.{index}.regions: found with engine oommf, allowed: layers, or engine llg")
    for name in ("A_J_per_m", "D_J_per_m2"):
        if name in varying:
            raise UserError(
                f"couplings: found with a {name} that differs from cell to cell, allowed with oommf: uniform"
            )
    gaps = couplings.gaps(problem, mask)
    facing = all(((gap.part > 0) == (mask[gap.low] & mask[gap.high])).all() for gap in gaps)
    if len(gaps) > 1 or not facing:
        raise UserError(
            "couplings: found several pairs of layers with empty cells between them, allowed with oommf: one such pair"
        )


def at_start(problem: Problem) -> Problem:
    """Return the problem whose drives are constant at their values of t = 0, without currents and at T = 0."""
    first = problem.schedule[0]

    def now(drive) -> float:
        return at(drive, 0.0, first.duration_s)

    x, y, z = map(now, first.field_T)
    still = Phase(
        first.name,
        first.duration_s,
        now(first.Ku_factor),
        field_T=(x, y, z),
        region_Ku_factors=tuple((name, now(drive)) for name, drive in first.region_Ku_factors),
    )
    return replace(problem, schedule=(still,), temperature_K=0.0)
