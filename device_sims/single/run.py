"""One problem file to tables and snapshots: ``python -m device_sims run``.

The output directory belongs to one run, named by the hash of everything that its numbers depend on. A replica is done
when its table is there, which is written last; so an interrupted run goes on where it was, to the same bytes.
"""

from __future__ import annotations

import math
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.table import Table

from device_sims import engines
from device_sims.problem import Problem, observables, problem_file
from device_sims.problem.initial import initial_magnetisation
from device_sims.problem.observables import WALL
from device_sims.problem.readings.columns import KIND, Column, read_off
from device_sims.single import snapshots as snapshots_of
from device_sims.single.drive_columns import drive_columns
from spinloom import files
from spinloom.errors import UserError
from spinloom.progress import Progress, table_console


def run(
    source: str | Path | dict[str, Any],
    engine: str,
    output: str | Path,
    replicas: int | None = None,
    seed: int | None = None,
    raw: str | Path | None = None,
) -> None:
    """Run a problem file and write its results into a directory.

    Parameters
    ----------
    source : path or dict
        Problem file, or what it holds.
    engine : str
        One of `engines.REGISTRY`.
    output : path
        Directory for ``problem.json``, ``table.csv``, ``m000000.ovf``..., and ``notes.txt`` if there is something to
        note. With replicas those of each lie in ``replica_000000``..., beside ``ensemble.csv`` (last row of each) and
        ``ensemble_mean.csv``.
    replicas : int, optional
        Repetitions with a thermal noise of their own; a run without is the replica 0.
    seed : int, optional
        In place of the file's.
    raw : path, optional
        New directory for the files of an engine that is a program of its own, one directory a replica.

    Raises
    ------
    UserError
        If the problem is wrong or too large, the engine cannot run here, or the directory cannot be written or holds
        something else.
    """
    problem, outputs = problem_file.load(source, seed)
    usable_engine(engine)
    if raw is not None and engine not in (able := engines.those(engines.starts_program)):
        raise UserError(f"--raw: found with engine {engine}, allowed: only with {', '.join(able)}")
    if raw is not None and Path(raw).exists():
        raise UserError(f"--raw: {raw}: found that it exists already, allowed: a new directory")
    output = Path(output)
    identity = {
        "engine": engine,
        "engine_version": engines.version(engine),
        "layout": "single" if replicas is None else "ensemble",
        "outputs": outputs.identity(),
        "problem": problem.identity(),
        "problem_hash": problem.hash(),
        "seed": problem.stream[0],
    }
    identity["run_hash"] = files.sha256_text(files.canonical_json(identity))
    places = [output] if replicas is None else [_replica(output, number) for number in range(replicas)]
    try:
        _claim(output, identity)
        _finish(problem_file.called(source), engine, places, problem, outputs, raw)
        if replicas is not None:
            _write_ensemble(output, problem, outputs)
    except OSError as error:
        raise UserError(f"--output: {output}: cannot be written ({error.strerror or error})") from None


def _finish(
    source: str,
    engine: str,
    places: list[Path],
    problem: Problem,
    outputs: problem_file.Outputs,
    raw: str | Path | None,
) -> None:
    """Run the replicas that are not done."""
    missing = [number for number, place in enumerate(places) if not _is_done(place, problem, outputs)]
    problems = [replace(problem, stream=(*problem.stream, number)) for number in missing]
    with Progress(
        f"{Path(source).name}, {engine}",
        len(places),
        "replicas",
        rate_unit="simulated ns/s",
        rate_per=problem.duration_s * 1e9,
        done=len(places) - len(missing),
    ) as progress:
        try:
            results = engines.run(engine, problems, raw) if problems else ()
            for number, result in zip(missing, results, strict=True):
                notes = (*result.notes, *_relaxation(problem, result))
                _write(places[number], problem, outputs, result, notes)
                for note in notes if number == missing[0] else ():
                    print(f"{source}: {engine}: {note}", file=sys.stderr)
                progress.advance(1)
        except UserError as error:
            raise UserError(f"{source}: {error}") from None
        except _too_large() as error:
            raise UserError(
                f"{source}: mesh: found {math.prod(problem.mesh.shape)} cells, with which the engine failed "
                f"({str(error)[:200] or 'out of memory'}), allowed: a mesh and a number of records that fit into "
                "memory"
            ) from None


def _too_large() -> tuple[type[Exception], ...]:
    """Return what engines raise when memory runs out; one that does without JAX has not imported it."""
    return (MemoryError, sys.modules["jax"].errors.JaxRuntimeError) if "jax" in sys.modules else (MemoryError,)


