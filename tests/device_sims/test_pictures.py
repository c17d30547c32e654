"""Pictures of the magnetisation: what they show is what was simulated, and the same event gives the same bytes."""

import matplotlib
import numpy as np
import pytest
import yaml
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from device_sims import __main__ as cli
from device_sims import engines
from device_sims.engines import Result
from device_sims.pictures import drawing, event
from device_sims.pictures.show import picture
from device_sims.problem import problem_file
from device_sims.single.run import run
from spinloom.errors import UserError

CELL, WALL = 4e-9, 150e-9
TRACK = {
    "mesh": {"cell_m": [CELL, CELL, 1e-9], "cells": [64, 8, 1]},
    "material": {"Ms_A_per_m": 1e6, "A_J_per_m": 1.5e-11, "alpha": 0.3, "Ku_J_per_m3": 8e5, "spin_hall_angle": 0.1},
    "initial": {"kind": "wall", "position_m": WALL, "width_m": 8e-9, "azimuth_rad": 0},
    "schedule": [
        {"name": "rest", "duration_s": 1e-12},
        {"name": "pulse", "duration_s": 2e-12, "current_density_A_per_m2": 1e11},
        {"name": "settle", "duration_s": 1e-12},
    ],
    "numerics": {"integrator": "heun", "dt_s": 1e-13},
    "outputs": {"record_interval_s": 1e-12, "ovf": "each record"},
}


def load(tmp_path, **changes):
    path = tmp_path / "problem.yaml"
    path.write_text(yaml.safe_dump({**TRACK, **changes}))
    return path, problem_file.load(path)[0]


def states(m, **more):
    """Return an event of a track of given states, float[n, 3, nz, ny, nx]."""
    n = len(m)
    facts = {"on_s": np.zeros((0, 2)), "parts": np.zeros(m.shape[-2:], np.int32), "source": "test"} | more
    stored = np.rint(127 * m).astype(np.int8)
    return event.Event(np.arange(n) * 1e-9, stored, np.full(3, CELL), np.full(n, np.nan), **facts)


def uniform(angle, layers=1):
    m = np.zeros((1, 3, layers, 4, 6))
    m[:, 0], m[:, 1] = np.cos(angle), np.sin(angle)
    return m


def test_wall_of_the_picture_is_that_of_the_trajectory_and_the_pulse_is_marked(tmp_path):
    _, problem = load(tmp_path)
    (result,) = engines.run("llg", [problem])
    found = event.of_result(problem, result, "test", 8, 10**6)
    assert len(found.t_s) == 5
    assert [found.driven(record) for record in range(5)] == [False, False, True, True, False]
    for record in range(5):
        mz = drawing.shown(found, record, 0, "mz").mean(0)
        left, right = np.flatnonzero((mz[:-1] > 0) & (mz[1:] <= 0))[0] + np.array([0, 2])
        assert left * CELL < found.wall_m[record] < right * CELL
    assert abs(found.wall_m[0] - WALL) < CELL / 100
    assert np.abs(found.unit - result.m).max() < 0.6 / event.FULL


def test_thinning_keeps_the_size_and_stays_below_the_cells_asked_for(tmp_path):
    _, problem = load(tmp_path)
    (result,) = engines.run("llg", [problem])
    found = event.of_result(problem, result, "test", 3, 130)
    assert len(found.t_s) == 3 and found.m.shape[2:] == (1, 4, 32)
    np.testing.assert_allclose(found.cell_m, [2 * CELL, 2 * CELL, 1e-9])
    np.testing.assert_array_equal(found.m[-1, :, 0], np.rint(127 * result.m[-1, :, 0, 1::2, 1::2]).astype(np.int8))
    assert found.wall_m[-1] == event.of_result(problem, result, "test", 3, 10**6).wall_m[-1]
    narrow = Result(result.t_s, result.m[..., :1, :], result.mask[:, :1], result.phase_end, {})
    _, one_row = load(tmp_path, mesh={"cell_m": [CELL, CELL, 1e-9], "cells": [64, 1, 1]})
    assert event.of_result(one_row, narrow, "test", 3, 8).m.shape[2:] == (1, 1, 8)


@pytest.mark.parametrize("degrees", [0, 60, 135, -90])
def test_a_rotated_state_has_the_rotated_hue(degrees):
    found = states(uniform(np.radians(degrees)))
    assert drawing.colouring(found) == "angle"
    np.testing.assert_allclose(drawing.shown(found, 0, 0, "angle"), degrees, atol=0.5)


