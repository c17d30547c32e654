"""Energy terms of the llg engine: fields against energies, and closed forms."""

from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from device_sims import engines
from device_sims.engines.llg import ensemble, stability
from device_sims.engines.llg.solver import Solver
from device_sims.problem import (
    MU0,
    Coupling,
    DataFile,
    Geometry,
    Grains,
    Initial,
    Material,
    Mesh,
    Numerics,
    Phase,
    Problem,
    Region,
    material,
    ovf,
)
from spinloom import files, streams
from spinloom.errors import UserError
from tests.device_sims.conftest import with_material, with_numerics

MS = 8e5
# three layers, the middle one empty in half of the film, so that the outer ones face each other there
FILM = Problem(
    Mesh(6, 5, (3e-9, 4e-9, 2e-9), 3), Geometry(), Material(MS, 1.3e-11, 0.1), (Phase("run", 1e-12),),
    Initial("uniform", (0.0, 0.0, 1.0)), 0.0, Numerics(1e-14, "rk4", "float64", 0), 1e-12,
)  # fmt: skip
HALF = Region((0.0, 9e-9), (0.0, 1.0), (("Ms_A_per_m", 0.8),), "half", axis=(0.0, 0.6, 0.8))
GRAINS = Grains(8e-9, 3, 1, tilt_rad=0.2, Ku_spread=0.1, exchange_factor=0.4)
TERMS = {
    "cubic": with_material(FILM, Kc1_J_per_m3=6e5, Kc2_J_per_m3=-4e5, cubic_axes=((0.6, 0.8, 0.0), (-0.8, 0.6, 0.0))),
    "cubic grains": replace(
        with_material(FILM, Kc1_J_per_m3=-6e5), grains=Grains(8e-9, 3, 1, Kc1_spread=0.3, random_cubic_axes=True)
    ),
    "cubic regions": replace(
        with_material(FILM, Kc1_J_per_m3=6e5), regions=(replace(HALF, cubic_axes=((0.6, 0.8, 0.0), (0.0, 0.0, 1.0))),)
    ),
    "second": with_material(FILM, Ku_J_per_m3=3e5, second_Ku_J_per_m3=-5e5, second_axis=(0.6, 0.0, 0.8)),
    "axis": replace(with_material(FILM, Ku_J_per_m3=7e5, Ku2_J_per_m3=2e5), regions=(HALF,)),
    "bulk": with_material(FILM, Dbulk_J_per_m2=2e-3),
    "bulk and regions": replace(with_material(FILM, Dbulk_J_per_m2=2e-3), regions=(HALF,)),
    "periodic": replace(
        with_material(FILM, D_J_per_m2=1e-3, Dbulk_J_per_m2=2e-3), mesh=replace(FILM.mesh, periodic=(2, 1))
    ),
    "periodic and regions": replace(FILM, mesh=replace(FILM.mesh, periodic=(0, 3)), regions=(HALF,)),
    "couplings": replace(
        FILM, regions=(HALF,),
        couplings=(
            Coupling(layers=(0, 1), J_J_per_m2=-2e-3), Coupling(("half",), A_J_per_m=4e-12),
            Coupling(("half",), factor=-0.5),
        ),
    ),
    "grains": replace(with_material(FILM, Ku_J_per_m3=5e5), grains=GRAINS),
    "smooth": replace(
        with_material(FILM, Kc1_J_per_m3=6e5, Kc2_J_per_m3=3e5, second_Ku_J_per_m3=5e5, Dbulk_J_per_m2=2e-3),
        geometry=Geometry("ellipse", edge_smoothing=4),
        couplings=(Coupling(layers=(0, 1), J_J_per_m2=-2e-3), Coupling(layers=(1, 2), A_J_per_m=4e-12)),
    ),
    "spacer": replace(
        FILM, geometry=Geometry("disc"), regions=(HALF,), couplings=(Coupling(layers=(0, 2), J_J_per_m2=-3e-3),)
    ),
}  # fmt: skip


