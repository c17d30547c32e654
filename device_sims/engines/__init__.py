"""Engines: who can turn a `Problem` into a trajectory.

An engine is a module with ``run(problems) -> Iterator[Result]``, in the order of ``problems``, and ``probe() ->
(usable, what was looked for)``. It is registered here with its version, by name only: planning a sweep must not import
a solver. The version belongs to each simulation's identity; raise it when a change alters results.

What is computed by a program outside of Python is in `EXTERNAL`: its module has ``probe`` and ``program_version() ->
str`` and imports no solver, so that a study that asks for it stops at planning time where it cannot run. The version of
the program is part of the engine's, and who plans a study must have it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np

from device_sims.problem import Problem
from spinloom.errors import UserError

REGISTRY = {
    "llg": ("device_sims.engines.llg.ensemble", "2"),
    "macrospin": ("device_sims.engines.macrospin", "1"),
    "collective": ("device_sims.engines.collective.engine", "1"),
    "mumax3": ("device_sims.engines.mumax3", "1"),
    "oommf": ("device_sims.engines.oommf.engine", "1"),
}
EXTERNAL = {"mumax3": "device_sims.engines.mumax3.process", "oommf": "device_sims.engines.oommf.program"}
# device families that an engine can do, where it cannot do all
FAMILIES = {"macrospin": ("stt_mtj", "vcma_mtj"), "collective": ("domain_wall", "notched_wire")}
# modules whose ``check(problem)`` refuses, without loading the solver, what it could not do
CHECKS = {
    "llg": "device_sims.engines.llg.stability",
    "mumax3": "device_sims.engines.mumax3",
    "oommf": "device_sims.engines.oommf.limits",
}


@dataclass(frozen=True)
class Result:
    """One trajectory.

    Attributes
    ----------
    t_s : float64[n]
        Time of each record, from 0, s.
    m : float32 or float64 [n, 3, nz, ny, nx]
        Unit magnetisation at those times, zero outside the mask.
    mask : bool[nz, ny, nx]
    phase_end : dict
        Index of the record at the end of each phase, by the phase's name.
    energies_J : dict of float64[n]
        Energy of each term, and ``total``, at those times, J.
    notes : tuple of str
        What the engine had to approximate in the problem, a line each.
    """

    t_s: np.ndarray
    m: np.ndarray
    mask: np.ndarray
    phase_end: dict[str, int]
    energies_J: dict[str, np.ndarray]
    notes: tuple[str, ...] = ()


def version(name: str) -> str:
    """Return an engine's version, with that of the program that it starts, if any.

    Raises
    ------
    UserError
        If there is no such engine, or its program is not usable here.
    """
    if name not in REGISTRY:
        raise UserError(f"device_sims.engine: found '{name}', allowed: {', '.join(REGISTRY)}")
    if name not in EXTERNAL:
        return REGISTRY[name][1]
    usable, text = probe(name)
    if not usable:
        raise UserError(f"device_sims.engine: {name} cannot run here: {text}")
    return f"{REGISTRY[name][1]} ({import_module(EXTERNAL[name]).program_version()})"


def probe(name: str) -> tuple[bool, str]:
    """Return whether an engine can run here, and what was looked for."""
    try:
        return import_module(EXTERNAL.get(name, REGISTRY[name][0])).probe()
    except ImportError as error:
        return False, f"its module cannot be imported ({error})"


def check(name: str, family: str, problems: Sequence[Problem]) -> None:
    """Check, before anything is simulated, that an engine can do a family's problems.

    Raises
    ------
    UserError
        Naming the first key that cannot be.
    """
    version(name)
    able = [engine for engine in REGISTRY if family in FAMILIES.get(engine, (family,))]
    if name not in able:
        raise UserError(f"device_sims.engine: found {name} with device {family}, allowed: {', '.join(able)}")
    for problem in problems:
        check_problem(name, problem, "device_sims", ".")


def check_problem(name: str, problem: Problem, where: str, separator: str = ": ") -> None:
    """Check that an engine can do one problem of its kind; ``where`` precedes the key in the error."""
    if name in CHECKS:
        try:
            import_module(CHECKS[name]).check(problem)
        except UserError as error:
            raise UserError(f"{where}{separator}{error}") from None


def run(name: str, problems: Sequence[Problem], raw: str | Path | None = None) -> Iterator[Result]:
    """Run problems on the named engine, yielding results in order.

    An engine of `EXTERNAL` keeps the files of its program in ``raw`` if that is given: ``module.run(problems, raw)``.
    """
    version(name)
    module: ModuleType = import_module(REGISTRY[name][0])
    return module.run(problems) if raw is None else module.run(problems, raw)
