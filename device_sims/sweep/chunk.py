"""A chunk of a sweep: write events that one process simulates, named by the hash of all that the engine sees.

A chunk travels to its job as a specification: a JSON file with the chunk's own problems and nothing of the rest of the
sweep.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from device_sims import devices, engines
from device_sims.devices import Batch
from device_sims.finished.scripted import Scripted, Written
from device_sims.problem import Problem
from spinloom import files
from spinloom.errors import UserError
from spinloom.progress import Progress


@dataclass(frozen=True)
class Chunk:
    """Batches of one pulse on a few instances.

    Attributes
    ----------
    device, engine : str
        Names of the family and of who computes.
    pulse, drive : int, str
        Number of the pulse in the sweep, and the pulse in words: for people, no part of the hash.
    batches : tuple of Batch
    spec_hashes : tuple of str
        Of each batch.
    chunk_hash : str
        Made of them.
    """

    device: str
    engine: str
    pulse: int
    drive: str
    batches: tuple[Batch, ...]
    spec_hashes: tuple[str, ...]
    chunk_hash: str

    @classmethod
    def of(cls, device: str, engine: str, pulse: int, drive: str, batches: tuple[Batch, ...]) -> Chunk:
        """Return the chunk with these batches; `UserError` if the engine cannot run here."""
        version = engines.version(engine)
        hashes = tuple(_spec_hash(engine, version, batch) for batch in batches)
        contents = [[spec_hash, batch.first, batch.replicas] for spec_hash, batch in zip(hashes, batches)]
        return cls(device, engine, pulse, drive, batches, hashes, files.sha256_text(files.canonical_json(contents)))

    @property
    def instances(self) -> tuple[int, ...]:
        """Devices that the chunk simulates."""
        return tuple(sorted({batch.instance for batch in self.batches}))

    @property
    def replicas(self) -> int:
        """Number of write events."""
        return sum(batch.replicas for batch in self.batches)

    @property
    def simulated_s(self) -> float:
        """Simulated time of all write events."""
        return sum(batch.replicas * batch.problem.duration_s for batch in self.batches)

    @property
    def cell_steps(self) -> float:
        """Cells x time steps x replicas: the chunk's work."""
        return sum(batch.problem.cell_steps * batch.replicas for batch in self.batches)

    @property
    def work(self) -> str:
        """What kind of work it is, whose speed tells that of others: an engine's, or that of a script."""
        return f"{self.engine} script" if self.scripted else self.engine

    @property
    def scripted(self) -> bool:
        """Whether the user's own script simulates."""
        return isinstance(self.batches[0].problem, Scripted)

    def paths(self, directory: str | Path) -> tuple[Path, Path]:
        """Return the paths of the chunk's events and trajectories."""
        stem = Path(directory) / self.chunk_hash
        return stem.with_name(f"{stem.name}.events.parquet"), stem.with_name(f"{stem.name}.trajectories.parquet")

    def specification(self) -> dict[str, Any]:
        """Return the chunk as JSON values; see `specified`."""
        batches = [{**asdict(batch), "problem": batch.problem.to_dict()} for batch in self.batches]
        own = {name: getattr(self, name) for name in ("device", "engine", "pulse", "drive", "chunk_hash")}
        return {**own, "batches": batches}


def specified(content: Any, source: str | Path) -> Chunk:
    """Return the chunk of a specification.

    Parameters
    ----------
    content : object
        What `Chunk.specification` returned, from JSON.
    source : str or Path
        Its file, for errors.

    Raises
    ------
    UserError
        If it is no specification, or its problems are not those that its hash names.
    """
    try:
        batches = tuple(Batch(**{**one, "problem": _problem(one["problem"])}) for one in content["batches"])
        device, engine, drive, found = (str(content[key]) for key in ("device", "engine", "drive", "chunk_hash"))
        pulse = int(content["pulse"])
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise UserError(
            f"{source}: found a file that does not describe a chunk of simulations ({type(error).__name__}: {error})"
        ) from None
    devices.REGISTRY.module(device)
    chunk = Chunk.of(device, engine, pulse, drive, batches)
    if chunk.chunk_hash != found:
        raise UserError(
            f"{source}: chunk_hash: found {found[:70]}, allowed: {chunk.chunk_hash}, the hash of the problems in the "
            "file; delete the file and run again"
        )
    return chunk


def _problem(content: dict[str, Any]) -> Problem | Scripted:
    return Scripted.from_dict(content) if "script" in content else Problem.from_dict(content)


def _spec_hash(engine: str, version: str, batch: Batch) -> str:
    spec = {"engine": engine, "version": version, "problem": batch.problem.identity()}
    return files.sha256_text(files.canonical_json(spec))


