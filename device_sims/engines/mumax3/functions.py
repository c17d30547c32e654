"""Drives as functions of the time ``t`` in mumax3's script language.

Its heaviside is 1 above zero, 0 below it and 1/2 at zero; its mod is Go's, with the sign of the first argument.
"""

from __future__ import annotations

import math

from device_sims.problem import Drive, Phase, waveform
from device_sims.problem.waveforms import Combined, Points, Pulse, steady


def literal(value: float) -> str:
    """Return a number as a script holds it."""
    return repr(float(value))


def function(drive: Drive, phase: Phase, begin_s: float) -> str | None:
    """Return the text of a drive in a phase that begins at ``begin_s``, or None if it does not change."""
    if steady(drive) is not None:
        return None
    time = f"(t-{literal(begin_s)})" if begin_s else "t"
    if isinstance(drive, Combined):
        texts = [function(one, phase, begin_s) or literal(steady(one) or 0.0) for one in drive.drives]
        return f"({('+' if drive.operation == 'sum' else '*').join(texts)})"
    if isinstance(drive, Points):
        return _points(drive, time)
    if isinstance(drive, Pulse):
        return f"({literal(drive.offset)}+{literal(drive.amplitude)}*{_pulse_text(drive, time)})"
    wave, terms = waveform(drive), [literal(waveform(drive).start)]
    if wave.stop != wave.start:
        terms.append(f"{literal((wave.stop - wave.start) / phase.duration_s)}*{time}")
    if wave.amplitude:
        turning = f"{literal(2 * math.pi * wave.frequency_Hz)}*{time}+{literal(wave.phase_rad)}"
        terms.append(f"{literal(wave.amplitude)}*sin({turning})")
    return f"({'+'.join(terms)})"


def _pulse_text(shape: Pulse, time: str) -> str:
    since = f"({time}-{literal(shape.time_s)})" if shape.time_s else time
    x = f"({since}/{literal(shape.width_s)})"
    if shape.kind == "gauss":
        return f"exp(-0.5*pow({x}, 2))"
    if shape.kind == "sinc":
        return f"sinc({x})"
    if shape.kind == "exponential":
        return f"heaviside({since})*exp(-max({x}, 0))"
    if shape.period_s:
        since_last = f"mod(max({since}, 0), {literal(shape.period_s)})"
        return f"heaviside({since})*heaviside({literal(shape.width_s)}-{since_last})"
    return f"(heaviside({since})-heaviside({since}-{literal(shape.width_s)}))"


def _points(points: Points, time: str) -> str:
    """Return the first value, and at each point the change of slope, or the jump."""
    terms, slope = [literal(points.values[0])], 0.0
    nodes = list(zip(points.times_s, points.values))
    for (t0, v0), (t1, v1) in zip(nodes, nodes[1:]):
        if t1 == t0:
            if v1 != v0:
                terms.append(f"{literal(v1 - v0)}*heaviside({time}-{literal(t0)})")
            continue
        steeper = (v1 - v0) / (t1 - t0) - slope
        slope += steeper
        if steeper:
            terms.append(f"{literal(steeper)}*max({time}-{literal(t0)}, 0)")
    terms.append(f"{literal(-slope)}*max({time}-{literal(nodes[-1][0])}, 0)")
    return f"({'+'.join(terms)})"
