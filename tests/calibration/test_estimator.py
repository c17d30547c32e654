import numpy as np
import pytest
from scipy import stats

from calibration.card.tables import BY_INSTANCE, conform
from calibration.counting.estimator import (
    by_instance,
    count_transitions,
    design_effects,
    empty_row_error,
    empty_rows,
    posterior,
    stationary,
    transition_rows,
)
from calibration.sections import Posterior
from spinloom.errors import UserError
from spinloom.streams import generator


def test_counts():
    counts = count_transitions(np.array([0, 1, 1, 1]), np.array([0, 0, 1, 1]), np.array([1, 0, 1, 1]), 2, 2)
    np.testing.assert_array_equal(counts, [[[0, 1], [0, 0]], [[1, 0], [0, 2]]])


def test_posterior_of_a_known_row():
    # Jeffreys' prior for two states: Beta(3.5, 7.5), checked against the regularised incomplete beta function
    mean, low, high = posterior(np.array([[3, 7]]), 0.5, 0.9)
    np.testing.assert_allclose(mean, [[3.5 / 11, 7.5 / 11]])
    np.testing.assert_allclose(stats.beta.cdf(low[0, 0], 3.5, 7.5), 0.05)
    np.testing.assert_allclose(stats.beta.cdf(high[0, 0], 3.5, 7.5), 0.95)
    np.testing.assert_allclose([low[0, 1], high[0, 1]], [1 - high[0, 0], 1 - low[0, 0]])


def test_posterior_rows_sum_to_one_and_lie_in_their_intervals():
    counts = generator(3, "counts").integers(0, 30, (4, 6, 6))
    counts[0, 0] = [50, 0, 0, 0, 0, 0]
    mean, low, high = posterior(counts, 0.5, 0.95)
    np.testing.assert_allclose(mean.sum(axis=-1), 1, atol=1e-12)
    assert np.all((low <= mean) & (mean <= high))


@pytest.mark.parametrize("interval", [0.5, 0.95])
def test_interval_coverage(interval):
    # rows drawn from the prior are covered with exactly this probability, and with a tail more where the interval
    # begins at 0 or ends at 1; 4000 rows, 4.5 standard errors: a right estimator fails for 1 seed in 150,000
    rng, rows = generator(4, "coverage", interval), 4000
    truth = rng.dirichlet([0.5] * 4, rows)
    counts = rng.multinomial(20, truth)
    _, low, high = posterior(counts, 0.5, interval)
    covered = np.mean((low[:, 0] <= truth[:, 0]) & (truth[:, 0] <= high[:, 0]))
    expected = interval + (1 - interval) / 2 * np.mean(np.isin(counts[:, 0], (0, 20)))
    assert abs(covered - expected) < 4.5 * np.sqrt(expected * (1 - expected) / rows)


def test_what_was_never_seen_may_be_impossible_and_what_always_was_certain():
    _, low, high = posterior(np.array([[0, 30, 0], [0, 0, 0]]), 0.5, 0.95)
    np.testing.assert_array_equal(low[0, [0, 2]], 0)
    assert high[0, 1] == 1 and 0.85 < low[0, 1] < 0.95
    # the prior alone claims neither
    assert (low[1] > 0).all() and (high[1] < 1).all()


@pytest.mark.parametrize(
    ("pseudocount", "interval", "words"),
    [
        (0, 0.95, "posterior.pseudocount: found 0"),
        (0.5, 1, "posterior.interval: found 1"),
        (0.5, 0, "posterior.interval: found 0"),
        (1e-4, 0.5, "a mean lies outside its interval"),
    ],
)
def test_impossible_posteriors_are_refused(pseudocount, interval, words):
    with pytest.raises(UserError, match=words):
        posterior(np.array([[10, 0]]), pseudocount, interval)


def test_stationary_distribution_of_a_known_chain():
    # 0 -> 1 with 0.1 and back with 0.3: 3/4 and 1/4 whatever the second pulse, if it does nothing
    kernel = np.array([[[0.9, 0.1], [0.3, 0.7]], [[1.0, 0.0], [0.0, 1.0]]])
    np.testing.assert_allclose(stationary(kernel), [0.75, 0.25])