def _replica(output: Path, number: int) -> Path:
    return output / f"replica_{number:06d}"


def usable_engine(name: str) -> None:
    """Raise a `UserError` unless the engine of ``--engine`` exists and can run here."""
    engines.REGISTRY.module(name, "--engine")
    usable, text = engines.probe(name)
    if not usable:
        raise UserError(f"--engine: {name} cannot run here: {text}")


def show_engines() -> None:
    """Print the engines and whether each can run here."""
    table = Table("engine", "version", "usable here", "what was looked for")
    for name in engines.REGISTRY.names():
        usable, text = engines.probe(name)
        version = ""
        with suppress(ImportError, UserError):  # of an engine that cannot be imported nobody knows it
            version = engines.version(name) if usable else engines.REGISTRY.get(name).VERSION
        table.add_row(name, version, "yes" if usable else "no", text)
    table_console().print(table)


def _claim(output: Path, identity: dict) -> None:
    """Make the directory this run's, or raise if it is another's."""
    name = output / "problem.json"
    present = {path for path in output.rglob("*") if path.is_file()}
    stale = {path for path in present if path.name.startswith(".") and path.suffix in (".csv", ".ovf", ".json")}
    if name not in present and present:
        raise UserError(f"{output}: found files but no problem.json, allowed: an empty or a new directory")
    found = files.read_json(name) if name in present else {}
    found = found if isinstance(found, dict) else {}
    if found.get("run_hash") != identity["run_hash"]:
        if present - stale - {name}:  # a run that failed before its first result is no loss
            keys = [key for key in identity if not key.endswith("hash") and found.get(key) != identity[key]]
            raise UserError(
                f"{output}: found the results of another run (it differs in {', '.join(keys)}), allowed: the same run, "
                "or a new directory"
            )
        files.write_json(identity, name)
    for path in stale:  # what a killed run was writing
        path.unlink(missing_ok=True)


def _is_done(place: Path, problem: Problem, outputs: problem_file.Outputs) -> bool:
    if not (place / "table.csv").exists():
        return False
    snapshots = outputs.snapshots(_read(place, problem)["t_s"].to_numpy())
    names = [place / name for number in range(len(snapshots)) for name in snapshots_of.names(outputs, number)]
    return all(name.is_file() and name.stat().st_size for name in names)


def _read(place: Path, problem: Problem) -> pd.DataFrame:
    name = place / "table.csv"
    table = files.read_table(name)
    columns = {"t_s", "mx", "my", "mz", "energy_total_J", WALL}
    numbers, words = set(table.select_dtypes("number")), {name for name in table if str(name).startswith(KIND)}
    last_s = table["t_s"].iloc[-1] if columns <= numbers and set(table) <= numbers | words and len(table) else math.nan
    # a condition may have ended a phase early
    early_s = sum(phase.duration_s for phase in problem.schedule if phase.until is not None)
    if not -problem.numerics.dt_s < problem.duration_s - last_s < early_s + problem.numerics.dt_s:
        raise UserError(
            f"{name}: found a damaged table, allowed: columns of numbers ({', '.join(sorted(columns))}, ...) to the "
            "end of the schedule; remove the file to compute it again"
        )
    return table


def read_replicas(output: str | Path, problem: Problem, replicas: int | None) -> list[pd.DataFrame]:
    """Return the ``table.csv`` of each replica that `run` wrote."""
    output = Path(output)
    places = [output] if replicas is None else [_replica(output, number) for number in range(replicas)]
    return [_read(place, problem) for place in places]


def _relaxation(problem: Problem, result: engines.Result) -> tuple[str, ...]:
    """Return how far the relaxation of the first state moved a single wall, in a line, if it did."""
    if problem.initial.relax_tolerance is None or result.m.shape[2:] != problem.mesh.shape:
        return ()
    given, cell = initial_magnetisation(problem, result.mask), problem.mesh.cell_m[0]
    for component in (2, 0, 1):
        if observables.wall_state(given[component], result.mask, up_left=None) != observables.SINGLE:
            continue
        before = observables.wall_position(given[component], result.mask, cell, up_left=None)
        if observables.wall_state(result.m[0, component], result.mask, up_left=None) != observables.SINGLE:
            return (f"initial.relax_tolerance: the wall at {before * 1e9:.3g} nm is no single wall once relaxed",)
        after = observables.wall_position(result.m[0, component], result.mask, cell, up_left=None)
        if abs(after - before) > cell:
            return (
                f"initial.relax_tolerance: relaxation moved the wall by {(after - before) * 1e9:.3g} nm, from "
                f"{before * 1e9:.4g} to {after * 1e9:.4g} nm",
            )
        return ()
    return ()


