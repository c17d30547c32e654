"""From a probability to the pulse and back."""

import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

from calibration.card import tables
from calibration.consequences import inversion
from calibration.laws import Fit
from spinloom.errors import UserError
from spinloom.streams import generator

P = np.array([1e-6, 0.01, 0.1, 0.5, 0.9, 0.99, 1 - 1e-6])


def _fit(law: str, **parameters: float) -> Fit:
    nothing = {name: None for name in parameters}
    zeros = np.zeros((len(parameters), len(parameters))).tolist()
    return Fit(law, parameters, nothing, zeros, 0.0, 0, 0.0, 0.0, {})


NEEL_BROWN = _fit("neel_brown", thermal_stability=20.0, critical_voltage_V=0.8)
PRECESSIONAL = _fit(
    "precessional", characteristic_time_s=0.5e-9, critical_voltage_V=0.4, initial_angle_sd_rad=0.1
)  # at 0.8 V t_D is 0.5 ns
TELEGRAPH = _fit("ctmc", rate_0_1_per_s=3e7, rate_1_0_per_s=1e7)


@pytest.mark.parametrize("fit", [NEEL_BROWN, PRECESSIONAL])
@pytest.mark.parametrize("voltage, temperature", [(0.5, 300.0), (0.7, 250.0)])
def test_round_trip(fit, voltage, temperature):
    durations = inversion.duration_for(fit, P, voltage, temperature)
    assert (np.diff(durations) > 0).all()
    np.testing.assert_allclose(inversion.probability_of(fit, durations, voltage, temperature), P, rtol=0, atol=1e-9)


def test_round_trip_by_brent():
    p = np.array([1e-4, 0.1, 0.5, 0.7])
    durations = inversion.duration_for(TELEGRAPH, p)
    np.testing.assert_allclose(inversion.probability_of(TELEGRAPH, durations), p, rtol=0, atol=1e-9)
    exact = -np.log1p(-p / 0.75) / 4e7  # p = 3/4 (1 - e^-(r01 + r10) t)
    np.testing.assert_allclose(durations, exact, rtol=1e-9)
    assert np.isnan(inversion.duration_for(TELEGRAPH, 0.76))  # three quarters is all there is


def test_middle_state_is_reached_on_the_rise():
    # 0 -> 1 -> 2 with equal rates r: P_01 = r t e^-rt has its maximum 1/e at 1/r; the shorter of two pulses is given
    chain = _fit("birth_death", up_0_per_s=1e8, up_1_per_s=1e8, down_1_per_s=0.0, down_2_per_s=0.0)
    found = float(inversion.duration_for(chain, 0.3, states=(0, 1)))
    assert found < 1e-8
    assert found * 1e8 * np.exp(-found * 1e8) == pytest.approx(0.3, abs=1e-9)
    assert np.isnan(inversion.duration_for(chain, 0.4, states=(0, 1)))


def test_formulas_of_the_pulse():
    tau = 1e-9 * np.exp(20 * (1 - 0.5 / 0.8))
    assert float(inversion.duration_for(NEEL_BROWN, 0.3, 0.5)) == pytest.approx(-tau * np.log(0.7), rel=1e-12, abs=0)
    t = 0.5e-9 * np.log((np.pi / 2) / (np.sqrt(2) * 0.1 * special.erfinv(0.7)))
    assert float(inversion.duration_for(PRECESSIONAL, 0.3, 0.8)) == pytest.approx(t, rel=1e-12, abs=0)


def test_dead_zone():
    # P = 1 % needs 0.9 ns with t_D = 0.5 ns and 0.1 rad
    zone = inversion.dead_zone(PRECESSIONAL, 0.8)
    assert zone == pytest.approx(0.9e-9, abs=0.05e-9)
    assert inversion.probability_of(PRECESSIONAL, zone, 0.8) == pytest.approx(0.01, abs=1e-12)
    assert inversion.probability_of(PRECESSIONAL, 0.9 * zone, 0.8) < 0.01
    tau = 1e-9 * np.exp(20 * (1 - 0.5 / 0.8))
    assert inversion.dead_zone(NEEL_BROWN, 0.5) == pytest.approx(-tau * np.log(0.99), rel=1e-9, abs=0)
    # below the critical voltage no pulse does; a hot angle needs none
    assert np.isnan(inversion.dead_zone(PRECESSIONAL, 0.3))
    assert (
        inversion.dead_zone(_fit("precessional", **{**PRECESSIONAL.parameters, "initial_angle_sd_rad": 2.0}), 0.8) == 0
    )


