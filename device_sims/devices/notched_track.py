"""A track whose notches are its states: pulses of current move the wall from notch to notch, up and down.

``notches.count`` pairs of notches at an equal pitch are as many stable states of one wall in a perpendicular track
(after Liu et al., Appl. Phys. Lett. 118, 202405 (2021), and Kaur and Pramanik, arXiv 2501.15102). With ``write_mode:
present_state`` a write begins in each of the notches and a pulse of either polarity is to move the wall to the next
one; with ``reset`` it begins in the first and the length of the pulse says how far the wall goes. A spin-orbit torque,
a Zhang-Li torque or a field along z drives.

Where the wall rests is told in two ways. ``final_position_m`` is what the conductance sees, the area of the left domain
over the width, as of all tracks; ``notch_after`` is the notch within a quarter of the pitch from the wall, place along
the track against place along the track, or -1. A wall that ends between two notches, in the stops, lost, or beside
others has not been written: the calibration leaves it out and counts it.

``stops`` are the ends of the track, from half a pitch beyond the outermost notches on, with a larger anisotropy: they
keep the wall from leaving under the pulses that move it.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import pandas as pd
import pandera.pandas as pa
import scipy
from pydantic import Field

from device_sims.common import Simulations
from device_sims.devices import Batch, planning
from device_sims.devices.tracks import notch_pair, wire
from device_sims.engines import Result
from device_sims.problem import Geometry, Initial, Material, Mesh, Phase, Problem, Region, geometry
from device_sims.problem.observables import LOST, MULTIPLE, SINGLE
from spinloom.declare import OneOf, Real, Section, Whole, key
from spinloom.errors import UserError
from spinloom.quantities import WIRE_DRIVES
from spinloom.write_events import Energy, Junction, Line, Outcome, Position, Pulse, Writes

AXES = (*WIRE_DRIVES.values(), "duration_s")
KEYS = ("nominal_start_m",)
BODY = "wall"
IN_NOTCH, ELSEWHERE = "notch", "elsewhere"
CAPTURE = 0.25  # of the pitch, from a notch's centre, within which a wall is in it
_notch = pa.Column(int, pa.Check.ge(-1))
_share = pa.Column(float, pa.Check.in_range(0, 1), nullable=True)
_start = pa.Column(float, pa.Check.gt(0))
PULSE_COLUMNS = {
    "pulse": wire.INDEX,
    "channel": pa.Column(str, pa.Check.isin(list(WIRE_DRIVES))),
    **{column: pa.Column(float) for column in WIRE_DRIVES.values()},
    "polarity": pa.Column(int, pa.Check.isin([1, -1])),
    "duration_s": pa.Column(float, pa.Check.gt(0)),
    "settle_s": pa.Column(float, pa.Check.ge(0)),
    "temperature_K": pa.Column(float, pa.Check.ge(0)),
}
EVENT_COLUMNS = {
    **wire.EVENT_COLUMNS,
    "notch_before": _notch,
    "notch_after": _notch,
    "ended": pa.Column(str, pa.Check.isin([IN_NOTCH, ELSEWHERE, LOST, MULTIPLE])),
    "nominal_start_m": _start,
}
TRAJECTORY_COLUMNS = wire.TRAJECTORY_COLUMNS
SUMMARY_COLUMNS = {
    "pulse": wire.INDEX,
    **{column: pa.Column(float) for column in WIRE_DRIVES.values()},
    "polarity": pa.Column(int, pa.Check.isin([1, -1])),
    "duration_s": pa.Column(float, pa.Check.gt(0)),
    "nominal_start_m": _start,
    "writes": pa.Column(int, pa.Check.ge(1)),
    "elsewhere": wire.INDEX,
    "lost": wire.INDEX,
    "wanted_notch": _notch,
    "stayed": wire.INDEX,
    "reached": wire.INDEX,
    "beyond": wire.INDEX,
    "probability": _share,
    "ci_low": _share,
    "ci_high": _share,
}


class Notches(Section):
    """Pairs of notches, one in each edge, centred on the track."""

    count: Whole = key("Number of pairs of notches. Each is a state.", ge=2, le=256)
    pitch_m: Real = key("Distance from the centre of a notch to the next.", gt=0, le=1e-05)
    depth_m: Real = key("Depth of a notch, from each edge.", gt=0, le=1e-06)
    width_m: Real = key("Width of a notch at the edge. It must not exceed the pitch.", gt=0, le=1e-05)
    profile: Literal["triangular", "rounded"] = key("Outline of a notch. `rounded` is a raised cosine.", "triangular")


class Stops(Section):
    """Ends of the track that keep the wall from leaving."""

    Ku_factor: Real = key("Factor on Ku from half a pitch outside the outer notches. 1: no stops.", 1, ge=1, le=10)


class Wall(Section):
    """Waiting times around the pulse."""

    rest_s: Real = key("Time at the set temperature before the pulse.", gt=0, le=1e-06)
    settle_s: Real = key("Time after the pulse until the position counts as written.", gt=0, le=1e-06)


class Pulses(wire.Drives):
    """The pulses of the sweep: all combinations of these lists. Give the strengths that belong to `drive`."""

    durations_s: tuple[Annotated[Real, Field(gt=0, le=1e-06)], ...] = key(
        "Lengths of the pulse.", min_length=1, max_length=10000
    )
    polarities: tuple[Annotated[Whole, OneOf(lambda: (1, -1))], ...] = key(
        "Signs of the strengths. 1 drives to the right, which raises the conductance. `write_mode: reset`: only [1].",
        (1, -1),
        min_length=1,
        max_length=2,
    )


class Options(Section):
    """Domain wall on a track whose notches are its states (docs/wire/tracks.md)."""

    track: wire.Track = key("Size of the track and of the cells.")
    material: wire.Driven = key("Material constants of the free layer.")
    roughness: wire.Roughness = key("Roughness of the track's edges.", wire.Roughness)
    grains: wire.Grains = key("Grains of the film, as Voronoi cells (docs/wire/tracks.md).", wire.Grains)
    notches: Notches = key("Pairs of notches, one in each edge, centred on the track.")
    stops: Stops = key("Ends of the track that keep the wall from leaving.", Stops)
    wall: Wall = key("Waiting times around the pulse.")
    temperature_K: Real = key("Temperature of the simulation.", ge=0, le=1500)
    write_mode: Literal["present_state", "reset"] = key(
        "Where a write begins. `present_state`: in each notch. `reset`: in the first.", "present_state"
    )
    drive: Literal["field", "sot", "zhang_li"] = key(
        "What moves the wall: a field along z, a spin-orbit torque, or a Zhang-Li torque.",
    )
    pulses: Pulses = key("The pulses of the sweep. Give the strengths that belong to `drive`.")


# -- the sweep -------------------------------------------------------------------------------------------------------
def centres_m(options: Options) -> np.ndarray:
    """Return the centre of each pair of notches along the track, ``float64[count]``, m."""
    notches = options.notches
    return options.track.length_m / 2 + (np.arange(notches.count) - (notches.count - 1) / 2) * notches.pitch_m


def two_notches(section: Simulations) -> notch_pair.NotchPair:
    """Return the first two notches alone in a straight track."""
    return notch_pair.straight(section, batches, centres_m)


def check(section: Simulations) -> None:
    """Check what a declaration cannot: relations between values.

    Raises
    ------
    UserError
        Naming the first key that cannot be.
    """
    where, options = "device_sims.notched_track", section.options
    track, notches, axes, material = options.track, options.notches, options.pulses, options.material
    planning.check_cells(f"{where}.track", track.cell_m, length_m=track.length_m, width_m=track.width_m)
    if notches.width_m > notches.pitch_m:
        raise UserError(
            f"{where}.notches.width_m: found {notches.width_m:g}, allowed: at most pitch_m = {notches.pitch_m:g}"
        )
    room = centres_m(options)[0] - notches.pitch_m / 2
    if room <= 0:
        raise UserError(
            f"{where}.track.length_m: found {track.length_m:g}, allowed: more than count times pitch_m = "
            f"{notches.count * notches.pitch_m:g}"
        )
    values = wire.values(options.drive, axes, f"{where}.pulses")
    if min(values) <= 0:
        raise UserError(
            f"{where}.pulses.{wire.LISTS[options.drive]}: found {min(values):g}, allowed: more than 0 "
            "(polarities gives the sign)"
        )
    if options.drive == "sot" and material.D_J_per_m2 * material.spin_hall_angle >= 0:
        raise UserError(
            f"{where}.material.spin_hall_angle: found {material.spin_hall_angle:g} with D_J_per_m2 "
            f"{material.D_J_per_m2:g}, allowed with drive sot: of opposite signs, so that polarity 1 is to the right"
        )
    if options.write_mode == "reset" and axes.polarities != (1,):
        raise UserError(f"{where}.pulses.polarities: found {list(axes.polarities)}, allowed with write_mode reset: [1]")
    planning.check_axes(axes, f"{where}.pulses")
    planning.check_number(section, len(_plan(options)) * len(_starts(options)))
    wire.check_grains(options.grains, f"{where}.grains")
    for what, factor in (("material.Ku_J_per_m3", 1.0), ("stops.Ku_factor", options.stops.Ku_factor)):
        Ku = material.Ku_J_per_m3 * factor
        wire.check_width(material, Ku, track.cell_m, f"{where}.{what}: found a Ku of {Ku:g}")
    times = {"wall.rest_s": options.wall.rest_s, "wall.settle_s": options.wall.settle_s}
    times |= {f"pulses.durations_s.{place}": one for place, one in enumerate(axes.durations_s)}
    first, start = _plan(options)[0], _starts(options)[0]
    wire.check_problems(section, lambda instance: _problem(section, first, instance, start), times)


def _plan(options: Options) -> list[tuple[int, float, float]]:
    """Return polarity, length and signed strength of each pulse."""
    axes, values = options.pulses, getattr(options.pulses, wire.LISTS[options.drive])
    return [
        (polarity, duration, polarity * value)
        for polarity in axes.polarities
        for duration in axes.durations_s
        for value in values
    ]


def _starts(options: Options) -> list[float]:
    centres = centres_m(options).tolist()
    return centres if options.write_mode == "present_state" else centres[:1]


def pulses(section: Simulations) -> pd.DataFrame:
    """Return one row per pulse: strengths by length by polarity, in the config's order; what does not drive is zero."""
    options = section.options
    return pd.DataFrame(
        [
            {
                "pulse": index,
                "channel": options.drive,
                **dict.fromkeys(WIRE_DRIVES.values(), 0.0),
                WIRE_DRIVES[options.drive]: value,
                "polarity": polarity,
                "duration_s": duration,
                "settle_s": options.wall.settle_s,
                "temperature_K": options.temperature_K,
            }
            for index, (polarity, duration, value) in enumerate(_plan(options))
        ]
    )[list(PULSE_COLUMNS)]


