"""From a probability to the pulse, by the counted pulses of a card."""

import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from calibration.consequences import inversion
from spinloom.streams import generator


def test_counted_pulses_are_made_monotone():
    # 0.5 and 0.3 with 100 and 300 writes become their weighted mean 0.35
    law = inversion.Counted([4e-9, 1e-9, 2e-9, 8e-9], [0.3, 0.1, 0.5, 0.9], [300, 100, 100, 100])
    assert law.rise == pytest.approx(0.8, abs=1e-12)
    # straight lines over ln t from (1 ns, 0.1) to (2 ns, 0.35) and from (4 ns, 0.35) to (8 ns, 0.9)
    p = np.array([0.1, 0.2, 0.34, 0.36, 0.6, 0.9])
    wanted = np.where(p < 0.35, 2 ** ((p - 0.1) / 0.25), 4 * 2 ** ((p - 0.35) / 0.55)) * 1e-9
    np.testing.assert_allclose(law.duration(p), wanted, rtol=1e-9)
    assert float(law.duration(0.35)) == pytest.approx(2e-9, rel=1e-12, abs=0)  # the shorter of the flat piece
    assert np.isnan(law.duration(0.05)) and np.isnan(law.duration(0.95))


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


@pytest.mark.long
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
