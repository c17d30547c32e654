"""What every importer returns, and the options that stand in for what a file does not say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import BeforeValidator, Strict, ValidationInfo, field_validator

from calibration.card import KernelCard
from calibration.counting.writes import Simulated, Writes
from calibration.sources.importers.units import complaint
from calibration.sources.tabular.options import Tabular
from spinloom.declare import Real, Section, Whole, key
from spinloom.text_tables import Text

LOOK = 4000  # rows of a file that are looked at before it is read


@dataclass(frozen=True)
class Imported:
    """What was read: writes to count, at once or with a study's read-out, or a card whose source states probabilities.

    Attributes
    ----------
    writes : Writes or None
        For `calibration.counting.assemble`.
    card : KernelCard or None
        A finished card, instead of writes.
    simulated : Simulated or None
        Instead of both, writes that wait for the read-out of a calibration section.
    rows : int
        Number of values or rows read.
    report : DataFrame
        One row per value left out: ``file``, ``row`` (line of a text file, row of a Parquet table from 1), ``reason``.
    notes : tuple of str
        What the user should know though nothing is wrong, one line each.
    facts : tuple of str
        What ``inspect`` says of writes that wait for a calibration section, one line each.
    """

    rows: int
    report: pd.DataFrame
    writes: Writes | None = None
    card: KernelCard | None = None
    simulated: Simulated | None = None
    notes: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()


def _switch(value: Any) -> Any:
    """Return the texts true and false, as a command line gives them, as what they say."""
    return {"true": True, "false": False}.get(value.strip().lower(), value) if isinstance(value, str) else value


Switch = Annotated[bool, Strict(), BeforeValidator(_switch)]


class Common(Section):
    """Options of all formats; numbers must suit the unit in their name."""

    name: Text | None = key("Name of the card. With null, the name of the file or folder.", None)
    channel: Text = key("What the pulses act through, such as `sot`. It is a label in the card.", "measured")
    temperature_K: Real = key("Temperature, if the file has none.", 300)
    volatile: Switch = key("With true, the device forgets its state between writes.", False)
    destructive_read: Switch = key("With true, reading changes the state.", False)

    @field_validator("*")
    @classmethod
    def _in_its_unit(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, float) and (wrong := complaint(value, str(info.field_name))):
            raise ValueError(wrong)
        return value

    def given(self) -> dict[str, Any]:
        """Return the options that have a value, as ``card.json`` tells them."""
        return {name: value for name, value in self.dump().items() if value is not None}


class Measured(Common, Tabular):
    """Options of the formats with conductances to count."""

    current_at_V: Real | None = key(
        "Read voltage at which the file's currents were measured: G = I/V. With null, the file's own.", None
    )
    read_voltage_V: Real | None = key(
        "Voltage of a read. With null, the file's or `current_at_V`, and otherwise that of `calibration.readout`.",
        None,
        gt=0,
        le=10,
    )
    read_duration_s: Real | None = key("Length of a read. With null, that of `calibration.readout`.", None, gt=0, le=1)
    read_noise_S: Real | None = key(
        "Standard deviation of the read noise, if you know it. With null, it is estimated from the readings.",
        None,
        ge=0,
    )
    pulse_tolerance: Real | None = key(
        "By how much the measured values of one pulse may differ: as a part of the largest voltage, current "
        "density, field or temperature, or of the duration itself. With null, the program finds groups of "
        "values. With 0, each value is its own pulse.",
        None,
        ge=0,
        le=0.2,
    )
    device: Text | None = key("The one device to import. With null, all devices are imported.", None)
    max_dropped_fraction: Real = key(
        "Largest share of values that may be left out because they cannot be used. A larger share is an error.",
        0.05,
        ge=0,
        le=1,
    )


class Directions(Common):
    """Options of the formats that tell the direction of a pulse and nothing else."""

    voltage_up_V: Real | None = key("Voltage of the pulse that raises the conductance.", None)
    voltage_down_V: Real | None = key("Voltage of the pulse that lowers the conductance.", None)
    current_density_up_A_per_m2: Real | None = key("Current density of the pulse that raises the conductance.", None)
    current_density_down_A_per_m2: Real | None = key("Current density of the pulse that lowers the conductance.", None)
    duration_s: Real | None = key("Length of each pulse. With null, it is unknown.", None)
    energy_up_J: Real | None = key(
        "Energy of a pulse that raises the conductance. With null, V^2 G t of the junction if the voltage is known.",
        None,
    )
    energy_down_J: Real | None = key(
        "Energy of a pulse that lowers the conductance. With null, V^2 G t of the junction if the voltage is known.",
        None,
    )
    latency_s: Real | None = key("Time that a write takes. With null, the length of the pulse.", None)


class Series(Directions, Measured):
    """Options of the formats with series of readings between which there are pulses up and down."""

    first: Literal["up", "down"] | None = key(
        "Direction of the first run of pulses. With null, it is seen from the readings.", None
    )
    pulses_up: Whole | None = key(
        "Number of pulses in each run up, if no column says it. With null, it is seen from the readings.", None, ge=1
    )
    pulses_down: Whole | None = key(
        "Number of pulses in each run down, if no column says it. With null, it is seen from the readings.", None, ge=1
    )
    running_number: Switch | None = key(
        "With true, the pulse number goes on from run to run. With null, this is so if it never falls.", None
    )
    columns: Literal["repetitions", "devices"] | None = key(
        "What several columns of readings are. With null, their names decide, and otherwise they are devices.", None
    )
