"""Deterministic dynamics against OOMMF's trajectories, conservation laws, symmetry and convergence."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from scipy.stats import linregress

from device_sims.engines.llg import ensemble
from device_sims.engines.llg.solver import Solver
from device_sims.observables import mean_magnetisation
from device_sims.problem import Geometry, Initial, Material, Mesh, Numerics, Phase, Problem
from tests.device_sims.conftest import reference, track, with_material, with_numerics


def means(problem):
    (result,) = ensemble.run([problem])
    return result, np.array([mean_magnetisation(m, result.mask) for m in result.m])


def driven(problem):
    return replace(problem, schedule=(replace(problem.schedule[0], current_density_A_per_m2=1e11),))


# D of the reference files is ubermag's, whose sign is opposite to ours
@pytest.mark.parametrize(
    "name, dmi, current",
    [
        ("racetrack_plain", 0.0, False),
        ("racetrack_dmi", -0.5e-3, False),
        ("racetrack_sot", 0.0, True),
        ("racetrack_dmi_sot", -0.5e-3, True),
    ],
)
def test_racetracks_follow_oommf(name, dmi, current):
    problem = with_material(track(), D_J_per_m2=dmi)
    _, obtained = means(driven(problem) if current else problem)
    np.testing.assert_allclose(obtained[1:], reference(f"{name}.csv")[:, 1:], atol=1e-6)


def test_the_other_sign_of_dmi_does_not_follow_oommf():
    _, obtained = means(with_material(track(), D_J_per_m2=+0.5e-3))
    assert np.abs(obtained[1:] - reference("racetrack_dmi.csv")[:, 1:]).max() > 1e-3


def test_standard_problem_4_field_1_follows_oommf():
    """The relaxed s-state, then the reversal, by adaptive steps."""
    problem = Problem(
        Mesh(100, 25, (5e-9, 5e-9, 3e-9)), Geometry(), Material(8e5, 1.3e-11, 0.02),
        (Phase("hold", 1e-12), Phase("reverse", 1e-9, field_T=(-24.6e-3, 4.3e-3, 0.0))),
        Initial("uniform", (1.0, 0.25, 0.1), relax_tolerance=1e-6), 0.0,
        Numerics(2e-13, "dopri5", "float64", 0, tolerance=1e-6), 5e-12,
    )  # fmt: skip
    result, obtained = means(problem)
    np.testing.assert_allclose(obtained[0], (0.96721, 0.12482, 0), atol=1e-5)
    start = result.phase_end["hold"]
    expected = reference("sp4_field1_5nm.csv")
    expected = expected[expected[:, 0] < 1.001e-9]
    np.testing.assert_allclose(obtained[start + 1 :][: len(expected)], expected[:, 1:], atol=1e-3)


def test_energy_never_rises_and_m_stays_of_length_one():
    problem = with_material(track(record_interval_s=2e-12), D_J_per_m2=0.5e-3)
    with jax.enable_x64(True):
        solver = Solver(problem)
        system, drive, state = solver.system(problem), solver.drive(problem, problem.schedule[0]), solver.start(problem)
        energies = [solver.energies(system, drive, state.m)["total"]]
        for _ in range(40):
            state = solver.advance(system, drive, state, jax.random.key(0), 0, 20)
            energies.append(solver.energies(system, drive, state.m)["total"])
            np.testing.assert_allclose((np.asarray(state.m) ** 2).sum(0), 1, atol=1e-12)
    assert (np.diff(energies) < 1e-9 * abs(energies[0])).all()
    assert energies[-1] < energies[0]


def test_energy_rate_is_the_damping_loss():
    """dE/dt = -alpha mu0 Ms V / gamma0 sum |dm/dt|^2: ties the energies, the field and the damping together."""
    from device_sims.problem import GAMMA0, MU0

    problem = with_material(track(numerics=Numerics(1e-14, "rk4", "float64", 0)), D_J_per_m2=0.5e-3, alpha=0.1)
    with jax.enable_x64(True):
        solver = Solver(problem)
        system, drive, state = solver.system(problem), solver.drive(problem, problem.schedule[0]), solver.start(problem)
        state = solver.advance(system, drive, state, jax.random.key(0), 0, 2000)
        ms, energies = [np.asarray(state.m)], [solver.energies(system, drive, state.m)["total"]]
        for _ in range(2):
            state = solver.advance(system, drive, state, jax.random.key(0), 0, 20)
            ms.append(np.asarray(state.m))
            energies.append(solver.energies(system, drive, state.m)["total"])
    dt = 20 * problem.numerics.dt_s
    velocity = (ms[2] - ms[0]) / (2 * dt)
    moment = MU0 * problem.material.Ms_A_per_m * problem.mesh.cell_volume_m3
    loss = -problem.material.alpha * moment / GAMMA0 * (velocity**2).sum()
    assert (energies[2] - energies[0]) / (2 * dt) == pytest.approx(loss, rel=1e-3, abs=0)


def test_turning_all_spins_by_pi_about_z_turns_d_and_polarisation():
    problem = driven(with_material(track(), D_J_per_m2=0.5e-3))
    turned = with_material(problem, D_J_per_m2=-0.5e-3, polarisation=(0.0, -1.0, 0.0))
    turned = replace(turned, initial=replace(turned.initial, azimuth_rad=np.pi))
    _, one = means(problem)
    _, other = means(turned)
    np.testing.assert_allclose(one * (-1, -1, 1), other, atol=1e-9)
    assert np.abs(one[-1]).min() > 1e-5


@pytest.mark.parametrize(
    "scheme, interval, order", [("heun", 0, 2), ("rk4", 0, 4), ("fdr4", 0, 2), ("rk4", 1, 2), ("fdr4", 2, 2)]
)
def test_order_of_convergence_in_time(scheme, interval, order):
    problem = with_numerics(
        driven(with_material(track(), D_J_per_m2=0.5e-3)), demag_interval_steps=interval, integrator=scheme
    )
    problem = replace(problem, schedule=(replace(problem.schedule[0], duration_s=1.6e-11),), record_interval_s=1.6e-11)

    def final(dt):
        (result,) = ensemble.run([with_numerics(problem, dt_s=dt)])
        return result.m[-1]

    truth = [final(5e-15 if scheme == "heun" else 2.5e-14)]
    steps = np.array([1, 2, 4]) * {"heun": 2.5e-14, "rk4": 2e-13, "fdr4": 1e-13}[scheme]
    errors = [np.abs(final(dt) - truth[0]).max() for dt in steps]
    assert linregress(np.log(steps), np.log(errors)).slope == pytest.approx(order, abs=0.4)


def test_float32_follows_float64():
    problem = driven(with_material(track(), D_J_per_m2=0.5e-3))
    _, wide = means(problem)
    _, narrow = means(with_numerics(problem, precision="float32"))
    np.testing.assert_allclose(narrow, wide, atol=2e-5)


def test_a_batch_is_its_members():
    problem = with_material(track(schedule=(Phase("a", 1e-11, current_density_A_per_m2=2e11),)), D_J_per_m2=0.5e-3)
    problem = replace(problem, temperature_K=300.0, record_interval_s=1e-11)
    members = [
        replace(problem, stream=(1, "thermal", i), schedule=(replace(problem.schedule[0], Ku_factor=1 - 0.02 * i),))
        for i in range(3)
    ]
    alone = list(ensemble.run(members, batch=False))
    together = list(ensemble.run(members, batch=True))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_allclose(one.m[-1], other.m[-1], atol=1e-9)
        np.testing.assert_allclose(one.energies_J["total"], other.energies_J["total"], rtol=1e-9)
    assert np.abs(alone[0].m[-1] - alone[1].m[-1]).max() > 1e-2
