"""What 37 public scripts use, feature by feature: each word of the table is a key that an example or a script shows."""

import re
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
import yaml

from device_sims import engines
from device_sims.problem import problem_file
from device_sims.translate.problem import translate

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "docs" / "examples"
ROWS = pd.read_csv(HERE / "data" / "public_scripts.csv").set_index("script")["features"].str.split()
# word of the table -> (a problem file of docs/examples, or a script here that is translated; its key; the key's value)
SHOWN = {
    "3D": ("zhang_li.yaml", "mesh.cells.2", "4"),
    "Bmask": ("current_by_region.mx3", "drive_maps.*.field", ""),
    "Bregion": ("picture.mx3", "drive_maps.*.direction", ""),
    "Bramp": ("in_plane_wall.yaml", "schedule.*.field_T.0.to", ""),
    "Btime": ("thermal_wall.yaml", "schedule.*.field_T.2.frequency_Hz", ""),
    "Dind": ("periodic_film.yaml", "material.D_J_per_m2", ""),
    "Jregion": ("current_by_region.mx3", "drive_maps.*.region", "region_1"),
    "Jtime": ("racetrack.yaml", "schedule.*.current_density_A_per_m2.from", ""),
    "Kc1": ("cubic_grains.mx3", "regions.*.cubic_axes", ""),
    "Kuregion_pulse": ("anisotropy_pulse.mx3", "schedule.*.region_Ku_factors.region_1.points", ""),
    "Ms0region": ("strip_of_layers.mx3", "regions.*.values.Ms_A_per_m", "0.0"),
    "PBC": ("periodic_film.yaml", "mesh.periodic", ""),
    "Temp": ("mtj_disc.yaml", "temperature_K", "300"),
    "ThermSeed": ("run_while.mx3", "seed", "3"),
    "ZL": ("zhang_li.yaml", "schedule.*.zhang_li_u_m_per_s", ""),
    "centerwall": ("wall_in_a_window.mx3", "window.component", "z"),
    "comp_autosave": ("smooth_ellipse.mx3", "outputs.ovf_interval_s", ""),
    "corepos": ("smooth_ellipse.mx3", "outputs.columns.*.kind", "core"),
    "crop": ("run_while.mx3", "outputs.crop.layers", ""),
    "csg": ("strip_of_layers.mx3", "geometry.kind", "difference"),
    "csgellipse": ("hysteresis.yaml", "geometry.kind", "ellipse"),
    "customfield(SOT)": ("skyrmion_custom_torque.mx3", "schedule.*.current_density_A_per_m2", ""),
    "customfield(anis)": ("two_axes.mx3", "material.Ku_J_per_m3", ""),
    "discregion": ("skyrmion.yaml", "regions.*.shape.kind", "disc"),
    "dwpos": ("in_plane_wall.yaml", "outputs.columns.*.kind", "wall_position"),
    "edgesmooth": ("smooth_ellipse.mx3", "geometry.edge_smoothing", "4"),
    "epsprime": ("vortex_oscillator.mx3", "material.field_like_ratio", ""),
    "grains": ("grains.yaml", "grains.size_m", ""),
    "image": ("picture.mx3", "geometry.file", ""),
    "imgregions": ("picture.mx3", "regions.*.shape.values", ""),
    "inplane_dw": ("in_plane_wall.yaml", "initial.domains", "head_to_head"),
    "layers": ("coupled_layers.yaml", "initial.inside.*.shape.kind", "layers"),
    "loadfile": ("wall_in_a_current.mx3", "initial.file", ""),
    "loadparams": ("cubic_grains.mx3", "material.maps.Kc1_J_per_m3", ""),
    "longrun": ("coupled_layers.yaml", "schedule.*.duration_s", ""),
    "loopB": ("hysteresis.yaml", "schedule.*.for.field_T", ""),
    "loopJ": ("loop_over_currents.mx3", "schedule.*.zhang_li_u_m_per_s", ""),
    "minimize": ("depinning.yaml", "schedule.*.kind", "relax"),
    "mregion": ("coupled_layers.yaml", "initial.inside", ""),
    "notch": ("in_plane_wall.yaml", "geometry.notches", ""),
    "oersted": ("current_by_region.mx3", "schedule.*.drive_maps.field_map_0.frequency_Hz", ""),
    "ovf1": ("zhang_li.yaml", "outputs.ovf_format", "text"),
    "ovfauto": ("racetrack.yaml", "outputs.ovf_interval_s", ""),
    "phases": ("racetrack.yaml", "schedule.*.name", "settle"),
    "randK": ("periodic_film.yaml", "grains.Ku_spread", ""),
    "randommag": ("film_from_random.mx3", "initial.kind", "random"),
    "rectregions": ("depinning.yaml", "regions.*.x_m", ""),
    "regionsyntax": ("depinning.yaml", "regions.*.values", ""),
    "relax": ("hysteresis.yaml", "schedule.*.kind", "relax"),
    "relax0": ("sp4.yaml", "initial.relax_tolerance", ""),
    "relaxB": ("depinning.yaml", "schedule.*.field_T", ""),
    "relaxrun": ("standard_problem_4.mx3", "schedule.*.kind", "relax"),
    "repeat": ("two_axes.mx3", "geometry.repeat_m", ""),
    "rmcharge": ("in_plane_wall.yaml", "geometry.beyond_mx", ""),
    "rough": ("rough_film.mx3", "geometry.file", ""),
    "run": ("sp4.yaml", "schedule.*.duration_s", ""),
    "runwhile": ("run_while.mx3", "schedule.*.until.observable", "mz"),
    "saveBdemag": ("skyrmion.yaml", "outputs.fields.*", "stray"),
    "scaleexch": ("coupled_layers.mx3", "couplings.*.factor", ""),
    "setinshape": ("wall_in_a_current.mx3", "initial.file", ""),
    "skyinit": ("skyrmion.yaml", "initial.kind", "skyrmion"),
    "slon": ("mtj_disc.yaml", "material.slonczewski_lambda", ""),
    "snapshot": ("skyrmion.yaml", "outputs.ovf", ""),
    "Temp_time": ("heated_junction.mx3", "schedule.*.temperature_factor.from", ""),
    "tableadd_B": ("film_from_random.mx3", "outputs.drives", "True"),
    "tableadd_E": ("sp4.yaml", "outputs.record_interval_s", ""),  # every table has the energies
    "tableauto": ("sp4.yaml", "outputs.record_interval_s", ""),
    "tableregion": ("skyrmion.yaml", "outputs.columns.*.region", "ring"),
    "tiltaxis": ("periodic_film.yaml", "grains.tilt_rad", ""),
    "topo": ("skyrmion.yaml", "outputs.columns.*.kind", "topological_charge"),
    "twoaxes": ("two_axes.mx3", "material.second_Ku_J_per_m3", ""),
    "twodomain_pma": ("driven_wall.yaml", "initial.kind", "wall"),
    "vortex": ("grains.yaml", "initial.kind", "vortex"),
    "vortex_transl": ("vortex_oscillator.mx3", "initial.file", ""),
}
# words without a key, and why
ABSENT = {
    "Ms_time": "Ms is a constant of a problem",
    "fork": "needs a changed mumax3, with terms of its own",
    "shift": "moves the window by hand",
    "tableaddvar": "a variable of the script is no column",
}


