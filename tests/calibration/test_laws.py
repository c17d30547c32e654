"""The formulas of the laws, against printed numbers and against what must hold exactly."""

import numpy as np
import pytest
from scipy import stats

from calibration import laws


@pytest.mark.parametrize(
    ("angle", "printed"),
    [
        (0.05, [0, 0, 0.118, 0.565, 0.832, 0.938]),
        (0.1, [0, 0.034, 0.434, 0.774, 0.916, 0.969]),
        (0.2, [0.004, 0.288, 0.696, 0.886, 0.958, 0.985]),
    ],
)
def test_precessional_table(angle, printed):
    # t / t_D = 1..6; at V = 2 V_c0 the growth time is the characteristic time
    parameters = {"characteristic_time_s": 1e-9, "critical_voltage_V": 0.4, "initial_angle_sd_rad": angle}
    found = laws.get("precessional").probability(parameters, 0.8, np.arange(1, 7) * 1e-9)
    # half a digit; the last entry for 0.2 rad is printed as .985 but is 0.98447, hence a little more
    np.testing.assert_allclose(found, printed, rtol=0, atol=5.4e-4)


def test_initial_angle_grows_with_the_root_of_temperature():
    law = laws.get("precessional")
    cold = {"characteristic_time_s": 1e-9, "critical_voltage_V": 0.4, "initial_angle_sd_rad": 0.1}
    warm = {**cold, "initial_angle_sd_rad": 0.2}
    assert law.probability(cold, 0.7, 2e-9, 1200.0) == pytest.approx(law.probability(warm, 0.7, 2e-9, 300.0), abs=1e-14)


def test_neel_brown_numbers():
    law = laws.get("neel_brown")
    parameters = {"thermal_stability": 4.91, "critical_voltage_V": 0.857}
    # at V_c0 the barrier is gone: P(t = tau0) = 1 - 1/e
    assert law.probability(parameters, 0.857, 1e-9) == pytest.approx(1 - np.exp(-1), abs=1e-12)
    # at 0 V and 300 K, tau = 1 ns e^4.91; at 600 K half the exponent
    assert law.probability(parameters, 0.0, 1e-9 * np.exp(4.91)) == pytest.approx(1 - np.exp(-1), abs=1e-12)
    assert law.probability(parameters, 0.0, 1e-9 * np.exp(4.91 / 2), 600.0) == pytest.approx(1 - np.exp(-1), abs=1e-12)


def test_neel_brown_is_too_shallow_for_the_measured_junction():
    # slope 4 dP/dV at P = 1/2 is 2 ln2 Delta / V_c0 = 7.9 per V, against measured 44.6
    law = laws.get("neel_brown")
    parameters = {"thermal_stability": 4.91, "critical_voltage_V": 0.857}
    duration = np.log(2) * np.exp(law.log_time(parameters, 0.85, 300.0))
    up, down = (law.probability(parameters, 0.85 + h, duration) for h in (1e-6, -1e-6))
    slope = 4 * (up - down) / 2e-6
    assert slope == pytest.approx(7.9, abs=0.05)
    assert 44.6 / slope == pytest.approx(5.6, abs=0.05)


@pytest.mark.parametrize("threshold, slope", [(0.8958, 42.7), (0.9340, 31.4), (0.9024, 77.9), (0.8749, 34.9)])
def test_logistic_of_the_measured_junctions(threshold, slope):
    law, parameters = laws.get("logistic"), {"threshold_voltage_V": threshold, "slope_per_V": slope}
    assert law.probability(parameters, threshold) == pytest.approx(0.5, abs=1e-12)
    up, down = (law.probability(parameters, threshold + h) for h in (1e-6, -1e-6))
    assert 4 * (up - down) / 2e-6 == pytest.approx(slope, abs=1e-4)


