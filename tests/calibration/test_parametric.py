import math

import numpy as np
import pytest
from scipy import linalg, stats

from calibration.consequences import half_select
from calibration.sources import library
from calibration.sources.parametric import macrospin, skyrmion, switching, telegraph
from calibration.sources.parametric.cards import make
from calibration.sources.parametric.config import Parametric
from spinloom.errors import UserError
from spinloom.streams import generator

FALSE_ALARM = 1e-4  # of each comparison of frequencies


def section(name, **changes):
    """Return a recipe of the library with the values at dotted keys replaced; None drops the key."""
    content = library.recipe(name).dump()
    for key, value in changes.items():
        *path, last = key.split("__")
        place = content
        for part in path:
            place = place[part]
        place[last] = value
        if value is None:
            del place[last]
    return content


def card(name, **changes):
    return make(Parametric.parse(section(name, **changes), "device.yaml"), 1, "device.yaml")


def test_rows_are_the_law_and_count_nothing():
    made = card("pbit")
    table = made.transitions
    assert set(table["basis"]) == {"law"} and not table[["count", "effective_count"]].to_numpy().any()
    assert (table["ci_low"] == table["probability"]).all() and (table["ci_high"] == table["probability"]).all()
    assert made.meta.source.kind == "parametric"
    assert made.meta.source.dump()["parameters"]["pbit"]["beta"] == 2.0


def test_pbit_is_the_tanh_neuron_from_either_state():
    made = card("pbit")
    inputs = np.array(library.recipe("pbit").pbit.inputs)
    for row in (0, 1):
        np.testing.assert_allclose(made.kernel[:, row, 1], (1 + np.tanh(inputs)) / 2, atol=1e-14)
    np.testing.assert_allclose(made.pulses["voltage_V"], 0.05 * inputs, atol=1e-15)
    assert made.meta.flags.volatile


def test_gate_has_the_published_passing_probabilities():
    made = card("ellis_gate")
    drive = np.rint(made.pulses["field_T"] * 1e8) / 1e5
    passed = dict(zip(drive, made.kernel[:, 0, 1]))
    np.testing.assert_array_equal(made.kernel[:, 0], made.kernel[:, 1])
    printed = {3: ".0332", 4: ".170", 4.63168: ".511", 5: ".738", 6: ".977", 7: ".9985"}
    for w, text in printed.items():
        assert f"{passed[w]:.{len(text) - 1}f}"[1:] == text


def test_telegraph_obeys_the_chain_rule_and_its_generator():
    own = library.recipe("telegraph_smtj").telegraph
    own = own.model_copy(update={"durations_s": [1e-9, 3e-9, 4e-9]})
    kernel = telegraph.kernel(own).reshape(7, 3, 2, 2)
    np.testing.assert_allclose(kernel[:, 0] @ kernel[:, 1], kernel[:, 2], atol=1e-15)
    up, down = telegraph.rates(own, np.array(own.voltages_V))
    for row, (a, b) in enumerate(zip(up, down)):
        np.testing.assert_allclose(kernel[row, 1], linalg.expm(np.array([[-a, a], [b, -b]]) * 3e-9), atol=1e-14)
        # Boltzmann: the odds of the two states are exp(2 Delta V / V_c0)
        odds = kernel[row, 2, 0, 1] / kernel[row, 2, 1, 0]
        assert odds == pytest.approx(math.exp(2 * math.log(10) * own.voltages_V[row] / 0.5), rel=1e-12, abs=0)


def test_telegraph_is_in_detailed_balance_at_zero_drive():
    own = library.recipe("telegraph_smtj").telegraph.model_copy(update={"voltages_V": [0.0], "durations_s": [2e-9]})
    kernel = telegraph.kernel(own)[0]
    assert kernel[0, 1] == kernel[1, 0] == pytest.approx((1 - math.exp(-0.4)) / 2, abs=1e-14)


def test_heat_speeds_the_telegraph_up():
    own = library.recipe("telegraph_smtj").telegraph
    rate = [
        telegraph.rates(own.model_copy(update={"temperature_K": warm}), np.zeros(1))[0][0] for warm in (300.0, 400.0)
    ]
    assert math.log(rate[1] / rate[0]) == pytest.approx(math.log(10) * 0.25, abs=1e-12)


