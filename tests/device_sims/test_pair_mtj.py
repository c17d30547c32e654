"""Two moments that act on each other: conservation, statistics and growth against closed forms. Fixed seeds."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kstest

from device_sims import engines
from device_sims.devices import pair_mtj
from device_sims.devices.junctions import mtj
from device_sims.engines.macrospin import solver as macrospin
from device_sims.problem import BOLTZMANN, GAMMA0, HBAR, MU0, Initial, Numerics, Partner, Problem
from device_sims.problem.magnetostatics.body import volume_m3
from device_sims.problem.magnetostatics.stack import normal_factor
from device_sims.sweep import tables
from spinloom.errors import UserError
from tests.device_sims.conftest import changed
from tests.device_sims.test_heating import moment, replicas
from tests.device_sims.test_mtj import section

E_CHARGE = 1.602176634e-19


def pair(partner: Partner, *, T=0.0, duration=1e-9, start=(0.0, 0.0, 1.0), **material) -> Problem:
    one = moment(1.0, T=T, duration=duration)
    numerics = Numerics(1e-13 if T == 0 else 1e-12, "heun", "float64", 0, demag=material.pop("demag", False))
    initial = Initial("uniform", direction=start)
    body = replace(one.material, **material)
    return replace(
        one, numerics=numerics, initial=initial, material=body, partner=partner, record_interval_s=duration / 10
    )


def paths(problems):
    """Both layers' directions, float64[problems, records, layer, 3]."""
    return np.array([r.m[..., 0, 0].transpose(0, 2, 1) for r in macrospin.run(problems)], np.float64)


def test_without_damping_energy_and_moment_along_the_axis_stay():
    """T = 0, both layers far from their axes, with stray field, coupling and pinning: drifts of Heun's step alone."""
    other = Partner(2e-8, 1e-9, 8e5, 1e-9, 2e5, coupling_J_per_m2=3e-4, pinning_T=0.05, direction=(0.0, 0.5, 0.8))
    (result,) = macrospin.run([pair(other, start=(0.6, 0.0, -0.8), alpha=1e-9, demag=True)])
    terms = result.energies_J
    assert np.ptp(terms["total"]) < 2e-5 * np.ptp(terms["demag"] + terms["anisotropy"] + terms["exchange"]) + 5e-24
    assert min(np.ptp(terms[name]) for name in ("exchange", "demag", "anisotropy", "zeeman")) > 1e-22
    along = (result.m[:, 2, :, 0, 0] * [1e6 * 1e-24, 8e5 * 2e-24]).sum(1)
    np.testing.assert_allclose(along, along[0], rtol=0, atol=1e-4 * 1e-18)


def test_a_partner_at_rest_is_a_fixed_polarisation():
    """Without torque, stray field or coupling on the partner the free layer is the single moment, to rounding."""
    drives = {"current_density_A_per_m2": -8e10}
    torque = {"spin_hall_angle": 0.5, "field_like_ratio": 0.3, "slonczewski_lambda": 1.5}
    still = pair(Partner(1e-8, 1e-9, 1e6, 0.1, 1e5, torque_ratio=0.0), start=(0.1, 0.0, 1.0), **torque)
    still = replace(still, schedule=tuple(replace(phase, **drives) for phase in still.schedule))
    alone = replace(still, partner=None, material=replace(still.material, polarisation=(0.0, 0.0, 1.0)))
    single = np.array([r.m.reshape(-1, 3) for r in macrospin.run([alone])])
    np.testing.assert_allclose(paths([still])[:, :, 0], single, rtol=0, atol=1e-12)
    assert np.ptp(single[..., 2]) > 0.003