def test_stationary_distribution_is_left_unchanged_by_a_random_pulse():
    kernel = generator(5, "kernel").dirichlet(np.ones(6), (3, 6))
    occupancy = stationary(kernel)
    np.testing.assert_allclose(occupancy @ kernel.mean(axis=0), occupancy, atol=1e-14)


def test_stationary_distribution_of_a_chain_with_states_that_are_never_left():
    # 0 and 2 absorb; 1 goes to 0 with 0.3 of 0.5: a third each stays, and the middle third divides 3 : 2
    kernel = np.array([[[1.0, 0, 0], [0.3, 0.5, 0.2], [0, 0, 1.0]]])
    np.testing.assert_allclose(stationary(kernel), [1 / 3 + 0.2, 0, 1 / 3 + 0.4 / 3], atol=1e-14)


def test_stationary_distribution_of_a_chain_without_a_limit_is_its_average_over_time():
    # 0 and 1 change places for ever, 2 falls into them, 3 is alone
    kernel = np.array([[[0, 1.0, 0, 0], [1.0, 0, 0, 0], [0.5, 0, 0.5, 0], [0, 0, 0, 1.0]]])
    np.testing.assert_allclose(stationary(kernel), [0.375, 0.375, 0, 0.25], atol=1e-14)


OPTIONS = Posterior()


def sweep(counts):
    """Return pulse, start, state, instance of the writes counted in int64[pulses, starts, instances, states]."""
    index = np.indices(counts.shape).reshape(4, -1)
    pulse, start, instance, state = np.repeat(index, counts.ravel(), axis=1)
    return pulse, start, state, instance


def test_rows_of_events_are_the_posterior_of_all_writes():
    counts = generator(10, "rows").integers(0, 9, (2, 3, 4, 3))
    rows = transition_rows(*sweep(counts), 2, 3, OPTIONS, "f")
    np.testing.assert_array_equal(rows.counts, counts.sum(axis=2))
    np.testing.assert_array_equal(rows.effective, rows.counts)
    expected = posterior(counts.sum(axis=2), 0.5, 0.95)
    np.testing.assert_array_equal(np.stack([rows.probability, rows.ci_low, rows.ci_high]), np.stack(expected))


def test_design_effect_by_hand():
    # row 0: 2 devices, 10 writes each, shares 0.2 and 0.8: MSB = 3.6, MSW = 6.4 / 18; row 1: 5 of 5 and 4 of 5 writes,
    # MSB = 0.1, MSW = 1.6 / 8, correlation 0; each lends the other its correlation as 4 devices to the own 2 - 1
    row, device = np.repeat([0, 1], [20, 10]), np.concatenate([np.repeat([3, 7], 10), np.repeat([3, 7], 5)])
    state = np.concatenate([np.repeat([1, 0, 1, 0], [2, 8, 8, 2]), np.repeat([0, 1], [9, 1])])
    rows, effect = design_effects(row, state, device)
    np.testing.assert_array_equal(rows, [0, 1])
    rho = (3.6 - 6.4 / 18) / (3.6 + 9 * 6.4 / 18)
    uncertain = (stats.t.ppf(0.975, 5) / stats.norm.ppf(0.975)) ** 2
    np.testing.assert_allclose(effect, [(1 + 9 * rho / 5) * uncertain, (1 + 4 * rho * 4 / 5) * uncertain])


def test_devices_that_agree_better_than_chance_are_worth_their_writes():
    rows, effect = design_effects(np.zeros(40, int), np.tile([0, 1], 20), np.repeat(np.arange(4), 10))
    np.testing.assert_array_equal(effect, [1.0])


def test_one_write_to_each_device_is_worth_a_write():
    # there is no correlation to tell, and none that matters
    rows, effect = design_effects(np.zeros(6, int), np.array([0, 0, 1, 1, 1, 2]), np.arange(6))
    np.testing.assert_array_equal(effect, [1.0])


def devices_differ(rng, rows, devices, writes, correlation):
    """Return truth float64[rows, 3] and counts of Dirichlet-multinomial devices with this intra-device correlation."""
    truth = rng.dirichlet([2.0, 2.0, 2.0], rows)
    own = np.array([rng.dirichlet(mean * (1 / correlation - 1), devices) for mean in truth])
    return truth, rng.multinomial(writes, own)


