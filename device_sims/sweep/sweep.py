"""A sweep: pulses x device instances x replicas, cut into chunks that are simulated one by one.

A chunk is a set of write events that one process runs. Its file name is the hash of all that the engine sees, so a
changed parameter simulates what it changes, and changing it back simulates nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from device_sims import devices, engines
from device_sims.devices import Batch
from device_sims.sweep import tables
from spinloom import files
from spinloom.errors import UserError
from spinloom.progress import Progress

TABLES = (
    "events.parquet", "events.csv", "trajectories.parquet", "pulses.csv", "summary.csv", "points.csv", "device.json",
)  # fmt: skip
LOOK_AROUND = 100  # replicas between two looks at which chunks are there


@dataclass(frozen=True)
class Chunk:
    """Batches of one pulse on a few instances; the hash of each, and that of the chunk, made of them."""

    pulse: int
    batches: tuple[Batch, ...]
    spec_hashes: tuple[str, ...]
    engine: str
    chunk_hash: str

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


def plan(section: dict) -> list[Chunk]:
    """Return the chunks of a sweep, in the order of the config.

    A chunk holds one pulse on ``instances_per_chunk`` instances and, if ``replicas_per_chunk`` is given, one block of
    that many replicas: more replicas are then more chunks, and finished ones stay.
    """
    engine, sweep = section["engine"], section["sweep"]
    version = engines.version(engine)
    grouped: dict[tuple[int, int, int], list[Batch]] = {}
    for batch in batches(section):
        for block in batch.blocks(sweep["replicas_per_chunk"]):
            place = (batch.pulse, batch.instance // sweep["instances_per_chunk"], block.first)
            grouped.setdefault(place, []).append(block)
    chunks = []
    for (pulse, _, _), own in grouped.items():
        hashes = tuple(_spec_hash(engine, version, batch) for batch in own)
        contents = [[spec_hash, batch.first, batch.replicas] for spec_hash, batch in zip(hashes, own)]
        chunk_hash = files.sha256_text(files.canonical_json(contents))
        chunks.append(Chunk(pulse, tuple(own), hashes, engine, chunk_hash))
    return chunks


def batches(section: dict) -> list[Batch]:
    """Return the family's batches with what ``sweep.replicas`` asks for: entries raise, and never lower, a number.

    Raises
    ------
    UserError
        If an entry fits no batch, or names a column that the family's pulses do not have.
    """
    family, wanted = devices.family(section), section["sweep"]["replicas"]
    found = family.batches(section)
    if not wanted:
        return found
    pulses, used = family.pulses(section), set()

    def raised(batch: Batch) -> Batch:
        values = {**pulses.iloc[batch.pulse].to_dict(), **batch.keys}
        fitting = [place for place, entry in enumerate(wanted) if _fits(entry, values, place)]
        used.update(fitting)
        most = max((wanted[place]["replicas_per_instance"] for place in fitting), default=0)
        return replace(batch, replicas=max(batch.replicas, most))

    found = [raised(batch) for batch in found]
    for place, entry in enumerate(wanted):
        if place not in used:
            raise UserError(
                f"device_sims.sweep.replicas.{place}: found {_where(entry)}, which is no pulse of the sweep, "
                "allowed: values of pulses that it has"
            )
    return found


def _where(entry: dict) -> dict:
    return {key: value for key, value in entry.items() if key != "replicas_per_instance"}


def _fits(entry: dict, values: dict, place: int) -> bool:
    for key, value in _where(entry).items():
        if key not in values:
            raise UserError(
                f"device_sims.sweep.replicas.{place}: found {key}, allowed: columns of this family's pulses and events"
            )
        same = values[key] == value if isinstance(value, str) else math.isclose(values[key], value, rel_tol=1e-9)
        if not same:
            return False
    return True


def _spec_hash(engine: str, version: str, batch: Batch) -> str:
    spec = {"engine": engine, "version": version, "problem": batch.problem.identity()}
    return files.sha256_text(files.canonical_json(spec))


def plan_checked(section: dict) -> list[Chunk]:
    """Check the section as only its device family and its engine can, then `plan`."""
    family = devices.family(section)
    family.check(section)
    chunks = plan(section)
    # the first batch of each chunk: instances differ in their edges only
    engines.check(section["engine"], section["device"], [chunk.batches[0].problem for chunk in chunks])
    return chunks


def cell_steps(chunk: Chunk) -> float:
    """Return cells x time steps x replicas of a chunk: its work."""
    return sum(
        math.prod(batch.problem.mesh.shape) * batch.problem.duration_s / batch.problem.numerics.dt_s * batch.replicas
        for batch in chunk.batches
    )


def chunk_paths(directory: str | Path, chunk_hash: str) -> tuple[Path, Path]:
    """Return the paths of a chunk's events and trajectories."""
    directory = Path(directory)
    return directory / f"{chunk_hash}.events.parquet", directory / f"{chunk_hash}.trajectories.parquet"


