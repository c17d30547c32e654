"""README.md, docs/systems.md and the figure show what the pages of the systems and of the first study say."""

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs"))

import front_page  # noqa: E402  (found by the line above)


def test_what_is_committed_is_what_the_tables_say():
    for path, text in front_page.made().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: call python docs/front_page.py"


def test_the_readme_is_short():
    assert (ROOT / "README.md").read_text(encoding="utf-8").count("\n") <= 120


@pytest.mark.parametrize("path", [ROOT / "README.md", ROOT / "CONTRIBUTING.md"], ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    """Those of the site's pages are checked by `make docs`."""
    links = re.findall(r"\]\((?!https?://)([^)#]+)", path.read_text(encoding="utf-8"))
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_a_number_of_the_paper_is_the_configs():
    told = {system.config: front_page.published(system) for system in front_page.SYSTEMS}
    assert told["dw_few_state"] == "96.67 %" and told["memristive"] == "less than 3 % below float"


def test_the_figure_has_the_numbers_of_the_first_study():
    texts = re.findall(r"<text[^>]*>([^<]+)</text>", front_page.FIGURE.read_text(encoding="utf-8"))
    for table, column in (("## The network", 1), ("## What it costs", 1)):
        for row in front_page.rows(front_page.FIRST, table).values():
            shown = list(row.values())[column].removesuffix(" %")
            assert shown in texts


def test_a_page_without_marks_is_no_silent_copy(tmp_path):
    (tmp_path / "page.md").write_text("no marks\n")
    with pytest.raises(AssertionError):
        front_page.placed(tmp_path / "page.md", "a table")


def test_the_map_of_the_house_names_what_stands():
    """Each path in docs/architecture.md is there, whole or as the end of one."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([\w./]+(?:/|\.(?:py|smk|json|md)))`", text))
    roots = ("spinloom", "device_sims", "calibration", "network", "workflow", "report", "spinloom_api", "docs")
    there = [path.relative_to(ROOT).as_posix() for root in roots for path in (ROOT / root).rglob("*")]
    made = {"card.json"}  # by a run
    lost = {name for name in named - made if not (ROOT / name).exists()}
    assert {name for name in lost if not any(f"/{path}".endswith(f"/{name.rstrip('/')}") for path in there)} == set()
    assert len(named) > 60


def test_the_map_of_the_house_has_each_room():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for stage in ("device_sims", "calibration", "network", "workflow"):
        for package in (ROOT / stage).glob("*/__init__.py"):
            room = f"{stage}/{package.parent.name}/"
            assert room in text or package.parent.name == "commands", room
