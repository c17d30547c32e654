"""Thermally activated switching up to the critical voltage, and at the attempt rate above it.

    P = 1 - exp(-t / tau)      tau = tau0 exp[max(0, Delta (T_ref / T) (1 - V / V_c0))]

Below V_c0 this is `neel_brown`. Above it no barrier is left, and the moment does not switch faster than it attempts to:
1/tau0 is the prefactor of the escape rate (Kramers, Physica 7, 284 (1940); Brown, Phys. Rev. 130, 1677 (1963)). So one
law holds for pulses on both sides of V_c0, with the same three numbers. Where the rate keeps growing with the voltage,
`precessional` describes the writes above V_c0 better.

tau0 is told by pulses above V_c0 that are so short that some do not switch, or by several temperatures. It is held at
1 ns, as in `neel_brown`, or at 0.1 ns, unless the writes contradict both. Free, it would describe chance where all
writes are below V_c0, with a critical voltage just below the highest one.
"""

from __future__ import annotations

import numpy as np

from calibration.laws import neel_brown
from calibration.laws.fitting.switching import CLIP, PULSE_AXES, activated, line

NAME = "neel_brown_ballistic"
KIND = "switching"
THERMAL = True
AXES = PULSE_AXES
PARAMETERS = neel_brown.PARAMETERS
FIXED = {"reference_temperature_K": neel_brown.FIXED["reference_temperature_K"]}
USUAL = {"tau0_s": (neel_brown.FIXED["tau0_s"], 1e-10)}
HINT = "writes at two or more voltages below the critical one with probabilities between 0 and 1"


def log_time(parameters: dict[str, float], voltage_V, temperature_K):
    """Return ln(tau / 1 s)."""
    tau0 = parameters.get("tau0_s", neel_brown.FIXED["tau0_s"])
    return np.maximum(neel_brown.log_time(parameters, voltage_V, temperature_K), np.log(tau0))


probability, log_probabilities = activated(log_time)


def starts(share, writes, voltage_V, duration_s, temperature_K, held):
    """Return first guesses, one for each voltage that may be the critical one.

    Above it the rate is 1/tau0; below it ln(tau / tau0) is linear in (1 - V/V_c0) / T.
    """
    inverse = held.get("reference_temperature_K", 300.0) / temperature_K
    rate = -np.log1p(-share) / duration_s
    levels = np.unique(voltage_V)
    # below, between and above what was measured
    gaps = np.concatenate([levels[:1] * 0.9, levels, (levels[1:] + levels[:-1]) / 2, levels[-1:] * [1.1, 1.5]])
    guesses = []
    for critical in gaps[gaps > 0]:
        above, below = voltage_V >= critical, voltage_V < critical
        times = [1e-9, 1 / rate.max()]
        if above.any():
            # a share is the worse a measure of the rate, the nearer it is to 1
            times.append(float((duration_s * writes)[above].sum() / (rate * duration_s * writes)[above].sum()))
        for tau0 in {held.get("tau0_s", time) for time in times}:
            barriers = [10.0, 40.0]
            if below.any():
                weight = (writes * share * np.exp(-np.clip(rate * duration_s, 0, CLIP)))[below]
                reach = (inverse * (1 - voltage_V / critical))[below]
                barriers += list(line([reach], -np.log(rate * tau0)[below], weight))
            guesses += [
                {"thermal_stability": barrier, "critical_voltage_V": critical, "tau0_s": tau0}
                for barrier in barriers
                if barrier > 0
            ]
    return guesses
