"""The models of readings find what made them: steps, levels, read noise. All seeds are fixed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from calibration.consequences.check import checked
from calibration.counting.assemble import assemble
from calibration.counting.states import assign_states
from calibration.counting.writes import REST, Writes
from calibration.measurement import kernel, level_model, level_rows, step_model
from calibration.measurement.clean import drift_at_rest, glitches, gross
from calibration.measurement.segments import LONGEST, segments
from calibration.measurement.step_model import Steps
from calibration.sections import Posterior, States
from calibration.sources.importers import import_file
from spinloom.errors import UserError

from .test_importers import CONFIG

LOW, HIGH, STEP = 5e-6, 15e-6, 0.3e-6


def mean_step(kind: str, state: np.ndarray, way: int) -> np.ndarray:
    share = (state - LOW) / (HIGH - LOW)
    left = share if way else 1 - share  # of the range that is ahead is 1 - share up, share down
    return (-1) ** way * STEP * {"constant": 1.0, "saturating": 0.04 + 2 * left, "dependent": 0.5 + left}[kind]


def device(kind: str, noise: float, seed: int, readings: int = 1500, run: int = 45) -> pd.DataFrame:
    """Return readings of a device with hard ends and steps that spread by 0.3 of their mean; noise in steps."""
    rng = np.random.default_rng(seed)
    state, states, pulses = LOW, [LOW], [REST]
    for number in range(readings):
        way = (number // run) % 2
        mean = mean_step(kind, np.array(state), way)
        state = float(np.clip(state + mean * (1 + 0.3 * rng.standard_normal()), LOW, HIGH))
        states.append(state)
        pulses.append(way)
    value = np.array(states) + noise * STEP * rng.standard_normal(len(states))
    return pd.DataFrame({"series": 0, "instance": 0, "pulse": pulses, "value": value})


def card_of(readings: pd.DataFrame, noise: float | None = None, **states):
    """Return the card of readings with two pulses."""
    return assemble(
        written(readings, noise), CONFIG.model_copy(update={"states": States(**states)}), "config"
    ).validate()


def written(readings: pd.DataFrame, noise: float | None = None) -> Writes:
    pulses = import_file("tests/calibration/data/read_noise_half_a_level.csv", "traces", {"duration_s": 1e-6}).writes
    events = pd.DataFrame({"pulse": [], "instance": [], "replica": [], "before": [], "after": []})
    own = {"readings": readings, "events": events, "name": "synthetic", "read_noise_S": noise}
    return Writes(**{**vars(pulses), **own})


@pytest.mark.parametrize("kind", ["constant", "saturating", "dependent"])
@pytest.mark.parametrize("noise", [0.3, 1.0, 3.0])
def test_steps_and_noise_are_those_of_the_device(kind, noise):
    """In the middle of the range 15 % of the mean step are 4 standard errors or more at these sizes."""
    table = segments(device(kind, noise, seed=3))
    fit = step_model.fit(table, LOW, HIGH, None, 0, np.random.default_rng(0))
    assert fit.steps.noise == pytest.approx(noise * STEP, rel=0.15, abs=0)
    middle = np.linspace(7.5e-6, 12.5e-6, 5)
    mean, _ = fit.steps.at(middle)
    for way in (0, 1):
        assert mean[way] == pytest.approx(mean_step(kind, middle, way), rel=0.15, abs=0)


@pytest.mark.long
def test_a_device_without_read_noise_has_none():
    card = card_of(device("constant", 0.0, seed=4), method="lattice", count=40)
    assert card.meta.measurement.noise_sd_S < 0.03 * STEP
    conductance = card.states["conductance_S"].to_numpy()
    up = card.kernel[0] @ conductance - conductance
    middle = (conductance > 7.5e-6) & (conductance < 12.5e-6)
    assert up[middle] == pytest.approx(STEP, rel=0.1, abs=0)


def test_counting_noisy_readings_gets_steps_wrong_and_the_model_does_not():
    readings = device("constant", 3.0, seed=5)
    card = card_of(readings, method="lattice", count=40)
    conductance = card.states["conductance_S"].to_numpy()
    up = card.kernel[0] @ conductance - conductance
    middle = (conductance > 7.5e-6) & (conductance < 12.5e-6)
    assert up[middle] == pytest.approx(STEP, rel=0.2, abs=0)
    value = readings["value"].to_numpy()
    own = (readings["pulse"].to_numpy()[1:] == 0) & (value[:-1] > HIGH)
    assert np.diff(value)[own].mean() < -STEP  # regression to the mean
    assert (card.reads["noise_sd_S"] == card.meta.measurement.noise_sd_S).all()


@pytest.mark.long
def test_levels_are_found_through_half_a_level_of_noise():
    """The device steps exactly one level of 1 uS; each reading has 0.5 uS of noise."""
    card = card_of(
        import_file("tests/calibration/data/read_noise_half_a_level.csv", "traces", {}).writes.readings, method="auto"
    )
    assert card.meta.measurement.model == "levels"
    assert card.states["conductance_S"].to_numpy() == pytest.approx(1e-6 * np.arange(5, 16), abs=0.15e-6)
    low, high = card.meta.measurement.noise_interval_S
    assert low <= 0.5e-6 <= high
    assert np.diagonal(card.kernel[0], 1).min() > 0.9 and np.diagonal(card.kernel[1], -1).min() > 0.9


def leveled(levels: int, noise: float, seed: int, readings: int = 1500) -> tuple[pd.DataFrame, np.ndarray]:
    """Return readings of a device with levels 1 uS apart and its probabilities; pulses alternate."""
    rng = np.random.default_rng(seed)
    own = rng.dirichlet(np.ones(levels), (2, levels))
    state, states, pulses = 0, [0], [REST]
    for number in range(readings):
        state = rng.choice(levels, p=own[number % 2, state])
        states.append(state)
        pulses.append(number % 2)
    value = 1e-5 + 1e-6 * np.array(states) + noise * rng.standard_normal(readings + 1)
    return pd.DataFrame({"series": 0, "instance": 0, "pulse": pulses, "value": value}), own


@pytest.mark.parametrize("levels", [2, 5])
def test_probabilities_between_levels(levels):
    """chi^2 of the expected writes of the last level's row, false alarm 1e-4."""
    readings, own = leveled(levels, 0.2e-6, seed=levels)
    table = segments(readings)
    assert levels in level_model.candidates(table)
    fit = level_model.fit(table, levels, None)
    assert fit.noise == pytest.approx(0.2e-6, rel=0.1, abs=0)
    expected = own * fit.counts.sum(axis=-1, keepdims=True)
    used = expected > 1
    chi2 = ((fit.counts - expected)[used] ** 2 / expected[used]).sum()
    assert stats.chi2.sf(chi2, used.sum() - 2 * levels) > 1e-4


