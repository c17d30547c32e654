"""Drives that are neither numbers nor ramps and sines, as Tcl expressions of the time ``$t`` in a phase."""

from __future__ import annotations

import math

from device_sims.problem import Drive, Problem, waveform
from device_sims.problem.waveforms import Combined, Points, Pulse, shortest_s, simple

# in the procedure `drive`: a row's expression in place of ramp and sine, its rate by a central difference
VALUE = """  if { $pulse ne "" } {
    set value [expr $pulse]
    set h [expr {1e-6*$duration}]
    set t [expr {$t + $h}]
    set after [expr $pulse]
    set t [expr {$t - 2*$h}]
    return [list $value [expr {($after - [expr $pulse])/(2*$h)}]]
  }
"""
POINTS = """
proc points { times values t } {
  if { $t <= [lindex $times 0] } { return [lindex $values 0] }
  for {set i 1} {$i < [llength $times]} {incr i} {
    set right [lindex $times $i]
    if { $t >= $right } { continue }
    set left [lindex $times [expr {$i - 1}]]
    set low [lindex $values [expr {$i - 1}]]
    return [expr {$low + ([lindex $values $i] - $low)*($t - $left)/($right - $left)}]
  }
  return [lindex $values end]
}
"""


def used(problem: Problem) -> bool:
    """Return whether a problem has such drives."""
    return any(not simple(drive) for phase in problem.schedule for drive in phase.drives().values())


def longest_step_s(problem: Problem) -> float:
    """Return the step that passes no pulse unseen, infinite if there is none."""
    return min(shortest_s(drive) for phase in problem.schedule for drive in phase.drives().values())


def extended(tcl: str) -> str:
    """Return the procedures of `model` with those that such drives need.

    Raises
    ------
    ValueError
        If they are not the procedures that this module extends.
    """
    head = "phase\n    if"
    if tcl.count(head) != 1 or tcl.count("  set omega") != 1:
        raise ValueError("the procedure 'drive' is not what this module extends")
    return tcl.replace(head, "phase pulse\n    if").replace("  set omega", f"{VALUE}  set omega") + POINTS


def expression(drive: Drive, duration_s: float) -> str:
    """Return a drive as an expression of ``$t``."""
    if isinstance(drive, Combined):
        sign = "+" if drive.operation == "sum" else "*"
        return f"({sign.join(expression(one, duration_s) for one in drive.drives)})"
    if isinstance(drive, Points):
        times, values = (" ".join(map(repr, numbers)) for numbers in (drive.times_s, drive.values))
        return f"[points {{{times}}} {{{values}}} $t]"
    if isinstance(drive, Pulse):
        x = f"(($t-{drive.time_s!r})/{drive.width_s!r})"
        return f"({drive.offset!r}+{drive.amplitude!r}*({_pulse_text(drive, x)}))"
    wave = waveform(drive)
    turning = f"{2 * math.pi * wave.frequency_Hz!r}*$t+{wave.phase_rad!r}"
    slope = (wave.stop - wave.start) / duration_s
    return f"({wave.start!r}+{slope!r}*$t+{wave.amplitude!r}*sin({turning}))"


def _pulse_text(shape: Pulse, x: str) -> str:
    if shape.kind == "gauss":
        return f"exp(-0.5*pow({x},2))"
    if shape.kind == "sinc":
        return f"{x} == 0 ? 1.0 : sin({x})/{x}"
    if shape.kind == "exponential":
        return f"{x} < 0 ? 0.0 : exp(-{x})"
    inside = f"fmod({x},{shape.period_s / shape.width_s!r})" if shape.period_s else x
    return f"{x} >= 0 && {inside} < 1 ? 1.0 : 0.0"
