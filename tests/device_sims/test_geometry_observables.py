"""Masks, edges, wall position and wall state."""

import numpy as np
import pytest

from device_sims.problem import Geometry, Mesh, Problem, Region, Roughness, geometry, observables, shapes
from spinloom.errors import UserError
from tests.device_sims.conftest import track


def test_edges_have_the_set_roughness_and_correlation():
    """4000 edges of 60 cells: the variance scatters by less than 1 %; a bound of 4 % gives false alarms < 1e-4."""
    edges = np.array([shapes.rough_edge(Roughness(2e-9, 20e-9, 1, i), "top", 60, 4e-9) for i in range(4000)])
    assert (edges**2).mean() == pytest.approx(4e-18, rel=0.04, abs=0)
    for lag in (1, 5):
        expected = 4e-18 * np.exp(-lag * 4e-9 / 20e-9)
        assert (edges[:, lag:] * edges[:, :-lag]).mean() == pytest.approx(expected, rel=0.06, abs=0)


def test_sides_and_instances_are_independent_and_repeatable():
    def edge(side, instance):
        return shapes.rough_edge(Roughness(2e-9, 20e-9, 1, instance), side, 50, 4e-9)

    np.testing.assert_array_equal(edge("top", 3), edge("top", 3))
    assert not np.array_equal(edge("top", 3), edge("bottom", 3))
    assert not np.array_equal(edge("top", 3), edge("top", 4))


def test_strip_disc_and_notch_cells():
    mesh = Mesh(20, 8, (1e-9, 1e-9, 1e-9))
    strip = geometry.mask(Geometry("strip", width_m=6e-9), mesh)[0]
    assert strip.sum() == 20 * 6 and not strip[0].any() and strip[1].all()
    notched = geometry.mask(
        Geometry("strip", 6e-9, notch_positions_m=(10.5e-9,), notch_depth_m=2e-9, notch_width_m=4e-9), mesh
    )[0]
    assert notched[:, 10].sum() == 2 and notched[:, 2].sum() == 6
    # the reference's disc: cells whose centre is strictly inside a 60 nm diameter
    assert geometry.mask(Geometry("disc"), Mesh(20, 20, (3e-9, 3e-9, 1.5e-9))).sum() == 316


def test_a_cut_track_is_an_error():
    mesh = Mesh(20, 8, (1e-9, 1e-9, 1e-9))
    with pytest.raises(UserError, match="cut through the strip"):
        geometry.mask(Geometry("strip", 6e-9, notch_positions_m=(1e-8,), notch_depth_m=4e-9, notch_width_m=4e-9), mesh)


def wall(position, tilt=0.0, ny=10, nx=100, scale=1.0):
    """A wall 3 cells wide through ``position`` that moves ``tilt`` cells along x for each cell along y."""
    x, y = np.arange(nx) + 0.5, np.arange(ny) + 0.5 - ny / 2
    return -scale * np.tanh((x[None, :] - position - tilt * y[:, None]) / (3 * np.hypot(1, tilt)))


@pytest.mark.parametrize("position", [20.0, 37.3, 80.1])
@pytest.mark.parametrize("tilt", [0.0, 1.5])
@pytest.mark.parametrize("scale", [1.0, 0.8])
def test_wall_position_minds_neither_tilt_nor_thermal_shortening(position, tilt, scale):
    mask = np.ones((10, 100), bool)
    mz = wall(position, tilt, scale=scale)
    found = observables.wall_position(mz, mask, 2e-9)
    assert found == pytest.approx(2e-9 * position, abs=0.2e-9)
    # the reversed track, told or found out; three layers alike
    layers, thick = np.stack([-mz] * 3), np.stack([mask] * 3)
    for up_left in (False, None):
        assert observables.wall_position(layers, thick, 2e-9, up_left) == pytest.approx(found, rel=1e-12, abs=0)
    assert observables.wall_position(mz, mask, 2e-9, None) == found


def test_wall_position_is_the_area_of_the_up_part():
    mask = np.ones((10, 100), bool)
    mask[:5, :50] = False  # the left half is half as wide: 250 + 500 cells
    mz = np.where(np.arange(100) < 50, 1.0, -1.0) * np.ones((10, 1)) * mask
    assert observables.wall_position(mz, mask, 1.0) == pytest.approx(100 * 250 / 750, abs=0, rel=1e-9)


def bubble(mz, x, y, radius, value=1.0):
    grid_y, grid_x = np.indices(mz.shape)
    return np.where((grid_x - x) ** 2 + (grid_y - y) ** 2 < radius**2, value, mz)


def test_wall_states():
    """Normal noise of 0.3 in every cell; that an island of 9 cells of it counted has odds below 1e-9."""
    mask = np.ones((40, 100), bool)
    noise = 0.3 * np.random.default_rng(2).normal(size=mask.shape)
    steep = np.tan(np.radians(60))

    def state(mz, up_left=True):
        return observables.wall_state(mz + noise, mask, up_left)

    for tilt in (0, 1, steep, -steep):
        one = wall(50, tilt, 40)
        assert state(one) == state(one, None) == state(-one, False) == state(-one, None) == "single"
        assert state(-one) == state(one, False) == "multiple"
    bent = -np.tanh((np.arange(100) - 50 - 20 * np.sin(np.arange(40) / 13)[:, None]) / 4)
    assert state(bent) == "single"
    # the corner of a tilted wall that is going through the end
    assert state(wall(97, steep, 40)) == "single"
    assert state(np.full((40, 100), 0.9)) == state(np.full((40, 100), -0.9)) == "lost"
    assert state(wall(30, 0, 40) * np.sign(60 - np.arange(100))) == "multiple"
    assert state(bubble(wall(30, 0, 40), 70, 20, 6)) == state(bubble(wall(30, 0, 40), 12, 20, 6, -1.0)) == "multiple"
    # a lone bubble and a wall along the track are not the wall
    assert state(bubble(np.full((40, 100), -0.9), 20, 20, 8)) == "multiple"
    assert state(np.tanh((np.arange(40) - 20) / 3)[:, None] * np.ones(100)) == "multiple"


def test_walls_that_come_and_go_are_events():
    mask = np.ones((2, 10, 100), bool)
    one, none = wall(50), np.full((10, 100), 0.9)
    two = wall(30) * np.sign(60 - np.arange(100))

    def events(*records):
        mz = np.stack([np.stack([record] * 2) for record in records])
        return observables.state_events(np.arange(len(records)) * 1e-9, observables.wall_states(mz, mask))

    assert events(one, one) == []
    assert events(one, wall(95), none, none) == [(2e-9, "left_track")]
    assert events(one, two, none) == [(1e-9, "nucleated"), (2e-9, "annihilated")]
    assert events(one, two, one) == [(1e-9, "nucleated"), (2e-9, "annihilated")]
    assert events(none, one) == [(0.0, "left_track"), (1e-9, "nucleated")]


def test_problem_survives_json_and_its_hash_sees_every_field():
    geometry = Geometry("strip", 4e-8, Roughness(1e-9, 2e-8, 1, 0), (1e-8,), 1e-9, 2e-9)
    problem = track(geometry=geometry, regions=(Region((0.0, 1e-7), (0.0, 1e-8), (("Ku_J_per_m3", 1.1),)),))
    assert Problem.from_dict(problem.to_dict()) == problem
    assert Problem.from_dict(problem.to_dict()).hash() == problem.hash()
    assert problem.hash() != track().hash()


def test_a_phase_must_be_whole_steps():
    with pytest.raises(UserError, match="a whole number"):
        track().steps(1.05e-13)
