"""A study that is asked for: its checked config, what is planned, and the files that tell its jobs of both."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from device_sims import engines
from network.training import data
from spinloom import sources
from spinloom.errors import UserError
from workflow.study import config as study_config
from workflow.study import planning, scan
from workflow.study.folder import Folder
from workflow.study.planning import Plan
from workflow.study.sources import Start, starts
from workflow.study.tasks import FACTS, NETWORK, SECTION, Facts, Simulation, Tasks


class Study(Tasks):
    """A study, or the points of its scan, with its folder in ``results/``.

    Parameters
    ----------
    layer : dict
        What is laid over config.yaml.
    source : str
        What errors call it.
    root : path
        Folder of the sources whose digests count.

    Attributes
    ----------
    config : dict
        Complete, without a scan.
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

    def __init__(self, layer: dict[str, Any], source: str = "", root: str | Path = sources.ROOT):
        self.points = scan.points("config.yaml", layer)
        self.config = config = study_config.laid_over("config.yaml", layer, source)
        if config.get("design"):
            raise UserError(
                "design: found a search, allowed: python -m spinloom design FILE, which chooses its points and runs "
                "them"
            )
        name = config["study"]
        wholes = {f"{name}/points/{point.name}": point.config for point in self.points} or {name: config}
        planner = planning.Planner()
        self.plans = {folder: planner.plan(whole) for folder, whole in wholes.items()}
        super().__init__(name, {}, {}, "", "")
        self.folder = Folder(self.root)
        self.chunks = {}
        digested: dict[tuple[str, Start], str] = {}
        for folder, plan in self.plans.items():
            for part, text in study_config.section_texts(plan.config, plan.sections).items():
                self.folder.keep(part, text, Path(folder).relative_to(name))
            code = {}
            for job, start in starts(plan, root).items():
                if (job, start) not in digested:
                    digested[job, start] = self.folder.keep(f"code/{job}-{start.name}", start.identity(root))
                code[job] = digested[job, start]
            for chunk in plan.chunks:
                self.chunks[chunk.chunk_hash] = chunk
                gpus = int(engines.needs_gpu(chunk.engine))
                self.simulations[chunk.chunk_hash] = Simulation(code["simulate"], gpus)
            self.studies[folder] = _facts(plan, code)
        self.upgrades = [*self._upgrades(digested.values()), *self._new_data()]
        for chunk_hash, chunk in self.chunks.items():
            self.folder.keep_once(f"chunks/{chunk_hash}", chunk.specification)
        for plan in self.plans.values():
            for search in plan.searches:
                self.folder.keep_once(f"wells/{search.name}", search.specification)
        if self.points:
            labels = {point.name: point.labels for point in self.points}
            self.labels = self.folder.keep("scan", json.dumps(labels, indent=1) + "\n")
            self.shared = self.folder.keep("resolved", study_config.section_texts(config)["resolved"])
        self.folder.keep(FACTS, self.text())

    def _upgrades(self, code: Iterable[str]) -> list[str]:
        found = set()
        for path in code:
            before = json.loads(self.folder.given(path) or "{}").get("packages", {})
            now = json.loads(Path(path).read_text(encoding="utf-8"))["packages"]
            found |= {(name, before[name], now[name]) for name in before.keys() & now if before[name] != now[name]}
        return [
            f"{name}: found {now}, and {self.root} was begun with {old}: what it computes runs again; "
            f"with {name} {old} it need not"
            for name, old, now in sorted(found)
        ]

    def _new_data(self) -> list[str]:
        """Return what to tell of data sets whose files are not those of the last run."""
        told = set()
        for folder, plan in self.plans.items():
            path = self.root / Path(folder).relative_to(self.name) / "config" / "data.json"
            if plan.trains and (given := self.folder.given(path)):
                before = json.loads(given).get("found") or {}
                now = plan.sections["data"].get("found") or {}
                if before and now and before["sha256"] != now["sha256"]:
                    told.add(f"{now['title']}: {self.root} was begun with {before['title']}: its networks train again")
        return sorted(told)

    def start(self, workflow: Any) -> None:
        """Make ready for a run that Snakemake has planned.

        Parameters
        ----------
        workflow : snakemake.workflow.Workflow

        Raises
        ------
        UserError
            As of `Folder.start`; if finished simulations would be deleted; or if the data set cannot be had.
        """
        self.folder.claim()
        if workflow.dag_settings.forceall and not workflow.touch:
            self._spare_simulations("--forceall")
        self.folder.start()
        if not workflow.touch:
            jobs = [(job.rule.name, job.wildcards_dict.get("study")) for job in workflow.dag.needrun_jobs()]
            self._find_data({study for rule, study in jobs if rule.startswith("train") and ("data", study) not in jobs})

    def _find_data(self, studies: Iterable[str]) -> None:
        """Find the data sets again that an earlier run has described: their cache may be gone."""
        found = set()
        for study in sorted(studies):
            place = data.read(str(SECTION["data"]).replace("{study}", study), self.studies[study].cache)
            if place not in found:  # here, because other machines may have no network
                manifest = str(NETWORK / "data.json").replace("{study}", study)
                data.load(*place, lambda line: print(line, file=sys.stderr), manifest)
            found.add(place)

    def delete(self, delete: Callable[..., None], only_temp: bool = False, dryrun: bool = False) -> None:
        """Let Snakemake delete the outputs of its jobs, for which it calls no hook.

        Raises
        ------
        UserError
            If another run is at work in the folder, or finished simulations would be deleted.
        """
        if not dryrun:
            self.folder.claim()
            if not only_temp:
                self._spare_simulations("--delete-all-output")
        delete(only_temp=only_temp, dryrun=dryrun)

    def _spare_simulations(self, option: str) -> None:
        chunks = self.root / "device_sims" / "chunks"
        done = sum(chunk.paths(chunks)[0].exists() for chunk in self.chunks.values())
        if done:
            raise UserError(
                f"{chunks}: found {done} finished simulations, which {option} would delete, allowed: none; if you want "
                f"them to be simulated again, delete them first (rm -r {chunks}), or the whole study (rm -r "
                f"{self.root})"
            )


def _facts(plan: Plan, code: dict[str, str]) -> Facts:
    network = plan.network if plan.trains else {}
    return Facts(
        code=code,
        seed=plan.config["seed"],
        simulates=plan.simulates,
        trains=plan.trains,
        compares=bool(plan.config["system"]),
        chunks=[chunk.chunk_hash for chunk in plan.chunks],
        wells=[search.name for search in plan.searches],
        pictured={str(pulse): chunk for pulse, chunk in plan.pictured.items()},
        card_inputs=plan.card_inputs,
        variants={one.variant: one.uses_card for one in plan.trained},
        sampled_variants=plan.sampled_variants,
        seeds=network.get("seeds", 0),
        cache=network["data"]["cache"] if network else "",
        samples=[network.get(key, 0) for key in ("card_samples", "chips", "seeds_per_chip")],
        tuned=[one.variant for one in plan.trained if one.tunes],
    )
