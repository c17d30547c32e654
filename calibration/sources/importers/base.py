"""What every importer returns, and the options that stand in for what a file does not say."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from pydantic import BeforeValidator, Strict, ValidationInfo, field_validator

from calibration.card import KernelCard
from calibration.counting.writes import Writes
from calibration.sources.importers.units import CONDUCTANCE_UNITS, complaint
from spinloom.declare import OneOf, Real, Section, key
from spinloom.errors import UserError


@dataclass(frozen=True)
class Imported:
    """What was read: writes to count, or a card whose source states probabilities.

    Attributes
    ----------
    writes : Writes or None
        For `calibration.counting.assemble`.
    card : KernelCard or None
        A finished card, instead of writes.
    rows : int
        Number of values or rows read.
    report : DataFrame
        One row per value left out: ``file``, ``row`` (line of a text file, row of a Parquet table from 1), ``reason``.
    notes : tuple of str
        What the user should know though nothing is wrong, one line each.
    """

    rows: int
    report: pd.DataFrame
    writes: Writes | None = None
    card: KernelCard | None = None
    notes: tuple[str, ...] = ()


def _switch(value: Any) -> Any:
    """Return the texts true and false, as a command line gives them, as what they say."""
    return {"true": True, "false": False}.get(value.strip().lower(), value) if isinstance(value, str) else value


def _text(value: Any) -> Any:
    return str(value) if type(value) is int else value


Switch = Annotated[bool, Strict(), BeforeValidator(_switch)]
Text = Annotated[str, BeforeValidator(_text)]  # a name may be a number


class Common(Section):
    """Options of all formats; numbers must suit the unit in their name."""

    name: Text | None = key("Name of the card; null: the name of the file or folder.", None)
    channel: Text = key("What the pulses act through, e.g. sot.", "measured")
    temperature_K: Real = key("Temperature, where the file has none.", 300)
    volatile: Switch = key("The device forgets its state between writes.", False)
    destructive_read: Switch = key("Reading changes the state.", False)

    @field_validator("*")
    @classmethod
    def _in_its_unit(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, float) and (wrong := complaint(value, str(info.field_name))):
            raise ValueError(wrong)
        return value

    def given(self) -> dict[str, Any]:
        """Return the options that have a value, as ``card.json`` tells them."""
        return {name: value for name, value in self.dump().items() if value is not None}


class Measured(Common):
    """Options of the formats with conductances to count."""

    conductance_unit: Annotated[str, OneOf(lambda: CONDUCTANCE_UNITS)] = key("Unit of the file's conductances.", "S")
    current_at_V: Real | None = key("The file holds read currents in A at this voltage, G = I/V.", None)
    max_dropped_fraction: Real = key("Share of values that may be left out because they are not finite.", 0, ge=0, le=1)


class Directions(Common):
    """Options of the formats that tell the direction of a pulse and nothing else."""

    voltage_up_V: Real | None = key("Voltage of a pulse that raises the conductance.", None)
    voltage_down_V: Real | None = key("Voltage of a pulse that lowers it.", None)
    current_density_up_A_per_m2: Real | None = key("Current density of a pulse that raises the conductance.", None)
    current_density_down_A_per_m2: Real | None = key("Current density of a pulse that lowers it.", None)
    duration_s: Real | None = key("Duration of each pulse; needed.", None)
    energy_up_J: Real | None = key("Energy of a write up; null: V^2 G t of the junction.", None)
    energy_down_J: Real | None = key("Energy of a write down; null: V^2 G t of the junction.", None)
    latency_s: Real | None = key("Time that a write takes; null: the duration.", None)


def needed(options: Common, name: str, where: str | Path) -> Any:
    """Return an option that has no default.

    Raises
    ------
    UserError
        If it was not given.
    """
    value = getattr(options, name)
    if value is None:
        raise UserError(
            f"{where}: option {name}: found nothing, allowed: a value, because this format does not hold it"
        )
    return value
