"""The formulas of the laws, against printed numbers and against what must hold exactly."""

import numpy as np
import pytest
from scipy import stats

from calibration import laws
from calibration.laws import pair
from spinloom.errors import UserError
from spinloom.streams import generator


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
    duration = float(law.duration(parameters, 0.5, 0.85))
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


# -- chains ----------------------------------------------------------------------------------------------------------
CTMC = {
    "rate_0_1_per_s": 3e7,
    "rate_0_2_per_s": 1e6,
    "rate_1_0_per_s": 2e7,
    "rate_1_2_per_s": 8e7,
    "rate_2_1_per_s": 5e7,
}
BIRTH_DEATH = {"up_0_per_s": 3e7, "up_1_per_s": 9e7, "down_1_per_s": 2e7, "down_2_per_s": 4e7}


@pytest.mark.parametrize("name, parameters", [("ctmc", CTMC), ("birth_death", BIRTH_DEATH)])
def test_durations_add_up(name, parameters):
    law = laws.get(name)
    whole, parts = law.matrix(parameters, 17e-9), law.matrix(parameters, 5e-9) @ law.matrix(parameters, 12e-9)
    np.testing.assert_allclose(whole, parts, rtol=0, atol=1e-12)
    np.testing.assert_allclose(whole.sum(axis=1), 1, rtol=0, atol=1e-12)


def test_two_state_chain_is_the_telegraph_formula():
    up, down, t = 3e7, 1e7, 20e-9
    found = laws.get("ctmc").matrix({"rate_0_1_per_s": up, "rate_1_0_per_s": down}, t)
    assert found[0, 1] == pytest.approx(up / (up + down) * (1 - np.exp(-(up + down) * t)), abs=1e-14)


def test_birth_death_obeys_detailed_balance():
    law = laws.get("birth_death")
    weight = np.cumprod([1.0, 3e7 / 2e7, 9e7 / 4e7])  # pi_i+1 / pi_i = up_i / down_i+1
    flow = weight[:, None] * law.matrix(BIRTH_DEATH, 8e-9)
    np.testing.assert_allclose(flow, flow.T, rtol=0, atol=1e-12)


def test_banded_power():
    law, parameters = laws.get("banded"), {"p_0_1": 0.2, "p_1_0": 0.1, "p_1_2": 0.3, "p_2_1": 0.05}
    one = np.array([[0.8, 0.2, 0.0], [0.1, 0.6, 0.3], [0.0, 0.05, 0.95]])
    np.testing.assert_allclose(law.matrix(parameters, 3), one @ one @ one, rtol=0, atol=1e-14)


def _chi2_p(counts: np.ndarray, probability: np.ndarray) -> float:
    used = probability > 0
    assert counts[~used].sum() == 0
    expected = counts.sum() * probability[used]
    return stats.chi2.sf(((counts[used] - expected) ** 2 / expected).sum(), used.sum() - 1)


@pytest.mark.parametrize("law", ["birth_death", "pair", "banded"])
def test_simulated_pulse_trains_follow_kernel_powers(law):
    # 6 pulses one after the other on 40,000 devices, fixed stream; false-alarm rate 1e-4 per law
    if law == "pair":
        one = pair.kernel(1, 0, 0.2, 0.35)
    elif law == "banded":
        one = laws.get("banded").one_pulse({"p_0_1": 0.2, "p_1_0": 0.1, "p_1_2": 0.3, "p_2_1": 0.05})
    else:
        one = laws.get("birth_death").matrix(BIRTH_DEATH, 3e-9)
    rng, state = generator(5, "pulse train", law), np.zeros(40_000, int)
    for _ in range(6):
        u = rng.random(len(state))
        state = (u[:, None] > np.cumsum(one[state], axis=1)).sum(axis=1)
    counts = np.bincount(state, minlength=len(one))
    assert _chi2_p(counts, np.linalg.matrix_power(one, 6)[0]) > 1e-4


def test_chain_of_exponential_waits_follows_the_matrix_exponential():
    # jumps simulated one by one with exponential waiting times, 20,000 devices; false-alarm rate 1e-4
    rates, end = laws.get("ctmc").rates(CTMC), 15e-9
    rng, n = generator(6, "waits"), 20_000
    state, time = np.zeros(n, int), np.zeros(n)
    while (going := time < end).any():
        leave = -np.diag(rates)[state]
        time = np.where(going, time + rng.exponential(1 / leave), time)
        target = rates.copy() / -np.diag(rates)[:, None]
        np.fill_diagonal(target, 0.0)
        jump = (rng.random(n)[:, None] > np.cumsum(target[state], axis=1)).sum(axis=1).clip(max=2)
        state = np.where(going & (time < end), jump, state)
    assert _chi2_p(np.bincount(state, minlength=3), laws.get("ctmc").matrix(CTMC, end)[0]) > 1e-4


# -- the pair of junctions -------------------------------------------------------------------------------------------
P = 0.3
TABLE = {  # -1, 0w, 0s, +1
    0: [[1 - P, 0, P, 0], [0, 1 - P, 0, P], [0, 0, 1 - P, P], [0, 0, 0, 1]],
    1: [[0, 0, 1 - P, P], [0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 0, 1]],
    2: [[0, 0, 0, 1]] * 4,
}


@pytest.mark.parametrize("whole", [0, 1, 2])
def test_pair_table(whole):
    np.testing.assert_allclose(pair.kernel(1, whole, P), TABLE[whole], rtol=0, atol=1e-15)
    mirror = np.array(TABLE[whole])[np.ix_([3, 1, 2, 0], [3, 1, 2, 0])]
    np.testing.assert_allclose(pair.kernel(-1, whole, P), mirror, rtol=0, atol=1e-15)


def test_pair_negative_command_leads_down():
    # written out once, not by symmetry: +1 = (on, off) has R2 switched on, 0s = (on, on) has R1 switched off
    down = pair.kernel(-1, 0, 0.2, 0.35)
    np.testing.assert_allclose(down, [[1, 0, 0, 0], [0.2, 0.8, 0, 0], [0.35, 0, 0.65, 0], [0, 0, 0.2, 0.8]], atol=1e-15)


def test_pair_lumped():
    np.testing.assert_allclose(
        pair.lump(pair.kernel(1, 0, P)), [[1 - P, P, 0], [0, 1 - P, P], [0, 0, 1]], rtol=0, atol=1e-15
    )
    np.testing.assert_allclose(
        pair.lump(pair.kernel(1, 1, P)), [[0, 1 - P, P], [0, 0, 1], [0, 0, 1]], rtol=0, atol=1e-15
    )
    uneven = pair.kernel(1, 0, 0.2, 0.6)
    with pytest.raises(UserError, match="rows of 0w and 0s that differ by 0.4"):
        pair.lump(uneven)
    np.testing.assert_allclose(pair.lump(uneven, weak_zero=0.25)[1], [0, 0.5, 0.5], rtol=0, atol=1e-15)


@pytest.mark.parametrize("arguments", [(0, 0, 0.5), (1, -1, 0.5), (1, 0, 1.5)])
def test_impossible_commands_are_refused(arguments):
    with pytest.raises(UserError, match="pair: "):
        pair.kernel(*arguments)
