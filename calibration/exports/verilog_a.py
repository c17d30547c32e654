"""Verilog-A: a two-terminal device that draws its state from the table when a pulse ends, for circuit simulators."""

from __future__ import annotations

import numpy as np

from calibration.card import KernelCard
from calibration.exports.circuits import Circuit, Device, by_number, device, identifier, outcome
from calibration.exports.exported import Exported

MOST = 50_000
PRECISION = 1e-3


class Options(Circuit):
    """Options of verilog_a."""


def make(card: KernelCard, options: Options) -> Exported:
    """Return ``NAME.va``, a module in the event form of the language (`cross`, `transition`, `$rdist_uniform`).

    Parameters
    ----------
    card : KernelCard
    options : Options
    """
    made, losses = device(card, options, "verilog-a", MOST, PRECISION)
    name = identifier(card)
    return Exported({f"{name}.va": _module(name, made).encode()}, tuple(losses))


def _module(name: str, made: Device) -> str:
    states = len(made.conductance_S)
    noisy = made.noise_sd_S.any()
    nearest = []
    for pulse, (volt, width) in enumerate(zip(made.voltage_V, made.duration_s, strict=True)):
        nearest += [
            f"      away = max(abs(top / ({float(volt)!r}) - 1.0), abs(width / {float(width)!r} - 1.0));",
            f"      if (away <= least) begin found = {pulse}; least = away; end",
        ]
    rows = [
        f"          {pulse * states + state}: next = {outcome(made.kernel[pulse, state], _choose)};"
        for pulse in range(len(made.pulses))
        for state in range(states)
    ]
    return "\n".join([
        f"// {name}: stochastic device of {states} states and {len(made.pulses)} pulses, from a kernel card",
        "// state: 1 V a state; siemens: conductance without noise, 1 V for 1 uS; unlisted: pulses of no row, 1 V each",
        "// WITHOUT_CURRENTS: for simulators of events that solve for no currents",
        '`include "constants.vams"',
        '`include "disciplines.vams"',
        "",
        f"module {name}(p, n, state, siemens, unlisted);",
        "  inout p, n;",
        "  output state, siemens, unlisted;",
        "  electrical p, n, state, siemens, unlisted;",
        "  parameter integer seed = 1;",
        f"  parameter integer initial_state = 0 from [0:{states - 1}];",
        "  parameter real factor = 1.0;",
        "  parameter real offset = 0.0;  // S",
        "  integer stream, now, next, found, others, on;",
        "  real start, width, top, away, least, draw, goal, rise;",
        *(["  integer noise_stream;", "  real noise, noise_sd;"] if noisy else []),
        "  analog begin",
        "    @(initial_step) begin",
        "      stream = seed; now = initial_state; others = 0; on = 0; top = 0.0; start = 0.0;",
        f"      rise = {float(made.latency_s.min())!r};",
        *(["      noise_stream = seed + 1000003; noise = 0.0;"] if noisy else []),
        "    end",
        f"    @(cross(abs(V(p, n)) - {made.threshold_V!r}, +1)) begin start = $abstime; top = 0.0; on = 1; end",
        "    if (on == 1 && abs(V(p, n)) > abs(top)) top = V(p, n);",
        f"    @(cross(abs(V(p, n)) - {made.threshold_V!r}, -1)) if (on == 1) begin",
        f"      width = $abstime - start; on = 0; found = -1; least = {float(made.tolerance)!r};",
        *nearest,
        "      if (found < 0) begin",
        "        others = others + 1;",
        '        $strobe("%m: a pulse of %g V and %g s is in no row of the table; the state stays", top, width);',
        "      end else begin",
        "        draw = $rdist_uniform(stream, 0.0, 1.0);",
        f"        case (found * {states} + now)",
        *rows,
        "        endcase",
        "        now = next;",
        f"        rise = {_by_number('found', made.latency_s)};",
        "      end",
        "    end",
        f"    goal = factor * ({_by_number('now', made.conductance_S)}) + offset;",
        *([
            f"    @(timer(0.0, {float(made.read_s)!r})) noise = $rdist_normal(noise_stream, 0.0, 1.0);",
            f"    noise_sd = {_by_number('now', made.noise_sd_S)};",
        ] if noisy else []),
        "`ifndef WITHOUT_CURRENTS",
        f"    I(p, n) <+ V(p, n) * (transition(goal, 0.0, rise){' + noise * noise_sd' if noisy else ''});",
        "`endif",
        "    V(state) <+ transition(now, 0.0, rise);",
        "    V(siemens) <+ transition(goal * 1e6, 0.0, rise);",
        "    V(unlisted) <+ transition(others, 0.0, rise);",
        "  end",
        "endmodule",
        "",
    ])  # fmt: skip


def _choose(edge: float, below: str, above: str) -> str:
    return f"(draw < {float(edge)!r} ? {below} : {above})"


def _by_number(number: str, values: np.ndarray) -> str:
    return by_number(number, [repr(float(value)) for value in values])
