"""Spin-orbit-torque junctions: thresholds, symmetries and barriers against closed forms. Fixed seeds."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.stats import binomtest

from device_sims.common import Simulations
from device_sims.config import Stage
from device_sims.devices import sot_mtj
from device_sims.devices.junctions import landscape, mtj
from device_sims.engines.llg import run as run_llg
from device_sims.engines.macrospin import solver as macrospin
from device_sims.problem import BOLTZMANN, MU0, Geometry, Initial, Material, Mesh, Numerics, Waveform, observables
from device_sims.sweep import tables
from spinloom.errors import UserError
from tests.device_sims.conftest import changed


def section(replicas: int = 1, temperature_K: float = 0.0, **changes: Any) -> Simulations:
    """The section of configs/sot_mtj.yaml without field-like torque; ``changes`` are of the family, ``__`` for dots."""
    with open("configs/sot_mtj.yaml", encoding="utf-8") as stream:
        given = yaml.safe_load(stream)["device_sims"]
    content = {
        "seed": 11,
        "device": "sot_mtj",
        **{key: given[key] for key in ("engine", "sot_mtj", "sweep", "numerics")},
    }
    parsed = changed(Stage.parse(content, "sot_mtj"), "sweep.replicas_per_instance", replicas)
    changes = {"heavy_metal__field_like_ratio": 0.0, "temperature_K": temperature_K, **changes}
    for path, value in changes.items():
        parsed = changed(parsed, "sot_mtj." + path.replace("__", "."), value)
    return parsed


def one_pulse(voltage_V: float, duration_s: float, direction: str = "AP_to_P", **changes: Any) -> Simulations:
    pulses: dict[str, Any] = {"voltages_V": [voltage_V], "durations_s": [duration_s], "directions": [direction]}
    return section(**changes, **{f"pulses__{name}": value for name, value in pulses.items()})


def simulated(given: Simulations) -> pd.DataFrame:
    rows = []
    for batch in sot_mtj.batches(given):
        for number, (problem, result) in enumerate(zip(batch.problems(), macrospin.run(batch.problems()))):
            row, _ = sot_mtj.observe(batch, problem, result)
            rows.append({"pulse": batch.pulse, "instance": batch.instance, "replica": number, **row})
    return pd.DataFrame(rows)


# -- threshold -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("b", [-0.4, -0.1, 0.0, 0.1, 0.3, 0.8])
def test_threshold_is_the_largest_field_that_the_state_can_balance(b):
    angle = np.linspace(-math.pi / 2, math.pi / 2, 200001)
    assert sot_mtj.threshold(b) == pytest.approx((np.cos(angle) * (np.sin(angle) - b)).max(), abs=1e-9)
    assert sot_mtj.threshold(b) == pytest.approx(0.5 - b / math.sqrt(2), abs=0.3 * b * b)
    assert sot_mtj.threshold(1.2) == 0.0


@pytest.mark.parametrize("polarity", [1, -1])
@pytest.mark.parametrize("b", [0.05, 0.3])
def test_slow_current_loses_the_state_at_the_threshold(b, polarity):
    """T = 0, a ramp of 20 ns, alpha 0.1: at 0.97 of the threshold the state is still there, at 1.03 it is not.

    From AP, by a pulse that favours P and by one that favours AP; the two thresholds differ by sqrt2 Hx.
    """
    Hk = mtj.anisotropy_field(section().options)
    given = one_pulse(1.0, 20e-9, in_plane_field_T=b * Hk * MU0, material__alpha=0.1)
    critical = sot_mtj.critical_current_density(given.options, "AP_to_P", polarity)
    expected = 2 * 1.602176634e-19 * MU0 * 6.25e5 * 1.1e-9 / (1.054571817e-34 * 0.13) * Hk
    first_order = expected * (0.5 - polarity * b / math.sqrt(2))
    assert critical == pytest.approx(first_order, rel=0.15 * b, abs=0)
    (batch,) = sot_mtj.batches(given)
    rest, pulse, relax = batch.problem.schedule
    ends = []
    for factor in (0.97, 1.03):
        drive = replace(pulse, current_density_A_per_m2=Waveform(0.0, polarity * factor * critical))
        problem = replace(batch.problem, schedule=(rest, drive, relax))
        (result,) = macrospin.run([problem])
        ends.append(float(result.m[result.phase_end["pulse"], 2].ravel()[0]))
    # the last balanced state leans by 45 degrees and more; b of 0.3 makes its mz 0.5
    assert ends[0] < -0.65
    assert ends[1] > -0.5


def test_no_law_is_told_where_it_does_not_hold():
    changes = {"tilt_rad": 0.1}, {"heavy_metal__field_like_ratio": 0.1}, {"stray_field_T": 0.01}
    for change in changes:
        assert math.isnan(sot_mtj.critical_current_density(section(**change).options, "AP_to_P", 1))
    assert math.isnan(sot_mtj.critical_current_density(section().options, "AP_to_P", 0))


# -- symmetry and what chooses a state --------------------------------------------------------------------------------
def last(problem, engine=macrospin.run):
    (result,) = engine([problem])
    return observables.mean_magnetisation(result.m[-1:], result.mask)[0].astype(np.float64)


def small(voltage_V, **changes):
    """A disc of 4 x 4 cells, which the cells' engine does in seconds."""
    changes |= {"heavy_metal__field_like_ratio": 0.4, "wait__rest_s": 2e-10, "material__Ku_J_per_m3": 2.3e5}
    given = one_pulse(voltage_V, 1e-9, **changes)
    given = changed(changed(given, "sot_mtj.wait.relax_s", 1e-9), "sot_mtj.layer.cell_m", 5e-9)
    return changed(given, "sot_mtj.layer.diameter_m", 20e-9)


