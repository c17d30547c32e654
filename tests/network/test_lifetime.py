"""A network that is kept, with and without refresh, and how long its devices last."""

import numpy as np
import pandas as pd
import pytest

from network.config import Lifetime
from network.results import lifetime
from network.results.run_tables import evaluation_table
from network.results.summary import evaluations_table
from network.synapse import resting
from spinloom.errors import UserError
from tests.network.conftest import meter, trainer
from tests.network.test_ablation import RATE, forgetful

HOUR = 3600.0
HOPS = np.array([[-3.0, 2.0, 1.0], [0.5, -0.7, 0.2], [0.0, 4.0, -4.0]]) / HOUR
# writes that hit their state in 80 %, 60 % and 90 %
PULSES = np.stack([
    np.tile(row, (3, 1)) for row in np.array([[0.8, 0.1, 0.1], [0.2, 0.6, 0.2], [0.05, 0.05, 0.9]])
])  # fmt: skip


def test_a_rest_without_refresh_is_the_exponential_of_the_rates():
    rate = np.array([[-RATE, RATE], [3 * RATE, -3 * RATE]])
    kernel, writes = resting.hold(rate, np.stack([np.eye(2)] * 2), 1200.0, None, 5)
    lost = -np.expm1(-4 * RATE * 1200) * np.array([1, 3]) / 4
    np.testing.assert_allclose(kernel, [[1 - lost[0], lost[0]], [lost[1], 1 - lost[1]]], rtol=1e-12)
    assert not writes.any()
    # a refresh that would come with the look, or after it, comes too late
    for interval in (1200.0, 1e9):
        np.testing.assert_array_equal(resting.hold(rate, np.stack([np.eye(2)] * 2), 1200.0, interval, 5)[0], kernel)


def test_a_rest_of_very_many_hops_ends_where_detailed_balance_says():
    """1e17 hops of a chain of eight states: a stationary distribution that is known, and a slow pair that is not."""
    energy = np.array([0.0, 1.5, 0.4, 2.0, 0.1, 1.1, 0.7, 0.2])  # kB T
    rate = np.zeros((8, 8))
    for low in range(7):
        rate[low, low + 1] = 1e9 * np.exp(-max(energy[low + 1] - energy[low], 0))
        rate[low + 1, low] = 1e9 * np.exp(-max(energy[low] - energy[low + 1], 0))
    rate -= np.diag(rate.sum(axis=1))
    weights = np.exp(-energy)
    np.testing.assert_allclose(resting.rest(rate, 3.2e8), np.tile(weights / weights.sum(), (8, 1)), rtol=1e-6)
    # two fast pairs, between which a device hops once in an hour
    rate = np.zeros((4, 4))
    rate[0, 1] = rate[1, 0] = rate[2, 3] = rate[3, 2] = 2e9
    rate[1, 2] = rate[2, 1] = 2 / HOUR
    rate -= np.diag(rate.sum(axis=1))
    left = (1 - np.exp(-2 * 1.0)) / 2  # each pair is left at half of that rate
    np.testing.assert_allclose(resting.rest(rate, HOUR)[0], [(1 - left) / 2] * 2 + [left / 2] * 2, rtol=1e-6)


@pytest.mark.parametrize(("hold", "refreshes"), [(3 * HOUR, 2), (3.5 * HOUR, 3), (0.1 * 3 / 0.1 * HOUR, 2)])
def test_sure_writes_bring_every_device_back(hold, refreshes):
    """What is left is the loss since the last refresh, and each period takes as many writes as devices were lost."""
    sure = np.stack([np.tile(row, (3, 1)) for row in np.eye(3)])
    kernel, writes = resting.hold(HOPS, sure, hold, HOUR, 3)
    np.testing.assert_allclose(kernel, resting.rest(HOPS, hold - refreshes * HOUR), rtol=1e-12)
    lost = 1 - np.diag(resting.rest(HOPS, HOUR))
    np.testing.assert_allclose(writes, np.diag(refreshes * lost), rtol=1e-12)


def test_a_refresh_by_unsure_writes_against_devices_one_by_one():
    """8,000 devices a state, 3 refreshes of 2 attempts: within 4.5 sd of the exact numbers in 18 values (1e-4)."""
    kernel, writes = resting.hold(HOPS, PULSES, 3.5 * HOUR, HOUR, 2)
    np.testing.assert_allclose(kernel.sum(axis=1), 1, rtol=1e-12)
    random, count = np.random.default_rng(11), 8000

    def hop(states, table):
        return (random.random(len(states))[:, None] > np.cumsum(table[states], axis=1)).sum(axis=1)

    for target in range(3):
        states, given = np.full(count, target), np.zeros((count, 3))
        for _ in range(3):
            states = hop(states, resting.rest(HOPS, HOUR))
            for _ in range(2):
                wrong = states != target
                given[wrong, target] += 1
                states[wrong] = hop(states[wrong], PULSES[target])
        states = hop(states, resting.rest(HOPS, 0.5 * HOUR))
        share = np.bincount(states, minlength=3) / count
        assert np.all(np.abs(share - kernel[target]) < 4.5 * np.sqrt(kernel[target] * (1 - kernel[target]) / count))
        sd = given.std(axis=0) / np.sqrt(count)
        assert np.all(np.abs(given.mean(axis=0) - writes[target]) <= 4.5 * sd)


