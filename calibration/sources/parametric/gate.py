"""A wire that a domain wall passes or not at each clock; the drive w, which sets the probability, is kept elsewhere.

After Ellis et al., arXiv 2303.01886: p(w) = 1 - a / (1 + exp(b (w - w0))) (`calibration.laws.passing`). The bit is
gone after the clock: both rows of a drive are [1 - p, p].
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from calibration import laws
from calibration.sources.parametric.parts import memoryless, pulse_table, stated_law
from spinloom.declare import Real, Section, key


class Options(Section):
    """A wire past which a wall moves, or not, at each clock. The drive is stored outside the device (Ellis)."""

    w0: Real = key("Drive w0 at the middle of the sigmoid 1/(1 + exp(b (w - w0))).", ge=-1000000.0, le=1000000.0)
    b: Real = key("Steepness b of the sigmoid.", gt=0, le=1000000.0)
    a: Real = key(
        "Height a of the sigmoid. The wall passes with the probability 1 - a/(1 + exp(b (w - w0))).", gt=0, le=1
    )
    drives: tuple[Annotated[Real, Field(ge=-1000000.0, le=1000000.0)], ...] = key(
        "Values w of the drive. Each is a pulse.",
        min_length=1,
    )
    drive_quantity: Literal["voltage_V", "field_T", "current_density_A_per_m2", "zhang_li_u_m_per_s"] = key(
        "What the drive is. It becomes this column of `pulses.csv`.",
        "voltage_V",
    )
    drive_unit: Real = key("Value of a drive of 1 in the unit of that column.", 1, gt=0, le=1000000000000000.0)
    clock_s: Real = key("Length of a clock.", gt=0, le=1)
    temperature_K: Real = key("Temperature of the device.", 300, ge=0, le=1500)


VOLATILE = True
LAW = "p(w) = 1 - a/(1 + exp(b (w - w0))) from either state; Ellis et al., arXiv 2303.01886"


def labels(own: Options) -> list[str]:
    """Return the names of the states."""
    return ["pinned", "passed"]


def pulses(own: Options) -> pd.DataFrame:
    """Return one pulse per drive."""
    drives = own.drive_unit * np.asarray(own.drives)
    return pulse_table("drive", drives, own.clock_s, own.temperature_K, own.drive_quantity)


def kernel(own: Options) -> np.ndarray:
    """Return the transition probabilities, float64[pulses, 2, 2]."""
    parameters = {"threshold": own.w0, "slope": own.b, "amplitude": own.a}
    return memoryless(laws.get("passing").probability(parameters, np.asarray(own.drives)))


def meta(own: Options) -> dict[str, Any]:
    """Return the passing law for ``card.json`` in the form of a fitted one, in the unit of the drive's column.

    p = 1 - amplitude/(1 + exp(slope (drive - threshold))). Whoever keeps the weight as an analogue drive needs the law
    and its slope, and not the drives of the table.
    """
    drives = own.drive_unit * np.asarray(own.drives)
    parameters = {
        "threshold": own.drive_unit * own.w0,
        "slope": own.b / own.drive_unit,
        "amplitude": own.a,
    }
    span = [float(drives.min()), float(drives.max())]
    law = stated_law("passing", parameters, list(range(len(drives))), None, drive=span)
    return {"laws": [law.to_dict()]}