def test_telegraph_trains_by_waiting_times_follow_the_kernel():
    """Exponential waiting times, simulated, against powers of the kernel: 5 looks in a row, all 32 patterns."""
    own = library.recipe("telegraph_smtj").telegraph.model_copy(update={"voltages_V": [0.1], "durations_s": [5e-9]})
    kernel, (up, down) = telegraph.kernel(own)[0], telegraph.rates(own, np.array([0.1]))
    rng, trains, looks = generator(1, "test telegraph"), 8000, 5
    state, pattern = np.zeros(trains, dtype=int), np.zeros(trains, dtype=int)
    rates = np.array([up[0], down[0]])
    next_flip = rng.exponential(1 / rates[state])
    for look in range(1, looks + 1):
        while (due := next_flip < look * 5e-9).any():
            state[due] ^= 1
            next_flip[due] += rng.exponential(1 / rates[state[due]])
        pattern = 2 * pattern + state
    expected = np.zeros(2**looks)
    for number in range(2**looks):
        bits = [0] + [number >> shift & 1 for shift in range(looks - 1, -1, -1)]
        expected[number] = trains * np.prod([kernel[a, b] for a, b in zip(bits, bits[1:])])
    assert expected.min() > 1
    assert stats.chisquare(np.bincount(pattern, minlength=32), expected).pvalue > FALSE_ALARM


def test_skyrmion_kernel_is_the_sum_of_independent_places():
    own = library.recipe("skyrmion_counter").skyrmion
    kernel, places = skyrmion.kernel(own), own.places
    for table, kind in zip(kernel, (own.create, own.annihilate)):
        birth, death, time = kind.birth_per_s, kind.death_per_s, kind.duration_s
        gone = -math.expm1(-(birth + death) * time) / (birth + death)
        for number in (0, 4, places):
            filled = stats.binom.pmf(np.arange(places + 1), places - number, birth * gone)
            kept = stats.binom.pmf(np.arange(places + 1), number, 1 - death * gone)
            np.testing.assert_allclose(table[number], np.convolve(filled, kept)[: places + 1], atol=1e-13)


def test_trains_of_skyrmion_pulses_follow_the_product_of_kernels():
    own = library.recipe("skyrmion_counter").skyrmion
    trains, rng = 20000, generator(2, "test skyrmion")
    order = [0, 0, 1, 0, 1]
    site = np.zeros((trains, own.places), dtype=bool)
    row = np.eye(own.places + 1)[0]
    for pulse in order:
        kind = (own.create, own.annihilate)[pulse]
        # each place on its own, event by event
        left = np.full(site.shape, kind.duration_s)
        while (open_ := left > 0).any():
            wait = rng.exponential(1 / np.where(site, kind.death_per_s, kind.birth_per_s))
            left -= wait
            site ^= open_ & (left > 0)
        row = row @ skyrmion.kernel(own)[pulse]
    seen = np.bincount(site.sum(axis=1), minlength=len(row))
    many = trains * row >= 5
    seen, expected = np.append(seen[many], seen[~many].sum()), trains * np.append(row[many], row[~many].sum())
    assert stats.chisquare(seen, expected).pvalue > FALSE_ALARM


def test_sign_of_the_voltage_selects_the_direction():
    made = card("sot_mtj_80nm_b")
    positive = made.pulses["voltage_V"].to_numpy() > 0
    assert made.kernel[positive, 0, 1].min() > 0.05 and made.kernel[~positive, 1, 0].min() > 1e-4
    assert made.kernel[~positive, 0, 1].max() < 1e-12 and made.kernel[positive, 1, 0].max() < 1e-12


def test_switching_goes_against_the_voltage_by_its_own_law():
    both = {"name": "logistic_plateau", "parameters": {"threshold_voltage_V": 0.9, "slope_per_V": 40.0, "floor": 0.01}}
    made = card("sot_mtj_80nm_b", switching__law_up=both, population={})
    assert made.kernel[0, 0, 1] == pytest.approx(0.01, abs=1e-12)


