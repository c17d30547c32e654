"""Drives over time: a number, a ramp with a sine, a pulse, points of a table, and sums and products of these.

t is the time since the start of the phase. `packed` and `evaluate` are the one place that says what a drive's value
is; engines that are programs of their own say the same in their own words.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Waveform:
    """``start + (stop - start) t / duration + amplitude sin(2 pi f t + phase)``, t from the start of the phase."""

    start: float
    stop: float
    amplitude: float = 0.0
    frequency_Hz: float = 0.0
    phase_rad: float = 0.0


@dataclass(frozen=True)
class Pulse:
    """``offset + amplitude g(x)`` with ``x = (t - time) / width``.

    By ``kind``, g is ``exp(-x^2 / 2)`` (gauss), ``sin(x) / x`` (sinc), ``exp(-x)`` from x = 0 on and 0 before
    (exponential), or 1 for ``0 <= x < 1`` and else 0 (square); with a ``period_s`` the square repeats from its first
    pulse on, 0 is a single one.
    """

    kind: str
    amplitude: float
    time_s: float
    width_s: float
    offset: float = 0.0
    period_s: float = 0.0


@dataclass(frozen=True)
class Points:
    """Linear between points, held outside of them; two points of one time are a jump."""

    times_s: tuple[float, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class Combined:
    """The ``sum`` or the ``product`` of drives."""

    operation: str
    drives: tuple[Drive, ...]


Drive = float | Waveform | Pulse | Points | Combined


def waveform(drive: Drive) -> Waveform:
    """Return a number or a ramp with a sine as a waveform; `TypeError` if it is something else."""
    if isinstance(drive, (Pulse, Points, Combined)):
        raise TypeError(f"{drive} is no ramp with a sine")
    return drive if isinstance(drive, Waveform) else Waveform(drive, drive)


def simple(drive: Drive) -> bool:
    """Return whether a drive is a number or a ramp with a sine, which every engine does."""
    return isinstance(drive, (int, float, Waveform))


def steady(drive: Drive) -> float | None:
    """Return the one value of a drive that does not change, else None."""
    if not simple(drive):
        return None
    wave = waveform(drive)
    return wave.start if wave.start == wave.stop and not wave.amplitude else None


def moves(drive: Drive) -> bool:
    """Return whether a drive differs from 0 at any time."""
    return steady(drive) != 0.0


def packed(drive: Drive, duration_s: float, unit_s: float = 1.0) -> dict[str, Any]:
    """Return a drive as a tree of numbers and arrays for `evaluate`, its times in ``unit_s``.

    Drives of one kind have trees of one structure, so a program that is compiled for one does for the other.
    """
    if isinstance(drive, Pulse):
        period = drive.period_s / drive.width_s if drive.period_s else math.inf
        width = drive.width_s / unit_s
        return {drive.kind: np.array([drive.offset, drive.amplitude, drive.time_s / unit_s, width, period])}
    if isinstance(drive, Points):
        return {"points": (np.array(drive.times_s) / unit_s, np.array(drive.values))}
    if isinstance(drive, Combined):
        return {drive.operation: [packed(one, duration_s, unit_s) for one in drive.drives]}
    w = waveform(drive)
    slope = (w.stop - w.start) * unit_s / duration_s if duration_s else 0.0
    return {"wave": np.array([w.start, slope, w.amplitude, w.frequency_Hz * unit_s, w.phase_rad / (2 * math.pi)])}


def evaluate(tree: dict[str, Any], t: Any, xp: Any = np) -> Any:
    """Return the value of a `packed` drive at the time ``t``; ``xp`` is numpy or jax.numpy."""
    ((kind, content),) = tree.items()
    if kind == "sum":
        return sum(evaluate(one, t, xp) for one in content)
    if kind == "product":
        return math.prod(evaluate(one, t, xp) for one in content)
    if kind == "points":
        return xp.interp(t, *content)
    if kind == "wave":
        start, slope, amplitude, turns, phase = content
        angle = turns * t + phase
        return start + slope * t + amplitude * xp.sin(2 * math.pi * (angle - xp.floor(angle)))
    offset, amplitude, time, width, period = content
    x = (t - time) / width
    if kind == "gauss":
        shape = xp.exp(-(x * x) / 2)
    elif kind == "sinc":
        shape = xp.sinc(x / math.pi)
    elif kind == "exponential":
        shape = xp.where(x < 0, 0.0, xp.exp(-xp.maximum(x, 0.0)))
    else:
        shape = xp.where((x >= 0) & (xp.mod(x, period) < 1), 1.0, 0.0)
    return offset + amplitude * shape


def at(drive: Drive, t_s: float, duration_s: float) -> float:
    """Return a drive's value ``t_s`` after the start of its phase."""
    if simple(drive):
        wave = waveform(drive)
        sine = wave.amplitude * math.sin(2 * math.pi * wave.frequency_Hz * t_s + wave.phase_rad)
        return wave.start + ((wave.stop - wave.start) * t_s / duration_s if duration_s else 0.0) + sine
    return float(evaluate(packed(drive, duration_s), t_s))


def largest(drive: Drive) -> float:
    """Return a bound of a drive's size."""
    if isinstance(drive, Pulse):
        return abs(drive.offset) + abs(drive.amplitude)
    if isinstance(drive, Points):
        return max(map(abs, drive.values))
    if isinstance(drive, Combined):
        sizes = [largest(one) for one in drive.drives]
        return sum(sizes) if drive.operation == "sum" else math.prod(sizes)
    wave = waveform(drive)
    return max(abs(wave.start), abs(wave.stop)) + abs(wave.amplitude)


def shortest_s(drive: Drive) -> float:
    """Return the shortest time in which a pulse comes and goes: a longer step could pass it unseen."""
    if isinstance(drive, Pulse):
        gap = drive.period_s - drive.width_s if drive.period_s else math.inf
        return math.inf if drive.kind == "exponential" else min(drive.width_s, gap)
    if isinstance(drive, Points):
        lengths = np.diff(drive.times_s)
        return float(lengths[lengths > 0].min(initial=math.inf))
    if isinstance(drive, Combined):
        return min(map(shortest_s, drive.drives))
    return math.inf
