"""Trajectories by OOMMF, one process a problem."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import oommfc as oc  # pyright: ignore[reportMissingImports]: ubermag is the user's own
import pandas as pd
import ubermagtable  # pyright: ignore[reportMissingImports]: as above

from device_sims.engines import Result
from device_sims.engines.oommf import limits, program
from device_sims.engines.oommf.model import MAX_ITERATIONS, NAME, Model, relaxation, trajectory
from device_sims.problem import Problem, material, ovf
from device_sims.problem.initial import initial_magnetisation
from spinloom.errors import UserError

TERMS = ("exchange", "dmi", "anisotropy", "demag", "zeeman")  # our names, with which those of OOMMF's terms begin


def run(problems: Sequence[Problem], raw: str | Path | None = None) -> Iterator[Result]:
    """Yield the trajectory of each problem, in order.

    Parameters
    ----------
    problems : sequence of Problem
        They need have nothing in common.
    raw : path, optional
        Where OOMMF's own files are kept, those of problem i in ``raw/i``, as ubermag leaves them:
        ``problem/drive-0/problem.mif``, ``.odt``, ``.omf``... Default: a temporary directory.

    Raises
    ------
    UserError
        If OOMMF cannot run here, cannot do a problem, or fails.
    """
    for problem in problems:
        limits.check(problem)
    with tempfile.TemporaryDirectory(prefix="oommf-") as scratch, program.server(program.found()) as server:
        for number, problem in enumerate(problems):
            own = (Path(raw).resolve() if raw else Path(scratch)) / str(number)
            own.mkdir(parents=True)
            yield _run(problem, _Runner(server), own)
            if raw is None:
                shutil.rmtree(own)


class _Runner(oc.oommf.OOMMFRunner):  # pyright: ignore[reportAttributeAccessIssue]: a submodule that it imports
    """What ubermag's drivers call to run the MIF file of the directory that they are in."""

    def __init__(self, server: program.Server):
        self.server = server  # not the parent's: that would end OOMMF processes at exit that are not ours
        self.model: Model  # set before each drive

    def _call(self, argstr, need_stderr=False, n_threads=None, dry_run=False):
        mif = Path(argstr).resolve()
        mif.write_text(self.model.amended(mif.read_text(encoding="utf-8")), encoding="utf-8")
        code, text = self.server.boxsi(mif)
        if code:
            raise UserError(f"oommf: {program.fault(text)}")
        return SimpleNamespace(returncode=0)

    def _kill(self, targets=("all",), dry_run=False):
        pass

    def _launchhost(self, dry_run=False):
        raise NotImplementedError

    def errors(self):
        raise NotImplementedError

    def __repr__(self):
        return f"OOMMF at {self.server.program.text}"


def _run(problem: Problem, runner: _Runner, folder: Path) -> Result:
    mask = material.mask(problem)
    m = initial_magnetisation(problem, mask)
    if (tolerance := problem.initial.relax_tolerance) is not None:
        model = relaxation(problem, mask, m, tolerance)
        place = _drive(model, runner, folder)
        _check_relaxed(problem, _table(place), tolerance)
        m = _states(place, mask)[-1]
    model = trajectory(problem, mask, m)
    place = _drive(model, runner, folder)
    ends, taken, times_s = {}, 0, [0.0]
    for number, (phase, steps, is_end) in enumerate(problem.frames(), start=1):
        taken += steps
        times_s.append(taken * problem.numerics.dt_s)
        if is_end:
            ends[phase.name] = number
    states, table = _states(place, mask), _table(place)
    if not len(states) == len(table) == len(times_s):
        raise UserError(f"oommf: found {len(states)} states and {len(table)} rows, allowed: {len(times_s)} of each")
    return Result(np.array(times_s), np.stack(states), mask, ends, energies(table, model))


def _drive(model: Model, runner: _Runner, folder: Path) -> Path:
    """Run a model and return the directory of its files."""
    runner.model = model
    try:
        model.driver.drive(model.system, dirname=str(folder), runner=runner, verbose=0, **model.arguments)
    except UnboundLocalError as error:  # what ubermag makes of an interruption
        raise error.__context__ or error from None
    return max((folder / NAME).glob("drive-*"), key=lambda path: int(path.name.removeprefix("drive-")))


def _table(place: Path) -> pd.DataFrame:
    return ubermagtable.Table.fromfile(str(place / f"{NAME}.odt"), rename=False).data


def _states(place: Path, mask: np.ndarray) -> list[np.ndarray]:
    """Return the unit magnetisation of each stage's end, ``float64[3, nz, ny, nx]``."""
    states = []
    for path in sorted(place.glob(f"{NAME}-*.omf")):
        magnetisation = ovf.read(path).values
        norm = np.sqrt((magnetisation**2).sum(0))
        states.append(np.where(mask, magnetisation / np.where(norm > 0, norm, 1), 0.0))
    return states


def energies(table: pd.DataFrame, model: Model) -> dict[str, np.ndarray]:
    """Return our energies, ``float64[n]`` in J, of OOMMF's table: the sums over its terms of a kind.

    A term's column is called ``CLASS:NAME:Energy``.
    """
    columns = {}
    for column in table.columns.astype(str):
        parts = column.split(":")
        if parts[-1] == "Energy" and len(parts) == 3:
            columns[parts[1]] = table[column].to_numpy(float) + model.constant_energy_J.get(parts[1], 0.0)
    found = {}
    for name in TERMS:
        parts = [values for term, values in columns.items() if term.startswith(name)]
        if parts or name != "dmi":
            found[name] = sum(parts, start=np.zeros(len(table)))
    return {**found, "total": sum(found.values(), start=np.zeros(len(table)))}


def _check_relaxed(problem: Problem, table: pd.DataFrame, tolerance: float) -> None:
    (column,) = [name for name in table.columns.astype(str) if name.endswith(":Max mxHxm")]
    rest = float(table[column].iloc[-1]) / problem.material.Ms_A_per_m
    if not rest <= tolerance * (1 + 1e-6):
        raise UserError(
            f"initial.relax_tolerance: found {tolerance:g}, but after {MAX_ITERATIONS} steps of oommf the torque |m x "
            f"H|/Ms is {rest:.2g}, allowed: a tolerance that can be reached"
        )
