"""Our results as folders of finished runs of mumax3, OOMMF, ubermag, mumax+ and `python -m device_sims run`.

Headers and names are those of the programs' own files; see docs/import/runs.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from device_sims import engines
from device_sims.devices import Batch
from device_sims.engines import Result
from device_sims.problem import Problem, observables, ovf
from device_sims.sweep import chunk, sweep
from spinloom import files


def simulated(section: Any, folder: Path, monkeypatch: Any) -> list[tuple[Batch, Problem, int, Result]]:
    """Run a sweep into ``folder``/tables and return batch, problem, replica and result of each write."""
    kept: list[tuple[Batch, Problem, int, Result]] = []
    run = engines.run

    def recording(name, problems):
        found = list(run(name, problems))
        kept.extend(zip(work, problems, numbers, found, strict=True))
        return found

    monkeypatch.setattr(engines, "run", recording)
    for one in sweep.plan(section):
        work = [batch for batch in one.batches for _ in range(batch.replicas)]
        numbers = [batch.first + number for batch in one.batches for number in range(batch.replicas)]
        chunk.run(one, folder / "chunks")
    monkeypatch.setattr(engines, "run", run)
    sweep.collect(section, folder / "chunks", folder / "tables")
    return kept


def columns(problem: Problem, result: Result) -> dict[str, np.ndarray]:
    """Return time, mean magnetisation and the wall's position."""
    mean = observables.mean_magnetisation(result.m, result.mask)
    position = observables.wall_position(result.m[:, 2], result.mask, problem.mesh.cell_m[0], problem.initial.up_left)
    return {"t": result.t_s, "mx": mean[:, 0], "my": mean[:, 1], "mz": mean[:, 2], "wall": position}


def mumax3(folder: Path, problem: Problem, result: Result) -> None:
    """Write ``table.txt`` with a column ``ext_wall (m)``, and ``m000000.ovf``..."""
    folder.mkdir(parents=True)
    own = columns(problem, result)
    names = {"t": "t (s)", "mx": "mx ()", "my": "my ()", "mz": "mz ()", "wall": "ext_wall (m)"}
    rows = np.column_stack([own[name] for name in names]).tolist()
    text = "# " + "\t".join(names.values()) + "\n" + "".join("\t".join(map(repr, row)) + "\n" for row in rows)
    (folder / "table.txt").write_text(text)
    (folder / "log.txt").write_text("//mumax 3.11.1\n")
    for number, (t, m) in enumerate(zip(result.t_s, result.m)):
        ovf.write(folder / f"m{number:06d}.ovf", m, problem.mesh.cell_m, time_s=float(t))


def oommf(stem: Path, problem: Problem, result: Result) -> None:
    """Write ``NAME.odt`` and ``NAME-Oxs_TimeDriver-Magnetization-00-0000000.omf``..., M in A/m."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    own, driver = columns(problem, result), "Oxs_TimeDriver::"
    head = [f"{{{driver}Simulation time}}", *(f"{driver}m{axis}" for axis in "xyz")]
    odt = ["# ODT 1.0", "# Table Start", "# Title: mmArchive Data Table", f"# Columns: {' '.join(head)}"]
    odt += ["# Units: s {} {} {}"]
    rows = np.column_stack([own[name] for name in ("t", "mx", "my", "mz")]).tolist()
    text = "\n".join([*odt, *(" " + "  ".join(map(repr, row)) for row in rows), "# Table End"]) + "\n"
    stem.with_name(stem.name + ".odt").write_text(text)
    for number, (t, m) in enumerate(zip(result.t_s, result.m)):
        name = f"{stem.name}-Oxs_TimeDriver-Magnetization-00-{number:07d}.omf"
        values = m.astype(float) * problem.material.Ms_A_per_m
        ovf.write(stem.parent / name, values, problem.mesh.cell_m, format="binary8", time_s=float(t))
        content = (stem.parent / name).read_bytes()
        (stem.parent / name).write_bytes(content.replace(b" s\n", b" seconds\n", 1))


def ubermag(folder: Path, problem: Problem, result: Result) -> None:
    """Write ``folder/track/drive-0``, with ubermag's own names."""
    drive = folder / "track" / "drive-0"
    oommf(drive / "track", problem, result)
    (drive / "info.json").write_text("{}")
    ovf.write(drive / "m0.omf", result.m[0], problem.mesh.cell_m, format="binary8")


def mumax_plus(path: Path, problem: Problem, result: Result) -> None:
    """Write what mumax+'s time solver writes with a ``file_name``: a vector stands in brackets."""
    path.parent.mkdir(parents=True, exist_ok=True)
    own = columns(problem, result)
    rows = zip(*(own[name].tolist() for name in ("t", "mx", "my", "mz", "wall")))
    lines = [f"{t!r}\t[{x!r}, {y!r}, {z!r}]\t{wall!r}" for t, x, y, z, wall in rows]
    path.write_text("\n".join(["# time\tm\twall", *lines]) + "\n")


def ours(folder: Path, problem: Problem, result: Result) -> None:
    """Write ``table.csv`` and snapshots as `device_sims.single.run` does."""
    folder.mkdir(parents=True)
    own = columns(problem, result)
    table = pd.DataFrame({"t_s": own["t"], "mz": own["mz"], "wall_position_m": own["wall"]})
    files.write_csv(table, folder / "table.csv")
    for number, (t, m) in enumerate(zip(result.t_s, result.m)):
        ovf.write(folder / f"m{number:06d}.ovf", m, problem.mesh.cell_m, time_s=float(t))
