"""Figures of merit against numbers that can be checked by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from calibration.consequences.derive import with_derived
from calibration.consequences.figures_of_merit import (
    DRIVES,
    conductance_steps,
    derive,
    distinguishable_levels,
    response_pairs,
)
from spinloom.streams import generator

MEAN = np.array([1.0, 2.0, 4.0])  # S
UP = np.array([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5], [0.0, 0.0, 1.0]])
DOWN = np.array([[1.0, 0.0, 0.0], [0.25, 0.75, 0.0], [0.0, 0.5, 0.5]])
KERNEL = np.stack([UP, DOWN])


def pulse_rows(**columns) -> pd.DataFrame:
    size = max(len(column) for column in columns.values() if isinstance(column, list))
    table = {"pulse": range(size), "channel": "sot", "duration_s": 1e-9, "temperature_K": 300.0, "energy_mean_J": 1e-15}
    return pd.DataFrame({**dict.fromkeys(DRIVES, np.nan), **table, **columns})


def figures(kernel=KERNEL, rows_repeat=False, intended=None, **columns):
    size = kernel.shape[-1]
    states = pd.DataFrame({"conductance_S": MEAN[:size], "conductance_sd_S": 0.1, "occupancy": 1 / size})
    reads = pd.DataFrame({"noise_sd_S": np.zeros(size)})
    plan = pulse_rows(**{"current_density_A_per_m2": [1e11, -1e11], "polarity": [1, -1], **columns})
    return derive(kernel, states, plan, reads, rows_repeat, intended)


def test_pair_by_hand():
    """Steps up are (0.5, 1, 0), down (0, -0.25, -1): their sum is 0 between 2 S (0.75) and 4 S (-1), at 2.857 S."""
    (pair,) = figures()["pairs"]
    assert (pair["up"], pair["down"]) == (0, 1)
    assert pair["asymmetry"] == pytest.approx([1.0, 0.75 / 1.25, -1.0], abs=1e-12)
    assert pair["symmetry_point_S"] == pytest.approx(2 + 2 * 0.75 / 1.75, abs=1e-12)


def test_the_pulse_that_goes_up_is_named_up_whatever_its_polarity():
    (pair,) = figures(KERNEL[::-1])["pairs"]
    assert (pair["up"], pair["down"]) == (1, 0)
    assert pair["asymmetry"] == pytest.approx([1.0, 0.6, -1.0], abs=1e-12)


def test_no_symmetry_point_and_no_asymmetry_where_nothing_moves():
    stays = np.eye(3)
    (pair,) = figures(np.stack([UP, stays]))["pairs"]
    assert pair["asymmetry"] == [1.0, 1.0, None]  # at the top neither pulse does anything
    assert pair["symmetry_point_S"] == pytest.approx(4.0, abs=1e-12)
    # both pulses go up, one by more: the sum is 0 only where neither moves, at the top
    weak, strong = (np.array([[1 - p, p], [0.0, 1.0]]) for p in (0.1, 0.5))
    (pair,) = figures(np.stack([strong, weak]))["pairs"]
    assert pair["asymmetry"] == [pytest.approx(0.6 / 0.4, abs=1e-12), None]
    assert pair["symmetry_point_S"] == pytest.approx(2.0, abs=1e-12)
    leaky = np.array([[0.4, 0.6], [0.1, 0.9]]), np.array([[0.9, 0.1], [0.3, 0.7]])
    (pair,) = figures(np.stack(leaky))["pairs"]  # sums 0.7 and -0.4 cross at 1 + 0.7/1.1
    assert pair["symmetry_point_S"] == pytest.approx(1 + 0.7 / 1.1, abs=1e-12)
    # up by 1 in the middle state, and nothing against it anywhere but at the ends, where it is too much
    onwards = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.5, 0.5]]), UP
    assert figures(np.stack(onwards))["pairs"][0]["symmetry_point_S"] == pytest.approx(2 + 2 * 3 / 4, abs=1e-12)
    symmetric = np.array([[0.75, 0.25], [0.25, 0.75]])
    (pair,) = figures(np.stack([symmetric, symmetric]))["pairs"]
    assert pair["symmetry_point_S"] == pytest.approx(1.5, abs=1e-12)


@pytest.mark.parametrize(
    ("columns", "pairs"),
    [
        # two sizes of current, each with its opposite
        ({"current_density_A_per_m2": [1e11, -1e11, 2e11, -2e11], "polarity": [1, -1, 1, -1]}, [{0, 1}, {2, 3}]),
        ({"voltage_V": [0.5, -0.5, 0.5, -0.5], "duration_s": [1e-9, 1e-9, 2e-9, 2e-9], "polarity": [1, -1, 1, -1]},
         [{0, 1}, {2, 3}]),
        # a gate's voltage is no direction: it must be the same in both
        ({"channel": "gate+sot", "voltage_V": [0.5, 0.5, -0.5, -0.5], "current_density_A_per_m2": [1e11, -1e11] * 2,
          "polarity": [1, -1, 1, -1]}, [{0, 1}, {2, 3}]),
        ({"channel": "gate", "voltage_V": [0.5, 1.0, 1.5, 2.0], "polarity": [0, 0, 0, 0]}, []),
        # the only pulse of each polarity, however different
        ({"voltage_V": [0.5, -0.8, 0.1, 0.2], "polarity": [1, -1, 0, 0]}, [{0, 1}]),
        ({"voltage_V": [0.5, -0.8, 0.6, -0.9], "polarity": [1, -1, 1, -1]}, []),
        # twice the same pulse is no pair
        ({"voltage_V": [0.5, 0.5, -0.5, -0.9], "polarity": [1, 1, -1, -1]}, []),
    ],
)  # fmt: skip
def test_which_pulses_are_pairs(columns, pairs):
    kernel = np.stack([UP, DOWN, UP, DOWN])
    found = response_pairs(kernel, np.full(3, 1 / 3), MEAN, pulse_rows(**columns))
    assert sorted([{pair["up"], pair["down"]} for pair in found], key=min) == pairs


def test_reset_devices_have_no_pairs():
    assert figures(rows_repeat=True)["pairs"] == []


def test_energy_per_change_and_per_success():
    """Changes with 1/3 (1/2 + 1/2 + 0) = 1/3 and 1/3 (0 + 1/4 + 1/2) = 1/4; a pulse that never does anything: None."""
    writes = figures(energy_mean_J=[2e-15, 3e-15])["writes"]
    assert [one["probability_change"] for one in writes] == pytest.approx([1 / 3, 1 / 4], abs=1e-12)
    assert [one["energy_per_change_J"] for one in writes] == pytest.approx([6e-15, 12e-15], abs=0, rel=1e-12)
    assert "intended_state" not in writes[0]

    written = np.array([[0.2, 0.8, 0.0]] * 3), np.array([[0.5, 0.5, 0.0]] * 3)
    writes = figures(np.stack(written), True, np.array([1, 2]), energy_mean_J=[2e-15, 3e-15])["writes"]
    assert writes[0]["energy_per_success_J"] == pytest.approx(2.5e-15, abs=0, rel=1e-12)
    assert (writes[1]["probability_intended"], writes[1]["energy_per_success_J"]) == (0.0, None)
    assert [one["energy_per_change_J"] for one in figures(np.stack([np.eye(3)] * 2))["writes"]] == [None, None]


def test_steps_tell_what_stays():
    steps = figures()["steps"]
    assert [(one["pulse"], one["state_from"]) for one in steps] == [(p, s) for p in range(2) for s in range(3)]
    assert [one["probability_no_change"] for one in steps] == [0.5, 0.5, 1.0, 1.0, 0.75, 0.5]
    assert [one["conductance_step_mean_S"] for one in steps] == pytest.approx([0.5, 1, 0, 0, -0.25, -1], abs=1e-12)
    # from state 0 up: 1 or 2 S with 1/2 each, and 0.1 S within a state
    assert steps[0]["conductance_step_sd_S"] == pytest.approx(np.sqrt(0.25 + 0.01), abs=1e-12)


def test_derived_of_a_card_agree_with_its_tables(good):
    derived = with_derived(good).meta.derived
    assert derived == good.meta.derived
    assert derived.conductance_ratio == pytest.approx(
        good.states["conductance_S"].max() / good.states["conductance_S"].min(), abs=0, rel=1e-12
    )
    assert list(derived.stationary_distribution) == good.states["occupancy"].tolist()
    # read noise counts: without it more levels can be told apart
    quiet = with_derived(replace(good, reads=good.reads.assign(noise_sd_S=0.0))).meta.derived
    loud = with_derived(replace(good, reads=good.reads.assign(noise_sd_S=1e-5))).meta.derived
    assert loud.distinguishable_levels < derived.distinguishable_levels <= quiet.distinguishable_levels


def test_conductance_steps_against_sampling():
    rng = generator(10, "steps")
    kernel, mean, sd = rng.dirichlet(np.ones(3), (2, 3)), np.array([1.0, 2.0, 4.0]), np.array([0.5, 1.0, 0.7])
    step, step_sd = conductance_steps(kernel, mean, sd)
    after = rng.choice(3, 40_000, p=kernel[1, 2])
    drawn = rng.normal(mean[after], sd[after]) - mean[2]
    # 4.5 standard errors: 1 seed in 150,000 fails the first; the sd's error is at most that of a normal here x 2
    assert abs(drawn.mean() - step[1, 2]) < 4.5 * step_sd[1, 2] / 200
    assert abs(drawn.std() - step_sd[1, 2]) < 4.5 * 2 * step_sd[1, 2] / np.sqrt(80_000)


def test_distinguishable_levels():
    # thresholds at 1 % need z = 2.326 sd on either side: neighbours 1 apart allow sd < 0.2149
    mean = np.arange(5.0)
    assert distinguishable_levels(mean, np.full(5, 0.21)) == 5
    assert distinguishable_levels(mean, np.full(5, 0.22)) == 3
    assert distinguishable_levels(mean, np.full(5, 0.5)) == 2
    assert distinguishable_levels(mean, np.full(5, 1.0)) == 1
    assert distinguishable_levels(mean, np.full(5, 0.38), misread=0.1) == 5  # z = 1.2816: sd < 0.390
    # dropping the one broad level in the middle keeps the four others
    assert distinguishable_levels(mean[::-1], np.array([0.1, 0.1, 5.0, 0.1, 0.1])) == 4
    assert distinguishable_levels(np.array([1.0, 1.0]), np.zeros(2)) == 1