def test_a_given_noise_is_held_and_takes_no_parameter():
    """0.25 uS are known to 2 % of themselves; the likelihood of what was found is highest by definition."""
    readings, _ = leveled(2, 0.25e-6, seed=2)
    free = level_model.fit(segments(readings), 2, None)
    fit = level_model.fit(segments(readings), 2, 0.3e-6)
    assert fit.noise == 0.3e-6
    assert fit.parameters == free.parameters - 1
    assert fit.free is not None and fit.free.noise == free.noise
    assert fit.log_likelihood < free.log_likelihood
    assert level_model.fit(segments(readings), 2, free.noise).log_likelihood == pytest.approx(
        free.log_likelihood, rel=1e-6, abs=0
    )


def test_a_card_of_levels_has_the_given_noise_and_says_if_the_readings_contradict_it():
    """With 1500 readings the scatter about two levels is known to 2 %, and may be off by 15 %."""
    readings, _ = leveled(2, 0.25e-6, seed=2)
    told = []
    for noise in (0.25e-6, 0.4e-6):
        card = card_of(readings, noise, method="mixture", count=2)
        measurement = card.meta.measurement
        assert measurement.noise_sd_S == noise and measurement.noise_basis == "given"
        assert measurement.noise_interval_S == (None, None)
        assert (card.reads["noise_sd_S"] == noise).all()
        assert measurement.notes == ()
        told.append(checked(card, written(readings, noise), 0, True).meta.warnings)
    assert told[0] == ()
    given, scatter = told[1]
    assert given.startswith("the given read noise of 4e-07 S is not that of readings at 2 levels, 2.")
    assert "a scatter of readings about their levels of" in scatter