@cache
def content(name: str, folder: Path) -> dict:
    """Return the content of an example, which loads, or of the problem file that a script becomes."""
    path = EXAMPLES / name
    if name.endswith(".mx3"):
        translate(HERE / "scripts" / name, folder / name)
        path = next(iter(sorted((folder / name).glob("*.yaml"))))
    problem_file.load(path)
    return yaml.safe_load(path.read_text())


def found(value, path: list[str]) -> list:
    """Return the values under a dotted path, in which * is any entry."""
    if not path:
        return [value]
    first, *rest = path
    if isinstance(value, list):
        entries = value if first == "*" else value[int(first) : int(first) + 1] if first.isdecimal() else []
    elif isinstance(value, dict):
        entries = [value[first]] if first in value else []
    else:
        entries = []
    return [item for entry in entries for item in found(entry, rest)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("translated")


@pytest.mark.parametrize("word", sorted(SHOWN))
def test_a_feature_of_the_table_is_a_key_that_an_example_uses(word, folder):
    name, path, value = SHOWN[word]
    values = found(content(name, folder), path.split("."))
    assert values and (not value or value in map(str, values)), f"{name}: {path}: {values}"


@pytest.mark.parametrize("name", ["layers_in_a_window.yaml", "notch_in_a_window.yaml"])
def test_a_window_also_goes_along_layers_and_notches(name):
    """Of scripts 29 and 4: features that by themselves each have an example, together in one problem."""
    problem, _ = problem_file.load(HERE / "data" / name)
    assert problem.window is not None
    engines.check_problem("llg", problem, name)


def table() -> str:
    """Return what docs/from_mumax3/public_scripts.md says of the scripts."""
    lines = ["| script | class | uses | |", "|---|---|---|---|"]
    for script, row in pd.read_csv(HERE / "data" / "public_scripts.csv").set_index("script").iterrows():
        lacks = [word for word in row["features"].split() if word in ABSENT]
        says = "yes" if not lacks else "; ".join(f"{word}: {ABSENT[word]}" for word in lacks)
        lines.append(f"| {script} | {row['class']} | {row['features']} | {says} |")
    return "\n".join(lines)


def test_the_page_says_which_scripts_can_be_said():
    assert set(ROWS.sum()) == SHOWN.keys() | ABSENT.keys()
    able = [script for script, own in ROWS.items() if not ABSENT.keys() & set(own)]
    page = (HERE.parents[1] / "docs" / "from_mumax3" / "public_scripts.md").read_text()
    (told,) = re.findall(r"\*\*(\d+) of 37\*\*", page)
    assert int(told) == len(able)
    assert table() in page, table()
