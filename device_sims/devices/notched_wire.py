"""A domain wall clocked past a notch: it passes or is pinned, with a probability that the drive sets.

A wall waits on the left of a pair of notches in a perpendicular wire. A pulse of field along z, of spin-orbit current,
or of Zhang-Li current drives it to the right; whether it has passed the notches when all is quiet again is the wire's
answer (`passing`). The wire of Ellis et al. (arXiv 2303.01886) is magnetised in its plane: `in_plane_wire`.
"""

from __future__ import annotations

from typing import Literal

import pandas as pd
import pandera.pandas as pa

from device_sims.common import Simulations
from device_sims.devices import Batch, planning
from device_sims.devices.tracks import passing, wire
from device_sims.engines import Result
from device_sims.problem import Initial, Material, Phase, Problem
from spinloom.declare import Real, Section, key
from spinloom.quantities import WIRE_DRIVES
from spinloom.write_events import Writes

AXES = tuple(WIRE_DRIVES.values())
KEYS = ()
BODY = "wall"
PULSE_COLUMNS = {
    "pulse": wire.INDEX,
    "channel": pa.Column(str, pa.Check.isin(list(WIRE_DRIVES))),
    **{column: pa.Column(float) for column in AXES},
    "duration_s": pa.Column(float, pa.Check.gt(0)),
    "settle_s": pa.Column(float, pa.Check.ge(0)),
    "temperature_K": pa.Column(float, pa.Check.ge(0)),
}
EVENT_COLUMNS = passing.EVENT_COLUMNS
TRAJECTORY_COLUMNS = wire.TRAJECTORY_COLUMNS
SUMMARY_COLUMNS = passing.summary_columns(AXES)


class Pulses(wire.Drives):
    """The pulses of the sweep. Give the one list of strengths that belongs to `drive`."""

    duration_s: Real = key("Length of the pulse.", gt=0, le=1e-06)


class Options(Section):
    """Domain wall driven past a pair of notches: it passes or is pinned (docs/wire/tracks.md)."""

    track: wire.Track = key("Size of the wire and of the cells.")
    material: wire.Driven = key("Material constants of the free layer.")
    roughness: wire.Roughness = key("Roughness of the wire's edges.", wire.Roughness)
    grains: wire.Grains = key("Grains of the film, as Voronoi cells (docs/wire/tracks.md).", wire.Grains)
    notch: passing.Notch = key("A pair of triangular notches, one in each edge.")
    wall: passing.Wall = key("Where a write begins, and the waiting times around the pulse.")
    temperature_K: Real = key("Temperature of the simulation.", ge=0, le=1500)
    drive: Literal["field", "sot", "zhang_li"] = key(
        "What moves the wall: a field along z, a spin-orbit torque, or a Zhang-Li torque.",
    )
    pulses: Pulses = key("The pulses of the sweep. Give the one list of strengths that belongs to `drive`.")


def _values(options: Options) -> tuple[float, ...]:
    return getattr(options.pulses, wire.LISTS[options.drive])


def check(section: Simulations) -> None:
    """Check what a declaration cannot: relations between values.

    Raises
    ------
    UserError
        Naming the first key that cannot be.
    """
    where, options = "device_sims.notched_wire", section.options
    track, wall, notch, axes = options.track, options.wall, options.notch, options.pulses
    planning.check_cells(f"{where}.track", track.cell_m, length_m=track.length_m, width_m=track.width_m)
    passing.check_places(track, notch, wall, where)
    values = wire.values(options.drive, axes, f"{where}.pulses")
    planning.check_axes(axes, f"{where}.pulses")
    planning.check_number(section, len(values))
    Ku = options.material.Ku_J_per_m3
    wire.check_grains(options.grains, f"{where}.grains")
    wire.check_width(options.material, Ku, track.cell_m, f"{where}.material.Ku_J_per_m3: found {Ku:g}")
    times = {"wall.rest_s": wall.rest_s, "pulses.duration_s": axes.duration_s, "wall.settle_s": wall.settle_s}
    wire.check_problems(section, lambda instance: _problem(section, values[0], instance), times)


def pulses(section: Simulations) -> pd.DataFrame:
    """Return one row per drive of the sweep, in the config's order; what does not drive is zero."""
    options = section.options
    return pd.DataFrame(
        [
            {
                "pulse": index,
                "channel": options.drive,
                **dict.fromkeys(AXES, 0.0),
                WIRE_DRIVES[options.drive]: value,
                "duration_s": options.pulses.duration_s,
                "settle_s": options.wall.settle_s,
                "temperature_K": options.temperature_K,
            }
            for index, value in enumerate(_values(options))
        ]
    )


def batches(section: Simulations) -> list[Batch]:
    """Return the batches of the sweep, ordered by pulse and instance."""
    return planning.batches(section, _values(section.options), _problem)


def observe(batch: Batch, problem: Problem, result: Result) -> tuple[dict, dict]:
    """Return the row of `EVENT_COLUMNS` and the arrays of `TRAJECTORY_COLUMNS` of a trajectory."""
    return passing.observe(problem, result, component=2)


def summarise(section: Simulations, pulses: pd.DataFrame, events: pd.DataFrame) -> pd.DataFrame:
    """Return how many walls passed under each drive, Jeffreys' 95 % interval, and the passing law (`passing`)."""
    return passing.summarise(pulses, events, AXES, WIRE_DRIVES[section.options.drive])


def describe(section: Simulations) -> dict:
    """Return what there is to know of the device."""
    options = section.options
    return {
        "drive": options.drive,
        "reset_before_write": True,
        "track_length_m": options.track.length_m,
        "track_width_m": options.track.width_m,
        "film_thickness_m": options.track.thickness_m,
        "notch_position_m": options.notch.position_m,
    }


def writes(section: Simulations) -> Writes:
    """Return what the write events mean: pinned or passed, decided anew by every pulse."""
    options = section.options
    drive = options.drive
    return passing.writes(options.track, options.notch, drive, WIRE_DRIVES[drive], line=drive == "sot")


def _problem(section: Simulations, value: float, instance: int) -> Problem:
    options, seed = section.options, section.seed
    material, wall, notch, drive = options.material, options.wall, options.notch, options.drive
    notches = wire.Notches(positions_m=(notch.position_m,), depth_m=notch.depth_m, width_m=notch.width_m)
    mesh, shape = wire.strip(options.track, options.roughness, notches, seed, instance)
    pulse = wire.driven(Phase("pulse", options.pulses.duration_s), drive, value)
    return Problem(
        mesh=mesh,
        geometry=shape,
        material=Material(**material.model_dump()),
        schedule=(
            Phase("rest", wall.rest_s),
            pulse,
            Phase("settle", wall.settle_s),
        ),
        initial=Initial(
            "wall",
            position_m=wall.start_m,
            width_m=wire.rest_width(material),
            azimuth_rad=wire.azimuth_rad(material),
        ),
        temperature_K=options.temperature_K,
        numerics=section.numerics.of_problem(),
        record_interval_s=section.numerics.record_interval_s,
        # the value itself and not its place in the list, so that reordering the sweep changes nothing
        stream=(seed, "thermal field", "notched_wire", drive, value, instance),
        grains=wire.grains(options.grains, seed, instance),
    )
