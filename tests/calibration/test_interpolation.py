"""Rows of pulses that were not written, between those that were."""

import itertools
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

from benchmarks.coverage_laws import interpolation_coverage
from calibration import laws
from calibration.consequences.interpolation import interpolate
from spinloom.errors import UserError


def _pulses(points) -> pd.DataFrame:
    return pd.DataFrame(points, columns=["voltage_V", "duration_s", "temperature_K"])


def _rows(p, writes: float = 100.0):
    """Return probabilities and effective counts of a device of two states that is switched from 0 with p."""
    p = np.asarray(p, float)
    counts = writes * np.stack([np.stack([1 - p, p], -1), np.stack([np.zeros_like(p), np.ones_like(p)], -1)], axis=1)
    alpha = counts + 0.5
    return alpha / alpha.sum(axis=-1, keepdims=True), counts


LINE = _pulses([(v, 1e-9, 300.0) for v in (0.4, 0.5, 0.6, 0.7)])
GRID = _pulses([(v, t, 300.0) for v, t in itertools.product((0.4, 0.5, 0.6), (1e-9, 1e-8, 1e-7))])
_law = laws.get("neel_brown")
_truth = {"thermal_stability": 20.0, "critical_voltage_V": 0.9}
GRID_P = _law.probability(_truth, GRID["voltage_V"].to_numpy() + 0.2, GRID["duration_s"].to_numpy())


@pytest.mark.parametrize("known, p", [(LINE, [0.05, 0.3, 0.8, 0.95]), (GRID, GRID_P)])
def test_exact_at_known_pulses(known, p):
    probability, counts = _rows(p)
    found = interpolate(known, probability, counts, known, level=0.9)
    np.testing.assert_allclose(found.probability, probability, rtol=0, atol=1e-12)
    assert not found.extrapolated.any()
    if len(known) == 4:
        # and its interval is the posterior's, its worth the posterior's Dirichlet, prior included
        alpha = counts + 0.5
        total = alpha.sum(axis=-1, keepdims=True)
        np.testing.assert_allclose(found.ci_low, stats.beta.ppf(0.05, alpha, total - alpha), rtol=0, atol=1e-7)
        np.testing.assert_allclose(found.ci_high, stats.beta.ppf(0.95, alpha, total - alpha), rtol=0, atol=1e-7)
        np.testing.assert_allclose(found.effective_count, alpha, rtol=0, atol=1e-4)


def test_log_odds_are_straight_between_two_pulses():
    probability, counts = _rows([0.1, 0.6, 0.7, 0.9])
    wanted = _pulses([(0.425, 1e-9, 300.0)])
    odds = special.logit(probability[:2, 0, 1])
    found = interpolate(LINE, probability, counts, wanted)
    assert found.probability[0, 0, 1] == pytest.approx(special.expit(0.75 * odds[0] + 0.25 * odds[1]), abs=1e-12)


def test_durations_count_by_their_logarithm():
    known = _pulses([(0.5, t, 300.0) for t in (1e-9, 1e-8, 1e-7)])
    probability, counts = _rows([0.1, 0.5, 0.9])
    found = interpolate(known, probability, counts, _pulses([(0.5, np.sqrt(10) * 1e-9, 300.0)]))
    middle = special.expit(special.logit(probability[:2, 0, 1]).mean())
    assert found.probability[0, 0, 1] == pytest.approx(middle, abs=1e-12)


def test_monotone_and_normalised():
    probability, counts = _rows([0.05, 0.3, 0.8, 0.95])
    wanted = _pulses([(v, 1e-9, 300.0) for v in np.linspace(0.4, 0.7, 61)])
    found = interpolate(LINE, probability, counts, wanted)
    assert (np.diff(found.probability[:, 0, 1]) > 0).all()
    np.testing.assert_allclose(found.probability.sum(axis=-1), 1, rtol=0, atol=1e-12)
    assert ((found.ci_low <= found.probability) & (found.probability <= found.ci_high)).all()
    # a row between two that are worth 100 writes each is worth no more than both together
    worth = found.effective_count.sum(axis=-1)[:, 0]
    assert (worth > 1).all() and (worth < 200).all()


def test_plane_of_log_odds_is_reproduced_in_two_dimensions():
    odds = 20 * (GRID["voltage_V"] - 0.5) + 0.8 * np.log(GRID["duration_s"] / 1e-8)
    probability, counts = _rows(special.expit(odds.to_numpy()), writes=1e9)
    wanted = _pulses([(0.43, 3e-9, 300.0), (0.57, 6e-8, 300.0), (0.5, 2e-8, 300.0)])
    exact = special.expit(20 * (wanted["voltage_V"] - 0.5) + 0.8 * np.log(wanted["duration_s"] / 1e-8))
    found = interpolate(GRID, probability, counts, wanted)
    np.testing.assert_allclose(found.probability[:, 0, 1], exact, rtol=0, atol=1e-6)


