"""Voltage-controlled domain-wall racetrack, reset before write.

A perpendicular track lies on a heavy metal. A wall waits at the reset position; the same spin-orbit current pulse is
given every time, and the gate voltage held during the pulse decides, through the anisotropy, how far the wall travels
(after Misba et al., arXiv 2010.10076 and 2111.07284). Below the DMI speed limit a wall's speed goes with its width
sqrt(A / K_eff), and that is what the voltage changes.

The gate acts by one of two mechanisms:

* ``vcma``: dKu = xi V / (d t), xi the coefficient (J/(V m)), d the dielectric's and t the film's thickness;
* ``strain``: dKu = 3/2 lambda_s (stress per volt) V, after a piezoelectric layer.
"""

from __future__ import annotations

import math

import pandas as pd

from device_sims import geometry
from device_sims.devices import Event
from device_sims.problem import (
    MU0,
    Geometry,
    Initial,
    Material,
    Mesh,
    Numerics,
    Phase,
    Problem,
    Roughness,
)
from spinloom.errors import UserError

MAX_EVENTS = 1_000_000  # a sweep beyond this is a slip of the keyboard
EDGE_MARGIN_CELLS = 1  # room beside the nominal width for edges that bulge outward


def check(section: dict) -> None:
    """Check what a schema cannot: relations between values.

    Raises
    ------
    UserError
        Naming the first key that cannot be.
    """
    config = section["domain_wall"]
    track, wall = config["track"], config["wall"]
    for key in ("length_m", "width_m"):
        cells = track[key] / track["cell_m"]
        if cells < 1 or abs(cells - round(cells)) > 1e-6:
            raise UserError(
                f"device_sims.domain_wall.track.cell_m: found {track['cell_m']:g}, "
                f"allowed: a length that divides {key} = {track[key]:g}"
            )
    if not 0 < wall["start_m"] < track["length_m"]:
        raise UserError(
            f"device_sims.domain_wall.wall.start_m: found {wall['start_m']:g}, allowed: between 0 and "
            f"track.length_m = {track['length_m']:g}"
        )
    voltages = section["sweep"]["voltages_V"]
    if len(set(voltages)) != len(voltages):
        raise UserError(f"device_sims.sweep.voltages_V: found {voltages}, allowed: each voltage once")
    number = len(voltages) * section["sweep"]["instances"] * section["sweep"]["replicas_per_instance"]
    if number > MAX_EVENTS:
        raise UserError(f"device_sims.sweep: found {number} write events, allowed: at most {MAX_EVENTS}")
    for voltage in voltages:
        _check_voltage(config, voltage)
    for position in config["notches"]["positions_m"]:
        if position > track["length_m"]:
            raise UserError(
                f"device_sims.domain_wall.notches.positions_m: found {position:g}, allowed: 0 to {track['length_m']:g}"
            )
    problem = _problem(section, voltages[0], 0, 0)
    for key, duration in (
        ("wall.rest_s", wall["rest_s"]),
        ("sot.duration_s", config["sot"]["duration_s"]),
        ("wall.settle_s", wall["settle_s"]),
    ):
        problem.steps(duration, f"device_sims.domain_wall.{key}")
    problem.steps(problem.record_interval_s, "device_sims.numerics.record_interval_s")
    for instance in range(section["sweep"]["instances"]):
        try:
            geometry.mask(_problem(section, voltages[0], instance, 0).geometry, problem.mesh)
        except UserError as error:
            raise UserError(f"device_sims.domain_wall, instance {instance}: {error}") from None


def _check_voltage(config: dict, voltage: float) -> None:
    change, material = Ku_change(config, voltage), config["material"]
    effective = material["Ku_J_per_m3"] + change - MU0 * material["Ms_A_per_m"] ** 2 / 2
    found = f"device_sims.sweep.voltages_V: found {voltage:g} V, which changes Ku by {change:.3g} J/m3"
    if effective <= 0:
        raise UserError(
            f"{found} and turns the film's easy axis into the plane; allowed: voltages that leave Ku above mu0 Ms^2/2"
        )
    width = math.sqrt(material["A_J_per_m"] / effective)
    if width < config["track"]["cell_m"]:
        raise UserError(
            f"{found}: the wall's width parameter sqrt(A/K_eff) is then {width:.3g} m; allowed: at least a cell "
            f"(track.cell_m = {config['track']['cell_m']:g}), or the lattice pins the wall"
        )


