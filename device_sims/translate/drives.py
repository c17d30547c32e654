"""Fields, currents and other quantities of a script over time, as drives of a phase."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from device_sims.translate.values import Signal
from device_sims.translate.world import Stage

POINTS = 1001  # of a function of time that is no line and no sine
EXACT = 1e-9  # deviation from a line, of the largest value, that is rounding


def samples(value: Any, stage: Stage, points: int = POINTS) -> np.ndarray:
    """Return a number or function at evenly spaced times of a stage, float64[points]."""
    if not isinstance(value, Signal):
        return np.full(points, float(value))
    times = stage.begin_s + np.linspace(0.0, stage.duration_s, points)
    return np.asarray(value.of(times), float) * np.ones(points)


def drive(value: Any, stage: Stage) -> Any:
    """Return a number or function of the script's time as a drive of a phase: a number, a ramp, a sine or points."""
    if not isinstance(value, Signal):
        return float(value)
    begin, length = stage.begin_s, stage.duration_s
    found = samples(value, stage)
    if not length or np.ptp(found) <= EXACT * np.abs(found).max():
        return float(found[0])
    line = {"from": float(found[0]), "to": float(found[-1])}
    if np.abs(found - np.linspace(found[0], found[-1], POINTS)).max() <= EXACT * np.abs(found).max():
        return line
    if value.closed and len(value.sines) == 1:
        amplitude, omega, phase = value.sines[0]
        if omega < 0:
            amplitude, omega, phase = -amplitude, -omega, -phase
        start, stop = (value.offset + value.slope * t for t in (begin, begin + length))
        sine = {
            "amplitude": amplitude,
            "frequency_Hz": omega / (2 * math.pi),
            "phase_rad": math.fmod(phase + omega * begin, 2 * math.pi),
        }
        return {"from": start, "to": stop, **sine} if value.slope else {"offset": start, **sine}
    times = np.linspace(0.0, length, _needed(value, stage))
    values = value.of(begin + times)
    return {"points": [[float(t), float(v)] for t, v in zip(times, values)]}


def _needed(value: Signal, stage: Stage) -> int:
    """Return how many points follow a function to a thousandth of its range, 1,001 to 16,001."""
    count = POINTS - 1
    while count < 16_000:
        coarse, fine = samples(value, stage, count + 1), samples(value, stage, 2 * count + 1)
        if np.abs(fine[1::2] - (coarse[1:] + coarse[:-1]) / 2).max() <= 1e-3 * np.ptp(fine):
            break
        count *= 2
    return count + 1


def combined(values: list[Any], combine) -> Any:
    """Return a function of numbers and functions of time, ``combine`` of their values at each moment."""
    if not any(isinstance(value, Signal) for value in values):
        return float(combine(*values))
    return Signal(lambda t: combine(*(v.of(t) if isinstance(v, Signal) else v for v in values)), closed=False)
