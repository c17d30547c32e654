"""A window that moves with the wall: the speeds of a long track, rough edges by their place, and what is refused."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from device_sims import engines
from device_sims.engines import mumax3
from device_sims.engines.llg import window
from device_sims.engines.oommf import limits
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
    Roughness,
    Window,
    geometry,
    problem_file,
    shapes,
)
from device_sims.problem.observables import wall_position
from device_sims.single.run import run
from spinloom.errors import UserError
from tests.device_sims.test_problem_file import changed, write

DX = 2e-9


def line(cells: int, position_m: float, window: Window | None = None, **changes) -> Problem:
    """A wall without stray field, driven along the axis; the DMI holds its angle up to 45 mT."""
    problem = Problem(
        Mesh(cells, 1, (DX, DX, 1e-9)), Geometry(), Material(1e6, 1.5e-11, 0.5, Ku_J_per_m3=2e5, D_J_per_m2=0.5e-3),
        (Phase("run", 1.2e-9, field_T=(0.0, 0.0, 0.02)),),
        Initial("wall", position_m=position_m, width_m=8.66e-9, azimuth_rad=np.pi), 0.0,
        Numerics(2e-13, "dopri5", "float64", 0, demag=False), 1e-11, window=window,
    )  # fmt: skip
    return replace(problem, **changes)


def places(problem: Problem) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    (result,) = engines.run("llg", [problem])
    inside = wall_position(result.m[:, 2], result.mask, DX)
    shift = np.zeros(len(inside), int) if result.shift_cells is None else result.shift_cells
    return result.t_s, inside, shift


@pytest.mark.long
@pytest.mark.parametrize("sign", [1, -1])
def test_a_driven_wall_has_the_speed_of_a_long_track(sign):
    """The window of 64 cells against 512 (0.2 of 60 nm apart); both against Walker: gamma0 Delta H / alpha."""
    field = Phase("run", 1.2e-9, field_T=(0.0, 0.0, sign * 0.02))
    t, inside, shift = places(line(64, 64 * DX / 2, Window("z"), schedule=(field,)))
    _, long, _ = places(line(512, 512 * DX / 2, schedule=(field,)))
    position = inside + shift * DX
    assert abs(shift[-1]) > 5 and np.abs(inside - 64 * DX / 2).max() < 4 * DX
    np.testing.assert_allclose(position - position[0], long - long[0], rtol=0, atol=0.15 * DX)
    speed = np.polyfit(t[80:], position[80:], 1)[0]
    width = np.sqrt(1.5e-11 / 2e5)
    assert speed == pytest.approx(sign * GAMMA0 * width * 0.02 / MU0 / 0.5, rel=0.02, abs=0)


def test_columns_that_enter_are_the_domain_and_ends_stay():
    m = np.zeros((3, 1, 2, 64))
    m[2, ..., :32], m[2, ..., 32:] = 1, -1
    m[:, 0, :, -1] = [[0.6], [0.0], [-0.8]]
    problem = line(64, 64 * DX / 2, mesh=Mesh(64, 2, (DX, DX, 1e-9)))
    ahead = window.shifted(window.moved(problem, 5), m, 5)
    np.testing.assert_array_equal(ahead[2, 0, 0, :-1], np.where(np.arange(63) < 27, 1, -1))
    np.testing.assert_array_equal(ahead[..., -1], m[..., -1])
    back = window.shifted(window.moved(problem, -5), m, -5)
    np.testing.assert_array_equal(back[2, 0, 0, :-1], np.where(np.arange(63) < 37, 1, -1))


@pytest.mark.long
def test_rough_edges_are_those_of_their_place_on_the_track():
    rough = Roughness(2e-9, 2e-8, 3, 1)
    whole = shapes.rough_edge(rough, "top", 300, DX)
    for first in (0, 7, 120):
        np.testing.assert_array_equal(shapes.rough_edge(rough, "top", 100, DX, first), whole[first : first + 100])
    before = shapes.rough_edge(rough, "top", 100, DX, -60)
    np.testing.assert_array_equal(before[60:], whole[:40])
    np.testing.assert_array_equal(before, shapes.rough_edge(rough, "top", 160, DX, -90)[30:130])
    far = shapes.rough_edge(rough, "top", 20000, DX, -20000)
    # 500 correlation lengths: the standard deviation is known to 5 %; three of these, a chance of 0.3 %
    assert np.std(far) == pytest.approx(2e-9, rel=0.15, abs=0)
    # as far as the wall carries it, a cell of the window has the track's edge
    strip = Geometry("strip", width_m=2e-8, roughness=rough)
    problem = line(64, 64 * DX / 2, Window("z"), mesh=Mesh(64, 16, (DX, DX, 1e-9)), geometry=strip)
    (result,) = engines.run("llg", [replace(problem, schedule=(Phase("run", 2e-10, field_T=(0.0, 0.0, 0.04)),))])
    last = int(result.shift_cells[-1])
    assert last > 2
    mask = (result.m[-1] != 0).any(0)
    long = geometry.mask(strip, Mesh(64 + last, 16, (DX, DX, 1e-9)))
    np.testing.assert_array_equal(mask, long[..., last:])


def test_a_table_has_the_shift_and_the_absolute_position(tmp_path):
    content = changed("mesh.cells", [40, 4, 1])
    content["initial"] |= {"position_m": 8e-8}
    content |= {"window": {}, "schedule": [{"duration_s": 3e-10, "field_T": [0, 0, 0.1]}]}
    content["outputs"] = {"record_interval_s": 1e-11}
    run(write(tmp_path, content), "llg", tmp_path / "out")
    table = pd.read_csv(tmp_path / "out" / "table.csv")
    shift, absolute = table["window_shift_m"], table["wall_position_absolute_m"]
    assert shift.iloc[-1] > 0 and np.allclose(shift / 4e-9, np.round(shift / 4e-9))
    np.testing.assert_allclose(absolute, shift + table["wall_position_m"], rtol=0, atol=1e-15)
    assert (table["wall_position_m"] - 8e-8).abs().max() < 1.6e-8


@pytest.mark.parametrize(
    "path, value, message",
    [
        ("geometry", {"kind": "disc"}, "geometry.kind: found disc with a window that moves, allowed: a uniform box or"),
        ("regions", [{"x_m": [0, 4e-8], "y_m": [0, 4e-8]}], "regions: found regions with a window that moves"),
        ("window", {"component": "w"}, "window.component: found w, allowed: x, y, z"),
    ],
)
def test_what_a_window_cannot_move_over_is_refused(tmp_path, path, value, message):
    with pytest.raises(UserError, match=message):
        problem_file.load(write(tmp_path, {**changed(path, value), "window": value if path == "window" else {}}))


def test_a_wall_that_is_lost_or_too_fast_is_told():
    alone = line(64, 64 * DX / 2, Window("z"), initial=Initial("uniform", (0.0, 0.0, 1.0)))
    with pytest.raises(UserError, match="window: found no wall that the window can follow"):
        list(engines.run("llg", [alone]))
    with pytest.raises(UserError, match="found the wall 5[0-9] cells from the middle at a record, allowed: at most 47"):
        list(engines.run("llg", [line(128, 115.5 * DX, Window("z"))]))


def test_other_engines_refuse_a_window():
    problem = line(64, 64 * DX / 2, Window("z"))
    for name in ("macrospin", "collective"):
        with pytest.raises(UserError, match="window: found one that follows mz, allowed with the .* engine: a box"):
            list(engines.run(name, [problem]))
    for check in (mumax3.check, limits.check_problem):
        with pytest.raises(UserError, match="window: found one that follows mz"):
            check(problem)
