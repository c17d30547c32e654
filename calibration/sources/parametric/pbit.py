"""A p-bit: at each clock 1 with probability p = 1/(1 + exp(-beta (I - I0))), whatever it was before.

Camsari et al., Phys. Rev. X 7, 031014 (2017), write m = sgn(tanh I - u) with u uniform in (-1, 1); since
(1 + tanh I)/2 = 1/(1 + exp(-2 I)), that is beta = 2.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
import pandas as pd
from pydantic import Field
from scipy import special

from calibration.sources.parametric.parts import memoryless, pulse_table
from spinloom.declare import Real, Section, key


class Options(Section):
    """A bit that is drawn anew at each clock."""

    inputs: tuple[Annotated[Real, Field(ge=-1000, le=1000)], ...] = key("Inputs I. Each is a pulse.", min_length=1)
    beta: Real = key("Steepness beta of p = 1/(1 + exp(-beta (I - offset))).", 1, gt=0, le=1000)
    offset: Real = key("Input at which the bit is 1 with the probability 1/2.", 0, ge=-1000, le=1000)
    volts_per_input_V: Real = key("Voltage of an input of 1.", 1, gt=0, le=100)
    clock_s: Real = key("Time between two independent bits.", gt=0, le=1)
    temperature_K: Real = key("Temperature of the device.", 300, ge=0, le=1500)


VOLATILE = True
LAW = "p = 1/(1 + exp(-beta (I - offset))) from either state; Camsari et al., Phys. Rev. X 7, 031014 (2017)"


def labels(own: Options) -> list[str]:
    """Return the names of the states."""
    return ["low", "high"]


def pulses(own: Options) -> pd.DataFrame:
    """Return one pulse per input."""
    return pulse_table("input", own.volts_per_input_V * np.asarray(own.inputs), own.clock_s, own.temperature_K)


def kernel(own: Options) -> np.ndarray:
    """Return the transition probabilities, float64[pulses, 2, 2]."""
    return memoryless(special.expit(own.beta * (np.asarray(own.inputs) - own.offset)))
