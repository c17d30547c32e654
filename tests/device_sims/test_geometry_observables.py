"""Masks, edges, wall position and wall state."""

import numpy as np
import pytest

from device_sims import geometry, observables
from device_sims.problem import Geometry, Mesh, Problem, Region, Roughness
from spinloom.errors import UserError
from tests.device_sims.conftest import track


def test_edges_have_the_set_roughness_and_correlation():
    """4000 edges of 60 cells: the variance scatters by less than 1 %; a bound of 4 % gives false alarms < 1e-4."""
    edges = np.array([geometry.rough_edge(Roughness(2e-9, 20e-9, 1, i), "top", 60, 4e-9) for i in range(4000)])
    assert (edges**2).mean() == pytest.approx(4e-18, rel=0.04, abs=0)
    for lag in (1, 5):
        expected = 4e-18 * np.exp(-lag * 4e-9 / 20e-9)
        assert (edges[:, lag:] * edges[:, :-lag]).mean() == pytest.approx(expected, rel=0.06, abs=0)


def test_sides_and_instances_are_independent_and_repeatable():
    def edge(side, instance):
        return geometry.rough_edge(Roughness(2e-9, 20e-9, 1, instance), side, 50, 4e-9)

    np.testing.assert_array_equal(edge("top", 3), edge("top", 3))
    assert not np.array_equal(edge("top", 3), edge("bottom", 3))
    assert not np.array_equal(edge("top", 3), edge("top", 4))


def test_strip_disc_and_notch_cells():
    mesh = Mesh(20, 8, (1e-9, 1e-9, 1e-9))
    strip = geometry.mask(Geometry("strip", width_m=6e-9), mesh)
    assert strip.sum() == 20 * 6 and not strip[0].any() and strip[1].all()
    notched = geometry.mask(
        Geometry("strip", 6e-9, notch_positions_m=(10.5e-9,), notch_depth_m=2e-9, notch_width_m=4e-9), mesh
    )
    assert notched[:, 10].sum() == 2 and notched[:, 2].sum() == 6
    # the reference's disc: cells whose centre is strictly inside a 60 nm diameter
    assert geometry.mask(Geometry("disc"), Mesh(20, 20, (3e-9, 3e-9, 1.5e-9))).sum() == 316


def test_a_cut_track_is_an_error():
    mesh = Mesh(20, 8, (1e-9, 1e-9, 1e-9))
    with pytest.raises(UserError, match="cut a strip"):
        geometry.mask(Geometry("strip", 6e-9, notch_positions_m=(1e-8,), notch_depth_m=4e-9, notch_width_m=4e-9), mesh)


def wall(position, tilt=0.0, ny=10, nx=100, scale=1.0):
    x, y = np.arange(nx) + 0.5, np.arange(ny) + 0.5 - ny / 2
    return -scale * np.tanh((x[None, :] - position - tilt * y[:, None]) / 3)


@pytest.mark.parametrize("position", [20.0, 37.3, 80.1])
@pytest.mark.parametrize("tilt", [0.0, 1.5])
@pytest.mark.parametrize("scale", [1.0, 0.8])
def test_wall_position_minds_neither_tilt_nor_thermal_shortening(position, tilt, scale):
    mask = np.ones((10, 100), bool)
    found = observables.wall_position(wall(position, tilt, scale=scale), mask, 2e-9)
    assert found == pytest.approx(2e-9 * position, abs=0.2e-9)


def test_wall_position_is_the_area_of_the_up_part():
    mask = np.ones((10, 100), bool)
    mask[:5, :50] = False  # the left half is half as wide: 250 + 500 cells
    mz = np.where(np.arange(100) < 50, 1.0, -1.0) * np.ones((10, 1)) * mask
    assert observables.wall_position(mz, mask, 1.0) == pytest.approx(100 * 250 / 750, abs=0, rel=1e-9)


def test_wall_states():
    mask = np.ones((10, 100), bool)
    noise = 0.3 * np.random.default_rng(2).normal(size=(10, 100))
    assert observables.wall_state(wall(50) + noise, mask) == "single"
    assert observables.wall_state(np.full((10, 100), 0.9) + noise, mask) == "lost"
    assert observables.wall_state(-wall(50), mask) == "multiple"
    assert observables.wall_state(wall(30) * np.sign(60 - np.arange(100)), mask) == "multiple"


def test_problem_survives_json_and_its_hash_sees_every_field():
    geometry = Geometry("strip", 4e-8, Roughness(1e-9, 2e-8, 1, 0), (1e-8,), 1e-9, 2e-9)
    problem = track(geometry=geometry, regions=(Region((0.0, 1e-7), (0.0, 1e-8), 1.1),))
    assert Problem.from_dict(problem.to_dict()) == problem
    assert Problem.from_dict(problem.to_dict()).hash() == problem.hash()
    assert problem.hash() != track().hash()


def test_a_phase_must_be_whole_steps():
    with pytest.raises(UserError, match="a whole number"):
        track().steps(1.05e-13)
