"""docs/python.md: its code runs as it stands, one block after the other, in a folder with a study."""

import re
import shutil
from pathlib import Path

import pytest

from tests.workflows import RESULTS

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(finished, tmp_path, monkeypatch):
    """A tree whose study has run, under the name that the page has for it."""
    tree = finished.copied(tmp_path / "tree")
    shutil.copy(tree.path / "study.yaml", tree.path / "configs" / "smoke.yaml")
    shutil.copytree(ROOT / "docs" / "examples", tree.path / "docs" / "examples")
    monkeypatch.chdir(tree.path)
    return tree.path


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
    assert 0.1 < names["training"].accuracy < 1
