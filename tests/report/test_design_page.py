"""The page of a search: its front, its plots and its tables say what the search's tables hold."""

import json
from types import SimpleNamespace

import numpy as np
import plotly.graph_objects as go
import pytest

from report.__main__ import main
from report.design.found import read
from spinloom import files
from spinloom.errors import UserError
from tests.report.pages import CHROMIUM, Page, browse
from tests.workflow.design.conftest import search  # noqa: F401 (a fixture)
from workflow.design import tables
from workflow.design.config import FULL
from workflow.design.ending import Fresh
from workflow.design.objectives import Measured

FIGURES = ["front", "parallel", "hypervolume", "sobol", "curves"]


@pytest.fixture(scope="module")
def ended(search, tmp_path_factory):  # noqa: F811
    """Return the folder of a search, with a page, and the search."""
    folder = tmp_path_factory.mktemp("page") / "zdt"
    found = search(fidelities={"short": {"network": {"epochs": 1}}})
    found.run()
    fresh = [
        Fresh(trial, f"fresh{trial.number}", [Measured(own.mean * 0.99, 0.01, 3) for own in trial.measured[FULL]],
              Measured(0.9, 0.01, 3))
        for trial in found.front()[:3]
    ]  # fmt: skip
    fresh.append(Fresh(None, "stands", [Measured(0.5, 0.01, 3), Measured(10.0**5, 0.01, 3)], Measured(0.55, 0.01, 3)))
    tables.write(found, fresh, SimpleNamespace(folder=folder / "design"))
    main(["--design", str(folder), "--output", str(folder / "report.html")])
    return folder, found


@pytest.fixture(scope="module")
def page(ended):
    return Page((ended[0] / "report.html").read_text())


def test_every_chapter_and_every_figure_is_there(ended, page):
    folder, found = ended
    assert page.sections == ["front", "final", "history", "matters", "worth", "points", "provenance"]
    figures = json.loads(page.scripts[0])
    assert page.plots == list(figures) == FIGURES
    for name, figure in figures.items():
        assert len(figure["views"]) == int(np.prod(page.menus.get(name, [])))
        for view in figure["views"]:
            go.Figure(view)  # refuses what plotly.js does not know
    marks = {trace["name"]: trace for trace in figures["front"]["views"][0]["data"]}
    front = found.front()
    np.testing.assert_allclose(marks["front"]["y"], [100 * trial.told[0] for trial in front], rtol=1e-4)
    np.testing.assert_allclose(marks["front"]["x"], [trial.told[1] for trial in front], rtol=1e-4)
    assert (
        f"point {front[0].number}<br>" in marks["front"]["customdata"][0] and "x0 = " in marks["front"]["customdata"][0]
    )
    assert marks["as it stands"]["y"] == [50] and marks["as it stands"]["x"] == [1e5]
    assert len(marks["made again"]["y"]) == 3 and page.text.count("as it stands") >= 1
    lines = figures["parallel"]["views"][0]["data"][0]["dimensions"]
    assert [one["label"] for one in lines][:3] == ["x0", "x1", "x2"] and len(lines) == 5
    for told in (
        "short → full",
        "Searched against fresh",
        files.sha256_file(folder / "design/trials.csv"),
        "tpe of Optuna",
    ):
        assert told in page.text.replace("\u00a0", " "), told


def test_the_winners_curse_is_told(ended, page):
    _, found = ended
    ours = [100 * 0.01 * trial.told[0] for trial in found.front()[:3]]  # searched less fresh
    told = f"Validation accuracy: what was searched looks better than what was made again by {np.mean(ours):.2g} ±"
    assert told in page.text.replace("\u00a0", " ")


def test_what_is_no_search_is_one_line(tmp_path):
    with pytest.raises(UserError, match="found no design.json, allowed: the results of a search that has ended"):
        read(tmp_path)


def test_a_search_of_few_points_has_a_page_too(search, tmp_path):  # noqa: F811
    found = search(points=4, generation=4)
    found.run()
    tables.write(found, [], SimpleNamespace(folder=tmp_path / "design"))
    main(["--design", str(tmp_path), "--output", str(tmp_path / "report.html")])
    text = Page((tmp_path / "report.html").read_text()).text
    assert "There were too few points for a fit." in text and "No point of the front was made again." in text


@pytest.mark.skipif(CHROMIUM is None, reason="no browser")
def test_a_browser_draws_it(ended):
    document, said = browse(ended[0] / "report.html")
    # parallel coordinates are drawn by WebGL, of which a machine without a GPU complains
    assert f'data-ready="{len(FIGURES)}"' in document and not [line for line in said if "GL" not in line]
