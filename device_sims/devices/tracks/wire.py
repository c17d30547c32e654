"""What the families of walls in tracks share: the strip, its checks, what is read off a trajectory."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any

import numpy as np
import pandera.pandas as pa
from pydantic import Field

from device_sims.common import Simulations
from device_sims.devices import planning
from device_sims.engines import Result
from device_sims.problem import MU0, Geometry, Mesh, Phase, Problem, material, observables
from device_sims.problem import Grains as FilmGrains
from device_sims.problem import Roughness as RoughEdges
from device_sims.problem.observables import LOST, MULTIPLE, SINGLE
from spinloom.declare import Real, Section, key
from spinloom.errors import UserError
from spinloom.quantities import WIRE_DRIVES
from spinloom.write_events import Outcome

# kind of drive -> its list in `Drives`
LISTS = {"field": "fields_T", "sot": "current_densities_A_per_m2", "zhang_li": "zhang_li_u_m_per_s"}
EDGE_MARGIN_CELLS = 1  # room beside the nominal width for edges that bulge outward

INDEX = pa.Column(int, pa.Check.ge(0))
POSITION = pa.Column(float, pa.Check.ge(0), nullable=True)  # absent where there is not one wall to have it
EVENT_COLUMNS = {
    "start_position_m": POSITION,
    "pulse_end_position_m": POSITION,
    "final_position_m": POSITION,
    "wall_state": pa.Column(str, pa.Check.isin([SINGLE, LOST, MULTIPLE])),
    "lost_at_s": pa.Column(float, pa.Check.ge(0), nullable=True),
}
TRAJECTORY_COLUMNS = {
    "position_m": POSITION,
    "mx": pa.Column(float),
    "my": pa.Column(float),
    "mz": pa.Column(float),
}


class Track(Section):
    """Size of the track and of the cells."""

    length_m: Real = key("Length of the track.", gt=0, le=1e-05)
    width_m: Real = key("Width of the track without roughness.", gt=0, le=1e-06)
    thickness_m: Real = key("Thickness of the free layer.", gt=0, le=1e-08)
    cell_m: Real = key("Cell edge in the plane, which must divide length and width.", ge=5e-10, le=1e-08)


class Material(Section):
    """Material constants of the free layer."""

    Ms_A_per_m: Real = key("Saturation magnetisation.", ge=1000, le=2500000)
    A_J_per_m: Real = key("Exchange stiffness.", ge=1e-13, le=1e-10)
    Ku_J_per_m3: Real = key("Uniaxial anisotropy along the normal, at zero voltage.", gt=0, le=100000000.0)
    D_J_per_m2: Real = key("Interfacial DMI, with the sign of Dind in mumax3.", ge=-0.02, le=0.02)
    alpha: Real = key("Gilbert damping.", gt=0, le=1)


class Driven(Material):
    """Constants of the free layer, and of what drives the wall."""

    D_J_per_m2: Real = key("Interfacial DMI, with the sign of Dind in mumax3.", 0, ge=-0.02, le=0.02)
    spin_hall_angle: Real = key(
        "Effective spin Hall angle, for `drive: sot`. With D > 0, the wall moves to the right if the product "
        "of angle and current density is negative.",
        0,
        ge=-1,
        le=1,
    )
    field_like_ratio: Real = key(
        "Field-like torque divided by damping-like torque, for `drive: sot`.", 0, ge=-10, le=10
    )
    zhang_li_beta: Real = key("Non-adiabaticity, for `drive: zhang_li`.", 0, ge=-10, le=10)


class Drives(Section):
    """The pulses of the sweep. Give the one list of strengths that belongs to `drive`."""

    fields_T: tuple[Annotated[Real, Field(ge=-100, le=100)], ...] = key(
        "Fields along z, for `drive: field`. A positive field drives the wall to the right.",
        (),
        max_length=10000,
    )
    current_densities_A_per_m2: tuple[Annotated[Real, Field(ge=-10000000000000.0, le=10000000000000.0)], ...] = key(
        "Current densities in the heavy metal, for `drive: sot`.",
        (),
        max_length=10000,
    )
    zhang_li_u_m_per_s: tuple[Annotated[Real, Field(ge=-10000, le=10000)], ...] = key(
        "Velocities u of the Zhang-Li torque, for `drive: zhang_li`. A positive velocity drives the wall to the right.",
        (),
        max_length=10000,
    )


class Roughness(Section):
    """Roughness of the edges."""

    rms_m: Real = key(
        "Root mean square of the edge roughness. Each device has its own edges. 0 means straight edges.",
        0,
        ge=0,
        le=2e-08,
    )
    correlation_length_m: Real = key("Correlation length of the edge roughness.", 2e-08, gt=0, le=1e-06)


class Grains(Section):
    """Grains of the film, as Voronoi cells."""

    size_m: Real = key(
        "Square root of the mean area of a grain. The grains of each device are drawn anew. 0 means that "
        "there are no grains.",
        0,
        ge=0,
        le=1e-06,
    )
    Ku_spread: Real = key("Standard deviation of Ku from grain to grain, relative to Ku.", 0, ge=0, le=0.5)
    Ms_spread: Real = key("Standard deviation of Ms from grain to grain, relative to Ms.", 0, ge=0, le=0.25)
    tilt_rad: Real = key(
        "Standard deviation of the angle by which a grain's easy axis leans along x, and of that along y.",
        0,
        ge=0,
        le=1,
    )
    exchange_factor: Real = key("Factor on the exchange between cells of different grains.", 1, ge=0, le=10)


class Notches(Section):
    """Notches in the edges of the track."""

    positions_m: tuple[Annotated[Real, Field(ge=0)], ...] = key(
        "Positions of the notches' centres along the track. Each is a pair of triangular notches, one in each edge.", ()
    )
    depth_m: Real = key("Depth of a notch, from each edge.", 0, ge=0)
    width_m: Real = key("Width of a notch at the edge.", 2e-08, gt=0)


def strip(
    track: Track,
    roughness: Roughness,
    notches: Notches,
    seed: int,
    instance: int,
    beyond_mx: tuple[float, float] | None = None,
    profile: str = "triangular",
) -> tuple[Mesh, Geometry]:
    """Return the mesh and the shape of a track; ``beyond_mx`` and ``profile`` as of `Geometry`."""
    cell = track.cell_m
    rough = None
    if roughness.rms_m > 0:
        rough = RoughEdges(roughness.rms_m, roughness.correlation_length_m, seed, instance)
    mesh = Mesh(
        nx=round(track.length_m / cell),
        ny=round(track.width_m / cell) + 2 * EDGE_MARGIN_CELLS,
        cell_m=(cell, cell, track.thickness_m),
    )
    return mesh, Geometry(
        "strip",
        width_m=track.width_m,
        roughness=rough,
        notch_positions_m=notches.positions_m,
        notch_depth_m=notches.depth_m,
        notch_width_m=notches.width_m,
        beyond_mx=beyond_mx,
        notch_profile=profile,
    )


def place_along(position_m: float, mask: np.ndarray, dx: float) -> float:
    """Return the place along the track, m, of a wall at an area-equivalent position, m (`observables.wall_position`).

    ``mask`` is ``bool[nz, ny, nx]``, ``dx`` the length of a cell, m. The two differ where the width does.
    """
    return float(np.interp(position_m, *_by_area(mask, dx)))


def place_by_area(place_m: np.ndarray, mask: np.ndarray, dx: float) -> np.ndarray:
    """Return the area-equivalent positions, ``float64[n]``, m, of walls at places along the track."""
    areas, places = _by_area(mask, dx)
    return np.interp(place_m, places, areas)


def _by_area(mask: np.ndarray, dx: float) -> tuple[np.ndarray, np.ndarray]:
    """Return area-equivalent position and place along the track at each border of two columns, m."""
    columns = mask.sum((0, 1))
    area = np.concatenate([[0.0], np.cumsum(columns)]) / columns.sum()
    return area * len(columns) * dx, np.arange(len(columns) + 1) * dx


def grains(given: Any, seed: int, instance: int) -> FilmGrains | None:
    """Return the grains of an instance, or None; ``given`` is `Grains`, or some of its keys."""
    return FilmGrains(seed=seed, instance=instance, **given.model_dump()) if given.size_m else None


def check_grains(given: Any, where: str) -> None:
    """Check that grains differ in something, and that what differs has grains.

    Raises
    ------
    UserError
        If it is one without the other.
    """
    plain = type(given)()
    differ = [name for name, value in given if name != "size_m" and value != getattr(plain, name)]
    if given.size_m and not differ:
        raise UserError(
            f"{where}.size_m: found {given.size_m:g} with grains that are all alike, allowed: 0, or a spread of a "
            "constant between grains"
        )
    if differ and not given.size_m:
        raise UserError(f"{where}.{differ[0]}: found without grains, allowed: only with size_m above 0")


def values(drive: str, axes: Drives, where: str) -> tuple[float, ...]:
    """Return the values of the list that belongs to a drive.

    Raises
    ------
    UserError
        If it is empty, or another one is not; ``where`` is the lists' part of the config.
    """
    for kind, name in LISTS.items():
        if bool(getattr(axes, name)) != (kind == drive):
            raise UserError(
                f"{where}.{name}: found {len(getattr(axes, name))} values, "
                f"allowed with drive {drive}: {'one or more' if kind == drive else 'none'}"
            )
    return getattr(axes, LISTS[drive])


def driven(phase: Phase, drive: str, value: float) -> Phase:
    """Return a phase under a drive of `LISTS`; ``value`` in the unit of its list."""
    return replace(phase, **({"field_T": (0.0, 0.0, value)} if drive == "field" else {WIRE_DRIVES[drive]: value}))


def azimuth_rad(material: Driven) -> float:
    """Return the angle of a wall's centre that the DMI prefers: Neel of its chirality, or Bloch."""
    D = material.D_J_per_m2
    return math.pi / 2 if D == 0 else math.pi if D > 0 else 0.0