@pytest.mark.long
@pytest.mark.parametrize("engine", [macrospin.run, run_llg])
def test_turning_field_and_current_changes_nothing(engine):
    """T = 0: half a turn about the normal takes Hx, J and the in-plane start to their opposites and leaves mz."""
    ends = []
    for sign in (1, -1):
        given = small(sign * 1.3, in_plane_field_T=sign * 0.03)
        (batch,) = sot_mtj.batches(given)
        start = Initial("uniform", direction=(0.02 * sign, 0.01 * sign, -1.0))
        numerics = Numerics(1e-13, "heun" if engine is macrospin.run else "rk4", "float64", 0)
        ends.append(last(replace(batch.problem, initial=start, numerics=numerics), engine))
    np.testing.assert_allclose(ends[0], ends[1] * [-1, -1, 1], rtol=0, atol=1e-6)
    assert ends[0][2] > 0.5  # it has switched


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize(
    "V, change", [(1.3, {"in_plane_field_T": 0.05}), (2.0, {"in_plane_field_T": 0.0, "tilt_rad": 0.2})]
)
def test_polarity_chooses_the_state(side, V, change):
    """A pulse of 3 ns at 300 K, alpha 0.5: J Hx > 0, or J along the lean, makes P.

    From both states; of 4 x 32 writes none may miss.
    """
    for direction in mtj.DIRECTIONS:
        given = one_pulse(side * V, 3e-9, direction, replicas=32, temperature_K=300.0, material__alpha=0.5, **change)
        sot_mtj.check(given)
        assert (simulated(given)["final_state"] == (mtj.P if side > 0 else mtj.AP)).all()


def test_without_field_and_lean_the_outcome_is_a_coin():
    """A strong pulse of 5 ns at Hx = 0: 1024 writes from each state, exact binomial tests at 1e-3 each."""
    for direction in mtj.DIRECTIONS:
        given = one_pulse(2.0, 5e-9, direction, replicas=1024, temperature_K=300.0, in_plane_field_T=0.0)
        ended = simulated(given)["final_state"]
        decided = ended[ended != mtj.UNDECIDED]
        assert len(decided) > 1000
        assert binomtest(int((decided == mtj.P).sum()), len(decided), 0.5).pvalue > 1e-3


# -- states and barriers --------------------------------------------------------------------------------------------
def ball(Ku=1e5, axis=(0.0, 0.0, 1.0)):
    return Material(1e6, 1e-11, 0.1, Ku_J_per_m3=Ku, axis=axis), Mesh(1, 1, (1e-8, 1e-8, 1e-8)), Geometry()


@pytest.mark.parametrize("h", [0.0, 0.2, 0.6])
def test_barrier_in_fields_is_that_of_stoner_and_wohlfarth(h):
    """A cube: K V (1 - h)^2 in a field across the axis, K V (1 +- h)^2 along it; the state leans by asin h."""
    (body, mesh, shape), B = ball(), 0.2  # mu0 Hk = 2 Ku/Ms
    for side in (1, -1):
        across = landscape.barrier_J(body, mesh, shape, (h * B, 0.0, 0.0), side)
        along = landscape.barrier_J(body, mesh, shape, (0.0, 0.0, h * B), side)
        assert across == pytest.approx(1e-19 * (1 - h) ** 2, rel=1e-5, abs=0)
        assert along == pytest.approx(1e-19 * (1 + side * h) ** 2, rel=1e-5, abs=0)
        lean = landscape.rest(body, mesh, shape, (0.0, h * B, 0.0), side)
        np.testing.assert_allclose(lean, [0, h, side * math.sqrt(1 - h * h)], rtol=0, atol=1e-5)


def test_barrier_does_not_depend_on_where_the_axis_leans_to():
    """In a cube, which has no shape anisotropy, a leaning axis turns the whole landscape: K V as before."""
    for azimuth in (0.0, 1.0, math.pi / 2):
        axis = (0.3 * math.cos(azimuth), 0.3 * math.sin(azimuth), math.sqrt(1 - 0.09))
        for side in (1, -1):
            assert landscape.barrier_J(*ball(axis=axis), (0.0, 0.0, 0.0), side) == pytest.approx(1e-19, rel=1e-5, abs=0)
            found = landscape.rest(*ball(axis=axis), (0.0, 0.0, 0.0), side)
            np.testing.assert_allclose(found, side * np.array(axis), rtol=0, atol=1e-5)


