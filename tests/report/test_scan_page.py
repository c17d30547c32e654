"""The page of a scan: every point and figure is on it, with the numbers of its table."""

import json
import re
from urllib.parse import unquote

import numpy as np
import plotly.graph_objects as go
import pytest

from network.results.scan_table import COPIED, COSTS
from report import scan, scan_figures
from report.__main__ import main
from spinloom import files
from spinloom.errors import UserError
from tests.report import studies
from tests.report.pages import CHROMIUM, Page, browse
from workflow.study import package

FIGURES = ["along", "map", "trade"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a scan of 3 x 3 points and an axis of one entry, with its page."""
    folder = studies.scan(tmp_path_factory.mktemp("scan") / "a_scan", studies.AXES)
    main(["--scan", str(folder), "--output", str(folder / "report.html")])
    return folder


@pytest.fixture(scope="module")
def found(folder):
    return Page((folder / "report.html").read_text())


@pytest.fixture(scope="module")
def figures(found):
    return json.loads(found.scripts[0])


def test_every_point_and_every_figure_is_there(folder, found, figures):
    assert found.sections == ["scan", "axes", "pareto", "points", "provenance"]
    assert found.plots == list(figures) == FIGURES and len(found.scripts) == 3
    for name, figure in figures.items():
        assert len(figure["views"]) == int(np.prod(found.menus.get(name, [])))
        for view in (figure["views"][0], figure["views"][-1]):
            assert sum(len(trace.x) for trace in go.Figure(view).data) > 0  # refuses what plotly.js does not know
    points = json.loads((folder / "config" / "scan.json").read_text())
    leads = [unquote(address) for address in found.addresses if not address.startswith("#")]
    # from what is behind it, and from the rows of its two variants; and to its card
    for point in points:
        assert leads.count(f"points/{point}/") == 3 and leads.count(f"points/{point}/calibration/card") == 1
        assert (folder / "points" / point).is_dir()
    assert len(points) == 9 and len(leads) == 4 * 9
    for told in ("network.rule_options.margin: 0.5", "network.device.pulses: [0, 1, 2, 3, 4]",
                 "device_sims of configs/dw_few_state.yaml", "3 seeds", "160 writes", "100 fJ / 1 nJ / 1 µJ",
                 files.sha256_file(folder / "scan.csv"), *map(files.sha256_text, points)):  # fmt: skip
        assert told in found.text.replace("\u00a0", " "), told


def test_numbers_along_the_axes_are_those_of_the_table(figures):
    margin, levels = figures["along"]["views"][:2]  # accuracy along each
    lines = {trace["name"]: trace for trace in margin["data"]}
    assert lines["levels 010, five"]["x"] == [0, 0.1, 0.5]
    np.testing.assert_allclose(lines["levels 010, five"]["y"], [81.3, 85.2, 89.1], rtol=0, atol=1e-9)
    assert lines["levels 010, five"]["error_y"]["array"] == [0.1] * 3
    told = lines["levels 010, five"]["customdata"][1].replace("\u00a0", " ")
    assert told == (
        "margin=0.1,levels=010,of=track<br>five<br>test accuracy: 85.20 ± 0.10 %<br>n = 3 seeds; card of 160 writes"
    )
    energy = figures["along"]["views"][4]["data"][0]  # of training, in the devices, along the margin
    assert energy["customdata"][0].split("<br>")[2].replace("\u00a0", " ").endswith("devices: 100 fJ ± 2 fJ")
    np.testing.assert_allclose(energy["error_y"]["array"], [2e-15, 8e-15, 1.4e-14], rtol=1e-3)
    # labels that are not all numbers stay as they are, in the order of the config
    assert levels["layout"]["xaxis"]["categoryarray"] == levels["data"][0]["x"] == ["2", "010", "wall"]
    plane = figures["map"]["views"][0]["data"][0]
    np.testing.assert_allclose(
        plane["z"], [[80, 83.9, 87.8], [81.3, 85.2, 89.1], [82.6, 86.5, 90.4]], rtol=0, atol=1e-9
    )
    assert (plane["x"], plane["y"]) == (["0", "0.1", "0.5"], ["2", "010", "wall"])


def test_pareto_has_a_panel_for_each_level_and_marks_what_none_beats(figures):
    view = figures["trade"]["views"][0]
    marks = [trace for trace in view["data"] if trace["mode"] == "markers"]
    best = {}
    for axis, energy_J in zip(("x", "x2", "x3"), studies.ENERGY_J.values()):
        panel = [(x, symbol, told) for trace in marks if trace["xaxis"] == axis
                 for x, symbol, told in zip(trace["x"], trace["marker"]["symbol"], trace["customdata"])]  # fmt: skip
        five = sorted(x for x, _, told in panel if "<br>five<br>" in told)
        np.testing.assert_allclose(five, energy_J * np.arange(1, 10), rtol=1e-3, atol=0)
        best[axis] = [symbol for _, symbol, _ in panel if not symbol.endswith("-open")]
    # devices that cost more are better; in the whole system the float networks, of all points the same, beat all
    assert best == {"x": ["circle"] * 9, "x2": ["circle"] * 9, "x3": ["diamond"] * 9}


def test_one_axis_over_a_decade_is_logarithmic_and_has_no_map(tmp_path):
    axes = [{"key": "network.rule_options.measurements", "values": [1, 4, 32]}]
    (figure,) = scan_figures.along(scan.read(studies.scan(tmp_path / "s", axes))).blocks
    axis = figure.views[0]["layout"]["xaxis"]
    assert (axis["type"], axis["tickvals"]) == ("log", [1, 4, 32])


def test_a_table_of_other_points_is_refused(folder, tmp_path):
    other = studies.scan(tmp_path / "s", studies.AXES[:1])
    (other / "scan.csv").write_bytes((folder / "scan.csv").read_bytes())
    with pytest.raises(UserError, match=r"scan.csv: point: found other points than in config/scan.json") as error:
        main(["--scan", str(other), "--output", str(tmp_path / "r.html")])
    assert "\n" not in str(error.value) and not (tmp_path / "r.html").exists()


def test_the_package_of_a_scan_is_its_own_table_with_units(folder):
    files.write_csv(files.read_table(folder / "scan.csv"), next(folder.glob("points/*")) / "network" / "writes.csv")
    (table,) = package.describe(folder)["resources"]
    fields = {field["name"]: field for field in table["schema"]["fields"]}
    assert table["path"] == "scan.csv"
    own = {"point", "axis_margin", "axis_levels", "axis_of", "variant", "states", "writes_behind_card", "card_sha256"}
    assert set(fields) == {*own, *COPIED, *COSTS, "costs_lack"}  # the made-up table has them all
    assert all(field["description"] for field in fields.values())
    assert fields["inference_energy_J_array"]["unit"] == "J" and "label" in fields["axis_levels"]["description"]


@pytest.mark.long
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH")
def test_a_browser_draws_it(folder):
    text, said = browse(folder / "report.html")
    assert said == []
    plots = text.split('class="plot js-plotly-plot"')[1:]
    assert len(plots) == len(FIGURES) and all("main-svg" in plot for plot in plots)
    # three panels beside each other
    assert set(re.findall(r'class="subplot (x\d?y)"', plots[2])) == {"xy", "x2y", "x3y"}


def test_a_data_set_of_the_users_is_named_by_its_files(folder):
    found = scan.read(folder)
    found.table["data"] = "a.csv (SHA-256 12ab)"
    assert "trained on a.csv (SHA-256 12ab)." in scan.lead(found)
    assert any("a.csv (SHA-256 12ab)" in row for row in scan._behind(found).rows)
