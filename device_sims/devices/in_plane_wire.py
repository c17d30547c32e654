"""A head-to-head wall of an in-plane wire, clocked past a notch by a field: it passes or is pinned.

The wire of Ellis et al. (arXiv 2303.01886) is soft, so its shape alone turns the magnetisation along it, and two
domains meet head to head in a transverse or a vortex wall. A pulse of field along the wire drives the wall to the
right; whether it has passed the notches when all is quiet again is the wire's answer (`passing`).

The wire goes on beyond the box at both ends (`Geometry.beyond_mx`), so no end reverses by itself, and a wall that comes
to the far end stays there.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

import numpy as np
import pandas as pd
import pandera.pandas as pa
from pydantic import Field

from device_sims.common import Simulations
from device_sims.devices import Batch, planning
from device_sims.devices.tracks import passing, wire
from device_sims.engines import Result
from device_sims.problem import MU0, Initial, Material, Phase, Problem, Waveform
from device_sims.problem.readings import textures
from spinloom.declare import Real, Section, key
from spinloom.errors import UserError
from spinloom.write_events import Writes

DRIVE = "field_T"
AXES = (DRIVE,)
KEYS = ()
RELAXED = (
    1e-2  # |m x H| / Ms of the wall that a write begins with: its shape rests, and notches have not drawn it in yet
)
BOUNDARY = 61  # of width x thickness over the square of the exchange length; above it a wall is a vortex
PULSE_COLUMNS = {
    "pulse": wire.INDEX,
    "channel": pa.Column(str, pa.Check.isin(["field"])),
    DRIVE: pa.Column(float),
    "rise_s": pa.Column(float, pa.Check.ge(0)),
    "duration_s": pa.Column(float, pa.Check.gt(0)),
    "settle_s": pa.Column(float, pa.Check.ge(0)),
    "temperature_K": pa.Column(float, pa.Check.ge(0)),
}
_kind = pa.Column(str, pa.Check.isin([textures.TRANSVERSE, textures.VORTEX, textures.ANTIVORTEX, ""]))
EVENT_COLUMNS = {**passing.EVENT_COLUMNS, "start_kind": _kind, "final_kind": _kind}
TRAJECTORY_COLUMNS = wire.TRAJECTORY_COLUMNS
SUMMARY_COLUMNS = passing.summary_columns(AXES)


class Track(wire.Track):
    """Size of the wire and of the cells."""

    thickness_m: Real = key("Thickness of the film. The mesh has one layer of cells.", gt=0, le=3e-08)


class Soft(Section):
    """Constants of a soft film."""

    Ms_A_per_m: Real = key("Saturation magnetisation.", ge=1000, le=2500000)
    A_J_per_m: Real = key("Exchange stiffness.", ge=1e-13, le=1e-10)
    alpha: Real = key("Gilbert damping.", gt=0, le=1)


class Grains(Section):
    """Grains of the film, as Voronoi cells."""

    size_m: Real = key(
        "Square root of the mean area of a grain. The grains of each device are drawn anew. 0 means that "
        "there are no grains.",
        0,
        ge=0,
        le=1e-06,
    )
    Ms_spread: Real = key("Standard deviation of Ms from grain to grain, relative to Ms.", 0, ge=0, le=0.25)
    exchange_factor: Real = key("Factor on the exchange between cells of different grains.", 1, ge=0, le=10)


class Wall(passing.Wall):
    """Where and how a write begins and ends."""

    kind: Literal["by_size", "transverse", "vortex"] = key(
        "Wall at the beginning of a write. `by_size` takes a vortex if width times thickness exceeds 61 times "
        "the squared exchange length 2 A / (mu0 Ms^2), and a transverse wall otherwise.",
        "by_size",
    )


class Pulses(Section):
    """The pulses of the sweep."""

    fields_T: tuple[Annotated[Real, Field(ge=-1, le=1)], ...] = key(
        "Fields along the wire. A positive field drives the wall to the right.", min_length=1, max_length=10000
    )
    rise_s: Real = key(
        "Time in which the field rises before the pulse. It falls in the same time after it.", ge=0, le=1e-06
    )
    duration_s: Real = key("Length of the pulse at full field.", gt=0, le=1e-06)


class Options(Section):
    """Head-to-head wall driven past a pair of notches in an in-plane wire: it passes or not (docs/wire/in_plane.md)."""

    track: Track = key("Size of the wire and of the cells.")
    material: Soft = key("Material constants of the film.")
    roughness: wire.Roughness = key("Roughness of the wire's edges.", wire.Roughness)
    grains: Grains = key("Grains of the film, as Voronoi cells (docs/wire/tracks.md).", Grains)
    notch: passing.Notch = key("A pair of triangular notches, one in each edge.")
    wall: Wall = key("Where a write begins, and the waiting times around the pulse.")
    temperature_K: Real = key("Temperature of the simulation.", ge=0, le=1500)
    pulses: Pulses = key("The pulses of the sweep.")


def wall_kind(track: wire.Track, material: Soft) -> str:
    """Return the kind of wall that has the lower energy in a strip.

    A vortex above a cross-section of 61 squared exchange lengths ``sqrt(2 A / (mu0 Ms^2))``, as Y. Nakatani,
    A. Thiaville and J. Miltat, J. Magn. Magn. Mater. 290, 750 (2005), find for walls of 5 to 20 nm of thickness;
    R. McMichael and M. Donahue, IEEE Trans. Magn. 33, 4167 (1997), have the same form with 64.
    """
    square = 2 * material.A_J_per_m / (MU0 * material.Ms_A_per_m**2)
    return textures.VORTEX if track.width_m * track.thickness_m > BOUNDARY * square else textures.TRANSVERSE


def check(section: Simulations) -> None:
    """Check what a declaration cannot: relations between values.

    Raises
    ------
    UserError
        Naming the first key that cannot be.
    """
    where, options = "device_sims.in_plane_wire", section.options
    track, material, wall, axes = options.track, options.material, options.wall, options.pulses
    planning.check_cells(f"{where}.track", track.cell_m, length_m=track.length_m, width_m=track.width_m)
    passing.check_places(track, options.notch, wall, where)
    planning.check_axes(axes, f"{where}.pulses")
    planning.check_number(section, len(axes.fields_T))
    wire.check_grains(options.grains, f"{where}.grains")
    exchange = math.sqrt(2 * material.A_J_per_m / (MU0 * material.Ms_A_per_m**2))
    if track.cell_m > 1.2 * exchange:
        raise UserError(
            f"{where}.track.cell_m: found {track.cell_m:g} with an exchange length of {exchange:.3g} m, allowed: at "
            "most 1.2 exchange lengths, because larger cells pin the core of a vortex"
        )
    times = {"wall.rest_s": wall.rest_s, "pulses.duration_s": axes.duration_s, "wall.settle_s": wall.settle_s}
    times |= {"pulses.rise_s": axes.rise_s} if axes.rise_s else {}
    wire.check_problems(section, lambda instance: _problem(section, axes.fields_T[0], instance), times)


def pulses(section: Simulations) -> pd.DataFrame:
    """Return one row per field of the sweep, in the config's order."""
    options = section.options
    return pd.DataFrame(
        {
            "pulse": range(len(options.pulses.fields_T)),
            "channel": "field",
            DRIVE: options.pulses.fields_T,
            "rise_s": options.pulses.rise_s,
            "duration_s": options.pulses.duration_s,
            "settle_s": options.wall.settle_s,
            "temperature_K": options.temperature_K,
        }
    )