def spaced(monkeypatch) -> None:
    """Empty the middle layer of the half at small x."""
    from device_sims.problem import geometry

    def mask(_, mesh):
        inside = np.ones(mesh.shape, bool)
        inside[1, :, :3] = False
        return inside

    monkeypatch.setattr(geometry, "mask", mask)


def evaluated(problem: Problem, m: np.ndarray):
    """Return the energies (J), and the whole reduced field, at a state."""
    with jax.enable_x64(True):
        solver = Solver(problem)
        system, drive = solver.system(problem), solver.drive(problem, problem.schedule[0])
        state = jax.numpy.asarray(m)
        energies = solver.energies(system, drive, state)
        local = solver.local(system, solver.values(drive, 0), tuple(state))
        field = sum(np.stack(term) for term in local.values()) + np.asarray(solver.stray(state, system.ms))
        return energies, field, np.asarray(system.ms)


def directions(shape, mask, name) -> np.ndarray:
    m = streams.generator(5, "test", name).standard_normal((3, *shape)) * mask
    length = np.sqrt((m**2).sum(0))
    return m / np.where(length > 0, length, 1)


@pytest.mark.parametrize("name", TERMS)
def test_the_field_is_the_gradient_of_the_energy(name, monkeypatch):
    """dE/dm along any direction is -mu0 Ms V H, of all terms together, to the error of the difference quotient."""
    problem = TERMS[name]
    if name == "spacer":
        spaced(monkeypatch)
    mask = material.mask(problem)
    m, along = (directions(problem.mesh.shape, mask, f"{name} {i}") for i in range(2))
    along -= (along * m).sum(0) * m
    _, field, ms = evaluated(problem, m)
    step, ends = 1e-4, []
    for sign in (1, -1):
        moved = m + sign * step * along
        moved /= np.where(mask, np.sqrt((moved**2).sum(0)), 1)
        ends.append(evaluated(problem, moved)[0]["total"])
    unit = MU0 * MS**2 * problem.mesh.cell_volume_m3
    expected = -unit * (ms * field * along).sum()
    assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(expected, rel=1e-6, abs=1e-6 * unit)
    plain = replace(FILM, mesh=replace(FILM.mesh, periodic=(0, 0)))
    assert np.abs(field - evaluated(plain, m)[1]).max() > 1e-3  # the term is there


def written(folder: Path, name: str, values: np.ndarray, mesh: Mesh) -> DataFile:
    path = folder / f"{name}.ovf"
    ovf.write(path, values, mesh.cell_m, format="binary8")
    return DataFile(str(path), files.sha256_file(path))


# -- anisotropies ------------------------------------------------------------------------------------------------------
CELL = replace(FILM, mesh=Mesh(1, 1, (3e-9, 3e-9, 3e-9)), numerics=Numerics(1e-14, "rk4", "float64", 0, demag=False))


def one_cell(problem: Problem, direction) -> tuple[float, np.ndarray]:
    """Return the anisotropy's energy density (J/m3) and field (T) for a direction of m."""
    m = np.asarray(direction, float).reshape(3, 1, 1, 1)
    m = m / np.linalg.norm(m)
    energies, field, _ = evaluated(problem, m)
    return energies["anisotropy"] / problem.mesh.cell_volume_m3, MU0 * MS * field.reshape(3)


@pytest.mark.parametrize("kc1, kc2", [(4e4, 0.0), (-4e4, 9e4), (0.0, 5e4)])
def test_cubic_energies_along_axes_faces_and_body_diagonals(kc1, kc2):
    """0, Kc1/4 and Kc1/3 + Kc2/27, in axes that are turned."""
    first, second = np.array([0.6, 0.8, 0.0]), np.array([0.0, 0.0, 1.0])
    third = np.cross(first, second)
    problem = with_material(CELL, Kc1_J_per_m3=kc1, Kc2_J_per_m3=kc2, cubic_axes=(tuple(first), tuple(second)))
    expected = {0: 0.0, 1: kc1 / 4, 2: kc1 / 3 + kc2 / 27}
    for more, direction in enumerate((first, first - second, first + second - third)):
        energy, field = one_cell(problem, direction)
        assert energy == pytest.approx(expected[more], abs=1e-8)
        # all three are stationary: the field lies along m
        assert np.cross(field, direction) == pytest.approx(np.zeros(3), abs=1e-12)


