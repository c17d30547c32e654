"""Tunnel junctions: probabilities against the Fokker-Planck equation, laws by hand, tables. Fixed seeds."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.special import betainc
from scipy.stats import binomtest

from device_sims.common import Simulations
from device_sims.config import Stage
from device_sims.devices import Batch, stt_mtj, vcma_mtj
from device_sims.devices.junctions import landscape, mtj
from device_sims.engines import Result
from device_sims.engines.macrospin import solver as macrospin
from device_sims.problem import BOLTZMANN, GAMMA0, MU0
from device_sims.sweep import tables
from spinloom.errors import UserError
from tests.device_sims.conftest import changed

FAMILIES = {"stt_mtj": stt_mtj, "vcma_mtj": vcma_mtj}


def section(name: str, **pulses) -> Simulations:
    """The section of the family's config in `configs`, with other axes of the sweep and 512 replicas."""
    with open(f"configs/{name}.yaml", encoding="utf-8") as stream:
        given = yaml.safe_load(stream)["device_sims"]
    given[name]["pulses"].update(pulses)
    content = {"seed": 11, "device": name, **{key: given[key] for key in ("engine", name, "sweep", "numerics")}}
    return changed(Stage.parse(content, name), "sweep.replicas_per_instance", 512)


def simulated(family, given: Simulations) -> pd.DataFrame:
    rows = []
    for batch in family.batches(given):
        for number, (problem, result) in enumerate(zip(batch.problems(), macrospin.run(batch.problems()))):
            row, _ = family.observe(batch, problem, result)
            rows.append({"pulse": batch.pulse, "instance": batch.instance, "replica": number, **row})
    return pd.DataFrame(rows)


# -- spin-transfer torque --------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def written():
    """Below, about and above V_c0, in both directions, with an offset field, a field-like torque and asymmetry."""
    given = section("stt_mtj", voltages_V=[0.45, 0.6, 0.8], durations_s=[4e-9])
    given = changed(given, "stt_mtj.junction.slonczewski_lambda", 1.1)
    given = changed(given, "stt_mtj.junction.field_like_ratio", 0.3)
    given = changed(given, "stt_mtj.stray_field_T", 0.01)
    stt_mtj.check(given)
    pulses, events = stt_mtj.pulses(given), simulated(stt_mtj, given)
    return given, pulses, events, stt_mtj.summarise(given, pulses, events)


def test_probabilities_are_those_of_the_fokker_planck_equation(written):
    """Six exact binomial tests at 1e-3: false alarms 0.6 % in all."""
    summary = written[-1]
    for row in summary.itertuples():
        assert binomtest(row.switched, row.writes, row.probability_fokker_planck).pvalue > 1e-3
    assert summary["probability_fokker_planck"].between(0.05, 0.95).sum() >= 3
    # neither direction is the other's mirror here
    per_direction = summary.groupby("direction")["probability_fokker_planck"].sum()
    assert abs(per_direction["P_to_AP"] - per_direction["AP_to_P"]) > 0.1


def test_tables_obey_their_schemas(written):
    given, pulses, events, summary = written
    assert len(tables.checked(pulses, tables.pulses(stt_mtj), "pulses")) == 6
    assert len(tables.checked(summary, tables.summary(stt_mtj), "summary")) == 6
    signs = pulses.groupby("direction")["voltage_V"].agg(["min", "max"])
    assert signs.loc["P_to_AP"].tolist() == [-0.8, -0.45]
    assert signs.loc["AP_to_P"].tolist() == [0.45, 0.8]
    assert (events["switching_time_s"].notna() == events["switched"]).all()
    assert events.loc[events["switched"], "switching_time_s"].between(0, 7e-9).all()
    assert (summary["switched"] + summary["undecided"] <= summary["writes"]).all()


def test_laws_by_hand():
    """papers' table of the law, theta_sigma = 0.1; Brown's escape without drive; and the Fokker-Planck equation.

    Without drive the equation's own escape from a well of Delta = 8 is Brown's within 1/Delta.
    """
    law = stt_mtj.Axial(rate=1e9, delta=50.0, offset=0.0, drive=2.0, lean=0.0)
    expected = [0.0, 0.034, 0.434, 0.774, 0.916, 0.969]
    assert [law.precessional(k * 1e-9) for k in range(1, 7)] == pytest.approx(expected, abs=6e-4)
    well = stt_mtj.Axial(rate=1e9, delta=8.0, offset=0.0, drive=0.0, lean=0.0)
    rate = well.escape_rate()
    assert rate == pytest.approx(1e9 * math.sqrt(8 / math.pi) * math.exp(-8), rel=1e-12, abs=0)
    escaped = [stt_mtj.fokker_planck(well, well, (5e-9, t, 5e-9)) for t in (0.1 / rate, 0.3 / rate)]
    found = math.log((1 - 2 * escaped[0]) / (1 - 2 * escaped[1])) / (2 * 0.2 / rate)
    assert found == pytest.approx(rate * (1 - 1 / 8), rel=0.04, abs=0)