def _in_window(problem: Problem, result: engines.Result) -> dict[str, np.ndarray]:
    """Return what a moving window adds to the table, or changes in it: past rough edges each record has its cells."""
    if problem.window is None or result.shift_cells is None:
        return {}
    masks, dx = (result.m != 0).any(1), problem.mesh.cell_m[0]
    mean = [observables.mean_magnetisation(m, mask) for m, mask in zip(result.m, masks)]
    column = Column("wall_position", problem.window.component)
    inside = [read_off(problem, column, m[None], mask)[column.names[0]][0] for m, mask in zip(result.m, masks)]
    shift = result.shift_cells * dx
    columns: dict[str, np.ndarray] = dict(zip(("mx", "my", "mz"), np.transpose(mean)))
    if problem.window.component == "z":
        columns[WALL] = np.array(inside)
    return columns | {"window_shift_m": shift, "wall_position_absolute_m": shift + inside}


def _write(
    place: Path, problem: Problem, outputs: problem_file.Outputs, result: engines.Result, notes: tuple[str, ...]
) -> None:
    snapshots_of.write(place, problem, outputs, result)
    if notes:
        files.write_text("".join(f"{note}\n" for note in notes), place / "notes.txt")
    mean = observables.mean_magnetisation(result.m, result.mask)
    table = pd.DataFrame({"t_s": result.t_s, "mx": mean[:, 0], "my": mean[:, 1], "mz": mean[:, 2]})
    for name in sorted(result.energies_J, key=lambda name: (name == "total", name)):
        table[f"energy_{name}_J"] = result.energies_J[name]
    for name, values in drive_columns(problem, result).items() if outputs.drives else ():
        table[name] = values
    mz = result.m[:, 2]
    one_wall = [state == observables.SINGLE for state in observables.wall_states(mz, result.mask, up_left=None)]
    position = observables.wall_position(mz, result.mask, problem.mesh.cell_m[0], up_left=None)
    table[WALL] = np.where(one_wall, position, np.nan)
    for name, values in _in_window(problem, result).items():
        table[name] = values
    for column in outputs.columns:
        for name, values in read_off(problem, column, result.m, result.mask).items():
            table[name] = values
    files.write_csv(table, place / "table.csv")


def _write_ensemble(output: Path, problem: Problem, outputs: problem_file.Outputs) -> None:
    """Write the last row of each replica that is done, and mean and standard deviation over them against time."""
    found = (path.name.removeprefix("replica_") for path in output.glob("replica_*"))
    numbers = sorted(int(text) for text in found if text.isdecimal())
    numbers = [number for number in numbers if _is_done(_replica(output, number), problem, outputs)]
    # read back, so that it makes no difference which replicas were done before
    tables = [_read(_replica(output, number), problem) for number in numbers]
    for number, table in zip(numbers, tables):
        if list(table) != list(tables[0]):
            raise UserError(
                f"{_replica(output, number) / 'table.csv'}: found columns {', '.join(map(str, table))}, allowed: those "
                f"of the other replicas, {', '.join(map(str, tables[0]))}"
            )
    last = pd.concat([table.tail(1) for table in tables], ignore_index=True)
    last.insert(0, "replica", numbers)
    files.write_csv(last, output / "ensemble.csv")
    words = [name for name in tables[0] if str(name).startswith(KIND)]
    rows = pd.concat(tables).drop(columns=words)
    # a phase that relaxes ends at the time at which it begins: there the rows of one place belong together
    relaxes = any(phase.relax_tolerance is not None for phase in problem.schedule)
    stacked = rows.groupby(level=0) if relaxes else rows.groupby("t_s", sort=True)
    mean, sd = stacked.mean(), stacked.std()
    if relaxes:
        mean, sd = mean.set_index("t_s"), sd.drop(columns="t_s").set_index(mean["t_s"])
    columns = {f"{name}_{what}": part[name] for name in mean for what, part in (("mean", mean), ("sd", sd))}
    columns["replicas_with_one_wall"] = stacked[WALL].count().set_axis(mean.index)
    files.write_csv(pd.DataFrame(columns).reset_index(), output / "ensemble_mean.csv")
