"""Problem files: everything reaches the problem, and errors are one line."""

import copy
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import yaml

from device_sims.engines.llg import integrators
from device_sims.problem import (
    DataFile,
    Geometry,
    Initial,
    Map,
    Material,
    Mesh,
    Numerics,
    Phase,
    Problem,
    Region,
    Roughness,
    Waveform,
    geometry,
    initial,
    ovf,
    problem_file,
)
from device_sims.problem.parts import later
from device_sims.problem.problem import _plain
from device_sims.problem.problem_file import ProblemFile, other_names
from spinloom import files
from spinloom.declare import schema
from spinloom.errors import UserError

DOCS = Path(__file__).parents[2] / "docs"
SMALL = {
    "mesh": {"cell_m": [4e-9, 4e-9, 1e-9], "cells": [20, 4, 1]},
    "material": {"Ms_A_per_m": 1e6, "A_J_per_m": 1.5e-11, "alpha": 0.1, "Ku_J_per_m3": 8e5},
    "initial": {"kind": "wall", "position_m": 4e-8, "width_m": 9e-9, "azimuth_rad": 0},
    "schedule": [{"duration_s": 1e-12}],
    "numerics": {"dt_s": 1e-13},
    "outputs": {"record_interval_s": 5e-13},
}


def has(rules: dict, path: list[str]) -> bool:
    """Return whether a JSON Schema has a key, through lists and choices."""
    if not path:
        return True
    ways = [rules, *rules.get("anyOf", []), *([rules["items"]] if isinstance(rules.get("items"), dict) else [])]
    return any(path[0] in way.get("properties", {}) and has(way["properties"][path[0]], path[1:]) for way in ways)


def test_the_keys_that_stand_for_names_of_other_programs_are_there():
    rules = schema(ProblemFile)
    assert not has(rules, ["material", "Msat"])
    for key in (*other_names.MUMAX3.values(), *other_names.UBERMAG.values(), *other_names.OOMMF.values()):
        assert has(rules, key.split(".")), key


def write(folder, content, name="problem.yaml") -> Path:
    path = folder / name
    path.write_text(yaml.safe_dump(content))
    return path


def changed(path: str, value) -> dict:
    """`SMALL` with the key of a dotted path set, or removed if the value is None."""
    content = copy.deepcopy(SMALL)
    *parents, last = (int(part) if part.isdigit() else part for part in path.split("."))
    target = content
    for parent in parents:
        target = target[parent] if isinstance(target, list) else target.setdefault(parent, {})
    if value is None:
        del target[last]
    else:
        target[last] = value
    return content