def rest_width(material: Material) -> float:
    """Return ``sqrt(A / (Ku - mu0 Ms^2 / 2))`` of a family's material, m: the width that a wall is laid with."""
    effective = material.Ku_J_per_m3 - MU0 * material.Ms_A_per_m**2 / 2
    return math.sqrt(material.A_J_per_m / effective)


def check_width(material: Material, Ku_J_per_m3: float, cell_m: float, found: str) -> None:
    """Check that a wall exists and is no narrower than a cell; ``found`` begins the error.

    Raises
    ------
    UserError
        If the film's easy axis lies in the plane, or the lattice would pin the wall.
    """
    effective = Ku_J_per_m3 - MU0 * material.Ms_A_per_m**2 / 2
    if effective <= 0:
        raise UserError(
            f"{found} and turns the film's easy axis into the plane, allowed: values that leave Ku above mu0 Ms^2/2"
        )
    width = math.sqrt(material.A_J_per_m / effective)
    if width < cell_m:
        raise UserError(
            f"{found}: the wall's width parameter sqrt(A/K_eff) is then {width:.3g} m, allowed: at least one cell "
            f"(track.cell_m = {cell_m:g}), because larger cells pin the wall"
        )


def check_problems(section: Simulations, build: Callable[[int], Problem], times: dict[str, float]) -> None:
    """Check that times are whole numbers of steps, and that each instance has a track of sound constants.

    Parameters
    ----------
    build : callable
        Number of an instance -> a problem of it.
    times : dict of float
        By their key below the family's section, s.

    Raises
    ------
    UserError
        Naming the key or the instance.
    """
    first = build(0)
    planning.check_times(section, first, times.items())
    for instance in range(section.sweep.instances):
        try:
            problem = build(instance)
            material.constants(problem, material.mask(problem))
        except UserError as error:
            raise UserError(f"device_sims.{section.device}, instance {instance}: {error}") from None