def test_butler_follows_the_simulation_where_the_half_normal_law_does_not():
    """At twice V_c0 and beyond, over all widths: Butler's distribution to 0.03, the half-normal law off by 0.56."""
    config = section("stt_mtj").options
    rest = stt_mtj.axial(config, "P_to_AP", 0.0)
    rows = []
    for over in (2.0, 3.0, 4.0):
        driven = rest._replace(drive=over)
        for growth in np.linspace(0.5, 6, 12):
            t = growth / (rest.rate * (over - 1))
            exact = stt_mtj.fokker_planck(rest, driven, (2e-9, t, 5e-9))
            rows.append((exact, driven.butler(t) - exact, driven.precessional(t) - exact))
    exact, butler, half_normal = np.array(rows).T
    assert exact.min() < 0.05 and exact.max() > 0.95
    assert np.abs(butler).max() < 0.03
    assert half_normal.min() == pytest.approx(-0.56, abs=0.03)
    assert half_normal.max() < 0.01


def test_critical_voltage_and_stability_by_hand():
    """40 nm disc of configs/stt_mtj.yaml, with the shape factor of its cells."""
    config = section("stt_mtj").options
    Hk = mtj.anisotropy_field(config)
    assert mtj.stability(config) == pytest.approx(40.0, abs=2.0)
    a = 0.03 * Hk  # alpha Hk
    efficiency = 0.61 / (1 + 0.61**2)
    J = a * 2 * 1.602176634e-19 * MU0 * 1.2e6 * 1.1e-9 / (1.054571817e-34 * efficiency)
    for direction in mtj.DIRECTIONS:
        assert stt_mtj.critical_voltage(config, direction) == pytest.approx(J * 9.8e-12, rel=1e-9, abs=0)


def test_switching_time_at_zero_temperature():
    """From a known angle: wt = F(x0) - F(0), F = (ln(i-x)/(i^2-1)) - ln(1-x)/(2(i-1)) + ln(1+x)/(2(i+1))."""
    given = section("stt_mtj", voltages_V=[1.2], durations_s=[8e-9], directions=["P_to_AP"])
    given = changed(given, "stt_mtj.temperature_K", 0.0)
    config = given.options
    (batch,) = stt_mtj.batches(given)
    angle = 0.05
    start = replace(batch.problem.initial, direction=(math.sin(angle), 0.0, math.cos(angle)))
    pulse = [replace(phase, duration_s=1e-12) if phase.name == "rest" else phase for phase in batch.problem.schedule]
    problem = replace(batch.problem, initial=start, schedule=tuple(pulse), record_interval_s=1e-11)
    (result,) = macrospin.run([problem])
    row, _ = stt_mtj.observe(batch, problem, result)
    driven = stt_mtj.axial(config, "P_to_AP", 1.2)
    i = driven.drive

    def F(x):
        return math.log(i - x) / (i * i - 1) - math.log(1 - x) / (2 * (i - 1)) + math.log(1 + x) / (2 * (i + 1))

    expected = (F(math.cos(angle)) - F(0.0)) / driven.rate
    assert row["switched"]
    assert row["switching_time_s"] == pytest.approx(expected, rel=0.003, abs=0)


# -- voltage-controlled anisotropy -----------------------------------------------------------------------------------
def freed(**pulses) -> Simulations:
    """The section with the voltage that leaves no anisotropy at all."""
    given = section("vcma_mtj", **pulses)
    effective = mtj.anisotropy_field(given.options) * MU0 * given.options.material.Ms_A_per_m / 2
    voltage = effective / -vcma_mtj.Ku_change(given.options, 1.0)
    return changed(given, "vcma_mtj.pulses.voltages_V", [voltage])


