"""What the workflow's rules ask of a study: its files, and the sources of its jobs.

Rules name files of any study, ``results/{study}/...``; the wildcard ``study`` is a folder in ``results/``: the study,
or each point of its scan. Methods that take ``wildcards`` are input functions of Snakemake's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from spinloom import files
from spinloom.config import STAGES
from workflow.study import config as study_config
from workflow.study import planning, scan
from workflow.study.folder import Folder
from workflow.study.planning import Plan
from workflow.study.sources import Start, starts

STUDY = Path("results/{study}")
DEVICE_SIMS = STUDY / "device_sims"
CARD = STUDY / "calibration" / "card"
NETWORK = STUDY / "network"
SECTION = {part: STUDY / f"config/{part}.json" for part in ("resolved", "data", *STAGES)}
WRITES = ("events.parquet", "pulses.csv", "device.json")  # what stage 2 reads of stage 1
CARD_FILES = ("states.csv", "pulses.csv", "transitions.csv", "population.csv", "reads.csv", "card.json")
RUN_FILES = ("history.csv", "confusion.csv", "evaluations.csv", "programming.csv", "meter.json", files.SUMS)


def at(path: str | Path) -> Callable[[Any], str]:
    """Return the function that puts a job's wildcards into a path."""
    return lambda wildcards: str(path).format(**dict(wildcards.items()))


