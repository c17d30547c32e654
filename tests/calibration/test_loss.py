"""Rates of loss of a card from barriers between wells."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.linalg import expm

from calibration.card import retention_rates
from calibration.consequences import derive, loss
from calibration.sections import Retention
from spinloom.errors import UserError
from tests.calibration.conftest import stage

KB = 1.380649e-23


class Card:
    """The part of a card that counts here."""

    def __init__(self, edges=None, labels=None):
        count = len(labels or edges) - (labels is None)
        self.states = pd.DataFrame({"state": range(count), "label": labels or [str(n) for n in range(count)]})
        low, high = (edges[:-1], edges[1:]) if edges else ([math.nan] * count, [math.nan] * count)
        self.states = self.states.assign(position_low_m=low, position_high_m=high)


def rows(instance, wells, barriers, tries=2e10, labels=None):
    """Return the table of one device; ``barriers`` are pairs of J, forth and back."""
    found = []
    for place, pair in enumerate(barriers):
        for start, stop, height in ((place, place + 1, pair[0]), (place + 1, place, pair[1])):
            found.append(
                {
                    "instance": instance,
                    "well_from": start,
                    "well_to": stop,
                    "label_from": labels[start] if labels else None,
                    "label_to": labels[stop] if labels else None,
                    "position_from_m": wells[start],
                    "position_to_m": wells[stop],
                    "barrier_J": height,
                    "attempts_per_s": tries,
                    "ten_year_temperature_K": 300.0,
                    "converged": True,
                    "note": None,
                }
            )
    return found


@pytest.fixture
def table(tmp_path):
    def write(*parts):
        path = tmp_path / "barriers.csv"
        pd.DataFrame([row for part in parts for row in part]).to_csv(path, index=False)
        return path

    return write


def kT(times, temperature=300.0):
    return times * KB * temperature


OPTIONS = Retention(temperatures_K=(300.0, 360.0))
EDGES = [0.0, 1e-7, 2e-7, 3e-7]


def test_a_well_in_each_state_gives_arrhenius_rates(table):
    path = table(rows(0, [5e-8, 15e-8, 28e-8], [(kT(20), kT(25)), (kT(30), kT(22))]))
    made, told = loss.rates(Card(EDGES), path, OPTIONS)
    found = retention_rates(made, 360.0)
    factor = 300 / 360
    expected = 2e10 * np.exp(-factor * np.array([20, 25, 30, 22]))
    assert [found[0, 1], found[1, 0], found[1, 2], found[2, 1]] == pytest.approx(expected, rel=1e-9, abs=0)
    assert found[0, 2] == found[2, 0] == 0
    # between the temperatures the rates are Arrhenius'
    assert retention_rates(made, 330.0)[0, 1] == pytest.approx(2e10 * math.exp(-20 * 300 / 330), rel=1e-9, abs=0)
    assert any("no retention: at 300 K state 0" in line for line in told)


def test_wells_in_one_state_are_lumped_in_equilibrium(table):
    """After a time that is long inside a state and short between states, the exact chain agrees."""
    heights = [(kT(4), kT(6)), (kT(19), kT(16)), (kT(3), kT(5))]
    path = table(rows(0, [2e-8, 8e-8, 13e-8, 18e-8], heights))
    made, _ = loss.rates(Card([0.0, 1e-7, 2e-7]), path, OPTIONS)
    found = retention_rates(made, 300.0)
    chain = np.zeros((4, 4))
    for place, pair in enumerate(heights):
        chain[place, place + 1], chain[place + 1, place] = 2e10 * np.exp(-np.array(pair) / kT(1))
    chain -= np.diag(chain.sum(1))
    time = 0.02 / found[0, 1]
    whole, lumped = expm(chain * time), expm(found * time)
    inside = np.array([1.0, math.exp(2.0)]) / (1 + math.exp(2.0))  # the second well of state 0 is 2 kT lower
    assert inside @ whole[:2, 2:].sum(1) == pytest.approx(lumped[0, 1], rel=2e-3, abs=0)


def test_devices_are_averaged_and_states_without_a_well_leave_at_once(table):
    one = rows(0, [5e-8, 15e-8, 25e-8], [(kT(40), kT(40)), (kT(40), kT(40))])
    other = rows(1, [5e-8, 25e-8], [(kT(40), kT(40))], tries=math.nan)
    made, told = loss.rates(Card(EDGES), table(one, other), OPTIONS)
    found = retention_rates(made, 300.0)
    assert found[1, 0] == pytest.approx((1e9 + 2e10 * math.exp(-40)) / 2, rel=1e-9, abs=0)
    assert found[0, 2] == pytest.approx(1e9 * math.exp(-40) / 2, rel=1e-9, abs=0)
    assert any("states 1 have no well" in line for line in told)
    assert any("2 of 6 barriers have no attempt time" in line for line in told)


def test_what_has_not_converged_is_told(table):
    doubtful = [{**row, "converged": False} for row in rows(0, [5e-8, 15e-8], [(kT(50), kT(50))])]
    _, told = loss.rates(Card([0.0, 1e-7, 2e-7]), table(doubtful), OPTIONS)
    assert told == ("retention: 2 of 2 barriers have not converged (barriers.csv says why)",)


def test_a_device_with_one_well_leaves_all_other_states(table):
    alone = [{**rows(0, [15e-8, 15e-8], [(0.0, 0.0)])[0], "well_to": 0, "attempts_per_s": math.nan}]
    made, told = loss.rates(Card(EDGES), table(alone), OPTIONS)
    found = retention_rates(made, 300.0)
    assert (found[0, 1], found[2, 1], found[1, 1]) == pytest.approx((1e9, 1e9, 0), rel=1e-12, abs=0)
    assert not any("attempt time of their own" in line for line in told)


def test_labels_are_the_states(table):
    nowhere = [math.nan, math.nan]
    path = table(rows(0, nowhere, [(kT(50), kT(45))], labels=("AP", "P")))
    made, told = loss.rates(Card(labels=["AP", "P"]), path, OPTIONS)
    assert retention_rates(made, 300.0)[1, 0] == pytest.approx(2e10 * math.exp(-45), rel=1e-9, abs=0)
    assert told == ()
    with pytest.raises(UserError, match="found 'AP', allowed: up, down"):
        loss.rates(Card(labels=["up", "down"]), path, OPTIONS)
    with pytest.raises(UserError, match="position"):
        loss.rates(Card(labels=["AP", "P"]), table(rows(0, [1e-8, 2e-8], [(kT(5), kT(5))])), OPTIONS)


def test_the_card_of_a_wall_of_many_states_has_its_rates(table, good):
    config = stage({"retention.temperatures_K": [300.0, 350.0]})
    length = good.states["position_high_m"].max()
    places = np.linspace(0.03, 0.97, 7) * length
    path = table(rows(0, places, [(kT(12), kT(13))] * 6))
    card = derive.add(good, config, "c.json", path).validate()
    assert set(card.extras["retention"]["temperature_K"]) == {300.0, 350.0}
    assert len(card.extras["retention"]) == 2 * len(good.states) * (len(good.states) - 1)
    assert any("no retention" in line for line in card.meta.warnings)
    told = stage({"retention.temperatures_K": [300.0], "retention.thermal_stability": 50.0})
    with pytest.raises(UserError, match="allowed with device_sims.barriers: null"):
        derive.add(good, told, "c.json", path)
    with pytest.raises(UserError, match="barriers.csv"):
        derive.add(good, config, "c.json", table([{"instance": 0}]))
