"""Cards as devices of circuit simulators: Verilog-A and ngspice run, their statistics are the card's."""

import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

from calibration.exports import Exported, export
from calibration.sources import library
from spinloom.errors import UserError
from spinloom.streams import generator

EDGE = 0.02  # of a width, rise and fall
FALSE_ALARM = 1e-4
WRITES = 1500


def waveform(card, pulses, voltage_factor):
    """Return the period of one write, and times and voltages in turn, float64[8 * pulses]."""
    voltage, width = (card.pulses[key].to_numpy()[pulses] for key in ("voltage_V", "duration_s"))
    period = 6 * float(width.max())
    wave = []
    for number, (volt, wide) in enumerate(zip(voltage * voltage_factor, width, strict=True)):
        start, edge = (number + 0.2) * period, EDGE * wide
        wave += [start, 0.0, start + edge, volt, start + wide, volt, start + wide + edge, 0.0]
    return period, wave


def program(name, package):
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"the circuit simulator {name} ({package}) is not installed")
    return found


def verilog_a(card, made, pulses, voltage_factor, folder):
    evas = program("evas", "PyPI: evas-sim")
    ((name, text),) = made.files.items()
    (folder / "device.va").write_text("`define WITHOUT_CURRENTS\n" + text.decode())
    period, wave = waveform(card, pulses, voltage_factor)
    points = " ".join(f"{value:.9g}" for value in wave)
    (folder / "bench.scs").write_text(
        "simulator lang=spectre\nglobal 0\n"
        'ahdl_include "device.va"\n'
        f"V1 (a 0) vsource type=pwl wave=[{points}]\n"
        f"X1 (a 0 s g u) {name.removesuffix('.va')} seed=1\n"
        f"tran tran stop={len(pulses) * period:.9g} maxstep={period / 40:.9g}\nsave s g u\n"
    )
    done = subprocess.run([evas, "simulate", "bench.scs"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "0 errors" in done.stdout, done.stdout[-2000:]
    return period, pd.read_csv(folder / "output" / "tran.csv")


def spice(card, made, pulses, voltage_factor, folder):
    ngspice = program("ngspice", "Debian: ngspice")
    ((name, text),) = made.files.items()
    (folder / name).write_bytes(text)
    period, wave = waveform(card, pulses, voltage_factor)
    points = "".join(f"\n+ {value:.9g}" for value in wave)
    (folder / "bench.cir").write_text(
        f"bench\n.include {name}\nV1 a 0 pwl({points})\nX1 a 0 s g u {name.removesuffix('.cir')}\n"
        f".options seed=1\n.tran {period / 100:.9g} {len(pulses) * period:.9g} 0 {period / 60:.9g}\n"
        ".save v(s) v(g) v(u) i(V1) v(a)\n.control\nrun\nset wr_singlescale\nset wr_vecnames\n"
        "wrdata trace.txt v(s) v(g) v(u) i(V1) v(a)\nquit\n.endc\n.end\n"
    )
    done = subprocess.run([ngspice, "-b", "bench.cir"], cwd=folder, capture_output=True, text=True, check=False)
    assert (folder / "trace.txt").exists(), (done.stdout + done.stderr)[-2000:]
    names = ["time", "s", "g", "u", "current", "voltage"]
    return period, pd.read_csv(folder / "trace.txt", sep=r"\s+", skiprows=1, names=names)


SIMULATORS = {"verilog_a": verilog_a, "spice": spice}


def simulated(format, card, pulses, voltage_factor, folder, made=None):
    """Return the state after each pulse and the count of unlisted ones, int[pulses], from the exported file."""
    period, trace = SIMULATORS[format](card, made or export(card, format), pulses, voltage_factor, folder)
    assert trace["time"].iloc[-1] == pytest.approx(len(pulses) * period, rel=1e-3, abs=0)
    at = (np.arange(len(pulses)) + 0.99) * period
    state, other, siemens = (np.interp(at, trace["time"], trace[name]) for name in ("s", "u", "g"))
    state = np.rint(state).astype(int)
    np.testing.assert_allclose(siemens, card.states["conductance_S"].to_numpy()[state] * 1e6, rtol=1e-3)
    return state, np.rint(other).astype(int)


def chance(card, pulses, after):
    """Return the p-value of writes from state 0, by the chi-square against the rows that the card has for them."""
    before = np.concatenate([[0], after[:-1]])
    expected, seen = np.zeros((2, len(card.pulses), len(card.states), len(card.states)))
    np.add.at(seen, (pulses, before, after), 1)
    np.add.at(expected, (pulses, before), card.kernel[pulses, before])
    if seen[expected == 0].any():
        return 0.0
    total, degrees = 0.0, 0
    for found, wanted in zip(seen.reshape(-1, len(card.states)), expected.reshape(-1, len(card.states)), strict=True):
        often = wanted >= 5
        if not often.any():
            continue
        one, two = found[often], wanted[often]
        # outcomes that are expected rarely join the least often of the others
        one[two.argmin()] += found[~often].sum()
        two[two.argmin()] += wanted[~often].sum()
        total += ((one - two) ** 2 / two).sum()
        degrees += len(two) - 1
    assert degrees >= 5
    return chi2.sf(total, degrees)


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "format"),
    [("nyu_stochastic_write_40nm", "verilog_a"), ("pcmo_26_levels", "verilog_a"), ("pcmo_26_levels", "spice")],
)
def test_a_circuit_switches_as_the_card_says(name, format, tmp_path):
    """Chi-square of the writes of a circuit against the rows they were drawn from; false alarms 1e-4."""
    card = library.card(name)
    pulses = generator(5, "circuit").integers(len(card.pulses), size=WRITES)
    after, other = simulated(format, card, pulses, 1.0, tmp_path)
    assert other[-1] == 0
    assert chance(card, pulses, after) > FALSE_ALARM


