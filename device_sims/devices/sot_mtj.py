"""Perpendicular junction written by spin-orbit torque: a current in the heavy metal below turns the free layer.

The current runs along x, its spins are polarised along y, and the torque is that of the effective fields ``a (m x y)``
and ``ratio a y`` with ``a = hbar theta J/(2 e mu0 Ms t)``. Such a torque takes the moment into the plane and favours
neither state. What chooses one is a field along the current, or an easy axis that leans towards y (You et al., PNAS
112, 10310 (2015)): with ``J Hx > 0``, or ``J`` and the lean of one sign, and a positive spin Hall angle, it is up, P.

Voltages are those along the line, ``J = V/(rho length)``; both signs are pulses, and each is written from both states,
so that a write that returns from the favoured state is counted and not assumed away.

Beside each simulated probability stands the threshold of the damping-like torque at T = 0 in a field along the current
(Lee et al., Appl. Phys. Lett. 102, 112410 (2013)), see `threshold`.
"""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
import pandas as pd
import pandera.pandas as pa
from pydantic import Field

from device_sims.common import Simulations
from device_sims.devices import Batch, planning
from device_sims.devices.junctions import landscape, mtj
from device_sims.devices.junctions.mtj import (  # noqa: F401  (part of this family's protocol)
    AXES,
    BODY,
    EVENT_COLUMNS,
    KEYS,
    PULSE_COLUMNS,
    TRAJECTORY_COLUMNS,
    observe,
)
from device_sims.problem import BOLTZMANN, ELEMENTARY_CHARGE, HBAR, MU0, Material, Problem, Vector
from spinloom.declare import Real, Section, key
from spinloom.errors import UserError
from spinloom.write_events import Energy, Line, Writes

SUMMARY_COLUMNS = {
    **mtj.SUMMARY_COLUMNS,
    **mtj.OFFSET_COLUMN,
    "current_density_A_per_m2": pa.Column(float),
    # of Lee et al.; absent where it does not hold: a leaning axis, a field-like torque, a field along the normal
    "critical_current_density_A_per_m2": pa.Column(float, pa.Check.gt(0), nullable=True),
    "thermal_stability": pa.Column(float, pa.Check.gt(0)),
}


class HeavyMetal(Section):
    """The heavy-metal line below the free layer. The current runs along x."""

    spin_hall_angle: Real = key("Spin Hall angle: damping-like spin current divided by charge current.", ge=-10, le=10)
    field_like_ratio: Real = key("Field-like torque divided by damping-like torque.", 0, ge=-10, le=10)
    thickness_m: Real = key("Thickness of the line, for its resistance.", gt=0, le=1e-07)
    width_m: Real = key("Width of the line, for its resistance.", gt=0, le=1e-04)
    length_m: Real = key("Length of the line between its contacts.", gt=0, le=1e-03)
    resistivity_ohm_m: Real = key("Resistivity of the line. The current density is V/(resistivity length).", gt=0, le=1)

    @property
    def resistance_ohm(self) -> float:
        """Resistance of the line."""
        return self.resistivity_ohm_m * self.length_m / (self.width_m * self.thickness_m)


class Junction(Section):
    """The tunnel junction, which reads the state. During a write there is no voltage on it."""

    RA_ohm_m2: Real = key("Resistance-area product of the parallel state.", gt=0, le=0.001)
    TMR: Real = key("Tunnel magnetoresistance (R_AP - R_P)/R_P.", ge=0, le=20)


class Pulses(mtj.Pulses):
    """The pulses of the sweep: all combinations of these lists."""

    voltages_V: tuple[Annotated[Real, Field(ge=-100, le=100)], ...] = key(
        "Voltages along the line, with their sign. Each is applied to each state in `directions`.",
        min_length=1,
        max_length=1000,
    )


