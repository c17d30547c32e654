"""Domain-wall track under one junction: where the wall stops is the state."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pandera.pandas as pa

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
from calibration.readout.energy import gate_energy, line_energy, pulse_table
from calibration.sections import given
from calibration.sources.simulated import Simulation, keep
from spinloom.errors import UserError

STATES = ("nearest_mean", "equal_width", "equal_population", "mixture", "edges", "lattice")
PLAN = pa.DataFrameSchema(
    {
        "pulse": index(),
        "channel": label("gate+sot"),
        "voltage_V": number(),
        "current_density_A_per_m2": number(),
        "duration_s": positive(),
        "settle_s": at_least_0(),
        "temperature_K": at_least_0(),
    },
    unique=["pulse"],
)
EVENTS = pa.DataFrameSchema(
    {
        "pulse": index(),
        "instance": integer(),
        "replica": integer(),
        "start_position_m": number(nullable=True),
        "final_position_m": number(nullable=True),
        "wall_state": label("single", "lost", "multiple"),
        "spec_hash": label(),
    },
    unique=["pulse", "instance", "replica", "spec_hash"],
)


def writes(stage: Simulation, config: Stage, where: str) -> Writes:
    """Return the writes: position before and after, from each start or from the reset."""
    length, width = stage.value("track_length_m", least=0), stage.value("track_width_m", least=0)
    reset = stage.value("reset_before_write", bool)
    kept, lost = keep(
        stage,
        stage.events["wall_state"] == "single",
        config,
        where,
        "lost their wall",
        "lengthen the track or shorten the pulse",
    )
    final, start = kept["final_position_m"], kept["start_position_m"]
    nominal = kept["nominal_start_m"] if "nominal_start_m" in kept else pd.Series(0.0, index=kept.index)
    outside = kept[~final.between(0.0, length)]
    if len(outside):
        row = outside.iloc[0]
        raise UserError(
            f"{stage.events_file}: column final_position_m has {row['final_position_m']:g} (pulse {row['pulse']}, "
            f"instance {row['instance']}, replica {row['replica']}); allowed with a single wall is 0..{length:g}"
        )
    if not reset and start.isna().any():
        raise UserError(
            f"{stage.events_file}: column start_position_m is empty for pulse {kept.loc[start.isna(), 'pulse'].iloc[0]}"
            "; every write needs one unless the device is reset before each write"
        )
    junction = Junction(
        area=width * length,
        resistance_area=given(config, "readout.RA_ohm_m2", where),
        tmr=given(config, "readout.TMR", where),
        half_voltage=config.readout.TMR_half_voltage_V,
    )
    voltage = config.readout.read_voltage_V
    return Writes(
        name="domain_wall",
        events=pd.DataFrame(
            {
                **{key: kept[key] for key in ("pulse", "instance", "replica")},
                "before": np.nan if reset else start,
                "after": final,
                "prepared": np.unique(nominal, return_inverse=True)[1],
            }
        ),
        pulses=_pulses(stage, config, where, length, width, reset),
        coordinate="position_m",
        bounds=(0.0, length),
        # behind the wall, 0..x, the free layer is parallel to the reference layer
        conductance=lambda position: junction.conductance(np.asarray(position) / length, voltage),
        flags={"volatile": False, "reset_before_write": reset, "destructive_read": False},
        source=stage.source(),
        where=str(stage.events_file),
        lost=lost,
        meta={
            "junction": {
                "parallel_S": junction.parallel_S,
                "antiparallel_S": junction.antiparallel_S(voltage),
                "track_length_m": length,
            }
        },
    )


def _pulses(stage: Simulation, config: Stage, where: str, length: float, width: float, reset: bool) -> pd.DataFrame:
    plan = stage.pulses

    def material(key: str) -> float:
        return given(config, f"write_energy.{key}", where)

    line = (material("resistivity_ohm_m"), width, material("heavy_metal_thickness_m"), length)
    reset_time = material("reset_duration_s") if reset else 0.0
    dielectric = stage.value("gate_dielectric_thickness_m", least=0)
    parts = {
        "sot": line_energy(plan["current_density_A_per_m2"], plan["duration_s"], *line),
        "gate": gate_energy(plan["voltage_V"], material("gate_relative_permittivity"), width * length, dielectric),
        "reset": line_energy(material("reset_current_density_A_per_m2"), reset_time, *line),
    }
    # the current pushes the wall; the voltage says how far
    pulses = plan[["pulse", "channel", "voltage_V", "current_density_A_per_m2", "duration_s"]].assign(
        polarity=np.sign(plan["current_density_A_per_m2"]).astype("int64"), temperature_K=plan["temperature_K"]
    )
    return pulse_table(pulses, parts, reset_time + plan["duration_s"] + plan["settle_s"])
