"""A write that the user's own script simulates: its text with values in place of names in braces, run and read.

In a script of mumax3 every name in braces, `{voltage_V}`, is a placeholder. In a MIF file of OOMMF, whose language uses
braces itself, only the names that have a value are.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from device_sims.finished import places, write
from device_sims.finished.reading import Reading
from device_sims.finished.write import Seen
from device_sims.problem import DataFile
from spinloom import files, streams
from spinloom.errors import UserError

SEED = "seed"  # placeholder of the thermal noise: a number of each repetition
RECORDS = 100  # a guess of how many a run has, for the forecast of disk space
LENGTH = 1e-6  # by which share of itself the track's length may differ from the mesh's
STEP_S = 1e-13  # in which the work of a script is counted, since nobody knows its steps
_NAME = re.compile(r"\{([A-Za-z_]\w*)\}")
# keys of `Reading` that decide what is read of a run; the others say what it means
READ = (
    "state", "state_column", "component", "left", "position_offset_m", "length_m", "pulse_start_s", "settle_s", "table",
    "snapshots",
)  # fmt: skip


@dataclass(frozen=True)
class Scripted:
    """What takes the place of a `Problem` where a script simulates.

    Attributes
    ----------
    script : str
        Path of the script, for errors and its ending.
    text : str
        Its content, with placeholders.
    values : dict
        Value of each placeholder but the seed.
    files : tuple of DataFile
        What the script reads; they are put beside it.
    reading : dict
        What of `Reading` decides what is read.
    pulse_s : float
        Length of the pulse.
    stream : tuple
        Name of the random stream of the seed.
    """

    script: str
    text: str
    values: dict[str, float | int | str]
    files: tuple[DataFile, ...]
    reading: dict[str, Any]
    pulse_s: float
    stream: tuple[str | int | float, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON-ready data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Scripted:
        """Inverse of `to_dict`."""
        own = {"files": tuple(DataFile(**one) for one in data["files"]), "stream": tuple(data["stream"])}
        return cls(**{**data, **own})

    def identity(self) -> dict[str, Any]:
        """Return all that decides the result: the text and the content of files, and not where they lie."""
        told = {name: value for name, value in self.to_dict().items() if name not in ("script", "files")}
        return {**told, "files": sorted([Path(one.path).name, one.sha256] for one in self.files)}

    @property
    def ending(self) -> str:
        """Ending of the script's name, which says whose it is."""
        return Path(self.script).suffix

    @property
    def duration_s(self) -> float:
        """Simulated time up to the end of the write."""
        return self.reading["pulse_start_s"] + self.pulse_s + self.reading["settle_s"]

    @property
    def cell_steps(self) -> float:
        """Work of the run, comparable with that of the same script alone."""
        return self.duration_s / STEP_S

    @property
    def record_interval_s(self) -> float:
        """Guess of the time between two records."""
        return self.duration_s / RECORDS

    def told(self) -> str:
        """Return it in a few words."""
        return f"script {Path(self.script).name}, {self.duration_s * 1e9:.3g} ns"

    def seed(self) -> int:
        """Return the seed of this repetition: 31 bits of its stream's key."""
        return int(streams.digest(*self.stream, "script")[0] & 0x7FFFFFFF)

    def filled(self) -> str:
        """Return the script with the values and the seed in it."""
        values = {**self.values, SEED: self.seed()}

        def put(found: re.Match) -> str:
            value = str(values.get(found[1], found[0]))
            behind_minus = value.startswith("-") and self.text[: found.start()].endswith("-")
            return f" {value}" if behind_minus else value  # mumax3 reads -- as a decrement

        return _NAME.sub(put, self.text)


@dataclass(frozen=True)
class Written:
    """What a run of a script did: takes the place of an engine's `Result`."""

    seen: Seen
    notes: tuple[str, ...] = ()
    energies_J: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def t_s(self) -> np.ndarray:
        """Times of the records up to the end of the write, float64[n], s."""
        return self.seen.t_s


def placeholders(text: str) -> set[str]:
    """Return the names in braces."""
    return set(_NAME.findall(text))


def run(name: str, engine: ModuleType, problems: Sequence[Scripted]) -> Iterator[Written]:
    """Yield what each script did, in order; each runs in a folder of its own.

    The folder of a run that fails is kept and named; all others are removed.

    Parameters
    ----------
    name : str
        Of the engine.
    engine : module
        Its ``run_script(path)`` runs a script and returns the folder with what it wrote.
    problems : sequence of Scripted

    Raises
    ------
    UserError
        If a script fails, ends early, or does not write what is to be read.
    """
    base = Path(tempfile.mkdtemp(prefix=f"spinloom-{name}-"))
    try:
        for number, problem in enumerate(problems):
            folder = base / f"run_{number:06d}"
            folder.mkdir()
            try:
                yield _one(engine, problem, folder)
            except UserError as error:
                kept = base.with_name(f"{base.name}-failed")
                shutil.rmtree(kept, ignore_errors=True)
                folder.rename(kept)
                raise UserError(
                    f"{problem.script}: replica {problem.stream[-1]} ({_values(problem)}): "
                    f"{str(error).replace(str(folder), str(kept))}; its files are in {kept}"
                ) from None
            shutil.rmtree(folder)
    finally:
        shutil.rmtree(base, ignore_errors=True)


def _values(problem: Scripted) -> str:
    return ", ".join(f"{name} {value}" for name, value in problem.values.items())


def _one(engine: ModuleType, problem: Scripted, folder: Path) -> Written:
    for file in problem.files:
        place = folder / Path(file.path).name
        try:
            shutil.copyfile(file.path, place)
        except OSError as error:
            raise UserError(f"{file.path}: cannot be read ({error.strerror})") from None
        if files.sha256_file(place) != file.sha256:
            raise UserError(f"{file.path}: found that it changed after the study was planned; start the study again")
    script = folder / f"run{problem.ending}"
    files.write_text(problem.filled(), script)
    reading = Reading.parse(problem.reading, "device_sims.script.reading")
    recorded = write.record(reading, places.find(engine.run_script(script), reading.table, reading.snapshots))
    seen = write.see(reading, recorded, problem.pulse_s, problem.duration_s, every=True)
    if seen.mesh is not None and reading.length_m is not None:
        own = seen.mesh[0][0] * seen.mesh[1][0]
        if abs(reading.length_m / own - 1) > LENGTH:
            raise UserError(
                f"reading.length_m: found {reading.length_m:g}, allowed: {own:.9g}, the length of the snapshots' mesh"
            )
    during = seen.t_s <= problem.duration_s + max(write.CLOSE * problem.duration_s, write.SLACK * seen.gap_s)
    return Written(replace(seen, t_s=seen.t_s[during], values=seen.values[during]))
