"""A real Slurm of one node: the same tables as on the workstation, and a sweep of more chunks than may be in the queue.

Needs root and Debian's munge, slurmctld, slurmd and slurm-client. The small study takes minutes. The other two tests
take a quarter of an hour on two cores and run only where they are asked for:
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
CONFIG = Path("/etc/slurm/slurm.conf")
PROFILE = "workflow/profiles/slurm"
QUICK = ("--slurm-init-seconds-before-status-checks", "1")  # nobody else's Slurm is asked that often
CHUNKS = 250  # more than `jobs` of the profile


def absent() -> str:
    """Return why this cannot run here; nothing if it can."""
    missing = [name for name in ("slurmctld", "slurmd", "munged", "sbatch") if shutil.which(name) is None]
    if missing or find_spec("snakemake_executor_plugin_slurm") is None:
        return f"not installed: {', '.join(missing) or 'snakemake-executor-plugin-slurm'}"
    if os.getuid() != 0:
        return "a Slurm of one's own needs root"
    own = CONFIG.exists() and not CONFIG.read_text().startswith("# of Spinloom's tests")
    return f"this machine has a Slurm: {CONFIG}" if own else ""


here = pytest.mark.skipif(bool(absent()), reason=absent())
asked = pytest.mark.skipif(
    os.environ.get("SPINLOOM_SLURM") != "1", reason="takes many minutes: SPINLOOM_SLURM=1 asks for it"
)


def tree(folder: Path) -> Path:
    for part in PARTS:
        ignore = shutil.ignore_patterns("__pycache__")
        source = ROOT / part
        shutil.copytree(source, folder / part, ignore=ignore) if source.is_dir() else shutil.copy(source, folder)
    (folder / "results").mkdir()
    shutil.copy(ROOT / "results" / "README.md", folder / "results")
    os.symlink("workflow/profiles", folder / "profiles")
    (folder / "small.yaml").write_text(yaml.safe_dump(SMALL))
    return folder


def run(folder: Path, config: str, *arguments: str) -> str:
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


@here
@pytest.mark.long
@pytest.mark.parametrize("config", ["small.yaml", pytest.param("configs/smoke.yaml", marks=asked)])
def test_slurm_gives_the_same_tables(slurm, tmp_path, config):
    alone, cluster = ((tmp_path / name) for name in ("alone", "cluster"))
    for folder in (alone, cluster):
        folder.mkdir()
        tree(folder)
    run(alone, config)
    told = run(cluster, config, "--workflow-profile", PROFILE, *QUICK)
    # simulations, trainings and what is between them: all but the jobs of the login node
    assert told.count("has been submitted with SLURM jobid") > 5
    results = alone / "results" / Path(config).stem
    tables = [path.relative_to(alone) for kind in ("csv", "parquet") for path in sorted(results.rglob(f"*.{kind}"))]
    assert len(tables) > 20
    different = [str(path) for path in tables if files.sha256_file(alone / path) != files.sha256_file(cluster / path)]
    assert different == []


@here
@asked
@pytest.mark.long
def test_a_sweep_of_more_chunks_than_the_queue_takes_ends(slurm, tmp_path):
    sweep = {"instances": CHUNKS // 2, "replicas_per_instance": 1, "instances_per_chunk": 1}
    # from each of a junction's two states
    pulses = {"voltages_V": [1.5], "durations_s": [1.0e-9]}
    study = changed(SMALL, {"network": None, "device_sims.stt_mtj.pulses": pulses, "device_sims.sweep": sweep})
    (tree(tmp_path) / "many.yaml").write_text(yaml.safe_dump(study))
    told = run(tmp_path, "many.yaml", "device_sims", "--workflow-profile", PROFILE)
    assert told.count("has been submitted with SLURM jobid") == CHUNKS + 1  # and the job that collects them
    assert len(files.read_table(tmp_path / "results" / "small" / "device_sims" / "events.csv")) == CHUNKS
