"""Equilibria with known shapes."""

import jax
import numpy as np
import pytest
from scipy.optimize import curve_fit

from device_sims.engines.llg import ensemble
from device_sims.engines.llg.fields import Neighbours, anisotropy, spin_torque, zhang_li
from device_sims.engines.llg.solver import Solver
from device_sims.problem import GAMMA0, MU0, Geometry, Initial, Material, Mesh, Numerics, Phase, Problem, Region
from device_sims.problem.observables import wall_position
from tests.device_sims.conftest import track

A, K = 1.5e-11, 1.7e5


def relaxed(mesh, initial, D=0.0):
    problem = Problem(
        mesh, Geometry(), Material(1e6, A, 1.0, Ku_J_per_m3=K, D_J_per_m2=D), (Phase("relax", 1e-9),),
        initial, 0.0, Numerics(2.5e-14, "rk4", "float64", demag=False), 1e-9,
    )  # fmt: skip
    (result,) = ensemble.run([problem])
    return result.m[-1]


def test_wall_width_is_sqrt_a_over_k():
    mesh = Mesh(200, 1, (1e-9, 1e-9, 1e-9))
    m = relaxed(mesh, Initial("wall", position_m=100e-9, width_m=14e-9))
    x = np.arange(200) + 0.5
    (position, width), _ = curve_fit(lambda x, q, w: -np.tanh((x - q) / w), x, m[2, 0, 0], p0=(100, 12))
    assert width == pytest.approx(np.sqrt(A / K) * 1e9, rel=0.01, abs=0)
    assert position == pytest.approx(100, abs=1e-3)


@pytest.mark.parametrize("D", [0.4e-3, -0.4e-3])
def test_edges_cant_by_rohart_and_thiaville(D):
    """sin(theta) = D / (2 sqrt(A K)) at the edge, outwards or inwards by the sign of D."""
    mesh = Mesh(150, 1, (1e-9, 1e-9, 1e-9))
    mx = relaxed(mesh, Initial("uniform", (0, 0, 1)), D)[0, 0, 0]
    # from the cells' centres to the edge
    at_left = np.polyval(np.polyfit(np.arange(4) + 0.5, mx[:4], 3), 0.0)
    at_right = np.polyval(np.polyfit(np.arange(4) + 0.5, mx[:-5:-1], 3), 0.0)
    expected = abs(D) / (2 * np.sqrt(A * K))
    assert abs(at_right) == pytest.approx(expected, abs=1e-4)
    assert at_right == pytest.approx(-at_left, abs=1e-9)
    # dm/dn = -(D/2A)(z x n) x m: at the right edge d(mx)/dx = -(D/2A) mz
    assert np.sign(at_right) == -np.sign(D)


@pytest.mark.long
def test_edge_canting_converges_with_the_cell():
    D, errors = 0.4e-3, []
    for cell in (2e-9, 1e-9, 0.5e-9):
        n = round(100e-9 / cell)
        mesh = Mesh(n, 1, (cell, cell, 1e-9))
        problem = Problem(
            mesh, Geometry(), Material(1e6, A, 1.0, Ku_J_per_m3=K, D_J_per_m2=D), (Phase("relax", 4e-10),),
            Initial("uniform", (0, 0, 1)), 0.0, Numerics(1e-14, "rk4", "float64", demag=False), 4e-10,
        )  # fmt: skip
        (result,) = ensemble.run([problem])
        mx = result.m[-1][0, 0, 0]
        edge = np.polyval(np.polyfit(np.arange(4) + 0.5, mx[:-5:-1], 3), 0.0)
        errors.append(abs(abs(edge) - D / (2 * np.sqrt(A * K))))
    assert errors[0] > 1.6 * errors[1] > 1.6**2 * errors[2]
    assert errors[2] < 2e-3


def test_a_wall_moves_to_the_step_where_ku_is_lower():
    """Wall energy 4 sqrt(A K): across a step in Ku the wall is pulled into the softer side, whichever that is."""
    mesh, ends = Mesh(80, 1, (2e-9, 2e-9, 1e-9)), []
    for factors in ((1.0, 0.8), (0.8, 1.0)):
        problem = Problem(
            mesh, Geometry(), Material(1e6, A, 1.0, Ku_J_per_m3=K), (Phase("relax", 1e-9),),
            Initial("wall", position_m=80e-9, width_m=9.4e-9), 0.0,
            Numerics(1e-13, "rk4", "float64", demag=False), 1e-9,
            regions=tuple(
                Region(x, (0.0, 1.0), (("Ku_J_per_m3", factor),))
                for x, factor in zip(((0.0, 80e-9), (80e-9, 1.0)), factors)
            ),
        )  # fmt: skip
        (result,) = ensemble.run([problem])
        ends.append(float(wall_position(result.m[-1, 2], result.mask, 2e-9)))
    assert ends[0] > 90e-9 and ends[1] < 70e-9
    assert ends[0] + ends[1] == pytest.approx(160e-9, abs=1e-10)


