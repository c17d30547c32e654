import numpy as np
import pytest
from scipy import stats

from calibration.counting.spread import as_dict, device_offsets, probability_spread, random_effects
from spinloom.streams import generator


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
    np.testing.assert_allclose(spread.cycle_to_cycle_sd, np.sqrt(10 / 3))
    np.testing.assert_allclose(spread.device_to_device_sd, np.sqrt(device))
    np.testing.assert_allclose(spread.intraclass_correlation, device / (device + 10 / 3))
    np.testing.assert_allclose(spread.design_effect, 1 + 1.4 * device / (device + 10 / 3))
    expected = stats.f_oneway([1, 3], [4, 6, 8])
    np.testing.assert_allclose([spread.f_statistic, spread.p_value], expected)


def test_random_effects_recover_the_truth_of_unbalanced_writes():
    # 400 devices: standard errors are about sd/sqrt(2*400) between and sd/sqrt(2*5000) within; 4.5 of them
    # (cells share the devices, so only devices count): fails for 1 seed in 70,000
    spread = random_effects(*simulate(generator(6, "truth"), 3, 400, 5, 2.0, 3.0))
    assert abs(spread.device_to_device_sd - 3.0) < 4.5 * 3.0 / np.sqrt(800) * 1.1
    assert abs(spread.cycle_to_cycle_sd - 2.0) < 4.5 * 2.0 / np.sqrt(2 * 5000)


