import numpy as np
import pytest
from scipy import stats

from calibration.sources.parametric import lattice
from spinloom.streams import generator

FALSE_ALARM = 1e-4  # of each comparison of frequencies


def own(levels=31, sd=0.3, landing="moments", up=(0.0, None), down=(0.0, None)):
    ends = {
        name: {"nonlinearity": nonlinearity, "voltage_V": voltage, "duration_s": 1e-7}
        | ({} if pulses is None else {"pulses": pulses})
        for name, voltage, (nonlinearity, pulses) in (("up", 1.0, up), ("down", -1.0, down))
    }
    return lattice.Options(levels=levels, cycle_relative_sd=sd, landing=landing, **ends)


def moments(row, start):
    step = np.arange(len(row)) - start
    mean = row @ step
    return mean, np.sqrt(row @ (step - mean) ** 2)


@pytest.mark.parametrize("sd", [0.5, 0.6, 1.0, 2.5])
@pytest.mark.parametrize("mean", [0.0, 0.2, 0.5, 1.0, -1.7, 2.999])
def test_landing_keeps_mean_and_spread_of_the_step(mean, sd):
    rows = lattice.rows(np.full(81, mean), sd, "moments")
    assert moments(rows[40], 40) == pytest.approx((mean, sd), abs=1e-9)
    assert rows.min() >= 0 and rows.sum(axis=1) == pytest.approx(1, abs=1e-14)


@pytest.mark.parametrize(("mean", "sd"), [(0.3, 0.2), (0.5, 0.0), (1.9, 0.1)])
def test_less_spread_than_levels_can_have_becomes_the_least_possible(mean, sd):
    fraction = mean % 1
    row = lattice.rows(np.full(21, mean), sd, "moments")[8]
    assert moments(row, 8) == pytest.approx((mean, np.sqrt(fraction * (1 - fraction))), abs=1e-8)
    assert np.count_nonzero(row > 1e-12) == 2


def test_rows_with_too_much_spread_are_counted():
    assert lattice.meta(own(sd=0.5, up=(0.4, None)))["lattice"]["rows_wider_than_asked"] == 0
    # whole steps (here: of a linear device) need no spread at all; steps that shrink do
    assert lattice.meta(own(sd=0.1))["lattice"]["rows_wider_than_asked"] == 0
    wider = lattice.meta(own(sd=0.1, up=(0.4, None)))["lattice"]["rows_wider_than_asked"]
    mean = lattice.mean_steps(own(up=(0.4, None)))[0]
    assert wider == np.sum((mean % 1) * (1 - mean % 1) > 0.01) > 10


def test_nearest_is_the_mass_of_the_normal_in_each_cell():
    row = lattice.rows(np.full(21, 1.3), 0.7, "nearest")[5]
    edges = np.concatenate([[-np.inf], np.arange(20) + 0.5 - 5, [np.inf]])
    np.testing.assert_allclose(row, np.diff(stats.norm.cdf(edges, 1.3, 0.7)), atol=1e-14)
    # the reason why it is not the default: small steps never happen
    assert lattice.rows(np.full(21, 0.3), 0.02, "nearest")[5, 5] == pytest.approx(1, abs=1e-12)


def test_what_lands_beyond_an_end_stays_there():
    rows = lattice.rows(np.full(11, 4.0), 0.0, "moments")
    np.testing.assert_allclose(rows[[0, 6, 7, 10], [4, 10, 10, 10]], 1, atol=1e-12)


def test_coincidence_update_has_the_mean_and_variance_of_the_formula():
    """BL slots with a pulse each with probability p: E = BL p, Var = BL p (1 - p) + BL p s^2 (Gokmen and Vlasov)."""
    slots, chance, sd, start = 10, 0.2, 0.3, 20
    kernel = lattice.kernel(own(levels=61, sd=sd))
    for table, sign in zip(kernel, (1, -1)):
        slot = (1 - chance) * np.eye(61) + chance * table
        row = np.linalg.matrix_power(slot, slots)[start + 20 * (sign < 0)]
        wanted = sign * slots * chance, np.sqrt(slots * chance * (1 - chance + sd**2))
        assert moments(row, start + 20 * (sign < 0)) == pytest.approx(wanted, abs=1e-7)


@pytest.mark.parametrize(("kappa", "number"), [(0.3, 30), (0.9, 64), (0.999, 12.5)])
def test_steps_add_up_to_the_exponential_curve(kappa, number):
    """G_n = B (1 - exp(-n/A)), B = R/kappa, A = -N/ln(1 - kappa); downwards the mirror image."""
    levels = 101
    up, down = lattice.mean_steps(own(levels=levels, up=(kappa, number), down=(kappa, number)))
    conductance = (1 - np.exp(np.arange(int(number) + 1) * np.log1p(-kappa) / number)) / kappa
    step = np.interp(conductance[:-1], np.linspace(0, 1, levels), up) / (levels - 1)
    np.testing.assert_allclose(step, np.diff(conductance), atol=1e-12)
    np.testing.assert_allclose(down, -up[::-1], atol=1e-12)


def test_asymmetric_device_has_its_symmetry_point_where_the_curves_say():
    # equal N; c(0.8) (1 - 0.8 g) = c(0) at one g
    steps = lattice.mean_steps(own(levels=121, sd=0.5, up=(0.8, 40), down=(0.0, 40)))
    first = (1 - 0.2 ** (1 / 40)) / 0.8
    wanted = (1 - (1 / 40) / first) / 0.8
    assert np.interp(0, -(steps[0] + steps[1]), np.linspace(0, 1, 121)) == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize("pulses", [1, 4])
def test_trains_of_normal_steps_follow_powers_of_the_kernel(pulses):
    section = own(levels=16, sd=0.8, landing="nearest", up=(0.5, 12))
    draws, start = 20000, 6
    mean = lattice.mean_steps(section)[0]
    level = np.full(draws, start)
    rng = generator(1, "test lattice", pulses)
    for _ in range(pulses):
        level = np.clip(np.rint(level + rng.normal(mean[level], 0.8)), 0, 15).astype(int)
    expected = draws * np.linalg.matrix_power(lattice.kernel(section)[0], pulses)[start]
    seen = np.bincount(level, minlength=16)
    many = expected >= 5
    expected = np.append(expected[many], max(expected[~many].sum(), 1e-9))
    seen = np.append(seen[many], seen[~many].sum())
    kept = expected > 1e-6
    assert stats.chisquare(seen[kept], expected[kept] * seen[kept].sum() / expected[kept].sum()).pvalue > FALSE_ALARM