class Study:
    """A study, or the points of its scan, with its folder in ``results/``.

    Parameters
    ----------
    layer : dict
        What is laid over config.yaml.
    source : str
        What errors call it.

    Attributes
    ----------
    config : dict
        Complete, without a scan.
    name : str
        Of the study.
    points : list of Point
        Of its scan, if it is one.
    plans : dict of Plan
        By folder in ``results/``: that of the study, or those of the points.
    chunks : dict of Chunk
        All that are to be simulated, by hash: the points share them.
    upgrades : list of str
        What to tell of packages whose versions are not those of the last run.

    Raises
    ------
    UserError
        If the config cannot be run, or the folder cannot be used.
    """

    def __init__(self, layer: dict[str, Any], source: str = ""):
        self.points = scan.points("config.yaml", layer)
        self.config = config = study_config.laid_over("config.yaml", layer, source)
        self.name = config["study"]
        wholes = {f"{self.name}/points/{point.name}": point.config for point in self.points} or {self.name: config}
        self.plans = {name: planning.plan(whole) for name, whole in wholes.items()}
        self.folder = Folder(self.root)
        self.chunks, self._code = {}, {}
        digested: dict[tuple[str, Start], str] = {}
        for name, plan in self.plans.items():
            for part, text in study_config.section_texts(plan.config, plan.sections).items():
                self.folder.keep(part, text, Path(name).relative_to(self.name))
            for job, start in starts(plan).items():
                if (job, start) not in digested:
                    digested[job, start] = self.folder.keep(f"code/{job}-{start.name}", start.identity())
                self._code[name, job] = digested[job, start]
            for chunk in plan.chunks:
                self.chunks[chunk.chunk_hash] = chunk
                self._code["simulate", chunk.chunk_hash] = self._code[name, "simulate"]
        self.upgrades = self._upgrades(digested.values())
        for chunk_hash, chunk in self.chunks.items():
            self.folder.keep_once(f"chunks/{chunk_hash}", chunk.specification)
        if self.points:
            labels = {point.name: point.labels for point in self.points}
            self.labels = self.folder.keep("scan", json.dumps(labels, indent=1) + "\n")
            self.shared = self.folder.keep("resolved", study_config.section_texts(config)["resolved"])

    def _upgrades(self, code: Iterable[str]) -> list[str]:
        found = set()
        for path in code:
            before = json.loads(self.folder.given(path) or "{}").get("packages", {})
            now = json.loads(Path(path).read_text(encoding="utf-8"))["packages"]
            found |= {(name, before[name], now[name]) for name in before.keys() & now if before[name] != now[name]}
        return [
            f"{name}: found {now}, and the results in {self.root} were made with {old}: what it computes runs again; "
            f"with {name} {old} it need not"
            for name, old, now in sorted(found)
        ]

    @property
    def root(self) -> Path:
        """Folder of the study."""
        return Path("results") / self.name

    def code(self, job: str) -> Callable[[Any], str]:
        """Return the input function for the digests of a job's sources."""
        return lambda wildcards: self._code[wildcards.study, job.format(**dict(wildcards.items()))]

    def chunk_code(self, wildcards: Any) -> str:
        """Return the digests of a chunk's sources."""
        return self._code["simulate", wildcards.chunk]

    def of_any(self, job: str) -> str:
        """Return the digests of a job that is the same for all points."""
        return self._code[next(iter(self.plans)), job]

    def of(self, find: Callable[[Plan], Any]) -> Callable[[Any], Any]:
        """Return the input function that looks up something in the plan of the study that is asked for."""
        return lambda wildcards: find(self.plans[wildcards.study])

    def every(self, paths: Iterable[str | Path], holds: Callable[[Plan], Any] = lambda plan: True) -> list[str]:
        """Return the files of all studies whose plan it holds for."""
        studies = [name for name, plan in self.plans.items() if holds(plan)]
        return [str(path).replace("{study}", name) for path in paths for name in studies]

    def made(self, holds: Callable[[Plan], Any], paths: Iterable[str | Path]) -> Callable[[Any], list[str]]:
        """Return the input function that asks for files if it holds for the study's plan."""
        return lambda wildcards: self._in(wildcards.study, paths) if holds(self.plans[wildcards.study]) else []

    def writes(self, wildcards: Any) -> list[str]:
        """Return the tables of stage 1 that stage 2 reads, if the study simulates."""
        simulates = self.plans[wildcards.study].simulates
        return self._in(wildcards.study, [DEVICE_SIMS / name for name in WRITES]) if simulates else []

    def writes_option(self, wildcards: Any) -> str:
        """Return the option that names their folder."""
        return f"--device-sims {at(DEVICE_SIMS)(wildcards)}" if self.writes(wildcards) else ""

    def card(self, folder: str | Path) -> Callable[[Any], list[str]]:
        """Return the input function for the card in a folder, if the variant that is trained uses one."""
        return lambda wildcards: (
            [at(f"{folder}/{name}")(wildcards) for name in CARD_FILES] if self._uses_card(wildcards) else []
        )

    def card_option(self, folder: str | Path) -> Callable[[Any], str]:
        """Return the function for the option that names this folder."""
        return lambda wildcards: f"--card {at(folder)(wildcards)}" if self._uses_card(wildcards) else ""

    def _uses_card(self, wildcards: Any) -> bool:
        (own,) = (one for one in self.plans[wildcards.study].trained if one.variant == wildcards.variant)
        return own.uses_card

    def runs(self, study: str) -> list[str]:
        """Return the folders of a study's trainings."""
        plan = self.plans[study]
        names = [f"{one}_{seed}" for one in plan.variants for seed in range(plan.network["seeds"])]
        return self._in(study, [NETWORK / "runs" / name for name in names])

    def run_files(self, study: str) -> list[str]:
        """Return the files in them."""
        return [f"{run}/{file}" for run in self.runs(study) for file in RUN_FILES]

    def sampled(self, wildcards: Any) -> list[str]:
        """Return the files of the trainings on draws of the card."""
        plan = self.plans[wildcards.study]
        shape = [plan.network[key] for key in ("card_samples", "chips", "seeds_per_chip")]
        places = ["_".join(map(str, place)) for place in np.ndindex(*shape)]
        names = [f"{one}_{place}/{file}" for one in plan.sampled_variants for place in places for file in RUN_FILES]
        return self._in(wildcards.study, [NETWORK / "sampled" / name for name in names])

    def sampled_cards(self, wildcards: Any) -> list[str]:
        """Return the files of these draws."""
        numbers = range(self.plans[wildcards.study].network["card_samples"])
        names = [f"{number}/{file}" for number in numbers for file in CARD_FILES]
        return self._in(wildcards.study, [CARD.with_name("samples") / name for name in names])

    def _in(self, study: str, paths: Iterable[str | Path]) -> list[str]:
        return [str(path).replace("{study}", study) for path in paths]
