"""OOMMF as an engine, driven through ubermag.

`limits` says what it can do, `program` finds and starts it, `model` translates a problem, `engine` runs it. Only the
last two import ubermag, which takes seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from device_sims.engines import Result
from device_sims.engines.oommf.limits import check
from device_sims.engines.oommf.program import probe, program_version, run_script
from device_sims.problem import Problem

__all__ = ["SCRIPT", "VERSION", "check", "probe", "program_version", "run", "run_script"]

VERSION = "1"
SCRIPT = ".mif"


def run(problems: Sequence[Problem], raw: str | Path | None = None) -> Iterator[Result]:
    """Yield the trajectory of each problem, in order; arguments and errors as of `engine.run`."""
    from device_sims.engines.oommf import engine

    return engine.run(problems, raw)
