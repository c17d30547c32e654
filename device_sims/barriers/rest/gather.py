"""The table of all devices."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pandera.pandas as pa

from device_sims.sweep import tables
from spinloom import files

_index = pa.Column(int, pa.Check.ge(0))
_place = pa.Column(float, nullable=True)
_text = pa.Column(str, nullable=True)
TABLE = pa.DataFrameSchema(
    {
        "instance": _index,
        "well_from": _index,
        "well_to": _index,
        "label_from": _text,
        "label_to": _text,
        "position_from_m": _place,
        "position_to_m": _place,
        "barrier_J": pa.Column(float),
        "attempts_per_s": pa.Column(float, nullable=True),
        "ten_year_temperature_K": pa.Column(float, nullable=True),
        "converged": pa.Column(bool),
        "note": _text,
    },
    strict=True,
    ordered=True,
    unique=["instance", "well_from", "well_to"],
)


def collect(paths: Sequence[str | Path], output: str | Path) -> None:
    """Write the tables of all instances, in order, as one CSV with its seal; `UserError` if one is unfit."""
    parts = []
    for instance, path in enumerate(paths):
        own = files.read_table(path)
        own.insert(0, "instance", instance)
        parts.append(own.astype({name: "object" for name in ("label_from", "label_to", "note")}))
    whole = pd.concat(parts, ignore_index=True)
    kinds = {name: "float64" for name, column in TABLE.columns.items() if column.dtype.type == np.dtype("float64")}
    files.write_sealed(tables.checked(whole.astype(kinds), TABLE, Path(output).name), output)
