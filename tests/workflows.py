"""A copy of the tree with a small study in it, and the commands of its user, each in a forked process."""

from __future__ import annotations

import copy
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.forkserver import Server

ROOT = Path(__file__).parent.parent
PARTS = (
    "Snakefile", "config.yaml", "environment.yml", "workflow", "configs", "spinloom", "device_sims", "calibration",
    "network", "report",
)  # fmt: skip
STUDY = "small"
RESULTS = Path("results") / STUDY
# through all stages in seconds: one moment, four pulses of two voltages, one layer on small images
SMALL = yaml.safe_load("""
study: small
device_sims:
  engine: macrospin
  device: stt_mtj
  stt_mtj:
    layer: {diameter_m: 40.0e-9, thickness_m: 1.1e-9, cell_m: 2.5e-9}
    material: {Ms_A_per_m: 1.2e+6, A_J_per_m: 2.0e-11, Ku_J_per_m3: 9.142e+5, alpha: 0.03}
    junction: {polarisation: 0.61, RA_ohm_m2: 9.8e-12, TMR: 1.2}
    wait: {rest_s: 0.1e-9, relax_s: 0.1e-9}
    temperature_K: 300.0
    pulses: {voltages_V: [1.5, 2.0], durations_s: [1.0e-9]}
  sweep: {instances: 1, replicas_per_instance: 8, instances_per_chunk: 1}
  numerics: {integrator: heun, dt_s: 5.0e-12, record_interval_s: 0.2e-9}
calibration:
  states: {method: device, count: null}
  max_lost_fraction: 1.0
network:
  dataset: digits
  layers: [64, 10]
  validation_images: 100
  epochs: 2
  seeds: 1
  rule: accumulate_quantise_program
  baseline: float_baseline
""")


def changed(config: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return a copy with values set by dotted key; parents that are not there are made."""
    config = copy.deepcopy(config)
    for path, value in changes.items():
        *parents, last = path.split(".")
        place = config
        for key in parents:
            place = place.setdefault(key, {})
        place[last] = value
    return config


class Tree:
    """A folder with the sources, ``study.yaml``, and results of its own."""

    def __init__(self, path: Path, server: Server):
        self.path, self.server = path, server

    @classmethod
    def of_sources(cls, path: Path, server: Server) -> Tree:
        path.mkdir()
        for part in PARTS:
            source, ignore = ROOT / part, shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, path / part, symlinks=True, ignore=ignore) if source.is_dir() else shutil.copy(
                source, path
            )
        (path / "results").mkdir()
        shutil.copy(ROOT / "results" / "README.md", path / "results")
        os.symlink("workflow/profiles", path / "profiles")
        tree = cls(path, server)
        tree.configure({})
        return tree

    def copied(self, path: Path) -> Tree:
        """Return a copy with the times of all files."""
        shutil.copytree(self.path, path, symlinks=True)
        return Tree(path, self.server)

    @property
    def results(self) -> Path:
        return self.path / RESULTS

    def configure(self, changes: dict[str, Any], base: dict[str, Any] = SMALL) -> None:
        """Write ``study.yaml``: the small study with values set by dotted key."""
        (self.path / "study.yaml").write_text(yaml.safe_dump(changed(base, changes), sort_keys=False))

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen:
        """Start a command line of ``python`` or ``snakemake``."""
        path = f"{self.server.bin}:{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": self.path}
        return subprocess.Popen(
            [str(self.server.bin / arguments[0]), *arguments[1:]], env=environment, **pipes, **options
        )

    def call(self, *arguments: str) -> subprocess.CompletedProcess:
        """Run a command line to its end."""
        process = self.start(*arguments)
        out, error = process.communicate(timeout=600)
        return subprocess.CompletedProcess(arguments, process.returncode, out, error)

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess:
        """Call ``snakemake`` on ``study.yaml``."""
        return self.call("snakemake", *arguments, "--configfile", "study.yaml")

    def jobs(self, *arguments: str) -> dict[str, int]:
        """Return how often each rule would run; the forecast above Snakemake's list must say the same."""
        done = self.snakemake("-n", *arguments)
        found = planned(done)
        assert forecast(done.stderr) == {name: found.get(name, 0) for name in ("simulate", "train")}, done.stderr
        return found


def planned(done: subprocess.CompletedProcess) -> dict[str, int]:
    """Return how often each rule runs after the words of a dry run."""
    assert done.returncode == 0, done.stderr
    text = done.stdout + done.stderr
    if "Nothing to be done" in text:
        return {}
    table = text.split("Job stats:")[1].split("total")[0].splitlines()[3:]
    return {line.split()[0]: int(line.split()[1]) for line in table if line.strip()}


def forecast(text: str) -> dict[str, int]:
    """Return how many simulations and trainings a dry run says that it would run."""
    found = {"simulate": 0, "train": 0}
    for name, what in (("simulate", "chunks"), ("train", "trainings")):
        if told := re.search(rf"(\d+) {what}(?:, (\w+) of them to run)?", text):
            total, some = told.groups()
            found[name] = 0 if some == "none" else int(some or total)
    assert ("this run simulates and trains nothing" in text) == (not any(found.values()))
    return found


def told(done: subprocess.CompletedProcess) -> list[str]:
    """Return the lines of a command that say what is wrong."""
    return [line for line in done.stderr.splitlines() if line.startswith("error") or "Error" in line]


def contents(folder: Path, *left_out: str) -> dict[str, bytes]:
    """Return the bytes of each file below a folder, by name; no logs, nor the report, which tells when jobs ran."""
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    out = ("logs/", "report.html", ".lock", *left_out)
    return {name: path.read_bytes() for name, path in files.items() if not name.startswith(out)}
