"""A user's table through all stages: named by its hash on the last page, trained again if it changes."""

import pandas as pd
import pytest

from spinloom.files import read_json, sha256_file
from tests.network.own_files import frame
from tests.workflow.expected import NOTHING, TRAINING
from tests.workflows import told

CHANGES = {
    "network.dataset": "table",
    "network.data.cache": "cache",
    "network.dataset_options": {"file": "data/flowers.csv", "label": "kind", "scaling": "z_score"},
    "network.input": {"range": "signed"},
    "network.layers": [4, 3],
    "network.validation_images": None,
    "network.batch_size": 8,
}


@pytest.mark.long
def test_a_table_trains_and_trains_again_when_it_changes(tree):
    path = tree.path / "data" / "flowers.csv"
    path.parent.mkdir()
    twice = pd.concat([frame(), frame().iloc[:30]])  # some samples are on both sides
    twice.to_csv(path, index=False)
    tree.configure(CHANGES)
    assert tree.jobs() == {"data": 1, **TRAINING}
    done = tree.snakemake("-c2")
    assert done.returncode == 0, done.stderr
    title = f"flowers.csv (SHA-256 {sha256_file(path)[:12]})"
    summary = pd.read_csv(tree.results / "network" / "summary" / "summary.csv")
    assert set(summary["data"]) == {title}
    assert summary["warnings"].str.contains("test samples are training samples too").all()
    page = (tree.results / "report.html").read_text()
    assert '"ash","elm","oak"' in page  # of the confusion matrix
    assert title in page and "test samples are training samples too" in page
    shown = tree.call("python", "-m", "network", "show", "results/small/network/summary").stdout
    assert f"data set: {title}" in shown and "are training samples too" in shown
    manifest = read_json(tree.results / "network" / "data.json")
    assert manifest["files"] == [{"name": "flowers.csv", "sha256": sha256_file(path)}]
    assert tree.jobs() == NOTHING
    path.touch()
    assert tree.jobs() == NOTHING
    frame().to_csv(path, index=False)
    done = tree.snakemake("-n")
    now = f"flowers.csv (SHA-256 {sha256_file(path)[:12]})"
    assert f"note: {now}: results/small was begun with {title}: its networks train again" in done.stderr
    assert tree.jobs() == {"data": 1, **TRAINING}
    # what does not fit is said before anything runs
    tree.configure({**CHANGES, "network.layers": [5, 3]})
    assert any("found 5 inputs, allowed: 4 or 1x4x1" in line for line in told(tree.snakemake("-n")))
    path.unlink()
    assert any("data/flowers.csv, which cannot be read" in line for line in told(tree.snakemake("-n")))
