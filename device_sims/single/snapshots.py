"""OVF files of a trajectory: states, and the fields that act in them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from device_sims import engines
from device_sims.problem import Problem, ovf, problem_file


def names(outputs: problem_file.Outputs, number: int) -> list[str]:
    """Return the names of the files of snapshot ``number``."""
    return [f"{stem}{number:06d}.ovf" for stem in ("m", *(f"B_{field}" for field in outputs.fields))]


def write(place: Path, problem: Problem, outputs: problem_file.Outputs, result: engines.Result) -> None:
    """Write the snapshots that ``outputs`` asks for into the directory ``place``.

    The fields are those of the built-in solver in the engine's states, in T.
    """
    records = outputs.snapshots(result.t_s)
    crop = tuple(slice(*limits) for limits in reversed(outputs.crop or ())) or (slice(None),) * 3
    origin = [first * edge for (first, _), edge in zip(outputs.crop or ((0, 0),) * 3, problem.mesh.cell_m)]
    for number, record in enumerate(records):
        found = {"m": result.m[record]}
        if outputs.fields:
            fields = _fields(problem, result, record)
            found |= {f"B_{name}": fields.get(name, np.zeros_like(result.m[record])) for name in outputs.fields}
        for (stem, values), name in zip(found.items(), names(outputs, number), strict=True):
            ovf.write(
                place / name,
                values[(slice(None), *crop)],
                problem.mesh.cell_m,
                format=outputs.ovf_format,
                name=stem,
                time_s=float(result.t_s[record]),
                unit="1" if stem == "m" else "T",
                origin_m=origin,
            )


def _fields(problem: Problem, result: engines.Result, record: int) -> dict[str, np.ndarray]:
    """Return the fields that act at a record, by name, ``float64[3, nz, ny, nx]`` in T."""
    import jax

    from device_sims.engines.llg.solver import Solver

    numerics = replace(problem.numerics, precision="float64", demag_interval_steps=0)
    place, taken, begin = _moment(problem, result, record)
    with jax.enable_x64(True):
        solver = Solver(replace(problem, numerics=numerics))
        system = solver.system(problem)
        drive = solver.drive(problem, problem.schedule[place], begin)
        return solver.fields_T(system, drive, np.asarray(result.m[record], np.float64), taken)


def _moment(problem: Problem, result: engines.Result, record: int) -> tuple[int, int, int]:
    """Return the phase that a record lies in, the steps before the record, and those before the phase.

    By the records at which phases ended, because a phase may end before its time.
    """
    ends = [result.phase_end[phase.name] for phase in problem.schedule]
    place = next(number for number, end in enumerate(ends) if record <= end)
    first = ends[place - 1] if place else 0
    taken, begin = (round(float(result.t_s[one]) / problem.numerics.dt_s) for one in (record, first))
    return place, taken, begin
