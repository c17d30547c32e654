"""The report: its story in order, its numbers those of the tables, and its plots drawn by a real browser."""

import base64
import hashlib
import html
import io
import json
import re
import shutil
from types import SimpleNamespace

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from PIL import Image

from report import agreement, evidence, page, study
from report.__main__ import main
from spinloom import files, quantities
from spinloom.errors import UserError
from tests.report.pages import CHROMIUM, Page, browse
from tests.report.studies import finished

CHAPTERS = ["device", "writes", "table", "network", "energy", "pareto", "validation", "provenance"]
# which study has which figures, in their order
TRAINED = ["curves", "confusion", "programming", "conditions", "write_energy", "levels", "terms", "tornado", "trade"]
CARD = ["transitions", "rows", "conductance"]
STUDIES = {
    "domain_wall": (True, ["trajectories", "response", "outcomes", "agreement", *CARD, "spread"]),
    "walking": (False, ["trajectories", "response", "outcomes", "agreement", *CARD, "steps", "spread"]),
    "stt_mtj": (False, ["trajectories", "response", "agreement", "switching", *CARD, "spread"]),
    "memristor_32_levels": (True, [*CARD, "steps"]),
}
VALIDATION = pd.DataFrame({
    "group": ["demag", "demag", "thermal"], "test": ["cube", "prism", "disc"], "quantity": ["N", "N", "KS"],
    "expected": [1.0, 2.0, np.nan], "source": ["symmetry"] * 3, "obtained": [1.05, 2.6, 0.04],
    "tolerance": [0.1, 0.2, 1e-3], "tolerance_kind": ["absolute", "relative", "p_value"], "pass": [True, False, True],
})  # fmt: skip


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {kind: finished(tmp_path_factory.mktemp(kind), kind, trains) for kind, (trains, _) in STUDIES.items()}


@pytest.fixture(scope="module")
def full(folders):
    """Page of a study with all stages, and of its folder the evidence of the engines."""
    folder = folders["domain_wall"]
    files.write_csv(VALIDATION, folder / "validation.csv")
    main(["--study", str(folder), "--validation", str(folder / "validation.csv"), "--output", str(folder / "r.html")])
    return folder / "r.html"


@pytest.mark.parametrize("kind", list(STUDIES))
def test_the_page_tells_its_story_in_order_and_all_figures_are_there(folders, kind):
    trains, wanted = STUDIES[kind]
    found = Page(page.render(study.read(folders[kind])))
    assert found.sections == CHAPTERS
    assert found.plots == wanted + (TRAINED if trains else ["write_energy"])
    # figures, plotly, our own: a text of a study's that ended a script would make more of them
    assert len(found.scripts) == 3
    figures = json.loads(found.scripts[0])
    assert list(figures) == found.plots
    for name, figure in figures.items():
        assert len(figure["views"]) == int(np.prod(found.menus.get(name, [])))
        for view in (figure["views"][0], figure["views"][-1]):
            drawn = go.Figure(view)  # refuses what plotly.js does not know
            assert sum(len(trace.x) for trace in drawn.data) > 0


def test_pictures_of_writes_stand_in_the_page(folders, full, tmp_path):
    found, own = Page(full.read_text()), folders["domain_wall"] / "device_sims" / "pictures"
    contents = [base64.b64decode(one.split("base64,")[1]) for one in found.pictures]
    assert [contents[place] for place in (0, 4)] == [(own / f"pulse_{n}_strip.webp").read_bytes() for n in (0, 2)]
    frames = [Image.open(io.BytesIO(content)) for content in contents]
    assert all(frame.format == "WEBP" and frame.n_frames == 1 for frame in frames)
    assert [frame.convert("RGB").getpixel((4, 2)) for place, frame in enumerate(frames) if place not in (0, 4)] == [
        (40 * pulse, 0, 50 * n) for pulse in (0, 2) for n in (1, 2, 3)
    ]
    assert full.read_text().count('class="film" data-ms="350"') == full.read_text().count('<input type="range"') == 2
    assert found.menus["magnetisation"] == [2, 2] and "No pictures" not in found.text
    without = Page(page.render(study.read(folders["stt_mtj"])))
    assert not without.pictures and "No pictures of the magnetisation were made" in without.text
    copy = shutil.copytree(folders["domain_wall"], tmp_path / "copy")
    (copy / "device_sims" / "pictures" / "pulse_2.webp").unlink()
    with pytest.raises(UserError, match=r"pulse_2\.webp: found no such file"):
        study.read(copy)


def test_what_the_costs_leave_out_is_said(full):
    text = Page(full.read_text()).text.replace("\u00a0", " ")
    assert "leave out: ideal ADC, not charged" in text and "Chips and their digital rivals" in text