class Options(mtj.Options):
    """Perpendicular junction written by spin-orbit torque from a current in a heavy-metal line (docs/mtj.md)."""

    heavy_metal: HeavyMetal = key("The heavy-metal line below the free layer. The current runs along x.")
    junction: Junction = key("The tunnel junction, which reads the state. During a write there is no voltage on it.")
    in_plane_field_T: Real = key("Field along the current, on at all times.", 0, ge=-10, le=10)
    stray_field_T: Real = key(
        "Field of the reference layers along the normal. A positive field favours P. Not used with `reference`.",
        0,
        ge=-10,
        le=10,
    )
    reference: mtj.Reference | None = key(
        "The layers that make the stray field. With null, `stray_field_T` is used instead.", None
    )
    tilt_rad: Real = key("Angle between the easy axis and the normal.", 0, ge=0, le=1.2)
    tilt_azimuth_rad: Real = key(
        "Direction in the plane towards which the easy axis leans, counted from the current. The default pi/2 "
        "is along the polarisation of the spins.",
        math.pi / 2,
        ge=-6.3,
        le=6.3,
    )
    pulses: Pulses = key("The pulses of the sweep: all combinations of these lists.")


# -- what is known without a simulation ----------------------------------------------------------------------------
def threshold(b: float) -> float:
    """Return ``max cos(x) (sin(x) - b)``, the effective field a over Hk at which no state in the x-z plane is left.

    Lee et al., Appl. Phys. Lett. 102, 112410 (2013): ``sqrt((8 + 20 b^2 - b^4 - b (8 + b^2)^(3/2))/32)``, to first
    order ``1/2 - b/sqrt2``. b is Hx/Hk, positive where the torque drives against the state and the field helps, and
    negative for a pulse that favours the state; 0 beyond ``b = 1``. A moment that leaves the plane, at low damping, is
    lost at less.
    """
    square = 8 + 20 * b * b - b**4 - b * (8 + b * b) ** 1.5
    return math.sqrt(max(square, 0.0) / 32) if b < 1 else 0.0


def critical_current_density(options: Options, direction: str, polarity: int) -> float:
    """Return the amplitude of J at which a start state is lost at T = 0 by `threshold`, A/m2; nan where it is none.

    It is for the damping-like torque alone, an axis along the normal and a field along the current.
    """
    metal, Hk = options.heavy_metal, mtj.anisotropy_field(options)
    if options.tilt_rad or mtj.offset_T(options) or metal.field_like_ratio or not metal.spin_hall_angle * polarity:
        return float("nan")
    favours_up = np.sign(polarity * metal.spin_hall_angle * options.in_plane_field_T)
    b = -mtj.DIRECTIONS[direction] * favours_up * abs(options.in_plane_field_T) / MU0 / Hk
    per_field = 2 * ELEMENTARY_CHARGE * MU0 * options.material.Ms_A_per_m * options.layer.thickness_m / HBAR
    found = per_field / abs(metal.spin_hall_angle) * Hk * threshold(float(b))
    return found if found > 0 else float("nan")


def stability(options: Options, side: int | None = None) -> float:
    """Return the barrier of P (``side`` 1), AP (-1) or the less stable of both over kB T; inf at T = 0."""
    if not options.temperature_K:
        return float("inf")
    if side is None:
        return min(stability(options, 1), stability(options, -1))
    height = landscape.barrier_J(_nominal(options), *mtj.disc(options.layer), _field(options), side)
    return height / (BOLTZMANN * options.temperature_K)


def _axis(options: Options) -> Vector:
    if not options.tilt_rad:
        return 0.0, 0.0, 1.0
    sine, azimuth = math.sin(options.tilt_rad), options.tilt_azimuth_rad
    return sine * math.cos(azimuth), sine * math.sin(azimuth), math.cos(options.tilt_rad)


def _field(options: Options) -> Vector:
    return options.in_plane_field_T, 0.0, mtj.offset_T(options)


def _own(options: Options) -> dict:
    metal = options.heavy_metal
    return {
        "spin_hall_angle": metal.spin_hall_angle,
        "field_like_ratio": metal.field_like_ratio,
        "polarisation": (0.0, 1.0, 0.0),
        "axis": _axis(options),
    }