def test_a_file_can_say_everything(tmp_path):
    mesh = Mesh(20, 6, (4e-9, 4e-9, 1e-9), 2)
    ovf.write(tmp_path / "maps" / "ku.ovf", np.full(mesh.shape, 9e5), mesh.cell_m, name="Ku")
    content = {
        "seed": 5,
        "temperature_K": 300,
        "mesh": {"cell_m": [4e-9, 4e-9, 1e-9], "size_m": [80e-9, 24e-9, 2e-9]},
        "geometry": {
            "kind": "strip",
            "width_m": 18e-9,
            "roughness": {"rms_m": 1e-9, "correlation_length_m": 3e-8, "instance": 4},
            "notches": {"positions_m": [4e-8], "depth_m": 4e-9, "width_m": 8e-9},
        },
        "material": {
            "Ms_A_per_m": 1.1e6,
            "A_J_per_m": 2e-11,
            "alpha": 0.3,
            "Ku_J_per_m3": 8e5,
            "Ku2_J_per_m3": 1e4,
            "axis": [0, 3, 4],
            "D_J_per_m2": -1e-3,
            "spin_hall_angle": 0.4,
            "field_like_ratio": 0.2,
            "polarisation": [0, -2, 0],
            "slonczewski_lambda": 1.5,
            "zhang_li_beta": 0.04,
            "maps": {"Ku_J_per_m3": "maps/ku.ovf"},
        },
        "regions": [
            {
                "name": "gate",
                "x_m": [0, 4e-8],
                "y_m": [0, 1e-6],
                "factors": {"alpha": 2},
                "values": {"A_J_per_m": 1e-11},
            },
            {"x_m": [4e-8, 8e-8], "y_m": [0, 1e-6], "factors": {"Ku_J_per_m3": 1.1}},
        ],
        "initial": {
            "kind": "wall",
            "position_m": 3e-8,
            "width_m": 8e-9,
            "chirality": "left",
            "tilt_rad": 0.1,
            "up_left": False,
            "relax_tolerance": 1e-4,
        },
        "schedule": [
            {"duration_s": 1e-12},
            {
                "name": "pulse",
                "duration_s": 2e-12,
                "field_T": [0.01, {"from": 0, "to": 0.1}, {"offset": 1, "amplitude": 2, "frequency_Hz": "3e9"}],
                "current_density_A_per_m2": "2e11",
                "zhang_li_u_m_per_s": {"from": 1, "to": 2, "amplitude": 3, "frequency_Hz": 4e9, "phase_rad": 0.5},
                "Ku_factor": {"amplitude": 0.1, "offset": 1, "frequency_Hz": 1e10},
                "region_Ku_factors": {"gate": {"from": 1, "to": "9e-1"}},
            },
        ],
        "numerics": {
            "integrator": "rk4",
            "dt_s": 1e-13,
            "precision": "float32",
            "demag_interval_steps": 2,
            "demag": False,
            "tolerance": 1e-5,
        },
        "outputs": {"record_interval_s": 5e-13, "ovf": "final", "ovf_format": "text"},
    }
    ku = tmp_path / "maps" / "ku.ovf"
    expected = Problem(
        mesh,
        Geometry("strip", 18e-9, Roughness(1e-9, 3e-8, 5, 4), (4e-8,), 4e-9, 8e-9),
        Material(1.1e6, 2e-11, 0.3, 8e5, -1e-3, 0.4, 0.2, (0.0, -1.0, 0.0), 1e4, (0.0, 0.6, 0.8), 1.5, 0.04),
        (
            Phase("phase_0", 1e-12),
            Phase(
                "pulse",
                2e-12,
                Waveform(1.0, 1.0, 0.1, 1e10),
                2e11,
                (0.01, Waveform(0.0, 0.1), Waveform(1.0, 1.0, 2.0, 3e9)),
                Waveform(1.0, 2.0, 3.0, 4e9, 0.5),
                (("gate", Waveform(1.0, 0.9)),),
            ),
        ),
        Initial("wall", position_m=3e-8, width_m=8e-9, tilt_rad=0.1, up_left=False, relax_tolerance=1e-4),
        300.0,
        Numerics(1e-13, "rk4", "float32", 2, False, 1e-5),
        5e-13,
        (5, "thermal field", "run"),
        (
            Region((0.0, 4e-8), (0.0, 1e-6), (("A_J_per_m", 0.5), ("alpha", 2.0)), "gate"),
            Region((4e-8, 8e-8), (0.0, 1e-6), (("Ku_J_per_m3", 1.1),)),
        ),
        (Map("Ku_J_per_m3", DataFile(str(ku), files.sha256_file(ku))),),
    )
    problem, outputs = problem_file.load(write(tmp_path, content))
    assert problem == expected
    assert outputs == problem_file.Outputs("final", None, "text")
    assert Problem.from_dict(json.loads(json.dumps(problem.to_dict()))) == problem
    reseeded, _ = problem_file.load(tmp_path / "problem.yaml", seed=6)
    assert reseeded.stream == (6, "thermal field", "run") and reseeded.geometry.roughness.seed == 6


def test_a_field_that_joined_later_changes_no_older_identity():
    @dataclass(frozen=True)
    class Grown:
        a: float = 1.0
        b: float = later(2.0)

    assert _plain(Grown(), paths=False) == {"a": 1.0}
    assert _plain(Grown(b=3.0), paths=False) == {"a": 1.0, "b": 3.0}
    assert _plain(Grown()) == {"a": 1.0, "b": 2.0}