def test_random_effects_are_unbiased_for_small_studies():
    # unclipped they would be exactly; with device_sd = 2 cycle_sd clipping is out of reach. 300 studies, 4.5
    # standard errors estimated from the studies themselves: fails for about 1 seed in 50,000
    estimates = [
        random_effects(*simulate(generator(7, "study", study), 2, 10, 4, 1.0, 2.0)).device_to_device_sd ** 2
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
    assert spread.device_to_device_sd == 0 and spread.p_value == 1 and spread.design_effect == 1


def test_spread_that_the_writes_cannot_tell_is_none():
    one_device = random_effects(np.array([1.0, 3]), np.zeros(2, int), np.zeros(2, int))
    assert (
        one_device.cycle_to_cycle_sd == pytest.approx(np.sqrt(2), abs=0, rel=1e-9)
        and one_device.device_to_device_sd is None
    )
    one_write_each = random_effects(np.array([1.0, 3]), np.zeros(2, int), np.array([0, 1]))
    assert one_write_each.cycle_to_cycle_sd is None and one_write_each.p_value is None


def test_device_offsets_by_hand():
    # cell 0: means 2 and 6, so -2 and +2; cell 1: means 10 and 12, so -1 and +1
    position = np.array([1.0, 3, 4, 6, 8, 10, 11, 13])
    offsets = device_offsets(position, np.array([0, 0, 0, 0, 0, 1, 1, 1]), np.array([7, 7, 9, 9, 9, 7, 9, 9]))
    assert list(offsets["instance"]) == [7, 9] and list(offsets["events"]) == [3, 5]
    np.testing.assert_allclose(offsets["offset"], [-1.5, 1.5])
    # with two devices either offset is half the difference: var = MSW (1/n_1 + 1/n_2) / 4 in each cell
    variance = 10 / 3 * (1 / 2 + 1 / 3) / 4 + 2 * (1 + 1 / 2) / 4
    np.testing.assert_allclose(offsets["offset_se"], np.sqrt(variance) / 2)


def test_device_offsets_scatter_as_their_standard_error_says():
    # devices alike: offset / se has variance 1; 200 studies of 8 devices (7 free each), relative standard error
    # of the variance about sqrt(2/1400) = 3.8 %; 4.5 of them: fails for about 1 seed in 50,000
    scores = []
    for study in range(200):
        offsets = device_offsets(*simulate(generator(9, "offsets", study), 3, 8, 15, 1.0, 0.0))
        scores.extend(offsets["offset"] / offsets["offset_se"])
    assert abs(np.var(scores) - 1) < 4.5 * np.sqrt(2 / 1400)


def test_device_offset_without_repeated_writes_has_no_standard_error():
    offsets = device_offsets(np.array([1.0, 3]), np.zeros(2, int), np.array([0, 1]))
    np.testing.assert_array_equal(offsets["offset"], [-1, 1])
    assert offsets["offset_se"].isna().all()


def test_standard_error_of_the_within_device_sd_is_exact_for_normal_writes():
    # sd of s_c over studies against the mean of its standard error; 400 studies: 3.5 % each, 4.5 of them
    found = [random_effects(*simulate(generator(20, "se", study), 2, 6, 5, 1.0, 0.5)) for study in range(400)]
    ratio = np.mean([one.cycle_to_cycle_se for one in found]) / np.std([one.cycle_to_cycle_sd for one in found])
    assert abs(ratio - 1) < 4.5 * 0.036


@pytest.mark.parametrize(("cells", "device_sd"), [(1, 0.5), (5, 0.2), (5, 1.0), (5, 5.0)])
def test_intervals_cover(cells, device_sd):
    # 300 studies each; 0.90..0.99 is 3 to 4 standard errors (0.0126) around 0.95: fails for 1 right seed in 1000
    covered = []
    for study in range(300):
        rng = generator(21, "cover", cells, device_sd, study)
        offsets = rng.normal(0, device_sd, 8)
        cell, instance, _ = np.indices((cells, 8, 4)).reshape(3, -1)
        found = random_effects(offsets[instance] + rng.normal(0, 1, cell.size), cell, instance)
        covered.append(
            (
                found.cycle_to_cycle_low <= 1 <= found.cycle_to_cycle_high,
                found.device_to_device_low <= device_sd <= found.device_to_device_high,
            )
        )
    cycle, device = np.mean(covered, axis=0)
    assert 0.90 < cycle < 0.99 and 0.90 < device < 0.99


@pytest.mark.parametrize("cells", [1, 3])
def test_intervals_cover_where_writes_are_unequal(cells):
    # 2 to 40 writes of 10 devices that differ much, so that each should count alike: with the weights of the analysis
    # of variance 0.89. 600 studies; above 0.915 is 3.9 standard errors (0.0089) below 0.95: fails for 1 right seed in
    # 20,000
    sizes = np.tile(np.round(np.geomspace(2, 40, 10)).astype(int), (cells, 1))
    cell, instance = (np.repeat(index.ravel(), sizes.ravel()) for index in np.indices(sizes.shape))
    covered, errors = [], []
    for study in range(600):
        rng = generator(25, "unequal", cells, study)
        x = cell + rng.normal(0, 2.0, 10)[instance] + rng.normal(size=cell.size)
        found = random_effects(x, cell, instance)
        covered.append(found.device_to_device_low <= 2.0 <= found.device_to_device_high)
        errors.append(found.device_to_device_sd - 2.0)
    assert np.mean(covered) > 0.915
    # equal weights lose nothing: the sd is known as well as from means without noise, 2 / sqrt(2 * 9) = 0.471;
    # the sd of 600 studies has an error of 3 %, and 4.5 of them are 0.064; the analysis of variance gives 0.58
    assert np.std(errors) < 0.471 * np.sqrt(1 + 0.1) + 0.064


def test_equal_writes_have_the_estimate_of_the_analysis_of_variance():
    x, cell, instance = (
        np.array([1.0, 3, 4, 6, 9, 7, 2, 2, 5, 7, 8, 9]),
        np.repeat([0, 1], 6),
        np.tile([0, 0, 1, 1, 2, 2], 2),
    )
    spread = random_effects(x, cell, instance)
    means = x.reshape(2, 3, 2).mean(axis=2)
    between = 2 * ((means - means.mean(axis=1, keepdims=True)) ** 2).sum() / 4
    within = ((x.reshape(2, 3, 2) - means[..., None]) ** 2).sum() / 6
    assert spread.device_to_device_sd == pytest.approx(np.sqrt((between - within) / 2), abs=0, rel=1e-12)
    assert spread.f_statistic == pytest.approx(between / within, abs=0, rel=1e-12)


def test_a_narrower_mass_gives_a_narrower_interval_and_the_same_sd():
    data = simulate(generator(22, "mass"), 3, 8, 5, 1.0, 1.0)
    wide, narrow = random_effects(*data, 0.95), random_effects(*data, 0.5)
    assert wide.device_to_device_sd == narrow.device_to_device_sd
    assert wide.device_to_device_low < narrow.device_to_device_low < narrow.device_to_device_sd
    assert wide.device_to_device_sd < narrow.device_to_device_high < wide.device_to_device_high


def test_names_carry_the_unit_of_the_coordinate():
    spread = random_effects(np.array([1.0, 3, 4, 6, 8]), np.zeros(5, int), np.array([0, 0, 1, 1, 1]))
    told = as_dict(spread, "S")
    assert told["cycle_to_cycle_sd_S"] == spread.cycle_to_cycle_sd and "device_to_device_high_S" in told
    assert told["p_value"] == spread.p_value and "p_value_S" not in told
    assert "cycle_to_cycle_sd" in as_dict(spread, "1")


def test_devices_more_alike_than_chance_allows_still_may_differ():
    # the same two values on all of 6 devices: MSB = 0, and between 0 and MSW / 2 nothing is excluded
    spread = random_effects(
        np.tile([0.0, 2.0], 6) + np.repeat(np.arange(6), 2) * 1e-3, np.zeros(12, int), np.repeat(np.arange(6), 2)
    )
    assert spread.device_to_device_sd == 0 and spread.f_statistic < 1e-4
    assert spread.device_to_device_low == 0 and 0.5 < spread.device_to_device_high < 5
    assert spread.device_to_device_se > 0.3


def test_devices_without_noise_differ_by_their_spread():
    spread = random_effects(np.array([1.0, 1, 3, 3]), np.zeros(4, int), np.array([0, 0, 1, 1]))
    assert spread.cycle_to_cycle_sd == 0 and spread.cycle_to_cycle_se == 0 and spread.f_statistic is None
    assert spread.device_to_device_sd == pytest.approx(np.sqrt(2), abs=0, rel=1e-12)


def test_probability_spread_by_hand():
    # shares 0.2, 0.5, 0.8 of 10 writes: variance 0.09 less the mean of 0.16, 0.25, 0.16 over 9
    found = probability_spread(np.array([2, 5, 8]), np.array([10, 10, 10]))
    square = 0.09 - 0.57 / 27
    assert found.mean == pytest.approx(0.5, abs=1e-15)
    assert found.sd == pytest.approx(np.sqrt(square), abs=0, rel=1e-12)
    assert found.mean_se == pytest.approx(np.sqrt(0.03), abs=0, rel=1e-12)
    assert found.intraclass_correlation == pytest.approx(square / 0.25, abs=0, rel=1e-12)
    assert found.interval[0] < found.sd < found.interval[1]


def test_probability_spread_is_unbiased_and_covers():
    # devices Beta(2, 6), sd 0.1443; 400 studies of 20 devices and 20 writes; bias of the square 4.5 standard errors,
    # coverage 0.91..0.99 = 3.7 standard errors: fails for 1 seed in 5000
    squares, covered, truth = [], [], np.sqrt(2 * 6 / 64 / 9)
    for study in range(400):
        rng = generator(23, "beta", study)
        found = probability_spread(rng.binomial(20, rng.beta(2, 6, 20)), np.full(20, 20))
        squares.append(found.sd**2)
        covered.append(found.interval[0] <= truth <= found.interval[1])
    assert abs(np.mean(squares) - truth**2) < 4.5 * np.std(squares) / 20
    assert 0.91 < np.mean(covered) < 0.99


def test_probability_spread_of_alike_devices_reaches_down_to_zero():
    # 200 studies; the interval holds 0 in about 97.5 % of them; below 0.92 for fewer than 1 seed in 100,000
    zero = [
        probability_spread(generator(24, "alike", study).binomial(20, 0.3, 10), np.full(10, 20)).interval[0] == 0
        for study in range(200)
    ]
    assert np.mean(zero) > 0.92


@pytest.mark.parametrize(("switched", "writes"), [([3], [10]), ([1, 0], [1, 1]), ([3, 1], [10, 1])])
def test_probability_spread_that_the_writes_cannot_tell_is_none(switched, writes):
    found = probability_spread(np.array(switched), np.array(writes))
    assert found.sd is None and found.interval is None and np.isnan(found.mean_se)
    assert found.mean == pytest.approx(sum(switched) / sum(writes), abs=1e-15)


def test_probability_spread_of_certain_devices_is_zero():
    found = probability_spread(np.array([5, 5, 5]), np.array([5, 5, 5]))
    assert found.mean == 1 and found.sd == 0 and found.intraclass_correlation is None