def test_a_warning_of_a_network_is_said(full):
    text = Page(full.read_text()).text.replace("\u00a0", " ")
    assert "Warning, variant two </script>: 7 % of the values are <beyond>." in text


def test_nothing_is_fetched(full):
    text = full.read_text()
    found = Page(text)
    assert found.addresses and all(address.startswith("#") for address in found.addresses)
    assert "default-src 'none'" in text.replace("&#39;", "'") and len(text) < 7e6


def test_only_its_own_scripts_may_run(full):
    text = full.read_text()
    policy = html.unescape(re.search(r'Content-Security-Policy" content="(.*?)"', text)[1])
    scripts = re.findall("<script>(.*?)</script>", text, re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{one}'" for one in hashes)
    assert len(hashes) == 2 and f"script-src {allowed};" in policy


def test_the_numbers_are_those_of_the_tables(full):
    read, found = study.read(full.parent), Page(full.read_text())
    figures = json.loads(found.scripts[0])
    shown = np.array(figures["transitions"]["views"][0]["data"][0]["z"])
    np.testing.assert_allclose(shown, read.card.kernel[:, 0], rtol=0, atol=5e-4)
    row = figures["rows"]["views"][3]["data"][0]
    table = read.card.transitions.query("pulse == 3 and state_from == 0")
    top = np.array(row["y"]) + np.array(row["error_y"]["array"])
    np.testing.assert_allclose(top, table["ci_high"], rtol=0, atol=2e-3)
    counted = sum(sum(trace["y"]) for trace in figures["outcomes"]["views"][0]["data"] if trace["type"] == "bar")
    assert counted == len(read.simulated["events"]) == 400
    accuracy = [trace["y"] for trace in figures["curves"]["views"][0]["data"] if trace.get("name") == "five"]
    assert accuracy == [[80.5, 85.5, 87.167]]  # mean of the two seeds, %
    for told in ("90.00 ± 0.10 %", "95.00 ± 0.10 %", "1 µJ", "91", "test accuracy", "a < b", read.card.hash):
        assert told in found.text.replace("\u00a0", " "), told
    assert "2 of 3 checks are within" in found.text
    assert "two </script>" in found.text


def test_trains_and_steps_are_those_of_the_kernel(folders):
    card = study.read(folders["walking"]).card
    figures = json.loads(Page(page.render_card(card)).scripts[0])
    mean = card.states["conductance_S"].to_numpy() * 1e6
    train = figures["conductance"]["views"][0]["data"][1]["y"]
    up, down = np.linalg.matrix_power(card.kernel[0], 40), np.linalg.matrix_power(card.kernel[1], 40)
    assert len(train) == 81
    expected = [mean[0], np.eye(5)[0] @ up @ mean, np.eye(5)[0] @ up @ down @ mean]
    np.testing.assert_allclose(np.array(train)[[0, 40, 80]], expected, rtol=1e-4)
    lines = [trace["y"] for trace in figures["steps"]["views"][0]["data"][1::2]]
    np.testing.assert_allclose(lines, card.kernel @ mean - mean, rtol=1e-4, atol=1e-9)


def test_spread_is_drawn_as_it_is_told(full):
    told = study.read(full.parent).card.meta.spread_position_by_pulse
    bars = json.loads(Page(full.read_text()).scripts[0])["spread"]["views"][0]["data"]
    for trace, key in zip(bars, ("cycle_to_cycle", "device_to_device"), strict=True):
        np.testing.assert_allclose(trace["y"], [row.dump()[f"{key}_sd_m"] * 1e9 for row in told], rtol=1e-4)


def test_the_page_of_a_card_alone(folders, tmp_path):
    main(["--card", str(folders["memristor_32_levels"] / "calibration" / "card"), "--output", str(tmp_path / "c.html")])
    found = Page((tmp_path / "c.html").read_text())
    assert found.sections == ["device", "table"] and found.plots == [*CARD, "steps"]


def test_the_same_study_gives_the_same_page(full):
    evidence_ = full.parent / "validation.csv"
    assert page.render(study.read(full.parent, evidence_)) == full.read_text()


def test_without_evidence_the_page_says_how_to_get_it(folders, tmp_path):
    folder = folders["walking"]
    main(["--study", str(folder), "--validation", str(tmp_path / "no.csv"), "--output", str(tmp_path / "r.html")])
    assert "snakemake validation" in Page((tmp_path / "r.html").read_text()).text


def test_a_missing_table_is_named_and_nothing_is_written(folders, tmp_path):
    folder = tmp_path / "study"
    shutil.copytree(folders["memristor_32_levels"], folder)
    (folder / "network" / "summary" / "energy.csv").unlink()
    with pytest.raises(UserError, match=r"energy.csv: found no such table"):
        main(["--study", str(folder), "--output", str(tmp_path / "r.html")])
    assert not (tmp_path / "r.html").exists()


@pytest.mark.parametrize(
    "kind, expected, obtained, tolerance, used",
    [
        ("absolute", 1.0, 1.05, 0.1, 0.5),
        ("relative", -2.0, -2.6, 0.2, 1.5),
        ("factor", 1.0, 0.5, 4.0, 0.5),
        ("p_value", np.nan, 0.01, 1e-3, 0.1),
        ("at_least", np.nan, 0.005, 0.01, 2.0),
        ("absolute", 1.0, 1.05, 0.0, np.nan),
        ("none", 1.0, 1.0, 1.0, np.nan),
    ],
)
def test_how_much_of_a_tolerance_is_used(kind, expected, obtained, tolerance, used):
    row = {"tolerance_kind": kind, "expected": expected, "obtained": obtained, "tolerance": tolerance}
    assert evidence.use(row) == pytest.approx(used, abs=1e-12, rel=1e-12, nan_ok=True)


@pytest.mark.parametrize(
    "value, told", [(1.28e-6, "1.28 µJ"), (9.996e-10, "1 nJ"), (0.0, "0 J"), (-2.5e-14, "-25 fJ"), (np.nan, "–")]
)
def test_quantities_get_the_prefix_that_fits(value, told):
    assert quantities.si(value, "J") == told


# -- in a browser ------------------------------------------------------------------------------------------------------
@pytest.mark.long
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH")
def test_a_browser_draws_every_view_and_has_nothing_to_complain_of(full, tmp_path):
    # choose the last entry of each menu, as a person would, after all plots have been drawn
    choose = """for (const menu of document.querySelectorAll("select")) {
      menu.value = menu.options[menu.options.length - 1].value; menu.dispatchEvent(new Event("change"));
    }
    const probe = document.querySelector('.plot[data-figure="rows"]');
    const images = [...document.querySelectorAll(".pictures img")].filter((image) => image.offsetParent);
    const film = [...document.querySelectorAll(".film")].find((one) => one.offsetParent);
    const [slider, button] = [film.querySelector("input"), film.querySelector("button")];
    const at = () => [...film.querySelectorAll("img")].findIndex((image) => image.offsetParent);
    const before = [button.textContent, at()];
    slider.value = 2; slider.dispatchEvent(new Event("input"));
    const moved = [button.textContent, at()];
    button.click(); const again = button.textContent; button.click();
    document.documentElement.dataset.film = [...before, ...moved, again, button.textContent].join();
    document.documentElement.dataset.seen = images.map((image) => `${image.src.length} ${image.naturalWidth}`).join();
    document.documentElement.dataset.chosen = JSON.stringify(probe.data[0].y);"""
    used, allowed = tmp_path / "used.html", base64.b64encode(hashlib.sha256(choose.encode()).digest()).decode()
    page_ = full.read_text()
    with_it = page_.replace("</body>", f"<script>{choose}</script></body>")
    used.write_text(with_it.replace("script-src ", f"script-src 'sha256-{allowed}' ", 1))
    text, said = browse(used)
    assert said == []
    plots = text.split('class="plot js-plotly-plot"')[1:]
    assert len(plots) == 8 + len(TRAINED) + 1  # the evidence's too
    assert f'data-ready="{len(plots)}"' in text and all("main-svg" in plot for plot in plots)
    chosen = json.loads(re.search(r'data-chosen="(.*?)"', text)[1])
    np.testing.assert_allclose(chosen, study.read(full.parent).card.kernel[-1, 0], rtol=0, atol=5e-4)
    assert re.search(r'data-seen="\d+ 5"', text)  # one frame of the last film alone, decoded
    played = re.search(r'data-film="(.*?)"', text)[1].split(",")
    assert played[0] == "pause" and played[2:] == ["play", "2", "pause", "play"]  # plays; the slider stops it
    # what is not the page's own does not run
    (tmp_path / "foreign.html").write_text(with_it)
    text, said = browse(tmp_path / "foreign.html")
    assert len(said) == 1 and "Content Security Policy" in said[0] and "data-chosen" not in text
    # a page that fetched something would be heard
    wrong = tmp_path / "wrong.html"
    wrong.write_text(page_[: page_.index("<style>")] + '<script src="https://example.org/x.js"></script></head></html>')
    assert any("Content Security Policy" in line for line in browse(wrong)[1])


def test_the_page_says_what_the_model_of_readings_notes():
    note = "1 readings lie far from what those around them allow and are left out"
    meta = SimpleNamespace(
        check=SimpleNamespace(contradictions=0, statistics=7),
        measurement=SimpleNamespace(notes=(note,)),
        warnings=("the given read noise is wrong",),
    )
    told = agreement.told(SimpleNamespace(card=SimpleNamespace(meta=meta)))
    assert "all of 7 statistics, as closely as chance" in told
    assert told.endswith(f"allow. Note: {note}. Warning: the given read noise is wrong.")
