"""How fast work went: each logged job leaves it beside its log, and the last ones tell how long the next will take."""

from __future__ import annotations

from pathlib import Path

from spinloom import files
from spinloom.errors import UserError

SUFFIX = ".speed.json"
SHORT_S = 20.0  # a shorter job says more of compiling than of its work
LATEST = 20  # jobs that tell: enough to average over, few enough to follow the machine
# work per second and process on one hyperthread of a 2.x GHz server core with its twin busy, for a first run
REFERENCE = {"llg": 4e6, "training": 3e10}


def record(log: str | Path, kind: str, work: float, seconds: float) -> None:
    """Write what a job did, beside its log.

    Parameters
    ----------
    log : str or Path
    kind : str
        Jobs of one kind do the same sort of work: an engine, or ``training RULE``.
    work : float
        Of engines cell-steps: cells x time steps x replicas. Of trainings, 1 is a weight of a dense float layer that an
        image passes forward and backward: 0.02 ns on one core (AMD EPYC, AVX-512, batches of 100, 30 November 2026),
        to which all other work is compared.
    seconds : float
        Wall-clock time.
    """
    files.write_json({"kind": kind, "work": work, "seconds": seconds}, Path(log).with_suffix(SUFFIX))


def last(kind: str, results: str | Path = "results", shortest_s: float = SHORT_S) -> float | None:
    """Return the work per second and process of the last jobs of a kind in any study; None if none tells it.

    Those that took less than ``shortest_s`` do not.
    """
    paths = sorted(Path(results).glob(f"*/logs/*/*{SUFFIX}"), key=lambda path: path.stat().st_mtime, reverse=True)
    work = seconds = 0.0
    found = 0
    for path in paths:
        try:
            told = files.read_json(path)
        except UserError:  # of a job that is being removed or written
            continue
        if told["kind"] == kind and told["seconds"] >= shortest_s:
            work, seconds, found = work + told["work"], seconds + told["seconds"], found + 1
        if found == LATEST:
            break
    return work / seconds if seconds > 0 else None
