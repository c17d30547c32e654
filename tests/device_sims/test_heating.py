"""Joule heating: the noise follows T(t), on one moment and on cells. Fixed seeds; false-alarm rates are stated."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import cumulative_trapezoid
from scipy.stats import binomtest, kstest

from device_sims.devices import sot_mtj, stt_mtj, vcma_mtj
from device_sims.devices.junctions.junction import Heating
from device_sims.engines.llg import run as run_llg
from device_sims.engines.macrospin import solver as macrospin
from device_sims.problem import BOLTZMANN, Geometry, Initial, Material, Mesh, Numerics, Phase, Problem, waveforms
from device_sims.sweep import tables
from spinloom.errors import UserError
from tests.device_sims.conftest import changed
from tests.device_sims.test_mtj import section, simulated

MS, VOLUME = 1e6, 1e-24
HEATING = Heating(thermal_resistance_K_per_W=2e6, time_constant_s=1e-9)
FAMILIES = {"stt_mtj": stt_mtj, "vcma_mtj": vcma_mtj, "sot_mtj": sot_mtj}


def moment(factor, T=100.0, duration=2e-9, Delta=3.0) -> Problem:
    """A cube of one cell whose barrier is Delta kB T at 300 K, without stray field."""
    Ku = Delta * BOLTZMANN * 300 / VOLUME
    return Problem(
        Mesh(1, 1, (1e-8, 1e-8, 1e-8)), Geometry(), Material(MS, 1e-11, 0.3, Ku_J_per_m3=Ku),
        (Phase("run", duration, temperature_factor=factor),), Initial("uniform", (0.0, 0.0, 1.0)), T,
        Numerics(1e-12, "heun", "float64", 0, demag=False), duration, stream=(5, "heated"),
    )  # fmt: skip


def replicas(problem, number):
    return [replace(problem, stream=(*problem.stream, i)) for i in range(number)]


def last(problems, run=macrospin.run):
    return np.array([result.m[-1].ravel() for result in run(problems)], np.float64)


# -- the course of the temperature -----------------------------------------------------------------------------------
def test_temperature_by_hand():
    """1 mW through 2e6 K/W: 2000 K in the long run, 1 - 1/e of it after 1 ns, 1/e of that 1 ns after the pulse."""
    during, after = HEATING.factors(1e-3, 1e-9, 300.0)
    rise = 2000 * (1 - math.exp(-1))
    assert HEATING.rise_K(1e-3, 1e-9) == pytest.approx(rise, rel=1e-12, abs=0)
    assert HEATING.rise_K(1e-3, 1e-6) == pytest.approx(2000, rel=1e-12, abs=0)
    found = [300 * waveforms.at(during, t, 1e-9) for t in (0.0, 1e-9)]
    found += [300 * waveforms.at(after, t, 5e-9) for t in (0.0, 1e-9)]
    assert found == pytest.approx([300, 300 + rise, 300 + rise, 300 + rise / math.e], rel=1e-12, abs=0)


def test_power_is_that_of_the_start_state_or_of_the_line():
    given = section("stt_mtj").options
    area, RA, TMR = math.pi / 4 * 40e-9**2, 9.8e-12, 1.2
    assert stt_mtj.mtj.power_W(given, "P_to_AP", -0.5) == pytest.approx(0.25 * area / RA, rel=1e-9, abs=0)
    assert stt_mtj.mtj.power_W(given, "AP_to_P", 0.5) == pytest.approx(0.25 * area / RA / (1 + TMR), rel=1e-9, abs=0)
    line = changed(section("sot_mtj", voltages_V=[0.9], durations_s=[1e-9]), "sot_mtj.heating", HEATING)
    resistance = 2.78e-6 * 240e-9 / (200e-9 * 4.3e-9)
    for batch in sot_mtj.batches(line):
        pulse = batch.problem.schedule[1]
        full = 0.81 / resistance * 2e6 / 300
        assert waveforms.at(pulse.temperature_factor, 1e-6, 1e-6) == pytest.approx(1 + full, rel=1e-9, abs=0)


# -- the engines ------------------------------------------------------------------------------------------------------
@pytest.mark.long
@pytest.mark.parametrize("run, number", [(macrospin.run, 2048), (run_llg, 512)])
def test_equilibrium_at_the_plateau_is_that_of_the_temperature_reached(run, number):
    """100 K that become 300 K: Boltzmann at 300 K within one well, KS at 1e-3; at 100 K it is refused."""
    _, hot = (
        replicas(moment(1.0), 1),
        replicas(moment(waveforms.Pulse("exponential", -2.0, 0.0, 5e-11, offset=3.0)), number),
    )
    mz = np.abs(last(hot, run)[:, 2])
    x = np.linspace(0, 1, 4001)

    def law(T):
        weight = np.exp(3.0 * 300 / T * (x * x - 1))
        total = cumulative_trapezoid(weight, x, initial=0)
        return lambda value: np.interp(value, x, total / total[-1])

    assert kstest(mz, law(300.0)).pvalue > 1e-3
    assert kstest(mz, law(100.0)).pvalue < 1e-6


@pytest.mark.long
def test_a_constant_factor_is_another_temperature():
    """100 K times 3 walks the path of 300 K, at double precision."""
    np.testing.assert_allclose(last([moment(3.0)]), last([moment(1.0, T=300.0)]), rtol=0, atol=1e-9)


def test_noise_follows_the_drive_within_a_phase():
    """A free moment, first steps: the spread of a step is sqrt(T); 4096 replicas, 6 standard errors of a variance."""
    ramp = waveforms.Waveform(0.0, 2.0)
    problem = replace(moment(ramp, T=300.0, duration=4e-11, Delta=1e-6), record_interval_s=1e-11)
    m = np.array([r.m[:, :2].reshape(-1, 2) for r in macrospin.run(replicas(problem, 4096))])
    variance = m.var(0).mean(1)
    # the angle's variance grows with the integral of T: as t^2 for a ramp
    assert variance[2] / variance[4] == pytest.approx(1 / 4, rel=6 * math.sqrt(2 / 4096) * 1.5, abs=0)
    assert variance[1] / variance[4] == pytest.approx(1 / 16, rel=6 * math.sqrt(2 / 4096) * 1.5, abs=0)


@pytest.mark.long
def test_other_drives_of_temperature_share_a_run():
    """Points and a pulse in one call: each lane is what it is alone."""
    points = waveforms.Points((0.0, 1e-9, 2e-9), (1.0, 3.0, 1.0))
    mixed = [
        moment(points),
        moment(1.0),
        moment(waveforms.Pulse("gauss", 2.0, 1e-9, 2e-10, offset=1.0)),
        moment(points),
    ]
    mixed = [replace(problem, stream=(1, place)) for place, problem in enumerate(mixed)]
    np.testing.assert_array_equal(last(mixed), np.concatenate([last([problem]) for problem in mixed]))


# -- the families -----------------------------------------------------------------------------------------------------
def test_without_heating_nothing_is_said_of_it():
    for name, family in FAMILIES.items():
        given = section(name)
        phases = family.batches(given)[0].problem.identity()["schedule"]
        assert not any("temperature_factor" in phase for phase in phases)
    assert "temperature_end_K" not in stt_mtj.summarise(*summary_of(section("stt_mtj", voltages_V=[0.8])))


def summary_of(given):
    pulses = stt_mtj.pulses(given)
    events = simulated(stt_mtj, changed(given, "sweep.replicas_per_instance", 4))
    return given, pulses, events


@pytest.mark.long
def test_heated_probabilities_are_those_of_the_fokker_planck_equation():
    """Four exact binomial tests at 1e-3, where the heat changes the law by up to 0.2."""
    cold = section("stt_mtj", voltages_V=[0.6, 0.7], durations_s=[4e-9])
    hot = changed(cold, "stt_mtj.heating", HEATING.model_copy(update={"thermal_resistance_K_per_W": 1e7}))
    stt_mtj.check(hot)
    pulses = stt_mtj.pulses(hot)
    summary = stt_mtj.summarise(hot, pulses, simulated(stt_mtj, hot))
    tables.checked(summary, tables.summary(stt_mtj), "summary")
    columns = (summary[name].tolist() for name in ("switched", "writes", "probability_fokker_planck"))
    for switched, writes, law in zip(*columns):
        assert binomtest(switched, writes, law).pvalue > 1e-3
    laws = stt_mtj.summarise(*summary_of(cold))["probability_fokker_planck"]
    assert (summary["probability_fokker_planck"] - laws).max() > 0.15
    closed = ["probability_butler", "probability_precessional", "probability_neel_brown"]
    assert summary[closed].isna().to_numpy().all()
    power = pulses["voltage_V"] ** 2 * math.pi / 4 * 40e-9**2 / 9.8e-12 / np.where(pulses["voltage_V"] > 0, 2.2, 1)
    assert summary["temperature_end_K"].to_numpy() == pytest.approx(
        300 + 1e7 * power * (1 - math.exp(-4)), rel=1e-9, abs=0
    )
    assert (pulses["temperature_K"] == 300).all()


@pytest.mark.parametrize("name", FAMILIES)
def test_heat_from_nothing_is_refused(name):
    given = changed(section(name), f"{name}.heating", HEATING)
    FAMILIES[name].check(given)
    with pytest.raises(UserError, match=rf"^device_sims\.{name}\.heating: found heating at temperature_K 0"):
        FAMILIES[name].check(changed(given, f"{name}.temperature_K", 0.0))
