"""First states, and what is read off a magnetisation: each start against its own definition."""

import math

import numpy as np
import pandas as pd
import pytest
import yaml

from device_sims.engines import collective, macrospin
from device_sims.engines.llg import ensemble
from device_sims.problem import (
    Initial,
    Mesh,
    material,
    observables,
    ovf,
    problem_file,
)
from device_sims.problem.initial import initial_magnetisation
from device_sims.problem.readings import textures
from device_sims.single.run import run
from spinloom.errors import UserError
from tests.device_sims.conftest import track
from tests.device_sims.test_problem_file import DOCS, changed, write
from tests.device_sims.test_shapes import loaded

NM = 1e-9
MESH = Mesh(100, 60, (2 * NM, 2 * NM, NM))
WHOLE = np.ones(MESH.shape, bool)


def start(initial: Initial, mesh: Mesh = MESH) -> np.ndarray:
    return initial_magnetisation(track(mesh=mesh, initial=initial), np.ones(mesh.shape, bool))


def start_in_words(tmp_path, words, mesh=None) -> np.ndarray:
    content = changed("initial", words)
    content["mesh"] = mesh or {"cell_m": [2e-9, 2e-9, 1e-9], "cells": [100, 60, 1]}
    problem, _ = problem_file.load(write(tmp_path, content))
    return initial_magnetisation(problem, material.mask(problem))


# -- skyrmions -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("charge", [-2, -1, 1, 3])
@pytest.mark.parametrize("core_up", [True, False])
@pytest.mark.parametrize("helicity", [0.0, 1.0])
def test_a_skyrmion_has_its_charge_place_radius_and_helicity(tmp_path, charge, core_up, helicity):
    words = {
        "kind": "skyrmion", "radius_m": 20e-9, "width_m": 4e-9, "charge": charge, "core_up": core_up,
        "helicity_rad": helicity, "center_m": [90e-9, 57e-9],
    }  # fmt: skip
    m = start_in_words(tmp_path, words)
    assert textures.topological_charge(m, WHOLE) == pytest.approx(charge, abs=1e-3)
    found = textures.skyrmion(m, WHOLE, MESH)
    assert found[:2] == pytest.approx((90e-9, 57e-9), abs=1e-11)
    assert found.radius_m == pytest.approx(20e-9, abs=0, rel=0.02)
    assert m[2, 0, 28, 45] == pytest.approx(1 if core_up else -1, abs=0.01)
    # on the axis through the centre, to the right of it, m in the plane makes the helicity with the radius
    vector = m[:2, 0, 28, 55]
    assert math.atan2(vector[1], vector[0]) == pytest.approx(helicity, abs=0.05 * abs(charge))


def test_chirality_of_a_skyrmion_is_that_of_the_wall_at_its_right(tmp_path):
    for core_up in (True, False):
        for chirality in ("left", "right"):
            words = {"kind": "skyrmion", "radius_m": 30e-9, "core_up": core_up, "chirality": chirality}
            skyrmion = start_in_words(tmp_path, words)
            wall = {"kind": "wall", "position_m": 13e-8, "width_m": 1e-8, "chirality": chirality, "up_left": core_up}
            mx = start_in_words(tmp_path, wall)[0, 0, 30, 64]
            assert np.sign(skyrmion[0, 0, 30, 64]) == np.sign(mx) and abs(mx) > 0.9


def test_a_texture_without_a_skyrmion_or_a_core_has_none():
    up = start(Initial("uniform", (0.0, 0.0, 1.0)))
    assert np.isnan(textures.skyrmion(up, WHOLE, MESH)).all()
    flat = start(Initial("uniform", (1.0, 0.0, 0.2)))
    assert np.isnan(textures.core(flat, WHOLE, MESH)).all()
    assert textures.topological_charge(up, WHOLE) == 0