def run_chunk(section: dict, chunk_hash: str, directory: str | Path, log: str | Path | None = None) -> None:
    """Simulate a chunk and write its two tables.

    The tables carry neither the pulse's number nor anything else of the config that the engine does not see: those
    are added by `collect`.

    Raises
    ------
    UserError
        If the section has no such chunk.
    """
    chunks = plan(section)
    matching = [chunk for chunk in chunks if chunk.chunk_hash == chunk_hash]
    if not matching:
        raise UserError(f"--chunk: found {chunk_hash}, allowed: the hash of a chunk of this config")
    (chunk,) = matching
    others = [c for c in chunks if c.chunk_hash != chunk_hash]
    total = sum(c.replicas for c in chunks)
    family = devices.family(section)
    pulse = family.pulses(section).iloc[chunk.pulse]
    drive = ", ".join(f"{name} {pulse[name]}" for name in family.REPEATED)
    label = f"device_sims {drive}, instances {chunk.instances[0]}-{chunk.instances[-1]}"
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
        speed=(chunk.engine, cell_steps(chunk)),
    ) as progress:
        results = engines.run(chunk.engine, [problem for *_, problem in work])
        for (batch, spec_hash, replica, problem), result in zip(work, results, strict=True):
            row, record = _observe(family, batch, replica, problem, result)
            rows.append({**row, "spec_hash": spec_hash})
            records.append(record)
            for note in [note for note in result.notes if note not in notes]:
                notes.append(note)
                progress.say(f"{label}, instance {batch.instance}: {note}")
            if len(rows) % LOOK_AROUND == 1:  # a look at the disk costs more than a write of one moment
                finished = sum(c.replicas for c in others if chunk_paths(directory, c.chunk_hash)[0].exists())
            progress.advance(1, f"{finished + len(rows)}/{total} of the sweep")
    metadata = {"chunk_hash": chunk_hash, "engine": chunk.engine, "engine_version": engines.version(chunk.engine)}
    if notes:
        metadata["engine_notes"] = "\n".join(notes)
    # events last: their file says that the chunk is done
    tables_ = (pd.DataFrame(rows), _stacked(records))
    for path, table in reversed(list(zip(chunk_paths(directory, chunk_hash), tables_))):
        files.write_parquet(table, path, {**metadata, "content_hash": _content_hash(table)})


def _content_hash(table: pd.DataFrame) -> str:
    return files.sha256_text(table.to_csv(index=False))


