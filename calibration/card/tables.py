"""What every table of this stage must look like, and the one-line errors when it does not.

Column names carry the unit: ``energy_mean_J`` is in joules; a name without a unit suffix is a number or a label.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa

from spinloom.errors import UserError
from spinloom.quantities import DRIVES, of

# where a row of probabilities comes from
BASES = {
    "counts": "posterior of counted writes",
    "readings": "a model of states and read noise, fitted to series of readings",
    "borrowed": "counted writes, with a prior of what the rows around and a fitted step say",
    "law": "a law fitted to counted writes",
    "interpolated": "between pulses with counted writes",
    "given": "stated by the source, without counts",
    "assumed": "the device stays as it is, because nobody wrote from this state with this pulse",
}


# columns of a schema; the device families build theirs of these too
def integer(*checks: pa.Check) -> pa.Column:
    """Return a column of whole numbers."""
    # not coerced: pandas would cut 0.5 down to 0 without a word
    return pa.Column("int64", list(checks))


def number(*checks: pa.Check, nullable: bool = False) -> pa.Column:
    """Return a column of finite numbers."""
    return pa.Column(
        "float64", [pa.Check(np.isfinite, error="a finite number"), *checks], coerce=True, nullable=nullable
    )


def at_least_0(nullable: bool = False) -> pa.Column:
    """Return a column of numbers of 0 or more."""
    return number(pa.Check.ge(0, error="a number >= 0"), nullable=nullable)


def positive(nullable: bool = False) -> pa.Column:
    """Return a column of numbers above 0."""
    return number(pa.Check.gt(0, error="a number > 0"), nullable=nullable)


def fraction() -> pa.Column:
    """Return a column of numbers from 0 to 1."""
    return number(pa.Check.in_range(0, 1, error="a number in 0..1"))


def label(*allowed: str) -> pa.Column:
    """Return a column of names, which may be restricted to those ``allowed``."""
    # coerced: a label that is a number comes back from a CSV file as one
    return pa.Column(str, [pa.Check.isin(allowed, error=" or ".join(allowed))] if allowed else None, coerce=True)


def index() -> pa.Column:
    """Return a column of whole numbers of 0 or more."""
    return integer(pa.Check.ge(0, error="an integer >= 0"))


# the kernel card: strict, because a column nobody documented is a column nobody checked
STATES = pa.DataFrameSchema(
    {
        "state": index(),
        "label": label(),
        "position_m": number(nullable=True),
        "position_low_m": number(nullable=True),
        "position_high_m": number(nullable=True),
        "conductance_S": positive(),
        "conductance_sd_S": at_least_0(),
        "count": index(),
        "occupancy": fraction(),
    },
    strict=True,
    unique=["state"],
)
PULSES = pa.DataFrameSchema(
    {
        "pulse": index(),
        "channel": label(),
        **{name: number(nullable=True) for name in DRIVES},
        "duration_s": positive(nullable=True),  # as energies and latency unknown of many a measured device
        "polarity": integer(pa.Check.isin([-1, 0, 1], error="-1, 0 or 1")),
        "temperature_K": at_least_0(),
        "energy_mean_J": at_least_0(nullable=True),
        "energy_sd_J": at_least_0(nullable=True),
        "energy_sot_J": at_least_0(nullable=True),
        "energy_junction_J": at_least_0(nullable=True),
        "energy_gate_J": at_least_0(nullable=True),
        "energy_reset_J": at_least_0(nullable=True),
        "latency_s": at_least_0(nullable=True),
    },
    strict=True,
    unique=["pulse"],
)
_transition = {"pulse": index(), "state_from": index(), "state_to": index()}
TRANSITIONS = pa.DataFrameSchema(
    {
        **_transition,
        "count": index(),
        "effective_count": at_least_0(),
        "probability": fraction(),
        "ci_low": fraction(),
        "ci_high": fraction(),
        "basis": label(*BASES),
    },
    strict=True,
    unique=list(_transition),
)
POPULATION = pa.DataFrameSchema(
    {
        "instance": integer(),
        "events": index(),
        "conductance_factor": positive(),
        "conductance_offset_S": number(),
        "conductance_offset_se_S": at_least_0(nullable=True),
        "position_offset_m": number(nullable=True),
        "position_offset_se_m": at_least_0(nullable=True),
    },
    strict=True,
    unique=["instance"],
)
READS = pa.DataFrameSchema(
    {
        "state": index(),
        "read_voltage_V": number(),
        "energy_J": at_least_0(),
        "latency_s": at_least_0(),
        "noise_sd_S": at_least_0(),
    },
    strict=True,
    unique=["state"],
)
CARD = {
    "states": STATES,
    "pulses": PULSES,
    "transitions": TRANSITIONS,
    "population": POPULATION,
    "reads": READS,
}


def drive(pulses: pd.DataFrame) -> pd.Series:
    """Return the size of each pulse in the drive that reaches furthest: that of the laws of one drive."""
    return pulses[max((*DRIVES[1:], DRIVES[0]), key=lambda name: np.nan_to_num(pulses[name].abs()).max())].abs()


# tables that a card may have besides
BY_INSTANCE = pa.DataFrameSchema(
    {
        "instance": integer(),
        **_transition,
        "count": index(),
        "probability": fraction(),
        "ci_low": fraction(),
        "ci_high": fraction(),
    },
    strict=True,
    unique=["instance", *_transition],
)
HALF_SELECT = pa.DataFrameSchema(
    {"pulse": index(), "fraction": fraction(), "state_from": index(), "state_to": index(), "probability": fraction()},
    strict=True,
    unique=["pulse", "fraction", "state_from", "state_to"],
)
RETENTION = pa.DataFrameSchema(
    {"temperature_K": at_least_0(), "state_from": index(), "state_to": index(), "rate_per_s": at_least_0()},
    strict=True,
    unique=["temperature_K", "state_from", "state_to"],
)
INVERSE = pa.DataFrameSchema(
    {
        "state_from": index(),
        "state_to": index(),
        "voltage_V": number(),
        "temperature_K": at_least_0(),
        "probability": fraction(),
        "duration_s": at_least_0(nullable=True),
    },
    strict=True,
    unique=["state_from", "state_to", "voltage_V", "temperature_K", "probability"],
)
CHECK = pa.DataFrameSchema(
    {
        "pulse": index(),
        "state_from": index(),
        "writes": index(),
        "step_mean_S": number(),
        "step_mean_card_S": number(),
        "step_sd_S": at_least_0(),
        "step_sd_card_S": at_least_0(),
        "against": number(nullable=True),
        "against_card": number(nullable=True),
        "deviation": at_least_0(nullable=True),
    },
    strict=True,
    unique=["pulse", "state_from"],
)
EXTRAS = {
    "by_instance": BY_INSTANCE,
    "half_select": HALF_SELECT,
    "retention": RETENTION,
    "inverse": INVERSE,
    "check": CHECK,
}
# extras that tell what the card was made of, and nothing of the device
EVIDENCE = ("check",)


def units() -> dict[str, str]:
    """Return the unit of each column of a card."""
    schemas = {**CARD, **EXTRAS}.values()
    labels = ("channel", "label", "basis")
    return {column: of(column).si for schema in schemas for column in schema.columns if column not in labels}


def conform(table: pd.DataFrame, schema: pa.DataFrameSchema, where: str | Path) -> pd.DataFrame:
    """Return ``table`` with the schema's types, the schema's column order and rows sorted by its key.

    Parameters
    ----------
    table : DataFrame
    schema : DataFrameSchema
        One of this module's.
    where : str or Path
        File that the table belongs to; begins the error.

    Raises
    ------
    UserError
        Names the file, the column, what was found and what is allowed.
    """
    if table.empty:
        raise UserError(f"{where}: found no rows, allowed: one row or more")
    try:
        table = schema.validate(table, lazy=True)
    except pa.errors.SchemaErrors as errors:
        raise UserError(f"{where}: {_first_failure(errors.failure_cases, table, schema)}") from None
    known = list(schema.columns)
    rest = [column for column in table.columns if column not in schema.columns]
    return table[known + rest].sort_values(keys_of(schema), ignore_index=True)


def keys_of(schema: pa.DataFrameSchema) -> list[str]:
    """Return the columns that name a row of a table."""
    return list(schema.unique or [])


def _first_failure(failures: pd.DataFrame, table: pd.DataFrame, schema: pa.DataFrameSchema) -> str:
    # a missing or unknown column explains every failure after it, so it is told first
    rank = failures["check"].map({"column_in_dataframe": 0, "column_in_schema": 1}).fillna(2)
    first = failures.iloc[int(rank.argmin())].to_dict()
    column, check, found = first["column"], str(first["check"]), first["failure_case"]
    if check == "column_in_dataframe":
        return f"column {found} is missing, needed: {', '.join(schema.columns)}"
    if check == "column_in_schema":
        return f"found unknown column {found}, allowed: {', '.join(schema.columns)}"
    if check == "multiple_fields_uniqueness":
        keys = keys_of(schema)
        names = ", ".join(f"{name} {table[name].loc[first['index']]}" for name in keys)
        return f"{names} occurs more than once; each ({', '.join(keys)}) may occur once"
    at = "" if pd.isna(first["index"]) else f" in row {int(first['index'])}"
    if check == "not_nullable":
        return f"column {column} is empty{at}; every row needs a value"
    if check.startswith(("dtype", "coerce_dtype")):
        return f"column {column}: found {found!r}{at}, allowed: type {schema.columns[column].dtype}"
    return f"column {column}: found {found!r}{at}, allowed: {check}"


def contiguous(values: pd.Series, where: str | Path) -> None:
    """Check that sorted ``values`` are 0, 1, 2, ...; they index arrays later.

    Raises
    ------
    UserError
        Names the column and the first value out of line.
    """
    for wanted, found in enumerate(values):
        if found != wanted:
            raise UserError(
                f"{where}: column {values.name}: found {found} in place of {wanted}, allowed: 0..{len(values) - 1} in "
                "order"
            )


def entry(document: Any, key: str, where: str | Path, kind: type = float, least: float | None = None) -> Any:
    """Return ``document["a"]["b"]`` for ``key`` ``"a.b"``.

    Parameters
    ----------
    document : dict
        Content of a JSON file.
    key : str
        Dotted path of the entry.
    where : str or Path
        The JSON file; begins the error.
    kind : type
        ``float`` (any finite number, returned as float), ``int``, ``bool`` or ``str``.
    least : float or None
        Numbers must be greater than this.

    Raises
    ------
    UserError
        If the entry is absent, of another type or too small.
    """
    value = document
    for part in key.split("."):
        if not isinstance(value, dict) or part not in value:
            raise UserError(f"{where}: key {key} is missing")
        value = value[part]
    # a bool is an int to Python, but never a length or a count
    accepted = (int, float) if kind is float else kind
    if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
        raise UserError(f"{where}: {key}: found {value!r}, allowed: a value of type {kind.__name__}")
    if kind in (int, float) and not (np.isfinite(value) and (least is None or value > least)):
        raise UserError(f"{where}: {key}: found {value!r}, allowed: a number{'' if least is None else f' > {least:g}'}")
    return kind(value)