def test_cells_without_material_are_background_and_outlined(monkeypatch):
    monkeypatch.setitem(matplotlib.rcParams, "axes.facecolor", "#eaeaf2")  # of a style that other code has set
    m = np.zeros((1, 3, 1, 4, 6))
    m[:, 2, :, 1:3, 1:5] = 1
    found = states(m)
    values = drawing.shown(found, 0, 0, "mz")
    assert np.isnan(values[0]).all() and (values[1:3, 1:5] == 1).all()
    assert len(drawing.boundaries(np.isfinite(values))) == 2 * (2 + 4)
    figure = drawing.strip(found)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    image = np.asarray(canvas.buffer_rgba())[::-1, :, :3].astype(int)
    (x0, y0), (x1, y1) = figure.axes[0].get_window_extent().get_points().round().astype(int)
    panel = image[y0 + 3 : y1 - 3, x0 + 3 : x1 - 3]
    red = (np.abs(panel - (180, 4, 38)) < 3).all(-1)
    # 8 of 24 cells are up, the rest is white; outline, scale bar and the margin of 3 pixels change the shares a little
    assert 0.28 < red.mean() < 0.36 and 0.5 < (panel == 255).all(-1).mean() < 0.7


def test_boundaries_of_regions_and_grains(tmp_path):
    half = {"name": "right", "x_m": [128e-9, 1], "y_m": [0, 1]}
    _, problem = load(tmp_path, regions=[half], grains={"size_m": 40e-9})
    (result,) = engines.run("llg", [problem])
    parts = event.of_result(problem, result, "test", 2, 10**6).parts
    assert (parts[:, 31] != parts[:, 32]).all()
    assert len(np.unique(parts)) > 3
    _, without = load(tmp_path)
    assert (event.of_result(without, result, "test", 2, 10**6).parts == 0).all()


def test_layers_are_drawn_side_by_side_and_a_missing_one_is_refused():
    found = states(uniform(0, layers=3))
    titles = [ax.get_title(loc="left") for ax in drawing.strip(found).axes]
    assert [title for title in titles if title] == [f"0 ns, layer {layer}" for layer in range(3)]
    with pytest.raises(UserError, match="--layers: found 3, allowed: 0 to 2"):
        drawing.strip(found, layers=(3,))


@pytest.mark.long
def test_the_same_event_gives_the_same_bytes_and_is_read_back(tmp_path):
    m = np.concatenate([uniform(0), uniform(1), uniform(2)])
    found = states(m, on_s=np.array([[0, 1e-9]]))
    for name in ("a.npz", "a.png", "a.gif", "a.webp"):
        paths = [tmp_path / name, tmp_path / f"again_{name}"]
        for path in paths:
            event.write(found, path) if name.endswith("npz") else drawing.save(found, path)
        assert paths[0].read_bytes() == paths[1].read_bytes()
    again = event.read(tmp_path / "a.npz")
    assert again.source == "test" and (again.m == found.m).all() and (again.on_s == found.on_s).all()
    for name in ("a.gif", "a.webp"):
        with Image.open(tmp_path / name) as image:
            assert image.n_frames == 3


def test_ovf_files_of_a_run_show_what_the_problem_shows(tmp_path):
    path, _ = load(tmp_path)
    run(path, "llg", tmp_path / "run")
    picture(tmp_path / "run", tmp_path / "run.npz")
    picture(path, tmp_path / "problem.npz")
    files, problem = event.read(tmp_path / "run.npz"), event.read(tmp_path / "problem.npz")
    assert np.abs(files.m.astype(int) - problem.m).max() <= 1
    np.testing.assert_allclose(files.wall_m, problem.wall_m, atol=CELL / 100)
    np.testing.assert_allclose(files.t_s, problem.t_s, atol=1e-18)


def test_command_and_its_refusals(tmp_path, monkeypatch):
    path, _ = load(tmp_path)
    output = tmp_path / "strip.png"
    monkeypatch.setattr("sys.argv", ["device_sims", "picture", str(path), "--output", str(output), "--snapshots", "2"])
    cli.main()
    with Image.open(output) as image:
        assert image.size[0] == 1200
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.npz").write_bytes(b"PK")
    for source, name, options, told in [
        (path, "a.mp4", {}, r"--output: found a.mp4, allowed: a name that ends in .png, .gif, .webp, .npz"),
        (path, "a.png", {"engine": "macrospin"}, "--engine: found macrospin, which has no cells"),
        (path, "a.png", {"engine": "collective"}, "--engine: found collective, which has no cells"),
        (path, "a.png", {"layers": "x"}, "--layers: found 'x'"),
        (tmp_path / "empty", "a.png", {}, "holds no table"),
        (tmp_path / "bad.npz", "a.png", {}, "found a file that does not hold the pictures of a write"),
        (tmp_path / "none.npz", "a.png", {}, "no such file"),
    ]:
        with pytest.raises(UserError, match=told):
            picture(source, tmp_path / name, **options)