@pytest.mark.long
def test_the_number_of_levels_is_chosen_under_the_given_noise():
    """Readings of 2 levels scatter by 0.25 uS; if 0.1 uS of it are noise, the rest is between states."""
    readings, _ = leveled(2, 0.25e-6, seed=2, readings=300)
    table = segments(readings)

    def criterion(levels, noise):
        fit = level_model.fit(table, levels, noise)
        return -2 * fit.log_likelihood + fit.parameters * np.log(301)

    assert criterion(2, 0.25e-6) < criterion(4, 0.25e-6) and criterion(4, 0.1e-6) < criterion(2, 0.1e-6)
    assert len(card_of(readings, 0.1e-6, method="mixture").states) > 2


def test_writes_that_readings_do_not_tell_for_sure_count_less():
    """With noise of 0.1 of the distance of two levels expected writes are seen writes, with 0.4 a part of them."""
    known = []
    for noise in (0.1e-6, 0.4e-6):
        readings, own = leveled(2, noise, seed=2)
        table = segments(readings)
        fit = level_model.fit(table, 2, None)
        rows, (low, high) = level_rows.estimated(fit, table, 2, Posterior(), np.random.default_rng(0))
        assert rows.probability.sum(axis=-1) == pytest.approx(1, abs=1e-9) and low < noise < high
        # 1e-4 of all four together, were they independent
        assert (np.abs(rows.probability - own) < 2.5 * (rows.ci_high - rows.ci_low)).all()
        known.append(rows.effective.sum(axis=-1) / fit.counts.sum(axis=-1))
    assert (known[0] > 0.97).all() and (known[0] < 1.1).all() and (known[1] < 0.7).all()


def test_a_row_between_levels_that_nobody_wrote_is_what_the_others_say():
    """Eight levels, up until the highest and down until the lowest, by one level with a probability of 0.9."""
    rng = np.random.default_rng(4)
    states, pulses, way = [0], [REST], 0
    for _ in range(600):
        way = {0: 0, 7: 1}.get(states[-1], way)
        states.append(states[-1] + (rng.random() < 0.9) * (-1) ** way)
        pulses.append(way)
    value = 1e-5 + 1e-6 * np.array(states) + 0.05e-6 * rng.standard_normal(601)
    table = segments(pd.DataFrame({"series": 0, "instance": 0, "pulse": pulses, "value": value}))
    fit = level_model.fit(table, 8, None)
    rows, _ = level_rows.estimated(fit, table, 2, Posterior(), rng)
    assert np.argwhere(rows.counts.sum(axis=-1) == 0).tolist() == [[0, 7], [1, 0]]
    assert rows.probability[0, 7, 7] > 0.9 and rows.probability[1, 0, 0] > 0.9
    assert (rows.ci_high[0, 7] - rows.ci_low[0, 7] > 0.5).all()
    assert rows.probability[0, 3, [3, 4]] == pytest.approx([0.1, 0.9], abs=0.1)
    alone, _ = level_rows.estimated(fit, table, 2, Posterior(borrow=False), rng)
    assert alone.probability[0, 7] == pytest.approx(1 / 8, abs=1e-3)
    assert (alone.ci_low[0, 7] < 0.01).all() and (alone.ci_high[0, 7] > 0.5).all()


