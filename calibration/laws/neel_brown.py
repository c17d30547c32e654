"""Thermally activated switching (Neel 1949, Brown 1963) with a barrier that the voltage lowers.

    P = 1 - exp(-t / tau)      tau = tau0 exp[Delta (T_ref / T) (1 - V / V_c0)]

Delta = ``thermal_stability`` is the barrier over k_B T_ref, V_c0 = ``critical_voltage_V`` the voltage at which it
vanishes. The law holds below V_c0 and for durations well above tau0. The attempt time tau0 is 1 ns unless told
otherwise; from pulses of one temperature only Delta / V_c0 and log(tau0) + Delta are told, never all three.
Linear barrier: Koch, Katine, Sun, Phys. Rev. Lett. 92, 088302 (2004).
"""

from __future__ import annotations

import numpy as np

from calibration.laws.fitting.scales import Parameter
from calibration.laws.fitting.switching import CLIP, PULSE_AXES, activated, line

NAME = "neel_brown"
KIND = "switching"
AUTO = 1
THERMAL = True
AXES = PULSE_AXES
PARAMETERS = (
    Parameter("thermal_stability", "log", 1e-2, 1e4),
    Parameter("critical_voltage_V", "log", 1e-4, 1e3),
    Parameter("tau0_s", "log", 1e-15, 1e-3),
    Parameter("reference_temperature_K", "log", 1.0, 1e4),
)
FIXED = {"tau0_s": 1e-9, "reference_temperature_K": 300.0}
HINT = "writes at two or more voltages with probabilities between 0 and 1 (tau0_s free: at two or more temperatures)"


def log_time(parameters: dict[str, float], voltage_V, temperature_K):
    """Return ln(tau / 1 s)."""
    inverse = parameters.get("reference_temperature_K", 300.0) / np.asarray(temperature_K, float)
    barrier = parameters["thermal_stability"] * inverse * (1 - np.asarray(voltage_V) / parameters["critical_voltage_V"])
    return np.log(parameters.get("tau0_s", 1e-9)) + np.clip(barrier, -CLIP, CLIP)


probability, log_probabilities = activated(log_time)


def starts(share, writes, voltage_V, duration_s, temperature_K, held):
    """Return first guesses: ln(1 / tau) is linear in 1/T and V/T."""
    inverse = held.get("reference_temperature_K", 300.0) / temperature_K
    rate = np.log(-np.log1p(-share)) - np.log(duration_s)
    # a row of 0 or 1 tells little of the rate; log-log variance: P / (n (1 - P) ln^2(1 - P))
    weight = writes * (1 - share) * np.log1p(-share) ** 2 / share
    tau0 = held.get("tau0_s", 1e-9)
    a, b = line([-inverse, inverse * voltage_V], rate + np.log(tau0), weight)
    guesses = [{"thermal_stability": a, "critical_voltage_V": a / b}] if a > 0 and b > 0 else []
    top = np.abs(voltage_V).max()
    guesses += [{"thermal_stability": d, "critical_voltage_V": top * v} for d in (5.0, 40.0) for v in (0.9, 1.5)]
    return [{"tau0_s": tau0, **guess} for guess in guesses]
