"""Problem files: one `Problem`, and what to write of its trajectory, as YAML (`docs/problem_file.md`)."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from device_sims.problem import couplings, material, parts, waveforms
from device_sims.problem.initial import initial_magnetisation
from device_sims.problem.magnetostatics import end_charges
from device_sims.problem.parts import ADAPTIVE, LEAST_TOLERANCE, Map, Numerics
from device_sims.problem.problem import Problem
from device_sims.problem.problem_file.common import data_file
from device_sims.problem.problem_file.constants import Material as MaterialKeys
from device_sims.problem.problem_file.constants import Region, material_of, region_of
from device_sims.problem.problem_file.couplings import Coupling, Grains, check_grains, coupling_of, grains_of
from device_sims.problem.problem_file.drive_maps import DriveMap, check_maps, map_of
from device_sims.problem.problem_file.mesh import Mesh, mesh_of
from device_sims.problem.problem_file.other_names import hints
from device_sims.problem.problem_file.outputs import OutputKeys, Outputs, outputs_of
from device_sims.problem.problem_file.schedule import Phase, phases_of
from device_sims.problem.problem_file.shape import Geometry, Shape, geometry_of, shape_of
from device_sims.problem.problem_file.start import Initial, initial_of
from spinloom import config
from spinloom.declare import Flag, Real, Section, Whole, key
from spinloom.errors import UserError

MAX_RECORDS = 10**6  # beyond it a slip of the keyboard
MAX_VALUES = 2 * 10**9  # numbers of all records of m, which an engine holds in memory


class NumericsKeys(Section):
    """How time is stepped."""

    integrator: Literal["heun", "rk4", "fdr4", "dopri5"] = key(
        "Time stepping scheme; heun and fdr4 are for noise; dopri5 chooses its own steps and is for T = 0.",
        "heun",
    )
    dt_s: Real = key("Time step; every time of the file is a whole number of them.", ge=1e-17, le=1e-09)
    tolerance: Real = key("Error per step that dopri5 keeps; at least 1e-6 with float32.", 1e-06, ge=1e-12, le=0.01)
    precision: Literal["float32", "float64"] = key("Floating-point type.", "float64")
    demag: Flag = key("Whether there is a stray field.", True)
    demag_interval_steps: Whole = key(
        "Steps between evaluations of the other cells' stray field, extrapolated in between; 0 evaluates "
        "it at every stage.",
        0,
        ge=0,
        le=100,
    )


class Window(Section):
    """The box follows a wall along the track, by whole cells."""

    component: Literal["x", "y", "z"] = key("Component of m by which the domains beside the wall are told.", "z")


class ProblemFile(Section):
    """One micromagnetic problem, for `python -m device_sims run`. SI units; docs/problem_file.md explains it."""

    OTHER_NAMES: ClassVar[dict[str, str]] = hints()

    seed: Whole = key(
        "Seed of the thermal noise and of the rough edges; --seed replaces it.",
        0,
        ge=0,
        le=9007199254740991,
    )
    temperature_K: Real = key("Temperature.", 0, ge=0, le=1500)
    mesh: Mesh = key("The box and its cells; give the number of cells or the size.")
    geometry: Geometry = key("Where there is magnetic material.", Geometry)
    material: MaterialKeys = key("Constants, uniform but for `maps` and `regions`.")
    regions: tuple[Region, ...] = key(
        "Shapes with other constants, or with a Ku that the schedule drives. Where they overlap, factors multiply, and "
        "of the values the last counts.",
        (),
        max_length=1000,
    )
    couplings: tuple[Coupling, ...] = key(
        "Exchange between regions or layers, in place of the harmonic mean of the cells' A; in this order.",
        (),
        max_length=1000,
    )
    grains: Grains | None = key("Voronoi grains of the film.", absent=True)
    initial: Initial = key("The state at t = 0.")
    schedule: tuple[Phase, ...] = key("Phases, one after the other.", min_length=1, max_length=10000)
    numerics: NumericsKeys = key("How time is stepped.")
    drive_maps: tuple[DriveMap, ...] = key(
        "Fields and currents that differ from place to place, which the schedule drives.", (), max_length=100
    )
    window: Window | None = key("The box follows a wall.", absent=True)
    outputs: OutputKeys = key("What is written.")


def load(source: str | Path | dict[str, Any], seed: int | None = None) -> tuple[Problem, Outputs]:
    """Return the problem of a file, and the outputs that it asks for.

    Parameters
    ----------
    source : path or dict
        YAML, or what such a file holds; paths inside are relative to the file's directory, those of a dict to the
        current one.
    seed : int, optional
        In place of the file's.

    Returns
    -------
    Problem, Outputs
        The problem's stream is ``(seed, "thermal field", "run")``: a replica appends its number.

    Raises
    ------
    UserError
        One line with the file, the key, what was found and what is allowed.
    """
    where, folder = called(source), Path() if isinstance(source, dict) else Path(source).parent
    content = ProblemFile.parse(source if isinstance(source, dict) else config.read(source), where)
    try:
        seed = content.seed if seed is None else seed
        shape = partial(shape_of, mesh=mesh_of(content.mesh), seed=seed, folder=folder)
        problem = _problem(content, seed, folder, shape)
        _check(problem)
        return problem, outputs_of(content.outputs, problem, shape)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None


def called(source: str | Path | dict[str, Any]) -> str:
    """Return what errors call a problem: its file, if it has one."""
    return "problem" if isinstance(source, dict) else str(source)


def _problem(content: ProblemFile, seed: int, folder: Path, shape: Callable[[Shape, str], parts.Shape]) -> Problem:
    maps = content.material.maps.model_dump(exclude={"interpolate"})
    stretch = content.material.maps.interpolate
    uniform = content.material.model_dump(exclude={"maps"})
    mesh = mesh_of(content.mesh)
    track_m = content.geometry.width_m or mesh.size_m[1]
    return Problem(
        mesh=mesh,
        geometry=geometry_of(content.geometry, mesh, seed, folder),
        material=material_of(content.material),
        schedule=tuple(phase for i, given in enumerate(content.schedule) for phase in phases_of(given, i, folder)),
        initial=initial_of(content.initial, mesh, track_m, folder, shape),
        temperature_K=content.temperature_K,
        numerics=Numerics(**content.numerics.model_dump()),
        record_interval_s=content.outputs.record_interval_s,
        drive_maps=tuple(map_of(given, f"drive_maps.{i}", folder) for i, given in enumerate(content.drive_maps)),
        window=None if content.window is None else parts.Window(content.window.component),
        stream=(seed, "thermal field", "run"),
        regions=tuple(region_of(r, f"regions.{i}", uniform, maps, shape) for i, r in enumerate(content.regions)),
        maps=tuple(Map(name, data_file(maps[name], f"material.maps.{name}", folder, stretch)) for name in sorted(maps)),
        couplings=tuple(coupling_of(given, i) for i, given in enumerate(content.couplings)),
        grains=grains_of(content.grains, seed) if content.grains is not None else None,
    )


def _check_window(problem: Problem) -> None:
    """Check that what a window can move over is a track that goes on."""
    if problem.window is None:
        return
    wrong = {
        "geometry.kind": problem.geometry.kind not in ("box", "strip") and problem.geometry.kind,
        "geometry.edge_smoothing": problem.geometry.edge_smoothing,
        "regions": problem.regions and "regions",
        "material.maps": problem.maps and "maps",
        "grains": problem.grains and "grains",
        "drive_maps": problem.drive_maps and "drive_maps",
        "mesh.periodic": problem.mesh.periodic[0],
    }
    for name, found in wrong.items():
        if found:
            raise UserError(f"{name}: found {found} with a window that moves, allowed: a uniform box or strip")


def _check_heat(problem: Problem, phase: parts.Phase, key_: str) -> None:
    """Check that a phase's temperature is one: it changes something that there is, and is nowhere negative."""
    if phase.temperature_factor == 1.0:
        return
    if not problem.temperature_K:
        raise UserError(f"{key_}: found with temperature_K 0, which no factor changes, allowed: temperature_K above 0")
    times = np.linspace(0.0, phase.duration_s, 1001)
    least = min(waveforms.at(phase.temperature_factor, t, phase.duration_s) for t in times)
    if least < 0:
        raise UserError(f"{key_}: found {least:g} during the phase, allowed: 0 or more at all times")


