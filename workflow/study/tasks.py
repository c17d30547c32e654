"""What the workflow's rules ask of a study: its files, and the sources of its jobs.

Rules name files of any study, ``results/{study}/...``; the wildcard ``study`` is a folder in ``results/``: the study,
or each point of its scan. Methods that take ``wildcards`` are input functions of Snakemake's.

All answers come from a few facts of each study. They are written to ``results/STUDY/config/jobs.json``: a job on
another machine, for which Snakemake reads the rules again, looks them up there. It neither plans nor imports a stage.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from spinloom import files
from spinloom.run_lock import VARIABLE
from spinloom.stages import STAGES

STUDY = Path("results/{study}")
VALIDATION = Path("results/validation")
DEVICE_SIMS = STUDY / "device_sims"
BARRIERS = DEVICE_SIMS / "barriers.csv"
CARD = STUDY / "calibration" / "card"
NETWORK = STUDY / "network"
SECTION = {part: STUDY / f"config/{part}.json" for part in ("resolved", "data", "pictures", *STAGES)}
WRITES = ("events.parquet", "pulses.csv", "device.json")  # what stage 2 reads of stage 1
CARD_FILES = ("states.csv", "pulses.csv", "transitions.csv", "population.csv", "reads.csv", "card.json")
RUN_FILES = ("history.csv", "confusion.csv", "evaluations.csv", "programming.csv", "meter.json", files.SUMS)
FACTS = "jobs"  # name of their file in config/


def at(path: str | Path) -> Callable[[Any], str]:
    """Return the function that puts a job's wildcards into a path."""
    return lambda wildcards: str(path).format(**dict(wildcards.items()))


def evidence(root: str | Path) -> Callable[[Any], str]:
    """Return the input function for the digests of the evidence for the engines, of sources in ``root``."""

    def digests(wildcards: Any) -> str:
        from workflow.study.sources import validation  # imports all stages

        path, text = VALIDATION / "code.json", validation(root).identity(root)
        if not path.exists() or path.read_text(encoding="utf-8") != text:  # a change of time is a change
            files.write_text(text, path)
        return str(path)

    return digests


@dataclass(frozen=True)
class Facts:
    """What the rules have to know of a study, or of one point of a scan.

    Attributes
    ----------
    code : dict of str
        File with the digests of a job's sources, by the job.
    seed : int
    simulates, trains, compares : bool
        Whether stages 1 and 3 have a part in it, and whether it stands for a published system.
    chunks : list of str
        Hashes of what stage 1 simulates.
    wells : list of str
        Hashes of the searches for wells at rest, one for each instance; none without ``device_sims.barriers``.
    pictured : dict of str
        Of the chunks whose first event is drawn, by number of the pulse.
    card_inputs : list of str
        Files of the user's that the card is made from.
    variants : dict of bool
        Whether it uses the card, by the name of what stage 3 trains, the baseline last.
    sampled_variants : list of str
        Names of what is trained on draws of the card too.
    seeds : int
        Of each variant.
    cache : str
        Folder of checked data files.
    samples : list of int
        Draws of the card, chips of each, seeds of each chip.
    tuned : list of str
        Names of the variants that short trainings tune first.
    """

    code: dict[str, str]
    seed: int
    simulates: bool
    trains: bool
    compares: bool
    chunks: list[str]
    wells: list[str]
    pictured: dict[str, str]
    card_inputs: list[str]
    variants: dict[str, bool]
    sampled_variants: list[str]
    seeds: int
    cache: str
    samples: list[int]
    tuned: list[str] = field(default_factory=list)


class Simulation(NamedTuple):
    """What the rules have to know of a chunk: the digests of its sources, and how many GPUs it needs."""

    code: str
    gpus: int


