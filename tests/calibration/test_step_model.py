"""What the model of steps finds beyond one noise and one device: noise that grows, devices that differ.

All seeds are fixed.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from calibration.consequences.check import checked
from calibration.measurement import devices, step_model
from calibration.measurement.segments import segments
from network.synapse.device import DeviceModel

from .test_measurement import HIGH, LOW, STEP, card_of, device, mean_step, written


def noisy(kind: str, floor: float, fraction: float, seed: int, readings: int = 1500) -> pd.DataFrame:
    """Return readings of a device whose noise grows; the floor is in steps, the rest a share of the conductance."""
    table = device(kind, 0.0, seed, readings)
    state = table["value"].to_numpy()
    sd = np.sqrt((floor * STEP) ** 2 + (fraction * state) ** 2)
    return table.assign(value=state + sd * np.random.default_rng(seed + 1).standard_normal(len(state)))


@pytest.mark.long
@pytest.mark.parametrize("kind, floor, fraction", [("saturating", 0.0, 0.02), ("constant", 1.0, 0.06)])
def test_a_noise_that_grows_with_the_conductance_is_found(kind, floor, fraction):
    """15 % of the noise of a state are 4 standard errors; twice the intervals miss the truth once in 10,000 seeds."""
    card = card_of(noisy(kind, floor, fraction, seed=21), method="lattice", count=40)
    conductance = card.states["conductance_S"].to_numpy()
    inside = (conductance > LOW + 0.1 * (HIGH - LOW)) & (conductance < HIGH - 0.1 * (HIGH - LOW))
    truth = np.sqrt((floor * STEP) ** 2 + (fraction * conductance) ** 2)
    noise = card.reads["noise_sd_S"].to_numpy()
    assert noise[inside] == pytest.approx(truth[inside], rel=0.15, abs=0)
    told = card.meta.measurement
    assert told.noise_fraction is not None
    own, ends = told.noise_fraction, told.noise_fraction_interval
    assert own + 2 * (ends[0] - own) <= fraction <= own + 2 * (ends[1] - own)
    low, high = np.array(told.noise_low_S), np.array(told.noise_high_S)
    assert (low <= noise).all() and (noise <= high).all()
    twice = (noise + 2 * (low - noise) <= truth) & (truth <= noise + 2 * (high - noise))
    assert twice[inside].all()
    middle = (conductance > 7.5e-6) & (conductance < 12.5e-6)
    for way in (0, 1):
        step = card.kernel[way] @ conductance - conductance
        assert step[middle] == pytest.approx(mean_step(kind, conductance[middle], way), rel=0.15, abs=0)


@pytest.mark.long
@pytest.mark.parametrize("noise, none", [(0.0, True), (0.3, False)])
def test_the_interval_of_the_noise_begins_at_none_where_there_may_be_none(noise, none):
    """Seeds 43 and 44 have a most probable noise a little above none; 95 % of the seeds without noise say so."""
    for seed in (42, 43, 44):
        table = segments(device("saturating", noise, seed, readings=600))
        fit = step_model.fit(table, LOW, HIGH, None, 50, np.random.default_rng(0))
        assert (fit.noise_interval[0] == 0) == none
        assert fit.noise_interval[0] <= fit.steps.noise <= fit.noise_interval[1] < 0.4 * STEP


@pytest.mark.long
@pytest.mark.parametrize("noise", [0.0, 0.3, 3.0])
def test_a_noise_that_does_not_grow_is_one_for_all_states(noise):
    """The criterion takes the further parameter by chance in 0.7 % of the seeds."""
    card = card_of(device("saturating", noise, seed=22), method="lattice", count=40)
    assert card.meta.measurement.noise_fraction is None and card.reads["noise_sd_S"].nunique() == 1


def test_a_noise_that_is_given_does_not_grow():
    readings = noisy("constant", 0.0, 0.04, seed=23, readings=400)
    card = card_of(readings, method="lattice", count=40, noise=0.4e-6)
    assert card.reads["noise_sd_S"].to_numpy() == pytest.approx(0.4e-6, abs=1e-12)
    assert card.meta.measurement.noise_fraction is None


def several(factors: list[float], offsets: list[float], seed: int, noise: float = 1.0, readings: int = 900):
    """Return readings of saturating devices whose mean steps have these factors; offsets in S, noise in steps."""
    tables = []
    for instance, (factor, offset) in enumerate(zip(factors, offsets)):
        rng = np.random.default_rng([seed, instance])
        state, states, pulses = LOW, [LOW], [-1]
        for number in range(readings):
            way = (number // 45) % 2
            step = factor * mean_step("saturating", np.array(state), way) + 0.3 * STEP * rng.standard_normal()
            state = float(np.clip(state + step, LOW, HIGH))
            states.append(state)
            pulses.append(way)
        value = np.array(states) + offset + noise * STEP * rng.standard_normal(len(states))
        tables.append(pd.DataFrame({"series": instance, "instance": instance, "pulse": pulses, "value": value}))
    return pd.concat(tables, ignore_index=True)


@pytest.mark.long
@pytest.mark.parametrize("offsets", [[0.0, 0.0, 0.0, 0.0], [-0.8e-6, 0.0, 0.2e-6, 0.6e-6]])
def test_devices_that_differ_are_told_from_writes_that_spread(offsets):
    """Factors have standard errors of 3 % or less, offsets of 0.1 uS; 4 of them are allowed."""
    factors = np.array([0.7, 0.9, 1.1, 1.4])
    readings = several(factors.tolist(), offsets, seed=31)
    card = card_of(readings, method="lattice", count=40)
    told = card.meta.measurement
    found = np.array([one.step_factor for one in told.devices])
    assert found / found[2] == pytest.approx(factors / factors[2], rel=0.12, abs=0)
    low, high = told.step_factor_interval
    assert low <= np.log(factors).std(ddof=1) <= high
    moved = np.array([one.offset_S for one in told.devices])
    assert moved - moved.mean() == pytest.approx(np.array(offsets) - np.mean(offsets), abs=0.4e-6)
    assert (told.offset_sd_S > 0) == any(offsets)
    # the spread of a write is that of one device, and each device has the mean step of its own
    knots = np.array(told.knots_S)
    middle = (knots > 7.5e-6) & (knots < 12.5e-6)
    for way in told.steps:
        assert np.array(way.sd_S)[middle] == pytest.approx(0.3 * STEP, rel=0.25, abs=0)
    model = DeviceModel.from_card(card)
    conductance = card.states["conductance_S"].to_numpy()
    inside = (conductance > 7.5e-6) & (conductance < 12.5e-6)
    for way in (0, 1):
        for number, factor in enumerate(factors):
            step = model.by_instance[number, way] @ conductance - conductance
            wanted = factor * mean_step("saturating", conductance[inside], way)
            assert step[inside] == pytest.approx(wanted, rel=0.2, abs=0)
    shift = model.instance_weight * model.g_scale
    assert shift - shift.mean() == pytest.approx(moved - moved.mean(), abs=0.05e-6)
    assert not checked(card, written(readings), 0, False).meta.warnings


@pytest.mark.long
def test_devices_that_are_alike_are_taken_for_alike():
    """The criterion takes a spread of devices by chance in less than 1 % of the seeds."""
    table = segments(several([1.0] * 4, [0.0] * 4, seed=32, readings=400))
    fit = step_model.fit(table, LOW, HIGH, None, 0, np.random.default_rng(0))
    assert not devices.differences(fit, table)


def test_few_readings_of_a_device_are_believed_less():
    effect = devices._effect(np.array([-0.3, 0.0, 0.3]), np.array([0.01, 0.01, 0.3]), 100)
    assert effect.shrunk[0] == pytest.approx(effect.value[0], rel=0.05, abs=0)
    assert abs(effect.shrunk[2]) < 0.7 * abs(effect.value[2]) and effect.unsure[2] > 5 * effect.unsure[0]


def test_an_end_that_reflects_is_a_stop_to_all_states_but_those_within_a_step_of_it():
    """Steps of 0.3 uS that turn back at both ends; 15 % are 4 standard errors of a row's mean step."""
    rng = np.random.default_rng(41)
    state, states, pulses = LOW, [LOW], [-1]
    for number in range(2000):
        way = (number // 60) % 2
        state = state + (-1) ** way * STEP * (1 + 0.3 * rng.standard_normal())
        state = float(HIGH - abs(HIGH - LOW - abs(state - LOW)))
        states.append(state)
        pulses.append(way)
    value = np.array(states) + 0.5 * STEP * rng.standard_normal(len(states))
    readings = pd.DataFrame({"series": 0, "instance": 0, "pulse": pulses, "value": value})
    card = card_of(readings, method="lattice", count=40)
    conductance = card.states["conductance_S"].to_numpy()
    assert conductance[[0, -1]] == pytest.approx([LOW, HIGH], abs=STEP)
    inside = (conductance > LOW + 2 * STEP) & (conductance < HIGH - 2 * STEP)
    for way in (0, 1):
        step = (card.kernel[way] @ conductance - conductance)[inside]
        assert step == pytest.approx((-1) ** way * STEP * np.ones(inside.sum()), rel=0.15, abs=0)
    assert not checked(card, written(readings), 0, False).meta.warnings
