"""Results depend on the problem and its stream, and not on what runs beside it."""

from __future__ import annotations

import hashlib
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import numpy as np

from device_sims import engines
from device_sims.engines.llg import ensemble
from device_sims.problem import Geometry, Initial, Material, Mesh, Numerics, Phase, Problem
from device_sims.validation import Row
from device_sims.validation.setups import THERMAL, driven_track, lasting

SMALL = replace(
    lasting(driven_track(-0.5e-3), 2e-11, 2e-11), mesh=Mesh(48, 8, (4e-9, 4e-9, 1e-9)), temperature_K=300.0,
    initial=Initial("wall", position_m=96e-9),
)  # fmt: skip
MACROSPIN = Problem(
    Mesh(8, 8, (2.5e-9, 2.5e-9, 1e-9)), Geometry("disc"), Material(1e6, 1e-11, 0.1, Ku_J_per_m3=8e5),
    (Phase("wait", 1e-10),), Initial("uniform", (0.1, 0.0, 1.0)), 300.0, Numerics(1e-12), 1e-10,
)  # fmt: skip
COLLECTIVE = replace(
    SMALL, numerics=Numerics(1e-12), schedule=(replace(SMALL.schedule[0], duration_s=1e-10),), record_interval_s=1e-10
)


def _members(problem: Problem, number: int) -> list[Problem]:
    return [replace(problem, stream=(31, "member", i)) for i in range(number)]


def digests(engine: str, problems: list[Problem]) -> list[str]:
    """Return the SHA-256 of each final state's bytes."""
    return [hashlib.sha256(np.ascontiguousarray(r.m[-1]).tobytes()).hexdigest() for r in engines.run(engine, problems)]


def llg_batches():
    problem = replace(SMALL, numerics=Numerics(2e-13, "fdr4", "float64", 2))
    members = _members(problem, 3)
    alone = [r.m[-1] for r in ensemble.run(members, batch=False)]
    together = [r.m[-1] for r in ensemble.run(members, batch=True)]
    error = max(float(np.abs(a - b).max()) for a, b in zip(alone, together))
    yield Row("llg, 3 replicas alone and as one batch, float64", "max difference of m", 0.0, "same stream", error, 1e-9)
    apart = min(float(np.abs(alone[0] - other).max()) for other in alone[1:])
    yield Row("llg, two replicas", "max difference of m", None, "streams differ", apart, 1e-2, "at_least")


def batch_sizes():
    """The engines that run replicas as lanes of one program promise the same bytes for any number of them."""
    for engine, problem in (("macrospin", MACROSPIN), ("collective", COLLECTIVE)):
        whole = digests(engine, _members(problem, 64))
        for size in (1, 7):
            other = digests(engine, _members(problem, size))
            differing = sum(a != b for a, b in zip(whole, other))
            yield Row(
                f"{engine}, batch of {size} against 64", "replicas with other bytes", 0.0, "same stream", differing, 0
            )


def processes():
    """The same replicas in one process and in two."""
    members = _members(replace(SMALL, numerics=THERMAL), 2)
    here = digests("llg", members)
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        there = [own for part in pool.map(digests, ["llg"] * 2, [[m] for m in members]) for own in part]
    differing = sum(a != b for a, b in zip(here, there))
    yield Row("llg, one process against two", "replicas with other bytes", 0.0, "same stream", differing, 0)


CHECKS = (llg_batches, batch_sizes, processes)
QUICK = (batch_sizes,)
