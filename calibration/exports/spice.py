"""ngspice: a two-terminal device that draws its state from the table when a pulse ends, without compiled models."""

from __future__ import annotations

from calibration.card import KernelCard
from calibration.exports.circuits import Circuit, Device, by_number, device, identifier, outcome
from calibration.exports.exported import Exported, Loss

MOST = 2_000
PRECISION = 0.005
COUNT_BITS = 10  # of the count of unlisted pulses
REST = 0.1  # of the shortest pulse, the time between two pulses


class Options(Circuit):
    """Options of spice."""


def make(card: KernelCard, options: Options) -> Exported:
    """Return ``NAME.cir``, a subcircuit of behavioural sources, digital registers and random sources of ngspice.

    Parameters
    ----------
    card : KernelCard
    options : Options
    """
    made, losses = device(card, options, "spice", MOST, PRECISION)
    name, shortest = identifier(card), float(made.duration_s.min())
    losses += [
        Loss(
            "rest between pulses", REST * shortest, "s", "a pulse that begins earlier after another is not told apart"
        ),
        Loss("precision", PRECISION, "1", "relative, to which the circuit measures the width and voltage of a pulse"),
        Loss("count of unlisted pulses", 2**COUNT_BITS - 1, "1", "it stops there"),
    ]
    if len(set(made.latency_s)) > 1:
        told = "shortest latency; the conductance follows the longest after every pulse"
        losses.append(Loss("latency by pulse", float(made.latency_s.min()), "s", told))
    return Exported({f"{name}.cir": _subcircuit(name, made).encode()}, tuple(losses))