def batches(section: Simulations) -> list[Batch]:
    """Return the batches of the sweep, ordered by pulse, instance, start."""
    starts = [{"nominal_start_m": start} for start in _starts(section.options)]
    return planning.batches(section, _plan(section.options), _problem, starts)


def observe(batch: Batch, problem: Problem, result: Result) -> tuple[dict, dict]:
    """Return the row of `EVENT_COLUMNS` and the arrays of `TRAJECTORY_COLUMNS` of a trajectory."""
    row, record = wire.observe(problem, result)
    centres = np.array(problem.geometry.notch_positions_m)
    before, after = (
        notch_at(wire.place_along(row[name], result.mask, problem.mesh.cell_m[0]), centres)
        for name in ("start_position_m", "final_position_m")
    )
    ended = row["wall_state"] if row["wall_state"] != SINGLE else IN_NOTCH if after >= 0 else ELSEWHERE
    told = {"notch_before": before, "notch_after": after, "ended": ended}
    return {**row, **told, "nominal_start_m": problem.initial.position_m}, record


def notch_at(place_m: float, centres_m: np.ndarray) -> int:
    """Return the notch that a wall at a place along the track is in, -1 for none.

    Parameters
    ----------
    place_m : float
        m; NaN if there is no single wall.
    centres_m : float64[count]
        m, at an equal pitch.
    """
    away = np.abs(centres_m - place_m)
    near = int(np.argmin(away))
    return near if away[near] <= CAPTURE * (centres_m[1] - centres_m[0]) else -1