def test_states_that_are_a_mixture_of_a_given_number_need_no_steps(monkeypatch):
    def fit(*_):
        raise AssertionError("steps were fitted")

    monkeypatch.setattr(step_model, "fit", fit)
    readings, _ = leveled(3, 0.05e-6, seed=5)
    readings.loc[[200, 400], "value"] = [1.15e-5, 1.31e-5]
    card = card_of(readings, method="mixture", count=3)
    assert card.meta.measurement.left_out == 2
    assert card.states["conductance_S"].to_numpy() == pytest.approx([1e-5, 1.1e-5, 1.2e-5], abs=0.03e-6)


def test_a_given_noise_stays_where_writes_are_counted():
    readings, _ = leveled(2, 0.0, seed=6, readings=300)
    events = readings.assign(before=readings["value"].shift(), after=readings["value"], replica=0)[1:]
    own = replace(written(readings, 1e-8), events=events.drop(columns=["series", "value"]).reset_index(drop=True))
    states = States(method="edges", edges=[1.05e-5])
    config = CONFIG.model_copy(update={"states": states})
    card = assemble(replace(own, readings=None), config, "config")
    assert (card.reads["noise_sd_S"] == 1e-8).all()


@pytest.mark.long
def test_a_continuous_device_has_no_levels():
    with pytest.raises(UserError, match="found mixture, but the readings show a continuous conductance"):
        card_of(device("saturating", 0.3, seed=6, readings=300), method="mixture")
    card = card_of(device("saturating", 0.3, seed=6, readings=300), method="auto")
    assert card.meta.measurement.model == "steps" and card.meta.states.method == "lattice"


@pytest.mark.long
def test_outliers_are_left_out_and_long_steps_are_not():
    readings = device("constant", 0.3, seed=7, readings=800)
    value = readings["value"].to_numpy().copy()
    value[[100, 300]] += 2e-6
    value[500] = 1e-3
    value[600:] += 2.5e-6  # the device itself jumps, once
    readings["value"] = value
    table = segments(readings)
    far = gross(table, len(readings))
    assert np.flatnonzero(far).tolist() == [500]
    table = table.without(far)
    fit = step_model.fit(table, LOW, HIGH + 2e-6, None, 0, np.random.default_rng(0))
    gone, heavy = glitches(fit, table, len(readings))
    assert set(np.flatnonzero(gone)) >= {100, 300} and gone.sum() <= 3 and heavy == 0


def test_drift_at_rest_is_told():
    """A slope of 200 readings with noise of 1e-7 has an error of 1.2e-10; false alarms one in 1000."""
    rng = np.random.default_rng(8)
    still = 1e-5 + 1e-7 * rng.standard_normal(200)
    falling = still - 1e-9 * np.arange(200)
    own = {"series": 0, "instance": 0}
    # of one run, and of ten runs after pulses that move the device
    for pulse in (np.full(200, REST), np.where(np.arange(200) % 20, REST, 0)):
        moved = 1e-6 * np.cumsum(pulse != REST)
        table = {**own, "pulse": pulse, "value": still + moved}
        assert drift_at_rest(segments(pd.DataFrame(table))) is None
    told = drift_at_rest(segments(pd.DataFrame({**own, "pulse": np.full(200, REST), "value": falling})))
    assert told is not None and "199 pairs" in told
    assert float(told.split("by ")[1].split(" S")[0]) == pytest.approx(-1e-9, abs=5e-10)
    steep = still + moved - 2e-8 * np.arange(200)
    told = drift_at_rest(segments(pd.DataFrame({**own, "pulse": pulse, "value": steep})))
    assert told is not None and "by -1.95e-08 S" in told and "190 pairs" in told


