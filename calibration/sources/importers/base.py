"""What every importer returns, and the options that stand in for what a file does not say."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from calibration.card import KernelCard
from calibration.counting.writes import Writes
from calibration.sources.importers.units import CONDUCTANCE_UNITS, check_value
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


@dataclass(frozen=True)
class Option:
    """One option of a format.

    Attributes
    ----------
    kind : type
        ``float``, ``int``, ``bool`` or ``str``.
    default : float, int, bool, str or None
        None: not given.
    meaning : str
    allowed : tuple
        Values allowed; empty: any that suits the unit in the option's name.
    least, most : float or None
        Ends of the range allowed, both included.
    """

    kind: type
    default: Any
    meaning: str
    allowed: tuple = field(default=())
    least: float | None = None
    most: float | None = None


COMMON = {
    "name": Option(str, None, "name of the card; without it the name of the file or folder"),
    "channel": Option(str, "measured", "what the pulses act through, e.g. sot"),
    "temperature_K": Option(float, 300.0, "temperature, where the file has none"),
    "volatile": Option(bool, False, "the device forgets its state between writes"),
    "destructive_read": Option(bool, False, "reading changes the state"),
}
MEASURED = {
    "conductance_unit": Option(str, "S", "unit of the file's conductances", tuple(CONDUCTANCE_UNITS)),
    "current_at_V": Option(float, None, "the file holds read currents in A at this voltage, G = I/V", least=1e-6),
    "max_dropped_fraction": Option(
        float, 0.0, "share of values that may be left out because they are not finite", least=0, most=1
    ),
}
DIRECTIONS = {
    "voltage_up_V": Option(float, None, "voltage of a pulse that raises the conductance"),
    "voltage_down_V": Option(float, None, "voltage of a pulse that lowers it"),
    "current_density_up_A_per_m2": Option(float, None, "current density of a pulse that raises the conductance"),
    "current_density_down_A_per_m2": Option(float, None, "current density of a pulse that lowers it"),
    "duration_s": Option(float, None, "duration of each pulse; needed"),
    "energy_up_J": Option(float, None, "energy of a write up; without it V^2 G t of the junction"),
    "energy_down_J": Option(float, None, "energy of a write down; without it V^2 G t of the junction"),
    "latency_s": Option(float, None, "time that a write takes; without it the duration"),
}


def check_options(known: dict[str, Option], options: dict[str, Any] | None, where: str) -> dict[str, Any]:
    """Return every known option with the value given or its default.

    Parameters
    ----------
    known : dict of Option
        Of the format.
    options : dict or None
        Values as a config has them, or as text (``--option key=value``).
    where : str
        Begins the errors.

    Raises
    ------
    UserError
        If an option is unknown, or its value is of the wrong type or outside its range.
    """
    options = options or {}
    for key in options:
        if key not in known:
            raise UserError(f"{where}: option {key}: found an unknown option, allowed: {', '.join(known)}")
    return {key: _value(option, options.get(key), f"{where}: option {key}", key) for key, option in known.items()}


def _value(option: Option, value: Any, where: str, key: str) -> Any:
    if value is None:
        return option.default
    found = value
    if isinstance(value, str) and option.kind is not str:
        text = value.strip().lower()
        try:
            value = {"true": True, "false": False}.get(text) if option.kind is bool else option.kind(text)
        except ValueError:
            value = None
    if option.kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if option.kind is str and type(value) is int:
        value = str(value)
    if type(value) is not option.kind:
        kinds = {float: "a number", int: "an integer", bool: "true or false", str: "text"}
        raise UserError(f"{where}: found {found!r}, allowed: {kinds[option.kind]}")
    if option.allowed and value not in option.allowed:
        raise UserError(f"{where}: found {value}, allowed: {', '.join(map(str, option.allowed))}")
    if isinstance(value, int | float) and not isinstance(value, bool):
        if (option.least is not None and not value >= option.least) or (
            option.most is not None and not value <= option.most
        ):
            ends = [f"{sign} {end:g}" for sign, end in ((">=", option.least), ("<=", option.most)) if end is not None]
            raise UserError(f"{where}: found {value:g}, allowed: a number {' and '.join(ends)}")
        check_value(value, key, where)
    return value


def needed(options: dict[str, Any], key: str, where: str | Path) -> Any:
    """Return an option that has no default.

    Raises
    ------
    UserError
        If it was not given.
    """
    if options[key] is None:
        raise UserError(f"{where}: option {key}: found nothing, allowed: a value, because this format does not hold it")
    return options[key]
