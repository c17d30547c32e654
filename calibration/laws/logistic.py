"""Logistic law of the voltage alone, the usual description of measured switching at one pulse length.

    P = 1 / (1 + exp(-beta (V - V_th)))

``threshold_voltage_V`` is where P = 1/2, ``slope_per_V`` = 4 dP/dV there. It holds for the duration and temperature
of the writes it was fitted to.
"""

from __future__ import annotations

import numpy as np
from scipy import special

from calibration.laws.fitting.scales import Parameter
from calibration.laws.fitting.switching import PULSE_AXES, line

NAME = "logistic"
KIND = "switching"
AUTO = 3
THERMAL = False
AXES = PULSE_AXES
PARAMETERS = (Parameter("threshold_voltage_V", "identity"), Parameter("slope_per_V", "log", 1e-6, 1e9))
FIXED: dict[str, float] = {}
HINT = "writes at two or more voltages with probabilities between 0 and 1 that grow with the voltage"


def probability(parameters: dict[str, float], voltage_V, duration_s=None, temperature_K=None):
    """Return P(switch).

    Parameters
    ----------
    parameters : dict
        ``threshold_voltage_V``, ``slope_per_V``.
    voltage_V : float or ndarray
        Counts positive in the direction that switches.
    duration_s, temperature_K
        Not used: the law is for one duration and temperature.
    """
    return special.expit(parameters["slope_per_V"] * (np.asarray(voltage_V) - parameters["threshold_voltage_V"]))


def log_probabilities(parameters: dict[str, float], voltage_V, duration_s, temperature_K):
    """Return ln P and ln(1 - P)."""
    x = parameters["slope_per_V"] * (voltage_V - parameters["threshold_voltage_V"])
    return special.log_expit(x), special.log_expit(-x)


def starts(share, writes, voltage_V, duration_s, temperature_K, held):
    """Return first guesses: the log-odds are linear in V."""
    a, b = line([np.ones_like(share), voltage_V], special.logit(share), writes * share * (1 - share))
    span = max(np.ptp(voltage_V), 1e-9)
    guesses = [{"threshold_voltage_V": -a / b, "slope_per_V": b}] if b > 0 else []
    middle = voltage_V[np.argmin(np.abs(share - 0.5))]
    return guesses + [{"threshold_voltage_V": middle, "slope_per_V": steep / span} for steep in (4.0, 30.0)]
