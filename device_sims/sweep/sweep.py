"""A sweep: pulses x device instances x replicas, cut into chunks that are simulated one by one, and put together.

The file name of a chunk is the hash of all that the engine sees, so a changed parameter simulates what it changes, and
changing it back simulates nothing.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pandas as pd

from device_sims import engines
from device_sims.common import Replica, Simulations
from device_sims.devices import Batch
from device_sims.sweep import tables
from device_sims.sweep.chunk import Chunk, read
from device_sims.sweep.names import TABLES
from spinloom import files
from spinloom.errors import UserError


def plan(section: Simulations) -> list[Chunk]:
    """Return the chunks of a sweep, in the order of the config.

    A chunk holds one pulse on ``instances_per_chunk`` instances and, if ``replicas_per_chunk`` is given, one block of
    that many replicas: more replicas are then more chunks, and finished ones stay.
    """
    family, sweep = section.family, section.sweep
    grouped: dict[tuple[int, int, int], list[Batch]] = {}
    for batch in batches(section):
        for block in batch.blocks(sweep.replicas_per_chunk):
            place = (batch.pulse, batch.instance // sweep.instances_per_chunk, block.first)
            grouped.setdefault(place, []).append(block)
    drives = [
        ", ".join(f"{name} {pulse[name]}" for name in family.AXES if pulse[name] == pulse[name])  # not what is absent
        for _, pulse in family.pulses(section).iterrows()
    ]
    return [
        Chunk.of(section.device, section.engine, pulse, drives[pulse], tuple(own))
        for (pulse, _, _), own in grouped.items()
    ]


def batches(section: Simulations) -> list[Batch]:
    """Return the family's batches with what ``sweep.replicas`` asks for: entries raise, and never lower, a number.

    Raises
    ------
    UserError
        If an entry fits no batch, or names a column that the family's pulses do not have.
    """
    family, wanted = section.family, [_values(entry) for entry in section.sweep.replicas]
    found = family.batches(section)
    if not wanted:
        return found
    pulses, used = family.pulses(section), set()

    def raised(batch: Batch) -> Batch:
        values = {**pulses.iloc[batch.pulse].to_dict(), **batch.keys}
        fitting = [place for place, entry in enumerate(wanted) if _fits(entry, values, place)]
        used.update(fitting)
        most = max((section.sweep.replicas[place].replicas_per_instance for place in fitting), default=0)
        return replace(batch, replicas=max(batch.replicas, most))

    found = [raised(batch) for batch in found]
    for place, entry in enumerate(wanted):
        if place not in used:
            raise UserError(
                f"device_sims.sweep.replicas.{place}: found {entry}, which is not a pulse of the sweep, allowed: "
                "values of pulses in the sweep"
            )
    return found


def _values(entry: Replica) -> dict:
    return entry.model_dump(exclude={"replicas_per_instance"})


def _fits(entry: dict, values: dict, place: int) -> bool:
    for key, value in entry.items():
        if key not in values:
            raise UserError(
                f"device_sims.sweep.replicas.{place}: found {key}, allowed: columns of this family's pulses and events"
            )
        same = values[key] == value if isinstance(value, str) else math.isclose(values[key], value, rel_tol=1e-9)
        if not same:
            return False
    return True


def plan_checked(section: Simulations) -> list[Chunk]:
    """Check the section as only its device family and its engine can, then `plan`."""
    section.family.check(section)
    chunks = plan(section)
    # the first batch of each chunk: instances differ in their edges only
    engines.check(section.engine, section.device, section.family, [chunk.batches[0].problem for chunk in chunks])
    return chunks


def collect(section: Simulations, chunk_directory: str | Path, output: str | Path) -> None:
    """Gather the sweep's chunks into the stage's tables.

    Writes ``events.parquet`` and ``.csv``, ``trajectories.parquet``, ``pulses.csv``, ``summary.csv``, ``points.csv``
    and ``device.json`` into ``output``.

    Raises
    ------
    UserError
        If a chunk is missing, or a file's content is not what its name says.
    """
    output, family = Path(output), section.family
    pulses = tables.checked(family.pulses(section), tables.pulses(family), "pulses.csv")
    events, trajectories, points = [], [], []
    for chunk in plan(section):
        own, track = read(chunk, chunk_directory)
        own.insert(0, "pulse", chunk.pulse)
        events.append(own)
        track.insert(0, "pulse", chunk.pulse)
        trajectories.append(track)
        paths = chunk.paths(chunk_directory)
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
        "family": section.device,
        "writes": family.writes(section).dump(),
        "engine": section.engine,
        "engine_version": engines.version(section.engine),
        "seed": section.seed,
        "instances": section.sweep.instances,
        "replicas_per_instance": section.sweep.replicas_per_instance,
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
