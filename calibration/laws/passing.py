"""Passing of a pinning site against one drive, with a floor (Ellis et al., Neuromorph. Comput. Eng. 3, 021001 (2023)).

    p(w) = 1 - a / (1 + exp(b (w - w0)))

w0 = ``threshold`` and 1/b = 1/``slope`` are in the unit of the drive, a = ``amplitude`` in 0..1 leaves the floor 1 - a.
"""

from __future__ import annotations

import numpy as np
from scipy import special

from calibration.laws import logistic
from calibration.laws.fitting.scales import Parameter

NAME = "passing"
KIND = "switching"
AUTO = 1
THERMAL = False
AXES = ("drive",)
PARAMETERS = (
    Parameter("threshold", "identity"),
    Parameter("slope", "log", 1e-15, 1e12),
    Parameter("amplitude", "logit", 0.0, 1.0, closed="high"),
)
FIXED: dict[str, float] = {}
HINT = "writes at three or more drives with probabilities that grow from the floor to 1"


def probability(parameters: dict[str, float], drive):
    """Return P(pass) at ``drive``, float or ndarray; parameters ``threshold``, ``slope``, ``amplitude``."""
    return 1 - parameters["amplitude"] * special.expit(
        -parameters["slope"] * (np.asarray(drive) - parameters["threshold"])
    )


def log_probabilities(parameters: dict[str, float], drive):
    """Return ln P and ln(1 - P)."""
    x = parameters["slope"] * (drive - parameters["threshold"])
    with np.errstate(divide="ignore"):
        amplitude = np.log(parameters["amplitude"])
        # P = (1 - a) + a s
        passed = np.logaddexp(np.log1p(-parameters["amplitude"]), amplitude + special.log_expit(x))
    return passed, amplitude + special.log_expit(-x)


def starts(share, writes, drive, held):
    """Return first guesses: log-odds above the floor are linear in the drive."""
    inner = np.clip((share - share.min()) / (1 - share.min()), 0.02, 0.98)
    return [
        {
            "threshold": g["threshold_voltage_V"],
            "slope": g["slope_per_V"],
            "amplitude": np.clip(1 - share.min(), 0.2, 0.995),
        }
        for g in logistic.starts(inner, writes, drive, None, None, held)
    ]
