"""Perpendicular tunnel junctions, written by current or by voltage: two states, AP (0) and P (1).

The device stage has a pulse for each direction. Here a pulse is what the driver does: the two directions of one signed
voltage, width and temperature are one pulse with two rows. A current pulse favours one state; if its writes were
simulated from the other state alone, the device is taken to stay in the favoured one (rows of basis ``assumed``).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa
from scipy.constants import pi

from calibration.card.tables import (
    at_least_0,
    index,
    integer,
    label,
    number,
    positive,
)
from calibration.config import Stage
from calibration.counting.writes import Writes
from calibration.readout.conductance import Junction
from calibration.readout.energy import gate_energy, junction_energy, pulse_table
from calibration.sections import given
from calibration.sources.simulated import Simulation, keep
from spinloom.quantities import PULSE

STATES = ("device",)
AP, P = 0, 1
STARTS = {"P_to_AP": P, "AP_to_P": AP}
PLAN = pa.DataFrameSchema(
    {
        "pulse": index(),
        "direction": label(*STARTS),
        "voltage_V": number(),
        "duration_s": positive(),
        "current_density_A_per_m2": number(),
        "relax_s": at_least_0(),
        "temperature_K": at_least_0(),
    },
    unique=["pulse"],
)
DRIVE = [name for name in PULSE if name in PLAN.columns]
EVENTS = pa.DataFrameSchema(
    {
        "pulse": index(),
        "instance": integer(),
        "replica": integer(),
        "final_state": label("P", "AP", "undecided"),
        "mz_pulse_mean": number(),
        "spec_hash": label(),
    },
    unique=["pulse", "instance", "replica", "spec_hash"],
)


def writes(stage: Simulation, config: Stage, where: str) -> Writes:
    """Return the writes: the state that each began in, and the state that it ended in."""
    kept, lost = keep(
        stage, stage.events["final_state"] != "undecided", config, where, "ended in neither state", "relax for longer"
    )
    junction = Junction(
        area=pi / 4 * stage.value("diameter_m", least=0) ** 2,
        resistance_area=stage.value("RA_ohm_m2", least=0),
        tmr=stage.value("TMR"),
        half_voltage=config.readout.TMR_half_voltage_V,
    )
    plan = stage.pulses
    kinds = plan[DRIVE].drop_duplicates(ignore_index=True)
    merged = plan[["pulse", *DRIVE]].merge(kinds.assign(kind=kinds.index), on=DRIVE).set_index("pulse")["kind"]
    kind = kept["pulse"].map(merged).to_numpy()
    voltage = config.readout.read_voltage_V
    current = bool((plan["current_density_A_per_m2"] != 0).any())
    return Writes(
        name=stage.value("family", str),
        events=pd.DataFrame(
            {
                "pulse": kind,
                "instance": kept["instance"],
                "replica": kept["replica"],
                "before": kept["pulse"].map(plan.set_index("pulse")["direction"].map(STARTS)).astype("float64"),
                "after": (kept["final_state"] == "P").astype("float64"),
            }
        ),
        pulses=_pulses(stage, kinds, kept, kind, junction, config, where),
        coordinate="level",
        bounds=(-0.5, 1.5),
        conductance=lambda level: junction.conductance(level, voltage),
        flags={"volatile": False, "reset_before_write": False, "destructive_read": False},
        source=stage.source(),
        where=str(stage.events_file),
        lost=lost,
        edges=np.array([-0.5, 0.5, 1.5]),
        labels=("AP", "P"),
        missing="stay" if current else "error",
        meta={
            "junction": {"parallel_S": junction.parallel_S, "antiparallel_S": junction.antiparallel_S(voltage)},
            "barrier": _barrier(stage, plan),
        },
    )


def _barrier(stage: Simulation, plan: pd.DataFrame) -> dict[str, Any] | None:
    if stage.device.get("thermal_stability") is None:
        return None
    critical = {
        direction: stage.device[key]
        for direction in STARTS
        if (key := f"critical_voltage_{direction}_V") in stage.device
    }
    return {
        "thermal_stability": stage.value("thermal_stability", least=0),
        "temperature_K": float(plan["temperature_K"].iloc[0]),
        "critical_voltage_V": critical or None,
        # of one moment in axial symmetry, on which the torque acts as a field along its axis
        "exponent": 2,
    }


def _pulses(
    stage: Simulation,
    kinds: pd.DataFrame,
    kept: pd.DataFrame,
    kind: np.ndarray,
    junction: Junction,
    config: Stage,
    where: str,
) -> pd.DataFrame:
    # the conductance follows the mean of mz over each pulse, at the voltage of the pulse
    plan = stage.pulses.set_index("pulse")
    voltage, duration = (plan.loc[kept["pulse"], name].to_numpy() for name in ("voltage_V", "duration_s"))
    starts = plan["direction"].map(STARTS)
    share = np.clip((1 + kept["mz_pulse_mean"].to_numpy()) / 2, 0, 1)
    heat = junction_energy(voltage, duration, junction.conductance(share, voltage))
    mean, sd = _over_starts(pd.Series(heat), kind, kept["pulse"].map(starts).to_numpy(), kinds, junction)
    parts = {"junction": mean}
    gate = None
    if stage.value("family", str) == "vcma_mtj":
        gate = stage.value("gate_dielectric_thickness_m", least=0)
        permittivity = given(config, "write_energy.gate_relative_permittivity", where)
        parts["gate"] = gate_energy(kinds["voltage_V"].to_numpy(), permittivity, junction.area, gate)
    pulses = kinds.assign(
        pulse=kinds.index,
        channel="junction" if gate is None else "gate",
        polarity=np.sign(kinds["current_density_A_per_m2"]).astype("int64"),
    )
    relax = float(stage.pulses["relax_s"].iloc[0])
    return pulse_table(pulses, parts, kinds["duration_s"] + relax, sd=sd)


def _over_starts(
    heat: pd.Series, kind: np.ndarray, start: np.ndarray, kinds: pd.DataFrame, junction: Junction
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and sd of a write's heat over both states before, equally often.

    The state that a current favours, if nobody wrote from it, conducts as it is for the whole pulse.
    """
    means, variances = np.zeros((2, len(kinds))), np.zeros((2, len(kinds)))
    voltage, duration = kinds["voltage_V"].to_numpy(), kinds["duration_s"].to_numpy()
    for state in (AP, P):
        means[state] = junction_energy(voltage, duration, junction.conductance(float(state), voltage))
        own = heat[start == state].groupby(kind[start == state])
        written = own.mean().index
        means[state, written], variances[state, written] = own.mean(), own.var(ddof=0)
    return means.mean(axis=0), np.sqrt(variances.mean(axis=0) + means.var(axis=0))
