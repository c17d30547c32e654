"""Names, units and scales of quantities, declared once: tables, figures, `show` and the report look them up here.

The name of a column or key ends in its SI unit (``duration_s``). People read the same quantity in another unit (ns):

    time = of("duration_s")
    time.title           "pulse width (ns)"
    time.told(1e-9)      "1 ns"
    time.scale           1e9
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pandas as pd

PREFIXES = "yzafpnµm kMGTP"

# ending of a name -> SI unit, unit for people, factor from one to the other; of several endings the longest counts
_UNITS = {
    "_A_per_m2": ("A/m^2", "MA/cm²", 1e-10),
    "_A_per_m": ("A/m", "kA/m", 1e-3),
    "_J_per_m3": ("J/m^3", "kJ/m³", 1e-3),
    "_J_per_m2": ("J/m^2", "mJ/m²", 1e3),
    "_m_per_s": ("m/s", "m/s", 1.0),
    "_per_s": ("1/s", "1/s", 1.0),
    "_S": ("S", "µS", 1e6),
    "_V": ("V", "V", 1.0),
    "_J": ("J", "fJ", 1e15),
    "_K": ("K", "K", 1.0),
    "_T": ("T", "mT", 1e3),
    "_m": ("m", "nm", 1e9),
    "_s": ("s", "ns", 1e9),
}
# names that people call something else
_LABELS = {
    "duration_s": "pulse width", "t_s": "time", "position_m": "wall position", "final_position_m": "final position",
    "zhang_li_u_m_per_s": "spin drift velocity", "mz": "mean magnetisation along z",
}  # fmt: skip

# what drives a pulse, and all that tells pulses apart
DRIVES = ("voltage_V", "current_density_A_per_m2", "field_T", "zhang_li_u_m_per_s")
PULSE = (*DRIVES, "duration_s", "polarity", "temperature_K")
# of a wire that is driven in one of three ways: way -> its drive
WIRE_DRIVES = {"field": "field_T", "sot": "current_density_A_per_m2", "zhang_li": "zhang_li_u_m_per_s"}

# of the energy of a network; each level holds those before it
PHASES = ("training", "inference")
COST_PHASES = ("first programming", *PHASES)
OWN = "own"  # the chip of a variant, beside its digital rivals
LEVELS = ("device", "array", "system")


class Quantity(NamedTuple):
    """A quantity as people read it."""

    label: str
    si: str  # "1" for a number or a label
    unit: str  # for people
    scale: float  # from SI to the unit for people

    @property
    def title(self) -> str:
        """Label and unit, as a column or an axis is headed."""
        return f"{self.label} ({self.unit})" if self.unit else self.label

    def told(self, value: float) -> str:
        """Return a value in SI with the unit for people."""
        return f"{value * self.scale:.4g} {self.unit}".strip()


def of(name: str) -> Quantity:
    """Return the quantity that a column or key of this name holds."""
    ending = max((ending for ending in _UNITS if name.endswith(ending)), key=len, default="")
    label = _LABELS.get(name, name.removesuffix(ending).replace("_", " "))
    return Quantity(label, *_UNITS.get(ending, ("1", "", 1.0)))


def si(value: float, unit: str, digits: int = 3) -> str:
    """Return a value with the SI prefix that leaves one to three figures before the point."""
    if not math.isfinite(value):
        return "–"
    place = 0 if value == 0 else math.floor(math.log10(abs(float(f"{value:.{digits}g}"))) / 3)
    place = min(max(place, -8), 5)
    return f"{value / 1000.0**place:.{digits}g} {PREFIXES[place + 8].strip()}{unit}"


def pulse_names(pulses: pd.DataFrame) -> list[str]:
    """Return a short name of each row of a card's or a sweep's ``pulses``: the drives in which the rows differ.

    A drive that follows from those before it, as the current of a junction from its voltage, is not named.
    """
    differ: list[str] = []
    for name in (one for one in PULSE if one in pulses and pulses[one].nunique() > 1):
        if not differ or pulses.groupby(differ, dropna=False)[name].nunique(dropna=False).max() > 1:
            differ.append(name)
    names = []
    for number, row in pulses.iterrows():
        parts = [of(name).told(row[name]) for name in differ if np.isfinite(row[name])]
        names.append(", ".join(parts) or f"pulse {number}")
    return names


def widest(pulses: pd.DataFrame) -> str:
    """Return the drive to draw against: that with the most values, or the duration."""
    return max((name for name in (*DRIVES, "duration_s") if name in pulses), key=lambda name: pulses[name].nunique())