def test_a_peak_moves_between_pulses():
    # normal peaks at states 2 and 6: midway the geometric mean is the same peak at 4, not two of them
    states = np.arange(9)
    rows = np.array([special.softmax(-0.5 * ((states - m) / 1.2) ** 2) for m in (2.0, 6.0)])
    probability = np.repeat(rows[:, None], 9, axis=1)
    found = interpolate(LINE.iloc[[0, 3]], probability, 1000 * probability, _pulses([(0.55, 1e-9, 300.0)]))
    np.testing.assert_allclose(found.probability[0, 0], special.softmax(-0.5 * ((states - 4) / 1.2) ** 2), atol=1e-6)


def test_impossible_transitions_stay_impossible():
    probability = np.repeat(np.array([[[0.7, 0.3, 0.0], [0.0, 0.5, 0.5], [0.0, 0.0, 1.0]]]), 4, axis=0)
    found = interpolate(LINE, probability, 100 * probability, _pulses([(0.45, 1e-9, 300.0)]))
    assert found.probability[0, 0, 2] == 0.0 == found.ci_high[0, 0, 2]
    np.testing.assert_allclose(found.probability[0], probability[0], rtol=0, atol=1e-12)


def test_curvature_widens_the_interval():
    # straight log-odds against bent ones, the same two neighbours
    straight, counts = _rows(special.expit([-3.0, -1.0, 1.0, 3.0]), 1e6)
    bent, _ = _rows(special.expit([-9.0, -1.0, 1.0, 0.5]), 1e6)
    wanted = _pulses([(0.55, 1e-9, 300.0)])
    wide = [
        np.ptp([f.ci_low[0, 0, 1], f.ci_high[0, 0, 1]])
        for f in (interpolate(LINE, rows, counts, wanted) for rows in (straight, bent))
    ]
    assert wide[1] > 20 * wide[0]


def test_two_pulses_leave_anything_between_them_open():
    probability, counts = _rows(special.expit([-2.0, 2.0]), 1e9)
    found = interpolate(LINE.iloc[[0, 3]], probability, counts, _pulses([(0.55, 1e-9, 300.0)]))
    # log-odds uniform between -2 and 2: sd 4 / sqrt(12) = 1.15, so that the interval reaches well beyond one third
    assert found.ci_low[0, 0, 1] < 0.2 and found.ci_high[0, 0, 1] > 0.8


def test_coverage():
    # 100 repetitions of 5 probabilities: their mean coverage has a standard error below 2.2 %; 0.85 is 4 of that below
    # the 94 % that the benchmark of the same name finds
    assert interpolation_coverage("interpolation, 13 voltages", 100)["interval"].iloc[0] > 0.85


def test_the_worth_is_that_of_the_interval():
    # many states, most of them hardly reached: a Dirichlet of the effective counts is as wide as the interval told
    states = np.arange(16)
    rows = np.array([special.softmax(-0.5 * ((states - m) / 2.0) ** 2) for m in (5.0, 6.0, 7.0, 8.0)])
    probability = np.repeat(rows[:, None], 16, axis=1)
    found = interpolate(LINE, probability, 20 * probability, _pulses([(0.45, 1e-9, 300.0)]))
    count, p = found.effective_count[0, 0], found.probability[0, 0]
    np.testing.assert_allclose(count / count.sum(), p, rtol=1e-9)
    own = np.sqrt(p * (1 - p) / (count.sum() + 1))
    told = (found.ci_high - found.ci_low)[0, 0] / (2 * special.ndtri(0.975))
    top = p > 0.1
    # the half-width of a skew Beta is its sd times 1.96 within some per cent
    np.testing.assert_allclose(own[top], told[top], rtol=0.15)


# -- known exactly ----------------------------------------------------------------------------------------------------
def _stated(p):
    p = np.asarray(p, float)
    rows = np.stack([np.stack([1 - p, p], -1), np.stack([np.zeros_like(p), np.ones_like(p)], -1)], axis=1)
    return rows, 1e12 * rows