def test_a_file_of_the_problem_is_known_by_its_content(tmp_path):
    hashes = []
    for folder, value in (("a", 1.0), ("b", 1.0), ("c", 2.0)):
        ovf.write(tmp_path / folder / "shape.ovf", np.full((1, 4, 20), value), (4e-9, 4e-9, 1e-9))
        path = write(tmp_path / folder, {**SMALL, "geometry": {"kind": "file", "file": "shape.ovf"}})
        hashes.append(problem_file.load(path)[0].hash())
    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.parametrize(("chirality", "up_left", "mx"), [("left", True, -1), ("left", False, 1), ("right", True, 1)])
def test_chirality_is_that_of_the_dmi(tmp_path, chirality, up_left, mx):
    wall = {"kind": "wall", "position_m": 4.2e-8, "width_m": 9e-9, "chirality": chirality, "up_left": up_left}
    problem, _ = problem_file.load(write(tmp_path, changed("initial", wall)))
    m = initial.initial_magnetisation(problem, geometry.mask(problem.geometry, problem.mesh))
    assert m[0, 0, 0, 10] == pytest.approx(mx, abs=1e-12)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (
            "mesh.cell",
            [1],
            "mesh: found unknown key 'cell' (ubermag's cell is mesh.cell_m here), allowed: cell_m, cells, ",
        ),
        ("mesh.cells", None, "mesh: found neither of cells and size_m, allowed: exactly one of the two"),
        ("mesh.size_m", [8e-8, 1.6e-8, 1e-9], "mesh: found both of cells and size_m"),
        (
            "mesh",
            {"cell_m": [4e-9] * 3, "size_m": [9e-9] * 3},
            "mesh.size_m: found [9e-09, 9e-09, 9e-09], allowed: whole",
        ),
        ("mesh.cells", [60000, 60000, 1], "mesh: found 3600000000 cells, allowed: at most"),
        ("mesh.cells", [2048, 2049, 1], "mesh: found 4196352 cells, allowed: at most 4194304"),
        ("mesh.cell_m", [1e-320, 4e-9, 1e-9], "mesh.cell_m.0: found 1e-320, allowed: at least 1e-12"),
        ("mesh.cell_m", [4e-9, 4e-9, 1e-200], "mesh.cell_m.2: found 1e-200, allowed: at least 1e-12"),
        ("material.maps", {"Ku_J_per_m3": "a\0b"}, "material.maps.Ku_J_per_m3: found 'a\\x00b', allowed: the path"),
        (
            "geometry",
            {"kind": "file", "file": "~no_such_user/x"},
            "geometry.file: found '~no_such_user/x', allowed: the",
        ),
        (
            "schedule.0.duration_s",
            5e-6,
            "outputs.record_interval_s: found 10000001 records, allowed: at most 1000000",
        ),
        (
            "mesh",
            {"cell_m": [4e-9, 4e-9, 1e-9], "cells": [20000, 20000, 1]},
            "mesh: found 400000000 cells, allowed: at most",
        ),
        (
            "numerics",
            {"dt_s": 1e-13, "integrator": "dopri5", "precision": "float32", "tolerance": 9e-7},
            "numerics.tolerance: found 9e-07, allowed: at least 1e-06 with float32",
        ),
        (
            "geometry",
            {"kind": "blob"},
            "geometry.kind: found blob, allowed: box, rectangle, cuboid, disc",
        ),
        ("geometry", {"kind": "strip"}, "geometry: key 'width_m' is missing; kind strip needs it"),
        (
            "geometry",
            {"kind": "disc", "width_m": 1e-8},
            "geometry.width_m: found with kind disc, allowed: only with kind str",
        ),
        ("geometry", {"kind": "disc", "size_m": [1e-8, 9e-9]}, "allowed: two equal lengths, the diameter of the disc"),
        ("geometry", {"kind": "file", "file": "no.png"}, "geometry.file: "),
        (
            "geometry",
            {"kind": "disc", "size_m": [1e-9, 1e-9]},
            "geometry: found a shape that contains the centre of no cell",
        ),
        ("material.alpha", -1, "material.alpha: found -1, allowed: at least 0"),
        ("material.Ms", 1e6, "material: found unknown key 'Ms' (ubermag's Ms is material.Ms_A_per_m here)"),
        ("material.Msat", 1e6, "material: found unknown key 'Msat' (mumax3's Msat is material.Ms_A_per_m here)"),
        ("material.XI", 1e6, "material: found unknown key 'XI' (mumax3's xi is material.zhang_li_beta here)"),
        ("material.Kc1", 1e4, "material: found unknown key 'Kc1' (mumax3's Kc1 is material.Kc1_J_per_m3 here)"),
        (
            "material.Dbulk",
            1e-3,
            "material: found unknown key 'Dbulk' (mumax3's Dbulk is material.Dbulk_J_per_m2 here)",
        ),
        ("schedule.0.B_ext", 1, "schedule.0: found unknown key 'B_ext' (mumax3's B_ext is schedule.field_T here)"),
        ("material.axis", [0, 0, 0], "material.axis: found the zero vector"),
        ("regions", [{"x_m": [1, 2], "y_m": [0, 1]}], "regions.0: found a region that contains the centre of no cell"),
        ("regions", [{"x_m": [0, 1], "y_m": [0, 1], "name": "a"}] * 2, "regions: found two with the name 'a'"),
        (
            "regions",
            [{"x_m": [0, 1], "y_m": [0, 1], "values": {"alpha": 0.1}, "factors": {"alpha": 2}}],
            "regions.0.values.alpha: found a value and a factor for the same constant, allowed: one of the two",
        ),
        ("initial.azimuth_rad", None, "initial: found neither of azimuth_rad and chirality"),
        ("initial.direction", [1, 0, 0], "initial.direction: found with kind wall, allowed: only with kind uni"),
        ("initial", {"kind": "uniform", "direction": [0, 0, 0]}, "initial.direction: found the zero vector"),
        ("schedule", [], "schedule: found [], allowed: at least 1 entries"),
        ("schedule.0.duration_s", 1.05e-12, "schedule.0.duration_s: found 1.05e-12, allowed: a whole number"),
        (
            "schedule.0.current_density_A_per_m2",
            1e11,
            "schedule.0.current_density_A_per_m2: found with material.spin_hall",
        ),
        (
            "schedule.0.field_T",
            [0, 0, {"from": 1}],
            "schedule.0.field_T.2: found {from}, allowed: a number, {from, to}",
        ),
        (
            "schedule.0.field_T",
            [0, 0, {"form": 1}],
            "schedule.0.field_T.2: found unknown key 'form' (did you mean 'from'?)",
        ),
        ("schedule.0.field_T", [0, 0, "strong"], "schedule.0.field_T.2: found strong, allowed: number or object"),
        ("schedule.0.Ku_factor", {"phase_rad": 1}, "schedule.0.Ku_factor: found {phase_rad}, allowed: a number"),
        ("schedule.0.Ku_factor", {"from": 1, "to": 2, "offset": 1}, "found {from, offset, to}, allowed: a number"),
        (
            "schedule.0.Ku_factor",
            {"amplitude": 2},
            "found {amplitude}, allowed: a number, {from, to}, {offset, amplitude, frequency_Hz, phase_rad}, "
            "{from, to, amplitude, frequency_Hz, phase_rad}",
        ),
        ("schedule.0.region_Ku_factors", {1: 2, "gate": 2}, "region_Ku_factors: found '1', allowed: the name of a"),
        ("schedule.0.region_Ku_factors", {"gate": 2}, "region_Ku_factors: found 'gate', allowed: the name of a region"),
        (
            "schedule",
            [{"name": "a", "duration_s": 1e-12}] * 2,
            "schedule: found two with the name 'a', allowed: each name",
        ),
        ("numerics.integrator", "euler", "numerics.integrator: found euler, allowed: heun, rk4"),
        ("numerics.dt_s", float("nan"), "numerics.dt_s: found NaN, allowed: finite numbers"),
        ("outputs.record_interval_s", 1.5e-13, "outputs.record_interval_s: found 1.5e-13, allowed: a whole number"),
        ("outputs.ovf", "all", "outputs.ovf: found all, allowed: none, final, each record"),
        ("outputs.ovf_interval_s", 1e-13, "outputs.ovf_interval_s: found 1e-13, allowed: at least record_interval_s"),
        (
            "outputs",
            {"record_interval_s": 1e-12, "ovf": "final", "ovf_interval_s": 1e-12},
            "outputs: found both ovf and ovf",
        ),
    ],
)
def test_errors_name_file_and_key(tmp_path, path, value, message):
    with pytest.raises(UserError) as error:
        problem_file.load(write(tmp_path, changed(path, value)))
    assert str(error.value).startswith(f"{tmp_path / 'problem.yaml'}: ")
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_cut_strip_and_a_wrong_map_name_the_file(tmp_path):
    with pytest.raises(
        UserError, match=r"problem.yaml: geometry: found roughness or notches that cut through the strip"
    ):
        problem_file.load(write(tmp_path, changed("geometry", {"kind": "strip", "width_m": 1e-9})))
    ovf.write(tmp_path / "ms.ovf", -np.ones((1, 4, 20)), (4e-9, 4e-9, 1e-9))
    with pytest.raises(UserError, match=r"problem.yaml: \S+/ms.ovf: Ms_A_per_m: found -1 in a magnetic cell"):
        problem_file.load(write(tmp_path, changed("material.maps", {"Ms_A_per_m": "ms.ovf"})))


