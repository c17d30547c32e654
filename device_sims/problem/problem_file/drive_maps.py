"""`drive_maps` of a problem file: fields and currents that differ from place to place."""

from __future__ import annotations

from pathlib import Path

from device_sims.problem import drive_maps, parts
from device_sims.problem.problem import Problem
from device_sims.problem.problem_file.common import data_file, given_of
from device_sims.problem.waveforms import moves
from spinloom.declare import Real, Section, key
from spinloom.errors import UserError


class Pillar(Section):
    """A long cylinder along z that a uniform current goes through."""

    center_m: tuple[Real, Real] = key("Its axis, from the box's corner.")
    radius_m: Real = key("Its radius.", gt=0, le=1e-3)


class DriveMap(Section):
    """A field or a current that differs from place to place; one of its keys beside the name says which."""

    name: str = key("What the schedule calls it.", min_length=1, max_length=64)
    field: str | None = key("OVF file of three components, T per unit of the drive.", absent=True, min_length=1)
    current: str | None = key("OVF file of one component, A/m2 per unit of the drive.", absent=True, min_length=1)
    region: str | None = key("In the region of this name: a current, or with `direction` a field.", absent=True)
    direction: tuple[Real, Real, Real] | None = key("T per unit of the drive, of the field in a region.", absent=True)
    oersted: Pillar | None = key("Field of a current through a pillar; the drive is its density, A/m2.", absent=True)


def map_of(given: DriveMap, where: str, folder: Path) -> parts.DriveMap:
    """Return a map; `UserError` if it is not one of a field and a current, or its file cannot be read."""
    kinds = [name for name in given_of(given) if name in ("field", "current", "region", "oersted")]
    if len(kinds) != 1 or given.direction is not None and given.region is None:
        raise UserError(
            f"{where}: found {', '.join(given_of(given))}, allowed: name and one of field, current, region (with or "
            "without direction) and oersted"
        )
    if given.oersted is not None:
        return parts.DriveMap(given.name, "field", pillar=(*given.oersted.center_m, given.oersted.radius_m))
    if given.region is not None:
        acts = "current" if given.direction is None else "field"
        return parts.DriveMap(given.name, acts, region=given.region, direction=given.direction or (0.0, 0.0, 0.0))
    acts, name = ("field", given.field) if given.field is not None else ("current", given.current)
    return parts.DriveMap(given.name, acts, data_file(str(name), f"{where}.{acts}", folder))


def check_maps(problem: Problem) -> None:
    """Check that maps can be made, are driven by their names, and that a current has a torque; `UserError` if not."""
    names = [one.name for one in problem.drive_maps]
    for one in problem.drive_maps:
        drive_maps.values(problem, one)
        if one.acts == "current" and not problem.material.spin_hall_angle:
            raise UserError(
                f"drive_maps.{one.name}: found a current with material.spin_hall_angle 0, where it has no effect, "
                "allowed: another angle"
            )
    currents = [one.name for one in problem.drive_maps if one.acts == "current"]
    for index, phase in enumerate(problem.schedule):
        for name, drive in phase.drive_maps:
            if name in currents and phase.relax_tolerance is not None and moves(drive):
                raise UserError(
                    f"schedule.{index}.drive_maps.{name}: found a current in a phase that relaxes, allowed: 0"
                )
            if name not in names:
                allowed = ", ".join(names) or "none, for there are no drive_maps"
                raise UserError(f"schedule.{index}.drive_maps: found '{name}', allowed: {allowed}")
