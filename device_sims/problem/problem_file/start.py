"""`initial` of a problem file: the state at t = 0."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

from device_sims.problem import parts
from device_sims.problem.problem_file.common import check_kind, data_file, given_of, unit
from spinloom.declare import Flag, Real, Section, key
from spinloom.errors import UserError

# the keys that each kind of state uses, and those that it cannot do without
KINDS = {
    "uniform": (("direction",), ("direction",)),
    "wall": (("position_m", "width_m", "azimuth_rad", "chirality", "tilt_rad", "up_left"), ("position_m", "width_m")),
    "vortex": ((), ()),
    "file": (("file", "interpolate"), ("file",)),
}


class Initial(Section):
    """The state at t = 0."""

    kind: Literal["uniform", "wall", "vortex", "file"] = key("Kind of state.")
    direction: tuple[Real, ...] | None = key(
        "Of the uniform state, any length.", absent=True, min_length=3, max_length=3
    )
    position_m: Real | None = key("Centre of the wall, from the box's corner.", absent=True)
    width_m: Real | None = key("Width parameter of the wall, sqrt(A/K).", absent=True, gt=0, le=1e-05)
    azimuth_rad: Real | None = key("Angle of m to x in the middle of the wall.", absent=True)
    chirality: Literal["left", "right"] | None = key(
        "In place of the azimuth: left is the Neel wall that D > 0 favours, right the other.",
        absent=True,
    )
    tilt_rad: Real | None = key("Rotation of the wall.", absent=True, gt=-1.5, lt=1.5)
    up_left: Flag | None = key("Whether the domain on the left is up.", absent=True)
    file: str | None = key("OVF file of three components on the mesh's cells.", absent=True, min_length=1)
    interpolate: Flag | None = key("Stretch a file of other cells over the box.", absent=True)
    relax_tolerance: Real | None = key(
        "Relax at T = 0 under the drives of t = 0, without currents, until max |m x H|/Ms is below it; null: do not.",
        None,
        gt=0,
        le=1,
    )


def initial_of(given: Initial, folder: Path) -> parts.Initial:
    """Return the first state; `UserError` if its keys do not fit its kind or a file cannot be read."""
    said = given_of(given)
    check_kind(given.kind, said, "initial", KINDS)
    own = {name: value for name, value in said.items() if name not in ("chirality", "file", "interpolate", "direction")}
    if given.kind == "wall":
        if (given.azimuth_rad is None) == (given.chirality is None):
            found = "neither" if given.chirality is None else "both"
            raise UserError(f"initial: found {found} of azimuth_rad and chirality, allowed: one of them")
        if given.chirality is not None:
            towards_right = (given.chirality == "right") == (given.up_left is not False)
            own["azimuth_rad"] = 0.0 if towards_right else math.pi
    if given.direction is not None:
        own["direction"] = unit(given.direction, "initial.direction")
    if given.file is not None:
        own["file"] = data_file(given.file, "initial.file", folder, bool(given.interpolate))
    return parts.Initial(**own)