def test_predistortion_removes_the_dead_zone():
    wanted, longest = np.array([0.0, 0.05, 0.3, 0.8]), 2.5e-9

    def given(mode):
        pulse = inversion.pulse_for(PRECESSIONAL, wanted, longest, 0.8, mode=mode)
        return inversion.probability_of(PRECESSIONAL, pulse, 0.8)

    none, offset, full = (given(mode) for mode in inversion.MODES)
    assert none[1] < 1e-12 and none[2] < 0.01  # small wishes are ignored
    assert offset[1] > 0.01
    np.testing.assert_allclose(full[1:3], wanted[1:3], rtol=0, atol=1e-9)
    assert full[0] == none[0] == offset[0]
    # more than the longest pulse can do is cut to it
    assert inversion.pulse_for(PRECESSIONAL, 0.999, longest, 0.8) == pytest.approx(longest, rel=1e-12, abs=0)
    assert inversion.pulse_for(PRECESSIONAL, 1.0, longest, 0.8) == pytest.approx(longest, rel=1e-12, abs=0)
    with pytest.raises(UserError, match="predistortion: found 'half', allowed: none, offset, full"):
        inversion.pulse_for(PRECESSIONAL, 0.5, longest, 0.8, mode="half")


@pytest.mark.parametrize(
    "fit, p",
    [
        (_fit("logistic", threshold_voltage_V=0.8958, slope_per_V=42.7), [0.01, 0.5, 0.9]),
        (
            _fit("logistic_plateau", threshold_voltage_V=0.9, slope_per_V=31.4, plateau=0.75, floor=0.02),
            [0.05, 0.5, 0.74],
        ),
    ],
)
def test_voltage_round_trip(fit, p):
    from calibration import laws

    found = inversion.voltage_for(fit, p)
    np.testing.assert_allclose(laws.get(fit.law).probability(fit.parameters, found), p, rtol=0, atol=1e-12)


def test_drive_round_trip_and_floor():
    from calibration import laws

    fit = _fit("passing", threshold=4.63168, slope=2.72741, amplitude=0.97813)
    np.testing.assert_allclose(
        laws.get("passing").probability(fit.parameters, inversion.voltage_for(fit, P[2:])), P[2:], rtol=0, atol=1e-12
    )
    assert np.isnan(inversion.voltage_for(fit, 0.02))  # the floor is 0.0219


def test_refusals():
    with pytest.raises(UserError, match="probability: found 1.5, allowed: 0..1"):
        inversion.duration_for(NEEL_BROWN, [0.5, 1.5], 0.5)
    with pytest.raises(UserError, match="law: found logistic, allowed: neel_brown, precessional, ctmc"):
        inversion.duration_for(_fit("logistic", threshold_voltage_V=1.0, slope_per_V=1.0), 0.5, 0.5)
    with pytest.raises(UserError, match="law: found neel_brown, allowed: logistic, logistic_plateau, passing"):
        inversion.voltage_for(NEEL_BROWN, 0.5)


# -- counted pulses --------------------------------------------------------------------------------------------------
def test_counted_pulses_are_made_monotone():
    # 0.5 and 0.3 with 100 and 300 writes become their weighted mean 0.35
    law = inversion.Counted([4e-9, 1e-9, 2e-9, 8e-9], [0.3, 0.1, 0.5, 0.9], [300, 100, 100, 100])
    np.testing.assert_allclose(law.probability(np.array([1, 2, 4, 8]) * 1e-9), [0.1, 0.35, 0.35, 0.9], atol=1e-12)
    assert law.rise == pytest.approx(0.8, abs=1e-12)
    p = np.array([0.1, 0.2, 0.34, 0.36, 0.6, 0.9])
    np.testing.assert_allclose(law.probability(law.duration(p)), p, rtol=0, atol=1e-9)
    assert float(law.duration(0.35)) == pytest.approx(2e-9, rel=1e-12, abs=0)  # the shorter of the flat piece
    assert np.isnan(law.duration(0.05)) and np.isnan(law.duration(0.95))


def test_inverse_table_follows_the_schema_and_the_law():
    table = inversion.inverse_table(PRECESSIONAL, 0, 1, [0.3, 0.8], [300.0, 350.0], [0.1, 0.5])
    assert list(table.columns) == list(tables.INVERSE.columns) and len(table) == 8
    assert table.loc[table["voltage_V"] == 0.3, "duration_s"].isna().all()
    row = table[(table["voltage_V"] == 0.8) & (table["temperature_K"] == 350) & (table["probability"] == 0.5)].iloc[0]
    assert row["duration_s"] == pytest.approx(
        float(inversion.duration_for(PRECESSIONAL, 0.5, 0.8, 350.0)), rel=1e-12, abs=0
    )


def test_almost_equal_plateaus_do_not_overflow():
    law = inversion.Counted([1e-9, 2e-9, 4e-9], [0.1, 0.1 + 1e-13, 0.9], [100, 100, 100])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = law.duration(np.array([0.05, 0.1, 0.5, 0.9]))
        assert float(law.duration(0.5)) == pytest.approx(float(found[2]), rel=1e-12, abs=0)
    np.testing.assert_allclose(found, [np.nan, 1e-9, 2e-9 * np.sqrt(2), 4e-9], rtol=1e-9)


