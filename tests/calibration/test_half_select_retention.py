import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from calibration.card import retention
from calibration.card.tables import HALF_SELECT, RETENTION, conform
from calibration.consequences import half_select
from calibration.laws import neel_brown
from calibration.sources import library
from calibration.sources.parametric import switching
from calibration.sources.parametric.parts import binary
from spinloom.errors import UserError
from spinloom.streams import generator

PARAMETERS = {"thermal_stability": 60.0, "critical_voltage_V": 0.5}


def rows(voltage, duration, temperature):
    up, down = (neel_brown.probability(PARAMETERS, sign * voltage, duration, temperature) for sign in (1, -1))
    return binary(up, down)


def pulses(**columns):
    table = {"voltage_V": [0.4, -0.35], "duration_s": 1e-9, "temperature_K": 300.0, **columns}
    return pd.DataFrame(table)


def test_half_selected_pulse_is_the_law_at_a_share_of_the_voltage():
    table = half_select.table(rows, pulses(), [0.5, 1 / 3])
    conform(table, HALF_SELECT, "half_select.csv")
    away = table.set_index(["pulse", "fraction", "state_from", "state_to"])["probability"]
    assert away[0, 0.5, 0, 1] == neel_brown.probability(PARAMETERS, 0.2, 1e-9, 300.0)
    assert away[1, 1 / 3, 1, 0] == neel_brown.probability(PARAMETERS, 0.35 / 3, 1e-9, 300.0)
    assert away[0, 0.5, 0, 0] == pytest.approx(1 - away[0, 0.5, 0, 1], abs=1e-15)


@pytest.mark.parametrize(("fraction", "exponent"), [(0.5, 60 * 0.4 / (2 * 0.5)), (1 / 3, 2 * 60 * 0.4 / (3 * 0.5))])
def test_disturb_ratio_of_rare_switching(fraction, exponent):
    """exp(-Delta V/(2 V_c0)) for V/2 and exp(-2 Delta V/(3 V_c0)) for V/3, to the order of P itself."""
    full = rows(np.array([0.4]), np.array([1e-9]), np.array([300.0]))[0, 0, 1]
    table = half_select.table(rows, pulses(), [fraction]).set_index(["pulse", "state_from", "state_to"])
    ratio = table.loc[(0, 0, 1), "probability"] / full
    assert ratio == pytest.approx(math.exp(-exponent), rel=full, abs=0)


def test_disturbs_per_million_counts_single_disturbs():
    table = half_select.table(rows, pulses(duration_s=1e-6), [0.5])
    found = half_select.disturbs_per_million(table).set_index(["pulse", "state_from"])
    chance = neel_brown.probability(PARAMETERS, 0.2, 1e-6, 300.0)
    assert found.loc[(0, 0), "disturbs"] == pytest.approx(1e6 * chance, rel=1e-12, abs=0)
    assert found.loc[(0, 0), "untouched"] == pytest.approx((1 - chance) ** 1e6, rel=1e-9, abs=0)
    # against the voltage, disturbs rarer than the last digit of 1 - P are still told
    assert found.loc[(0, 1), "disturbs"] == pytest.approx(1e6 * 1e3 * math.exp(-60 * 1.4), rel=1e-9, abs=0)
    # the mean of a simulated million with the state put back, at 4 standard errors (false alarm 6e-5)
    seen = generator(3, "test disturb").binomial(10**6, chance)
    assert abs(seen - found.loc[(0, 0), "disturbs"]) < 4 * math.sqrt(1e6 * chance)


@pytest.mark.parametrize(
    ("table", "fractions", "words"),
    [
        (pulses(), [0.5, 1.0], "fractions: found 1, allowed: more than 0 and less than 1"),
        (pulses(), [0.0], "half_select.fractions: found 0, allowed"),
        (pulses(), [0.5, 1 / 3, 0.5], "half_select.fractions: found 0.5 more than once, allowed: each fraction once"),
        (pulses(voltage_V=[0.4, np.nan]), [0.5], "pulses: found one without voltage_V"),
        (pulses().drop(columns="voltage_V"), [0.5], "pulses: found one without voltage_V"),
    ],
)
def test_half_select_refuses(table, fractions, words):
    with pytest.raises(UserError, match=words):
        half_select.table(rows, table, fractions)