def test_demagnetising_factor_of_cylinders():
    # printed values of Chen, Brug, Goldfarb, IEEE Trans. Magn. 27, 3601 (1991), table I, chi = 0: N_m of p = 1 and 0.1
    assert macrospin.demagnetising_factor(1e-9, 1e-9) == pytest.approx(0.3116, abs=5e-5)
    assert macrospin.demagnetising_factor(1e-9, 1e-10) == pytest.approx(0.7967, abs=5e-5)
    # thin disc: 1 - (2p/pi) (ln(4/p) - 1/2)
    thin = 1 - 2e-4 / math.pi * (math.log(4e4) - 0.5)
    assert macrospin.demagnetising_factor(1.0, 1e-4) == pytest.approx(thin, abs=1e-7)


def test_critical_voltage_is_where_torque_and_damping_cancel():
    """A small angle neither grows nor shrinks: a_J - alpha H_k = 0 with a_J = hbar eta J/(2 e Ms t)."""
    constants = library.recipe("arm_pma_mtj_50nm").switching.macrospin
    found = macrospin.derive(constants, "x")
    area, boltzmann = math.pi * 25e-9**2, 1.380649e-23 * 300
    field_T = 2 * found["thermal_stability"] * boltzmann / (area * 1e-9) / 1.2e6
    polarisation = math.sqrt(1 / 3)  # TMR 100 %
    for resistance, eta in (
        (6000, polarisation / (1 + polarisation**2)),
        (12000, polarisation / (1 - polarisation**2)),
    ):
        density = found["critical_voltage_V"] / resistance / area
        torque_T = 1.054571817e-34 * eta * density / (2 * 1.602176634e-19 * 1.2e6 * 1e-9)
        assert torque_T == pytest.approx(0.01 * field_T, rel=1e-9, abs=0)
    assert found["initial_angle_sd_rad"] == pytest.approx(1 / math.sqrt(2 * found["thermal_stability"]), abs=1e-15)


def test_derived_barrier_is_told_to_those_who_go_on_from_the_card():
    barrier = card("arm_pma_mtj_50nm").meta.barrier
    law = card("arm_pma_mtj_50nm").meta.laws[0].parameters
    assert barrier.thermal_stability == law["thermal_stability"] == pytest.approx(84.448, abs=1e-3)
    assert set(barrier.critical_voltage_V.values()) == {law["critical_voltage_V"]}
    assert "barrier" not in card("sot_mtj_80nm_b").meta.dump() and card("sot_mtj_80nm_b").pulses["channel"][0] == "sot"


def test_half_selected_precessional_cells_are_thermally_activated():
    own = switching.complete(library.recipe("nyu_stochastic_write_40nm").switching, "x")
    parameters = own.law_up.parameters | {"initial_angle_sd_rad": 0.1}  # a barrier of 50
    own = own.model_copy(update={"law_up": switching.Law(name="precessional", parameters=parameters)})
    voltage = np.array([0.6, 2.0])
    found = half_select.law_rows(switching.fits(own))(voltage, np.full(2, 1e-9), np.full(2, 300.0))
    wanted = -math.expm1(-math.exp(-50 * (1 - 0.6 / parameters["critical_voltage_V"])))
    assert found[0, 0, 1] == pytest.approx(wanted, rel=1e-9, abs=0)
    assert found[1, 0, 1] == switching.rows(own, voltage, 1e-9, 300.0)[1, 0, 1]
    np.testing.assert_allclose(found.sum(axis=-1), 1, atol=1e-15)


def test_costs_of_a_write():
    line = card("sot_mtj_80nm_a").pulses
    np.testing.assert_allclose(line["energy_sot_J"], line["voltage_V"] ** 2 * 7.5e-10 / 776, rtol=1e-14)
    settled = card("sot_mtj_80nm_a", electrical__settle_s=2e-9).pulses["latency_s"]
    np.testing.assert_allclose(settled, 2.75e-9, rtol=1e-14)
    junction = card("telegraph_smtj")
    pi, conductance = junction.states["occupancy"], junction.states["conductance_S"]
    pulse = junction.pulses.iloc[0]
    square = pulse["voltage_V"] ** 2 * pulse["duration_s"]
    mean = (pi * conductance).sum()
    assert pulse["energy_mean_J"] == pytest.approx(square * mean, rel=1e-12, abs=0)
    assert pulse["energy_sd_J"] == pytest.approx(
        square * np.sqrt((pi * (conductance - mean) ** 2).sum()), rel=1e-9, abs=0
    )


