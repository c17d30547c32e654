"""Runs -> one row each: what distinguishes it, the state before and after, and what could not be used."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from calibration.sources.importers.measured import instances
from calibration.sources.importers.reading import Report
from calibration.sources.importers.runs.names import QUANTITIES, Pattern, manifest, quantity
from calibration.sources.importers.units import complaint
from device_sims.finished import places, tables, write
from device_sims.finished.places import Files
from device_sims.finished.tables import Unfit
from device_sims.finished.write import Recorded, Seen
from spinloom.errors import UserError
from spinloom.quantities import DRIVES, of

ENSEMBLE = "ensemble.csv"  # of `python -m device_sims run --replicas`: the last row of each replica
DIGITS = 12  # that a difference of times and a product of cells keep: 24 cells of 4 nm are 9.6e-08 m
MOST = 4  # names in a note


@dataclass(frozen=True)
class Gathered:
    """What was read.

    Attributes
    ----------
    table : DataFrame
        A row for each run that can be used.
    size_m : tuple of 2 floats or None
        Length and width of the snapshots' mesh.
    programs, devices : list of str
    notes : list of str
    """

    table: pd.DataFrame
    size_m: tuple[float, float] | None
    programs: list[str]
    devices: list[str]
    notes: list[str]


def runs_at(path: Path) -> list[Path]:
    """Return the runs at a path, which may be a pattern; of a folder of replicas, each of them."""
    found = [path] if path.exists() else [Path(name) for name in glob.glob(str(path), recursive=True)]
    runs = []
    for one in sorted(found, key=_order):
        replicas = sorted(one.glob("replica_*"), key=_order) if one.is_dir() else []
        runs += replicas or [one]
    return runs


def looks_like_runs(run: Path) -> bool:
    """Return whether the files of a run are there, as the programs call them."""
    try:
        files = places.find(run)
    except UserError:
        return False
    known = files.table is not None and (files.table.name == "table.txt" or files.table.suffix == ".odt")
    return bool(known or files.snapshots)


def told_names(options: Any) -> set[str]:
    """Return the names of what pattern, manifest and columns tell."""
    names = set(options.columns)
    if options.pattern is not None:
        names |= set(Pattern(options.pattern).names)
    if options.manifest is not None:
        names |= {name for row in manifest(options.manifest).values() for name in row}
    return names


def inputs(path: Path, options: Any) -> list[Path]:
    """Return the files that are read: of each run its table, its snapshots if they tell the state; the manifest."""
    found = [Path(options.manifest)] if options.manifest is not None else []
    for run in runs_at(path):
        if run.name == ENSEMBLE:
            found.append(run)
            continue
        try:
            files = places.find(run, options.table, options.snapshots)
        except Unfit:  # told when it is read
            continue
        found += [files.table] if files.table is not None else []
        found += files.snapshots if options.state_column is None else ()
    return sorted(set(found))


def gather(path: Path, options: Any, reset: bool, report: Report) -> Gathered:
    """Read all runs at a path; those that cannot be used go to ``report``.

    Raises
    ------
    UserError
        If there are none, what distinguishes them is not told or told twice, or their cells differ.
    """
    runs = runs_at(path)
    if not runs:
        raise UserError(f"{path}: found nothing, allowed: runs, or a pattern of their folders in quotes")
    pattern = None if options.pattern is None else Pattern(options.pattern)
    listed = None if options.manifest is None else manifest(options.manifest)
    rows, programs, mesh, first = [], set(), None, None
    names: dict[tuple, str] = {}
    present: list[dict[str, Any]] = []
    for run, recorded in _recorded(runs, options, report):
        report.total += 1
        told = _told(run, options, pattern, listed)
        present.append(told)
        try:
            if isinstance(recorded, Unfit):
                raise recorded
            row, seen = _row(run, recorded, told, options, reset)
        except Unfit as error:
            report.drop(run, 0, str(error))
            continue
        if "replica" in told:
            key = tuple(sorted((told | {name: row[name] for name in options.columns}).items()))
            if key in names:
                raise UserError(
                    f"{path}: {run} and {names[key]} are declared as the same write "
                    f"({', '.join(f'{name} {value}' for name, value in key)}), allowed: each once"
                )
            names[key] = str(run)
        if seen.mesh is not None:
            if mesh is not None and not _same(seen.mesh, mesh):
                raise UserError(
                    f"{path}: found {write.mesh_told(*seen.mesh)} in {run.name} and {write.mesh_told(*mesh)} in "
                    f"{first}, allowed: the same cells in all runs"
                )
            mesh, first = mesh or seen.mesh, first or run.name
        programs.add(_program(recorded))
        rows.append(row)
    table = _ended(pd.DataFrame(rows), options, report)
    devices, notes = [], _missing(present)
    if len(table):
        devices, table["instance"] = instances(table["device"])
        if "replica" not in table:
            own = [name for name in (*QUANTITIES, "device") if name in table]
            table["replica"] = table.groupby(own, dropna=False).cumcount()
    left = len(report.table())
    if left:
        notes.insert(0, f"{left} of {report.total} runs are left out, the first: {report.table()['reason'].iloc[0]}")
    size = None if mesh is None else (_short(mesh[0][0] * mesh[1][0]), _short(mesh[0][1] * mesh[1][1]))
    if size is not None and options.length_m is not None and abs(options.length_m / size[0] - 1) > 1e-6:
        raise UserError(
            f"{path}: option length_m: found {options.length_m:g}, allowed: {size[0]:g}, the length of the snapshots' "
            "mesh"
        )
    return Gathered(table, size, sorted(programs), devices, notes)


def _recorded(runs: list[Path], options: Any, report: Report) -> Iterator[tuple[Path, Recorded | Unfit]]:
    """Yield each run with its table and times, or why it cannot be used."""
    for run in runs:
        if run.name == ENSEMBLE:
            content = run.read_bytes()
            whole = tables.read(run, content)
            numbers = whole.column("replica", "replica", "").astype(int)
            for place, number in enumerate(numbers):
                one = {name: values[place : place + 1] for name, values in whole.columns.items()}
                own = replace(whole, columns=one)
                name = run.parent / f"replica_{number:06d}"
                row = repr(sorted((name, float(values[0])) for name, values in one.items())).encode()
                yield name, Recorded(Files(run, run, ()), own, row, own.time_s)
            continue
        try:
            files, last = places.find(run, options.table, options.snapshots), options.restarted == "last"
            yield run, write.record(options, files, columns=bool(options.columns), last_start=last)
        except Unfit as error:
            yield run, error


def _told(run: Path, options: Any, pattern: Pattern | None, listed: dict[str, dict[str, str]] | None) -> dict[str, Any]:
    """Return what names and manifest tell of a run, in SI; the repetition is called ``replica``."""
    texts: dict[str, str] = {}
    sources: dict[str, Any] = {}
    if pattern is not None:
        found = pattern.told(run)
        if found is None:
            raise UserError(f"{run}: found a name that does not fit the pattern '{pattern.text}' (option pattern)")
        texts |= found
    if listed is not None:
        own = [name for name in listed if f"/{run.as_posix()}".endswith(f"/{name}")]
        if len(own) != 1:
            raise UserError(f"{options.manifest}: found {len(own)} rows of the run {run}, allowed: one")
        for name, text in listed[own[0]].items():
            if name in texts:
                raise UserError(
                    f"{options.manifest}: column {name}: found it in the pattern too, allowed: one of the two"
                )
            texts[name], sources[name] = text, options.manifest
    told: dict[str, Any] = {}
    for name, text in texts.items():
        try:
            value: Any = quantity(text, name) if name in QUANTITIES else text if name == "device" else int(text)
        except ValueError as error:
            source = f"{sources[name]}, run {run.name}" if name in sources else run
            reason = str(error) if str(error).startswith("found") else f"found '{text}', allowed: a whole number"
            raise UserError(f"{source}: {name}: {reason}") from None
        if isinstance(value, float) and (wrong := complaint(value, name)):
            raise UserError(f"{run}: {name}: {wrong}")
        told["replica" if name == "seed" else name] = value
    replica = re.fullmatch(r"replica_(\d+)", run.name)
    if replica and "replica" not in told:
        told["replica"] = int(replica[1])
    return told


def _row(run: Path, recorded: Recorded, told: dict[str, Any], options: Any, reset: bool) -> tuple[dict, Seen]:
    """Return the row of a run, and what was seen of it."""
    row: dict[str, Any] = {name: getattr(options, name) for name in (*DRIVES, "duration_s", "temperature_K")}
    given = {name for name, value in row.items() if name in options.model_fields_set and value is not None}
    for name in sorted(given & (told.keys() | options.columns.keys())):
        raise UserError(f"{run}: option {name}: found it in the runs too, allowed: one of the two")
    row |= told
    if row["duration_s"] is None:
        raise UserError(f"{run}: duration_s: found nothing, allowed: by pattern, manifest or option duration_s")
    for name, column in options.columns.items():
        if name in told:
            raise UserError(f"{run}: columns: found {name} in the run's name too, allowed: one of the two")
        row[name] = _during(recorded, name, column, options.pulse_start_s, row["duration_s"])
    end = float(recorded.t_s[-1])
    if options.settle_s is not None:
        end = options.pulse_start_s + row["duration_s"] + options.settle_s
    elif end < options.pulse_start_s + row["duration_s"]:
        raise Unfit(
            f"{run}: ended early: its last record is at {end:g} s, the pulse ends at "
            f"{options.pulse_start_s + row['duration_s']:g} s"
        )
    seen = write.see(options, recorded, row["duration_s"], end, before=not reset)
    row |= {
        "run": str(run),
        "device": row.get("device", "0"),
        "nominal_start_m": row.pop("start_m", 0.0) or 0.0,
        "outcome": seen.outcome,
        "end_s": seen.end_s,
        "gap_s": seen.gap_s,
        "settle_s": options.settle_s,
        "spec_hash": seen.sha256,
    }
    if options.state == "levels":
        row |= {"start_state": write.level(seen.before), "mz_pulse_mean": seen.pulse_mean}
        if not reset and row["start_state"] == write.UNDECIDED:
            raise Unfit(f"{run}: begins in neither state: {options.state_column} is {seen.before:g} before the pulse")
        return row, seen
    if not reset and np.isnan(seen.before):
        raise Unfit(f"{run}: has no single wall when the pulse begins")
    return {**row, "start_position_m": seen.before, "final_position_m": seen.after}, seen


def _during(recorded: Recorded, name: str, column: str, start_s: float, duration_s: float) -> float:
    """Return the one value that a column has during the pulse."""
    if recorded.table is None:
        raise UserError(f"{recorded.files.run}: columns: found no table, allowed: a run with a table")
    t_s, values = recorded.table.time_s, recorded.table.column(column, f"columns: {name}", of(name).si)
    own = values[(t_s > start_s) & (t_s < (start_s + duration_s) * (1 - write.CLOSE))]
    own = own if own.size else values[(t_s > start_s) & (t_s <= (start_s + duration_s) * (1 + write.CLOSE))]
    if not own.size:
        raise Unfit(f"{recorded.files.run}: has no record during the pulse, so '{column}' says nothing about it")
    if np.ptp(own) > write.CLOSE * np.abs(own).max():
        raise UserError(
            f"{recorded.files.run}: columns: '{column}' goes from {own.min():g} to {own.max():g} during the pulse, "
            "allowed: one value"
        )
    return float(own[0])


def _ended(table: pd.DataFrame, options: Any, report: Report) -> pd.DataFrame:
    """Return the runs that lasted as long as the others with this pulse, with the time that they settle."""
    if options.settle_s is not None or table.empty:
        return table
    last = table.groupby("duration_s")["end_s"].transform("max")
    early = table["end_s"] < last - np.maximum(write.LATE * table["gap_s"], write.CLOSE * last)
    for run, end_s, most in zip(table["run"][early], table["end_s"][early], last[early]):
        report.drop(
            Path(run),
            0,
            f"{run}: ended early: its last record is at {end_s:g} s, that of the longest run at {most:g} s",
        )
    settle = last - options.pulse_start_s - table["duration_s"]
    table = table.assign(settle_s=[max(_short(value), 0.0) for value in settle])
    return table[~early].reset_index(drop=True)


def _missing(present: list[dict[str, Any]]) -> list[str]:
    """Return notes on the repetitions that some writes have and others lack."""
    groups: dict[tuple, set[int]] = {}
    for told in present:
        if "replica" in told:
            key = tuple(sorted((name, value) for name, value in told.items() if name != "replica"))
            groups.setdefault(key, set()).add(told["replica"])
    most = max(map(len, groups.values()), default=0)
    known, notes = set().union(*groups.values()) if groups else set(), []
    for key, own in groups.items():
        if len(own) < most:
            what = ", ".join(f"{name} {value}" for name, value in key) or "the pulse"
            lack = sorted(known - own)
            which = (
                f": {', '.join(map(str, lack[:MOST]))}{', ...' if len(lack) > MOST else ''}"
                if len(known) == most
                else ""
            )
            notes.append(
                f"{what} has {len(own)} runs where others have {most}; missing{which or ' are ' + str(most - len(own))}"
            )
    return notes if len(notes) <= MOST else [*notes[:MOST], f"and so do {len(notes) - MOST} more"]


def _short(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _same(first, second) -> bool:
    return first[0] == second[0] and np.allclose(first[1], second[1], rtol=1e-4, atol=0)


def _program(recorded: Recorded) -> str:
    """Return which program wrote a run, as far as the names of its files tell."""
    table, shown = recorded.files.table, recorded.files.snapshots
    names = {"table.txt": "mumax3", "table.csv": "spinloom", ENSEMBLE: "spinloom"}
    if table is not None:
        return names.get(table.name, "OOMMF" if table.suffix == ".odt" else "a table")
    return "OOMMF" if shown and shown[0].suffix == ".omf" else "mumax3"


def _order(path: Path) -> list:
    parts = re.split(r"(\d+)", path.as_posix())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
