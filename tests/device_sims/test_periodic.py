"""Periodic directions: factors of infinite bodies, sums over repetitions, states that are moved along."""

from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from device_sims.engines.llg.fields import demag
from device_sims.engines.llg.solver import Solver
from device_sims.problem import Geometry, Initial, Material, Mesh, Numerics, Phase, Problem, Region
from device_sims.problem.magnetostatics import newell
from device_sims.validation.demag import pair
from spinloom import streams


def factors(mesh: Mesh) -> np.ndarray:
    """Return the demagnetising factors of the uniform state, from all cells of the first row of the box."""
    kernel = newell.repeated(mesh)
    return np.array([kernel[name].sum() for name in ("xx", "yy", "zz")])


def test_an_infinite_film_has_the_factors_of_an_infinite_film():
    """0, 0, 1; a square of finite size lacks a share that falls with its size."""
    lacking = []
    for repetitions in (20, 40):
        nxx, nyy, nzz = factors(Mesh(6, 4, (2e-9, 3e-9, 2e-9), 1, (repetitions, repetitions)))
        assert nxx == pytest.approx(nyy, abs=1e-4) and nxx + nyy + nzz == pytest.approx(1, abs=1e-9)
        lacking.append(1 - nzz)
    assert lacking[0] < 0.004
    assert lacking[0] / lacking[1] == pytest.approx(2, rel=0.05, abs=0)


def test_an_infinite_wire_has_the_factors_of_an_infinite_wire():
    """0, 1/2, 1/2 in a square cross-section, summed over its cells; what is lacking falls with the square."""
    lacking = []
    for repetitions in (10, 20):
        mesh = Mesh(4, 3, (2e-9, 2e-9, 2e-9), 3, (repetitions, 0))
        kernel = demag.kernel(mesh)
        m = np.zeros((3, *mesh.shape))
        own = {}
        for axis in range(3):
            m[:] = 0
            m[axis] = 1
            with jax.enable_x64(True):
                field = np.asarray(demag.nonlocal_field(jax.numpy.asarray(m), kernel.spectrum, kernel.padded))
            own[axis] = kernel.own[axis] - field[axis].mean()
        assert own[1] == pytest.approx(0.5, abs=1e-3) and own[1] == pytest.approx(own[2], abs=1e-12)
        lacking.append(own[0])
    assert lacking[0] / lacking[1] == pytest.approx(4, rel=0.2, abs=0)
    assert lacking[0] < 1e-3


def test_many_repetitions_are_oommfs_periodic_mesh():
    """OOMMF 2.1a0's Oxs_Demag, periodic along x without end, of random m on 16 x 6 x 2 cells of 4 x 3 x 2 nm, 1e6 A/m.

    Its field was stored with the state. What n repetitions lack falls with n^2: 7.7e-7 of Ms at 10, 7e-9 at 100.
    """
    stored = np.load(Path(__file__).parent / "oommf" / "periodic.npz")
    m, differ = stored["m"], []
    for n in (10, 100):
        kernel = demag.kernel(Mesh(16, 6, (4e-9, 3e-9, 2e-9), 2, (n, 0)))
        with jax.enable_x64(True):
            field = np.asarray(demag.nonlocal_field(jax.numpy.asarray(m), kernel.spectrum, kernel.padded))
        field = field - kernel.own[:, None, None, None] * m
        differ.append(np.abs(field - stored["field_A_per_m"] / 1e6).max())
    assert differ[1] < 2e-8
    assert 20 * differ[1] < differ[0] < 1e-6


@pytest.mark.long
@pytest.mark.parametrize("periodic", [(2, 0), (0, 3), (1, 2)])
def test_the_field_is_the_sum_over_the_repetitions(periodic):
    """Each cell feels those less than n box lengths away, by Newell's tensor cell by cell."""
    mesh = Mesh(4, 3, (2e-9, 3e-9, 1.5e-9), 2, periodic)
    m = streams.generator(1, "test", "periodic").standard_normal((3, *mesh.shape))
    reach = [max(1, n) * size - 1 for n, size in zip(periodic, (mesh.nx, mesh.ny))]
    parts = newell.tensor(reach[0] + 1, reach[1] + 1, mesh.cell_m, mesh.nz)
    expected = np.zeros_like(m)
    for k, j, i in np.ndindex(mesh.shape):
        for dk in range(-k, mesh.nz - k):
            for dj in range(-reach[1], reach[1] + 1):
                for di in range(-reach[0], reach[0] + 1):
                    inside = [n > 0 or 0 <= at < size for n, at, size in zip(periodic, (i + di, j + dj), (4, 3))]
                    if all(inside):
                        there = m[:, k + dk, (j + dj) % mesh.ny, (i + di) % mesh.nx]
                        expected[:, k, j, i] -= pair(parts, (dk, dj, di)) @ there
    kernel = demag.kernel(mesh)
    with jax.enable_x64(True):
        field = np.asarray(demag.nonlocal_field(jax.numpy.asarray(m), kernel.spectrum, kernel.padded))
    np.testing.assert_allclose(field - kernel.own[:, None, None, None] * m, expected, atol=1e-9)


@pytest.mark.parametrize("shift", [(1, 0), (0, 2), (3, 1)])
def test_a_state_that_is_moved_along_moves_as_it_did(shift):
    """dm/dt of all terms with neighbours, the stray field and the Zhang-Li torque, in a disc of cells with regions."""
    mesh = Mesh(8, 6, (2e-9, 3e-9, 1.5e-9), 2, (2, 1))
    problem = Problem(
        mesh, Geometry(), Material(8e5, 1.3e-11, 0.1, 5e5, 1e-3, zhang_li_beta=0.3, Dbulk_J_per_m2=1e-3),
        (Phase("run", 1e-12, zhang_li_u_m_per_s=300.0),), Initial("uniform"), 0.0,
        Numerics(1e-14, "rk4", "float64", 0), 1e-12,
    )  # fmt: skip
    m = streams.generator(2, "test", "periodic").standard_normal((3, *mesh.shape))
    m /= np.sqrt((m**2).sum(0))

    def rate(problem, m):
        with jax.enable_x64(True):
            solver = Solver(problem)
            system, m = solver.system(problem), jax.numpy.asarray(m)
            values = solver.values(solver.drive(problem, problem.schedule[0]), 0)
            return np.asarray(solver._rate(system, values, m, solver.stray(m, system.ms)))

    moved = np.roll(m, (shift[1], shift[0]), (2, 3))
    expected = np.roll(rate(problem, m), (shift[1], shift[0]), (2, 3))
    np.testing.assert_allclose(rate(problem, moved), expected, atol=1e-12)
    ends = replace(problem, mesh=replace(mesh, periodic=(0, 0)))
    assert np.abs(rate(ends, moved) - np.roll(rate(ends, m), (shift[1], shift[0]), (2, 3))).max() > 0.01
    # arrays of bonds wrap as numbers do
    gate = Region((0.0, 1.0), (0.0, 1.0), (("A_J_per_m", 1.0), ("D_J_per_m2", 1.0)))
    np.testing.assert_allclose(rate(replace(problem, regions=(gate,)), m), rate(problem, m), atol=1e-12)
