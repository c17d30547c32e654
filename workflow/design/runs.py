"""Points of a search, made by Snakemake as the points of a scan: in one folder, and nothing twice."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from spinloom import files, interpreter
from spinloom.config import FILE
from spinloom.errors import UserError
from spinloom.explain import leaves
from workflow.design import objectives
from workflow.design.objectives import Goal, Measured
from workflow.design.space import Space
from workflow.study import interrupt

AXIS = "point"
FOLDER = "design"
SYSTEM = tuple(os.strerror(number) for number in errno.errorcode)
TOLD = 30  # lines of Snakemake's log that a failure shows
CHOOSES_NOTHING = {"points", "hours", "final", "tolerance", "storage"}  # keys of a search that leave its points alone


class Runs:
    """What lets a search make its points, and reads what came out.

    Parameters
    ----------
    space : Space
    goals : list of Goal
    options : list of str
        Of Snakemake.

    Attributes
    ----------
    seconds : float
        That its runs took so far, earlier ones of the same search included; but not those that were killed.
    begun : dict of float
        What ``seconds`` was when a point was asked for the first time.
    """

    def __init__(self, space: Space, goals: list[Goal], options: Iterable[str] = ()):
        self.space, self.goals, self.options = space, goals, list(options)
        self.root = Path("results") / space.base["study"]
        self.folder = self.root / FOLDER
        base, own = space.stacked
        self.of = files.sha256_text(files.canonical_json([base, own]))
        chooses = {key: value for key, value in space.whole["design"].items() if key not in CHOOSES_NOTHING}
        self.search = files.sha256_text(files.canonical_json(chooses))
        known = _read(self.folder / "asked.json")
        known = known if known.get("of") == self.of else {}
        self.failed: dict[str, str] = known.get("failed", {})  # whoever asked for them
        # hours that another search took are not this one's, nor are the points that it left unfinished
        known = known if known.get("search") == self.search else {}
        self.seconds: float = known.get("seconds", 0.0)
        self.begun: dict[str, float] = known.get("begun", {})
        self.before: dict[str, dict[str, Any]] = known.get("points", {})
        self.points: dict[str, dict[str, Any]] = {}
        self.made: set[str] = set()

    def study(self, label: str) -> Path:
        """Return the folder of a point."""
        return self.root / "points" / f"{AXIS}={label}"

    def make(self, points: dict[str, dict[str, Any]]) -> None:
        """Make points, all that were asked for before among them if anything is to be done.

        Parameters
        ----------
        points : dict of dict
            What each changes of the study, by its label.

        Raises
        ------
        UserError
            If Snakemake fails for another reason than the points themselves.
        KeyboardInterrupt
            If it was interrupted.
        """
        for label in points:
            self.begun.setdefault(label, self.seconds)
        if self.before:  # of an interrupted search: one plan for all of them
            self.points, self.before = dict(self.before), {}
            self._make()
        self.points |= points
        if not self.made >= points.keys() - self.failed.keys():
            self._make()

    def spent_s(self, labels: Iterable[str]) -> float:
        """Return how long runs had taken when these points, or the last new ones of them, were first asked for."""
        return max(self.begun.get(label, self.seconds) for label in labels)

    def measured(self, label: str) -> list[Measured] | str:
        """Return the objectives of a point that was made, or why it has none."""
        if label in self.failed:
            return self.failed[label]
        found = [objectives.measure(self.study(label), goal) for goal in self.goals]
        lacking = [goal.name for goal, one in zip(self.goals, found, strict=True) if not one.mean == one.mean]
        return f"its tables hold no {lacking[0]}, or 0" if lacking else found

    def forecast(self, points: dict[str, dict[str, Any]]) -> None:
        """Let Snakemake say what it would run for points, and for those of an interrupted search."""
        self.points = {**self.before, **points}
        status = subprocess.run(self._command(*self.options)).returncode
        if status:
            raise SystemExit(status)

    def _command(self, *options: str) -> list[str]:
        points = {label: changes for label, changes in self.points.items() if label not in self.failed}
        layer = {**self.space.own, "scan": {"axes": [{"name": AXIS, "points": points}]}}
        path = self.folder / "points.yaml"
        files.write_text(yaml.safe_dump(_placed(layer, self.folder), sort_keys=False), path)
        targets = [
            str(self.study(label) / "network/summary" / name) for label in points for name in self._ends(points[label])
        ]
        return interpreter.snakemake(*targets, "--configfile", str(path), *options)

    def _ends(self, changes: dict[str, Any]) -> list[str]:
        """Return the tables that a point ends with."""
        samples = {**self.space.base["network"], **changes.get("network", {})}["card_samples"]
        return [files.SUMS, *(["uncertainty.csv"] if samples else [])]

    def _make(self) -> None:
        self._keep()
        log = self.root / "logs" / "snakemake.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        command, begin_s, begin = self._command(*self.options), time.monotonic(), time.time()
        with open(log, "w", encoding="utf-8") as stream:
            process = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT)
            with interrupt.passed_on(process) as came:
                status = process.wait()
        self.seconds += time.monotonic() - begin_s
        if came:
            self._keep()
            raise KeyboardInterrupt
        asked = self.points.keys() - self.failed.keys()
        if status:
            self._blame(asked, status, log, begin)
        self.made |= asked
        self._keep()

    def _blame(self, asked: Iterable[str], status: int, log: Path, begin: float) -> None:
        """Take down the points that failed by themselves, as a training that diverges does.

        Raises
        ------
        UserError
            If anything else went wrong.
        """
        left = [
            one
            for one in self.points
            if one in asked
            and not all((self.study(one) / "network/summary" / name).exists() for name in self._ends(self.points[one]))
        ]
        reasons = {label: _reason([self.study(label) / "logs", self.root / "logs"], begin) for label in left}
        if status < 0 or status == 130 or not left or not all(reasons.values()):
            self._keep()
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
            own = [line for line in lines if line.startswith("error:")]
            for line in [] if own else lines[-TOLD:]:
                print(line, file=sys.stderr)
            why = own[-1].removeprefix("error: ") if own else f"Snakemake ended with status {status}"
            raise UserError(f"{why}; the same command continues the search (log: {log})")
        self.failed |= reasons

    def _keep(self) -> None:
        told = {
            "of": self.of, "search": self.search, "seconds": self.seconds, "failed": self.failed,
            "points": self.points, "begun": self.begun,
        }  # fmt: skip
        files.write_json(told, self.folder / "asked.json")


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        found = files.read_json(path)
        if not isinstance(found, dict):
            raise UserError(f"{path}: found no mapping")
    except UserError as error:
        raise UserError(
            f"{error}, allowed: the file as the search wrote it; delete it, and the search continues with its hours "
            "from 0"
        ) from None
    return found


def _reason(folders: list[Path], begin: float) -> str:
    """Return what a job of this run says of its failure in its log; empty if the system refused it, or nobody did."""
    for folder in folders:
        for path in sorted(folder.rglob("*.log")):
            if path.name == "snakemake.log" or path.stat().st_mtime < begin:
                continue
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            told = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
            if told and not told[-1].endswith(SYSTEM):
                return told[-1]
    return ""


def _placed(layer: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return a layer whose files, relative to here, are told as from a folder, as a config file tells them."""
    plain = json.loads(files.canonical_json(layer))
    for path, value in list(leaves(plain)):
        if isinstance(value, str) and value and not value.startswith("~") and FILE.search(path):
            *above, last = path.split(".")
            place = plain
            for part in above:
                place = place[int(part) if isinstance(place, list) else part]
            place[last] = os.path.relpath(value, folder)
    return plain
