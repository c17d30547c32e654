"""Cards as devices of circuit simulators: the Verilog-A is compiled and run, its statistics are the card's."""

import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

from calibration.exports import export
from calibration.sources import library
from spinloom.errors import UserError
from spinloom.streams import generator

EDGE = 0.02  # of a width, rise and fall
FALSE_ALARM = 1e-4


def simulated(card, pulses, voltage_factor, folder, seed=1):
    """Return the state after each pulse and the count of unlisted ones, int[pulses], from evas on the exported file."""
    evas = shutil.which("evas")
    if evas is None:
        pytest.skip("the Verilog-A simulator evas (PyPI: evas-sim) is not installed")
    made = export(card, "verilog_a")
    ((name, text),) = made.files.items()
    (folder / "device.va").write_text("`define WITHOUT_CURRENTS\n" + text.decode())
    voltage, width = (card.pulses[key].to_numpy()[pulses] for key in ("voltage_V", "duration_s"))
    period = 6 * float(width.max())
    wave = []
    for number, (volt, wide) in enumerate(zip(voltage * voltage_factor, width, strict=True)):
        start, edge = (number + 0.2) * period, EDGE * wide
        wave += [start, 0.0, start + edge, volt, start + wide, volt, start + wide + edge, 0.0]
    points = " ".join(f"{value:.9g}" for value in wave)
    (folder / "bench.scs").write_text(
        "simulator lang=spectre\nglobal 0\n"
        'ahdl_include "device.va"\n'
        f"V1 (a 0) vsource type=pwl wave=[{points}]\n"
        f"X1 (a 0 s g u) {name.removesuffix('.va')} seed={seed}\n"
        f"tran tran stop={len(pulses) * period:.9g} maxstep={period / 40:.9g}\nsave s g u\n"
    )
    done = subprocess.run([evas, "simulate", "bench.scs"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "0 errors" in done.stdout, done.stdout[-2000:]
    trace = pd.read_csv(folder / "output" / "tran.csv")
    at = (np.arange(len(pulses)) + 0.99) * period
    state, other, siemens = (np.interp(at, trace["time"], trace[name]) for name in ("s", "u", "g"))
    state = np.rint(state).astype(int)
    np.testing.assert_allclose(siemens, card.states["conductance_S"].to_numpy()[state] * 1e6, rtol=1e-3)
    return state, np.rint(other).astype(int)


@pytest.mark.parametrize("name", ["nyu_stochastic_write_40nm", "pcmo_26_levels"])
def test_verilog_a_switches_as_the_card_says(name, tmp_path):
    """Chi-square of the writes of a circuit against the rows they were drawn from; false alarms 1e-4."""
    card = library.card(name)
    pulses = generator(5, "circuit").integers(len(card.pulses), size=1500)
    after, other = simulated(card, pulses, 1.0, tmp_path)
    assert other[-1] == 0
    before = np.concatenate([[0], after[:-1]])
    expected, seen = np.zeros((2, len(card.pulses), len(card.states), len(card.states)))
    np.add.at(seen, (pulses, before, after), 1)
    np.add.at(expected, (pulses, before), card.kernel[pulses, before])
    assert not seen[expected == 0].any()
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
    assert chi2.sf(total, degrees) > FALSE_ALARM


def test_a_pulse_of_no_row_is_flagged_and_changes_nothing(tmp_path):
    card = library.card("memristor_32_levels")
    state, other = simulated(card, np.array([0, 0, 1, 0]), 1.3, tmp_path)
    assert list(other) == [1, 2, 3, 4]
    assert not state.any()


def test_devices_of_other_terminals_and_pulses_that_a_circuit_cannot_tell_are_refused():
    with pytest.raises(UserError, match="pulse 0: found channel sot, allowed"):
        export(library.card("sot_mtj_80nm_a"), "verilog_a")
    with pytest.raises(UserError, match="found no voltage_V"):
        export(library.card("ellis_gate"), "verilog_a")
    with pytest.raises(UserError, match="threshold_V: found 2, allowed: below 1"):
        export(library.card("memristor_32_levels"), "verilog_a", {"threshold_V": 2.0})


def test_what_the_circuit_does_not_say_is_told():
    told = export(library.card("nyu_stochastic_write_40nm"), "verilog_a").table().set_index("quantity")
    assert told.loc["half_select", "value"] == 1
    assert told.loc["pulses close to each other", "value"] == pytest.approx(0.05 / 1.1, abs=0, rel=1e-9)
    assert told.loc["time of a read", "value"] == 5e-9