DRIVES = ("current_density_A_per_m2", "field_T", "zhang_li_u_m_per_s")


def _card(directions: bool, up=(0.1, 0.4, 0.8), writes: float = 50.0, basis: str = "counts"):
    """A card of two states with pulses of 1, 2, 4, ... ns at one voltage, up and (if asked) down."""
    up = np.asarray(up, float)
    durations = 1e-9 * 2.0 ** np.arange(len(up))
    kernel = np.array([[[1 - p, p], [0.02, 0.98]] for p in up])
    pulses = pd.DataFrame(
        {"pulse": range(len(up)), "voltage_V": 0.5, "temperature_K": 300.0, "channel": "stt", "polarity": 1}
        | dict.fromkeys(DRIVES, np.nan)
    )
    pulses["duration_s"] = durations
    if directions:
        kernel = np.concatenate([kernel, kernel[:, ::-1, ::-1]])
        pulses = pd.concat([pulses, pulses.assign(polarity=-1)], ignore_index=True).assign(pulse=range(len(kernel)))
    transitions = pd.DataFrame(
        [(a, i, j, writes / 2, basis) for a in range(len(kernel)) for i in range(2) for j in range(2)],
        columns=["pulse", "state_from", "state_to", "effective_count", "basis"],
    )
    alpha = writes * kernel.ravel() + 0.5
    transitions["ci_low"], transitions["ci_high"] = stats.beta.ppf([[0.025], [0.975]], alpha, writes + 1 - alpha)
    return SimpleNamespace(pulses=pulses, kernel=kernel, states=range(2), transitions=transitions)


def test_inverse_of_a_counted_card():
    # one direction: only 0 -> 1 grows with the pulse; both: each change by its own direction
    one, both = (inversion.inverse_of_card(_card(directions), [0.05, 0.4, 0.6]) for directions in (False, True))
    assert set(zip(one["state_from"], one["state_to"])) == {(0, 1)}
    assert set(zip(both["state_from"], both["state_to"])) == {(0, 1), (1, 0)}
    for table in (one, both[both["state_from"] == 1]):
        np.testing.assert_allclose(table["duration_s"], [np.nan, 2e-9, 2e-9 * np.sqrt(2)], rtol=1e-12)
    for table, made in ((one, _card(False)), (both, _card(True))):
        # rows in any order of durations
        mixed = SimpleNamespace(**{**vars(made), "pulses": made.pulses.iloc[::-1]})
        pd.testing.assert_frame_equal(inversion.inverse_of_card(mixed, [0.05, 0.4, 0.6]), table)
    lone = _card(False)
    lone.pulses = lone.pulses.assign(voltage_V=[0.4, 0.5, 0.6])
    assert inversion.inverse_of_card(lone) is None


def test_a_flat_probability_has_no_inverse():
    # 2 % at 4 widths of 200 writes: intervals of 95 % that leave each other in the right order come in 2.4 % of 1000
    # cards; 15 of 200 or more with a probability of 1e-4
    rng = generator(41, "flat")
    cards = [_card(False, rng.binomial(200, 0.02, 4) / 200, 200.0) for _ in range(200)]
    assert sum(inversion.inverse_of_card(card) is not None for card in cards) < 15


def test_a_rise_that_is_known_needs_no_counts():
    # 2 % and 3 % of 50 writes are noise, by a law they are not
    assert inversion.inverse_of_card(_card(False, (0.02, 0.03))) is None
    table = inversion.inverse_of_card(_card(False, (0.02, 0.03), basis="law"), [0.025])
    assert table["duration_s"].iloc[0] == pytest.approx(np.sqrt(2) * 1e-9, rel=1e-9, abs=0)


@pytest.mark.parametrize("drive", DRIVES)
def test_pulses_of_different_drives_are_not_mixed(drive):
    card = _card(False)
    card.pulses[drive] = 1.0
    assert inversion.inverse_of_card(card) is not None
    card.pulses[drive] = [1.0, 1.0, 2.0]
    assert inversion.inverse_of_card(card) is None
    card.pulses[drive] = [1.0, 1.0, np.nan]
    assert inversion.inverse_of_card(card) is None


def test_pulses_without_a_voltage_have_no_inverse():
    card = _card(False)
    card.pulses = card.pulses.assign(voltage_V=np.nan, field_T=0.1)
    assert inversion.inverse_of_card(card) is None


def test_a_probability_that_goes_up_and_down_has_no_inverse():
    assert inversion.inverse_of_card(_card(False, (0.1, 0.6, 0.9), 400.0)) is not None
    assert inversion.inverse_of_card(_card(False, (0.1, 0.9, 0.3), 400.0)) is None
