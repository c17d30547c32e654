"""Barriers and attempt times against closed forms; none of the cases was used to choose a constant of the method."""

import math
from dataclasses import replace

import jax
import numpy as np
import pytest

from device_sims.barriers import Landscape, Settings, between, guesses
from device_sims.barriers.curvature import Curvatures
from device_sims.engines.llg.solver import Solver
from device_sims.problem import (
    BOLTZMANN,
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
    material,
)
from device_sims.problem.initial import initial_magnetisation
from device_sims.problem.observables import wall_position
from spinloom.errors import UserError

MS, K, V = 8e5, 1.3e5, 3e-25
QUICK = Settings(attempt="none")


def problem(mesh, field_T=(0.0, 0.0, 0.0), demag=False, regions=(), initial=None, geometry=None, **constants):
    own = Material(**{"Ms_A_per_m": MS, "A_J_per_m": 1e-11, "alpha": 0.07, "Ku_J_per_m3": K, **constants})
    numerics = Numerics(1e-13, "heun", "float32", 2, demag=demag)
    start = initial or Initial("uniform")
    phases = (Phase("rest", 1e-9, field_T=field_T),)
    return Problem(mesh, geometry or Geometry(), own, phases, start, 300.0, numerics, 1e-10, regions=regions)


def moment(**changes):
    return problem(Mesh(1, 1, (1e-8, 1e-8, 3e-9)), **changes)


def pointing(problem, x, y, z):
    mask = material.mask(problem)
    return np.reshape([x, y, z], (3, 1, 1, 1)) / math.sqrt(x * x + y * y + z * z) * mask


@pytest.mark.parametrize("h", [0.0, 0.15, 0.55])
@pytest.mark.parametrize("hard", [0.0, 4e4])
def test_a_moment_in_a_field_has_the_barrier_of_stoner_and_wohlfarth(h, hard):
    """K V (1 - h)^2 one way and K V (1 + h)^2 the other, whatever the hard axis across."""
    one = moment(field_T=(0, 0, -h * 2 * K / MS), second_Ku_J_per_m3=-hard)
    found = between(one, pointing(one, 0.1, 0, 1), pointing(one, 0, 0.1, -1), QUICK)
    assert found.converged and found.between == 0
    assert found.barriers_J == pytest.approx((K * V * (1 - h) ** 2, K * V * (1 + h) ** 2), rel=1e-6, abs=0)


@pytest.mark.parametrize("h", [0.0, 0.3])
def test_an_axially_symmetric_moment_has_browns_attempt_rate(h):
    """Brown, Phys. Rev. 130, 1677 (1963): alpha/(1+alpha^2) gamma0 Hk sqrt(s/pi) (1 - h^2) (1 - h), s = K V / kB T."""
    one = moment(field_T=(0, 0, -h * 2 * K / MS))
    found = between(one, pointing(one, 0.1, 0, 1), pointing(one, 0, 0.1, -1), Settings(temperature_K=250.0))
    s, alpha = K * V / (BOLTZMANN * 250), 0.07
    brown = alpha / (1 + alpha**2) * GAMMA0 * 2 * K / (MU0 * MS) * math.sqrt(s / math.pi) * (1 - h * h)
    rates = [one.rate_per_s for one in found.attempts]
    assert rates == pytest.approx([brown * (1 - h), brown * (1 + h)], rel=1e-4, abs=0)
    assert found.notes == ()


@pytest.mark.parametrize("alpha", [0.01, 0.2, 1.5])
def test_a_biaxial_moment_has_kramers_rate(alpha):
    """Curvatures 2K, 2K + 2k at the minimum and -2K, 2k at the saddle; kappa solves its quadratic equation."""
    hard = 0.6 * K
    one = moment(second_Ku_J_per_m3=-hard, alpha=alpha)
    found = between(one, pointing(one, 0.1, 0, 1), pointing(one, 0, 0.1, -1))
    # of dm/dt = gamma0/(mu0 Ms (1 + alpha^2)) (J - alpha) H, H = diag(-2K, 2k): trace and determinant
    unit = GAMMA0 / (MU0 * MS * (1 + alpha**2))
    trace, product = -alpha * (2 * hard - 2 * K), -(1 + alpha**2) * 4 * K * hard
    kappa = unit * (trace + math.sqrt(trace**2 - 4 * product)) / 2
    kramers = kappa / (2 * math.pi) * math.sqrt((2 * K) * (2 * K + 2 * hard) / (2 * K * 2 * hard))
    assert found.attempts[0].rate_per_s == pytest.approx(kramers, rel=1e-5, abs=0)
    assert found.attempts[1].rate_per_s == pytest.approx(kramers, rel=1e-5, abs=0)


