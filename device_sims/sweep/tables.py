"""Schemas of the tables that this stage writes; checked whenever one is written.

What is common to all device families is here, what is a family's own are its ``*_COLUMNS``.
"""

from __future__ import annotations

from types import ModuleType

import pandas as pd
import pandera.pandas as pa

from device_sims.engines import ENERGIES
from spinloom.errors import UserError

_index = pa.Column(int, pa.Check.ge(0))
_hash = pa.Column(str, pa.Check.str_matches(r"^[0-9a-f]{64}$"))


def _schema(columns: dict, unique: list[str]) -> pa.DataFrameSchema:
    return pa.DataFrameSchema(columns, strict=True, ordered=True, unique=unique)


def keys(family: ModuleType) -> list[str]:
    """Return the columns that identify a trajectory of a family's sweep, in the order of its tables."""
    return ["pulse", "instance", *family.KEYS, "replica"]


def pulses(family: ModuleType) -> pa.DataFrameSchema:
    """``pulses.csv``: one row per pulse."""
    return _schema(family.PULSE_COLUMNS, ["pulse"])


def events(family: ModuleType) -> pa.DataFrameSchema:
    """``events.parquet``: one row per write event; energies at its end."""
    columns = {
        "pulse": _index,
        "instance": _index,
        "replica": _index,
        **family.EVENT_COLUMNS,
        **{f"energy_{name}_J": pa.Column(float) for name in ENERGIES},
        "spec_hash": _hash,
    }
    return _schema(columns, keys(family))


def trajectories(family: ModuleType) -> pa.DataFrameSchema:
    """``trajectories.parquet``: one row per write event and record."""
    columns = {
        "pulse": _index,
        "instance": _index,
        **{name: family.EVENT_COLUMNS[name] for name in family.KEYS},
        "replica": _index,
        "t_s": pa.Column(float, pa.Check.ge(0)),
        **family.TRAJECTORY_COLUMNS,
    }
    return _schema(columns, [*keys(family), "t_s"])


def summary(family: ModuleType) -> pa.DataFrameSchema:
    """``summary.csv``: the family's figures per pulse."""
    return pa.DataFrameSchema(family.SUMMARY_COLUMNS, strict=True, ordered=True)


POINTS = _schema(
    {
        "chunk_hash": _hash,
        "pulse": _index,
        "instance_first": _index,
        "instance_last": _index,
        "replica_first": _index,
        "replicas": pa.Column(int, pa.Check.gt(0)),
        "engine": pa.Column(str),
        "engine_version": pa.Column(str),
        "events_file": pa.Column(str),
        "trajectories_file": pa.Column(str),
    },
    ["chunk_hash"],
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
            f"{name}: column {case['column']}: found {case['failure_case']}, allowed: {case['check']}{more}"
        ) from None