@pytest.mark.long
def test_steps_are_not_fitted_across_a_drift_at_rest():
    """Trains of 45 with 15 readings at rest between, in which the device falls by 4.5 steps; 600 readings."""
    rng = np.random.default_rng(9)
    state, states, pulses = 8e-6, [8e-6], [REST]
    for number in range(600):
        way = (*[0] * 45, *[REST] * 15, *[1] * 45, *[REST] * 15)[number % 120]
        moved = -0.3 * STEP if way == REST else (-1) ** way * STEP * (1 + 0.3 * rng.standard_normal())
        state = float(np.clip(state + moved, LOW, HIGH))
        states.append(state)
        pulses.append(way)
    value = np.array(states) + STEP * rng.standard_normal(601)
    card = card_of(
        pd.DataFrame({"series": 0, "instance": 0, "pulse": pulses, "value": value}), method="lattice", count=40
    )
    (note,) = card.meta.measurement.notes
    assert "drifts at rest" in note
    low, high = card.meta.measurement.noise_interval_S
    assert low < STEP < high


def test_a_missing_reading_costs_no_write():
    readings = device("constant", 0.3, seed=9, readings=400)
    readings.loc[[50, 51, 200], "value"] = np.nan
    table = segments(readings)
    assert len(table.value) == 2 and table.value.shape[1] == LONGEST
    assert table.writes().sum() == 400


def test_segments_begin_with_a_reading_and_cover_each_write_once():
    readings = pd.DataFrame(
        {
            "series": [0] * 4 + [1] * 2 + [2],
            "instance": 0,
            "pulse": [REST, 0, 0, 1, REST, 1, REST],
            "value": [np.nan, 1.0, np.nan, 2.0, 3.0, 4.0, 5.0],
        }
    )
    table = segments(readings)
    assert table.row.tolist() == [[1, 2, 3], [4, 5, -1]]
    assert table.pulse.tolist() == [[REST, 0, 1], [REST, 1, REST]]


@pytest.mark.parametrize("sd", [1e-9, 0.05, 0.4, 3.0])
def test_rows_on_points_have_the_steps_mean_and_variance(sd):
    points = np.arange(21.0)
    steps = Steps(points, np.full((1, 21), 1.3), np.full((1, 21), sd), -np.inf, np.inf, 0.0)
    rows = kernel.on_points(steps, points)[0]
    assert rows.sum(axis=1) == pytest.approx(1, abs=1e-9) and rows.min() >= 0
    draws = np.clip(points[:, None] + 1.3 + sd * np.random.default_rng(1).standard_normal((21, 200_000)), 0, 20)
    assert rows @ points == pytest.approx(draws.mean(axis=1), abs=6 * max(sd, 1e-9) / np.sqrt(200_000))
    variance = rows @ points**2 - (rows @ points) ** 2
    least = (rows @ points % 1) * (1 - rows @ points % 1)
    wanted = np.maximum(draws.var(axis=1), least)
    assert variance == pytest.approx(wanted, rel=0.02, abs=1e-3)


def test_rows_of_intervals_are_shares_of_the_normal_step():
    edges = np.linspace(0.0, 4.0, 5)
    steps = Steps(edges, np.full((1, 5), 0.5), np.full((1, 5), 0.3), -np.inf, np.inf, 0.0)
    rows = kernel.in_intervals(steps, edges)[0]
    rng = np.random.default_rng(2)
    after = rng.uniform(1, 2, 400_000) + 0.5 + 0.3 * rng.standard_normal(400_000)
    counted = np.bincount(assign_states(after, edges), minlength=4) / 400_000
    assert rows[1] == pytest.approx(counted, abs=5e-3) and rows.sum(axis=1) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("noise", [0.0, 1.0])
@pytest.mark.parametrize("count", [8, 32])
def test_the_scatter_of_writes_is_that_of_the_steps_whatever_the_states_are(noise, count):
    """8 states are 1.4 uS apart, 16 times the scatter of 0.09 uS; 1500 writes tell it within 2 %, with noise 10 %."""
    own = card_of(device("constant", noise, seed=11), method="lattice", count=count).meta.spread
    assert own["cycle_to_cycle_sd_S"] == pytest.approx(0.3 * STEP, rel=0.05 if noise == 0 else 0.3, abs=0)
    assert own["device_to_device_sd_S"] is None