class Tasks:
    """A study, or the points of its scan, as the rules see it.

    Parameters
    ----------
    name : str
        Of the study.
    studies : dict of Facts
        By folder in ``results/``: that of the study, or those of the points.
    simulations : dict of Simulation
        All chunks, by hash: the points share them.
    labels, shared : str
        Of a scan, files with the labels of its points and with what the points share; empty for any other study.
    """

    def __init__(
        self, name: str, studies: dict[str, Facts], simulations: dict[str, Simulation], labels: str, shared: str
    ):
        self.name, self.studies, self.simulations, self.labels, self.shared = name, studies, simulations, labels, shared

    @classmethod
    def of_run(cls) -> Tasks | None:
        """Return what the run that started this job wrote, None if it cannot be found from here."""
        lock = os.environ.get(VARIABLE)
        path = Path(lock).with_name("config") / f"{FACTS}.json" if lock else None
        if path is None or not path.exists():
            return None
        content = files.read_json(path)
        studies = {name: Facts(**facts) for name, facts in content.pop("studies").items()}
        simulations = {chunk: Simulation(*facts) for chunk, facts in content.pop("simulations").items()}
        return cls(studies=studies, simulations=simulations, **content)

    def text(self) -> str:
        """Return what `of_run` reads."""
        own = {"name": self.name, "labels": self.labels, "shared": self.shared, "simulations": self.simulations}
        return json.dumps({**own, "studies": {name: asdict(facts) for name, facts in self.studies.items()}}) + "\n"

    @property
    def root(self) -> Path:
        """Folder of the study."""
        return Path("results") / self.name

    @property
    def is_scan(self) -> bool:
        """Whether the study is a scan."""
        return bool(self.labels)

    @property
    def folders(self) -> str:
        """Pattern of the folders in ``results/`` that are studies; one that lists all points takes long to match."""
        return re.escape(self.name) + ("/points/[^/]+" if self.is_scan else "")

    def code(self, job: str) -> Callable[[Any], str]:
        """Return the input function for the digests of a job's sources."""
        return lambda wildcards: self.studies[wildcards.study].code[job.format(**dict(wildcards.items()))]

    def chunk_code(self, wildcards: Any) -> str:
        """Return the digests of a chunk's sources."""
        return self.simulations[wildcards.chunk].code

    def wells_code(self, wildcards: Any) -> str:
        """Return the digests of the sources of a search for wells."""
        return next(facts.code["wells"] for facts in self.studies.values() if wildcards.search in facts.wells)

    def chunk_gpus(self, wildcards: Any) -> int:
        """Return how many GPUs a chunk needs."""
        return self.simulations[wildcards.chunk].gpus

    def of_any(self, job: str) -> str:
        """Return the digests of a job that is the same for all points."""
        return next(iter(self.studies.values())).code[job]

    def of(self, find: Callable[[Facts], Any]) -> Callable[[Any], Any]:
        """Return the input function that looks up a fact of the study that is asked for."""
        return lambda wildcards: find(self.studies[wildcards.study])

    def every(
        self, paths: Iterable[str | Path], holds: Callable[[Facts], Any] = lambda facts: True
    ) -> Callable[[Any], list[str]]:
        """Return the input function that asks for files of all studies of which it holds.

        A function, because a job of one point has no use for the files of thousands.
        """
        return lambda wildcards: [
            str(path).replace("{study}", name) for path in paths for name, facts in self.studies.items() if holds(facts)
        ]

    def made(self, holds: Callable[[Facts], Any], paths: Iterable[str | Path]) -> Callable[[Any], list[str]]:
        """Return the input function that asks for files if it holds of the study."""
        return lambda wildcards: self._in(wildcards.study, paths) if holds(self.studies[wildcards.study]) else []

    def of_pulse(self, path: str | Path) -> Callable[[Any], str]:
        """Return the input function that puts the chunk whose event is drawn into a path."""
        return lambda wildcards: str(path).replace("{chunk}", self.studies[wildcards.study].pictured[wildcards.pulse])

    def pictures(self, paths: Iterable[str | Path]) -> Callable[[Any], list[str]]:
        """Return the input function for the files of all pictures; ``paths`` have the wildcard ``pulse``."""
        return lambda wildcards: self._in(
            wildcards.study,
            [str(path).replace("{pulse}", one) for one in self.studies[wildcards.study].pictured for path in paths],
        )

    def writes(self, wildcards: Any) -> list[str]:
        """Return the tables of stage 1 that stage 2 reads, if the study simulates."""
        simulates = self.studies[wildcards.study].simulates
        return self._in(wildcards.study, [DEVICE_SIMS / name for name in WRITES]) if simulates else []

    def writes_option(self, wildcards: Any) -> str:
        """Return the option that names their folder."""
        return f"--device-sims {at(DEVICE_SIMS)(wildcards)}" if self.writes(wildcards) else ""

    def barriers(self, wildcards: Any) -> list[str]:
        """Return the table of barriers between wells at rest, if the study asks for them."""
        return self._in(wildcards.study, [BARRIERS]) if self.studies[wildcards.study].wells else []

    def barriers_option(self, wildcards: Any) -> str:
        """Return the option that names it."""
        return f"--barriers {at(BARRIERS)(wildcards)}" if self.barriers(wildcards) else ""

    def card(self, folder: str | Path) -> Callable[[Any], list[str]]:
        """Return the input function for the card in a folder, if the variant that is trained uses one."""
        return lambda wildcards: (
            [at(f"{folder}/{name}")(wildcards) for name in CARD_FILES] if self._uses_card(wildcards) else []
        )

    def card_option(self, folder: str | Path) -> Callable[[Any], str]:
        """Return the function for the option that names this folder."""
        return lambda wildcards: f"--card {at(folder)(wildcards)}" if self._uses_card(wildcards) else ""

    def _uses_card(self, wildcards: Any) -> bool:
        return self.studies[wildcards.study].variants[wildcards.variant]

    def training_section(self, wildcards: Any) -> str:
        """Return the section that a variant is trained with: the config's, or what its tuning found."""
        tuned = wildcards.variant in self.studies[wildcards.study].tuned
        place = NETWORK / "tuned/{variant}.json" if tuned else STUDY / "config/training_{variant}.json"
        return at(place)(wildcards)

    def tuned(self, wildcards: Any) -> list[str]:
        """Return what the tuning of a study's variants found."""
        tuned = self.studies[wildcards.study].tuned
        return self._in(wildcards.study, [NETWORK / f"tuned/{one}.json" for one in tuned])

    def tuned_option(self, wildcards: Any) -> str:
        """Return the option that names their folder."""
        return f"--tuned {at(NETWORK / 'tuned')(wildcards)}" if self.tuned(wildcards) else ""

    def runs(self, study: str) -> list[str]:
        """Return the folders of a study's trainings."""
        facts = self.studies[study]
        names = [f"{variant}_{seed}" for variant in facts.variants for seed in range(facts.seeds)]
        return self._in(study, [NETWORK / "runs" / name for name in names])

    def run_files(self, study: str) -> list[str]:
        """Return the files in them."""
        return [f"{run}/{file}" for run in self.runs(study) for file in RUN_FILES]

    def all_run_files(self, wildcards: Any) -> list[str]:
        """Return the files of all trainings of all studies."""
        return [path for name, facts in self.studies.items() if facts.trains for path in self.run_files(name)]

    def sampled(self, wildcards: Any) -> list[str]:
        """Return the files of the trainings on draws of the card."""
        facts = self.studies[wildcards.study]
        places = ["_".join(map(str, place)) for place in product(*map(range, facts.samples))]
        names = [f"{one}_{place}/{file}" for one in facts.sampled_variants for place in places for file in RUN_FILES]
        return self._in(wildcards.study, [NETWORK / "sampled" / name for name in names])

    def sampled_cards(self, wildcards: Any) -> list[str]:
        """Return the files of these draws."""
        numbers = range(self.studies[wildcards.study].samples[0])
        names = [f"{number}/{file}" for number in numbers for file in CARD_FILES]
        return self._in(wildcards.study, [CARD.with_name("samples") / name for name in names])

    def _in(self, study: str, paths: Iterable[str | Path]) -> list[str]:
        return [str(path).replace("{study}", study) for path in paths]