def test_devices_of_the_population_are_drawn_one_by_one():
    few = card("memristor_32_levels", population__instances=5, population__conductance_max_relative_sd=0.05)
    many = card("memristor_32_levels", population__instances=400, population__conductance_max_relative_sd=0.05)
    np.testing.assert_array_equal(few.population["conductance_offset_S"], many.population["conductance_offset_S"][:5])
    # the mean over equally spaced levels moves by half of what the last one does; chi2 at the stated false alarm
    offsets = many.population["conductance_offset_S"] / (0.5 * 0.05 * 1e-5)
    assert FALSE_ALARM / 2 < stats.chi2.cdf((offsets**2).sum(), 400) < 1 - FALSE_ALARM / 2
    assert many.meta.spread["device_to_device_sd_S"] == pytest.approx(offsets.std(ddof=1) * 2.5e-7, rel=1e-9, abs=0)


def test_devices_have_kernels_of_their_own():
    made = card("sot_mtj_80nm_a", population__instances=6)
    kernels = made.extras["by_instance"]["probability"].to_numpy().reshape(6, *made.kernel.shape)
    # one factor for both directions: the slope of each logistic follows from its probabilities
    voltage = made.pulses["voltage_V"].to_numpy()
    two = [np.flatnonzero(np.isclose(voltage, level))[0] for level in (-0.9, -0.875)]
    logit = np.log(kernels[:, two, 1, 0] / kernels[:, two, 1, 1])
    slope = (logit[:, 0] - logit[:, 1]) / 0.025
    assert slope.std() / 42.7 == pytest.approx(0.077, abs=0.06) and len(set(slope.round(6))) == 6
    factor = slope / 42.7
    up = np.flatnonzero(np.isclose(voltage, 0.95))[0]
    wanted = 0.75 / (1 + np.exp(-47.1 * factor * (0.95 - 0.9192835)))
    np.testing.assert_allclose(kernels[:, up, 0, 1], wanted, atol=1e-9)
    alike = card("sot_mtj_80nm_a", population__instances=2, population__parameters_relative_sd={})
    same = alike.extras["by_instance"]["probability"].to_numpy().reshape(2, *alike.kernel.shape)
    np.testing.assert_array_equal(same, np.stack([alike.kernel] * 2))


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        (
            "pbit",
            {"gate": library.recipe("ellis_gate").gate.dump()},
            "gate: found a value, allowed: none, because",
        ),
        ("pbit", {"device": "gate"}, "pbit: found a value, allowed: none, because device is gate"),
        ("pbit", {"pbit": None}, "pbit: found nothing, allowed: its parameters"),
        ("pbit", {"pbit__bta": 1.0}, r"pbit: found unknown key 'bta' \(did you mean 'beta'\?\)"),
        ("pbit", {"pbit__beta": -1.0}, "pbit.beta: found -1.0, allowed: more than 0"),
        ("pbit", {"provenance": {"beta": "guess"}}, "provenance.beta: found guess, allowed: text that matches"),
        ("pbit", {"electrical__dynamic_range": 2.0}, "electrical: found both, allowed: conductance_min_S or dynamic"),
        ("pbit", {"electrical__conductance_min_S": None}, "electrical: found neither"),
        ("pbit", {"electrical__conductance_min_S": 3e-4}, "conductance_min_S: found 0.0003, allowed: less than"),
        (
            "pbit",
            {"electrical__write_energy_J": None},
            "write_energy_J: found nothing, allowed: a value with write_path",
        ),
        ("pbit", {"electrical__write_resistance_ohm": 5.0}, "write_resistance_ohm: found 5.0, allowed: a value with"),
        ("pbit", {"population__parameters_relative_sd": {"beta": 0.1}}, "found beta, allowed: nothing unless by_inst"),
        (
            "pbit",
            {"population": {"by_instance": True, "parameters_relative_sd": {"clock_s": 0.1}}},
            "parameters_relative_sd: found 'clock_s', allowed: beta$",
        ),
        (
            "arm_pma_mtj_50nm",
            {"population": {"by_instance": True, "parameters_relative_sd": {"alpha": 0.1}}},
            "found 'alpha', allowed: critical_voltage_V, reference_temperature_K, tau0_s, thermal_stability$",
        ),
        (
            "ellis_gate",
            {"electrical__write_path": "junction", "electrical__write_energy_J": None},
            "electrical.write_path: found junction, allowed: given, because the pulses have no voltage",
        ),
        ("telegraph_smtj", {"telegraph__voltages_V": [0.1, 0.5]}, "voltages_V: found 0.5, allowed: less than critical"),
        ("sot_mtj_80nm_a", {"switching__law_up": {"name": "logistic"}}, "law_up.parameters: found nothing, allowed: a"),
        (
            "sot_mtj_80nm_a",
            {"switching__law_up__parameters": {"slope_per_V": 1.0, "threshold": 2.0}},
            "law_up.parameters: found 'threshold', allowed: floor, plateau, slope_per_V",
        ),
        (
            "sot_mtj_80nm_a",
            {"switching__law_up__parameters": {"slope_per_V": 1.0}},
            "law_up.parameters: key 'threshold_voltage_V' is missing",
        ),
        (
            "sot_mtj_80nm_a",
            {"switching__law_up__parameters__plateau": 1.5},
            "parameters.plateau: found 1.5, allowed: 0..1",
        ),
        (
            "sot_mtj_80nm_a",
            {"switching__law_up__parameters__slope_per_V": -3.0},
            "slope_per_V: found -3, allowed: more",
        ),
        (
            "sot_mtj_80nm_a",
            {"switching__law_up__parameters__floor": 0.75},
            "law_up.parameters.floor: found 0.75, allowed: less than plateau 0.75$",
        ),
        (
            "sot_mtj_80nm_b",
            {
                "switching__law_down": {
                    "name": "logistic_plateau",
                    "parameters": {"slope_per_V": 1.0, "threshold_voltage_V": 0.9, "floor": 1.0},
                }
            },
            "law_down.parameters.floor: found 1, allowed: less than plateau 1$",
        ),
        (
            "memristor_32_levels",
            {"lattice__up__voltage_V": -1.0},
            "lattice.up.voltage_V: found -1.0, allowed: more than 0",
        ),
        ("memristor_32_levels", {"lattice__up__voltage_V": 0.0}, "up.voltage_V: found 0.0, allowed: more than 0"),
        ("memristor_32_levels", {"lattice__down__voltage_V": 1.0}, "down.voltage_V: found 1.0, allowed: less than 0"),
        (
            "arm_pma_mtj_50nm",
            {"switching__pulses__voltages_V": [0.3]},
            "voltages_V: found 0.3, allowed: less than the crit",
        ),
        (
            "arm_pma_mtj_50nm",
            {"switching__macrospin__Ki_J_per_m2": 1e-4},
            "Ki_J_per_m2: found 0.0001, allowed: more than",
        ),
        (
            "memristor_32_levels",
            {"population": {"instances": 500, "conductance_min_relative_sd": 0.2}, "electrical__dynamic_range": 1.1},
            "found device .* with conductances .*, allowed: spreads that leave 0 < lowest < highest",
        ),
        (
            "ellis_gate",
            {"population": {"instances": 40, "by_instance": True, "parameters_relative_sd": {"a": 0.2}}},
            "device.yaml: gate of device .*: found parameters that give a probability of .*, allowed: 0..1",
        ),
    ],
)
def test_errors_are_one_line_that_names_the_key(name, changes, words):
    with pytest.raises(UserError, match=words) as error:
        card(name, **changes)
    assert str(error.value).startswith("device.yaml: ") and "\n" not in str(error.value)