def test_the_nearest_pulse_is_the_one_most_likely_to_lead_back():
    """From state 0 only pulse 1 leads to state 1, from state 2 only pulse 0."""
    step = np.zeros((2, 3, 3))
    step[0] = [[1, 0, 0], [1, 0, 0], [0, 1, 0]]  # down
    step[1] = [[0, 1, 0], [0, 0, 1], [0, 0, 1]]  # up
    writes = resting.hold(HOPS, step, 2 * HOUR, HOUR, 1).writes
    gone = resting.rest(HOPS, HOUR)[1]
    np.testing.assert_allclose(writes[1], [gone[2], gone[0]], rtol=1e-12)


@pytest.mark.long
def test_a_network_is_tested_after_each_hold(config, tmp_path):
    """An hour at rest loses half the devices; with a refresh each second 1 in 3300, of 240 with this seed none."""
    ways = {"temperatures_K": [4.0, 300.0], "holds_s": [3600.0], "refresh_intervals_s": [None, 1.0], "attempts": 20}
    run = trainer(config, forgetful(), evaluation={"retention": ways, "input_noise_sds": [0.0]}, epochs=2)
    result = run.run(tmp_path, "toy", lambda *_: None, lambda *_: None)
    table = evaluation_table(result["evaluations"], result["meter"])
    held = table[table["condition"] == "hold_s"].set_index(["temperature_K", "refresh_interval_s"])
    last = result["history"][-1]["test_accuracy"]
    # at 4 K nothing happens: the same devices, the same random numbers
    assert held.loc[4.0, "test_accuracy"].tolist() == [last, last]
    assert held.loc[4.0, "refresh_writes_per_device"].tolist() == [0.0, 0.0]
    warm = held.loc[300.0]
    assert warm.loc[1.0, "test_accuracy"] == last > warm["test_accuracy"].iloc[0] + 0.05
    # two states lost at the same rate, 3599 times; a write fails in 1 of 20, and a failure takes another
    lost = 3599 * -np.expm1(-2 * RATE) / 2
    for name in ("refresh_writes_per_device", "refresh_writes_of_worst_state"):
        assert lost < warm.loc[1.0, name] < 1.1 * lost
    assert warm.loc[1.0, "refresh_energy_J"] > 0
    summary = evaluations_table(pd.concat([table, table.assign(replicate=1)]))
    assert summary["condition"].tolist() == ["input_noise_sd"] + 4 * ["hold_s"] and set(summary["seeds"]) == {2}
    # a temperature that the card does not know is said before the training
    ways = {**ways, "temperatures_K": [310.0]}
    with pytest.raises(UserError, match="temperature_K: found 310, allowed: 4 to 300, the temperatures of the card"):
        trainer(config, forgetful(), evaluation={"retention": ways})
    # floats forget nothing
    floats = trainer(config, forgetful(), evaluation={"retention": ways}, rule="float_baseline", rule_options={})
    assert floats.evaluator.holds == []


def test_years_are_endurance_over_rate():
    """By hand: 1e6 writes, 50 a run of 1000 samples at 10 a second: 0.5 a second, 2e6 seconds."""
    own = {
        "samples": 1000, "layers": [[5, 4, 1]], "writes_by_pulse": [60, 40, 0, 0, 0], "writes_by_layer": [100],
        "most_writes_on_a_device": [50],
    }  # fmt: skip
    tests = evaluation_table(
        [
            {"condition": "hold_s", "value": hold, "temperature_K": 300.0, "refresh_interval_s": interval,
             "refresh_writes_per_device": writes, "refresh_writes_of_worst_state": 2 * writes, "draw": 0}
            for hold, interval, writes in ((1e3, 10.0, 7.0), (1e4, 10.0, 100.0), (1e4, None, 0.0))
        ],
        meter(),
    )  # fmt: skip
    table = lifetime.lifetime_table(
        [meter(**own), meter(**{**own, "most_writes_on_a_device": [30]})],
        tests,
        {"endurance_writes": 1e6, "samples_per_s": 10},
    )
    assert table["cause"].tolist() == ["learning", "refresh"] and table["seeds"].tolist() == [2, 2]
    learning, refresh = table.iloc[0], table.iloc[1]
    assert learning["writes_per_s_worst"] == pytest.approx(0.5, abs=0, rel=1e-12)
    assert learning["writes_per_s_mean"] == pytest.approx(100 / 20 / 1000 * 10, abs=0, rel=1e-12)
    assert learning["lifetime_years_worst"] == pytest.approx(2e6 / lifetime.YEAR_S, abs=0, rel=1e-12)
    assert refresh["writes_per_s_worst"] == pytest.approx(0.02, abs=0, rel=1e-12)
    assert refresh["lifetime_years_mean"] == pytest.approx(1e8 / lifetime.YEAR_S, abs=0, rel=1e-12)
    # who is never written lasts for ever, and a network that is programmed once does not learn on line
    still = {**own, "writes_by_pulse": [0] * 5, "writes_by_layer": [0], "most_writes_on_a_device": [0]}
    assert np.isnan(
        lifetime.lifetime_table([meter(**still)], tests[:0], Lifetime())["lifetime_years_worst"].astype(float)
    ).all()
    assert lifetime.lifetime_table([meter(**still, uses_device=False)], tests[:0], Lifetime()).empty


@pytest.mark.parametrize(
    ("section", "message"),
    [
        (
            {"endurance": 1e6},
            r"network.lifetime: found unknown key 'endurance' .*allowed: endurance_writes, samples_per_s",
        ),
        ({"samples_per_s": 0}, "network.lifetime.samples_per_s: found 0, allowed: more than 0"),
        ({"endurance_writes": "many"}, "network.lifetime.endurance_writes: found many, allowed: number"),
        ({"endurance_writes": True}, "found true, allowed: number"),
    ],
)
def test_assumptions_that_cannot_be(section, message):
    with pytest.raises(UserError, match=message):
        Lifetime.parse(section, "config.json", "network.lifetime")
