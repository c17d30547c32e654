"""Newell's tensor and the field made of it."""

import jax
import numpy as np
import pytest

from device_sims.engines.llg.fields import demag
from device_sims.problem import Mesh
from device_sims.problem.magnetostatics import newell
from device_sims.problem.magnetostatics.newell import tensor


def test_cube_has_a_third_each_way():
    parts = tensor(1, 1, (5e-9, 5e-9, 5e-9))
    for name in ("xx", "yy", "zz"):
        assert parts[name][0, 0, 0] == pytest.approx(1 / 3, abs=1e-12)


@pytest.mark.parametrize(
    "size, expected",
    [((512, 64, 1), 0.969162), ((600, 60, 1), 0.968054), ((500, 125, 3), 0.952644), ((60, 60, 1), 0.948796)],
)
def test_prisms_have_aharonis_factors(size, expected):
    assert tensor(1, 1, size)["zz"][0, 0, 0] == pytest.approx(expected, abs=1e-6)


def test_flat_cell_has_the_tabulated_factor():
    assert tensor(1, 1, (4, 4, 1))["zz"][0, 0, 0] == pytest.approx(0.650633, abs=1e-6)


def test_trace_is_one_at_the_origin_and_zero_elsewhere():
    parts = tensor(40, 7, (4, 3, 1))
    trace = parts["xx"] + parts["yy"] + parts["zz"]
    expected = np.zeros_like(trace)
    expected[0, 0, 0] = 1
    np.testing.assert_allclose(trace, expected, atol=1e-12)


@pytest.mark.long
def test_far_cells_are_dipoles():
    """Two thousand cell heights away, where the closed form alone has lost half of its digits."""
    cell = (4.0, 4.0, 1.0)
    parts = tensor(501, 46, cell)
    x, y = 500 * cell[0], 45 * cell[1]
    r, volume = np.hypot(x, y), np.prod(cell)
    correction = 1e-5  # of order (d/r)^2
    assert parts["zz"][0, 45, 500] == pytest.approx(volume / (4 * np.pi * r**3), rel=correction, abs=0)
    assert parts["xy"][0, 45, 500] == pytest.approx(-3 * volume * x * y / (4 * np.pi * r**5), rel=correction, abs=0)


@pytest.mark.parametrize("cell", [(4.0, 4.0, 1.0), (2.0, 3.0, 2.5)])
def test_near_and_far_forms_meet(cell):
    distance = newell.FAR * max(cell)
    x, y, z = (np.array([c], np.longdouble) for c in (0.8 * distance, 0.6 * distance, 2 * cell[2]))
    for name, near in (("xx", newell._f), ("xy", newell._g)):
        one, other = newell._second_difference(near, x, y, z, cell), newell._far(name, x, y, z, cell)
        assert float(other[0]) == pytest.approx(float(one[0]), rel=1e-7, abs=0)


@pytest.mark.parametrize("shape", [(1, 4, 7), (3, 4, 5)])
def test_fft_field_is_the_sum_over_all_cells(shape):
    nz, ny, nx = shape
    mesh = Mesh(nx, ny, (4e-9, 3e-9, 1e-9), nz)
    m = np.random.default_rng(5).normal(size=(3, *shape))
    parts = tensor(nx, ny, mesh.cell_m, nz)
    components = ("xx", "xy", "xz"), ("xy", "yy", "yz"), ("xz", "yz", "zz")
    expected = np.zeros_like(m)
    for here in np.ndindex(shape):
        for there in np.ndindex(shape):
            away = np.subtract(here, there)
            sign = dict(zip("zyx", np.sign(away)))
            for a in range(3):
                for b in range(3):
                    name = components[a][b]
                    odd = sign[name[0]] * sign[name[1]] if a != b else 1
                    expected[(a, *here)] -= odd * parts[name][tuple(np.abs(away))] * m[(b, *there)]
    with jax.enable_x64(True):
        kernel = demag.kernel(mesh)
        field = np.asarray(demag.nonlocal_field(jax.numpy.asarray(m), kernel.spectrum, kernel.padded))
    np.testing.assert_allclose(field - kernel.own[:, None, None, None] * m, expected, atol=1e-13)
