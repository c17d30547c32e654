"""Studies in Python: a config, its run by Snakemake, and the tables that it leaves."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import chdir, nullcontext
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from spinloom import interpreter
from spinloom.config import lay_over, layer
from spinloom.errors import UserError
from spinloom.files import read_table
from spinloom_api.card import Card, read
from spinloom_api.shown import facts, with_units
from workflow.study import config as study_config
from workflow.study import interrupt, planning, scan, told

__all__ = ["Point", "Study", "Tables", "study"]

FOLDERS = ("network/summary", "device_sims", "calibration", ".")  # where a table's short name is looked for


class Tables:
    """The card and the tables in a folder of results: those of a study, or of a point of a scan.

    Attributes
    ----------
    results : Path
    """

    results: Path

    @property
    def card(self) -> Card:
        """The kernel card; `UserError` if there is none yet."""
        return read(self.results / "calibration" / "card")

    @property
    def tables(self) -> list[str]:
        """Names of all tables in the folder, for `table`, but for those of single jobs."""
        found = (path.relative_to(self.results) for name in FOLDERS for path in (self.results / name).glob("[!.]*.*"))
        return sorted({path.as_posix() for path in found if path.suffix in (".csv", ".parquet")})

    def table(self, name: str) -> pd.DataFrame:
        """Return a table with units in ``attrs["units"]``; results/README.md says what its columns mean.

        Parameters
        ----------
        name : str
            One of `tables`, or its last part without the ending: ``costs``.

        Raises
        ------
        UserError
            If the study has no such table, or not yet.
        """
        known = self.tables
        path = next((one for one in known if name in (one, Path(one).stem) and one.endswith(".parquet")), None)
        path = path or next((one for one in known if name in (one, Path(one).name, Path(one).stem)), None)
        if path is None:
            raise UserError(
                f"{self.results}: found no table {name}, allowed: {', '.join(known) or 'none yet; call run()'}"
            )
        return with_units(read_table(self.results / path))

    @property
    def summary(self) -> pd.DataFrame:
        """Accuracy, writes and energy of each variant; `UserError` if there is none yet, as of the next ones."""
        return self.table("network/summary/summary.csv")

    @property
    def history(self) -> pd.DataFrame:
        """One row per variant, replicate and epoch."""
        return self.table("network/summary/history.csv")

    @property
    def writes(self) -> pd.DataFrame:
        """Programming events of the networks by pulse."""
        return self.table("network/summary/writes.csv")

    @property
    def energy(self) -> pd.DataFrame:
        """Write energy of the networks."""
        return self.table("network/summary/energy.csv")

    @property
    def costs(self) -> pd.DataFrame:
        """Energy and time of the chip, by term."""
        return self.table("network/summary/costs.csv")

    @property
    def events(self) -> pd.DataFrame:
        """One row per simulated write event."""
        return self.table("device_sims/events.parquet")


class Point(Tables):
    """A point of a scan: a study of its own, whose tables are in the scan's folder; made by `Study.points`.

    Attributes
    ----------
    name : str
    labels : dict of str
        Label of its entry by axis.
    config : dict
        Complete.
    results : Path
        Folder of its results.
    """

    def __init__(self, point: scan.Point, results: Path):
        self.name, self.labels, self.config, self.results = point.name, point.labels, point.config, results

    def __repr__(self) -> str:
        """Return name and place."""
        return f"<point {self.name}: {self.results}>"


class Study(Tables):
    """A study: its checked config and, once it has run, its tables; made by `study`.

    Attributes
    ----------
    folder : Path
        Holds config.yaml, the Snakefile and ``results``.
    config : dict
        Complete, with every default.
    """

    def __init__(self, files: Sequence[str | Path], settings: Mapping[str, Any], folder: Path):
        self.folder = folder.absolute()
        # names as a command in the folder is told them: the places of a data set's files begin there
        self._files = [os.path.relpath(file, self.folder) for file in files]
        self._settings = dict(settings)
        with chdir(self.folder):
            content = lay_over(layer(self._files).content, self._settings)
            source = ", ".join([*self._files, *(["study"] if self._settings else [])])
            self.config = study_config.laid_over("config.yaml", content, source)
        self._layer = content

    def __repr__(self) -> str:
        """Return name and place."""
        return f"<study {self.name}: {self.results}>"

    def _repr_html_(self) -> str:
        device, source, network = (
            self.config["device_sims"],
            self.config["calibration"]["source"],
            self.config["network"],
        )
        simulated = f"{device['device']}, simulated by {device['engine']}"
        made = self.report.exists()
        return facts(
            f"Study: {self.name}",
            {
                "device": simulated if source["kind"] == "simulation" else f"{source['kind']} of a card",
                "network": None if network is None else " - ".join(map(str, network["layers"])),
                "data set": None if network is None else network["dataset"],
                "rule": None if network is None else network["rule"],
                "seed": self.config["seed"],
                "results": self.results,
                "report": self.report if made else "not there yet; call run()",
                "tables": ", ".join(self.tables) if made else None,
            },
        )

    @property
    def name(self) -> str:
        """Name of the study."""
        return self.config["study"]

    @property
    def results(self) -> Path:  # type: ignore[override]
        """Folder of the results."""
        return self.folder / "results" / self.name

    @property
    def points(self) -> dict[str, Point]:
        """The points of a scan by name, in the order of its axes; empty without one. `UserError` if one is wrong."""
        with chdir(self.folder):
            found = scan.points("config.yaml", self._layer)
        return {point.name: Point(point, self.results / "points" / point.name) for point in found}

    @property
    def report(self) -> Path:
        """The page that says it all; open it in a browser."""
        return self.results / "report.html"

    def run(self, *targets: str, options: Sequence[str] = ()) -> Study:
        """Run the study as ``snakemake`` does in its folder; only what a change touches runs again.

        Parameters
        ----------
        *targets : str
            Stages or files; none: all of the study.
        options : sequence of str
            Of Snakemake, as ``["--cores", "4"]``.

        Returns
        -------
        Study
            Itself.

        Raises
        ------
        UserError
            Says what is wrong, or where the log of the run is.
        """
        words = [*targets]
        words += ["--configfile", *self._files] if self._files else []
        words += ["--config", *map(_said, self._settings.items())] if self._settings else []
        words += options
        with chdir(self.folder):
            told.check_command(words)
        log = self.results / "logs" / "snakemake.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "w", encoding="utf-8") as stream:
            command = interpreter.snakemake(*words)
            process = subprocess.Popen(command, cwd=self.folder, stdout=stream, stderr=subprocess.STDOUT)
            main = threading.current_thread() is threading.main_thread()  # signals are its alone
            with interrupt.passed_on(process) if main else nullcontext():
                status = process.wait()
        if status:
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
            wrong = [line.strip().removeprefix("error: ") for line in lines if line.strip().startswith("error: ")]
            raise UserError(wrong[0] if wrong else f"study {self.name}: the run has failed; its log: {log}")
        return self

    def training(self, variant: str | None = None) -> dict[str, Any]:
        """Return what the job that trains a variant sees of the config; `train` takes it.

        Parameters
        ----------
        variant : str, optional
            None: the first.

        Raises
        ------
        UserError
            If the study trains no such variant.
        """
        with chdir(self.folder):
            planned = planning.plan(self.config)
        name = variant or next(iter(planned.variants), None)
        if name not in planned.variants:
            raise UserError(f"variant: found {name}, allowed: {', '.join(planned.variants) or 'none, network is null'}")
        return {**planned.sections[f"training_{name}"], "data": self.config["network"]["data"]}


def _said(setting: tuple[str, Any]) -> str:
    """Return a key with its value as ``--config`` takes it, in one line of YAML."""
    key, value = setting
    text = yaml.safe_dump(value, default_flow_style=True, width=10**9, sort_keys=False)
    return f"{key}={text.splitlines()[0]}"  # a plain value has a line with the document's end behind it


def study(
    config: str | Path | Sequence[str | Path] | Mapping[str, Any] | None = None, *, folder: str | Path = "."
) -> Study:
    """Return a study.

    Parameters
    ----------
    config : path, sequence of paths, or mapping
        Laid over the folder's config.yaml, of several files the last on top; None: config.yaml alone.
    folder : path
        Holds config.yaml and the Snakefile; results go to ``results/NAME`` in it.

    Raises
    ------
    UserError
        One line with the key, what was found and what is allowed.
    """
    if isinstance(config, Mapping):
        return Study((), config, Path(folder))
    files = () if config is None else (config,) if isinstance(config, (str, Path)) else tuple(config)
    return Study(files, {}, Path(folder))
