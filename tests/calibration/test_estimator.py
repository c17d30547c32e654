import numpy as np
import pytest
from scipy import stats

from calibration import count_transitions, device_offsets, posterior, random_effects, stationary
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
    # rows drawn from the prior are covered with exactly this probability; 4000 rows, 4.5 standard errors:
    # a right estimator fails for 1 seed in 150,000
    rng, rows = generator(4, "coverage", interval), 4000
    truth = rng.dirichlet([0.5] * 4, rows)
    counts = rng.multinomial(20, truth)
    _, low, high = posterior(counts, 0.5, interval)
    covered = np.mean((low[:, 0] <= truth[:, 0]) & (truth[:, 0] <= high[:, 0]))
    assert abs(covered - interval) < 4.5 * np.sqrt(interval * (1 - interval) / rows)


@pytest.mark.parametrize(
    ("pseudocount", "interval", "words"),
    [
        (0, 0.95, "posterior.pseudocount is 0"),
        (0.5, 1, "posterior.interval is 1"),
        (0.5, 0, "posterior.interval is 0"),
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


def simulate(rng, cells, devices, writes, cycle_sd, device_sd):
    """Return position, cell, instance; the device's offset is the same in all cells, writes are 1..2 `writes`."""
    offsets = rng.normal(0, device_sd, devices)
    size = rng.integers(1, 2 * writes + 1, (cells, devices))
    cell, instance = (np.repeat(index.ravel(), size.ravel()) for index in np.indices(size.shape))
    return 100.0 * cell + offsets[instance] + rng.normal(0, cycle_sd, cell.size), cell, instance


def test_random_effects_by_hand():
    # one cell, unequal devices {1, 3} and {4, 6, 8}: MSW = (2 + 8)/3, MSB = 2*2.4^2 + 3*1.6^2 = 19.2, n0 = 5 - 13/5
    spread = random_effects(np.array([1.0, 3, 4, 6, 8]), np.zeros(5, int), np.array([0, 0, 1, 1, 1]))
    device = (19.2 - 10 / 3) / 2.4
    np.testing.assert_allclose(spread.cycle_to_cycle_sd_m, np.sqrt(10 / 3))
    np.testing.assert_allclose(spread.device_to_device_sd_m, np.sqrt(device))
    np.testing.assert_allclose(spread.intraclass_correlation, device / (device + 10 / 3))
    np.testing.assert_allclose(spread.design_effect, 1 + 1.4 * device / (device + 10 / 3))
    expected = stats.f_oneway([1, 3], [4, 6, 8])
    np.testing.assert_allclose([spread.f_statistic, spread.p_value], expected)


def test_random_effects_recover_the_truth_of_unbalanced_writes():
    # 400 devices: standard errors are about sd/sqrt(2*400) between and sd/sqrt(2*5000) within; 4.5 of them
    # (cells share the devices, so only devices count): fails for 1 seed in 70,000
    spread = random_effects(*simulate(generator(6, "truth"), 3, 400, 5, 2.0, 3.0))
    assert abs(spread.device_to_device_sd_m - 3.0) < 4.5 * 3.0 / np.sqrt(800) * 1.1
    assert abs(spread.cycle_to_cycle_sd_m - 2.0) < 4.5 * 2.0 / np.sqrt(2 * 5000)


def test_random_effects_are_unbiased_for_small_studies():
    # unclipped they would be exactly; with device_sd = 2 cycle_sd clipping is out of reach. 300 studies, 4.5
    # standard errors estimated from the studies themselves: fails for about 1 seed in 50,000
    estimates = [
        random_effects(*simulate(generator(7, "study", study), 2, 10, 4, 1.0, 2.0)).device_to_device_sd_m ** 2
        for study in range(300)
    ]
    assert abs(np.mean(estimates) - 4.0) < 4.5 * np.std(estimates, ddof=1) / np.sqrt(300)


def test_false_alarms_of_the_f_test():
    # devices alike: p is uniform; 400 studies, Kolmogorov-Smirnov at 1e-4: fails for 1 seed in 10,000
    p_values = [
        random_effects(*simulate(generator(8, "null", study), 2, 6, 3, 1.0, 0.0)).p_value for study in range(400)
    ]
    assert stats.kstest(p_values, "uniform").pvalue > 1e-4


def test_device_spread_is_clipped_at_zero():
    spread = random_effects(np.array([-1.0, 1, -1, 1]), np.zeros(4, int), np.array([0, 0, 1, 1]))
    assert spread.device_to_device_sd_m == 0 and spread.p_value == 1 and spread.design_effect == 1


def test_spread_that_the_writes_cannot_tell_is_none():
    one_device = random_effects(np.array([1.0, 3]), np.zeros(2, int), np.zeros(2, int))
    assert (
        one_device.cycle_to_cycle_sd_m == pytest.approx(np.sqrt(2), abs=0, rel=1e-9)
        and one_device.device_to_device_sd_m is None
    )
    one_write_each = random_effects(np.array([1.0, 3]), np.zeros(2, int), np.array([0, 1]))
    assert one_write_each.cycle_to_cycle_sd_m is None and one_write_each.p_value is None


def test_device_offsets_by_hand():
    # cell 0: means 2 and 6, so -2 and +2; cell 1: means 10 and 12, so -1 and +1
    position = np.array([1.0, 3, 4, 6, 8, 10, 11, 13])
    offsets = device_offsets(position, np.array([0, 0, 0, 0, 0, 1, 1, 1]), np.array([7, 7, 9, 9, 9, 7, 9, 9]))
    assert list(offsets["instance"]) == [7, 9] and list(offsets["events"]) == [3, 5]
    np.testing.assert_allclose(offsets["position_offset_m"], [-1.5, 1.5])
    # with two devices either offset is half the difference: var = MSW (1/n_1 + 1/n_2) / 4 in each cell
    variance = 10 / 3 * (1 / 2 + 1 / 3) / 4 + 2 * (1 + 1 / 2) / 4
    np.testing.assert_allclose(offsets["position_offset_se_m"], np.sqrt(variance) / 2)


def test_device_offsets_scatter_as_their_standard_error_says():
    # devices alike: offset / se has variance 1; 200 studies of 8 devices (7 free each), relative standard error
    # of the variance about sqrt(2/1400) = 3.8 %; 4.5 of them: fails for about 1 seed in 50,000
    scores = []
    for study in range(200):
        offsets = device_offsets(*simulate(generator(9, "offsets", study), 3, 8, 15, 1.0, 0.0))
        scores.extend(offsets["position_offset_m"] / offsets["position_offset_se_m"])
    assert abs(np.var(scores) - 1) < 4.5 * np.sqrt(2 / 1400)


def test_device_offset_without_repeated_writes_has_no_standard_error():
    offsets = device_offsets(np.array([1.0, 3]), np.zeros(2, int), np.array([0, 1]))
    np.testing.assert_array_equal(offsets["position_offset_m"], [-1, 1])
    assert offsets["position_offset_se_m"].isna().all()