def test_plateau_and_floor():
    law = laws.get("logistic_plateau")
    parameters = {"threshold_voltage_V": 0.9, "slope_per_V": 40.0, "plateau": 0.75, "floor": 0.05}
    np.testing.assert_allclose(law.probability(parameters, np.array([-9.0, 0.9, 9.0])), [0.05, 0.4, 0.75], atol=1e-12)
    plain = {"threshold_voltage_V": 0.9, "slope_per_V": 40.0}
    v = np.linspace(0.8, 1.0, 5)
    np.testing.assert_allclose(
        law.probability({**plain, "plateau": 1.0, "floor": 0.0}, v),
        laws.get("logistic").probability(plain, v),
        atol=1e-15,
    )


def test_passing_law_printed_values():
    parameters = {"threshold": 4.63168, "slope": 2.72741, "amplitude": 0.97813}
    found = laws.get("passing").probability(parameters, np.array([3, 4, 4.63168, 5, 6, 7]))
    np.testing.assert_allclose(found[[0, 1, 2, 3, 4]], [0.0332, 0.170, 0.511, 0.738, 0.977], rtol=0, atol=5.1e-4)
    assert found[5] == pytest.approx(0.9985, abs=5.1e-5)


@pytest.mark.parametrize("name", ["neel_brown", "precessional", "logistic", "logistic_plateau"])
def test_logarithms_agree_with_probabilities(name):
    truth = {
        "thermal_stability": 20.0, "critical_voltage_V": 0.5, "characteristic_time_s": 1e-9,
        "initial_angle_sd_rad": 0.1, "threshold_voltage_V": 0.8, "slope_per_V": 20.0, "plateau": 0.9, "floor": 0.1,
    }  # fmt: skip
    law, v = laws.get(name), np.linspace(0.4, 1.2, 9)
    yes, no = law.log_probabilities(truth, v, np.full(9, 3e-9), np.full(9, 300.0))
    np.testing.assert_allclose(np.exp(yes), law.probability(truth, v, 3e-9, 300.0), rtol=1e-10)
    np.testing.assert_allclose(np.exp(yes) + np.exp(no), 1.0, atol=1e-12)


@pytest.mark.parametrize("name", ["neel_brown", "precessional"])
def test_impossible_looking_drives_stay_finite(name):
    truth = {
        "thermal_stability": 80.0,
        "critical_voltage_V": 0.5,
        "characteristic_time_s": 1e-9,
        "initial_angle_sd_rad": 0.1,
    }
    yes, no = laws.get(name).log_probabilities(truth, np.array([-5.0, 50.0]), np.full(2, 1e-9), np.full(2, 4.0))
    assert np.isfinite(yes[0]) and no[0] == pytest.approx(0.0, abs=1e-12) and yes[1] == pytest.approx(0.0, abs=1e-6)


# -- displacement ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("ends", ["truncate", "clip"])
def test_displacement_rows_are_the_integrals_of_the_law(ends):
    law, edges, bounds = laws.get("truncated_normal"), np.array([0.0, 0.2, 0.7, 1.0]), (0.0, 1.0)
    parameters = {"shift": 0.2, "shift_slope": -0.3, "sd": 0.15, "centre": 0.5}
    centres = np.array([0.1, 0.45, 0.85])
    rows = law.rows(parameters, edges, centres, bounds, ends)
    mean = centres + 0.2 - 0.3 * (centres - 0.5)
    for row, m in zip(rows, mean):
        if ends == "truncate":
            wanted = np.diff(stats.truncnorm.cdf(edges, -m / 0.15, (1 - m) / 0.15, m, 0.15))
        else:
            wanted = np.diff(stats.norm.cdf([-np.inf, 0.2, 0.7, np.inf], m, 0.15))
        np.testing.assert_allclose(row, wanted, rtol=1e-10)


def test_displacement_rows_keep_their_digits_in_the_tails():
    # 30 standard deviations away, where differences of the distribution function are 0
    rows = laws.get("truncated_normal").rows(
        {"mean": 0.0, "sd": 1 / 60}, np.array([0.0, 0.5, 0.75, 1.0]), np.zeros(3), (0.0, 1.0)
    )
    wanted = np.log(2) + stats.norm.logsf(30)
    assert np.log(rows[0, 1]) == pytest.approx(wanted, abs=1e-9)
    assert rows[0].sum() == pytest.approx(1.0, abs=1e-12)
