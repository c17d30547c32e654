"""What a user may say of a table: how it is written, which column is what, and in which units."""

from __future__ import annotations

from typing import Annotated

from calibration.sources.tabular.units import (
    CONDUCTANCE_UNITS,
    CURRENT_UNITS,
    DURATION_UNITS,
    RESISTANCE_UNITS,
    VOLTAGE_UNITS,
)
from spinloom.declare import OneOf, key
from spinloom.text_tables import Spelling, Text

ConductanceUnit = Annotated[str, OneOf(lambda: CONDUCTANCE_UNITS)]
CurrentUnit = Annotated[str, OneOf(lambda: CURRENT_UNITS)]
ResistanceUnit = Annotated[str, OneOf(lambda: RESISTANCE_UNITS)]
VoltageUnit = Annotated[str, OneOf(lambda: VOLTAGE_UNITS)]
DurationUnit = Annotated[str, OneOf(lambda: DURATION_UNITS)]


class Written(Spelling):
    """How a table is written. With null, the program finds out from the file."""

    missing: Text | None = key(
        "Further marks of a missing number, separated by blanks. With null, only the usual ones are known.", None
    )
    sheet: Text | None = key(
        "Sheet of a workbook, or variable of a MAT or NPZ file. With null, the program finds out from the file.", None
    )


class Tabular(Written):
    """Which column is what, and in which unit. A column is named as in the file, or by its number."""

    conductance_column: Text | None = key("Column of the conductance.", None)
    current_column: Text | None = key("Column of the read current.", None)
    resistance_column: Text | None = key("Column of the resistance.", None)
    before_column: Text | None = key("Column of the conductance before the write.", None)
    after_column: Text | None = key("Column of the conductance after the write.", None)
    voltage_column: Text | None = key("Column of the pulse's voltage.", None)
    duration_column: Text | None = key("Column of the pulse's length.", None)
    read_voltage_column: Text | None = key("Column of the read voltage.", None)
    pulse_number_column: Text | None = key("Column of the pulse number.", None)
    direction_column: Text | None = key("Column that says whether a pulse goes up or down.", None)
    cycle_column: Text | None = key("Column of the cycle.", None)
    device_column: Text | None = key("Column of the device.", None)
    time_column: Text | None = key("Column of the time.", None)
    conductance_unit: ConductanceUnit | None = key("Unit of conductances. With null, the header's, or S.", None)
    current_unit: CurrentUnit | None = key("Unit of currents. With null, the header's, or A.", None)
    resistance_unit: ResistanceUnit | None = key("Unit of resistances. With null, the header's, or ohm.", None)
    voltage_unit: VoltageUnit | None = key("Unit of voltages. With null, the header's, or V.", None)
    duration_unit: DurationUnit | None = key("Unit of lengths of pulses. With null, the header's, or s.", None)

    def named_columns(self) -> dict[str, str]:
        """Return the columns that were named: role -> name or number."""
        fields = (name for name in type(self).model_fields if name.endswith("_column"))
        return {name.removesuffix("_column"): getattr(self, name) for name in fields if getattr(self, name) is not None}

    def scale(self, quantity: str) -> float | None:
        """Return the size in SI of the unit that was given for a quantity, None if none was."""
        units = {
            "conductance": CONDUCTANCE_UNITS, "current": CURRENT_UNITS, "resistance": RESISTANCE_UNITS,
            "voltage": VOLTAGE_UNITS, "duration": DURATION_UNITS,
        }  # fmt: skip
        given = getattr(self, f"{quantity}_unit", None)
        return units[quantity][given] if given is not None else None
