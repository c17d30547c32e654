"""Voltage-controlled domain-wall racetrack.

A perpendicular track lies on a heavy metal. The same spin-orbit current pulse is given every time, and the gate voltage
held during the pulse decides, through the anisotropy, how far the wall travels (after Misba et al., arXiv 2010.10076
and 2111.07284). Below the DMI speed limit a wall's speed goes with its width sqrt(A / K_eff), and that is what the
voltage changes.

The gate acts by one of two mechanisms:

* ``vcma``: dKu = xi V / (d t), xi the coefficient (J/(V m)), d the dielectric's and t the film's thickness;
* ``strain``: dKu = 3/2 lambda_s (stress per volt) V, after a piezoelectric layer.

A write begins in one of two ways: with ``write_mode: reset`` the wall waits at ``wall.start_m``; with ``present_state``
it is wherever the last write left it, so each of ``pulses.start_positions_m`` is simulated, under current of each of
``pulses.polarities``.
"""

from __future__ import annotations

import math

import pandas as pd
import pandera.pandas as pa

from device_sims.devices import Batch, wire
from device_sims.engines import Result
from device_sims.problem import Initial, Material, Phase, Problem, geometry
from device_sims.problem.observables import SINGLE
from spinloom.errors import UserError

AXES = ("voltage_V",)
KEYS = ("nominal_start_m",)
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


def check(section: dict) -> None:
    """Check what a schema cannot: relations between values.

    Raises
    ------
    UserError
        Naming the first key that cannot be.
    """
    where = "device_sims.domain_wall"
    config = section["domain_wall"]
    track, wall, axes = config["track"], config["wall"], config["pulses"]
    wire.check_track(track, where)
    present = config["write_mode"] == "present_state"
    if present and not axes["start_positions_m"]:
        raise UserError(f"{where}.pulses.start_positions_m: found none, allowed: at least one with present_state")
    if not present and (axes["start_positions_m"] or axes["polarities"] != [1]):
        raise UserError(
            f"{where}.pulses: found start_positions_m or polarities, allowed: only with write_mode present_state"
        )
    starts = [("wall.start_m", wall["start_m"])]
    for key, start in starts + [("pulses.start_positions_m", position) for position in axes["start_positions_m"]]:
        if not 0 < start < track["length_m"]:
            raise UserError(
                f"{where}.{key}: found {start:g}, allowed: between 0 and track.length_m = {track['length_m']:g}"
            )
    for key in ("voltages_V", "start_positions_m", "polarities"):
        if len(set(axes[key])) != len(axes[key]):
            raise UserError(f"{where}.pulses.{key}: found {axes[key]}, allowed: each once")
    number = (
        len(_plan(config))
        * len(_starts(config))
        * math.prod(section["sweep"][key] for key in ("instances", "replicas_per_instance"))
    )
    if number > wire.MAX_EVENTS:
        raise UserError(f"device_sims.sweep: found {number} write events, allowed: at most {wire.MAX_EVENTS}")
    material, cell = config["material"], track["cell_m"]
    found = f"{where}.material.Ku_J_per_m3: found {material['Ku_J_per_m3']:g}"
    wire.check_width(material, material["Ku_J_per_m3"], cell, found)
    for voltage in axes["voltages_V"]:
        change = Ku_change(config, voltage)
        found = f"{where}.pulses.voltages_V: found {voltage:g} V, which changes Ku by {change:.3g} J/m3"
        wire.check_width(material, material["Ku_J_per_m3"] + change, cell, found)
    for position in config["notches"]["positions_m"]:
        if position > track["length_m"]:
            raise UserError(f"{where}.notches.positions_m: found {position:g}, allowed: 0 to {track['length_m']:g}")
    problem = _problem(section, *_plan(config)[0], _starts(config)[0], 0)
    for key, duration in (
        ("wall.rest_s", wall["rest_s"]),
        ("sot.duration_s", config["sot"]["duration_s"]),
        ("wall.settle_s", wall["settle_s"]),
    ):
        problem.steps(duration, f"{where}.{key}")
    problem.steps(problem.record_interval_s, "device_sims.numerics.record_interval_s")
    for instance in range(section["sweep"]["instances"]):
        try:
            geometry.mask(_problem(section, *_plan(config)[0], _starts(config)[0], instance).geometry, problem.mesh)
        except UserError as error:
            raise UserError(f"{where}, instance {instance}: {error}") from None


def Ku_change(config: dict, voltage_V: float) -> float:
    """Return the change of Ku by the gate, J/m3."""
    gate = config["gate"]
    if gate["mechanism"] == "vcma":
        area_energy = gate["vcma_coefficient_J_per_V_m"] * voltage_V / gate["dielectric_thickness_m"]
        return area_energy / config["track"]["thickness_m"]
    return 1.5 * gate["magnetostriction"] * gate["stress_Pa_per_V"] * voltage_V


def _plan(config: dict) -> list[tuple[float, int]]:
    """Return voltage and polarity of each pulse."""
    axes = config["pulses"]
    return [(float(voltage), polarity) for polarity in axes["polarities"] for voltage in axes["voltages_V"]]