def run(chunk: Chunk, directory: str | Path, log: str | Path | None = None) -> None:
    """Simulate a chunk and write its two tables.

    The tables carry neither the pulse's number nor anything else of the config that the engine does not see: those
    are added by `device_sims.sweep.sweep.collect`.
    """
    family = devices.REGISTRY.get(chunk.device)
    label = f"device_sims {chunk.drive}, instances {chunk.instances[0]}-{chunk.instances[-1]}"
    work = [
        (batch, spec_hash, replica, problem)
        for batch, spec_hash in zip(chunk.batches, chunk.spec_hashes)
        for replica, problem in enumerate(batch.problems(), start=batch.first)
    ]
    rows, records, notes = [], [], []
    with Progress(
        label,
        chunk.replicas,
        "replicas",
        rate_unit="simulated ns/s",
        rate_per=chunk.simulated_s * 1e9 / chunk.replicas,
        log=log,
        speed=(chunk.work, chunk.cell_steps),
    ) as progress:
        start = engines.run_scripts if chunk.scripted else engines.run
        results: Iterator[engines.Result | Written] = start(chunk.engine, [problem for *_, problem in work])
        for (batch, spec_hash, replica, problem), result in zip(work, results, strict=True):
            row, record = _observe(family, batch, replica, problem, result)
            rows.append({**row, "spec_hash": spec_hash})
            records.append(record)
            for note in [note for note in result.notes if note not in notes]:
                notes.append(note)
                progress.say(f"{label}, instance {batch.instance}: {note}")
            progress.advance(1)
    version = engines.version(chunk.engine)
    metadata = {"chunk_hash": chunk.chunk_hash, "engine": chunk.engine, "engine_version": version}
    if notes:
        metadata["engine_notes"] = "\n".join(notes)
    # events last: their file says that the chunk is done
    tables = (pd.DataFrame(rows), _stacked(records))
    for path, table in reversed(list(zip(chunk.paths(directory), tables))):
        files.write_parquet(table, path, {**metadata, "content_hash": _content_hash(table)})


def _content_hash(table: pd.DataFrame) -> str:
    return files.sha256_text(table.to_csv(index=False))


def read(chunk: Chunk, directory: str | Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return a chunk's events and trajectories.

    Raises
    ------
    UserError
        If they are missing, or not what the sweep asked for.
    """
    tables = []
    for path in chunk.paths(directory):
        if not path.exists():
            raise UserError(f"{path}: found no such file; simulate it first")
        stored, table = files.read_parquet_metadata(path), files.read_table(path)
        if stored.get("chunk_hash") != chunk.chunk_hash:
            raise UserError(
                f"{path}: found chunk_hash {stored.get('chunk_hash')}, allowed: the hash in the file's name"
            )
        if stored.get("content_hash") != _content_hash(table):
            raise UserError(
                f"{path}: found that it was edited after it was simulated, allowed: the file as it was made; delete it "
                "and run again"
            )
        tables.append(table)
    events, trajectories = tables
    expected = [h for h, batch in zip(chunk.spec_hashes, chunk.batches) for _ in range(batch.replicas)]
    if list(events["spec_hash"]) != expected:
        raise UserError(
            f"{chunk.paths(directory)[0]}: found other write events than the file's name states; delete it and run "
            "again"
        )
    return events, trajectories


def _stacked(records: list[dict]) -> pd.DataFrame:
    """Return trajectories below each other; a frame for each of many thousand would take longer than its write."""
    lengths = [len(record["t_s"]) for record in records]
    return pd.DataFrame(
        {
            name: np.concatenate([record[name] for record in records])
            if isinstance(first, np.ndarray)
            else np.repeat([record[name] for record in records], lengths)
            for name, first in records[0].items()
        }
    )


def _observe(family, batch: Batch, replica: int, problem, result: engines.Result | Written) -> tuple[dict, dict]:
    names = {"instance": batch.instance, "replica": replica}
    own, track = family.observe(batch, problem, result)
    energies = {f"energy_{name}_J": 0.0 for name in engines.ENERGIES}
    energies |= {f"energy_{name}_J": float(values[-1]) for name, values in result.energies_J.items()}
    row = {**names, **own, **energies}
    apart = {name: own[name] for name in family.KEYS}
    key = {"instance": batch.instance, **apart, "replica": replica}
    # a phase that relaxes takes no time: of the records of one time its end counts
    last = np.append(np.diff(result.t_s) > 0, True)
    return row, {**key, **{name: np.asarray(values)[last] for name, values in {"t_s": result.t_s, **track}.items()}}
