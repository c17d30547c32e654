"""The smoke study on a real Slurm of one node: the same tables as on the workstation.

Takes as long as two smoke studies and needs root, so it runs only where it is asked for:
SPINLOOM_SLURM=1 python -m pytest tests/slurm
"""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from spinloom import files
from tests.workflows import PARTS

ROOT = Path(__file__).parents[2]
ONE_NODE = ROOT / "tests" / "slurm" / "one_node.sh"
PROFILE = "workflow/profiles/slurm"


def absent() -> str:
    """Return why this cannot run here; nothing if it can."""
    if os.environ.get("SPINLOOM_SLURM") != "1":
        return "takes minutes: SPINLOOM_SLURM=1 asks for it"
    missing = [name for name in ("slurmctld", "slurmd", "munged", "sbatch") if shutil.which(name) is None]
    if missing or find_spec("snakemake_executor_plugin_slurm") is None:
        return f"not installed: {', '.join(missing) or 'snakemake-executor-plugin-slurm'}"
    return "" if os.getuid() == 0 else "a Slurm of one's own needs root"


def tree(folder: Path) -> Path:
    for part in PARTS:
        ignore = shutil.ignore_patterns("__pycache__")
        source = ROOT / part
        shutil.copytree(source, folder / part, ignore=ignore) if source.is_dir() else shutil.copy(source, folder)
    (folder / "results").mkdir()
    shutil.copy(ROOT / "results" / "README.md", folder / "results")
    os.symlink("workflow/profiles", folder / "profiles")
    return folder


def run(folder: Path, *arguments: str) -> str:
    command = ["timeout", "-k", "10", "3000", sys.executable, "-m", "snakemake", *arguments]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        [*command, "--configfile", "configs/smoke.yaml"],
        cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.fixture
def slurm(tmp_path):
    folder = tmp_path / "slurm"
    folder.mkdir()
    try:
        subprocess.run(["timeout", "-k", "5", "120", str(ONE_NODE), "start", str(folder)], check=True)
        yield
    finally:
        subprocess.run([str(ONE_NODE), "stop", str(folder)], check=True)


@pytest.mark.skipif(bool(absent()), reason=absent())
def test_slurm_gives_the_same_tables(slurm, tmp_path):
    here, there = ((tmp_path / name) for name in ("here", "there"))
    for folder in (here, there):
        folder.mkdir()
        tree(folder)
    run(here)
    told = run(there, "--workflow-profile", PROFILE)
    # simulations, trainings and what is between them: all but the jobs of the login node
    assert told.count("has been submitted with SLURM jobid") > 5
    tables = [
        path.relative_to(here)
        for kind in ("csv", "parquet")
        for path in sorted((here / "results" / "smoke").rglob(f"*.{kind}"))
    ]
    assert len(tables) > 20
    different = [str(path) for path in tables if files.sha256_file(here / path) != files.sha256_file(there / path)]
    assert different == []