def test_two_equal_axes_make_the_third_one_hard():
    """K (1 - mx^2) + K (1 - my^2) = K + K mz^2."""
    two = with_material(
        CELL, Ku_J_per_m3=3e5, axis=(0.0, 1.0, 0.0), second_Ku_J_per_m3=3e5, second_axis=(1.0, 0.0, 0.0)
    )
    hard = with_material(CELL, Ku_J_per_m3=-3e5)
    for direction in ((1, 2, 3), (0, -1, 5)):
        (energy, field), (other, expected) = one_cell(two, direction), one_cell(hard, direction)
        assert energy == pytest.approx(other + 6e5, rel=1e-12, abs=0)
        m = np.array(direction) / np.linalg.norm(direction)
        assert np.cross(field, m) == pytest.approx(np.cross(expected, m), abs=1e-12)


def test_regions_have_axes_of_their_own():
    """Without exchange each cell turns to its own axis; the last of two regions counts where they overlap."""
    problem = replace(
        with_material(CELL, A_J_per_m=0.0, Ku_J_per_m3=5e5), mesh=Mesh(3, 1, (3e-9, 3e-9, 3e-9)),
        regions=(
            Region((3e-9, 9e-9), (0, 1), axis=(1.0, 0.0, 0.0)), Region((6e-9, 9e-9), (0, 1), axis=(0.0, 0.6, -0.8)),
        ),
        initial=Initial("uniform", (0.5, 0.4, 0.6), relax_tolerance=1e-6),
    )  # fmt: skip
    (result,) = ensemble.run([problem])
    along = np.abs(np.einsum("ic,ic->c", result.m[0, :, 0, 0], np.array([[0, 0, 1], [1, 0, 0], [0, 0.6, -0.8]]).T))
    assert along == pytest.approx(1, abs=1e-6)


# -- precession without damping ----------------------------------------------------------------------------------------
@pytest.mark.long
def test_without_damping_the_energy_is_conserved():
    """All terms at once, from a rough state; Runge and Kutta's own loss falls with the fifth power of the step."""
    problem = with_material(
        FILM, alpha=0.0, Ku_J_per_m3=3e5, D_J_per_m2=1e-3, Kc1_J_per_m3=1e5, second_Ku_J_per_m3=1e5, Dbulk_J_per_m2=5e-4
    )
    problem = replace(problem, schedule=(Phase("run", 2e-12, field_T=(0.1, 0.0, 0.3)),), record_interval_s=5e-13)
    losses = []
    for dt in (1e-14, 5e-15):
        (result,) = ensemble.run([with_numerics(problem, dt_s=dt)])
        total = result.energies_J["total"]
        losses.append(np.ptp(total) / np.ptp(result.energies_J["exchange"]))
    assert losses[1] < 1e-6
    assert losses[0] > 8 * losses[1]
    damped = with_material(problem, alpha=0.01)
    (result,) = ensemble.run([damped])
    assert np.ptp(result.energies_J["total"]) > 1e-3 * np.ptp(result.energies_J["exchange"])


@pytest.mark.parametrize(
    "problem, message",
    [
        (
            with_numerics(FILM, integrator="heun"),
            "numerics.integrator: found 'heun' with alpha 0, where this integrator makes waves",
        ),
        (with_numerics(FILM, integrator="fdr4"), "numerics.integrator: found 'fdr4' with alpha 0"),
        (replace(FILM, temperature_K=300.0), "temperature_K: found 300 with alpha 0"),
    ],
)
def test_what_does_not_go_without_damping(problem, message):
    with pytest.raises(UserError, match=f"^{message}"):
        stability.check(with_material(problem, alpha=0.0))
    stability.check(with_material(FILM, alpha=0.0))