# -- walls -------------------------------------------------------------------------------------------------------------
A, KU, CELL = 1.2e-11, 3e5, 2e-9
WIDTH = math.sqrt(A / KU)
AREA = 2e-9 * 2e-9


def thread(wells, depth, cells=110, field_T=0.0):
    regions = tuple(Region((a, b), (0.0, 1.0), (("Ku_J_per_m3", 1 - depth),)) for a, b in wells)
    mesh = Mesh(cells, 1, (CELL, CELL, 2e-9))
    own = {"A_J_per_m": A, "Ku_J_per_m3": KU}
    return problem(mesh, (0.0, 0.0, field_T), regions=regions, **own)


def wall_at(one, x, azimuth=0.0):
    initial = Initial("wall", position_m=x, width_m=WIDTH, azimuth_rad=azimuth)
    return initial_magnetisation(replace(one, initial=initial), material.mask(one))


def well_J(wells, depth, q):
    """First order in the depth: -depth Ku S integral of sech^2 over the wells."""
    parts = (np.tanh((b - q) / WIDTH) - np.tanh((a - q) / WIDTH) for a, b in wells)
    return -depth * KU * AREA * WIDTH * sum(parts)


@pytest.mark.long
def test_a_wall_between_two_wells_of_anisotropy():
    wells, depth = ((60e-9, 68e-9), (118e-9, 134e-9)), 0.04
    one = thread(wells, depth)
    found = between(one, wall_at(one, 62e-9), wall_at(one, 128e-9), QUICK)
    q = np.linspace(64e-9, 126e-9, 20001)
    energy = well_J(wells, depth, q)
    top = energy.max()
    assert found.converged
    # the second order is depth/2 of it at most
    assert found.barriers_J == pytest.approx((top - energy[0], top - energy[-1]), rel=0.02, abs=0)
    middle = wall_position(found.highest.saddle.m[2], found.landscape.mask, CELL)
    assert 75e-9 < middle < 115e-9


@pytest.mark.long
def test_a_field_lowers_the_barrier_of_a_pinned_wall():
    """The wall is pulled out of its well: top less bottom of the wells' energy and -2 mu0 Ms H S q."""
    wells, depth = ((90e-9, 100e-9),), 0.05
    steepest = np.abs(np.gradient(well_J(wells, depth, x := np.linspace(80e-9, 110e-9, 4001)), x)).max()
    field = 0.4 * steepest / (2 * MS * AREA)
    one = thread(wells, depth, field_T=field)
    q = np.linspace(85e-9, 125e-9, 40001)
    energy = well_J(wells, depth, q) - 2 * MS * field * AREA * q
    bottom = energy[:20000].min()
    expected = energy[np.argmin(energy[:20000]) :].max() - bottom
    landscape = Landscape(one)
    a = landscape.minimum(wall_at(one, 95e-9))
    moved = [guesses.shifted(a, landscape.mask, columns) for columns in np.linspace(0, 61, 25)]
    uniform = pointing(one, 0, 0, 1)
    found = between(
        one, a, uniform, QUICK.model_copy(update={"images": 40}), guess=np.stack(moved), landscape=landscape
    )
    assert found.converged, found.notes
    assert found.barriers_J[0] == pytest.approx(expected, rel=0.03, abs=0)


@pytest.mark.long
def test_a_minimum_between_two_states_is_found():
    wells = ((40e-9, 48e-9), (104e-9, 112e-9), (168e-9, 176e-9))
    one = thread(wells, 0.1)
    settings = QUICK.model_copy(update={"well_kT": 0.01})
    found = between(one, wall_at(one, 44e-9), wall_at(one, 172e-9), settings)
    assert found.converged and found.between == 1
    assert [leg.energies_J[1] for leg in found.legs] == pytest.approx([found.energies_J[1]] * 2, rel=1e-4, abs=0)


@pytest.mark.long
@pytest.mark.parametrize("diameter, coherent", [(14e-9, True), (56e-9, False)])
def test_a_small_disc_turns_as_one_and_a_large_one_by_a_wall(diameter, coherent):
    """K V below, and above it no more than the energy of a wall across, 4 sqrt(A K) d t."""
    cells = round(diameter / 2e-9)
    mesh = Mesh(cells, cells, (2e-9, 2e-9, 1e-9))
    one = problem(mesh, geometry=Geometry("disc"), A_J_per_m=1e-11, Ku_J_per_m3=4e5)
    up = pointing(one, 0, 0, 1)
    found = between(one, up, -up, QUICK)
    volume, wall = found.landscape.cells * 4e-27, 4 * math.sqrt(1e-11 * 4e5) * diameter * 1e-9
    assert found.converged
    if coherent:
        assert found.barriers_J[0] == pytest.approx(4e5 * volume, rel=1e-5, abs=0)
    else:
        assert 4e5 * volume > 1.5 * wall
        assert found.barriers_J[0] == pytest.approx(wall, rel=0.06, abs=0)
        assert found.barriers_J[0] < wall