def test_pooling_instances_covers_devices_that_were_not_written():
    # 120 sweeps of 4 rows, 8 devices and 10 writes, correlation 0.3: a row's coverage has a standard deviation of about
    # 0.15, so 4.5 standard errors of 480 rows are 0.03: outside 0.92..0.995 for fewer than 1 right seed in 100,000.
    # Pooled as events it is near 0.70.
    covered = {"events": [], "instances": []}
    for study in range(120):
        truth, counts = devices_differ(generator(11, "devices", study), 4, 8, 10, 0.3)
        for pooling, found in covered.items():
            writes = sweep(counts[:, None])
            rows = transition_rows(*writes, 4, 3, Posterior(pooling=pooling), "f")
            found.append((rows.ci_low[:, 0] <= truth) & (truth <= rows.ci_high[:, 0]))
    assert 0.92 < np.mean(covered["instances"]) < 0.995
    assert np.mean(covered["events"]) < 0.80


def test_pooling_instances_keeps_alike_devices_nearly_as_good():
    # alike devices: half of the estimated correlations are clipped to 0; the other half costs less than a third
    worth = []
    for study in range(50):
        rng = generator(12, "alike", study)
        counts = rng.multinomial(10, np.broadcast_to(rng.dirichlet([2.0] * 3, 4)[:, None], (4, 8, 3)))
        rows = transition_rows(*sweep(counts[:, None]), 4, 3, Posterior(pooling="instances"), "f")
        worth.append(rows.effective.sum(axis=-1)[:, 0] / 80)
    assert 0.67 < np.mean(worth) <= 1


def test_mean_lies_in_its_interval_for_few_effective_writes():
    truth, counts = devices_differ(generator(13, "few"), 30, 3, 2, 0.6)
    rows = transition_rows(*sweep(counts[:, None]), 30, 3, Posterior(pooling="instances"), "f")
    assert ((rows.ci_low <= rows.probability) & (rows.probability <= rows.ci_high)).all()
    np.testing.assert_allclose(rows.probability.sum(axis=-1), 1, atol=1e-12)


def test_pooling_that_cannot_be_is_refused():
    with pytest.raises(UserError, match="found instances with writes to 1 device"):
        transition_rows(*np.zeros((4, 3), int), 1, 2, Posterior(pooling="instances"), "config.json")
    with pytest.raises(UserError, match="posterior.pooling: found all, allowed: events, instances"):
        Posterior.parse({"pooling": "all"}, "config.json", "posterior")


@pytest.mark.parametrize("reset", [False, True])
def test_rows_of_each_device(reset):
    counts = np.zeros((1, 2, 2, 2), int)
    counts[0, 0] = [[3, 7], [0, 4]]
    table = conform(by_instance(*sweep(counts), 1, 2, OPTIONS, "f", reset), BY_INSTANCE, "by_instance.csv")
    assert list(table["state_from"].unique()) == ([0, 1] if reset else [0])
    own = table[table["state_from"] == 0]
    assert list(own["count"]) == [3, 7, 0, 4]
    np.testing.assert_allclose(own["probability"], [3.5 / 11, 7.5 / 11, 0.1, 0.9])
    assert list(own["instance"]) == [0, 0, 1, 1] and own["ci_low"].iloc[2] == 0


def test_the_error_of_an_empty_row_says_what_fills_it():
    # pulse 1 was never written from state 1, from which 1/4 of all writes begin: ln 0.05 / ln 0.75 = 10.4, 11 writes;
    # 2 replicas gave 10 writes, so 11 writes are 2.2 replicas
    counts = np.array([[[3, 2], [5, 0]], [[4, 6], [0, 0]]])
    np.testing.assert_array_equal(empty_rows(counts), [[1, 1]])
    error = empty_row_error(counts, 2, "events.parquet", ("P", "AP"))
    assert str(error).startswith(
        "events.parquet: pulse 1: found no write that begins in state 1 (AP), allowed: at least 1"
    )
    assert "25 % of all writes begin there" in str(error) and "3 more replicas per instance" in str(error)
    assert "11 more writes" in str(empty_row_error(counts, None, "table.csv"))


def test_the_error_of_a_state_that_nobody_writes_from_asks_for_a_start():
    counts = np.array([[[3, 2], [0, 0]], [[4, 6], [0, 0]]])
    assert "(2 such rows), and no pulse has one" in str(empty_row_error(counts, 2, "events.parquet"))