@pytest.mark.parametrize("along", ["x", "y"])
@pytest.mark.parametrize("sign", [1, -1])
def test_cycloids_have_the_energies_of_the_continuum(along, sign):
    """w_exchange = A k^2 and w_DMI = D k for a cycloid in either direction, on cells that are not square."""
    n, cell, D, wavelength = 200, (1e-9, 2e-9, 1e-9), 0.7e-3, 100e-9
    mesh = Mesh(n, 1, cell) if along == "x" else Mesh(1, n, cell)
    problem = Problem(
        mesh, Geometry(), Material(1e6, A, 1.0, D_J_per_m2=D), (Phase("none", 1e-12),),
        Initial("uniform"), 0.0, Numerics(1e-13, "rk4", "float64", demag=False), 1e-12,
    )  # fmt: skip
    k = sign * 2 * np.pi / wavelength
    position = np.arange(n) * (cell[0] if along == "x" else cell[1])
    m = np.zeros((3, *mesh.shape))
    m[0 if along == "x" else 1].flat = np.sin(k * position)
    m[2].flat = np.cos(k * position)
    with jax.enable_x64(True):
        solver = Solver(problem)
        energies = solver.energies(
            solver.system(problem), solver.drive(problem, problem.schedule[0]), jax.numpy.asarray(m)
        )
    volume = (n - 1) * mesh.cell_volume_m3  # as many bonds as cells but one
    assert energies["exchange"] == pytest.approx(A * k**2 * volume, rel=5e-3, abs=0)
    assert energies["dmi"] == pytest.approx(D * k * volume, rel=5e-3, abs=0)


def test_spin_orbit_field_is_329_microtesla_times_ten():
    problem = track()
    amplitude = spin_torque.prepare(problem, {"Ms_A_per_m": problem.material.Ms_A_per_m})
    assert amplitude * 1e11 * problem.material.Ms_A_per_m * MU0 == pytest.approx(3.291e-3, abs=1e-6)


ONES, ZEROS = jax.numpy.ones((1, 1, 1)), jax.numpy.zeros((1, 1, 1))


def values(field):
    return [float(component[0, 0, 0]) for component in field]


def test_spin_torque_field_by_hand():
    """a (m x p) + b p for m = x, p = y; with Lambda 2 and m along p the amplitude is 2 L^2 / 2 L^2 = 1."""
    assert values(spin_torque.field((ONES, ZEROS, ZEROS), (0.0, 1.0, 0.0), 2.0, 0.25, 1.0)) == [0.0, 0.5, 2.0]
    across = spin_torque.field((ONES, ZEROS, ZEROS), (0.0, 1.0, 0.0), 1.0, 0.0, 2.0)
    assert values(across) == pytest.approx([0.0, 0.0, 8 / 5], abs=1e-6)
    along = spin_torque.field((ONES, ZEROS, ZEROS), (1.0, 0.0, 0.0), 1.0, 0.5, 2.0)
    assert values(along) == pytest.approx([0.5, 0.0, 0.0], abs=1e-6)


def test_anisotropy_field_by_hand():
    """2 Ku c u + 4 Ku2 (1 - c^2) c u, whatever the axis u."""
    axes = np.reshape([0.6, 0.8, 0.0], (3, 1, 1, 1))
    coefficients = anisotropy.Coefficients(3.0, 2.0, np.zeros((0, 1, 1, 1)), axes)
    ku = anisotropy.strength(coefficients, 0.8, np.zeros(0))
    along_z = anisotropy.field((ZEROS, ZEROS, 0.5 * ONES), ku, coefficients, (0.0, 0.0, 1.0), True)
    assert values(along_z) == pytest.approx([0.0, 0.0, 2.4 * 0.5 + 2.0 * 0.75 * 0.5], abs=1e-6)
    for axis in ((0.6, 0.8, 0.0), None):  # None: that of each cell
        tilted = anisotropy.field((0.5 * ONES, ZEROS, ZEROS), ku, coefficients, axis, False)
        assert values(tilted) == pytest.approx([2.4 * 0.3 * 0.6, 2.4 * 0.3 * 0.8, 0.0], abs=1e-6)


def test_zhang_li_field_by_hand():
    """H = -(m x v + beta v)/(gamma0 Ms), v = u dm/dx, for m along x with neighbours that differ by 0.2 along y."""
    unit = zhang_li.prepare(track())
    side = (ZEROS, 0.1 * ONES, ZEROS), (ZEROS, -0.1 * ONES, ZEROS)
    around = Neighbours(side[1], side[0], None, None, None, None)
    field = values(zhang_li.field((ONES, ZEROS, ZEROS), around, unit, 50.0, 0.3))
    v = 50.0 * 0.2 / (2 * 4e-9) / (GAMMA0 * 1e6)
    assert field == pytest.approx([0.0, -0.3 * v, -v], rel=1e-5, abs=1e-12)