def test_moment_turns_about_the_bias_field():
    """T = 0, no anisotropy: a half turn takes pi (1 + alpha^2)/(gamma0 H); two zeros of mz are that far apart."""
    given = freed(durations_s=[4e-9], directions=["P_to_AP"])
    given = changed(given, "vcma_mtj.temperature_K", 0.0)
    given = changed(given, "numerics.record_interval_s", 1e-11)
    config = given.options
    (batch,) = vcma_mtj.batches(given)
    (result,) = macrospin.run([batch.problem])
    inside = slice(result.phase_end["rest"], result.phase_end["pulse"])
    t, mz = result.t_s[inside], result.m[inside, 2].ravel()
    k = np.flatnonzero(mz[:-1] * mz[1:] < 0)
    zeros = t[k] + (t[k + 1] - t[k]) * mz[k] / (mz[k] - mz[k + 1])
    half = math.pi * (1 + 0.03**2) * MU0 / (GAMMA0 * 0.03)
    assert vcma_mtj.half_period(config) == pytest.approx(half, rel=1e-12, abs=0)
    assert len(zeros) == 7
    np.testing.assert_allclose(np.diff(zeros), half, rtol=2e-3)


@pytest.mark.parametrize("temperature, tolerance", [(0.0, 0.0), (300.0, 0.05)])
def test_odd_half_turns_switch_and_even_ones_do_not(temperature, tolerance):
    """From both states. At 300 K the outcomes are sure to within 5 % (simulated: 1 %): no false alarms."""
    half = vcma_mtj.half_period(section("vcma_mtj").options)
    given = freed(durations_s=[round(n * half, 12) for n in (1, 2, 3, 4)])
    given = changed(given, "vcma_mtj.temperature_K", temperature)
    given = changed(given, "sweep.replicas_per_instance", 128 if temperature else 1)
    vcma_mtj.check(given)
    pulses, events = vcma_mtj.pulses(given), simulated(vcma_mtj, given)
    summary = tables.checked(vcma_mtj.summarise(given, pulses, events), tables.summary(vcma_mtj), "summary")
    turns = np.rint(summary["duration_s"] / half)
    assert len(summary) == 8
    assert np.abs(summary["probability"] - turns % 2).max() <= tolerance
    assert summary["anisotropy_field_A_per_m"].abs().max() < 1e-3


def test_bias_field_lowers_the_barrier_that_the_card_tells():
    """Delta (1 - h)^2, which is the pass of the moment's energy in the field."""
    given = section("vcma_mtj")
    h = 0.03 / MU0 / mtj.anisotropy_field(given.options)
    barrier = vcma_mtj.writes(given).barrier
    assert barrier is not None and 0.1 < h < 0.3
    assert barrier.thermal_stability == pytest.approx(mtj.stability(given.options) * (1 - h) ** 2, rel=1e-9, abs=0)
    body = vcma_mtj.batches(given)[0].problem.material
    found = landscape.barrier_J(body, *mtj.disc(given.options.layer), (0.03, 0.0, 0.0), 1) / (BOLTZMANN * 300)
    assert barrier.thermal_stability == pytest.approx(found, rel=1e-5, abs=0)


# -- what both share -------------------------------------------------------------------------------------------------
def trajectory(mz, ends=(1, 3)) -> Result:
    m = np.zeros((len(mz), 3, 1, 2, 2))
    m[:, 2] = np.array(mz)[:, None, None, None] * np.array([[1, 1], [1, 0]])
    mask = np.array([[[True, True], [True, False]]])
    return Result(np.arange(len(mz)) * 1e-9, m, mask, {"rest": ends[0], "pulse": ends[1], "relax": len(mz) - 1}, {})


@pytest.mark.parametrize(
    "mz, expected",
    [
        ([1, 0.9, 0.3, -0.6, -0.9], ("P", "AP", True, 1e-9 * (1 + 0.3 / 0.9), 0.225)),
        ([1, 0.9, -0.3, 0.6, 0.9], ("P", "P", False, math.nan, 0.225)),
        ([1, 0.9, 0.3, 0.1, -0.2], ("P", "undecided", False, math.nan, 0.4)),
        ([1, 0.4, 0.2, -0.2, -0.8], ("undecided", "AP", True, 1.5e-9, 0.15)),
    ],
)
def test_what_is_read_off_a_write(mz, expected):
    (batch,) = stt_mtj.batches(section("stt_mtj", voltages_V=[0.8], durations_s=[2e-9], directions=["P_to_AP"]))
    row, record = stt_mtj.observe(batch, batch.problem, trajectory(mz))
    names = ("start_state", "final_state", "switched", "switching_time_s", "mz_pulse_mean")
    for name, value in zip(names, expected):
        assert row[name] == (pytest.approx(value, rel=1e-9, abs=0, nan_ok=True) if isinstance(value, float) else value)
    assert list(row) == list(stt_mtj.EVENT_COLUMNS)
    assert list(record) == list(stt_mtj.TRAJECTORY_COLUMNS)
    np.testing.assert_allclose(record["mz"], mz, rtol=0, atol=1e-12)


