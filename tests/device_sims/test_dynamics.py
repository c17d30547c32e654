"""Deterministic dynamics against OOMMF's trajectories, conservation laws, symmetry and convergence."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from scipy.stats import linregress

from device_sims.engines.llg import ensemble, stability
from device_sims.engines.llg.solver import Solver
from device_sims.problem import (
    GAMMA0,
    MU0,
    Geometry,
    Initial,
    Material,
    Mesh,
    Numerics,
    Phase,
    Problem,
    Region,
    Waveform,
)
from device_sims.problem.observables import mean_magnetisation
from spinloom.errors import UserError
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


@pytest.mark.long
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


@pytest.mark.long
def test_energy_rate_is_the_damping_loss():
    """dE/dt = -alpha mu0 Ms V / gamma0 sum |dm/dt|^2: ties the energies, the field and the damping together."""

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


@pytest.mark.long
def test_turning_all_spins_by_pi_about_z_turns_d_and_polarisation():
    problem = driven(with_material(track(), D_J_per_m2=0.5e-3))
    turned = with_material(problem, D_J_per_m2=-0.5e-3, polarisation=(0.0, -1.0, 0.0))
    turned = replace(turned, initial=replace(turned.initial, azimuth_rad=np.pi))
    _, one = means(problem)
    _, other = means(turned)
    np.testing.assert_allclose(one * (-1, -1, 1), other, atol=1e-9)
    assert np.abs(one[-1]).min() > 1e-5


@pytest.mark.long
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


@pytest.mark.long
def test_float32_follows_float64():
    problem = driven(with_material(track(), D_J_per_m2=0.5e-3))
    _, wide = means(problem)
    _, narrow = means(with_numerics(problem, precision="float32"))
    np.testing.assert_allclose(narrow, wide, atol=2e-5)


@pytest.mark.long
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


MIXED = (
    Region((0.0, 24e-9), (0.0, 1.0), (("Ms_A_per_m", 1.5), ("A_J_per_m", 0.6), ("alpha", 3.0)), "left"),
    Region((12e-9, 40e-9), (0.0, 12e-9), (("Ku_J_per_m3", 0.5), ("D_J_per_m2", -0.7)), "low"),
)


def body(**changes):
    """Three layers of a disc whose constants all differ from place to place."""
    problem = Problem(
        Mesh(12, 10, (4e-9, 3e-9, 2e-9), 3), Geometry("ellipse", size_m=(44e-9, 28e-9)),
        Material(8e5, 1.2e-11, 0.1, 4e5, 0.6e-3, Ku2_J_per_m3=1e5, axis=(0.6, 0.0, 0.8)),
        (Phase("run", 1e-12, field_T=(0.02, 0.0, -0.05), region_Ku_factors=(("low", 1.3),)),),
        Initial("vortex"), 0.0, Numerics(2e-15, "rk4", "float64", 0), 1e-12, regions=MIXED,
    )  # fmt: skip
    return replace(problem, **changes)


def test_fields_are_the_energys_gradient_where_all_constants_differ():
    """-dE/dm = mu0 Ms V H in random directions: fields, energies, bonds between materials and the stray field agree."""
    problem = body()
    rng = np.random.default_rng(3)
    with jax.enable_x64(True):
        solver = Solver(problem)
        system, drive = solver.system(problem), solver.drive(problem, problem.schedule[0])
        mask = np.asarray(system.mask)
        m = rng.normal(size=(3, *mask.shape)) * mask
        direction = rng.normal(size=m.shape) * mask
        m, direction = jax.numpy.asarray(m), jax.numpy.asarray(direction)
        fields = solver.local(system, solver.values(drive, 0), tuple(m))
        h = sum(np.stack(field) for field in fields.values()) + np.asarray(solver.stray(m, system.ms))
        unit = MU0 * problem.material.Ms_A_per_m**2 * problem.mesh.cell_volume_m3
        expected = -unit * (np.asarray(system.ms) * h * np.asarray(direction)).sum()
        step = 1e-4
        energies = [solver.energies(system, drive, m + sign * step * direction)["total"] for sign in (1, -1)]
    assert (energies[0] - energies[1]) / (2 * step) == pytest.approx(expected, rel=1e-6, abs=0)


def test_energy_rate_is_the_damping_loss_where_all_constants_differ():
    problem = body()
    with jax.enable_x64(True):
        solver = Solver(problem)
        system, drive, state = solver.system(problem), solver.drive(problem, problem.schedule[0]), solver.start(problem)
        ms, energies = [], []
        for _ in range(3):
            state = solver.advance(system, drive, state, jax.random.key(0), 0, 20)
            ms.append(np.asarray(state.m))
            energies.append(solver.energies(system, drive, state.m)["total"])
        weight = np.asarray(system.alpha) * np.asarray(system.ms) * np.asarray(system.mask)
    dt = 20 * problem.numerics.dt_s
    velocity = (ms[2] - ms[0]) / (2 * dt)
    moment = MU0 * problem.material.Ms_A_per_m * problem.mesh.cell_volume_m3
    loss = -moment / GAMMA0 * (weight * velocity**2).sum()
    assert (energies[2] - energies[0]) / (2 * dt) == pytest.approx(loss, rel=1e-3, abs=0)


@pytest.mark.long
def test_devices_of_several_shapes_and_constants_run_as_a_batch():
    shapes = (Geometry("ellipse", size_m=(44e-9, 28e-9)), Geometry("rectangle", size_m=(8e-9, 9e-9)), Geometry())
    members = [body(geometry=shape, temperature_K=300.0, stream=(1, i)) for i, shape in enumerate(shapes)]
    for one, other in zip(ensemble.run(members, batch=False), ensemble.run(members, batch=True), strict=True):
        np.testing.assert_allclose(one.m[-1], other.m[-1], atol=1e-9)


def test_waveforms_keep_their_time_after_millions_of_steps():
    ramp = Phase("ramp", 2e-12, field_T=(0.0, 0.0, Waveform(0.0, 1.0)))
    problem = body(schedule=(ramp,), numerics=Numerics(2e-13, "heun", "float32", 0))
    solver = Solver(problem)
    drive = solver.drive(problem, ramp, begin=20_000_000)
    found = [float(solver.values(drive, 20_000_000 + i, c).field[2]) for i, c in ((0, 0.5), (1, 0.0), (3, 0.5))]
    unit = 1 / (MU0 * problem.material.Ms_A_per_m)
    assert found == pytest.approx([0.05 * unit, 0.1 * unit, 0.35 * unit], rel=1e-5, abs=1e-9)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"regions": (Region((0.0, 1.0), (0.0, 1.0), (("alpha", 0.05),)),)}, "alpha 0.005"),
        ({"schedule": (Phase("run", 1e-12, field_T=(0.0, 0.0, 300.0)),)}, "at most"),
        ({"schedule": (Phase("run", 1e-12, Ku_factor=Waveform(1.0, 500.0)),)}, "at most"),
        ({"material": Material(8e5, 1.2e-11, 0.1, -2e8)}, "at most [0-9]"),
        ({"material": Material(8e5, 1.2e-11, 0.1, 0.0, Ku2_J_per_m3=1e8)}, "at most"),
    ],
)
def test_steps_too_long_for_any_part_of_the_problem_are_refused(changes, message):
    plain = body(numerics=Numerics(1e-13, "heun", "float64", 0), regions=(), schedule=(Phase("run", 1e-12),))
    stability.check(plain)
    with pytest.raises(UserError, match=f"numerics.dt_s: found 1e-13, allowed: .*{message}"):
        list(ensemble.run([replace(plain, **changes)]))


def test_a_burst_between_two_records_is_noticed():
    """200 T for half of the run, and nothing when it ends."""
    wild = Phase("burst", 1e-12, current_density_A_per_m2=Waveform(0.0, 0.0, 4e15, 5e11))
    calm = Phase("calm", 1e-12)
    problem = body(schedule=(wild, calm), material=Material(8e5, 1.2e-11, 0.1, spin_hall_angle=0.3), regions=())
    problem = replace(problem, numerics=Numerics(1e-13, "heun", "float64", 0), record_interval_s=1e-12, stream=(0, 7))
    with pytest.raises(UserError, match=r"llg: replica 7 .* by more than 0.3 in one step at [0-9.e-]+ s; reduce"):
        list(ensemble.run([problem]))


def test_adaptive_steps_do_not_go_on_for_ever_on_rounding():
    problem = body(numerics=Numerics(2e-13, "dopri5", "float32", 0, tolerance=1e-9))
    with pytest.raises(UserError, match="numerics.tolerance: found 1e-09, allowed: at least 1e-06 with float32"):
        list(ensemble.run([problem]))


@pytest.mark.long
@pytest.mark.parametrize("batch", [False, True])
def test_an_abandoned_run_leaves_the_callers_precision_alone(batch):
    problem = body(stream=(0, 1))
    with jax.enable_x64(False):
        results = ensemble.run([problem, replace(problem, stream=(0, 2))], batch=batch)
        assert next(results).m.dtype == np.float64
        assert jax.numpy.asarray(1.0).dtype == np.float32


def test_the_first_stray_field_is_that_of_the_cells_own_ms():
    """It is the past from which the field of other cells is extrapolated in the first steps."""
    problem = body()
    with jax.enable_x64(True):
        solver = Solver(problem)
        system, state = solver.system(problem), solver.start(problem)
        right, uniform = (np.asarray(solver.stray(state.m, ms)) for ms in (system.ms, 1.0))
    np.testing.assert_allclose(np.asarray(state.stray), right, atol=1e-14)
    assert np.abs(right - uniform).max() > 1e-2
