"""A real Slurm of one node: the same tables as on the workstation, and a sweep of more chunks than may be in the queue.

Takes a quarter of an hour on two cores and needs root, so it runs only where it is asked for:
SPINLOOM_SLURM=1 python -m pytest tests/slurm
"""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from spinloom import files
from tests.workflows import PARTS, SMALL, changed

ROOT = Path(__file__).parents[2]
ONE_NODE = ROOT / "tests" / "slurm" / "one_node.sh"
PROFILE = "workflow/profiles/slurm"
CHUNKS = 250  # more than `jobs` of the profile


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


def run(folder: Path, *arguments: str, config: str = "configs/smoke.yaml") -> str:
    command = ["timeout", "-k", "10", "3000", sys.executable, "-m", "snakemake", *arguments]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        [*command, "--configfile", config],
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


@pytest.mark.skipif(bool(absent()), reason=absent())
def test_a_sweep_of_more_chunks_than_the_queue_takes_ends(slurm, tmp_path):
    sweep = {"instances": CHUNKS // 2, "replicas_per_instance": 1, "instances_per_chunk": 1}
    # from each of a junction's two states
    pulses = {"voltages_V": [1.5], "durations_s": [1.0e-9]}
    study = changed(SMALL, {"network": None, "device_sims.stt_mtj.pulses": pulses, "device_sims.sweep": sweep})
    (tree(tmp_path) / "many.yaml").write_text(yaml.safe_dump(study))
    told = run(tmp_path, "device_sims", "--workflow-profile", PROFILE, config="many.yaml")
    assert told.count("has been submitted with SLURM jobid") == CHUNKS + 1  # and the job that collects them
    assert len(files.read_table(tmp_path / "results" / "small" / "device_sims" / "events.csv")) == CHUNKS