def _subcircuit(name: str, made: Device) -> str:
    states, shortest = len(made.conductance_S), float(made.duration_s.min())
    top_S, delay = float(made.conductance_S.max()), max(shortest / 1000, 1e-12)
    noisy = made.noise_sd_S.any()
    away = [
        f"Ba{pulse} a{pulse} 0 V = "
        f"max(abs(V(top) / ({float(volt)!r}) - 1), abs(V(w) / {float(width / shortest)!r} - 1))"
        for pulse, (volt, width) in enumerate(zip(made.voltage_V, made.duration_s, strict=True))
    ]
    least, found = f"{float(made.tolerance)!r}", "-1"
    for pulse in range(len(away)):
        least = f"min({least}, V(a{pulse}))"
        found = f"(V(a{pulse}) <= V(least) ? {pulse} : {found})"
    rows = [
        f"Bn{pulse} n{pulse} 0 V = {_by_state([outcome(row, _choose) for row in kernel])}"
        for pulse, kernel in enumerate(made.kernel)
    ]
    chosen = by_number("V(found)", [f"V(n{pulse})" for pulse in range(len(rows))])
    noise = f" + V(noise) * {_by_state(made.noise_sd_S)}" if noisy else ""
    return "\n".join([
        f"* {name}: stochastic device of {states} states and {len(made.pulses)} pulses, from a kernel card",
        "* state: 1 V a state; siemens: conductance without noise, 1 V for 1 uS; unlisted: pulses of no row, 1 V each",
        "* Needs the digital and analog code models that ngspice loads at its start; seed: .options seed=NUMBER",
        f".subckt {name} p n state siemens unlisted initial_state=0 factor=1 offset=0",
        "* a pulse is on; act holds what was measured until the state is drawn",
        f"Bon on 0 V = min(max(abs(V(p, n)) / {0.1 * made.threshold_V!r} - 9.5, 0), 1)",
        "Boff off 0 V = 1 - V(on)",
        "Aclock [off] [clock] clocked",
        "Aact [on] [on_d] acts",
        "Aheld [on_d] [act] held",
        f".model clocked adc_bridge(in_low=0.5 in_high=0.5 rise_delay={10 * delay!r} fall_delay={delay!r})",
        f".model acts adc_bridge(in_low=0.5 in_high=0.5 rise_delay={delay!r} fall_delay={30 * delay!r})",
        f".model bits adc_bridge(in_low=0.5 in_high=0.5 rise_delay={delay!r} fall_delay={delay!r})",
        f".model held dac_bridge(out_low=0 out_high=1 t_rise={delay!r} t_fall={delay!r})",
        f".model register d_dff(clk_delay={delay!r} rise_delay={delay!r} fall_delay={delay!r} ic=0)",
        "* width, in those of the shortest pulse, and largest voltage",
        f"Cw w 0 {shortest!r}",
        "Rw w 0 1e9",
        "Bw 0 w I = V(act) > 0.5 ? V(on) : V(on) - 100 * V(w)",
        f"Ctop top 0 {shortest / 100!r}",
        "Rtop top 0 1e9",
        "Btop 0 top I = V(act) > 0.5 ? (abs(V(p, n)) > abs(V(top)) ? V(p, n) - V(top) : 0) : -V(top)",
        "* nearest pulse of the table, -1: none",
        *away,
        f"Bleast least 0 V = {least}",
        f"Bfound found 0 V = {found}",
        "* draw and next state",
        f"Vdraw draw 0 DC 0 TRRANDOM(1 {shortest / 2!r} 0 0.5 0.5)",
        *rows,
        f"Bnext next 0 V = V(found) < -0.5 ? floor(V(state) + 0.5) : {chosen}",
        f"Bto to 0 V = V(next) - {{initial_state}} + (V(next) < {{initial_state}} - 0.5 ? {states} : 0)",
        *_register("s", "V(to)", max(1, (states - 1).bit_length())),
        f"Bstate state 0 V = V(s) + {{initial_state}} - (V(s) + {{initial_state}} > {states - 0.5} ? {states} : 0)",
        f"Bmore more 0 V = min(V(unlisted) + (V(found) < -0.5 ? 1 : 0), {2**COUNT_BITS - 1})",
        *_register("u", "V(more)", COUNT_BITS),
        "Bunlisted unlisted 0 V = V(u)",
        "* conductance, over the largest",
        f"Cg g 0 {float(made.latency_s.max()) / 3!r}",
        f"Bg 0 g I = {_by_state(made.conductance_S / top_S)} - V(g)",
        f"Bsiemens siemens 0 V = 1e6 * ({{factor}} * {top_S!r} * V(g) + {{offset}})",
        *([f"Vnoise noise 0 DC 0 TRRANDOM(2 {made.read_s!r} 0 1 0)"] if noisy else []),
        f"Bi p n I = V(p, n) * (1e-6 * V(siemens){noise})",
        ".ends",
        "",
    ])  # fmt: skip


def _register(name: str, goal: str, bits: int) -> list[str]:
    """Return a register that takes a whole number when a pulse ends; node ``name`` has it."""
    lines = []
    for bit in range(bits):
        half = f"floor(({goal} + 0.5) / {2**bit})"
        lines += [
            f"B{name}in{bit} {name}in{bit} 0 V = {half} - 2 * floor({half} / 2)",
            f"A{name}d{bit} {name}d{bit} clock null null {name}q{bit} null register",
        ]
    names = {end: " ".join(f"{name}{end}{bit}" for bit in range(bits)) for end in ("in", "d", "q", "out")}
    total = " + ".join(f"{2**bit} * floor(V({name}out{bit}) + 0.5)" for bit in range(bits))
    return [
        *lines,
        f"A{name}in [{names['in']}] [{names['d']}] bits",
        f"A{name}out [{names['q']}] [{names['out']}] held",
        f"B{name} {name} 0 V = {total}",
    ]


def _choose(edge: float, below: str, above: str) -> str:
    return f"(V(draw) < {float(edge)!r} ? {below} : {above})"


def _by_state(values) -> str:
    return by_number("V(state)", [value if isinstance(value, str) else repr(float(value)) for value in values])
