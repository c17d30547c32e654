"""Measured voltages and widths of pulses become the programmed ones, and distinct ones stay. All seeds are fixed."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from calibration.sources.importers import import_file
from spinloom.errors import UserError

TRAIN = np.where(np.arange(600) // 30 % 2 == 0, 1.5, -1.2)
LADDER = np.tile(np.concatenate([np.arange(20), -np.arange(20) - 1]) * 0.05 + np.repeat([0.5, -0.5], 20), 20)


def imported(folder, voltage, duration=1e-7, options=None, format="events", steep=0.0):
    """Import writes whose mean step is 0.2 uS the way of the voltage, and grows with ``steep`` times its excess."""
    rng = np.random.default_rng(7)
    voltage = np.asarray(voltage)
    state, rows = 1e-5, []
    for one in voltage:
        mean = 2e-7 * np.sign(one) * (1 + steep * (abs(one) - 1.5))
        before, state = state, float(np.clip(state + mean * (1 + 0.3 * rng.standard_normal()), 5e-6, 15e-6))
        rows.append((before, state))
    table = pd.DataFrame(rows, columns=["conductance_before_S", "conductance_after_S"])
    table = table.assign(voltage_V=voltage, duration_s=duration)
    if format == "traces":
        table = table.drop(columns="conductance_before_S").rename(columns={"conductance_after_S": "conductance_S"})
    table.to_csv(folder / "file.csv", index=False)
    return import_file(folder / "file.csv", format, options)


def measured(programmed, sd, seed=1):
    return programmed + sd * np.random.default_rng(seed).standard_normal(len(programmed))


@pytest.mark.parametrize("format", ["events", "traces"])
@pytest.mark.parametrize("decimals", [3, 9])
def test_voltages_and_widths_with_jitter_are_one_pulse(format, decimals, tmp_path):
    width = measured(np.full(len(TRAIN), 1e-7), 3e-10)
    found = imported(tmp_path, measured(TRAIN, 0.0015).round(decimals), width, format=format)
    pulses = found.writes.pulses
    assert sorted(pulses["voltage_V"]) == [-1.2, 1.5]
    assert (pulses["duration_s"] == 1e-7).all()
    assert len(found.writes.events) > len(TRAIN) - 2
    told = " ".join(found.notes)
    assert re.search(r"of the voltage count as 2 programmed: -1.2 V \(sd 0.001[456]\d* V, ", told)
    assert re.search(r"of the pulse width count as 1 programmed: 100 ns \(sd 0.(2[789]|3[012])\d* ns, ", told)
    assert set(found.writes.assumed) & set(found.notes)  # the card states it as well


def test_programmed_voltages_stay_with_and_without_jitter(tmp_path):
    exact = imported(tmp_path, LADDER).writes.pulses["voltage_V"].to_numpy()
    assert len(exact) == 40
    near = imported(tmp_path, measured(LADDER, 0.0015)).writes.pulses["voltage_V"].to_numpy()
    assert near == pytest.approx(exact, abs=0.0015, rel=0)


def test_two_widths_at_twenty_voltages_are_forty_pulses_each_way(tmp_path):
    width = np.where(np.random.default_rng(5).random(len(LADDER)) < 0.5, 1e-7, 1e-6)
    pulses = imported(tmp_path, measured(LADDER, 0.0015), measured(width, 0) * measured(width**0, 0.003)).writes.pulses
    assert len(pulses) == 80
    assert pulses["voltage_V"].nunique() == 40
    assert sorted(pulses["duration_s"].unique()) == pytest.approx([1e-7, 1e-6], rel=1e-3, abs=0)


def test_voltages_in_the_order_of_a_protocol_stay(tmp_path):
    """Three voltages within 2 %: in runs of their own, and as a ramp that is repeated."""
    step = np.arange(600)
    for fine in (0.01 * (step // 60 % 3), 0.001 * (step % 30)):
        pulses = imported(tmp_path, np.where(TRAIN > 0, 1.5 + fine, TRAIN)).writes.pulses
        assert len(pulses) == 1 + len(np.unique(fine))


def test_pulses_whose_effects_differ_are_not_merged_in_silence(tmp_path):
    """One of 1000 sets of pulses that do the same is kept apart by chance; these differ by 30 standard errors."""
    voltage = np.where(TRAIN > 0, 1.49 + 0.01 * np.random.default_rng(2).integers(0, 3, len(TRAIN)), TRAIN)
    alike = imported(tmp_path, voltage).writes
    assert len(alike.pulses) == 2
    apart = imported(tmp_path, voltage, steep=60)
    assert len(apart.writes.pulses) == 4
    assert any("1.49 V to 1.51 V are not one pulse: their effects differ" in note for note in apart.notes)
    told = imported(tmp_path, voltage, steep=60, options={"pulse_tolerance": 0.01}).writes
    assert len(told.pulses) == 2
    assert any("though their effects differ beyond chance" in sentence for sentence in told.assumed)


def test_the_tolerance_is_what_is_said(tmp_path):
    voltage = measured(TRAIN, 0.0015)
    assert len(imported(tmp_path, voltage, options={"pulse_tolerance": 0}).writes.pulses) == len(np.unique(voltage))
    assert len(imported(tmp_path, voltage, options={"pulse_tolerance": 0.01}).writes.pulses) == 2
    with pytest.raises(
        UserError, match=r"option pulse_tolerance: found 0.06, with which pulses of .* count as one value"
    ):
        imported(tmp_path, LADDER, options={"pulse_tolerance": 0.06})
