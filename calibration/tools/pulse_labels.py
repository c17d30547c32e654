"""What people call pulses: the drives in which they differ, in units for people."""

from __future__ import annotations

import numpy as np
import pandas as pd

UNITS = {
    "voltage_V": (1, "V"),
    "field_T": (1e3, "mT"),
    "current_density_A_per_m2": (1e-10, "MA/cm²"),
    "zhang_li_u_m_per_s": (1, "m/s"),
    "duration_s": (1e9, "ns"),
    "temperature_K": (1, "K"),
    "polarity": (1, ""),
}


WORDS = {
    "voltage_V": "voltage",
    "field_T": "field",
    "current_density_A_per_m2": "current density",
    "zhang_li_u_m_per_s": "spin drift velocity",
    "duration_s": "pulse width",
}


def pulse_names(pulses: pd.DataFrame) -> list[str]:
    """Return a short name of each row of a card's or a sweep's ``pulses``: the drives in which the rows differ.

    A drive that follows from those before it, as the current of a junction from its voltage, is not named.
    """
    differ: list[str] = []
    for name in (one for one in UNITS if one in pulses and pulses[one].nunique() > 1):
        if not differ or pulses.groupby(differ, dropna=False)[name].nunique(dropna=False).max() > 1:
            differ.append(name)
    names = []
    for number, row in pulses.iterrows():
        parts = [named(name, row[name]) for name in differ if np.isfinite(row[name])]
        names.append(", ".join(parts) or f"pulse {number}")
    return names


def named(quantity: str, value: float) -> str:
    """Return the value of a drive with its unit."""
    scale, unit = UNITS[quantity]
    return f"{value * scale:.4g} {unit}".strip()


def axis_of(pulses: pd.DataFrame) -> tuple[str, float, str]:
    """Return the drive to draw against, that with the most values, with its scale and what to write at the axis."""
    name = max((one for one in WORDS if one in pulses), key=lambda one: pulses[one].nunique())
    scale, unit = UNITS[name]
    return name, scale, f"{WORDS[name]} ({unit})"
