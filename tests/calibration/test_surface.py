"""Steps of pulses of several voltages support each other, as far as the readings say so. All seeds are fixed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from calibration.counting.assemble import assemble
from calibration.counting.writes import REST
from calibration.measurement import step_model, surface
from calibration.measurement.segments import segments
from calibration.sections import States

from .test_measurement import CONFIG, written

LOW, HIGH, STEP = 5e-6, 15e-6, 0.3e-6
VOLTAGE = np.concatenate([np.linspace(0.5, 1.4, 10), -np.linspace(0.5, 1.4, 10)])
PULSES = pd.DataFrame({"voltage_V": VOLTAGE, "duration_s": 1e-7, "polarity": np.sign(VOLTAGE).astype(int)})
ABOVE = (np.abs(VOLTAGE) - 0.5) / 0.9
SIZES = {
    "linear": 0.3 + 1.4 * ABOVE,
    "threshold": 2.5 * np.clip(ABOVE - 0.4, 0, None),
    "sharp": np.where(np.arange(20) % 2 == 0, 0.3, 1.5),
}


def readings(kind: str, writes: int, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Return readings of a device, written in random order about its middle, and the mean step of each pulse, S."""
    rng = np.random.default_rng(seed)
    mean = np.sign(VOLTAGE) * STEP * SIZES[kind]
    order = rng.permutation(np.repeat(np.arange(20), writes))
    left = [[own for own in order if VOLTAGE[own] > 0], [own for own in order if VOLTAGE[own] < 0]]
    states, used = [1e-5], [REST]
    while left[0] or left[1]:
        wanted = int(states[-1] > 1e-5)
        used.append((left[wanted] or left[1 - wanted]).pop())
        spread = np.hypot(0.3 * mean[used[-1]], 0.05 * STEP)
        states.append(states[-1] + mean[used[-1]] + spread * rng.standard_normal())
    value = np.array(states) + 0.3 * STEP * rng.standard_normal(len(states))
    return pd.DataFrame({"series": 0, "instance": 0, "pulse": used, "value": value}), mean


def test_groups_are_pulses_of_one_sign_that_differ_in_what_is_known():
    few = np.full(20, 8)
    made = surface.groups(PULSES, tuple(range(20)), few)
    assert [own.members.tolist() for own in made] == [list(range(10, 20)), list(range(10))]
    assert {own.axes for own in made} == {("voltage_V",)}
    assert surface.groups(PULSES, tuple(range(20)), few * 100) == ()  # each has enough writes of its own
    assert surface.groups(PULSES, (0, 1, 10, 11), few[:4]) == ()
    assert surface.groups(PULSES.assign(voltage_V=np.nan), tuple(range(20)), few) == ()


def test_smoothing_follows_the_values_as_far_as_they_are_smooth():
    """Errors of 10 values with standard errors of 0.3; by chance the bounds are passed once in 1000 times."""
    group = surface.groups(PULSES, tuple(range(10)), np.full(10, 8))[0]
    rng = np.random.default_rng(3)
    errors = {"smooth": [], "rough": []}
    for _ in range(60):
        truth = {"smooth": np.sin(2 * ABOVE[:10]), "rough": 2 * rng.standard_normal(10)}
        for kind, own in truth.items():
            found, _ = surface.smoothed(group, own + 0.3 * rng.standard_normal(10), np.full(10, 0.09))
            errors[kind].append(np.mean((found - own) ** 2))
    assert np.sqrt(np.mean(errors["smooth"])) < 0.22
    assert np.sqrt(np.mean(errors["rough"])) < 0.33


@pytest.mark.parametrize("kind", SIZES)
def test_mean_steps_of_many_pulses_are_closer_than_those_fitted_alone(kind):
    table, mean = readings(kind, 8, seed=2)
    table = segments(table)
    groups = surface.groups(PULSES, table.pulses, table.writes())
    wrong = {}
    for name, own in (("alone", ()), ("together", groups)):
        fit = step_model.fit(table, LOW, HIGH, None, 0, np.random.default_rng(0), groups=own)
        found = fit.steps.at(np.array([1e-5]))[0][:, 0]
        wrong[name] = np.sqrt(np.mean((found - mean) ** 2)) / STEP
    assert wrong["together"] < min(0.8 * wrong["alone"], 0.3)


@pytest.mark.long
@pytest.mark.parametrize("writes, told", [(8, ["20 pulses have fewer than 10 writes"]), (12, [])])
def test_a_card_says_where_intervals_of_few_writes_do_not_cover(writes, told):
    table, _ = readings("linear", writes, seed=3)
    own = written(table)
    columns = own.pulses.iloc[[0] * 20].reset_index(drop=True).drop(columns=list(PULSES.columns))
    pulses = pd.concat([columns, PULSES], axis=1)[list(own.pulses.columns)].assign(pulse=range(20))
    config = CONFIG.model_copy(update={"states": States(method="lattice", count=20)})
    card = assemble(replace(own, pulses=pulses), config, "config").validate()
    assert [warning.partition(":")[0] for warning in card.meta.warnings] == told
