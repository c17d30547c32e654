"""Problems that several groups solve, and what is read off them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from device_sims import engines
from device_sims.engines import Result
from device_sims.problem import Geometry, Initial, Material, Mesh, Numerics, Phase, Problem
from device_sims.problem.observables import mean_magnetisation, wall_position
from device_sims.validation import REFERENCE

ENGINE = "llg"  # `validation.run` sets it
ADAPTIVE = Numerics(2e-13, "dopri5", "float64", 0, tolerance=1e-6)
THERMAL = Numerics(5e-13, "fdr4", "float32", 2)  # what sweeps use


def track(**changes) -> Problem:
    """The racetrack of the reference trajectories: 512 x 64 x 1 nm, 4 nm cells, wall in the middle, T = 0."""
    problem = Problem(
        mesh=Mesh(128, 16, (4e-9, 4e-9, 1e-9)),
        geometry=Geometry(),
        material=Material(1e6, 1.5e-11, 0.02, Ku_J_per_m3=8e5),
        schedule=(Phase("run", 2e-10),),
        initial=Initial("wall", position_m=256e-9, width_m=12e-9),
        temperature_K=0.0,
        numerics=Numerics(2e-13, "rk4", "float64", 0),
        record_interval_s=5e-11,
    )
    return replace(problem, **changes)


def driven_track(D_J_per_m2: float = 0.5e-3, **changes) -> Problem:
    """The track with DMI (our sign) and a spin-orbit torque of 1e11 A/m2, as in ``racetrack_dmi_sot``."""
    problem = with_material(track(**changes), D_J_per_m2=D_J_per_m2, spin_hall_angle=0.1)
    return with_drive(problem, current_density_A_per_m2=1e11)


def with_material(problem: Problem, **changes) -> Problem:
    return replace(problem, material=replace(problem.material, **changes))


def with_numerics(problem: Problem, **changes) -> Problem:
    return replace(problem, numerics=replace(problem.numerics, **changes))


def with_drive(problem: Problem, **changes) -> Problem:
    """Change every phase of the schedule."""
    return replace(problem, schedule=tuple(replace(phase, **changes) for phase in problem.schedule))


def lasting(problem: Problem, duration_s: float, record_interval_s: float) -> Problem:
    return replace(with_drive(problem, duration_s=duration_s), record_interval_s=record_interval_s)


def solve(problem: Problem) -> Result:
    """Return the trajectory by the engine that is being checked."""
    (result,) = engines.run(ENGINE, [problem])
    return result


def means(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """Return the times and the mean magnetisation, ``[n]`` and ``[n, 3]``."""
    result = solve(problem)
    return result.t_s, mean_magnetisation(result.m.astype(np.float64), result.mask)


def reference(name: str) -> np.ndarray:
    """Return OOMMF's trajectory, float64[n, 4]: t in s, mx, my, mz."""
    return np.loadtxt(REFERENCE / f"{name}.csv", delimiter=",", skiprows=1, usecols=(0, 1, 2, 3))


def thread(cell_m: float, length_m: float, material: Material, initial: Initial, phase: Phase, **numerics) -> Problem:
    """A line of cells without stray field: the one-dimensional wall that closed formulas are about."""
    return Problem(
        mesh=Mesh(round(length_m / cell_m), 1, (cell_m, cell_m, 1e-9)),
        geometry=Geometry(),
        material=material,
        schedule=(phase,),
        initial=initial,
        temperature_K=0.0,
        numerics=replace(ADAPTIVE, demag=False, **numerics),
        record_interval_s=max(phase.duration_s / 20, ADAPTIVE.dt_s),
    )


def speed(result: Result, dx: float) -> float:
    """Return the wall's speed over the second half of the records, m/s; ``dx`` is the length of a cell, m."""
    late = result.t_s >= result.t_s[-1] / 2
    position = wall_position(result.m[:, 2], result.mask, dx)
    return float(np.polyfit(result.t_s[late], position[late], 1)[0])