def batches(section: Simulations) -> list[Batch]:
    """Return the batches of the sweep, ordered by pulse and instance."""
    return planning.batches(section, section.options.pulses.fields_T, _problem)


def observe(batch: Batch, problem: Problem, result: Result) -> tuple[dict, dict]:
    """Return the row of `EVENT_COLUMNS` and the arrays of `TRAJECTORY_COLUMNS` of a trajectory.

    The kind of wall is empty where there is not one wall, or where it has come to the end of the box.
    """
    row, record = passing.observe(problem, result, component=0)
    ends = {"start_kind": result.phase_end["rest"], "final_kind": len(result.t_s) - 1}
    kinds = {name: textures.wall_kind(np.asarray(result.m[place]), result.mask, 0) for name, place in ends.items()}
    return {**row, **kinds}, record


def summarise(section: Simulations, pulses: pd.DataFrame, events: pd.DataFrame) -> pd.DataFrame:
    """Return how many walls passed under each field, Jeffreys' 95 % interval, and the passing law (`passing`)."""
    return passing.summarise(pulses, events, AXES, DRIVE)


def describe(section: Simulations) -> dict:
    """Return what there is to know of the device."""
    options = section.options
    return {
        "drive": "field",
        "wall_kind": _kind_of(options),
        "reset_before_write": True,
        "track_length_m": options.track.length_m,
        "track_width_m": options.track.width_m,
        "film_thickness_m": options.track.thickness_m,
        "notch_position_m": options.notch.position_m,
    }


def writes(section: Simulations) -> Writes:
    """Return what the write events mean: pinned or passed, decided anew by every pulse."""
    return passing.writes(section.options.track, section.options.notch, "field", DRIVE)


def _kind_of(options: Options) -> str:
    given = options.wall.kind
    return wall_kind(options.track, options.material) if given == "by_size" else given


def _initial(options: Options) -> Initial:
    """Return domains along +x and -x, and between them m along y or a vortex: both relax before anything else."""
    directions = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (-1.0, 0.0, 0.0))
    width = options.track.width_m
    if _kind_of(options) == textures.VORTEX:
        core = 2 * options.track.cell_m
        return Initial(
            "vortex_wall", position_m=options.wall.start_m, width_m=width, directions=directions, radius_m=core
        )
    return Initial("two_domains", position_m=options.wall.start_m, width_m=width / math.pi, directions=directions)


def _problem(section: Simulations, value: float, instance: int) -> Problem:
    options, seed = section.options, section.seed
    wall, notch, axes = options.wall, options.notch, options.pulses
    notches = wire.Notches(positions_m=(notch.position_m,), depth_m=notch.depth_m, width_m=notch.width_m)
    mesh, shape = wire.strip(options.track, options.roughness, notches, seed, instance, beyond_mx=(1.0, -1.0))

    def edge(name: str, start: float, stop: float) -> tuple[Phase, ...]:
        return (Phase(name, axes.rise_s, field_T=(Waveform(start, stop), 0.0, 0.0)),) if axes.rise_s else ()

    return Problem(
        mesh=mesh,
        geometry=shape,
        material=Material(**options.material.model_dump()),
        schedule=(
            Phase("relax", 0.0, relax_tolerance=RELAXED),
            Phase("rest", wall.rest_s),
            *edge("rise", 0.0, value),
            Phase("pulse", axes.duration_s, field_T=(value, 0.0, 0.0)),
            *edge("fall", value, 0.0),
            Phase("settle", wall.settle_s),
        ),
        initial=_initial(options),
        temperature_K=options.temperature_K,
        numerics=section.numerics.of_problem(),
        record_interval_s=section.numerics.record_interval_s,
        # the value itself and not its place in the list, so that reordering the sweep changes nothing
        stream=(seed, "thermal field", "in_plane_wire", "field", value, instance),
        grains=wire.grains(options.grains, seed, instance),
    )