def test_charge_of_a_film_is_that_of_its_layers_and_of_the_magnetic_cells():
    mesh = Mesh(100, 60, (2 * NM, 2 * NM, NM), 3)
    m = start(Initial("skyrmion", radius_m=2e-8, width_m=4e-9, core_up=False), mesh)
    mask = np.ones(mesh.shape, bool)
    assert textures.topological_charge(m, mask) == pytest.approx(-1, abs=1e-3)
    mask[1:] = False
    assert textures.topological_charge(m * mask, mask) == pytest.approx(-1, abs=1e-3)
    left = mask.copy()
    left[..., 50:] = False
    assert textures.topological_charge(m * left, left) == pytest.approx(-0.5, abs=0.02)


# -- vortices --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("circulation", [1, -1])
@pytest.mark.parametrize("core_up", [True, False])
def test_a_vortex_has_its_place_circulation_and_core(tmp_path, circulation, core_up):
    words = {"kind": "vortex", "center_m": [81e-9, 50e-9], "circulation": circulation, "core_up": core_up,
             "radius_m": 6e-9}  # fmt: skip
    m = start_in_words(tmp_path, words)
    assert m[1, 0, 25, 80] == pytest.approx(circulation, abs=1e-3)  # to the right of the core
    core = textures.core(m, WHOLE, MESH)
    assert core[:2] == pytest.approx((81e-9, 50e-9), abs=1e-9)  # between two rows of cells
    assert core.mz == pytest.approx(1 if core_up else -1, abs=0.2)
    assert textures.winding(m, WHOLE) == 1


def test_a_core_between_cells_is_found():
    """A parabola through three cells of a Gaussian of width 10 nm errs by less than a hundredth of a cell."""
    for shift in (0.0, 0.3e-9, -0.8e-9):
        m = np.zeros((3, *MESH.shape))
        x, y = (np.arange(100) + 0.5) * 2e-9, ((np.arange(60) + 0.5) * 2e-9)[:, None]
        m[2, 0] = -np.exp(-((x - 101e-9 - shift) ** 2 + (y - 61e-9 + shift) ** 2) / (2 * 1e-16))
        assert textures.core(m, WHOLE, MESH)[:2] == pytest.approx((101e-9 + shift, 61e-9 - shift), abs=2e-11)


# -- walls -----------------------------------------------------------------------------------------------------------
def in_plane(**words):
    return {"kind": "wall", "position_m": 81e-9, **words}


@pytest.mark.parametrize("domains", ["head_to_head", "tail_to_tail"])
@pytest.mark.parametrize("core", ["transverse", "vortex"])
@pytest.mark.parametrize("core_up", [True, False])
def test_walls_along_x(tmp_path, domains, core, core_up):
    m = start_in_words(tmp_path, in_plane(domains=domains, core=core, core_up=core_up))
    sign = 1 if domains == "head_to_head" else -1
    assert m[0, 0, 30, [0, 99]] == pytest.approx([sign, -sign], abs=0.1)
    assert observables.wall_position(m[0], WHOLE, 2e-9, up_left=None) == pytest.approx(81e-9, abs=1e-9)
    assert textures.wall_kind(m, WHOLE, 0) == core
    assert m[2 if core == "vortex" else 1, 0, 30, 40] * (1 if core_up else -1) > 0.7
    assert textures.wall_kind(m, WHOLE, 2) == ""  # there is no wall between up and down


def test_two_domains_are_the_wall_where_they_can_be(tmp_path):
    left, wall, right = [0, 0, 2], [0, 3, 0], [0, 0, -1]
    words = {"kind": "two_domains", "left": left, "wall": wall, "right": right, "position_m": 90e-9, "width_m": 9e-9}
    same = {"kind": "wall", "position_m": 90e-9, "width_m": 9e-9, "azimuth_rad": math.pi / 2}
    np.testing.assert_allclose(start_in_words(tmp_path, words), start_in_words(tmp_path, same), atol=1e-12)


