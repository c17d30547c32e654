"""How long ``snakemake`` takes before its first job: to find nothing to do, to plan a sweep of many chunks, or a scan.

    python -m benchmarks.planning [--points 2000] [--repeats 3]

Works in a copy of the tree. The study that has nothing to do is the one that ``configs/smoke.yaml`` names, with results
that are empty files; what Snakemake reads of them does not depend on what they hold. Prints wall-clock and processor
seconds of each call: on a machine that has other work, the latter are what can be compared.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
SMOKE = ("--configfile", "configs/smoke.yaml")
APART = (".git", ".venv", ".snakemake", "results", "tests")
MARGINS = 10  # of the scan; its other axis are seeds, each with simulations of its own
VOLTAGES = 5  # of the default study; its points are these times its devices, one in a chunk


def timed(tree: Path, *arguments: str) -> tuple[float, float, str]:
    """Return wall-clock and processor time of a call of Snakemake, s, and what it says."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-m", "snakemake", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=True)
    wall_s, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout + done.stderr


def finish(tree: Path) -> None:
    """Let the smoke study look as if it had run."""
    for line in timed(tree, "--summary", *SMOKE)[2].splitlines():
        if "\tmissing\t" in line:
            path = tree / line.split("\t")[0]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    timed(tree, "--touch", *SMOKE)


def report(name: str, calls: list[tuple[float, float, str]]) -> None:
    wall_s, cpu_s = statistics.median(wall for wall, _, _ in calls), statistics.median(cpu for _, cpu, _ in calls)
    print(f"{name}: {wall_s:.1f} s, of these {cpu_s:.1f} s at work (median of {len(calls)})")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.planning", description=__doc__)
    parser.add_argument("--points", type=int, default=2000, help="chunks, or points (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="calls of each (default: %(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        tree = Path(name) / "tree"
        shutil.copytree(ROOT, tree, symlinks=True, ignore=lambda place, _: APART if Path(place) == ROOT else ())
        (tree / "results").mkdir()
        shutil.copy(ROOT / "results" / "README.md", tree / "results")
        finish(tree)
        idle = [timed(tree, *SMOKE) for _ in range(arguments.repeats)]
        assert all("Nothing to be done" in call[2] for call in idle)
        report("nothing to do", idle)
        sweep = {"instances": arguments.points // VOLTAGES, "instances_per_chunk": 1}
        (tree / "many.yaml").write_text(yaml.safe_dump({"study": "many", "device_sims": {"sweep": sweep}}))
        calls = [timed(tree, "-n", "--quiet", "all", "--configfile", "many.yaml") for _ in range(arguments.repeats)]
        report(f"a sweep of {sweep['instances'] * VOLTAGES} chunks", calls)
        axes = [
            {"key": "network.rule_options.margin", "values": [round(0.05 * k, 3) for k in range(1, MARGINS + 1)]},
            {"key": "seed", "values": list(range(1, arguments.points // MARGINS + 1))},
        ]
        scan = {"study": "points", "network": {"seeds": 1}, "scan": {"axes": axes}}
        (tree / "points.yaml").write_text(yaml.safe_dump(scan))
        calls = [timed(tree, "-n", "--quiet", "all", "--configfile", "points.yaml") for _ in range(arguments.repeats)]
        report(f"a scan of {MARGINS * len(axes[1]['values'])} points", calls)


if __name__ == "__main__":
    main()
