"""`initial` of a problem file: the state at t = 0."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from device_sims.problem import parts
from device_sims.problem.problem_file.common import check_kind, data_file, given_of, unit
from device_sims.problem.problem_file.shape import Shape
from spinloom.declare import Flag, Real, Section, Whole, key
from spinloom.errors import UserError

_WALL = ("position_m", "width_m", "azimuth_rad", "chirality", "tilt_rad", "up_left")
_IN_PLANE = ("domains", "core", "core_up", "circulation")
_SKYRMION = ("center_m", "radius_m", "width_m", "core_up", "charge", "helicity_rad", "chirality")
# the keys that each kind of state uses, and those that it cannot do without
KINDS = {
    "uniform": (("direction",), ("direction",)),
    "wall": ((*_WALL, *_IN_PLANE), ("position_m",)),
    "two_domains": (("left", "wall", "right", "position_m", "width_m", "tilt_rad"), ("left", "wall", "right")),
    "vortex": (("center_m", "radius_m", "core_up", "circulation"), ()),
    "skyrmion": (_SKYRMION, ("radius_m",)),
    "random": ((), ()),
    "file": (("file", "interpolate"), ("file",)),
}
# of a wall, the keys that go with domains up and down, and those that go with domains along x
UP_DOWN, ALONG_X = ("azimuth_rad", "chirality", "up_left"), ("core", "core_up", "circulation")

_vector: dict[str, Any] = {"absent": True, "min_length": 3, "max_length": 3}


class State(Section):
    """A state of the magnetisation."""

    kind: Literal["uniform", "wall", "two_domains", "vortex", "skyrmion", "random", "file"] = key("Kind of state.")
    direction: tuple[Real, ...] | None = key("Of the uniform state, any length.", **_vector)
    position_m: Real | None = key(
        "Centre of the wall, from the box's corner; the middle of the box for two_domains if left out.", absent=True
    )
    width_m: Real | None = key(
        "Width parameter of the wall, sqrt(A/K), or of a skyrmion's, a third of its radius if left out; a wall along x "
        "has a part of the track's width if it is left out.",
        absent=True,
        gt=0,
        le=1e-05,
    )
    azimuth_rad: Real | None = key("Angle of m to x in the middle of the wall.", absent=True)
    chirality: Literal["left", "right"] | None = key(
        "In place of the azimuth or helicity: left is the Neel wall that D > 0 favours, right the other.",
        absent=True,
    )
    tilt_rad: Real | None = key("Rotation of the wall.", absent=True, gt=-1.5, lt=1.5)
    up_left: Flag | None = key("Whether the domain on the left is up.", absent=True)
    domains: Literal["up_down", "head_to_head", "tail_to_tail"] | None = key(
        "Domains at the wall: up and down, or along x, both towards it or both away from it.", absent=True
    )
    core: Literal["transverse", "vortex"] | None = key("Kind of a wall along x; transverse if left out.", absent=True)
    core_up: Flag | None = key(
        "Whether m in the core is along +z (of a transverse wall: +y); true if left out, false of a skyrmion.",
        absent=True,
    )
    circulation: Literal[1, -1] | None = key("Of a vortex: 1 is counterclockwise, -1 clockwise.", absent=True)
    left: tuple[Real, ...] | None = key("Direction of the domain on the left, any length.", **_vector)
    wall: tuple[Real, ...] | None = key("Direction in the middle of the wall between two domains.", **_vector)
    right: tuple[Real, ...] | None = key("Direction of the domain on the right.", **_vector)
    center_m: tuple[Real, ...] | None = key(
        "Centre of the vortex or skyrmion, from the box's corner; the middle of the box if left out.",
        absent=True,
        min_length=2,
        max_length=2,
    )
    radius_m: Real | None = key(
        "Radius of the skyrmion, where mz = 0; width of the vortex core, one cell if left out.",
        absent=True,
        gt=0,
        le=1e-05,
    )
    charge: Whole | None = key(
        "Topological charge of the skyrmion, not 0; that of its core, 1 up and -1 down, if left out.",
        absent=True,
        ge=-20,
        le=20,
    )
    helicity_rad: Real | None = key(
        "Angle of m in the plane to the radius of the skyrmion: 0 is outward, pi/2 counterclockwise.", absent=True
    )
    file: str | None = key("OVF file of three components on the mesh's cells.", absent=True, min_length=1)
    interpolate: Flag | None = key("Stretch a file of other cells over the box.", absent=True)


class Inside(State):
    """A state in a part of the box."""

    region: str | None = key("Name of the region.", absent=True, min_length=1, max_length=64)
    shape: Shape | None = key("In place of a region.", absent=True)


class Initial(State):
    """The state at t = 0."""

    inside: tuple[Inside, ...] = key(
        "Other states in regions or shapes; where they overlap the last counts.", (), max_length=1000
    )
    relax_tolerance: Real | None = key(
        "Relax at T = 0 under the drives of t = 0, without currents, until max |m x H|/Ms is below it; null: do not.",
        None,
        gt=0,
        le=1,
    )


def initial_of(
    given: Initial, mesh: parts.Mesh, track_m: float, folder: Path, shape_of: Callable[[Shape, str], parts.Shape]
) -> parts.Initial:
    """Return the first state; ``track_m`` is the width of the track.

    Raises
    ------
    UserError
        If keys do not fit their kind or a file cannot be read.
    """
    inside = []
    for number, one in enumerate(given.inside):
        where = f"initial.inside.{number}"
        if (one.region is None) == (one.shape is None):
            found = "neither" if one.region is None else "both"
            raise UserError(f"{where}: found {found} of region and shape, allowed: exactly one of the two")
        shape = shape_of(one.shape, f"{where}.shape") if one.shape is not None else None
        inside.append(parts.Inside(_state_of(one, where, mesh, track_m, folder), shape, one.region or ""))
    state = _state_of(given, "initial", mesh, track_m, folder)
    return replace(state, relax_tolerance=given.relax_tolerance, inside=tuple(inside))


def _state_of(given: State, where: str, mesh: parts.Mesh, track_m: float, folder: Path) -> parts.Initial:
    said = given_of(given)
    check_kind(given.kind, said, where, KINDS)
    same = ("kind", "position_m", "width_m", "azimuth_rad", "tilt_rad", "up_left", "radius_m", "core_up", "circulation")
    own: dict[str, Any] = {name: said[name] for name in same if name in said}
    if given.center_m is not None:
        own["center_m"] = (given.center_m[0], given.center_m[1])
    if given.direction is not None:
        own["direction"] = unit(given.direction, f"{where}.direction")
    if given.file is not None:
        own["file"] = data_file(given.file, f"{where}.file", folder, bool(given.interpolate))
    if given.kind == "two_domains":
        own["directions"] = tuple(unit(said[name], f"{where}.{name}") for name in ("left", "wall", "right"))
        own = {"position_m": mesh.size_m[0] / 2, "width_m": track_m / math.pi, **own}
    if given.kind == "wall":
        own |= _wall_of(given, said, where, track_m)
    if given.kind == "skyrmion":
        own |= _skyrmion_of(given, where)
    return parts.Initial(**own)


def _wall_of(given: State, said: dict[str, Any], where: str, track_m: float) -> dict[str, Any]:
    """Return what a wall has beyond what it says."""
    along_x = given.domains in ("head_to_head", "tail_to_tail")
    for name in UP_DOWN if along_x else ALONG_X:
        if name in said:
            allowed = "up_down" if along_x else "head_to_head, tail_to_tail"
            raise UserError(
                f"{where}.{name}: found with domains {given.domains or 'up_down'}, allowed: only with {allowed}"
            )
    if along_x:
        sign = 1.0 if given.domains == "head_to_head" else -1.0
        middle = (0.0, 1.0 if given.core_up is not False else -1.0, 0.0)
        own: dict[str, Any] = {"directions": ((sign, 0.0, 0.0), middle, (-sign, 0.0, 0.0))}
        if given.core == "vortex":
            if given.tilt_rad is not None:
                raise UserError(f"{where}.tilt_rad: found with core vortex, allowed: only with core transverse")
            return {**own, "kind": "vortex_wall", "width_m": given.width_m or track_m}
        if given.circulation is not None:
            raise UserError(f"{where}.circulation: found with core transverse, allowed: only with core vortex")
        return {**own, "kind": "two_domains", "core_up": True, "width_m": given.width_m or track_m / math.pi}
    if given.width_m is None:
        raise UserError(f"{where}: key 'width_m' is missing; a wall between up and down needs it")
    if (given.azimuth_rad is None) == (given.chirality is None):
        found = "neither" if given.chirality is None else "both"
        raise UserError(f"{where}: found {found} of azimuth_rad and chirality, allowed: exactly one of the two")
    if given.chirality is None:
        return {}
    return {"azimuth_rad": 0.0 if (given.chirality == "right") == (given.up_left is not False) else math.pi}


def _skyrmion_of(given: State, where: str) -> dict[str, Any]:
    core = 1 if given.core_up else -1
    if given.charge == 0:
        raise UserError(f"{where}.charge: found 0, allowed: any other integer")
    if given.chirality is not None and given.helicity_rad is not None:
        raise UserError(f"{where}: found both helicity_rad and chirality, allowed: one of the two")
    vorticity = (given.charge or core) * core
    if given.chirality is not None and vorticity != 1:
        raise UserError(
            f"{where}.chirality: found with charge {given.charge}, allowed: only with charge {core}, which is that of "
            "the core"
        )
    outward = (given.chirality == "left") == (core < 0)
    helicity = given.helicity_rad or 0.0 if given.chirality is None else (0.0 if outward else math.pi)
    width = given.width_m or (given.radius_m or 0.0) / 3
    return {"core_up": core > 0, "vorticity": vorticity, "helicity_rad": helicity, "width_m": width}