@pytest.mark.parametrize(("azimuth", "kind"), [(0.2, "neel"), (math.pi, "neel"), (1.3, "bloch")])
def test_kinds_of_walls_between_up_and_down(azimuth, kind):
    m = start(Initial("wall", position_m=1e-7, width_m=8e-9, azimuth_rad=azimuth))
    assert textures.wall_kind(m, WHOLE, 2) == kind
    turned = m[[2, 1, 0]] if kind == "bloch" else m[[0, 2, 1]]
    assert textures.wall_kind(turned, WHOLE, 1 if kind == "neel" else 0) == ("neel" if kind == "neel" else "transverse")


# -- random starts and states in parts of the box ----------------------------------------------------------------------
def test_a_random_start_is_uniform_on_the_sphere_and_named_by_its_stream():
    """6000 cells: mean and variance of a component scatter by 0.0075 and 0.0039; five of them: false alarms < 1e-5."""
    first, again = (start(Initial("random")) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first.mean(axis=(1, 2, 3))).max() < 5 * 0.0075
    assert np.abs((first**2).mean(axis=(1, 2, 3)) - 1 / 3).max() < 5 * 0.0039
    other = initial_magnetisation(track(mesh=MESH, initial=Initial("random"), stream=(0, "thermal field", 1)), WHOLE)
    assert abs((first * other).sum(0).mean()) < 5 / math.sqrt(3 * 6000)


def test_states_in_regions_and_shapes(tmp_path):
    content = changed("initial", {
        "kind": "uniform", "direction": [0, 0, 1],
        "inside": [
            {"region": "right", "kind": "uniform", "direction": [0, 0, -1]},
            {"shape": {"kind": "range", "x_m": [0, 8e-9]}, "kind": "uniform", "direction": [1, 0, 0]},
            {"shape": {"kind": "range", "y_m": [0, 4e-9]}, "kind": "random"},
        ],
    })  # fmt: skip
    content["regions"] = [{"name": "right", "shape": {"kind": "range", "x_m": [4e-8, 1e-7]}}]
    problem, _ = problem_file.load(write(tmp_path, content))
    m = initial_magnetisation(problem, material.mask(problem))
    np.testing.assert_array_equal(m[2, 0, 1:], np.broadcast_to([0] * 2 + [1] * 8 + [-1] * 10, (3, 20)))
    np.testing.assert_array_equal(m[0, 0, 1:, :2], 1)
    assert np.unique(m[0, 0, 0]).size == 20
    for engine in (macrospin, collective):
        with pytest.raises(UserError, match=r"initial"):
            next(engine.run([problem]))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"kind": "wall", "position_m": 0}, "initial: key 'width_m' is missing; a wall between up and down needs it"),
        (in_plane(domains="head_to_head", azimuth_rad=0), "initial.azimuth_rad: found with domains head_to_head"),
        (in_plane(core="vortex", width_m=1e-8), "initial.core: found with domains up_down, allowed: only with head"),
        (in_plane(domains="head_to_head", circulation=1), "found with core transverse, allowed: only with core v"),
        ({"kind": "skyrmion"}, "initial: key 'radius_m' is missing; kind skyrmion needs it"),
        ({"kind": "skyrmion", "radius_m": 1e-8, "charge": 0}, "initial.charge: found 0, allowed: any other"),
        ({"kind": "skyrmion", "radius_m": 1e-8, "charge": 2, "chirality": "left"}, "initial.chirality: found with c"),
        ({"kind": "random", "direction": [0, 0, 1]}, "initial.direction: found with kind random, allowed: only wi"),
        ({"kind": "random", "inside": [{"kind": "random"}]}, "initial.inside.0: found neither of region and shape"),
        ({"kind": "random", "inside": [{"kind": "random", "region": "a"}]}, "inside.0.region: found 'a', allowed: the"),
        ({"kind": "random", "inside": [{"kind": "vortex", "file": "a", "region": "a"}]}, "inside.0.file: found wi"),
    ],
)  # fmt: skip
def test_starts_that_cannot_be_are_one_line(tmp_path, words, message):
    with pytest.raises(UserError, match=message) as error:
        loaded(tmp_path, "initial", words)
    assert "\n" not in str(error.value)


