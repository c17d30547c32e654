"""The barrier between the states of problem files: ``python -m device_sims barrier``."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.table import Table

from device_sims.barriers import picture, tables
from device_sims.barriers.barrier import Barrier, between
from device_sims.barriers.landscape import Landscape
from device_sims.barriers.settings import Settings
from device_sims.problem import Problem, ovf, problem_file
from device_sims.problem.initial import initial_magnetisation
from spinloom import files
from spinloom.errors import UserError
from spinloom.progress import table_console

TABLES = ("barrier.csv", "path.csv")


def barrier(
    first: str | Path,
    second: str | Path | None,
    output: str | Path,
    settings: Settings,
    phase: str | None = None,
    trajectory: str | Path | None = None,
) -> Barrier:
    """Find the barrier between two states and write it down.

    Parameters
    ----------
    first : path
        Problem file: the problem, whose first state is a.
    second : path, optional
        Problem file that differs in its first state, or an OVF file: state b. Without it b is a with all moments
        reversed.
    output : path
        New directory for ``barrier.csv``, ``path.csv``, ``path.png`` and ``a.ovf``, ``saddle.ovf``, ``b.ovf``.
    settings : Settings
    phase : str, optional
        Name of the phase whose drives act; default: the first.
    trajectory : path, optional
        Folder with ``m*.ovf`` of a run from a to b, in the order of their names: the first guess of the path.

    Returns
    -------
    Barrier

    Raises
    ------
    UserError
        If the files do not fit each other, the directory is there already; as of `between`.
    """
    output = Path(output)
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UserError(f"--output: {output}: found that it exists already, allowed: a new or an empty directory")
    problem, _ = problem_file.load(first)
    try:
        landscape = Landscape(problem, phase)
        a = initial_magnetisation(problem, landscape.mask)
        b = _second(second, problem, landscape, a)
        guess = None if trajectory is None else _states(trajectory, problem)
        found = between(problem, a, b, settings, guess=guess, landscape=landscape)
    except UserError as error:
        raise UserError(f"{first}: {error}") from None
    for note in found.notes:
        print(f"{first}: {note}", file=sys.stderr)
    _write(found, settings.temperature_K, output)
    return found


def _second(second: str | Path | None, problem: Problem, landscape: Landscape, a: np.ndarray) -> np.ndarray:
    if second is None:
        return -a
    if Path(second).suffix.lower() in (".ovf", ".omf"):
        return _read(second, problem)
    other, _ = problem_file.load(second)
    if replace(other, initial=problem.initial).identity() != problem.identity():
        left, right = problem.identity(), other.identity()
        keys = [key for key in {**left, **right} if key != "initial" and left.get(key) != right.get(key)]
        raise UserError(
            f"{second}: found another {', '.join(keys)} than in the first problem, allowed: problems that differ only "
            "in initial"
        )
    return initial_magnetisation(other, landscape.mask)


def _states(folder: str | Path, problem: Problem) -> np.ndarray:
    paths = sorted(Path(folder).glob("m*.ovf"))
    if not paths:
        raise UserError(f"--trajectory: {folder}: found no m*.ovf, allowed: the folder of a run with snapshots")
    return np.stack([_read(path, problem) for path in paths])


def _read(path: str | Path, problem: Problem) -> np.ndarray:
    values = ovf.read(path).values
    if values.shape != (3, *problem.mesh.shape):
        raise UserError(
            f"{path}: found values of shape {values.shape}, allowed: {(3, *problem.mesh.shape)}, the magnetisation in "
            "all cells of the problem"
        )
    return values


def _write(found: Barrier, temperature_K: float, output: Path) -> None:
    table = tables.directions(found, temperature_K)
    with files.sealed(output, TABLES):
        files.write_csv(table, output / "barrier.csv")
        files.write_csv(tables.path(found), output / "path.csv")
    cell_m = found.landscape.problem.mesh.cell_m
    for name, m in (("a", found.a), ("saddle", found.highest.saddle.m), ("b", found.b)):
        ovf.write(output / f"{name}.ovf", m, cell_m, format="binary8", name="m", time_s=0.0)
    picture.draw(found, temperature_K, output / "path.png")
    shown = Table("from", "to", "barrier (kB T)", "attempts (1/s)", "rate (1/s)", "ten years up to (K)", "converged")
    for row in table.to_dict("records"):
        numbers = (row[name] for name in ("barrier_kT", "attempts_per_s", "rate_per_s", "ten_year_temperature_K"))
        shown.add_row(row["state_from"], row["state_to"], *(f"{n:.4g}" for n in numbers), str(row["converged"]))
    table_console().print(shown)
