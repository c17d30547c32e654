"""A write event of a sweep as pictures: simulated once more, because the sweep's tables keep no cells."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from device_sims import engines
from device_sims.common import Pictures, Simulations
from device_sims.pictures import drawing, event
from device_sims.sweep.chunk import Chunk
from device_sims.sweep.names import PICTURES

ENGINE = "llg"  # of the engines with cells the one that needs no program


def pictured(section: Simulations, chunks: list[Chunk]) -> dict[int, str]:
    """Return which chunk of a sweep holds the event to draw, by the pulse's number; none where there are no cells."""
    if section.pictures is None or section.engine != ENGINE:
        return {}
    first: dict[int, str] = {}
    for chunk in chunks:
        first.setdefault(chunk.pulse, chunk.chunk_hash)
    pulses = sorted(first)
    chosen = np.linspace(0, len(pulses) - 1, min(len(pulses), section.pictures.pulses)).round().astype(int)
    return {pulses[place]: first[pulses[place]] for place in chosen}


def draw(chunk: Chunk, options: Pictures, stem: str | Path) -> None:
    """Simulate the first replica of a chunk's first device and write it as `PICTURES`.

    Its random stream is the one that it has in the chunk, so it is the same event.

    Parameters
    ----------
    chunk : Chunk
    options : Pictures
    stem : path
        Of the files, without their endings.
    """
    batch = chunk.batches[0]
    problem = batch.problems()[0]
    (result,) = engines.run(chunk.engine, [problem])
    source = f"{chunk.drive}, instance {batch.instance}, replica {batch.first}"
    found = event.of_result(problem, result, source, options.snapshots, options.most_cells)
    stored, strip, animation = (Path(f"{stem}{ending}") for ending in PICTURES)
    event.write(found, stored)
    drawing.save_small(found, strip, animation)
