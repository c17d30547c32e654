"""Voltage-controlled domain-wall racetrack.

A perpendicular track lies on a heavy metal. The same spin-orbit current pulse is given every time, and the gate voltage
held during the pulse decides, through the anisotropy, how far the wall travels (after Misba et al., arXiv 2010.10076
and 2111.07284). Below the DMI speed limit a wall's speed goes with its width sqrt(A / K_eff), and that is what the
voltage changes.

The gate acts by charge (VCMA) or by strain (`device_sims.devices.tracks.gate`).

A write begins in one of two ways: with ``write_mode: reset`` the wall waits at ``wall.start_m``; with ``present_state``
it is wherever the last write left it, so each of ``pulses.start_positions_m`` is simulated, under current of each of
``pulses.polarities``.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

import pandas as pd
import pandera.pandas as pa
from pydantic import Field, model_validator

from device_sims.common import Simulations
from device_sims.devices import Batch, planning
from device_sims.devices.tracks import wire
from device_sims.devices.tracks.gate import Gate
from device_sims.engines import Result
from device_sims.problem import Initial, Material, Phase, Problem
from device_sims.problem.observables import SINGLE
from spinloom.declare import OneOf, Real, Section, Whole, key
from spinloom.errors import UserError
from spinloom.write_events import Energy, Junction, Line, Position, Pulse, Writes

AXES = ("voltage_V",)
KEYS = ("nominal_start_m",)
BODY = "wall"
PULSE_COLUMNS = {
    "pulse": wire.INDEX,
    "channel": pa.Column(str),
    "voltage_V": pa.Column(float),
    "polarity": pa.Column(int, pa.Check.isin([1, -1])),
    "Ku_change_J_per_m3": pa.Column(float),
    "current_density_A_per_m2": pa.Column(float),
    "duration_s": pa.Column(float, pa.Check.gt(0)),
    "settle_s": pa.Column(float, pa.Check.ge(0)),
    "temperature_K": pa.Column(float, pa.Check.ge(0)),
}
_start = pa.Column(float, pa.Check.gt(0))
EVENT_COLUMNS = {**wire.EVENT_COLUMNS, "nominal_start_m": _start}
TRAJECTORY_COLUMNS = wire.TRAJECTORY_COLUMNS
SUMMARY_COLUMNS = {
    "pulse": wire.INDEX,
    "voltage_V": pa.Column(float),
    "polarity": pa.Column(int, pa.Check.isin([1, -1])),
    "nominal_start_m": _start,
    "writes": pa.Column(int, pa.Check.ge(1)),
    "lost": wire.INDEX,
    "position_mean_m": wire.POSITION,
    "position_sd_m": wire.POSITION,
    "position_sem_m": wire.POSITION,
}


class Sot(Section):
    """The spin-orbit torque of a pulse."""

    current_density_A_per_m2: Real = key(
        "Current density in the heavy metal during the pulse.",
        ge=-10000000000000.0,
        le=10000000000000.0,
    )
    duration_s: Real = key("Length of the pulse.", gt=0, le=1e-06)
    spin_hall_angle: Real = key(
        "Effective spin Hall angle. With D > 0, the wall moves to the right if the product of angle and "
        "current density is negative.",
        ge=-1,
        le=1,
    )
    field_like_ratio: Real = key("Field-like torque divided by damping-like torque.", 0, ge=-10, le=10)


class Wall(Section):
    """Where a write begins, and the waiting times around the pulse."""

    start_m: Real = key("Position of the wall after a reset. Not used with `write_mode: present_state`.", gt=0)
    rest_s: Real = key("Time at the set temperature before the pulse.", gt=0, le=1e-06)
    settle_s: Real = key("Time after the pulse until the position counts as written.", gt=0, le=1e-06)


class Pulses(Section):
    """The pulses of the sweep: all combinations of these lists."""

    voltages_V: tuple[Annotated[Real, Field(ge=-1000, le=1000)], ...] | None = key(
        "Gate voltages, one for each pulse. Pulses are numbered in this order. Must be null if you give `stresses_Pa`.",
        None,
        min_length=1,
        max_length=10000,
    )
    stresses_Pa: tuple[Annotated[Real, Field(ge=-10000000000.0, le=10000000000.0)], ...] | None = key(
        "Stresses in place of voltages, with `gate.mechanism: strain`. The sign is that of "
        "`gate.strain.stress_Pa_per_V`.",
        None,
        min_length=1,
        max_length=10000,
    )
    current_factors: tuple[Annotated[Real, Field(gt=0, le=1000)], ...] = key(
        "Factors on `sot.current_density_A_per_m2`. All voltages are pulsed with the first factor, then with "
        "the second, and so on.",
        (1.0,),
        min_length=1,
        max_length=1000,
    )
    start_positions_m: tuple[Annotated[Real, Field(gt=0)], ...] = key(
        "Positions of the wall at which writes begin, with `write_mode: present_state`.",
        (),
        max_length=1000,
    )
    polarities: tuple[Annotated[Whole, OneOf(lambda: (1, -1))], ...] = key(
        "Signs of the current. All voltages are pulsed with the first sign, then with the second. Other lists "
        "than [1] need `write_mode: present_state`.",
        (1,),
        min_length=1,
        max_length=2,
    )

    @model_validator(mode="after")
    def _one_axis(self) -> Self:
        given = [name for name in ("voltages_V", "stresses_Pa") if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "neither voltages_V nor stresses_Pa"
            raise ValueError(f"found {found}, allowed: exactly one of voltages_V and stresses_Pa")
        return self


class Options(Section):
    """Domain wall on a track whose anisotropy a gate voltage changes (docs/device_sims/default_device.md)."""

    track: wire.Track = key("Size of the track and of the cells.")
    material: wire.Material = key("Material constants of the free layer.")
    gate: Gate = key("How the gate voltage changes the anisotropy.")
    sot: Sot = key("The spin-orbit torque of a pulse.")
    roughness: wire.Roughness = key("Roughness of the track's edges.", wire.Roughness)
    grains: wire.Grains = key("Grains of the film, as Voronoi cells (docs/wire/tracks.md).", wire.Grains)
    notches: wire.Notches = key("Notches in the edges of the track.", wire.Notches)
    wall: Wall = key("Where a write begins, and the waiting times around the pulse.")
    temperature_K: Real = key("Temperature of the simulation.", ge=0, le=1500)
    write_mode: Literal["reset", "present_state"] = key(
        "Where a write begins. With `reset`, at `wall.start_m`. With `present_state`, at each of "
        "`pulses.start_positions_m`.",
        "reset",
    )
    pulses: Pulses = key("The pulses of the sweep: all combinations of these lists.")

    @model_validator(mode="after")
    def _gate_exerts_stresses(self) -> Self:
        _voltages(self)
        return self


# -- the sweep ---------------------------------------------------------------------------------------------------------
def check(section: Simulations) -> None:
    """Check what a declaration cannot: relations between values.

    Raises
    ------
    UserError
        Naming the first key that cannot be.
    """
    where, options = "device_sims.domain_wall", section.options
    track, axes = options.track, options.pulses
    planning.check_cells(f"{where}.track", track.cell_m, length_m=track.length_m, width_m=track.width_m)
    present = options.write_mode == "present_state"
    if present and not axes.start_positions_m:
        raise UserError(
            f"{where}.pulses.start_positions_m: found none, allowed with write_mode present_state: at least one"
        )
    if not present and (axes.start_positions_m or axes.polarities != (1,)):
        raise UserError(
            f"{where}.pulses: found start_positions_m or polarities, allowed: only with write_mode present_state"
        )
    starts = [("wall.start_m", options.wall.start_m)]
    for name, start in starts + [("pulses.start_positions_m", position) for position in axes.start_positions_m]:
        if not 0 < start < track.length_m:
            raise UserError(
                f"{where}.{name}: found {start:g}, allowed: between 0 and track.length_m = {track.length_m:g}"
            )
    planning.check_axes(axes, f"{where}.pulses")
    planning.check_number(section, len(_plan(options)) * len(_starts(options)))
    wire.check_grains(options.grains, f"{where}.grains")
    nominal = options.material.Ku_J_per_m3
    found = f"{where}.material.Ku_J_per_m3: found {nominal:g}"
    wire.check_width(options.material, nominal, track.cell_m, found)
    axis = "voltages_V" if axes.stresses_Pa is None else "stresses_Pa"
    for voltage in _voltages(options):
        change = Ku_change(options, voltage)
        found = f"{where}.pulses.{axis}: found {voltage:g} V, which changes Ku by {change:.3g} J/m3"
        wire.check_width(options.material, nominal + change, track.cell_m, found)
    for position in options.notches.positions_m:
        if position > track.length_m:
            raise UserError(f"{where}.notches.positions_m: found {position:g}, allowed: 0 to {track.length_m:g}")
    times = {
        "wall.rest_s": options.wall.rest_s,
        "sot.duration_s": options.sot.duration_s,
        "wall.settle_s": options.wall.settle_s,
    }
    first, start = _plan(options)[0], _starts(options)[0]
    wire.check_problems(section, lambda instance: _problem(section, first, instance, start), times)


def Ku_change(options: Options, voltage_V: float) -> float:
    """Return the change of Ku by the gate, J/m3."""
    return options.gate.Ku_change(voltage_V, options.track.thickness_m)


def _voltages(options: Options) -> list[float]:
    axes = options.pulses
    return list(axes.voltages_V or [options.gate.voltage(stress) for stress in axes.stresses_Pa or ()])


def _plan(options: Options) -> list[tuple[float, int, float]]:
    """Return voltage, polarity and factor on the current of each pulse."""
    axes = options.pulses
    return [
        (v, polarity, factor)
        for polarity in axes.polarities
        for factor in axes.current_factors
        for v in _voltages(options)
    ]


def _starts(options: Options) -> list[float]:
    return [options.wall.start_m] if options.write_mode == "reset" else list(options.pulses.start_positions_m)


def pulses(section: Simulations) -> pd.DataFrame:
    """Return one row per pulse of the sweep: the voltages as the config has them, for each current and polarity."""
    options = section.options
    return pd.DataFrame(
        [
            {
                "pulse": index,
                "channel": "gate+sot",
                "voltage_V": voltage,
                "polarity": polarity,
                "Ku_change_J_per_m3": Ku_change(options, voltage),
                "current_density_A_per_m2": polarity * factor * options.sot.current_density_A_per_m2,
                "duration_s": options.sot.duration_s,
                "settle_s": options.wall.settle_s,
                "temperature_K": options.temperature_K,
            }
            for index, (voltage, polarity, factor) in enumerate(_plan(options))
        ]
    )


def batches(section: Simulations) -> list[Batch]:
    """Return the batches of the sweep, ordered by pulse, instance, start position."""
    starts = [{"nominal_start_m": start} for start in _starts(section.options)]
    return planning.batches(section, _plan(section.options), _problem, starts)


def observe(batch: Batch, problem: Problem, result: Result) -> tuple[dict, dict]:
    """Return the row of `EVENT_COLUMNS` and the arrays of `TRAJECTORY_COLUMNS` of a trajectory."""
    row, record = wire.observe(problem, result)
    return {**row, "nominal_start_m": problem.initial.position_m}, record


def summarise(section: Simulations, pulses: pd.DataFrame, events: pd.DataFrame) -> pd.DataFrame:
    """Return how many walls each pulse moved and lost from each start, and where it left them.

    The standard error takes all writes as independent: it leaves out that those on one device share its edges.
    """
    rows = []
    known = pulses.set_index("pulse").to_dict("index")
    for (pulse, start), own in events.groupby(["pulse", "nominal_start_m"], sort=True):
        final = own.loc[own["wall_state"] == SINGLE, "final_position_m"]
        sd = final.std(ddof=1) if len(final) > 1 else float("nan")
        rows.append(
            {
                "pulse": pulse,
                "voltage_V": known[pulse]["voltage_V"],
                "polarity": int(known[pulse]["polarity"]),
                "nominal_start_m": start,
                "writes": len(own),
                "lost": len(own) - len(final),
                "position_mean_m": float(final.mean()),
                "position_sd_m": float(sd),
                "position_sem_m": float(sd / math.sqrt(max(len(final), 1))),
            }
        )
    return pd.DataFrame(rows, columns=list(SUMMARY_COLUMNS))


def describe(section: Simulations) -> dict:
    """Return what there is to know of the device."""
    track = section.options.track
    return {
        **section.options.gate.describe(),
        "reset_before_write": section.options.write_mode == "reset",
        "track_length_m": track.length_m,
        "track_width_m": track.width_m,
        "film_thickness_m": track.thickness_m,
    }


def writes(section: Simulations) -> Writes:
    """Return what the write events mean: where the wall stops is the state, read by a junction over the track."""
    track, present = section.options.track, section.options.write_mode == "present_state"
    area, line = track.width_m * track.length_m, Line(width_m=track.width_m, length_m=track.length_m)
    return Writes(
        outcome=wire.outcome((SINGLE,), "lost their wall", "lengthen the track or shorten the pulse"),
        states=Position(
            length_m=track.length_m,
            before="start_position_m" if present else None,
            after="final_position_m",
            start="nominal_start_m",
        ),
        # the current pushes the wall; the voltage says how far
        pulse=Pulse(
            channel="gate+sot",
            drives=("voltage_V", "current_density_A_per_m2"),
            polarity="current_density_A_per_m2",
            settle="settle_s",
        ),
        junction=Junction(area_m2=area),
        energy=Energy(
            sot=line,
            gate=section.options.gate.plates(area),
            reset=line,
        ),
    )


def _problem(section: Simulations, plan: tuple[float, int, float], instance: int, nominal_start_m: float) -> Problem:
    options, seed, (voltage, polarity, factor) = section.options, section.seed, plan
    material, wall, sot = options.material, options.wall, options.sot
    mesh, shape = wire.strip(options.track, options.roughness, options.notches, seed, instance)
    return Problem(
        mesh=mesh,
        geometry=shape,
        material=Material(
            **material.model_dump(), spin_hall_angle=sot.spin_hall_angle, field_like_ratio=sot.field_like_ratio
        ),
        schedule=(
            Phase("rest", wall.rest_s),
            Phase(
                "pulse",
                sot.duration_s,
                Ku_factor=1 + Ku_change(options, voltage) / material.Ku_J_per_m3,
                current_density_A_per_m2=polarity * factor * sot.current_density_A_per_m2,
            ),
            Phase("settle", wall.settle_s),
        ),
        initial=Initial(
            "wall",
            position_m=nominal_start_m,
            width_m=wire.rest_width(material),
            # the chirality that the DMI prefers: mx < 0 at the centre for D > 0
            azimuth_rad=math.pi if material.D_J_per_m2 > 0 else 0.0,
        ),
        temperature_K=options.temperature_K,
        numerics=section.numerics.of_problem(),
        record_interval_s=section.numerics.record_interval_s,
        # values themselves and not their places in the lists, so that reordering the sweep changes nothing
        # (a factor of 1 leaves the name as it was before there were factors)
        stream=(
            *(seed, "thermal field", "domain_wall", voltage, polarity, nominal_start_m, instance),
            *(() if factor == 1 else (factor,)),
        ),
        grains=wire.grains(options.grains, seed, instance),
    )
