"""The example package of CONTRIBUTING.md, installed: a study with its rule, its importer and its data set."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from spinloom.files import read_json
from tests.workflows import Tree, planned

EXAMPLE = Path("docs") / "examples" / "plug_in"
HISTORY = "results/plug_in/network/summary/history.csv"
ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def tree(tmp_path_factory, server):
    """A tree of the sources, with the example beside it and installed in ``site``."""
    tree = Tree.of_sources(tmp_path_factory.mktemp("plug_in") / "tree", server)
    shutil.copytree(ROOT / EXAMPLE, tree.path / EXAMPLE, ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps"]
    subprocess.run([*pip, "--no-build-isolation", "--target", tree.path / "site", tree.path / EXAMPLE], check=True)
    return tree


def call(tree, *arguments, site=True) -> subprocess.CompletedProcess:
    """Run a command line in a process of its own, which alone finds what was installed after this one began."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(tree.path / "site") if site else ""}
    return subprocess.run(arguments, cwd=tree.path, env=environment, capture_output=True, text=True, timeout=600)


@pytest.mark.long
def test_a_study_with_all_three(tree):
    done = call(tree, "snakemake", "-c1", HISTORY, "--configfile", str(EXAMPLE / "study.yaml"))
    assert done.returncode == 0, done.stderr
    history = pd.read_csv(tree.path / HISTORY)
    last = history[history["epoch"] == history["epoch"].max()].set_index("rule")
    assert last.loc["sign_step", "test_accuracy"] > 0.9 and last.loc["sign_step", "writes"] > 0
    assert last.loc["float_baseline", "writes"] == 0
    study = tree.path / "results" / "plug_in"
    assert read_json(study / "network" / "data.json")["dataset"] == "stripes"
    assert read_json(study / "calibration" / "card" / "card.json")["source"]["format"] == "pulse_log"


@pytest.mark.long
def test_its_sources_are_inputs_of_the_jobs_that_use_it(tree):
    dry_run = ("snakemake", "-n", HISTORY, "--configfile", str(EXAMPLE / "study.yaml"))
    assert planned(call(tree, *dry_run)) == {}
    with open(tree.path / "site" / "spinloom_toy" / "stripes.py", "a") as module:
        module.write("CHANGED = 1\n")
    assert {"card", "data", "train"} <= set(planned(call(tree, *dry_run)))


@pytest.mark.parametrize(
    "site, changes, message",
    [
        (False, {}, "calibration.source.format: found pulse_log, allowed: crosssim, events, runs, switching"),
        (True, {"rule_options": {"threshold": -1}}, "rule sign_step: network.rule_options.threshold: found -1, "),
        (True, {"rule": "sign_stepp"}, "network.rule: found sign_stepp, allowed: accumulate_quantise_program, bop"),
    ],
)
def test_what_is_not_there_is_said_in_one_line(tree, site, changes, message):
    study = yaml.safe_load((tree.path / EXAMPLE / "study.yaml").read_text())
    study["network"] |= changes
    (tree.path / "wrong.yaml").write_text(yaml.safe_dump(study))
    done = call(tree, "python", "-m", "spinloom", "check", "wrong.yaml", site=site)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and message in done.stderr