# -- the protocol --------------------------------------------------------------------------------------------------
def check(section: Simulations) -> None:
    """Check what a declaration cannot; errors as of `mtj.check`, and fields or axes that leave no two states."""
    options, where = section.options, f"device_sims.{section.device}"
    mtj.check(section, _problem)
    metal = options.heavy_metal
    if metal.width_m < options.layer.diameter_m:
        raise UserError(
            f"{where}.heavy_metal.width_m: found {metal.width_m:g}, allowed: at least layer.diameter_m = "
            f"{options.layer.diameter_m:g}, because the free layer lies on the line"
        )
    for state, side in ((mtj.P, 1), (mtj.AP, -1)):
        mz = landscape.rest(_nominal(options), *mtj.disc(options.layer), _field(options), side)[2]
        if side * mz <= mtj.DECIDED:
            raise UserError(
                f"{where}.in_plane_field_T: found {options.in_plane_field_T:g} with tilt_rad {options.tilt_rad:g} and "
                f"{mtj.offset_T(options):g} T along the normal, allowed: values that leave two states with |mz| > "
                f"{mtj.DECIDED:g} (here {state} rests at mz = {mz:.3g})"
            )


def pulses(section: Simulations) -> pd.DataFrame:
    """Return one row per pulse; see `mtj.pulses`."""

    def drives(direction: str, voltage: float) -> dict[str, float]:
        current = _current_density(section.options, voltage)
        return {"voltage_V": voltage, "current_density_A_per_m2": current, "Ku_change_J_per_m3": 0.0}

    return mtj.pulses(section, drives)


def batches(section: Simulations) -> list[Batch]:
    """Return the batches of the sweep, ordered by pulse and instance; the same for every engine."""
    return planning.batches(section, mtj.plan(section.options), _problem)


def summarise(section: Simulations, pulses: pd.DataFrame, events: pd.DataFrame) -> pd.DataFrame:
    """Return the statistics of each pulse, with the heat of the line as its energy, and the threshold at T = 0."""
    options = section.options
    table = mtj.summarise(options, pulses, events, _power_W)
    heat = pulses["voltage_V"] ** 2 * pulses["duration_s"] / options.heavy_metal.resistance_ohm
    starts = zip(pulses["direction"].tolist(), np.sign(pulses["voltage_V"]).tolist())
    critical = [critical_current_density(options, direction, int(sign)) for direction, sign in starts]
    own = {
        "write_energy_mean_J": heat,
        "current_density_A_per_m2": pulses["current_density_A_per_m2"],
        "critical_current_density_A_per_m2": critical,
        "thermal_stability": [stability(options, mtj.DIRECTIONS[direction]) for direction in pulses["direction"]],
    }
    return mtj.ordered(table.assign(**own), SUMMARY_COLUMNS)


def describe(section: Simulations) -> dict:
    """Return what there is to know of the junction."""
    options = section.options
    own = {
        "heavy_metal_resistance_ohm": options.heavy_metal.resistance_ohm,
        "thermal_stability": stability(options) if options.temperature_K else None,
    }
    return {**mtj.describe(section), **own}


def writes(section: Simulations) -> Writes:
    """Return what the write events mean; each pulse is written from both states."""
    options = section.options
    metal = options.heavy_metal
    line = Line(
        width_m=metal.width_m,
        length_m=metal.length_m,
        thickness_m=metal.thickness_m,
        resistivity_ohm_m=metal.resistivity_ohm_m,
    )
    delta = stability(options) if options.temperature_K else None
    return mtj.writes(section, "sot", favours=False, energy=Energy(sot=line), critical_V=None, delta=delta)


def _current_density(options: Options, voltage_V: float) -> float:
    return voltage_V / (options.heavy_metal.resistivity_ohm_m * options.heavy_metal.length_m)


def _power_W(options: Options, direction: str, voltage_V: float) -> float:
    return voltage_V**2 / options.heavy_metal.resistance_ohm


def _nominal(options: Options) -> Material:
    return Material(**{**options.material.model_dump(), **_own(options)})


def _problem(section: Simulations, plan: mtj.Plan, instance: int) -> Problem:
    options = section.options
    body = mtj.material(section, instance, **_own(options))
    drives = {"current_density_A_per_m2": _current_density(options, plan[1])}
    return mtj.problem(section, plan, instance, body, drives, _field(options), _power_W(options, *plan[:2]))
