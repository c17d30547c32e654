"""Schemas of the tables that this stage writes; checked whenever one is written."""

from __future__ import annotations

import pandas as pd
import pandera.pandas as pa

from device_sims.observables import LOST, MULTIPLE, SINGLE
from spinloom.errors import UserError

_index = pa.Column(int, pa.Check.ge(0))
_energy = pa.Column(float)
_position = pa.Column(float, pa.Check.ge(0))

EVENTS = pa.DataFrameSchema(
    {
        "pulse": _index,
        "voltage_V": pa.Column(float),
        "instance": _index,
        "replica": _index,
        "start_position_m": _position,
        "pulse_end_position_m": _position,
        # absent where there is no longer one wall to have a position
        "final_position_m": pa.Column(float, pa.Check.ge(0), nullable=True),
        "wall_state": pa.Column(str, pa.Check.isin([SINGLE, LOST, MULTIPLE])),
        "energy_exchange_J": _energy,
        "energy_dmi_J": _energy,
        "energy_anisotropy_J": _energy,
        "energy_demag_J": _energy,
        "energy_total_J": _energy,
        "spec_hash": pa.Column(str, pa.Check.str_matches(r"^[0-9a-f]{64}$")),
    },
    strict=True,
    ordered=True,
    unique=["pulse", "instance", "replica"],
)
TRAJECTORIES = pa.DataFrameSchema(
    {
        "pulse": _index,
        "instance": _index,
        "replica": _index,
        "t_s": pa.Column(float, pa.Check.ge(0)),
        "position_m": _position,
        "mx": pa.Column(float),
        "my": pa.Column(float),
        "mz": pa.Column(float),
    },
    strict=True,
    ordered=True,
    unique=["pulse", "instance", "replica", "t_s"],
)
PULSES = pa.DataFrameSchema(
    {
        "pulse": _index,
        "channel": pa.Column(str),
        "voltage_V": pa.Column(float),
        "Ku_change_J_per_m3": pa.Column(float),
        "current_density_A_per_m2": pa.Column(float),
        "duration_s": pa.Column(float, pa.Check.gt(0)),
        "settle_s": pa.Column(float, pa.Check.ge(0)),
        "temperature_K": pa.Column(float, pa.Check.ge(0)),
    },
    strict=True,
    ordered=True,
    unique=["pulse"],
)
POINTS = pa.DataFrameSchema(
    {
        "chunk_hash": pa.Column(str),
        "pulse": _index,
        "voltage_V": pa.Column(float),
        "instance_first": _index,
        "instance_last": _index,
        "replicas": pa.Column(int, pa.Check.gt(0)),
        "engine": pa.Column(str),
        "engine_version": pa.Column(str),
        "events_file": pa.Column(str),
        "trajectories_file": pa.Column(str),
    },
    strict=True,
    ordered=True,
    unique=["chunk_hash"],
)


def checked(table: pd.DataFrame, schema: pa.DataFrameSchema, name: str) -> pd.DataFrame:
    """Return ``table`` if it obeys ``schema``.

    Raises
    ------
    UserError
        Naming the table, the column and the first thing that is wrong.
    """
    try:
        return schema.validate(table, lazy=True)
    except pa.errors.SchemaErrors as error:
        case = error.failure_cases.iloc[0]
        more = f" and {len(error.failure_cases) - 1} more" if len(error.failure_cases) > 1 else ""
        raise UserError(
            f"{name}: column {case['column']}: found {case['failure_case']}, required: {case['check']}{more}"
        ) from None