def test_stability_of_the_device():
    """The disc in its field: Delta (1 - h)^2; the simulated moment at rest leans as the landscape says."""
    given = one_pulse(0.0, 1e-9, temperature_K=300.0, material__alpha=0.5)
    options = given.options
    h = 0.02 / MU0 / mtj.anisotropy_field(options)
    assert sot_mtj.stability(options) == pytest.approx(mtj.stability(options) * (1 - h) ** 2, rel=1e-5, abs=0)
    (batch,) = sot_mtj.batches(changed(given, "sot_mtj.temperature_K", 0.0))
    at_rest = landscape.rest(batch.problem.material, *mtj.disc(options.layer), (0.02, 0.0, 0.0), -1)
    np.testing.assert_allclose(last(batch.problem), at_rest, rtol=0, atol=1e-4)
    barrier = sot_mtj.writes(given).barrier
    assert barrier is not None
    assert barrier.thermal_stability == pytest.approx(sot_mtj.stability(options), rel=1e-12, abs=0)
    tilted = section(temperature_K=300.0, stray_field_T=0.02).options
    assert sot_mtj.stability(tilted, 1) > sot_mtj.stability(tilted) == sot_mtj.stability(tilted, -1)
    assert BOLTZMANN * 300 * sot_mtj.stability(tilted) > 0


# -- tables -----------------------------------------------------------------------------------------------------------
def test_tables_and_energy():
    """V^2 t/R of the line with R = rho l/(w d); J = V/(rho l); a row for each sign from each state."""
    given = section(replicas=4, temperature_K=300.0, pulses__voltages_V=[-1.0, 1.0], pulses__durations_s=[1e-9])
    sot_mtj.check(given)
    pulses, events = sot_mtj.pulses(given), simulated(given)
    assert len(tables.checked(pulses, tables.pulses(sot_mtj), "pulses")) == 4
    summary = tables.checked(sot_mtj.summarise(given, pulses, events), tables.summary(sot_mtj), "summary")
    resistance = 2.78e-6 * 240e-9 / (200e-9 * 4.3e-9)
    assert summary["write_energy_mean_J"].to_numpy() == pytest.approx(1e-9 / resistance, rel=1e-9, abs=0)
    current = np.sign(pulses["voltage_V"]) / resistance / (200e-9 * 4.3e-9)
    np.testing.assert_allclose(summary["current_density_A_per_m2"], current, rtol=1e-9, atol=0)
    # J Hx > 0 favours P: from AP the threshold is lower than from P
    critical = summary.set_index(["direction", "voltage_V"])["critical_current_density_A_per_m2"]
    assert critical["AP_to_P", 1.0] == critical["P_to_AP", -1.0] < critical["AP_to_P", -1.0]
    assert all(type(value) in (str, float, type(None)) for value in sot_mtj.describe(given).values())


def test_instances_keep_their_axis_and_torque():
    given = changed(section(tilt_rad=0.1, tilt_azimuth_rad=0.0), "sweep.instances", 3)
    given = changed(given, "sot_mtj.spread.Ku_relative_sd", 0.02)
    bodies = {batch.problem.material for batch in sot_mtj.batches(given)}
    assert len(bodies) == 3
    assert {body.axis for body in bodies} == {(math.sin(0.1), 0.0, math.cos(0.1))}
    assert {body.polarisation for body in bodies} == {(0.0, 1.0, 0.0)}


@pytest.mark.parametrize(
    "path, value, key",
    [
        ("in_plane_field_T", 0.2, "in_plane_field_T"),
        ("stray_field_T", -0.3, "in_plane_field_T"),
        ("tilt_rad", 1.1, "in_plane_field_T"),
        ("heavy_metal.width_m", 50e-9, "heavy_metal.width_m"),
        ("pulses.voltages_V", [0.5, 0.5], "pulses.voltages_V"),
        ("layer.cell_m", 3e-9, "layer.cell_m"),
    ],
)
def test_refusals_name_the_key(path, value, key):
    given = section()
    sot_mtj.check(given)
    with pytest.raises(UserError, match=rf"^device_sims\.(sot_mtj\.)?{key}: found"):
        sot_mtj.check(changed(given, f"sot_mtj.{path}", value))


def test_one_moment_follows_the_cells_of_a_small_disc():
    """One pulse at T = 0, on 20 nm: after it the moment and the mean of the cells are in the same direction."""
    (batch,) = sot_mtj.batches(small(1.3))
    start = Initial("uniform", direction=(0.02, 0.01, -1.0))
    one = replace(batch.problem, initial=start, numerics=Numerics(1e-13, "heun", "float64", 0))
    cells = replace(one, numerics=Numerics(1e-13, "rk4", "float64", 0))
    np.testing.assert_allclose(last(one), last(cells, run_llg), rtol=0, atol=0.02)
