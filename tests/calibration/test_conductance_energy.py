import numpy as np
import pandas as pd
import pytest

from calibration.card.tables import PULSES, conform
from calibration.readout.conductance import Junction, read_table_of
from calibration.readout.energy import MECHANISMS, gate_energy, junction_energy, line_energy, pulse_table
from spinloom.errors import UserError
from spinloom.streams import generator
from tests.calibration.conftest import wall_pulses

JUNCTION = Junction(area=600e-9 * 60e-9, resistance_area=1e-9, tmr=1.5)


def test_conductance_limits():
    # 600 nm x 60 nm / 1e-9 ohm m^2 = 36 uS, 2.5 times less antiparallel
    np.testing.assert_allclose(JUNCTION.conductance(np.array([0, 1])), [14.4e-6, 36e-6])
    np.testing.assert_allclose(JUNCTION.conductance(0.5), 25.2e-6)


def test_tmr_is_the_relative_difference_of_resistance():
    parallel, antiparallel = 1 / JUNCTION.parallel_S, 1 / JUNCTION.antiparallel_S()
    assert (antiparallel - parallel) / parallel == pytest.approx(1.5, abs=0, rel=1e-9)


def test_tmr_falls_with_the_voltage():
    # TMR(V) = 1.5/(1 + (V/0.5)^2): at 0.25 V 1.2, at 0.5 V 0.75, at 1 V 0.3; parallel does not change
    junction = Junction(area=600e-9 * 60e-9, resistance_area=1e-9, tmr=1.5, half_voltage=0.5)
    for voltage, ratio in ((0.0, 1.5), (0.25, 1.2), (0.5, 0.75), (-0.5, 0.75), (1.0, 0.3)):
        assert junction.antiparallel_S(voltage) == pytest.approx(36e-6 / (1 + ratio), abs=0, rel=1e-12)
        np.testing.assert_allclose(junction.conductance([1.0, 0.0], voltage), [36e-6, 36e-6 / (1 + ratio)])
    assert JUNCTION.antiparallel_S(5.0) == JUNCTION.antiparallel_S(0.0)


def test_reads(study):
    reads = read_table_of(np.array([20e-6, 30e-6]), study.stage.readout)
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
    assert gate_energy(2.0, 9.8, 60e-9 * 600e-9, 1.2e-9) == pytest.approx(10.41e-15, rel=1e-3, abs=0)
    assert gate_energy(-2.0, 9.8, 60e-9 * 600e-9, 1.2e-9) == gate_energy(2.0, 9.8, 60e-9 * 600e-9, 1.2e-9)


def test_junction_energy():
    # 1 V across 10 kohm for 10 ns: 1 pJ
    assert junction_energy(-1.0, 1e-8, 1e-4) == pytest.approx(1e-12, abs=0, rel=1e-12)


def test_pulse_table_adds_up_and_leaves_open_what_a_device_has_not():
    plan = wall_pulses()[["pulse", "channel", "voltage_V", "duration_s", "temperature_K"]].assign(polarity=1)
    table = pulse_table(plan, {"junction": np.arange(5.0), "clock": 2.0}, plan["duration_s"] + 1e-9, sd=0.5)
    conform(table, PULSES, "pulses.csv")
    assert table["energy_mean_J"].tolist() == [2.0, 3.0, 4.0, 5.0, 6.0] and set(table["energy_sd_J"]) == {0.5}
    assert table["energy_junction_J"].tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
    absent = [f"energy_{name}_J" for name in MECHANISMS if name != "junction"]
    assert table[[*absent, "field_T", "zhang_li_u_m_per_s", "current_density_A_per_m2"]].isna().all(axis=None)


def test_wall_pays_for_line_gate_and_reset_and_waits_for_all(good):
    reset = 4.32e-15  # (2/3)^2 x 3 x 3.24 fJ
    pulses, gate = good.pulses, 2.6031e-15 * good.pulses["voltage_V"] ** 2
    np.testing.assert_allclose(pulses["energy_sot_J"], 3.24e-15)
    np.testing.assert_allclose(pulses["energy_reset_J"], reset)
    np.testing.assert_allclose(pulses["energy_gate_J"], gate, 1e-4)
    np.testing.assert_allclose(pulses["energy_mean_J"], 3.24e-15 + gate + reset, 1e-4)
    np.testing.assert_allclose(pulses["latency_s"], 6e-9)  # 3 ns reset, 1 ns pulse, 2 ns settling
    assert set(pulses["energy_sd_J"]) == {0.0}


def test_without_reset_there_is_no_reset_energy_or_time(cards):
    pulses = cards["walking"].pulses
    assert set(pulses["energy_reset_J"]) == {0.0}
    np.testing.assert_allclose(pulses["energy_mean_J"], 3.24e-15)
    np.testing.assert_allclose(pulses["latency_s"], 3e-9)
    assert list(pulses["polarity"]) == [1, -1]


def test_missing_material_names_file_and_key(study):
    with pytest.raises(UserError, match="config.json: write_energy.resistivity_ohm_m: found -1, allowed: more than 0"):
        study.card(write_energy__resistivity_ohm_m=-1)
    del study.config["write_energy"]["resistivity_ohm_m"]
    with pytest.raises(UserError, match="^.*config.json: key write_energy.resistivity_ohm_m is missing$"):
        study.card()


def test_spread_of_the_resistance_area_product(study):
    """All conductances of a device scale with 1/RA, RA lognormal: by instance, not by order or number of devices."""
    spread = study.card(readout__RA_relative_sd=0.05)
    drawn = spread.population["conductance_factor"].to_numpy()
    normal = np.array([generator(1, "RA spread", number).standard_normal() for number in range(8)])
    np.testing.assert_allclose(-np.log(drawn), np.sqrt(np.log(1 + 0.05**2)) * normal, rtol=1e-9)
    plain = study.card(readout__RA_relative_sd=0.0)
    assert drawn.min() < 1 < drawn.max() and set(plain.population["conductance_factor"]) == {1.0}
    pd.testing.assert_frame_equal(spread.transitions, plain.transitions)
    # the same device has the same barrier in a study of fewer devices
    study.events = study.events[study.events["instance"] >= 4]
    fewer = study.card(readout__RA_relative_sd=0.05)
    np.testing.assert_allclose(fewer.population["conductance_factor"], drawn[4:], rtol=1e-12)
