"""docs/python.md: its code runs as it stands, one block after the other, in a folder with a study."""

import re
import shutil
from pathlib import Path

import pytest
import yaml

from tests.workflows import RESULTS

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(finished, tmp_path, monkeypatch):
    """A tree whose study has run, under the name that the page has for it."""
    tree = finished.copied(tmp_path / "tree")
    shutil.copy(tree.path / "study.yaml", tree.path / "configs" / "smoke.yaml")
    axis = {"key": "network.rule_options.margin", "values": [0.1, 0.4]}
    scan = {**yaml.safe_load((tree.path / "study.yaml").read_text()), "study": "margins", "scan": {"axes": [axis]}}
    (tree.path / "scan.yaml").write_text(yaml.safe_dump(scan))
    shutil.copytree(ROOT / "docs" / "examples", tree.path / "docs" / "examples")
    monkeypatch.chdir(tree.path)
    return tree.path


@pytest.mark.long
def test_the_code_of_the_page_runs(folder):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text(encoding="utf-8"), re.DOTALL)
    names = {}
    for block in blocks:
        exec(compile(block, "docs/python.md", "exec"), names)
    assert len(blocks) > 6
    assert names["same"] is True
    assert names["after"].shape == (1000,) and names["states"].shape == (10_000,)
    assert names["run"].trajectory["mz"].dims == ("replica", "record")
    assert names["study"].results == folder / RESULTS
    assert list(names["scan"].points) == ["margin=0.1", "margin=0.4"] and names["point"].labels == {"margin": "0.4"}
    assert names["point"].summary["variant"].nunique() == 2 and names["point"].card.kernel.shape[1] == 2
    assert names["point"].results == folder / "results" / "margins" / "points" / "margin=0.4"
    assert len(names["scan"].table("scan")) == 4 and names["study"].points == {}
    assert 0.1 < names["training"].accuracy < 1
