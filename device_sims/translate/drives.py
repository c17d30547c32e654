"""Fields, currents and other quantities of a script over time, as drives of a phase."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from device_sims.translate.values import Signal, Unrepresentable
from device_sims.translate.world import Stage

POINTS = 1001  # of a function of time that is no line and no sine
MOST_POINTS = 16_000  # of such a function
CLOSE = 1e-3  # of its range, to which they follow it
JUMPS = 0.01  # share of its time in which they may fail to: a step, a kink
CHECKS = 160_000  # places at which a function is looked at
GOLDEN = (math.sqrt(5) - 1) / 2  # no period of a function is a multiple of it
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
    found, times, there = samples(value, stage), *_checks(value, stage)
    every = np.concatenate([found, there])
    if not np.isfinite(every).all():
        time_s = [*np.linspace(begin, begin + length, POINTS), *(begin + times)][int(np.argmin(np.isfinite(every)))]
        raise Unrepresentable(f"has a function of time that is no number at {time_s:g} s")
    largest = np.abs(every).max()
    if not length or np.ptp(every) <= EXACT * largest:
        return float(found[0])
    line = {"from": float(found[0]), "to": float(found[-1])}
    if np.abs(there - np.interp(times, [0.0, length], [found[0], found[-1]])).max() <= EXACT * largest:
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
    (times, there), count = _checks(value, stage), POINTS - 1
    while True:
        knots = np.linspace(0.0, stage.duration_s, count + 1)
        off = np.abs(there - np.interp(times, knots, samples(value, stage, count + 1))) > CLOSE * np.ptp(there)
        if off.any() and count >= MOST_POINTS and off.mean() > JUMPS:
            raise Unrepresentable(f"changes too fast for {count:,} points in {stage.duration_s:g} s")
        if not off.any() or count >= MOST_POINTS:
            return count + 1
        count *= 2


def _checks(value: Signal, stage: Stage) -> tuple[np.ndarray, np.ndarray]:
    """Return times of a stage that no period fits, from its beginning, and a function then: float64[CHECKS] each.

    Evenly spaced times see a wave whose period is their distance as a constant.
    """
    shares = (np.arange(CHECKS) + np.modf(np.arange(CHECKS) * GOLDEN)[0]) / CHECKS
    times = stage.duration_s * shares
    return times, np.asarray(value.of(stage.begin_s + times), float) * np.ones(CHECKS)


def combined(values: list[Any], combine) -> Any:
    """Return a function of numbers and functions of time, ``combine`` of their values at each moment."""
    if not any(isinstance(value, Signal) for value in values):
        return float(combine(*values))
    return Signal(lambda t: combine(*(v.of(t) if isinstance(v, Signal) else v for v in values)), closed=False)
