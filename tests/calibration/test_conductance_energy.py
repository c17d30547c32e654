import numpy as np
import pytest

from calibration import Junction, conductance_steps, distinguishable_levels, gate_energy, line_energy
from calibration.conductance import read_table_of
from calibration.energy import pulse_table
from spinloom.errors import UserError
from spinloom.streams import generator

JUNCTION = Junction(length=600e-9, width=60e-9, resistance_area=1e-9, tmr=1.5)


def test_conductance_limits():
    # 600 nm x 60 nm / 1e-9 ohm m^2 = 36 uS, 2.5 times less antiparallel
    np.testing.assert_allclose(JUNCTION.conductance(np.array([0, 600e-9])), [14.4e-6, 36e-6])
    np.testing.assert_allclose(JUNCTION.conductance(300e-9), 25.2e-6)
    np.testing.assert_allclose(JUNCTION.slope_S_per_m, 21.6e-6 / 600e-9)


def test_tmr_is_the_relative_difference_of_resistance():
    parallel, antiparallel = 1 / JUNCTION.parallel_S, 1 / JUNCTION.antiparallel_S
    assert (antiparallel - parallel) / parallel == pytest.approx(1.5, abs=0, rel=1e-9)


def test_reads(study):
    reads = read_table_of(np.array([20e-6, 30e-6]), study.config, "config.json")
    np.testing.assert_allclose(reads["energy_J"], [1e-15, 1.5e-15])  # (0.1 V)^2 x G x 5 ns
    np.testing.assert_allclose(reads["noise_sd_S"], [0.2e-6, 0.3e-6])
    np.testing.assert_allclose(reads["latency_s"], 5e-9)


def test_line_energy_of_the_worked_example():
    # 3e11 A/m^2, 2e-7 ohm m, 60 nm x 5 nm x 600 nm, 1 ns: 3.2 fJ; the same from I^2 R t
    energy = line_energy(-3e11, 1e-9, 2e-7, 60e-9, 5e-9, 600e-9)
    assert energy == pytest.approx(3.24e-15, abs=0, rel=1e-9)
    current, resistance = 3e11 * 60e-9 * 5e-9, 2e-7 * 600e-9 / (60e-9 * 5e-9)
    assert energy == pytest.approx(current**2 * resistance * 1e-9, abs=0, rel=1e-9)


def test_gate_energy():
    # 8.854e-12 x 9.8 x 60 nm x 600 nm / 1.2 nm = 2.603 fF; at 2 V 10.41 fJ
    assert gate_energy(2.0, 9.8, 60e-9, 600e-9, 1.2e-9) == pytest.approx(10.41e-15, rel=1e-3, abs=0)


def test_pulse_table_adds_reset_pulse_and_settling(study):
    pulses = pulse_table(study.pulses, study.device, "device.json", study.config, "config.json")
    reset = 4.32e-15  # (2/3)^2 x 3 x 3.24 fJ
    np.testing.assert_allclose(pulses["energy_reset_J"], reset)
    np.testing.assert_allclose(
        pulses["energy_mean_J"], 3.24e-15 + 2.6031e-15 * study.pulses["voltage_V"] ** 2 + reset, 1e-4
    )
    np.testing.assert_allclose(pulses["latency_s"], 6e-9)
    assert set(pulses["energy_sd_J"]) == {0.0}


def test_without_reset_there_is_no_reset_energy_or_time(study):
    plan = study.pulses.assign(current_density_A_per_m2=[3e11, -3e11, 0, 1e11, -1e11])
    pulses = pulse_table(
        plan, {**study.device, "reset_before_write": False}, "device.json", study.config, "config.json"
    )
    assert set(pulses["energy_reset_J"]) == {0.0}
    np.testing.assert_allclose(pulses["latency_s"], 3e-9)
    assert list(pulses["polarity"]) == [1, -1, 0, 1, -1]


def test_missing_material_names_file_and_key(study):
    config = {"write_energy": {"resistivity_ohm_m": -1}}
    with pytest.raises(
        UserError, match=r"^config.json: write_energy.resistivity_ohm_m is -1; allowed is a number > 0$"
    ):
        pulse_table(study.pulses, study.device, "device.json", config, "config.json")
    with pytest.raises(UserError, match=r"^config.json: key readout.read_voltage_V is missing$"):
        read_table_of(np.array([1e-6]), {}, "config.json")


def test_conductance_steps_against_sampling():
    rng = generator(10, "steps")
    kernel, mean, sd = rng.dirichlet(np.ones(3), (2, 3)), np.array([1.0, 2.0, 4.0]), np.array([0.5, 1.0, 0.7])
    step, step_sd = conductance_steps(kernel, mean, sd)
    after = rng.choice(3, 40_000, p=kernel[1, 2])
    drawn = rng.normal(mean[after], sd[after]) - mean[2]
    # 4.5 standard errors: 1 seed in 150,000 fails the first; the sd's error is at most that of a normal here x 2
    assert abs(drawn.mean() - step[1, 2]) < 4.5 * step_sd[1, 2] / 200
    assert abs(drawn.std() - step_sd[1, 2]) < 4.5 * 2 * step_sd[1, 2] / np.sqrt(80_000)


def test_distinguishable_levels():
    # thresholds at 1 % need z = 2.326 sd on either side: neighbours 1 apart allow sd < 0.2149
    mean = np.arange(5.0)
    assert distinguishable_levels(mean, np.full(5, 0.21)) == 5
    assert distinguishable_levels(mean, np.full(5, 0.22)) == 3
    assert distinguishable_levels(mean, np.full(5, 0.5)) == 2
    assert distinguishable_levels(mean, np.full(5, 1.0)) == 1
    # dropping the one broad level in the middle keeps the four others
    assert distinguishable_levels(mean[::-1], np.array([0.1, 0.1, 5.0, 0.1, 0.1])) == 4
    assert distinguishable_levels(np.array([1.0, 1.0]), np.zeros(2)) == 1
