"""What a study will take, told before it runs: write events, cells, trainings, time, disk."""

from __future__ import annotations

import logging
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from snakemake.common import NOTHING_TO_BE_DONE_MSG
from snakemake_interface_logger_plugins.common import LogEvent

from device_sims.sweep.chunk import Chunk
from spinloom import speed
from workflow.study.planning import Plan

RESULTS = Path("results")
START_S = 10.0  # of a job: imports and compilation
# bytes on disk, measured: a write's rows in chunk, table and CSV; a time step of its path in chunk and table; per
# weight the checkpoint of a run; figures, report and tables of a study
EVENT_B, RECORD_B, WEIGHT_B, STUDY_B = 1300, 90, 32, 7e6
WORDS = {None: "", False: ", at the speed of a reference core", True: ", at the speed of the last runs here"}


@dataclass(frozen=True)
class Part:
    """A stage's share: its line, jobs to run, seconds of one process (None: unknown), bytes, whose speed."""

    line: str
    jobs: int
    seconds: float | None
    size_B: float
    measured: bool | None = None


class Forecast(logging.Handler):
    """Tells once, on stderr, what a dry run of Snakemake will take: when Snakemake says what it would run.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
    name, plans
        As of `tell`.
    """

    def __init__(self, workflow: Any, name: str, plans: dict[str, Plan]):
        super().__init__()
        self.workflow, self.study, self.plans, self.told = workflow, name, plans, False

    def emit(self, record: logging.LogRecord) -> None:
        """Take a line of Snakemake's: the table of jobs, or that there are none, ends its planning."""
        planned = getattr(record, "event", None) == LogEvent.RUN_INFO or record.msg == NOTHING_TO_BE_DONE_MSG
        if not planned or self.told or not self.workflow.dryrun:
            return
        self.told = True
        jobs = self.workflow.dag.needrun_jobs()
        cores = self.workflow.nodes or self.workflow.cores or 1
        print(tell(self.study, self.plans, cores, {str(path) for job in jobs for path in job.output}), file=sys.stderr)


def tell(name: str, plans: dict[str, Plan], cores: int, wanted: set[str]) -> str:
    """Return the forecast in a few plain lines.

    Parameters
    ----------
    name : str
        Of the study.
    plans : dict of Plan
        By the folder in results/: the study's, or those of the points of its scan, which share its chunks.
    cores : int
        Jobs that run at once.
    wanted : set of str
        Files that the run will make, those of all its jobs: only they are counted.
    """
    chunks = {chunk.chunk_hash: chunk for plan in plans.values() for chunk in plan.chunks}
    parts = [_simulations(list(chunks.values()), RESULTS / name, wanted)] if chunks else []
    if trained := {folder: plan for folder, plan in plans.items() if plan.trains}:
        parts.append(_trainings(trained, wanted))
    points = f", a scan of {len(plans)} points" if list(plans) != [name] else ""
    lines = [f"Study {name}{points}:"]
    for part in parts:
        took = "" if not part.jobs else f": {_time(part, cores)}, {_size(part.size_B)}{WORDS[part.measured]}"
        lines.append(f"  {part.line}{took}")
    if not any(part.jobs for part in parts):
        return "\n".join([*lines, "  this run simulates and trains nothing"])
    size = sum(part.size_B for part in parts) + STUDY_B
    unknown = any(part.seconds is None for part in parts if part.jobs)
    seconds = sum(_wall(part, cores) for part in parts if part.seconds is not None)
    known = f"about {_duration(seconds)}" + (" and more" if unknown else "")
    told = known if seconds or not unknown else "an unknown time"
    lines.append(f"  in all {told} with {cores} job{'s' * (cores > 1)} at once, {_size(size)} of disk")
    return "\n".join(lines)


def _of(left: int, total: int) -> str:
    return "" if left == total else f", {left or 'none'} of them to run"


def _simulations(chunks: list[Chunk], folder: Path, wanted: set[str]) -> Part:
    left = [chunk for chunk in chunks if str(chunk.paths(folder / "device_sims" / "chunks")[0]) in wanted]
    problem = chunks[0].batches[0].problem
    engine = chunks[0].engine
    events = sum(chunk.replicas for chunk in chunks)
    records = sum(chunk.simulated_s / problem.record_interval_s for chunk in left)
    line = (
        f"device_sims: {events} write events of {chunks[0].device} in {len(chunks)} chunks"
        f"{_of(len(left), len(chunks))}; {problem.told()}, engine {engine}"
    )
    rate, measured = _rate(chunks[0].work, chunks[0].work)
    seconds = None if rate is None else sum(START_S + chunk.cell_steps / rate for chunk in left)
    size = EVENT_B * sum(chunk.replicas for chunk in left) + RECORD_B * records
    return Part(line, len(left), seconds, size, measured)


def _trainings(plans: dict[str, Plan], wanted: set[str]) -> Part:
    jobs, total, size, seconds, measured, trials = 0, 0, 0.0, 0.0, None, 0
    for folder, plan in plans.items():
        for one in plan.trained:
            runs = [f"runs/{one.variant}_{k}" for k in range(one.seeds)]
            if one.variant in plan.sampled_variants:
                places = np.ndindex(one.card_samples, one.chips, one.seeds_per_chip)
                runs += [f"sampled/{one.variant}_{'_'.join(map(str, place))}" for place in places]
            missing = sum(str(RESULTS / folder / "network" / run / "meter.json") in wanted for run in runs)
            weights = sum(math.prod(layer.shape) for layer in one.architecture().layers)
            rate, known = _rate(f"training {one.rule}", "training")
            left = one.learned
            total, jobs, size = total + len(runs), jobs + missing, size + missing * weights * WEIGHT_B
            if left is None or rate is None or seconds is None:
                seconds = None
                continue
            measured = bool(known) if measured is None else measured and bool(known)
            seconds += missing * (START_S + one.work(left) / rate)
            if one.tune and one.tunes and str(RESULTS / folder / f"network/tuned/{one.variant}.json") in wanted:
                trials += one.tune.trials
                short = one.work(min(left, one.tune.training_images or left)) * one.tune.epochs / one.epochs
                seconds += one.tune.trials * (START_S + short / rate)
    first = next(iter(plans.values()))
    network, about = first.network, first.trained[0].about_data
    line = (
        f"network: {total} trainings{_of(jobs, total)} ({len(first.variants)} variants, {network['seeds']} seeds, "
        f"{network['epochs']} epochs) on {about.title if about else network['dataset']}"
        + (f", tuned first in {trials} short ones" if trials else "")
    )
    return Part(line, jobs, seconds, size, measured if seconds is not None else None)


def _rate(kind: str, reference: str) -> tuple[float | None, bool | None]:
    """Return the work per second of a kind of jobs, and whether it was measured here."""
    found = speed.last(kind)
    if found is not None:
        return found, True
    if (known := speed.REFERENCE.get(reference)) is not None:
        return known, False
    # short jobs are mostly start-up, but of the same sort
    found = speed.last(kind, shortest_s=0.0)
    return found, None if found is None else True


def _wall(part: Part, cores: int) -> float:
    """Return the wall-clock seconds of equal jobs, ``cores`` at once."""
    if not part.jobs or part.seconds is None:
        return 0.0
    return part.seconds / part.jobs * math.ceil(part.jobs / cores)


def _time(part: Part, cores: int) -> str:
    return "time unknown, none has run here" if part.seconds is None else f"about {_duration(_wall(part, cores))}"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _size(count_B: float) -> str:
    return f"{max(count_B / 1e6, 1):.0f} MB" if count_B < 1e9 else f"{count_B / 1e9:.1f} GB"