def _read_chunk(chunk: Chunk, directory: str | Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return a chunk's events and trajectories, or raise if they are not what the sweep asked for."""
    tables_ = []
    for path in chunk_paths(directory, chunk.chunk_hash):
        if not path.exists():
            raise UserError(f"{path}: not there; simulate it first")
        stored, table = files.read_parquet_metadata(path), files.read_table(path)
        if stored.get("chunk_hash") != chunk.chunk_hash:
            raise UserError(f"{path}: found chunk_hash {stored.get('chunk_hash')}, required: that of the file's name")
        if stored.get("content_hash") != _content_hash(table):
            raise UserError(f"{path}: its content has been changed since it was simulated; delete it and run again")
        tables_.append(table)
    events, trajectories = tables_
    expected = [h for h, batch in zip(chunk.spec_hashes, chunk.batches) for _ in range(batch.replicas)]
    if list(events["spec_hash"]) != expected:
        raise UserError(f"{chunk_paths(directory, chunk.chunk_hash)[0]}: holds other write events than its name says")
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


def _observe(family, batch: Batch, replica: int, problem, result: engines.Result) -> tuple[dict, dict]:
    names = {"instance": batch.instance, "replica": replica}
    own, track = family.observe(batch, problem, result)
    energies = {f"energy_{name}_J": 0.0 for name in tables.ENERGIES}
    energies |= {f"energy_{name}_J": float(values[-1]) for name, values in result.energies_J.items()}
    row = {**names, **own, **energies}
    apart = {name: own[name] for name in family.KEYS}
    key = {"instance": batch.instance, **apart, "replica": replica}
    return row, {**key, "t_s": result.t_s, **track}


def collect(section: dict, chunk_directory: str | Path, output: str | Path) -> None:
    """Gather the sweep's chunks into the stage's tables.

    Writes ``events.parquet`` and ``.csv``, ``trajectories.parquet``, ``pulses.csv``, ``summary.csv``, ``points.csv``
    and ``device.json`` into ``output``.

    Raises
    ------
    UserError
        If a chunk is missing, or a file's content is not what its name says.
    """
    output, family = Path(output), devices.family(section)
    pulses = tables.checked(family.pulses(section), tables.pulses(family), "pulses.csv")
    events, trajectories, points = [], [], []
    for chunk in plan(section):
        own, track = _read_chunk(chunk, chunk_directory)
        pulse = pulses.iloc[chunk.pulse]
        own.insert(0, "pulse", chunk.pulse)
        for place, column in enumerate(family.REPEATED, start=1):
            own.insert(place, column, pulse[column])
        events.append(own)
        track.insert(0, "pulse", chunk.pulse)
        trajectories.append(track)
        paths = chunk_paths(chunk_directory, chunk.chunk_hash)
        points.append(
            {
                "chunk_hash": chunk.chunk_hash,
                "pulse": chunk.pulse,
                "instance_first": chunk.instances[0],
                "instance_last": chunk.instances[-1],
                "replica_first": chunk.batches[0].first,
                "replicas": chunk.replicas,
                "engine": chunk.engine,
                "engine_version": engines.version(chunk.engine),
                "events_file": paths[0].name,
                "trajectories_file": paths[1].name,
            }
        )
    order = tables.keys(family)
    event_table = pd.concat(events).sort_values(order, ignore_index=True)
    trajectory_table = pd.concat(trajectories).sort_values([*order, "t_s"], ignore_index=True)
    event_table = tables.checked(event_table, tables.events(family), "events.parquet")
    trajectory_table = tables.checked(trajectory_table, tables.trajectories(family), "trajectories.parquet")
    summary = tables.checked(family.summarise(section, pulses, event_table), tables.summary(family), "summary.csv")
    point_table = tables.checked(pd.DataFrame(points), tables.POINTS, "points.csv")
    device = {
        **family.describe(section),
        "engine": section["engine"],
        "engine_version": engines.version(section["engine"]),
        "seed": section["seed"],
        "instances": section["sweep"]["instances"],
        "replicas_per_instance": section["sweep"]["replicas_per_instance"],
    }
    metadata = {"sweep_hash": files.sha256_text(files.canonical_json(list(event_table["spec_hash"])))}
    with files.sealed(output, TABLES):
        files.write_parquet(event_table, output / "events.parquet", metadata)
        files.write_csv(event_table, output / "events.csv")
        files.write_parquet(trajectory_table, output / "trajectories.parquet", metadata)
        files.write_csv(pulses, output / "pulses.csv")
        files.write_csv(summary, output / "summary.csv")
        files.write_csv(point_table, output / "points.csv")
        files.write_json(device, output / "device.json")
