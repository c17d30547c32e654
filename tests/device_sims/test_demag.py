"""Newell's tensor and the field made of it."""

import jax
import numpy as np
import pytest

from device_sims.engines.llg.fields import demag
from device_sims.engines.llg.newell import tensor
from device_sims.problem import Mesh


def test_cube_has_a_third_each_way():
    parts = tensor(1, 1, (5e-9, 5e-9, 5e-9))
    for name in ("xx", "yy", "zz"):
        assert parts[name][0, 0] == pytest.approx(1 / 3, abs=1e-12)


@pytest.mark.parametrize(
    "size, expected",
    [((512, 64, 1), 0.969162), ((600, 60, 1), 0.968054), ((500, 125, 3), 0.952644), ((60, 60, 1), 0.948796)],
)
def test_prisms_have_aharonis_factors(size, expected):
    assert tensor(1, 1, size)["zz"][0, 0] == pytest.approx(expected, abs=1e-6)


def test_flat_cell_has_the_tabulated_factor():
    assert tensor(1, 1, (4, 4, 1))["zz"][0, 0] == pytest.approx(0.650633, abs=1e-6)


def test_trace_is_one_at_the_origin_and_zero_elsewhere():
    parts = tensor(40, 7, (4, 3, 1))
    trace = parts["xx"] + parts["yy"] + parts["zz"]
    expected = np.zeros_like(trace)
    expected[0, 0] = 1
    np.testing.assert_allclose(trace, expected, atol=1e-12)


def test_far_cells_are_dipoles():
    """As far as the default track is long. Beyond 800 cell heights the cancellation leaves more than 1e-4."""
    cell = (4.0, 4.0, 1.0)
    parts = tensor(151, 46, cell)
    x, y = 150 * cell[0], 45 * cell[1]
    r, volume = np.hypot(x, y), np.prod(cell)
    assert parts["zz"][45, 150] == pytest.approx(volume / (4 * np.pi * r**3), rel=1e-4, abs=0)
    assert parts["xy"][45, 150] == pytest.approx(-3 * volume * x * y / (4 * np.pi * r**5), rel=1e-4, abs=0)


def test_fft_field_is_the_sum_over_all_cells():
    mesh = Mesh(7, 4, (4e-9, 3e-9, 1e-9))
    m = np.random.default_rng(5).normal(size=(3, mesh.ny, mesh.nx))
    parts = tensor(mesh.nx, mesh.ny, mesh.cell_m)
    expected = np.zeros_like(m)
    for j in range(mesh.ny):
        for i in range(mesh.nx):
            for q in range(mesh.ny):
                for p in range(mesh.nx):
                    dy, dx = j - q, i - p
                    n = {name: part[abs(dy), abs(dx)] for name, part in parts.items()}
                    xy = n["xy"] * np.sign(dx) * np.sign(dy)
                    source = m[:, q, p]
                    expected[0, j, i] -= n["xx"] * source[0] + xy * source[1]
                    expected[1, j, i] -= xy * source[0] + n["yy"] * source[1]
                    expected[2, j, i] -= n["zz"] * source[2]
    with jax.enable_x64(True):
        kernel = demag.kernel(mesh)
        field = np.asarray(demag.nonlocal_field(jax.numpy.asarray(m), kernel.spectrum, kernel.padded))
    np.testing.assert_allclose(field - kernel.own[:, None, None] * m, expected, atol=1e-13)