# -- the table and the files of a run ----------------------------------------------------------------------------------
def outputs(tmp_path, **keys):
    content = changed("outputs", {"record_interval_s": 5e-13, **keys})
    content["regions"] = [{"name": "gate", "x_m": [0, 4e-8], "y_m": [0, 1]}]
    return write(tmp_path, content)


@pytest.mark.long
def test_columns_fields_and_crop_of_a_run(tmp_path):
    columns = [
        {"kind": "wall_position", "component": "z"}, {"kind": "wall_kind"}, {"kind": "topological_charge"},
        {"kind": "skyrmion"}, {"kind": "core"}, {"kind": "mean", "region": "gate"},
        {"kind": "mean", "shape": {"kind": "range", "y_m": [0, 4e-9]}, "name": "row"},
    ]  # fmt: skip
    crop, fields = {"x_m": [8e-9, 4e-8]}, ["stray", "effective", "dmi"]
    path = outputs(tmp_path, columns=columns, ovf="final", fields=fields, crop=crop)
    run(path, "llg", tmp_path / "out")
    table = pd.read_csv(tmp_path / "out" / "table.csv")
    np.testing.assert_array_equal(table["wall_position_z_m"], table["wall_position_m"])
    assert set(table["wall_kind_z"]) == {"neel"}
    assert {"skyrmion_x_m", "skyrmion_radius_m", "core_mz", "mx_gate", "mz_row", "topological_charge"} <= set(table)
    m, stray, effective, dmi = (
        ovf.read(tmp_path / "out" / f"{name}000000.ovf") for name in ("m", "B_stray", "B_effective", "B_dmi")
    )
    assert m.values.shape == effective.values.shape == (3, 1, 4, 8) and not dmi.values.any()
    assert float(m.header["xmin"]) == 8e-9 and stray.header["valueunits"] == "T T T"
    problem, _ = problem_file.load(path)
    (result,) = ensemble.run([problem])
    last = result.m[-1].astype(float)
    np.testing.assert_allclose(m.values, last[..., 2:10], atol=1e-7)
    assert table["mz_gate"].iloc[-1] == pytest.approx(last[2, 0, :, :10].mean(), abs=1e-9)
    # the energy of the stray field is that of this field
    whole = write(tmp_path, {**changed("outputs", {"record_interval_s": 5e-13, "ovf": "final", "fields": ["stray"]})})
    run(whole, "llg", tmp_path / "whole")
    field = ovf.read(tmp_path / "whole" / "B_stray000000.ovf").values
    energy = -0.5 * 1e6 * 16e-27 * (last * field).sum()
    assert energy == pytest.approx(result.energies_J["demag"][-1], abs=0, rel=1e-5)
    # the same command finds its own files again
    before = (tmp_path / "out" / "table.csv").read_bytes()
    run(outputs(tmp_path, columns=columns, ovf="final", fields=fields, crop=crop), "llg", tmp_path / "out")
    assert (tmp_path / "out" / "table.csv").read_bytes() == before


def test_replicas_have_no_mean_of_words(tmp_path):
    path = outputs(tmp_path, columns=[{"kind": "wall_kind"}, {"kind": "core"}])
    run(path, "llg", tmp_path / "out", replicas=2)
    assert "wall_kind_z" in pd.read_csv(tmp_path / "out" / "ensemble.csv")
    mean = pd.read_csv(tmp_path / "out" / "ensemble_mean.csv")
    assert "core_mz_mean" in mean and not any("kind" in name for name in mean)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"columns": [{"kind": "mean"}]}, "outputs.columns.0: found a second column named 'mx', allowed: another name"),
        ({"columns": [{"kind": "mean", "region": "a"}]}, "columns.0: region: found 'a', allowed: .* .gate."),
        ({"columns": [{"kind": "core", "component": "x"}]}, "columns.0.component: found with kind core, allowed: only"),
        ({"columns": [{"kind": "core", "region": "gate", "shape": {"kind": "box"}}]}, "found both region and shape"),
        ({"fields": ["stray"]}, "outputs.fields: found with ovf none, allowed: only if OVF files"),
        ({"ovf": "final", "crop": {"layers": [1, 2]}}, "outputs.crop.layers: found .1, 2., which contains no cell"),
    ],
)  # fmt: skip
def test_outputs_that_cannot_be_are_one_line(tmp_path, keys, message):
    with pytest.raises(UserError, match=message):
        problem_file.load(outputs(tmp_path, **keys))