def summarise(section: Simulations, pulses: pd.DataFrame, events: pd.DataFrame) -> pd.DataFrame:
    """Return how often each pulse wrote what it should from each start, with Jeffreys' 95 % interval.

    What it should is the next notch in its direction, or the same where there is none; after a reset, the notch in
    which most of its walls end. The interval takes all writes as independent: it leaves out that those on one device
    share its edges.
    """
    options = section.options
    known, centres = pulses.set_index("pulse").to_dict("index"), centres_m(options)
    rows = []
    for (pulse, start), own in events.groupby(["pulse", "nominal_start_m"], sort=True):
        told, after = known[pulse], own["notch_after"].to_numpy()
        begin, direction = int(np.argmin(np.abs(centres - start))), int(told["polarity"])
        wanted = int(np.clip(begin + direction, 0, len(centres) - 1))
        if options.write_mode == "reset":
            wanted = int(np.bincount(after + 1, minlength=len(centres) + 1)[1:].argmax())
        reached, writes = int((after == wanted).sum()), len(own)
        rows.append(
            {
                "pulse": pulse,
                **{name: told[name] for name in (*WIRE_DRIVES.values(), "polarity", "duration_s")},
                "nominal_start_m": start,
                "writes": writes,
                "elsewhere": int((own["ended"] == ELSEWHERE).sum()),
                "lost": int(own["ended"].isin([LOST, MULTIPLE]).sum()),
                "wanted_notch": wanted,
                "stayed": int((after == begin).sum()),
                "reached": reached,
                "beyond": int(((after >= 0) & ((after - wanted) * direction > 0)).sum()),
                "probability": reached / writes,
                "ci_low": scipy.stats.beta.ppf(0.025, reached + 0.5, writes - reached + 0.5),
                "ci_high": scipy.stats.beta.ppf(0.975, reached + 0.5, writes - reached + 0.5),
            }
        )
    return pd.DataFrame(rows, columns=list(SUMMARY_COLUMNS))


