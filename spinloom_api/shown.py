"""How objects and tables look in a notebook: a name with a table of facts, and units of columns."""

from __future__ import annotations

from html import escape
from typing import Any

import pandas as pd

from spinloom.quantities import of


def facts(title: str, rows: dict[str, Any]) -> str:
    """Return a heading and a table of two columns as HTML; a value of None is left out."""
    left = "style='text-align:left'"
    cells = "".join(
        f"<tr><th {left}>{escape(name)}</th><td {left}>{escape(str(value))}</td></tr>"
        for name, value in rows.items()
        if value is not None
    )
    return f"<b>{escape(title)}</b><table>{cells}</table>"


def with_units(table: pd.DataFrame) -> pd.DataFrame:
    """Return a copy whose ``attrs["units"]`` names the SI unit of each column that has one, told by its name."""
    found = table.copy()
    units = {str(name): of(str(name)).si for name in table.columns}
    found.attrs["units"] = {name: unit for name, unit in units.items() if unit != "1"}
    return found