def Ku_change(config: dict, voltage_V: float) -> float:
    """Return the change of Ku by the gate, J/m3."""
    gate = config["gate"]
    if gate["mechanism"] == "vcma":
        area_energy = gate["vcma_coefficient_J_per_V_m"] * voltage_V / gate["dielectric_thickness_m"]
        return area_energy / config["track"]["thickness_m"]
    return 1.5 * gate["magnetostriction"] * gate["stress_Pa_per_V"] * voltage_V


def pulses(section: dict) -> pd.DataFrame:
    """Return one row per pulse of the sweep, in the config's order."""
    config = section["domain_wall"]
    return pd.DataFrame(
        [
            {
                "pulse": index,
                "channel": "gate+sot",
                "voltage_V": float(voltage),
                "Ku_change_J_per_m3": Ku_change(config, voltage),
                "current_density_A_per_m2": float(config["sot"]["current_density_A_per_m2"]),
                "duration_s": float(config["sot"]["duration_s"]),
                "settle_s": float(config["wall"]["settle_s"]),
                "temperature_K": float(config["temperature_K"]),
            }
            for index, voltage in enumerate(section["sweep"]["voltages_V"])
        ]
    )


def events(section: dict) -> list[Event]:
    """Return all write events of the sweep, ordered by pulse, instance, replica."""
    sweep = section["sweep"]
    return [
        Event(pulse, instance, replica, _problem(section, voltage, instance, replica))
        for pulse, voltage in enumerate(sweep["voltages_V"])
        for instance in range(sweep["instances"])
        for replica in range(sweep["replicas_per_instance"])
    ]


def describe(section: dict) -> dict:
    """Return what the read-out needs to know of the device."""
    track = section["domain_wall"]["track"]
    return {
        "family": "domain_wall",
        "gate_mechanism": section["domain_wall"]["gate"]["mechanism"],
        "reset_before_write": True,
        "track_length_m": track["length_m"],
        "track_width_m": track["width_m"],
        "film_thickness_m": track["thickness_m"],
        "gate_dielectric_thickness_m": section["domain_wall"]["gate"]["dielectric_thickness_m"],
    }


def _problem(section: dict, voltage: float, instance: int, replica: int) -> Problem:
    config, numerics, seed = section["domain_wall"], section["numerics"], section["seed"]
    track, material, wall, rough = config["track"], config["material"], config["wall"], config["roughness"]
    cell, film = track["cell_m"], track["thickness_m"]
    roughness = None
    if rough["rms_m"] > 0:
        roughness = Roughness(rough["rms_m"], rough["correlation_length_m"], seed, instance)
    effective = material["Ku_J_per_m3"] - MU0 * material["Ms_A_per_m"] ** 2 / 2
    return Problem(
        mesh=Mesh(
            nx=round(track["length_m"] / cell),
            ny=round(track["width_m"] / cell) + 2 * EDGE_MARGIN_CELLS,
            cell_m=(cell, cell, film),
        ),
        geometry=Geometry(
            "strip",
            width_m=track["width_m"],
            roughness=roughness,
            notch_positions_m=tuple(config["notches"]["positions_m"]),
            notch_depth_m=config["notches"]["depth_m"],
            notch_width_m=config["notches"]["width_m"],
        ),
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
                current_density_A_per_m2=config["sot"]["current_density_A_per_m2"],
            ),
            Phase("settle", wall["settle_s"]),
        ),
        initial=Initial(
            "wall",
            position_m=wall["start_m"],
            width_m=math.sqrt(material["A_J_per_m"] / effective),
            # the chirality that the DMI prefers: mx < 0 at the centre for D > 0
            azimuth_rad=math.pi if material["D_J_per_m2"] > 0 else 0.0,
        ),
        temperature_K=config["temperature_K"],
        numerics=Numerics(
            dt_s=numerics["dt_s"],
            integrator=numerics["integrator"],
            precision=numerics["precision"],
            demag_interval_steps=numerics["demag_interval_steps"],
        ),
        record_interval_s=numerics["record_interval_s"],
        # the voltage itself and not its place in the list, so that reordering the sweep changes nothing
        stream=(seed, "thermal field", "domain_wall", float(voltage), instance, replica),
    )