def outcome(counted: tuple[str, ...], what: str, advice: str) -> Outcome:
    """Return which writes count, by how many walls are left."""
    left_out = tuple(state for state in (SINGLE, LOST, MULTIPLE) if state not in counted)
    return Outcome(column="wall_state", counted=counted, left_out=left_out, what=what, advice=advice)


def observe(problem: Problem, result: Result, component: int = 2) -> tuple[dict, dict]:
    """Return the row of `EVENT_COLUMNS` and the arrays of `TRAJECTORY_COLUMNS` of a trajectory.

    Its phases must be called ``rest`` and ``pulse``, in this order, whatever stands beside them. A position is absent
    in every record that has not one wall. ``component`` is that of m along the domains: 2 where they are up and down,
    0 where they are head to head.
    """
    up_left, along = problem.initial.up_left, result.m[:, component]
    states = observables.wall_states(along, result.mask, up_left)
    position = observables.wall_position(along, result.mask, problem.mesh.cell_m[0], up_left)
    position[np.array(states) != SINGLE] = np.nan
    changes = observables.state_events(result.t_s, states)
    row = {
        "start_position_m": float(position[result.phase_end["rest"]]),
        "pulse_end_position_m": float(position[result.phase_end["pulse"]]),
        "final_position_m": float(position[-1]),
        "wall_state": states[-1],
        "lost_at_s": changes[0][0] if changes else float("nan"),
    }
    mean = observables.mean_magnetisation(result.m, result.mask)
    return row, {"position_m": position, **dict(zip(("mx", "my", "mz"), mean.T))}