def describe(section: Simulations) -> dict:
    """Return what there is to know of the device."""
    options = section.options
    track, notches = options.track, options.notches
    return {
        "drive": options.drive,
        "reset_before_write": options.write_mode == "reset",
        "track_length_m": track.length_m,
        "track_width_m": track.width_m,
        "film_thickness_m": track.thickness_m,
        **{f"notch_{name}": value for name, value in notches},
        "stops_Ku_factor": options.stops.Ku_factor,
    }


def writes(section: Simulations) -> Writes:
    """Return what the write events mean: the notch in which the wall rests, read by a junction over the track.

    ``states.wells_m`` are the notches of a track with straight edges, in the coordinate of the positions.
    """
    options = section.options
    track, present = options.track, options.write_mode == "present_state"
    mesh, shape = _strip(section, 0, straight=True)
    mask = geometry.mask(shape, mesh)
    line = Line(width_m=track.width_m, length_m=track.length_m)
    column = WIRE_DRIVES[options.drive]
    return Writes(
        outcome=Outcome(
            column="ended",
            counted=(IN_NOTCH,),
            left_out=(ELSEWHERE, LOST, MULTIPLE),
            what="did not end in a notch",
            advice="deepen the notches, settle for longer, or weaken the drive",
        ),
        states=Position(
            length_m=track.length_m,
            before="start_position_m" if present else None,
            after="final_position_m",
            start="nominal_start_m",
            wells_m=tuple(wire.place_by_area(centres_m(options), mask, track.cell_m).tolist()),
        ),
        pulse=Pulse(channel=options.drive, drives=(column,), polarity=column, settle="settle_s"),
        junction=Junction(area_m2=float(mask.sum()) * track.cell_m**2),
        # what makes the field or drives the current through the track is not part of the device
        energy=Energy(sot=line, reset=None if present else line) if options.drive == "sot" else Energy(clock=True),
    )


def _strip(section: Simulations, instance: int, straight: bool = False) -> tuple[Mesh, Geometry]:
    options = section.options
    notches = wire.Notches(
        positions_m=tuple(centres_m(options).tolist()), depth_m=options.notches.depth_m, width_m=options.notches.width_m
    )
    rough = wire.Roughness() if straight else options.roughness
    return wire.strip(options.track, rough, notches, section.seed, instance, profile=options.notches.profile)


def _stops(options: Options) -> tuple[Region, ...]:
    """Return the ends of stronger anisotropy, as regions over all of the width."""
    stops, length = options.stops, options.track.length_m
    if stops.Ku_factor == 1:
        return ()
    reach = float(centres_m(options)[0]) - options.notches.pitch_m / 2
    across = (0.0, options.track.width_m + 2 * wire.EDGE_MARGIN_CELLS * options.track.cell_m)
    return tuple(
        Region(along, across, (("Ku_J_per_m3", stops.Ku_factor),)) for along in ((0.0, reach), (length - reach, length))
    )


def _problem(section: Simulations, plan: tuple[int, float, float], instance: int, nominal_start_m: float) -> Problem:
    options, seed, (_, duration, value) = section.options, section.seed, plan
    material, wall, drive = options.material, options.wall, options.drive
    mesh, shape = _strip(section, instance)
    return Problem(
        mesh=mesh,
        geometry=shape,
        material=Material(**material.model_dump()),
        schedule=(
            Phase("rest", wall.rest_s),
            wire.driven(Phase("pulse", duration), drive, value),
            Phase("settle", wall.settle_s),
        ),
        initial=Initial(
            "wall",
            position_m=nominal_start_m,
            width_m=wire.rest_width(material),
            azimuth_rad=wire.azimuth_rad(material),
        ),
        temperature_K=options.temperature_K,
        numerics=section.numerics.of_problem(),
        record_interval_s=section.numerics.record_interval_s,
        # values themselves and not their places in the lists, so that reordering the sweep changes nothing
        stream=(seed, "thermal field", "notched_track", drive, value, duration, nominal_start_m, instance),
        regions=_stops(options),
        grains=wire.grains(options.grains, seed, instance),
    )