@pytest.mark.long
def test_draws_that_are_off_by_a_tenth_are_seen(tmp_path):
    """The power of the chi-square: draws from 0.1 to 1.1, in a circuit that is otherwise the same."""
    card = library.card("pcmo_26_levels")
    ((name, text),) = export(card, "spice").files.items()
    assert text.count(b" 0.5 0.5)") == 1
    broken = Exported({name: text.replace(b" 0.5 0.5)", b" 0.5 0.6)")}, ())
    pulses = generator(5, "circuit").integers(len(card.pulses), size=WRITES)
    after, _ = simulated("spice", card, pulses, 1.0, tmp_path, broken)
    assert chance(card, pulses, after) < FALSE_ALARM


def test_the_current_of_spice_is_that_of_the_state(tmp_path):
    card = library.card("memristor_32_levels")
    pulses = np.array([0, 0, 1, 0])
    period, trace = spice(card, export(card, "spice"), pulses, 1.0, tmp_path)
    at = (np.arange(len(pulses)) + 0.3) * period
    current, voltage, siemens = (np.interp(at, trace["time"], trace[key]) for key in ("current", "voltage", "g"))
    assert (np.abs(voltage) >= 0.5).all()
    np.testing.assert_allclose(-current, voltage * siemens * 1e-6, rtol=1e-3)


@pytest.mark.parametrize("format", SIMULATORS)
def test_a_pulse_of_no_row_is_flagged_and_changes_nothing(format, tmp_path):
    card = library.card("memristor_32_levels")
    state, other = simulated(format, card, np.array([0, 0, 1, 0]), 1.3, tmp_path)
    assert list(other) == [1, 2, 3, 4]
    assert not state.any()


def test_devices_of_other_terminals_and_pulses_that_a_circuit_cannot_tell_are_refused():
    with pytest.raises(UserError, match="pulse 0: found channel sot, allowed"):
        export(library.card("sot_mtj_80nm_a"), "verilog_a")
    with pytest.raises(UserError, match="found no voltage_V"):
        export(library.card("ellis_gate"), "verilog_a")
    with pytest.raises(UserError, match="threshold_V: found 2, allowed: below 1"):
        export(library.card("memristor_32_levels"), "verilog_a", {"threshold_V": 2.0})


def test_more_transitions_than_ngspice_can_take_are_refused():
    with pytest.raises(UserError, match="found 2423 transitions with a chance above 0, allowed: at most 2000"):
        export(library.card("ecram_101_levels"), "spice")


def test_what_the_circuit_does_not_say_is_told():
    told = export(library.card("nyu_stochastic_write_40nm"), "verilog_a").table().set_index("quantity")
    assert told.loc["half_select", "value"] == 1
    assert told.loc["pulses close to each other", "value"] == pytest.approx(0.05 / 1.1, abs=0, rel=1e-9)
    assert told.loc["time of a read", "value"] == 5e-9
