"""What a machine must have is said in one line, and the interpreter that runs is the one that its jobs use."""

import json
import os
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from spinloom import interpreter, needs
from workflow.study import begin

ROOT = Path(__file__).parents[1]


def refused(before: str) -> str:
    """Import Spinloom in a process of its own, after these statements, and return the one line that it ends with."""
    command = [sys.executable, "-c", f"{before}; import spinloom"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    return done.stderr


def test_a_system_without_locks():
    line = refused("import importlib.util as u; u.find_spec = lambda name, *_: None")
    assert re.fullmatch("error: Spinloom runs on Linux and macOS, .*; on Windows, use WSL\n", line)


def test_an_older_python():
    line = refused("import sys; sys.version_info = (3, 9, 2, 'final', 0)")
    assert re.fullmatch(r"error: \S+ is Python 3\.9\.2, allowed: 3\.11 or newer\n", line)


def test_one_package_is_missing():
    stub = "import importlib.util as u; find = u.find_spec; u.find_spec = lambda name: name != 'jax' and find(name)"
    assert re.fullmatch(r"error: \S+ lacks jax, which Spinloom needs; in a clone, .*make run.*\n", refused(stub))


@pytest.mark.parametrize("stage", ["spinloom", "device_sims", "calibration", "network", "report"])
def test_no_package_is_there(stage):
    """Without site-packages, as for the Python of a system."""
    command = [sys.executable, "-S", "-m", stage, "-h"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env={})
    assert (done.returncode, done.stdout) == (1, "")
    line = r"error: \S+ lacks \S+ and \d+ more packages that Spinloom needs; in a clone, .*make run.*\n"
    assert re.fullmatch(line, done.stderr)


def test_the_packages_that_are_looked_for_are_the_dependencies():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    owners = metadata.packages_distributions()
    known = {canonicalize_name(owner) for name in needs.PACKAGES for owner in owners[name]}
    assert known >= {canonicalize_name(Requirement(text).name) for text in project["dependencies"]}
    assert len(needs.PACKAGES) == len(project["dependencies"])


def test_python_is_this_one_where_nothing_is_activated(monkeypatch):
    own = str(Path(sys.executable).parent)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    interpreter.lead_path()
    interpreter.lead_path()  # as a job of a job does
    assert os.environ["PATH"] == f"{own}:/usr/bin:/bin"
    # of two environments, the one that runs
    monkeypatch.setenv("PATH", f"/other/bin:{own}")
    interpreter.lead_path()
    assert os.environ["PATH"] == f"{own}:/other/bin:{own}"


@pytest.mark.long
@pytest.mark.parametrize(
    "words", ["spinloom run study.yaml {table} -c1", "snakemake {table} -c1 --configfile study.yaml"]
)
def test_a_study_runs_where_nothing_is_activated(tmp_path, words):
    """By the interpreter's own path: its Snakemake is found, and the jobs use the same interpreter."""
    folder = tmp_path / "own"
    begin.begin(folder)
    study = {"study": "bare", "calibration": {"source": {"kind": "library", "name": "pbit"}}, "network": None}
    (folder / "study.yaml").write_text(json.dumps(study))
    table = "results/bare/calibration/card/transitions.csv"
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    command = [sys.executable, "-m", *words.format(table=table).split()]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env=environment)
    assert done.returncode == 0, done.stderr
    assert (folder / table).exists()