def test_exact_rows_have_no_posterior_variance():
    # straight log-odds: nothing is left; a 0 or 1 is not one of half a count either
    rows, counts = _stated(special.expit([-3.0, -1.0, 1.0, 3.0]))
    wanted = _pulses([(v, 1e-9, 300.0) for v in (0.4, 0.55, 0.62)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = interpolate(LINE, rows, counts, wanted)
    np.testing.assert_allclose(found.probability[:, 0, 1], special.expit([-3.0, 0.0, 1.4]), rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.ci_low, found.probability, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.ci_high, found.probability, rtol=0, atol=1e-9)
    assert np.isfinite(found.effective_count).all() and (found.effective_count.sum(axis=-1) > 1e10).all()
    # bent log-odds: the straight line's error remains, and nothing of it at a known pulse
    rows, counts = _stated(special.expit([-9.0, -1.0, 1.0, 0.5]))
    at, between = (interpolate(LINE, rows, counts, _pulses([(v, 1e-9, 300.0)])) for v in (0.5, 0.55))
    assert np.ptp([at.ci_low[0, 0, 1], at.ci_high[0, 0, 1]]) < 1e-9
    assert between.ci_low[0, 0, 1] < 0.2 and between.ci_high[0, 0, 1] > 0.8
    assert between.effective_count[0, 0].sum() < 20
    # what is certain at all pulses is certain in between
    np.testing.assert_allclose(between.effective_count[0, 1], [0, 1e12], rtol=1e-9)


def test_a_stated_law_is_known_between_its_pulses():
    # the measured junction's logistic law, which is straight in log-odds, between 0.425 and 0.607
    law = {"threshold_voltage_V": 0.8958, "slope_per_V": 42.7}
    volts = np.array([0.80, 0.85, 0.875, 0.90, 0.925, 0.95, 0.975, 1.0])
    rows, counts = _stated(laws.get("logistic").probability(law, volts))
    wanted = _pulses([(0.8965, 7.5e-10, 300.0)])
    found = interpolate(_pulses([(v, 7.5e-10, 300.0) for v in volts]), rows, counts, wanted)
    exact = float(laws.get("logistic").probability(law, 0.8965))
    assert found.probability[0, 0, 1] == pytest.approx(exact, abs=1e-9)
    assert np.ptp([found.ci_low[0, 0, 1], found.ci_high[0, 0, 1]]) < 1e-3


# -- outside ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("known", "point", "words"),
    [
        (LINE, (0.75, 1e-9, 300.0), "voltage_V 0.75, .*allowed: voltage_V 0.4..0.7, duration_s 1e-09..1e-09"),
        (GRID, (0.5, 1e-6, 300.0), r"duration_s 1e-06, .*allowed: .*duration_s 1e-09..1e-07, .*\(inside"),
    ],
)
def test_outside_is_refused_or_grows_the_error(known, point, words):
    p = [0.05, 0.3, 0.8, 0.95] if known is LINE else GRID_P
    probability, counts = _rows(p)
    with pytest.raises(UserError, match=words):
        interpolate(known, probability, counts, _pulses([point]))
    found = interpolate(known, probability, counts, _pulses([point]), extrapolate=True)
    near = 3 if known is LINE else 5
    assert found.extrapolated[0]
    np.testing.assert_allclose(found.probability[0], probability[near], rtol=0, atol=1e-12)
    at = interpolate(known, probability, counts, known.iloc[[near]])
    assert found.ci_low[0, 0, 1] < at.ci_low[0, 0, 1]
    assert found.effective_count[0, 0].sum() < at.effective_count[0, 0].sum()


@pytest.mark.parametrize("extrapolate", [False, True])
def test_an_axis_that_no_pulse_varies_is_never_guessed(extrapolate):
    probability, counts = _rows([0.05, 0.3, 0.8, 0.95])
    with pytest.raises(UserError, match="temperature_K 350, allowed: .*temperature_K 300..300"):
        interpolate(LINE, probability, counts, _pulses([(0.5, 1e-9, 350.0)]), extrapolate=extrapolate)


@pytest.mark.parametrize("extrapolate", [False, True])
@pytest.mark.parametrize("voltage", [0.5, np.nan])
def test_a_single_pulse_is_itself_and_tells_of_no_other(extrapolate, voltage):
    one = _pulses([(voltage, 1e-9, 300.0)])
    probability, counts = _rows([0.3])
    found = interpolate(one, probability, counts, one, extrapolate=extrapolate)
    alpha = counts + 0.5
    np.testing.assert_allclose(found.probability, probability, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.effective_count, alpha, rtol=0, atol=1e-4)
    with pytest.raises(UserError, match="found .*duration_s 2e-09.*one pulse of this channel and polarity, nothing to"):
        interpolate(one, probability, counts, one.assign(duration_s=2e-9), extrapolate=extrapolate)


def test_pulses_that_cannot_carry_it_are_refused():
    probability, counts = _rows([0.1, 0.2, 0.3])
    together = _pulses([(0.4, 1e-9, 300.0), (0.5, 1e-8, 300.0), (0.6, 1e-7, 300.0)])
    with pytest.raises(UserError, match="whose voltage_V, duration_s vary together, allowed: 3 or more pulses"):
        interpolate(together, probability, counts, together.iloc[:1])
    with pytest.raises(UserError, match="two known pulses alike"):
        interpolate(LINE.iloc[[0, 1, 1]], probability, counts, LINE.iloc[:1])
