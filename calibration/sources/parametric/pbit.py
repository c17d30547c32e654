"""A p-bit: at each clock 1 with probability p = 1/(1 + exp(-beta (I - I0))), whatever it was before.

Camsari et al., Phys. Rev. X 7, 031014 (2017), write m = sgn(tanh I - u) with u uniform in (-1, 1); since
(1 + tanh I)/2 = 1/(1 + exp(-2 I)), that is beta = 2.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from calibration.sources.parametric.parts import memoryless

VOLATILE = True
LAW = "p = 1/(1 + exp(-beta (I - offset))) from either state; Camsari et al., Phys. Rev. X 7, 031014 (2017)"


def labels(own: dict[str, Any]) -> list[str]:
    """Return the names of the states."""
    return ["low", "high"]


def pulses(own: dict[str, Any]) -> pd.DataFrame:
    """Return one pulse per input."""
    inputs = np.asarray(own["inputs"])
    return pd.DataFrame(
        {
            "channel": "input",
            "voltage_V": own["volts_per_input_V"] * inputs,
            "duration_s": own["clock_s"],
            "polarity": np.sign(inputs).astype(np.int64),
            "temperature_K": own["temperature_K"],
        }
    )


def kernel(own: dict[str, Any]) -> np.ndarray:
    """Return the transition probabilities, float64[pulses, 2, 2]."""
    return memoryless(special.expit(own["beta"] * (np.asarray(own["inputs"]) - own["offset"])))
