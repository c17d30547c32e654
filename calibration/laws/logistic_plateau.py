"""Logistic law between a floor and a plateau below 1, as back-hopping and spontaneous flips make it.

    P = p_min + (p_max - p_min) / (1 + exp(-beta (V - V_th)))

p_max = ``plateau`` and p_min = ``floor`` lie in 0..1; 1 and 0 give the plain logistic law. P is midway between the
two at ``threshold_voltage_V``.
"""

from __future__ import annotations

import numpy as np

from calibration.laws import logistic
from calibration.laws.fitting.scales import Parameter
from calibration.laws.fitting.switching import PULSE_AXES

NAME = "logistic_plateau"
KIND = "switching"
AUTO = 4
THERMAL = False
AXES = PULSE_AXES
PARAMETERS = (
    *logistic.PARAMETERS,
    Parameter("plateau", "logit", 0.0, 1.0, closed="high"),
    Parameter("floor", "logit", 0.0, 1.0, closed="low"),
)
FIXED: dict[str, float] = {}
HINT = "writes below, within and above the transition, with probabilities that grow with the voltage"


def probability(parameters: dict[str, float], voltage_V, duration_s=None, temperature_K=None):
    """Return P(switch).

    Parameters
    ----------
    parameters : dict
        ``threshold_voltage_V``, ``slope_per_V``; ``plateau`` (default 1) and ``floor`` (default 0).
    voltage_V : float or ndarray
        Counts positive in the direction that switches.
    duration_s, temperature_K
        Not used: the law is for one duration and temperature.
    """
    floor, plateau = _ends(parameters)
    return floor + (plateau - floor) * logistic.probability(parameters, voltage_V)


def log_probabilities(parameters: dict[str, float], voltage_V, duration_s, temperature_K):
    """Return ln P and ln(1 - P)."""
    up, down = logistic.log_probabilities(parameters, voltage_V, duration_s, temperature_K)
    floor, plateau = _ends(parameters)
    with np.errstate(divide="ignore"):
        # P = p_min (1 - s) + p_max s is a mixture, and so is 1 - P: nothing cancels
        return (
            np.logaddexp(np.log(floor) + down, np.log(plateau) + up),
            np.logaddexp(np.log1p(-floor) + down, np.log1p(-plateau) + up),
        )


def _ends(parameters: dict[str, float]) -> tuple[float, float]:
    return parameters.get("floor", 0.0), parameters.get("plateau", 1.0)


def starts(share, writes, voltage_V, duration_s, temperature_K, held):
    """Return first guesses: the plain law's, and the ends as seen."""
    low, high = share.min(), share.max()
    inner = np.clip((share - low) / (high - low + 1e-9), 0.02, 0.98)
    guesses = logistic.starts(inner, writes, voltage_V, duration_s, temperature_K, held)
    guesses += logistic.starts(share, writes, voltage_V, duration_s, temperature_K, held)[:1]
    ends = {"floor": np.clip(low, 1e-3, 0.5), "plateau": np.clip(high, 0.2, 0.995)}
    return [{**guess, **ends} for guess in guesses]
