"""How many levels a reader can tell, against what normal levels hold by quadrature."""

import copy
import re

import numpy as np
import pytest
from scipy import stats

from benchmarks.coverage_levels import information, normal_levels
from calibration.consequences.levels import Levels, distance, interval, levels, scores, summary, table
from calibration.sources.simulated import told
from spinloom.command_line import run_command
from spinloom.errors import UserError
from tests.calibration.conftest import CYCLE_SD, DEVICE_SD, MEANS, WALL, Study, changed, walking


def test_information_by_hand():
    assert information(0.0) == pytest.approx(0, abs=1e-9)
    assert information(40.0) == pytest.approx(np.log2(5), abs=1e-9, rel=0)
    # two levels, 2 sd apart: 0.4859 bits, the capacity of a binary input with noise at 0 dB
    assert information(2.0, 2) == pytest.approx(0.4859, abs=2e-4, rel=0)


@pytest.mark.parametrize("step", [0.5, 1.0, 1.7, 3.0, 6.0])
def test_bits_are_a_tight_lower_bound(step):
    """The mean over 12 draws lies below the truth, by less than what estimating five laws from 56 writes each costs.

    The sd of one draw is at most 0.07 (seen over 60 draws of other seeds), so 5 sd of the mean are 0.1.
    """
    found = np.mean([scores(normal_levels(step, seed=seed))[0] for seed in range(12)])
    assert information(step) - 0.06 - 0.1 < found < information(step) + 0.1


def test_levels_that_are_none_tell_nothing():
    """Bits at or below 0, a fifth of right choices; 0.2 has a sd of 0.022 over 320 writes, 5 sd."""
    bits, right = scores(normal_levels(0.0))
    assert -0.2 < bits < 0.05 and abs(right - 0.2) < 0.11


def test_right_choices_of_two_levels_are_those_of_the_threshold():
    """A threshold half-way between levels 2 sd apart is crossed by Phi(-1) = 0.159; 5 sd of 12 x 128 draws are 0.05."""
    right = np.mean([scores(normal_levels(2.0, 2, seed))[1] for seed in range(12)])
    assert right == pytest.approx(stats.norm.cdf(1), abs=0.05, rel=0)


def test_a_lost_wall_says_which_level_it_was():
    """Positions alike, but every write of the last level is lost: log2 3 - (2/3) of a bit."""
    writes = normal_levels(0.0, 3)
    writes.position[writes.level == 2] = np.nan
    assert scores(writes)[0] == pytest.approx(np.log2(3) - 2 / 3, abs=0.1, rel=0)
    assert np.isnan(distance(writes, 2))
    writes.position[:] = np.nan
    assert scores(writes) == pytest.approx((0, 1 / 3), abs=1e-12)


def test_positions_without_spread_are_told_exactly():
    writes = normal_levels(1.0)
    exact = Levels(writes.level, writes.device, writes.level.astype(float))
    bits, right = scores(exact)
    assert right == 1 and bits > 2.2
    same = Levels(writes.level, writes.device, np.zeros(len(writes.level)))
    assert scores(same)[0] == pytest.approx(0, abs=1e-12)


def test_levels_that_change_places_from_device_to_device_tell_nothing():
    """Two levels that are far apart on each device; a reader of another device cannot know which is which."""
    writes = normal_levels(0.0, 2)
    swapped = Levels(
        writes.level, writes.device, np.where((writes.level + writes.device) % 2, 5.0, -5.0) + writes.position
    )
    assert scores(swapped)[0] < 0.05


def test_intervals_cover_the_distance():
    """Of 400 intervals of 95 %, 380 cover on average; fewer than 360 or more than 396 of a fair one are beyond 4 sd."""
    covered = 0
    for seed in range(400):
        low, high = interval(normal_levels(1.5, 2, seed), lambda some: distance(some, 1))
        covered += low <= 1.5 <= high
    assert 360 <= covered <= 396


def test_two_devices_have_no_interval():
    assert np.isnan(interval(normal_levels(1.0, devices=2), lambda some: scores(some)[0])).all()


def test_tables_of_a_simulated_wall(tmp_path):
    """Levels 100 nm apart with sd sqrt(20^2 + 8^2) nm, hence 4.64; 5 standard errors of 80 writes on 8 devices."""
    known = told(Study(tmp_path).write().tables)
    writes = levels(known)
    rows = table(known, writes)
    assert list(rows["writes"]) == [80] * 5 and set(rows["lost"]) == {0}
    np.testing.assert_allclose(rows["mean"], MEANS, atol=20e-9)
    assert list(rows["distance_over_sd"][1:]) == pytest.approx([100 / np.hypot(20, 8)] * 4, abs=0, rel=0.35)
    assert (CYCLE_SD, DEVICE_SD) == (20e-9, 8e-9)
    three = levels(known, [4, 0, 2])
    np.testing.assert_allclose(table(known, three, [4, 0, 2])["mean"], MEANS[[4, 0, 2]], atol=20e-9)
    told_of_three = summary(three)
    assert told_of_three["levels"] == 3 and told_of_three["bits"] == pytest.approx(np.log2(3), abs=0.1, rel=0)
    assert told_of_three["bits_low"] <= told_of_three["bits"] <= told_of_three["bits_high"]


def test_the_command_prints_and_writes(tmp_path, capsys):
    folder = Study(tmp_path).write().tables
    run_command("calibration", ["levels", str(folder), "--pulses", "0", "4", "--output", str(tmp_path / "l.csv")])
    assert "distance_over_sd" in capsys.readouterr().out
    header, row, _ = (tmp_path / "l.csv").read_text().split("\n")
    assert header.startswith("folder,levels,writes,devices,lost,bits,") and f"{folder},2,160,8,0," in row


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"pulses": [0]}, "found pulses [0], allowed: two or more of those written, each once"),
        ({"pulses": [0, 7]}, "found pulses [0, 7], allowed"),
        ({"pulses": [1, 1]}, "found pulses [1, 1], allowed"),
        ({"column": "wall_state"}, "found no column wall_state of numbers"),
        ({"column": "nothing"}, "found no column nothing of numbers"),
    ],
)
def test_unfit_choices_are_refused(tmp_path, arguments, message):
    known = told(Study(tmp_path).write().tables)
    with pytest.raises(UserError, match=re.escape(message)):
        levels(known, **arguments)


def test_unfit_devices_are_refused(tmp_path):
    moving = told(walking(tmp_path).write().tables)
    with pytest.raises(UserError, match="found no positions after a reset"):
        levels(moving)
    single = Study(tmp_path)
    single.events = single.events[single.events["instance"] == 0]
    with pytest.raises(UserError, match="found 1 device, allowed: 2 or more"):
        levels(told(single.write().tables))


def test_a_gates_own_permittivity_counts_in_its_energy(tmp_path):
    """C V^2 = eps0 x 1000 x 600 nm x 60 nm / 100 nm x V^2 = 3.19 fF V^2; without its own, calibration's."""
    plates = {"area_m2": 600e-9 * 60e-9, "dielectric_thickness_m": 1e-7, "relative_permittivity": 1000.0}
    device = changed(copy.deepcopy(WALL), {"writes.energy.gate": plates})
    pulses = Study(tmp_path, device=device).card().pulses
    np.testing.assert_allclose(pulses["energy_gate_J"], 3.1875e-15 * pulses["voltage_V"] ** 2, rtol=1e-4)