@pytest.mark.long
def test_a_relaxation_that_moves_the_wall_says_how_far(tmp_path, capsys):
    """The step of the anisotropy takes the wall to its lower side."""
    content = changed("initial", {"kind": "wall", "position_m": 3.2e-8, "width_m": 9e-9, "azimuth_rad": 0,
                                  "relax_tolerance": 1e-5})  # fmt: skip
    content["mesh"]["cells"] = [40, 4, 1]
    content["regions"] = [{"x_m": [64e-9, 96e-9], "y_m": [0, 1], "factors": {"Ku_J_per_m3": 0.8}},
                          {"x_m": [0, 64e-9], "y_m": [0, 1], "factors": {"Ku_J_per_m3": 1.05}}]  # fmt: skip
    run(write(tmp_path, content), "llg", tmp_path / "out")
    (note,) = (tmp_path / "out" / "notes.txt").read_text().splitlines()
    assert "relaxation moved the wall by" in note and note in capsys.readouterr().err
    moved, before, after = (float(word.rstrip(",")) for word in note.split() if word[0].isdigit())
    assert moved == pytest.approx(after - before, abs=0.2)
    position = pd.read_csv(tmp_path / "out" / "table.csv")["wall_position_m"].iloc[0]
    assert position == pytest.approx(after * 1e-9, abs=1e-10)


@pytest.mark.long
def test_notches_hold_a_wall_along_x_up_to_14_or_15_mT(tmp_path):
    """A Permalloy strip of 100 nm by 5 nm with a pair of notches; the wall is 475 nm from its left end at first."""
    content = yaml.safe_load((DOCS / "examples" / "in_plane_wall.yaml").read_text())
    del content["geometry"]["beyond_mx"]
    content["initial"]["position_m"] = 460e-9
    content["schedule"] = [
        {"name": name, "duration_s": duration, "field_T": [{"from": low, "to": high}, 0, 0]}
        for name, duration, low, high in (("held", 2e-10, 0.013, 0.014), ("ramp", 5e-10, 0.014, 0.0165))
    ]
    run(write(tmp_path, content), "llg", tmp_path / "out")
    table = pd.read_csv(tmp_path / "out" / "table.csv")
    assert table["wall_position_m"].isna().all() and set(table["wall_kind_x"]) == {"transverse"}
    assert table["wall_position_x_m"].iloc[2] < 500e-9  # at 14 mT, still in the notch, which ends at 475 nm
    assert table["wall_position_x_m"].iloc[-1] > 580e-9


def test_fields_are_those_of_the_phase_that_a_record_lies_in(tmp_path):
    """Also after a phase that relaxes, which takes no time, and in the middle of a ramp."""
    content = changed("outputs", {"record_interval_s": 5e-13, "ovf": "each record", "fields": ["zeeman"]})
    content["initial"] = {"kind": "uniform", "direction": [0, 0, 1]}
    content["schedule"] = [
        {"duration_s": 5e-13, "field_T": [0, 0, 0.1]},
        {"kind": "relax", "field_T": [0, 0, 0.2]},
        {"duration_s": 1e-12, "field_T": [0, 0, {"from": 0.3, "to": 0.5}]},
    ]
    run(write(tmp_path, content), "llg", tmp_path / "out")
    found = [ovf.read(path).values[2] for path in sorted((tmp_path / "out").glob("B_zeeman*.ovf"))]
    expected = [0.1, 0.1, 0.2, 0.4, 0.5]
    np.testing.assert_allclose([one.mean() for one in found], expected, rtol=1e-6)