# -- the pieces --------------------------------------------------------------------------------------------------------
def film(demag=True):
    """A few cells with every term of energy."""
    mesh = Mesh(5, 4, (3e-9, 3e-9, 2e-9), nz=2)
    region = (Region((0.0, 6e-9), (0.0, 1.0), (("Ms_A_per_m", 0.7), ("Ku_J_per_m3", 1.4))),)
    return problem(
        mesh, (0.01, -0.02, 0.03), demag, region, D_J_per_m2=5e-4, Ku2_J_per_m3=2e4, Kc1_J_per_m3=3e4, Kc2_J_per_m3=1e4,
        second_Ku_J_per_m3=-2e4, second_axis=(0.6, 0.8, 0.0), Dbulk_J_per_m2=2e-4, geometry=Geometry("ellipse"),
    )  # fmt: skip


def scattered(landscape):
    m = np.random.default_rng(5).normal(size=(3, *landscape.mask.shape)) + np.reshape([0, 0, 2.0], (3, 1, 1, 1))
    return m / np.sqrt((m * m).sum(0)) * landscape.mask


@pytest.mark.long
def test_energy_is_the_solvers_and_the_force_its_gradient():
    one = film()
    landscape = Landscape(one)
    m = scattered(landscape)
    with jax.enable_x64(True):
        solver = Solver(landscape.problem)
        phase = landscape.problem.schedule[0]
        expected = solver.energies(solver.system(landscape.problem), solver.drive(landscape.problem, phase), m)["total"]
        gradient = np.asarray(jax.grad(landscape.energy)(m))
        force = np.asarray(landscape.force(m))
    assert landscape.energy_J(m) == pytest.approx(expected, rel=1e-12, abs=0)
    down = -(gradient - (gradient * m).sum(0) * m) * landscape.mask
    np.testing.assert_allclose(np.asarray(landscape.weight) * force, down, atol=1e-12)


def test_curvature_is_the_second_difference_along_great_circles():
    landscape = Landscape(film())
    m = scattered(landscape)
    here = Curvatures(landscape).at(m)
    x = np.random.default_rng(6).normal(size=here.size)
    x /= np.linalg.norm(x)
    v = here.vector(x)
    angle = np.sqrt((v * v).sum(0))

    def energy(t):
        sinc = np.divide(np.sin(angle * t), angle, out=np.zeros_like(angle), where=angle > 0)
        return landscape.energy_J(np.cos(angle * t) * m + sinc * v) / landscape.unit_J

    step = 1e-2
    second = (energy(step) - 2 * energy(0) + energy(-step)) / step**2
    assert x @ here.product(x) == pytest.approx(second, rel=1e-4, abs=0)
    assert here.gradient @ x == pytest.approx((energy(step) - energy(-step)) / (2 * step), rel=1e-3, abs=0)
    np.testing.assert_allclose(here.matrix() @ x, here.product(x), atol=1e-12)


def test_two_states_of_one_well_are_refused():
    one = moment()
    with pytest.raises(UserError, match="relax to the same minimum"):
        between(one, pointing(one, 0.1, 0, 1), pointing(one, 0, 0.2, 1), QUICK)


def test_a_current_is_refused():
    one = moment(spin_hall_angle=0.1)
    driven = replace(one, schedule=(Phase("rest", 1e-9), Phase("pulse", 1e-9, current_density_A_per_m2=1e11)))
    Landscape(driven, "rest")
    with pytest.raises(UserError, match="has no energy"):
        Landscape(driven, "pulse")
    with pytest.raises(UserError, match="allowed: rest, pulse"):
        Landscape(driven, "hold")


@pytest.mark.long
def test_a_path_that_is_cut_short_says_so():
    wells = ((60e-9, 68e-9), (118e-9, 134e-9))
    one = thread(wells, 0.3)
    short = QUICK.model_copy(update={"steps": 10, "start": "rotation"})
    found = between(one, wall_at(one, 64e-9), wall_at(one, 126e-9, azimuth=2.0), short)
    assert not found.converged
    assert "has not converged" in found.notes[0] or "saddle" in found.notes[0]
