"""Engines: who can turn a `Problem` into a trajectory.

Each module or subpackage of this package is an engine, as is each entry point of the group ``spinloom.engines``. It
defines

* ``VERSION``, a text that is part of each simulation's identity: raise it when a change alters results;
* ``probe() -> (usable, what was looked for)``;
* ``run(problems) -> Iterator[Result]``, in the order of ``problems``.

and, where it applies,

* ``check(problem)``: raises `UserError` naming the first key of a problem that the engine could not do;
* ``BODY``, of a reduced model: the kind of body that it is a model of, as device families name theirs; such an engine
  does no other family;
* ``program_version() -> str``: the version of a program outside of Python that it starts. This version becomes part of
  the engine's, a study that asks for the engine stops at planning time where the program is missing, and ``run`` takes
  a second argument, the folder that keeps the program's files or None;
* ``GPU = True``: each job needs a GPU;
* ``SCRIPT``, the ending of the scripts of its program, and ``run_script(path) -> Path``, which runs one where it lies
  and returns the folder of what it wrote, for the device family that is a script.

Planning a study imports an engine's module, so this must not import a solver before ``run`` or ``probe`` is called.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np

from device_sims.finished import scripted
from device_sims.finished.scripted import Scripted, Written
from device_sims.problem import Problem
from spinloom.errors import UserError
from spinloom.registry import Registry

REGISTRY = Registry("device_sims.engine", __name__, words=("VERSION", "probe", "run"))
GRAINS_ALL_DO = ("size_m", "seed", "instance", "Ku_spread")  # where Ku may differ from cell to cell
ENERGIES = ("exchange", "dmi", "anisotropy", "demag", "zeeman", "total")


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
        Energies at those times, J, by names of `ENERGIES`; a term that is left out is zero.
    notes : tuple of str
        What the engine had to approximate in the problem, a line each.
    shift_cells : int64[n] or None
        Of a window that moves with the wall, by how many columns it has moved at those times.
    """

    t_s: np.ndarray
    m: np.ndarray
    mask: np.ndarray
    phase_end: dict[str, int]
    energies_J: dict[str, np.ndarray]
    notes: tuple[str, ...] = ()
    shift_cells: np.ndarray | None = None


def version(name: str) -> str:
    """Return an engine's version, with that of the program that it starts, if any.

    Raises
    ------
    UserError
        If there is no such engine, or its program is not usable here.
    """
    engine = REGISTRY.get(name)
    if not starts_program(engine):
        return engine.VERSION
    usable, text = probe(name)
    if not usable:
        raise UserError(f"device_sims.engine: {name} cannot run here: {text}")
    return f"{engine.VERSION} ({engine.program_version()})"


def probe(name: str) -> tuple[bool, str]:
    """Return whether an engine can run here, and what was looked for; `UserError` if there is no such engine."""
    REGISTRY.module(name)
    try:
        return REGISTRY.get(name).probe()
    except ImportError as error:
        return False, f"its module cannot be imported ({error})"
    except UserError as error:
        return False, str(error)


def reduced(engine: ModuleType) -> bool:
    """Return whether an engine is a model of one kind of body."""
    return hasattr(engine, "BODY")


def does(engine: ModuleType, family: ModuleType) -> bool:
    """Return whether an engine can do a device family."""
    return not reduced(engine) or engine.BODY == getattr(family, "BODY", None)


def starts_program(engine: ModuleType) -> bool:
    """Return whether an engine starts a program outside of Python."""
    return hasattr(engine, "program_version")


def needs_gpu(name: str) -> bool:
    """Return whether each job of an engine needs a GPU."""
    return getattr(REGISTRY.get(name), "GPU", False)


def those(holds: Callable[[ModuleType], bool]) -> list[str]:
    """Return the names of the engines that can be imported and for which ``holds(module)``."""
    found = []
    for name in REGISTRY.names():
        with suppress(ImportError, UserError):
            if holds(REGISTRY.get(name)):
                found.append(name)
    return found


def check(name: str, device: str, family: ModuleType, problems: Sequence[Problem | Scripted]) -> None:
    """Check, before anything is simulated, that an engine can do the problems of a device's ``family``.

    Raises
    ------
    UserError
        Naming the first key that cannot be.
    """
    version(name)
    if not does(REGISTRY.get(name), family):
        able = ", ".join(those(lambda engine: does(engine, family)))
        raise UserError(f"device_sims.engine: found {name} with device {device}, allowed: {able}")
    for problem in problems:
        check_problem(name, problem, "device_sims", ".")


def check_problem(name: str, problem: Problem | Scripted, where: str, separator: str = ": ") -> None:
    """Check that an engine can do one problem of its kind; ``where`` precedes the key in the error.

    Raises
    ------
    UserError
        If it cannot; names the first such key.
    """
    engine = REGISTRY.get(name)
    if isinstance(problem, Scripted):
        if getattr(engine, "SCRIPT", None) != problem.ending:
            able = ", ".join(those(lambda engine: getattr(engine, "SCRIPT", None) == problem.ending))
            raise UserError(f"{where}{separator}engine: found {name} with {problem.script}, allowed: {able}")
        return
    if hasattr(engine, "check"):
        try:
            engine.check(problem)
        except UserError as error:
            raise UserError(f"{where}{separator}{error}") from None


def refuse_terms(problem: Problem, engine: str, able: Collection[str] = ()) -> None:
    """Check that ``engine`` has the less common terms that a problem uses; ``able`` are the keys of those it has.

    Raises
    ------
    UserError
        Naming the first key of another.
    """
    material, grains = problem.material, problem.grains
    used = {
        "mesh.periodic": any(problem.mesh.wraps),
        "material.Kc1_J_per_m3": material.Kc1_J_per_m3,
        "material.Kc2_J_per_m3": material.Kc2_J_per_m3,
        "material.second_Ku_J_per_m3": material.second_Ku_J_per_m3,
        "material.Dbulk_J_per_m2": material.Dbulk_J_per_m2,
        "regions.cubic_axes": any(region.cubic_axes is not None for region in problem.regions),
        "couplings": bool(problem.couplings),
    }
    if grains is not None:
        used |= {f"grains.{name}": value for name, value in vars(grains).items() if name not in GRAINS_ALL_DO}
        used["grains.exchange_factor"] = grains.exchange_factor != 1
    for key, value in used.items():
        if value and key not in able:
            raise UserError(f"{key}: found with engine {engine}, which has no such term, allowed: engine llg")


def run(name: str, problems: Sequence[Problem], raw: str | Path | None = None) -> Iterator[Result]:
    """Run problems on the named engine, yielding results in order.

    An engine that starts a program keeps the program's files in ``raw`` if that is given.
    """
    version(name)
    engine = REGISTRY.get(name)
    return engine.run(problems) if raw is None else engine.run(problems, raw)


def run_scripts(name: str, scripts: Sequence[Scripted]) -> Iterator[Written]:
    """Run scripts with the named engine's program, yielding what each did in order."""
    version(name)
    return scripted.run(name, REGISTRY.get(name), scripts)
