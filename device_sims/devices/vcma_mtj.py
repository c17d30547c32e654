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

import pandas as pd
import pandera.pandas as pa

from device_sims.devices import Batch, mtj
from device_sims.devices.mtj import (  # noqa: F401  (part of this family's protocol)
    AXES,
    EVENT_COLUMNS,
    KEYS,
    PULSE_COLUMNS,
    TRAJECTORY_COLUMNS,
    observe,
)
from device_sims.problem import GAMMA0, MU0, Problem
from spinloom.errors import UserError

NAME = "vcma_mtj"
SUMMARY_COLUMNS = {
    **mtj.SUMMARY_COLUMNS,
    "anisotropy_field_A_per_m": pa.Column(float),
    "half_period_s": pa.Column(float, pa.Check.gt(0)),
}


def Ku_change(config: dict, voltage_V: float) -> float:
    """Return the change of Ku by the gate, J/m3; a positive voltage lowers it."""
    gate = config["gate"]
    area_energy = gate["vcma_coefficient_J_per_V_m"] * voltage_V / gate["dielectric_thickness_m"]
    return -area_energy / config["layer"]["thickness_m"]


def half_period(config: dict) -> float:
    """Return the time in which a moment without anisotropy makes half a turn about the bias field, s."""
    return math.pi * (1 + config["material"]["alpha"] ** 2) * MU0 / (GAMMA0 * config["bias_field_T"])


def check(section: dict) -> None:
    """Check what a schema cannot; errors as of `mtj.check`, and a bias field that leaves no two states."""
    config = section[NAME]
    mtj.check(section, NAME, _problem)
    limit = MU0 * mtj.anisotropy_field(config) * math.sqrt(1 - mtj.DECIDED**2)
    if config["bias_field_T"] >= limit:
        raise UserError(
            f"device_sims.{NAME}.bias_field_T: found {config['bias_field_T']:g}, allowed: less than {limit:.3g}, as "
            f"beyond it the states lean into the plane until |mz| < {mtj.DECIDED:g}"
        )


def pulses(section: dict) -> pd.DataFrame:
    """Return one row per pulse: voltages in the config's order, for each width, for each direction."""
    config = section[NAME]
    return pd.DataFrame(
        [
            {
                "pulse": index,
                "direction": direction,
                "voltage_V": voltage,
                "duration_s": duration,
                "current_density_A_per_m2": 0.0,
                "Ku_change_J_per_m3": Ku_change(config, voltage),
                "rest_s": float(config["wait"]["rest_s"]),
                "relax_s": float(config["wait"]["relax_s"]),
                "temperature_K": float(config["temperature_K"]),
            }
            for index, (direction, voltage, duration) in enumerate(mtj.plan(config))
        ]
    )


def batches(section: dict) -> list[Batch]:
    """Return the batches of the sweep, ordered by pulse and instance; the same for every engine."""
    return mtj.batches(section, NAME, _problem)


def summarise(section: dict, pulses: pd.DataFrame, events: pd.DataFrame) -> pd.DataFrame:
    """Return the statistics of each pulse, and beside them the anisotropy field under it and the half period."""
    config = section[NAME]
    table = mtj.summarise(config, pulses, events)
    nominal = config["material"]["Ku_J_per_m3"]
    fields = [mtj.anisotropy_field(config, nominal + change) for change in pulses["Ku_change_J_per_m3"]]
    return table.assign(anisotropy_field_A_per_m=fields, half_period_s=half_period(config))[list(SUMMARY_COLUMNS)]


def describe(section: dict) -> dict:
    """Return what the read-out needs to know of the junction."""
    own = {
        "half_period_s": half_period(section[NAME]),
        "gate_dielectric_thickness_m": section[NAME]["gate"]["dielectric_thickness_m"],
    }
    return {**mtj.describe(section, NAME), **own}


def _problem(section: dict, plan: tuple[str, float, float], instance: int) -> Problem:
    config = section[NAME]
    body = mtj.material(section, NAME, instance)
    # the gate adds to each instance's own Ku
    drives = {"Ku_factor": 1 + Ku_change(config, plan[1]) / body.Ku_J_per_m3}
    return mtj.problem(section, NAME, plan, instance, body, drives, (config["bias_field_T"], 0.0, 0.0))