@pytest.mark.long
def test_angle_between_two_coupled_moments_is_boltzmanns():
    """No anisotropy, J A = 2 kT: the cosine has the density exp(2 c); KS at 1e-3. One noise for both would fail."""
    J = 2 * BOLTZMANN * 300 / 1e-16
    tiny = {"Ku_J_per_m3": 1e-3}
    other = Partner(2e-8, 1e-9, 8e5, 0.3, 1e-3, coupling_J_per_m2=J)
    end = paths(replicas(pair(other, T=300.0, duration=4e-9, **tiny), 1024))[:, -1]
    cosine = (end[:, 0] * end[:, 1]).sum(1)
    law = kstest(cosine, lambda c: (np.exp(2 * c) - math.exp(-2)) / (math.exp(2) - math.exp(-2)))
    assert law.pvalue > 1e-3
    assert abs(cosine.mean() - (1 / math.tanh(2) - 0.5)) < 5 * cosine.std() / 32


@pytest.mark.parametrize("current", [-3e11, 3e11])
def test_growth_is_that_of_the_coupled_linear_equations(current):
    """T = 0 about P: the larger growth rate of the 2 x 2 matrix of transverse amplitudes, to 2 %.

    With z + psi each, ``psi' = g (i - alpha)(H psi - h)`` and ``h = +- i a (psi_other - psi) + (c - s/2) psi_other``.
    """
    Ms, t, alpha, Ku = (1e6, 1.1e6), (1e-8, 1.4e-8), (0.03, 0.01), (2e5, 4e5)
    other = Partner(t[1], 2e-9, Ms[1], alpha[1], Ku[1], torque_ratio=0.8, coupling_J_per_m2=2e-4)
    torque = {"spin_hall_angle": 0.5, "alpha": alpha[0], "Ku_J_per_m3": Ku[0], "demag": True}
    problem = pair(replace(other, direction=(0.0, 1e-5, 1.0)), start=(1e-5, 0.0, 1.0), duration=2e-9, **torque)
    driven = tuple(replace(phase, current_density_A_per_m2=current) for phase in problem.schedule)
    found = paths([replace(problem, schedule=driven)])[0]
    factor = normal_factor(problem.geometry, problem.mesh, 2e-9, t[1])
    N = [macrospin.demag_tensor(problem.geometry, replace(problem.mesh, cell_m=(1e-8, 1e-8, one))) for one in t]
    s = factor * Ms[1], factor * Ms[0] * t[0] / t[1]
    matrix = np.zeros((2, 2), complex)
    for k, sign, ratio in ((0, 1, 1.0), (1, -1, 0.8)):
        a = sign * HBAR * 0.5 * ratio * current / (2 * E_CHARGE * MU0 * Ms[k] * t[k])
        c = 2e-4 / (MU0 * Ms[k] * t[k])
        H = 2 * Ku[k] / (MU0 * Ms[k]) - (N[k][2, 2] - N[k][0, 0]) * Ms[k] + s[k] + c
        g = GAMMA0 / (1 + alpha[k] ** 2) * (1j - alpha[k])
        matrix[k, k], matrix[k, 1 - k] = g * (H + 1j * a), -g * (1j * a + c - s[k] / 2)
    expected = np.linalg.eigvals(matrix).real.max()
    size = np.hypot(np.abs(found[:, 0, 0] + 1j * found[:, 0, 1]), np.abs(found[:, 1, 0] + 1j * found[:, 1, 1]))
    assert size.max() < 0.05
    measured = math.log(size[9] / size[6]) / (3 * 2e-10)
    assert measured == pytest.approx(expected, rel=0.03, abs=2e7)
    assert abs(expected) > 2e8


# -- the family -------------------------------------------------------------------------------------------------------
def simulated(given):
    rows = []
    for batch in pair_mtj.batches(given):
        for problem, result in zip(batch.problems(), macrospin.run(batch.problems())):
            rows.append({"pulse": batch.pulse, **pair_mtj.observe(batch, problem, result)[0]})
    return pd.DataFrame(rows)


