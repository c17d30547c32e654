"""Voltage-controlled junction: a pulse takes away the perpendicular anisotropy and the moment turns about a field.

The gate changes the anisotropy by ``dKu = -xi V/(d t)``, xi the VCMA coefficient (J/(V m)), d the barrier's and t the
free layer's thickness: a positive voltage lowers Ku. Under a pulse that takes the effective anisotropy to about zero
the moment turns about the in-plane bias field and comes by the other state after each odd number of half periods, so
that the width of the pulse decides where it ends and the polarity does nothing (Shiota et al., Nat. Mater. 11, 39
(2012)). The half period of a free moment is ``pi (1 + alpha^2)/(gamma0 H)``.

The barrier is thick: no torque by the current, and RA serves the energy alone.
"""

from __future__ import annotations

import math
from typing import Annotated

import pandas as pd
import pandera.pandas as pa
from pydantic import Field

from device_sims.common import Simulations
from device_sims.devices import Batch, planning
from device_sims.devices.junctions import mtj
from device_sims.devices.junctions.mtj import (  # noqa: F401  (part of this family's protocol)
    AXES,
    BODY,
    EVENT_COLUMNS,
    KEYS,
    PULSE_COLUMNS,
    TRAJECTORY_COLUMNS,
    observe,
)
from device_sims.problem import GAMMA0, MU0, Problem
from spinloom.declare import Real, Section, key
from spinloom.errors import UserError
from spinloom.write_events import Energy, Heat, Plates, Writes

SUMMARY_COLUMNS = {
    **mtj.SUMMARY_COLUMNS,
    "anisotropy_field_A_per_m": pa.Column(float),
    "half_period_s": pa.Column(float, pa.Check.gt(0)),
}


class Junction(Section):
    """The tunnel junction, for the energy of a write."""

    RA_ohm_m2: Real = key("Resistance-area product of the parallel state.", gt=0, le=0.001)
    TMR: Real = key("Tunnel magnetoresistance (R_AP - R_P)/R_P.", ge=0, le=20)


class Gate(Section):
    """How the voltage changes the anisotropy."""

    vcma_coefficient_J_per_V_m: Real = key(
        "VCMA coefficient xi in dKu = -xi V/(d t), with the thickness t of the free layer. 1e-13 is 100 fJ/(V m).",
        ge=-1e-09,
        le=1e-09,
    )
    dielectric_thickness_m: Real = key("Thickness d of the tunnel barrier.", gt=0, le=1e-08)


class Pulses(mtj.Pulses):
    """The pulses of the sweep: all combinations of these lists."""

    voltages_V: tuple[Annotated[Real, Field(ge=-100, le=100)], ...] = key(
        "Voltages. A positive voltage lowers Ku if xi is positive.",
        min_length=1,
        max_length=1000,
    )


class Options(mtj.Options):
    """Perpendicular junction in an in-plane field, whose anisotropy a voltage pulse removes (docs/mtj.md)."""

    junction: Junction = key("The tunnel junction, for the energy of a write.")
    gate: Gate = key("How the voltage changes the anisotropy.")
    bias_field_T: Real = key(
        "Field along x, in the plane, on at all times. The moment turns about it during a pulse.", gt=0, le=10
    )
    pulses: Pulses = key("The pulses of the sweep: all combinations of these lists.")


def Ku_change(options: Options, voltage_V: float) -> float:
    """Return the change of Ku by the gate, J/m3; a positive voltage lowers it."""
    gate = options.gate
    area_energy = gate.vcma_coefficient_J_per_V_m * voltage_V / gate.dielectric_thickness_m
    return -area_energy / options.layer.thickness_m


def half_period(options: Options) -> float:
    """Return the time in which a moment without anisotropy makes half a turn about the bias field, s."""
    return math.pi * (1 + options.material.alpha**2) * MU0 / (GAMMA0 * options.bias_field_T)


def stability(options: Options) -> float:
    """Return the barrier in the bias field over kB T, ``Delta (1 - H/Hk)^2`` (Stoner-Wohlfarth); inf at T = 0."""
    lean = options.bias_field_T / MU0 / mtj.anisotropy_field(options)
    return mtj.stability(options) * (1 - lean) ** 2


def check(section: Simulations) -> None:
    """Check what a declaration cannot; errors as of `mtj.check`, and a bias field that leaves no two states."""
    options = section.options
    mtj.check(section, _problem)
    limit = MU0 * mtj.anisotropy_field(options) * math.sqrt(1 - mtj.DECIDED**2)
    if options.bias_field_T >= limit:
        raise UserError(
            f"device_sims.{section.device}.bias_field_T: found {options.bias_field_T:g}, allowed: less than "
            f"{limit:.3g}, because a larger field tilts the states into the plane, to |mz| < {mtj.DECIDED:g}"
        )


def pulses(section: Simulations) -> pd.DataFrame:
    """Return one row per pulse; see `mtj.pulses`."""

    def drives(direction: str, voltage: float) -> dict[str, float]:
        change = Ku_change(section.options, voltage)
        return {"voltage_V": voltage, "current_density_A_per_m2": 0.0, "Ku_change_J_per_m3": change}

    return mtj.pulses(section, drives)


def batches(section: Simulations) -> list[Batch]:
    """Return the batches of the sweep, ordered by pulse and instance; the same for every engine."""
    return planning.batches(section, mtj.plan(section.options), _problem)


def summarise(section: Simulations, pulses: pd.DataFrame, events: pd.DataFrame) -> pd.DataFrame:
    """Return the statistics of each pulse, and beside them the anisotropy field under it and the half period."""
    options = section.options
    table = mtj.summarise(options, pulses, events)
    nominal = options.material.Ku_J_per_m3
    fields = [mtj.anisotropy_field(options, nominal + change) for change in pulses["Ku_change_J_per_m3"]]
    table = table.assign(anisotropy_field_A_per_m=fields, half_period_s=half_period(options))
    return mtj.ordered(table, SUMMARY_COLUMNS)


def describe(section: Simulations) -> dict:
    """Return what there is to know of the junction."""
    own = {
        "half_period_s": half_period(section.options),
        "gate_dielectric_thickness_m": section.options.gate.dielectric_thickness_m,
        "thermal_stability": stability(section.options) if section.options.temperature_K else None,
    }
    return {**mtj.describe(section), **own}


def writes(section: Simulations) -> Writes:
    """Return what the write events mean; a voltage favours no state."""
    options = section.options
    plates = Plates(area_m2=mtj.area_m2(options.layer), dielectric_thickness_m=options.gate.dielectric_thickness_m)
    energy = Energy(junction=Heat(mz="mz_pulse_mean"), gate=plates)
    return mtj.writes(section, "gate", favours=False, energy=energy, critical_V=None, delta=stability(options))


def _problem(section: Simulations, plan: mtj.Plan, instance: int) -> Problem:
    options = section.options
    body = mtj.material(section, instance)
    # the gate adds to each instance's own Ku
    drives = {"Ku_factor": 1 + Ku_change(options, plan[1]) / body.Ku_J_per_m3}
    power_W = mtj.power_W(options, *plan[:2])
    return mtj.problem(section, plan, instance, body, drives, (options.bias_field_T, 0.0, 0.0), power_W)