def _check(problem: Problem) -> None:
    """Check relations between parts, and that shape, state and constants can be made."""
    problem.steps(problem.record_interval_s, "outputs.record_interval_s")
    numerics = problem.numerics
    least = LEAST_TOLERANCE[numerics.precision]
    if numerics.integrator == ADAPTIVE and numerics.tolerance < least:
        raise UserError(
            f"numerics.tolerance: found {numerics.tolerance:g}, allowed: at least {least:g} with {numerics.precision}"
        )
    _check_window(problem)
    records = 1  # that of t = 0
    driven = [name for phase in problem.schedule for name, _ in phase.region_Ku_factors]
    for where, named in (
        ("schedule", problem.schedule),
        ("regions", problem.regions),
        ("drive_maps", problem.drive_maps),
    ):
        names = [item.name for item in named]
        twice = {name for name in names if name and names.count(name) > 1}
        if twice:
            raise UserError(f"{where}: found two with the name '{min(twice)}', allowed: each name once")
    check_maps(problem)
    for name in driven:
        if name not in [region.name for region in problem.regions]:
            raise UserError(f"schedule: region_Ku_factors: found '{name}', allowed: the name of a region")
    for index, phase in enumerate(problem.schedule):
        if phase.relax_tolerance is None:
            problem.steps(phase.duration_s, f"schedule.{index}.duration_s")
        records += max(1, math.ceil(phase.duration_s / problem.record_interval_s - 1e-6))
        _check_heat(problem, phase, f"schedule.{index}.temperature_factor")
        if phase.current_density_A_per_m2 and not problem.material.spin_hall_angle:
            raise UserError(
                f"schedule.{index}.current_density_A_per_m2: found with material.spin_hall_angle 0, where a current "
                "has no effect, allowed: another angle, or no current"
            )
    if records > MAX_RECORDS:
        raise UserError(f"outputs.record_interval_s: found {records} records, allowed: at most {MAX_RECORDS}")
    cells = math.prod(problem.mesh.shape)
    if 3 * cells * records > MAX_VALUES:
        raise UserError(
            f"outputs.record_interval_s: found {records} records of {cells} cells, which are kept in memory, allowed: "
            f"at most {MAX_VALUES // (3 * cells)} records"
        )
    for index, region in enumerate(problem.regions):
        if not material.region_mask(problem.mesh, region).any():
            raise UserError(
                f"regions.{index}: found a region that contains the centre of no cell, allowed: at least one cell"
            )
    mask = material.mask(problem)
    if problem.geometry.beyond_mx is not None:
        end_charges.field(problem, mask)
    constants = material.constants(problem, mask)
    couplings.stiffness(problem, mask, constants["A_J_per_m"])
    check_grains(problem, constants)
    initial_magnetisation(problem, mask)