def test_summary_counts_and_energy():
    """Three of four switched, one undecided; the energy of a junction that is P on half of its pulse."""
    given = section("stt_mtj", voltages_V=[0.8], durations_s=[2e-9], directions=["AP_to_P"])
    pulses = stt_mtj.pulses(given)
    events = pd.DataFrame(
        {
            "pulse": 0,
            "switched": [True, True, True, False],
            "final_state": ["P", "P", "P", "undecided"],
            "mz_pulse_mean": [0.5, -0.5, 0.2, -0.2],
            "switching_time_s": [1e-9, 2e-9, 3e-9, math.nan],
        }
    )
    (row,) = stt_mtj.summarise(given, pulses, events).to_dict("records")
    assert (row["writes"], row["switched"], row["undecided"], row["probability"]) == (4, 3, 1, 0.75)
    assert betainc(3.5, 1.5, [row["ci_low"], row["ci_high"]]) == pytest.approx([0.025, 0.975], abs=1e-9)
    assert row["switching_time_mean_s"] == pytest.approx(2e-9, rel=1e-9, abs=0)
    area = 208 * (2.5e-9) ** 2  # cells of a disc 16 cells across
    conductance = area / 9.8e-12 * (1 + 1 / 2.2) / 2
    assert row["write_energy_mean_J"] == pytest.approx(0.64 * 2e-9 * conductance, rel=1e-9, abs=0)


def test_interval_at_the_ends():
    low, high = mtj.interval([0, 20], [20, 20])
    assert (low[0], high[1]) == (0.0, 1.0)
    assert high[0] == pytest.approx(1 - low[1], abs=1e-12)
    assert high[0] == pytest.approx(0.1164, abs=5e-4)


@pytest.mark.parametrize("name", FAMILIES)
def test_streams_have_the_names_of_values(name):
    """Reordering the sweep renames nothing; every batch has a stream of its own."""
    family = FAMILIES[name]
    given = changed(section(name, voltages_V=[0.5, 0.8], durations_s=[1e-9, 2e-9]), "sweep.instances", 2)
    turned = given
    for axis, values in given.options.pulses:
        turned = changed(turned, f"{name}.pulses.{axis}", values[::-1])
    problems = {batch.problem.stream: batch.problem for batch in family.batches(given)}
    assert len(problems) == 16
    assert problems == {batch.problem.stream: batch.problem for batch in family.batches(turned)}
    assert [batch.pulse for batch in family.batches(given)] == sorted(list(range(8)) * 2)


def test_instances_differ_by_their_ku_alone():
    given = section("stt_mtj", voltages_V=[0.8], durations_s=[2e-9], directions=["P_to_AP"])
    given = changed(given, "sweep.instances", 200)
    given = changed(given, "stt_mtj.spread.Ku_relative_sd", 0.01)
    batches: list[Batch] = stt_mtj.batches(given)
    relative = np.array([b.problem.material.Ku_J_per_m3 for b in batches]) / given.options.material.Ku_J_per_m3
    # five standard errors of mean and sd
    assert relative.mean() == pytest.approx(1.0, abs=5 * 0.01 / math.sqrt(200))
    assert relative.std() == pytest.approx(0.01, abs=5 * 0.01 / math.sqrt(400))
    assert len({replace(b.problem, stream=(), material=batches[0].problem.material) for b in batches}) == 1


@pytest.mark.parametrize(
    "name, path, value, key",
    [
        ("stt_mtj", "layer.cell_m", 3e-9, "layer.cell_m"),
        ("stt_mtj", "pulses.voltages_V", [0.5, 0.5], "pulses.voltages_V"),
        ("stt_mtj", "pulses.durations_s", [1.5e-12], "pulses.durations_s"),
        ("stt_mtj", "material.Ku_J_per_m3", 7e5, "material.Ku_J_per_m3"),
        ("stt_mtj", "wait.rest_s", 1.5e-12, "wait.rest_s"),
        ("stt_mtj", "pulses.voltages_V", [0.001 * n for n in range(900)], "sweep"),
        ("vcma_mtj", "bias_field_T", 0.16, "bias_field_T"),
    ],
)
def test_refusals_name_the_key(name, path, value, key):
    given = section(name)
    FAMILIES[name].check(given)
    with pytest.raises(UserError, match=rf"^device_sims\.({name}\.)?{key}: found"):
        FAMILIES[name].check(changed(given, f"{name}.{path}", value))


@pytest.mark.parametrize("name", FAMILIES)
def test_description_is_plain(name):
    described = FAMILIES[name].describe(section(name))
    assert all(type(value) in (str, float, type(None)) for value in described.values())