def test_a_law_is_needed_for_each_state():
    fits = switching.fits(switching.complete(library.recipe("sot_mtj_80nm_b").switching, "x"))
    dropped = replace(fits[1], conditions={**fits[1].conditions, "chosen": False})
    for given, found in (([], "none"), (fits[:1], "logistic from 0"), ([fits[0], dropped], "logistic from 0")):
        with pytest.raises(UserError, match=f"half_select: laws: found {found}, allowed: one switching law"):
            half_select.law_rows(given)
    both = half_select.law_rows(fits)(np.array([0.45, -0.45]), np.full(2, 1e-9), np.full(2, 300.0))
    assert both[0, 0, 1] == pytest.approx(1 / (1 + math.exp(34.9 * (0.8749 - 0.45))), rel=1e-9, abs=0)
    assert both[1, 0, 1] == pytest.approx(1 / (1 + math.exp(34.9 * (0.8749 + 0.45))), rel=1e-9, abs=0)


def test_cards_carry_their_half_selected_kernels():
    card = library.card("sot_mtj_80nm_b")
    assert card.meta.flags.half_select and sorted(set(card.extras["half_select"]["fraction"])) == [1 / 3, 0.5]
    found = half_select.disturbs_per_million(card.extras["half_select"])
    worst = found[(found["fraction"] == 0.5) & (found["state_from"] == 0)]["disturbs"].max()
    assert worst == pytest.approx(1e6 / (1 + math.exp(34.9 * (0.8749 - 0.5))), rel=1e-6, abs=0)
    assert not library.card("pbit").meta.flags.half_select


BARRIERS = retention.binary([40.0, 45.0], 300.0, [300.0, 350.0, 400.0])


def test_binary_rates():
    conform(BARRIERS, RETENTION, "retention.csv")
    rate = BARRIERS.set_index(["temperature_K", "state_from", "state_to"])["rate_per_s"]
    assert rate[300.0, 0, 1] == pytest.approx(1e9 * math.exp(-40), rel=1e-12, abs=0)
    assert rate[400.0, 1, 0] == pytest.approx(1e9 * math.exp(-33.75), rel=1e-12, abs=0)


@pytest.mark.parametrize("temperature", [300.0, 311.0, 350.0, 399.0, 400.0])
def test_interpolation_is_exact_for_arrhenius_rates(temperature):
    found = retention.generator(BARRIERS, temperature)
    wanted = [1e9 * math.exp(-barrier * 300 / temperature) for barrier in (40, 45)]
    assert [found[0, 1], found[1, 0]] == pytest.approx(wanted, rel=1e-11, abs=0)
    np.testing.assert_allclose(found.sum(axis=1), 0, atol=1e-18)


def test_logarithms_of_rates_are_linear_in_the_inverse_of_the_temperature():
    rng = generator(4, "test retention")
    rates = rng.uniform(0.1, 2, (2, 4, 4))
    rates[:, 0, 3] = 0
    table = retention.table(rates, [300.0, 400.0])
    inverse = (1 / 300 - 1 / 360) / (1 / 300 - 1 / 400)
    with np.errstate(divide="ignore"):
        mixed = np.exp(np.log(rates[0]) * (1 - inverse) + np.log(rates[1]) * inverse)
    np.fill_diagonal(mixed, 0)
    wanted = mixed - np.diag(mixed.sum(axis=1))
    np.testing.assert_allclose(retention.generator(table, 360.0), wanted, atol=1e-12)


def test_retention_refuses():
    for temperature in (299.0, 401.0):
        with pytest.raises(UserError, match="temperature_K: found .*, allowed: 300 to 400, the temperatures of"):
            retention.generator(BARRIERS, temperature)
    rates = np.array([[[0, 1.0], [2, 0]], [[0, 0.0], [2, 0]]])
    with pytest.raises(UserError, match="rate_per_s: found 0 from state 0 to 1 at one of 300 and 400 K, allowed: 0 at"):
        retention.generator(retention.table(rates, [300.0, 400.0]), 350.0)
    assert retention.generator(retention.table(rates, [300.0, 400.0]), 400.0)[0, 1] == 0
    with pytest.raises(UserError, match="column rate_per_s: found -1.0"):
        retention.table(-rates[:1], [300.0])
    with pytest.raises(
        UserError, match="^retention.temperatures_K: found 300 more than once, allowed: each temperature"
    ):
        retention.table(rates, [300.0, 300.0])
    with pytest.raises(UserError, match="^study: retention.temperatures_K: found 300 more than once"):
        retention.table(rates, [300.0, 300.0], "study: retention")
    doubled = pd.concat([BARRIERS, BARRIERS], ignore_index=True)
    with pytest.raises(UserError, match="temperature_K 300.0, state_from 0, state_to 1 occurs more than once"):
        conform(doubled, RETENTION, "retention.csv")
