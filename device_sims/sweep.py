"""A sweep: pulses x device instances x replicas, cut into chunks that are simulated one by one.

A chunk is a set of write events that one process runs. Its file name is the hash of all that the engine sees, so a
changed parameter simulates what it changes, and changing it back simulates nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from device_sims import devices, engines, observables, tables
from device_sims.devices import Event
from spinloom import files
from spinloom.errors import UserError
from spinloom.progress import Progress


@dataclass(frozen=True)
class Chunk:
    """Write events of one pulse on a few instances; the hash of each, and that of the chunk, made of them."""

    pulse: int
    instances: tuple[int, ...]
    events: tuple[Event, ...]
    spec_hashes: tuple[str, ...]
    engine: str
    chunk_hash: str

    @property
    def simulated_s(self) -> float:
        return sum(event.problem.duration_s for event in self.events)


def plan(section: dict) -> list[Chunk]:
    """Return the chunks of a sweep, in the order of the config."""
    engine = section["engine"]
    version = engines.version(engine)
    block = section["sweep"]["instances_per_chunk"]
    grouped: dict[tuple[int, int], list[Event]] = {}
    for event in devices.family(section).events(section):
        grouped.setdefault((event.pulse, event.instance // block), []).append(event)
    chunks = []
    for (pulse, _), events in grouped.items():
        instances = tuple(sorted({event.instance for event in events}))
        hashes = tuple(_spec_hash(engine, version, event) for event in events)
        chunk_hash = files.sha256_text(files.canonical_json(hashes))
        chunks.append(Chunk(pulse, instances, tuple(events), hashes, engine, chunk_hash))
    return chunks


def _spec_hash(engine: str, version: str, event: Event) -> str:
    spec = {"engine": engine, "version": version, "problem": event.problem.to_dict()}
    return files.sha256_text(files.canonical_json(spec))


def plan_checked(section: dict) -> list[Chunk]:
    """Check the section as only its device family can, then `plan`."""
    devices.family(section).check(section)
    return plan(section)


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
    total = sum(len(c.events) for c in chunks)
    voltage = section["sweep"]["voltages_V"][chunk.pulse]
    label = f"device_sims {voltage:+g} V, instances {chunk.instances[0]}-{chunk.instances[-1]}"
    rows, records = [], []
    with Progress(
        label,
        len(chunk.events),
        "replicas",
        rate_unit="simulated ns/s",
        rate_per=chunk.simulated_s * 1e9 / len(chunk.events),
        log=log,
    ) as progress:
        results = engines.run(chunk.engine, [event.problem for event in chunk.events])
        for event, spec_hash, result in zip(chunk.events, chunk.spec_hashes, results, strict=True):
            row, record = _observe(event, result)
            rows.append({**row, "spec_hash": spec_hash})
            records.append(record)
            finished = sum(len(c.events) for c in others if chunk_paths(directory, c.chunk_hash)[0].exists())
            progress.advance(1, f"{finished + len(rows)}/{total} of the sweep")
    metadata = {"chunk_hash": chunk_hash, "engine": chunk.engine, "engine_version": engines.version(chunk.engine)}
    # events last: their file says that the chunk is done
    tables_ = (pd.DataFrame(rows), pd.concat(records, ignore_index=True))
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
    if tuple(events["spec_hash"]) != chunk.spec_hashes:
        raise UserError(f"{chunk_paths(directory, chunk.chunk_hash)[0]}: holds other write events than its name says")
    return events, trajectories


def _observe(event: Event, result: engines.Result) -> tuple[dict, pd.DataFrame]:
    dx = event.problem.mesh.cell_m[0]
    position = observables.wall_position(result.m[:, 2], result.mask, dx)
    state = observables.wall_state(result.m[-1, 2], result.mask)
    mean = np.array([observables.mean_magnetisation(m, result.mask) for m in result.m])
    names = {"instance": event.instance, "replica": event.replica}
    energies = {
        f"energy_{name}_J": result.energies_J.get(name, 0.0)
        for name in ("exchange", "dmi", "anisotropy", "demag", "total")
    }
    row = {
        **names,
        "start_position_m": float(position[result.phase_end["rest"]]),
        "pulse_end_position_m": float(position[result.phase_end["pulse"]]),
        "final_position_m": float(position[-1]) if state == observables.SINGLE else float("nan"),
        "wall_state": state,
        **energies,
    }
    record = pd.DataFrame({**names, "t_s": result.t_s, "position_m": position, **dict(zip(("mx", "my", "mz"), mean.T))})
    return row, record


def collect(section: dict, chunk_directory: str | Path, output: str | Path) -> None:
    """Gather the sweep's chunks into the stage's tables.

    Writes ``events.parquet`` and ``.csv``, ``trajectories.parquet``, ``pulses.csv``, ``points.csv`` and
    ``device.json`` into ``output``.

    Raises
    ------
    UserError
        If a chunk is missing, or a file's content is not what its name says.
    """
    output, family = Path(output), devices.family(section)
    pulses = tables.checked(family.pulses(section), tables.PULSES, "pulses.csv")
    events, trajectories, points = [], [], []
    for chunk in plan(section):
        own, track = _read_chunk(chunk, chunk_directory)
        pulse = pulses.iloc[chunk.pulse]
        own.insert(0, "pulse", chunk.pulse)
        own.insert(1, "voltage_V", pulse["voltage_V"])
        events.append(own)
        track.insert(0, "pulse", chunk.pulse)
        trajectories.append(track)
        paths = chunk_paths(chunk_directory, chunk.chunk_hash)
        points.append(
            {
                "chunk_hash": chunk.chunk_hash,
                "pulse": chunk.pulse,
                "voltage_V": pulse["voltage_V"],
                "instance_first": chunk.instances[0],
                "instance_last": chunk.instances[-1],
                "replicas": len(chunk.events),
                "engine": chunk.engine,
                "engine_version": engines.version(chunk.engine),
                "events_file": paths[0].name,
                "trajectories_file": paths[1].name,
            }
        )
    order = ["pulse", "instance", "replica"]
    event_table = pd.concat(events).sort_values(order, ignore_index=True)
    trajectory_table = pd.concat(trajectories).sort_values([*order, "t_s"], ignore_index=True)
    event_table = tables.checked(event_table, tables.EVENTS, "events.parquet")
    trajectory_table = tables.checked(trajectory_table, tables.TRAJECTORIES, "trajectories.parquet")
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
    files.write_parquet(event_table, output / "events.parquet", metadata)
    files.write_csv(event_table, output / "events.csv")
    files.write_parquet(trajectory_table, output / "trajectories.parquet", metadata)
    files.write_csv(pulses, output / "pulses.csv")
    files.write_csv(point_table, output / "points.csv")
    files.write_json(device, output / "device.json")
