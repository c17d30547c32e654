"""A study's run on a terminal: stages, what is being simulated and trained, how fast, and how long it still takes.

Snakemake's own lines go to ``results/STUDY/logs/snakemake.log``. The display reads what jobs leave beside their logs,
and needs no connection to them.
"""

from __future__ import annotations

import math
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from spinloom import files
from spinloom.errors import UserError
from spinloom.progress import STATUS, clock
from workflow.study import interrupt
from workflow.study.planning import Plan

TOLD = 40  # lines of the log that a failure shows
HEAD = 20_000  # characters of the log in which the notes of a planning are
BAR = 24


@dataclass(frozen=True)
class Row:
    """A line of the display: amounts in ``unit``; ``speed`` and ``left_s`` None where they mean nothing."""

    label: str
    done: float
    total: float
    unit: str
    speed: str = ""
    left_s: float | None = None


class Part(NamedTuple):
    """What one folder will hold: a study, or a point of a scan."""

    config: dict[str, Any]
    plan: Plan
    folder: Path


def run(command: list[str], told: Callable[[], list[Part]], folder: Path) -> int:
    """Run a command that makes a study, with a live display on stderr; return its exit status.

    Parameters
    ----------
    command : list of str
        Snakemake's.
    told : callable
        Returns the study itself, or the points of its scan. It is called once the command runs, since planning takes a
        second or two.
    folder : Path
        ``results/STUDY``, where the parts' simulations are.

    Raises
    ------
    UserError
        As of ``told``, once the command, which finds the same, has ended.
    """
    console = Console(stderr=True, highlight=False)
    log = folder / "logs" / "snakemake.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    begin = time.time()
    with open(log, "w", encoding="utf-8") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT)
        with interrupt.passed_on(process), Live(console=console, auto_refresh=False) as live:
            try:
                parts = told()
            except UserError:
                process.wait()
                raise
            noted = 0
            while True:
                noted = _note(console, log, noted)
                try:
                    live.update(picture(rows(parts, folder, begin), time.time() - begin), refresh=True)
                    process.wait(timeout=1)
                    break
                except subprocess.TimeoutExpired:
                    continue
            _note(console, log, noted)
            live.update(picture(rows(parts, folder, begin), time.time() - begin), refresh=True)
    if process.returncode:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        print("\n".join(lines[-TOLD:]), file=sys.stderr)
        print(f"the whole log: {log}", file=sys.stderr)
    return process.returncode


def _note(console: Console, log: Path, before: int) -> int:
    """Print what the planning has to tell beside its jobs, but for the first lines; return how many there are."""
    with open(log, encoding="utf-8", errors="replace") as stream:
        notes = [line for line in stream.read(HEAD).split("\n")[:-1] if line.startswith("note: ")]
    for note in notes[before:]:
        console.print(note, markup=False, soft_wrap=True)
    return len(notes)


def rows(parts: list[Part], folder: Path, begin: float) -> list[Row]:
    """Return a line for each stage, then one for each job at work.

    ``begin`` is the start of the run (s since the epoch): what a job killed before it left behind is not at work.
    """
    working = {
        "device_sims": _working(folder / "logs" / "device_sims", begin),
        "network": [job for part in parts for job in _working(part.folder / "logs" / "network", begin)],
    }
    found = []
    if any(part.plan.simulates for part in parts):
        found.append(_stage("device_sims", "replicas", _replicas(parts, folder), working["device_sims"]))
    found.append(_made("calibration", [part.folder / "calibration" / "card" / "card.json" for part in parts], begin))
    if any(part.plan.trains for part in parts):
        amounts = np.sum([_images(part) for part in parts if part.plan.trains], axis=0)
        found.append(_stage("network", "images", tuple(amounts), working["network"]))
    found.append(_made("report", [folder / "report.html"], begin))
    for job in (one for jobs in working.values() for one in jobs):
        speed = f"{job['speed']:.3g} {job['rate_unit']}"
        found.append(Row(f"  {job['label']}", job["done"], job["total"], job["unit"], speed, job["left_s"]))
    return found


def _working(folder: Path, begin: float) -> list[dict]:
    found = []
    for path in sorted(folder.glob(f"*{STATUS}")):
        try:
            if path.stat().st_mtime >= begin:
                found.append(files.read_json(path))
        except (OSError, UserError):  # it has just ended
            continue
    return found


def _replicas(parts: list[Part], folder: Path) -> tuple[float, float]:
    directory = folder / "device_sims" / "chunks"
    chunks = {chunk.chunk_hash: chunk for part in parts for chunk in part.plan.chunks}.values()  # points share them
    done = sum(chunk.replicas for chunk in chunks if chunk.paths(directory)[0].exists())
    return done, sum(chunk.replicas for chunk in chunks)


def _images(part: Part) -> tuple[float, float]:
    done = total = 0.0
    for one in part.plan.trained:
        # a data set of the user's is counted when it has been read
        known = one.data_set.train_count
        images = known - one.held(known) if known else 1
        for replicate in range(one.seeds):
            finished = (part.folder / "network" / "runs" / f"{one.variant}_{replicate}" / "meter.json").exists()
            total += images * one.epochs
            done += images * one.epochs * finished
    return done, total


def _stage(name: str, unit: str, amounts: tuple[float, float], jobs: list[dict]) -> Row:
    """Return a stage's line: what finished jobs did and those at work have done; its time at their speed."""
    before, total = amounts
    done = min(before + sum(job["done"] for job in jobs), total)
    pace = sum(job["pace"] for job in jobs)
    left = None if done < total and not pace else (total - done) / pace if pace else 0.0
    speed = f"{sum(job['speed'] for job in jobs):.3g} {jobs[0]['rate_unit']}" if jobs else ""
    return Row(name, done, total, unit, speed, left)


def _made(name: str, paths: list[Path], begin: float) -> Row:
    made = [path for path in paths if path.exists()]
    if len(paths) > 1:
        return Row(name, len(made), len(paths), "points")
    return Row(name, len(made), 1, "" if not made else "there" if made[0].stat().st_mtime < begin else "made")


def picture(found: list[Row], elapsed_s: float) -> Group:
    """Return the display of these lines."""
    table = Table.grid(padding=(0, 2))
    for one in found:
        amount = f"{one.done:,.0f}/{one.total:,.0f} {one.unit}" if one.total > 1 else one.unit
        left = "" if one.left_s is None or one.done >= one.total else _left(one.left_s)
        bar = ProgressBar(total=max(one.total, 1), completed=min(one.done, one.total), width=BAR)
        table.add_row(Text(one.label), bar, Text(amount), Text(one.speed), Text(left))
    return Group(table, Text(f"running for {clock(elapsed_s)}"))


def _left(seconds: float) -> str:
    return f"{clock(seconds)} left" if math.isfinite(seconds) else ""
