"""A wall clocked past a notch: pinned (0) or passed (1), decided anew by every clock pulse.

The state is volatile: the wall is brought back before each pulse, so both rows of the kernel are the same. It is read
by a junction over the track beyond the notches, which a wall that has passed turns from antiparallel to parallel.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pandera.pandas as pa

from calibration.card.tables import at_least_0, index, integer, label, number, positive
from calibration.config import Stage
from calibration.counting.writes import Writes
from calibration.readout.conductance import Junction
from calibration.readout.energy import line_energy, pulse_table
from calibration.sections import given
from calibration.sources.simulated import Simulation, keep
from spinloom.errors import UserError
from spinloom.quantities import WIRE_DRIVES

STATES = ("device",)
PLAN = pa.DataFrameSchema(
    {
        "pulse": index(),
        "channel": label(*WIRE_DRIVES),
        **{column: number() for column in WIRE_DRIVES.values()},
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
        "wall_state": label("single", "lost", "multiple"),
        "passed": pa.Column(bool),
        "spec_hash": label(),
    },
    unique=["pulse", "instance", "replica", "spec_hash"],
)


def writes(stage: Simulation, config: Stage, where: str) -> Writes:
    """Return the writes: whether each wall passed."""
    kept, lost = keep(
        stage,
        stage.events["wall_state"] != "multiple",
        config,
        where,
        "ended with more than one wall",
        "weaken the drive",
    )
    notch, length = stage.value("notch_position_m", least=0), stage.value("track_length_m", least=0)
    if notch >= length:
        raise UserError(f"{stage.device_file}: notch_position_m is {notch:g}; allowed is less than {length:g}")
    width = stage.value("track_width_m", least=0)
    junction = Junction(
        area=width * (length - notch),
        resistance_area=given(config, "readout.RA_ohm_m2", where),
        tmr=given(config, "readout.TMR", where),
        half_voltage=config.readout.TMR_half_voltage_V,
    )
    voltage = config.readout.read_voltage_V
    return Writes(
        name="notched_wire",
        events=pd.DataFrame(
            {
                **{key: kept[key] for key in ("pulse", "instance", "replica")},
                "before": np.nan,
                "after": kept["passed"].astype("float64"),
            }
        ),
        pulses=_pulses(stage, config, where, length, width),
        coordinate="level",
        bounds=(-0.5, 1.5),
        conductance=lambda level: junction.conductance(level, voltage),
        flags={"volatile": True, "reset_before_write": True, "destructive_read": False},
        source=stage.source(),
        where=str(stage.events_file),
        lost=lost,
        edges=np.array([-0.5, 0.5, 1.5]),
        labels=("pinned", "passed"),
        meta={"junction": {"parallel_S": junction.parallel_S, "antiparallel_S": junction.antiparallel_S(voltage)}},
    )


def _pulses(stage: Simulation, config: Stage, where: str, length: float, width: float) -> pd.DataFrame:
    plan, drive = stage.pulses, stage.value("drive", str)
    column = WIRE_DRIVES[drive]
    if drive == "sot":
        material = [
            given(config, f"write_energy.{key}", where) for key in ("resistivity_ohm_m", "heavy_metal_thickness_m")
        ]
        heat = line_energy(plan[column], plan["duration_s"], material[0], width, material[1], length)
        parts = {"sot": heat}
    else:
        # what makes the field, or carries the spin current, is not part of the simulated device
        clock = given(config, "write_energy.clock_energy_J", where)
        parts = {"clock": np.full(len(plan), clock)}
    pulses = plan[["pulse", "channel", "duration_s", "temperature_K"]].assign(
        **{column: plan[column]}, polarity=np.sign(plan[column]).astype("int64")
    )
    return pulse_table(pulses, parts, plan["duration_s"] + plan["settle_s"])
