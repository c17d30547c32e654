"""One file adds a plug-in of each kind: it is dropped into a copy of the sources, and used."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from spinloom.files import read_json
from tests.workflows import SMALL, Tree, changed

ROOT = Path(__file__).parents[1]
TOYS = "docs/examples/plug_in/spinloom_toy"
ENGINE = """
from device_sims.engines.macrospin import BODY, probe, run

VERSION = "7"
"""
# where a new file goes: what it is a copy of, and the names in it that become new ones
NEW = {
    "device_sims/devices/my_junction.py": ("device_sims/devices/stt_mtj.py", {}),
    "calibration/sources/importers/my_log.py": (f"{TOYS}/pulse_log.py", {'"pulse_log"': '"my_log"'}),
    "calibration/exports/my_text.py": ("calibration/exports/json.py", {"kernel.json": "mine.json"}),
    "calibration/sources/parametric/my_bit.py": ("calibration/sources/parametric/pbit.py", {}),
    "calibration/laws/my_law.py": (
        "calibration/laws/truncated_normal.py",
        {'NAME = "truncated_normal"': 'NAME = "my_law"'},
    ),
    "network/rules/my_step.py": (f"{TOYS}/sign_step.py", {'"sign_step"': '"my_step"'}),
    "network/datasets/my_stripes.py": (f"{TOYS}/stripes.py", {'"stripes"': '"my_stripes"'}),
}
STUDY = {
    "device_sims.engine": "my_engine",
    "device_sims.device": "my_junction",
    "device_sims.my_junction": SMALL["device_sims"]["stt_mtj"],
    "network.dataset": "my_stripes",
    "network.layers": [16, 2],
    "network.rule": "my_step",
    "network.baseline": None,
    "network.validation_images": 100,
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory, server):
    """A copy of the sources with one more file of each kind."""
    tree = Tree.of_sources(tmp_path_factory.mktemp("one_file") / "tree", server)
    (tree.path / "device_sims" / "engines" / "my_engine.py").write_text(ENGINE)
    for name, (source, names) in NEW.items():
        text = (ROOT / source).read_text()
        for old, new in names.items():
            assert old in text
            text = text.replace(old, new)
        (tree.path / name).write_text(text)
    return tree


def call(tree, *arguments) -> None:
    """Run a command line in a process of its own, which imports the copy."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": ""}
    done = subprocess.run(arguments, cwd=tree.path, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr


def card_of(tree, name, section) -> dict:
    """Make the card that a calibration section asks for, and return its ``card.json``."""
    (tree.path / f"{name}.json").write_text(json.dumps(section))
    call(tree, "python", "-m", "calibration", "card", "--config", f"{name}.json", "--output", name)
    return read_json(tree.path / name / "card.json")


def calibration(**changes) -> dict:
    """Return the small study's calibration section with changes by dotted key, whose dots are written ``__``."""
    changes = {key.replace("__", "."): value for key, value in changes.items()}
    whole = yaml.safe_load((ROOT / "config.yaml").read_text())["calibration"]
    return changed({**whole, "seed": 1}, changes)


@pytest.mark.long
def test_an_engine_a_device_a_rule_and_a_data_set(tree):
    tree.configure(STUDY)
    history = "results/small/network/summary/history.csv"
    call(tree, "snakemake", "-c1", history, "--configfile", "study.yaml")
    device = read_json(tree.results / "device_sims" / "device.json")
    assert (device["engine"], device["engine_version"], device["family"]) == ("my_engine", "7", "my_junction")
    table = pd.read_csv(tree.path / history)
    assert set(table["rule"]) == {"my_step"} and table["writes"].iloc[-1] > 0
    assert read_json(tree.results / "network" / "data.json")["dataset"] == "my_stripes"


@pytest.mark.long
def test_an_importer_and_a_law(tree):
    shutil.copy(ROOT / "docs" / "examples" / "plug_in" / "pulses.log", tree.path)
    options = {"voltage_up_V": 0.5, "voltage_down_V": -0.5, "duration_s": 1e-8}
    source = {"kind": "import", "file": "pulses.log", "format": "my_log", "options": options}
    states = {"method": "equal_population", "count": 4}
    meta = card_of(tree, "measured", calibration(source=source, states=states, kernel={"law": "my_law"}))
    assert meta["source"]["format"] == "my_log"
    assert [law["law"] for law in meta["laws"]] == ["my_law", "my_law"]


def test_a_parametric_device(tree):
    recipe = (ROOT / "calibration" / "sources" / "library" / "pbit.yaml").read_text().replace("pbit", "my_bit")
    section = calibration(source={"kind": "parametric"}, parametric=yaml.safe_load(recipe))
    assert card_of(tree, "stated", section)["source"]["parameters"]["my_bit"]["beta"] == 2.0


def test_a_format_of_exports(tree):
    call(tree, "python", "-m", "calibration", "export", "pbit", "--format", "my-text", "--output", "out")
    assert read_json(tree.path / "out" / "mine.json")["format"] == "spinloom kernel arrays"
