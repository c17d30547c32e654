"""Switching above the critical voltage: the torque amplifies the thermal angle that the pulse meets.

The angle starts at theta_0 ~ |N(0, theta_sigma)| and grows as e^(t / t_D); the device has switched once it reaches
pi / 2. Hence

    P = 1 - erf( (pi / 2) e^(-t / t_D) / (sqrt(2) theta_sigma) )      t_D = t_D0 / (V / V_c0 - 1)

with theta_sigma = 1 / sqrt(2 Delta), which grows as sqrt(T). t_D0 = ``characteristic_time_s`` = 2 / (alpha gamma mu0
Ms). The law is for V > V_c0; below it gives practically 0, where thermal activation takes over. Vincent et al., IEEE
Trans. Biomed. Circuits Syst. 9, 166 (2015). From pulses of one voltage only t_D is told: hold ``critical_voltage_V``.
"""

from __future__ import annotations

import numpy as np
from scipy import special

from calibration.laws.fitting.scales import Parameter
from calibration.laws.fitting.switching import PULSE_AXES, line

NAME = "precessional"
KIND = "switching"
AUTO = 2
THERMAL = True
AXES = PULSE_AXES
PARAMETERS = (
    Parameter("characteristic_time_s", "log", 1e-14, 1e-3),
    Parameter("critical_voltage_V", "log", 1e-4, 1e3),
    Parameter("initial_angle_sd_rad", "log", 1e-4, 10.0),
    Parameter("reference_temperature_K", "log", 1.0, 1e4),
)
FIXED = {"reference_temperature_K": 300.0}
HINT = "writes at two or more voltages and three or more pulses with probabilities between 0 and 1"
NARROW = np.pi / (2 * np.sqrt(2))


def growth(parameters: dict[str, float], voltage_V, duration_s):
    """Return t / t_D, the logarithm of the angle's amplification; negative below V_c0."""
    excess = np.asarray(voltage_V) / parameters["critical_voltage_V"] - 1
    return np.clip(np.asarray(duration_s) * excess / parameters["characteristic_time_s"], -30.0, 700.0)


def _argument(parameters, voltage_V, duration_s, temperature_K):
    warmth = np.sqrt(np.asarray(temperature_K, float) / parameters.get("reference_temperature_K", 300.0))
    return NARROW * np.exp(-growth(parameters, voltage_V, duration_s)) / (parameters["initial_angle_sd_rad"] * warmth)


def probability(parameters: dict[str, float], voltage_V, duration_s, temperature_K=300.0):
    """Return P(switch).

    Parameters
    ----------
    parameters : dict
        ``characteristic_time_s``, ``critical_voltage_V``, ``initial_angle_sd_rad`` (at ``reference_temperature_K``,
        default 300).
    voltage_V, duration_s, temperature_K : float or ndarray
        V counts positive in the direction that switches; T > 0.
    """
    return special.erfc(_argument(parameters, voltage_V, duration_s, temperature_K))


def log_probabilities(parameters: dict[str, float], voltage_V, duration_s, temperature_K):
    """Return ln P and ln(1 - P)."""
    z = _argument(parameters, voltage_V, duration_s, temperature_K)
    # erfc(z) = 2 Phi(-sqrt(2) z), whose logarithm does not underflow
    return np.log(2) + special.log_ndtr(-np.sqrt(2) * z), np.log(special.erf(np.maximum(z, 1e-300)))


def starts(share, writes, voltage_V, duration_s, temperature_K, held):
    """Return first guesses: ln erfcinv(P) is linear in t and t V."""
    warmth = 0.5 * np.log(temperature_K / held.get("reference_temperature_K", 300.0))
    target = np.log(special.erfcinv(share)) + warmth
    weight = writes * share * (1 - share)
    size = duration_s.max()
    c, a, b = line([np.ones_like(share), duration_s / size, -duration_s * voltage_V / size], target, weight)
    guesses = []
    if a > 0 and b > 0:
        angle = NARROW / np.exp(c)
        guesses.append({"characteristic_time_s": size / a, "critical_voltage_V": a / b, "initial_angle_sd_rad": angle})
    for ratio in (0.3, 0.7):
        critical = held.get("critical_voltage_V", ratio * voltage_V.max())
        time = duration_s.mean() * max(voltage_V.mean() / critical - 1, 0.1) / 3
        guesses += [
            {"characteristic_time_s": time, "critical_voltage_V": critical, "initial_angle_sd_rad": angle}
            for angle in (0.05, 0.2)
        ]
    return guesses