# -- bulk DMI ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("turns", [1, -2])
def test_a_helix_has_the_energy_of_its_bonds(axis, turns):
    """w = A (2 - 2 cos kd)/d^2 - D sin(kd)/d for a right-handed helix: -D k in the continuum."""
    n, D, A, cell = 24, 2e-3, 1e-11, (2e-9, 3e-9, 2.5e-9)
    counts = [1, 1, 1]
    counts[axis] = n
    mesh = Mesh(counts[0], counts[1], cell, counts[2], (int(axis == 0), int(axis == 1)))
    problem = replace(with_material(CELL, A_J_per_m=A, Dbulk_J_per_m2=D), mesh=mesh)
    angle = 2 * np.pi * turns * np.arange(n) / n
    m = np.zeros((3, n))
    m[(axis + 1) % 3], m[(axis + 2) % 3] = np.cos(angle), np.sin(angle)
    energies, *_ = evaluated(problem, m.reshape(3, *mesh.shape))
    bonds, d, step = (n if axis < 2 else n - 1), cell[axis], angle[1]  # the last bond closes the ring
    volume = bonds * mesh.cell_volume_m3
    assert energies["dmi"] == pytest.approx(-D * np.sin(step) / d * volume, rel=1e-12, abs=0)
    assert energies["exchange"] == pytest.approx(A * (2 - 2 * np.cos(step)) / d**2 * volume, rel=1e-12, abs=0)


@pytest.mark.parametrize("D", [0.4e-3, -0.4e-3])
def test_edges_cant_about_their_normal(D):
    """dm/dn = (D/2A) n x m: at the ends of a strip along x the film tilts along y by D/(2 sqrt(A K))."""
    A, K = 1.5e-11, 1.7e5
    problem = replace(
        with_material(CELL, A_J_per_m=A, Ku_J_per_m3=K, Dbulk_J_per_m2=D), mesh=Mesh(150, 1, (1e-9, 1e-9, 1e-9)),
        initial=Initial("uniform", (0.0, 0.0, 1.0), relax_tolerance=1e-6),
    )  # fmt: skip
    (result,) = ensemble.run([problem])
    my = result.m[0, 1, 0, 0]
    at_right = np.polyval(np.polyfit(np.arange(4) + 0.5, my[:-5:-1], 3), 0.0)
    assert at_right == pytest.approx(-D / (2 * np.sqrt(A * K)), abs=1e-4)
    assert my == pytest.approx(-my[::-1], abs=1e-8)


# -- engines that lack the terms ---------------------------------------------------------------------------------------
LACKING = {
    "mesh.periodic": replace(FILM, mesh=replace(FILM.mesh, periodic=(1, 0))),
    "material.Kc1_J_per_m3": with_material(FILM, Kc1_J_per_m3=1e4),
    "material.Kc2_J_per_m3": with_material(FILM, Kc2_J_per_m3=1e4),
    "material.second_Ku_J_per_m3": with_material(FILM, second_Ku_J_per_m3=1e4),
    "material.Dbulk_J_per_m2": with_material(FILM, Dbulk_J_per_m2=1e-4),
    "couplings": replace(FILM, couplings=(Coupling(layers=(0, 1), factor=0.5),)),
    "grains": replace(FILM, grains=GRAINS),
}


@pytest.mark.parametrize("engine", ["macrospin", "collective"])
@pytest.mark.parametrize("key", LACKING)
def test_reduced_engines_refuse_them_by_key(engine, key):
    problem = LACKING[key]
    if engine == "collective":
        problem = with_material(replace(problem, initial=Initial("wall", position_m=9e-9)), Ku_J_per_m3=8e5)
    else:
        problem = with_numerics(problem, integrator="heun")
    with pytest.raises(UserError, match=rf"^{key}[.a-zA-Z_]*: found "):
        list(engines.run(engine, [problem]))