def _starts(config: dict) -> list[float]:
    if config["write_mode"] == "reset":
        return [float(config["wall"]["start_m"])]
    return [float(position) for position in config["pulses"]["start_positions_m"]]


def pulses(section: dict) -> pd.DataFrame:
    """Return one row per pulse of the sweep: the voltages in the config's order, for each polarity in turn."""
    config = section["domain_wall"]
    return pd.DataFrame(
        [
            {
                "pulse": index,
                "channel": "gate+sot",
                "voltage_V": voltage,
                "polarity": polarity,
                "Ku_change_J_per_m3": Ku_change(config, voltage),
                "current_density_A_per_m2": polarity * float(config["sot"]["current_density_A_per_m2"]),
                "duration_s": float(config["sot"]["duration_s"]),
                "settle_s": float(config["wall"]["settle_s"]),
                "temperature_K": float(config["temperature_K"]),
            }
            for index, (voltage, polarity) in enumerate(_plan(config))
        ]
    )


def batches(section: dict) -> list[Batch]:
    """Return the batches of the sweep, ordered by pulse, instance, start position."""
    sweep, config = section["sweep"], section["domain_wall"]
    return [
        Batch(
            pulse,
            instance,
            _problem(section, voltage, polarity, start, instance),
            sweep["replicas_per_instance"],
            {"nominal_start_m": start},
        )
        for pulse, (voltage, polarity) in enumerate(_plan(config))
        for instance in range(sweep["instances"])
        for start in _starts(config)
    ]


def observe(batch: Batch, problem: Problem, result: Result) -> tuple[dict, dict]:
    """Return the row of `EVENT_COLUMNS` and the arrays of `TRAJECTORY_COLUMNS` of a trajectory."""
    row, record = wire.observe(problem, result)
    return {**row, "nominal_start_m": problem.initial.position_m}, record


def summarise(section: dict, pulses: pd.DataFrame, events: pd.DataFrame) -> pd.DataFrame:
    """Return how many walls each pulse moved and lost from each start, and where it left them.

    The standard error takes all writes as independent: it leaves out that those on one device share its edges.
    """
    rows = []
    known = pulses.set_index("pulse")
    for (pulse, start), own in events.groupby(["pulse", "nominal_start_m"], sort=True):
        final = own.loc[own["wall_state"] == SINGLE, "final_position_m"]
        sd = final.std(ddof=1) if len(final) > 1 else float("nan")
        rows.append(
            {
                "pulse": pulse,
                "voltage_V": known.loc[pulse, "voltage_V"],
                "polarity": int(known.loc[pulse, "polarity"]),
                "nominal_start_m": start,
                "writes": len(own),
                "lost": len(own) - len(final),
                "position_mean_m": float(final.mean()),
                "position_sd_m": float(sd),
                "position_sem_m": float(sd / math.sqrt(max(len(final), 1))),
            }
        )
    return pd.DataFrame(rows, columns=list(SUMMARY_COLUMNS))


def describe(section: dict) -> dict:
    """Return what the read-out needs to know of the device."""
    config = section["domain_wall"]
    track = config["track"]
    return {
        "family": "domain_wall",
        "gate_mechanism": config["gate"]["mechanism"],
        "reset_before_write": config["write_mode"] == "reset",
        "track_length_m": track["length_m"],
        "track_width_m": track["width_m"],
        "film_thickness_m": track["thickness_m"],
        "gate_dielectric_thickness_m": config["gate"]["dielectric_thickness_m"],
    }


def _problem(section: dict, voltage: float, polarity: int, start: float, instance: int) -> Problem:
    config, seed = section["domain_wall"], section["seed"]
    material, wall = config["material"], config["wall"]
    mesh, shape = wire.strip(config["track"], config["roughness"], config["notches"], seed, instance)
    return Problem(
        mesh=mesh,
        geometry=shape,
        material=Material(
            **material,
            spin_hall_angle=config["sot"]["spin_hall_angle"],
            field_like_ratio=config["sot"]["field_like_ratio"],
        ),
        schedule=(
            Phase("rest", wall["rest_s"]),
            Phase(
                "pulse",
                config["sot"]["duration_s"],
                Ku_factor=1 + Ku_change(config, voltage) / material["Ku_J_per_m3"],
                current_density_A_per_m2=polarity * config["sot"]["current_density_A_per_m2"],
            ),
            Phase("settle", wall["settle_s"]),
        ),
        initial=Initial(
            "wall",
            position_m=start,
            width_m=wire.rest_width(material),
            # the chirality that the DMI prefers: mx < 0 at the centre for D > 0
            azimuth_rad=math.pi if material["D_J_per_m2"] > 0 else 0.0,
        ),
        temperature_K=config["temperature_K"],
        numerics=wire.numerics(section["numerics"]),
        record_interval_s=section["numerics"]["record_interval_s"],
        # values themselves and not their places in the lists, so that reordering the sweep changes nothing
        stream=(seed, "thermal field", "domain_wall", voltage, polarity, start, instance),
    )