@pytest.mark.parametrize("length", [1e308, 1.0, 5e-324])
def test_directions_of_any_length_become_unit_vectors(tmp_path, length):
    problem, _ = problem_file.load(write(tmp_path, changed("material.axis", [length, -length, 0])))
    np.testing.assert_allclose(problem.material.axis, [0.5**0.5, -(0.5**0.5), 0], atol=1e-15)


def test_dopri5_may_use_float32_at_its_default_tolerance(tmp_path):
    numerics = {"dt_s": 1e-13, "integrator": "dopri5", "precision": "float32"}
    assert problem_file.load(write(tmp_path, changed("numerics", numerics)))[0].numerics.tolerance == 1e-6


def test_records_must_fit_into_memory(tmp_path):
    content = changed("schedule.0.duration_s", 2e-9)  # 4001 records
    content["mesh"]["cells"] = [512, 512, 1]
    with pytest.raises(
        UserError, match="outputs.record_interval_s: found 4001 records of 262144 cells.* most 2543 rec"
    ):
        problem_file.load(write(tmp_path, content))
    content["outputs"]["record_interval_s"] = 1e-12
    assert problem_file.load(write(tmp_path, content))[0].mesh.nx == 512


def test_snapshots():
    t = np.arange(13) * 1e-13 * 5  # 0 to 6 ps
    assert problem_file.Outputs("none", None, "text").snapshots(t) == []
    assert problem_file.Outputs("final", None, "text").snapshots(t) == [12]
    assert problem_file.Outputs("each record", None, "text").snapshots(t) == list(range(13))
    assert problem_file.Outputs("none", 2e-12, "text").snapshots(t) == [0, 4, 8, 12]
    # 1.2 ps lies between records: the first one at or after it
    assert problem_file.Outputs("none", 1.2e-12, "text").snapshots(t) == [0, 3, 5, 8, 10, 12]


@pytest.mark.parametrize("path", sorted((DOCS / "examples").glob("*.yaml")), ids=lambda path: path.stem)
def test_examples_are_valid(path):
    problem, _ = problem_file.load(path)
    assert problem.duration_s > 0 or all(phase.relax_tolerance for phase in problem.schedule)


def test_every_key_is_documented_and_every_integrator_offered():
    pages = DOCS / "problem_file.md", *(DOCS / "problem_file").glob("*.md")
    text = "".join(page.read_text() for page in pages)

    def keys(rules):
        for key, rule in rules.get("properties", {}).items():
            yield key
            assert rule.get("description"), key
            yield from keys(rule)
            yield from keys(rule.get("items", {}))

    missing = {key for key in keys(schema(ProblemFile)) if f"`{key}`" not in text}
    assert not missing
    offered = schema(ProblemFile)["properties"]["numerics"]["properties"]["integrator"]["enum"]
    assert {*integrators.FIXED, "dopri5"} == set(offered)