@pytest.mark.long
def test_a_free_reference_hops_back_and_a_stiff_one_does_not():
    """From P at +1.5 V, which favours P, 128 writes: some end AP, by the reference; with a thick one none does."""
    given = section("pair_mtj", voltages_V=[1.5], durations_s=[8e-9], directions=["P_to_AP"])
    given = changed(given, "sweep.replicas_per_instance", 128)
    pair_mtj.check(given)
    pulses, events = pair_mtj.pulses(given), simulated(given)
    summary = tables.checked(pair_mtj.summarise(given, pulses, events), tables.summary(pair_mtj), "summary")
    assert summary["probability"].item() > 0.05 and summary["reference_turned"].item() > 10
    assert summary["reference_critical_voltage_V"].item() < 1.5
    stiff = changed(given, "pair_mtj.free_reference.thickness_m", 3e-9)
    stiff = changed(stiff, "pair_mtj.free_reference.alpha", 0.1)
    stiff = changed(stiff, "pair_mtj.layer.thickness_m", 1.0e-9)
    pair_mtj.check(stiff)
    events = simulated(stiff)
    assert (events["final_state"] == mtj.P).all() and (events["reference_mz_final"] > 0.5).all()
    assert min(pair_mtj.critical_voltages(stiff.options, "P_to_AP")[1:]) > 1.5


def test_critical_voltages_by_hand():
    """alpha (Hk + H) over the torque per volt; the reference's field has the stray field that the free layer makes."""
    options = section("pair_mtj").options
    mesh, shape = mtj.disc(options.layer)
    factor, efficiency = normal_factor(shape, mesh, 1e-9, 1.5e-9), 0.61 / (1 + 0.61**2)
    per_volt = HBAR * efficiency / (2 * E_CHARGE * MU0 * 1.2e6 * 9.8e-12)
    Hk = mtj.anisotropy_field(options)
    for direction, side in mtj.DIRECTIONS.items():
        free, reference = pair_mtj.critical_voltages(options, direction)
        assert free == pytest.approx(0.03 * (Hk + side * factor * 1.2e6) / (per_volt / 1.1e-9), rel=1e-9, abs=0)
        thick = replace(mesh, cell_m=(2.5e-9, 2.5e-9, 1.5e-9))
        n = macrospin.demag_tensor(shape, thick)
        own = 2 * 1.2e6 / (MU0 * 1.2e6) - (n[2, 2] - n[0, 0]) * 1.2e6 + side * factor * 1.2e6 * 1.1 / 1.5
        assert reference == pytest.approx(0.01 * own / (per_volt / 1.5e-9), rel=1e-9, abs=0)


def test_what_is_read_is_the_angle_between_the_layers():
    """Both layers down are parallel: P, not switched from P; the free layer alone down is AP."""
    (batch,) = pair_mtj.batches(section("pair_mtj", voltages_V=[1.0], durations_s=[1e-9], directions=["P_to_AP"]))
    up, down = [0.0, 0.0, 1.0], [0.0, 0.0, -1.0]
    for ends, expected in (([down, down], ("P", False, -1.0)), ([down, up], ("AP", True, 1.0))):
        m = np.array([[up, up], [up, up], ends, ends]).transpose(0, 2, 1)[..., None, None]
        result = engines.Result(
            np.arange(4) * 1e-9, m, np.ones((2, 1, 1), bool), {"rest": 1, "pulse": 2, "relax": 3}, {}
        )
        row, record = pair_mtj.observe(batch, batch.problem, result)
        assert (row["final_state"], row["switched"], row["reference_mz_final"]) == expected
        assert list(row) == list(pair_mtj.EVENT_COLUMNS) and list(record) == list(pair_mtj.TRAJECTORY_COLUMNS)


def test_it_is_refused_where_it_cannot_be():
    given = section("pair_mtj")
    pair_mtj.check(given)
    problem = pair_mtj.batches(given)[0].problem
    for engine in ("llg", "oommf", "mumax3"):
        with pytest.raises(UserError, match="partner: found a second moment"):
            engines.check_problem(engine, problem, "device_sims")
    with pytest.raises(UserError, match=r"^device_sims\.pair_mtj\.free_reference: found"):
        pair_mtj.check(changed(given, "pair_mtj.free_reference.pinning_T", -2.0))
    assert pair_mtj.writes(given).barrier is None
    assert all(type(value) in (str, float, type(None)) for value in pair_mtj.describe(given).values())
    assert volume_m3(problem.geometry, problem.mesh) > 0
    assert Problem.from_dict(problem.to_dict()) == problem
