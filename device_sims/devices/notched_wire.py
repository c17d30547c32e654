"""A domain wall clocked past a notch: it passes or is pinned, with a probability that the drive sets.

A wall waits on the left of a pair of notches in a perpendicular wire. A pulse of field along z, of spin-orbit current,
or of Zhang-Li current drives it to the right; whether it has passed the notches when all is quiet again is the wire's
answer, a random bit (after Ellis et al., arXiv 2303.01886). Their passing law,

    p(w) = 1 - a / (1 + exp(b (w - w0))),

is fitted to the sweep with w the strength of the drive: it rises from 1 - a to 1.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pandas as pd
import pandera.pandas as pa
from scipy import optimize, special, stats

from device_sims.devices import Batch, wire
from device_sims.engines import Result
from device_sims.problem import Initial, Material, Phase, Problem, geometry
from device_sims.problem.observables import MULTIPLE
from spinloom.errors import UserError
from spinloom.quantities import WIRE_DRIVES, of

# kind of drive -> list of the config
LISTS = {"field": "fields_T", "sot": "current_densities_A_per_m2", "zhang_li": "zhang_li_u_m_per_s"}
AXES = tuple(WIRE_DRIVES.values())
KEYS = ()
_drives = {column: pa.Column(float) for column in AXES}
_share = pa.Column(float, pa.Check.in_range(0, 1), nullable=True)
_number = pa.Column(float, nullable=True)
PULSE_COLUMNS = {
    "pulse": wire.INDEX,
    "channel": pa.Column(str, pa.Check.isin(list(WIRE_DRIVES))),
    **_drives,
    "duration_s": pa.Column(float, pa.Check.gt(0)),
    "settle_s": pa.Column(float, pa.Check.ge(0)),
    "temperature_K": pa.Column(float, pa.Check.ge(0)),
}
EVENT_COLUMNS = {**wire.EVENT_COLUMNS, "passed": pa.Column(bool), "passing_time_s": wire.POSITION}
TRAJECTORY_COLUMNS = wire.TRAJECTORY_COLUMNS
SUMMARY_COLUMNS = {
    "pulse": wire.INDEX,
    **_drives,
    "writes": pa.Column(int, pa.Check.ge(1)),
    "nucleated": wire.INDEX,
    "passed": wire.INDEX,
    "probability": _share,
    "ci_low": _share,
    "ci_high": _share,
    "passing_time_mean_s": wire.POSITION,
    "law_probability": _share,
    **{f"law_{name}": _number for name in ("w0", "w0_se", "b", "b_se", "a", "a_se")},
    "law_unit": pa.Column(str),
}


class Law(NamedTuple):
    """Parameters of the passing law and their standard errors; that of ``a = 1``, its bound, is absent."""

    w0: float
    b: float
    a: float
    w0_se: float
    b_se: float
    a_se: float


def passing_law(w: np.ndarray, w0: float, b: float, a: float) -> np.ndarray:
    """Return ``1 - a / (1 + exp(b (w - w0)))``."""
    return 1 - a * special.expit(-b * (np.asarray(w, float) - w0))


def fit(w: np.ndarray, passed: np.ndarray, writes: np.ndarray) -> Law | None:
    """Return the passing law of greatest likelihood, with ``b > 0`` and ``0 < a <= 1``.

    Standard errors are those of Fisher's information; ``a = 1`` has none.

    Parameters
    ----------
    w : float[n]
        Drive, any unit; w0 has this unit and b its inverse.
    passed, writes : int[n]

    Returns
    -------
    Law or None
        None if the drives do not tell it: fewer than three, all walls alike, or an error of w0 beyond their range or
        of b beyond b.
    """
    w, passed, writes = (np.asarray(x, float) for x in (w, passed, writes))
    total = writes.sum()
    if len(np.unique(w)) < 3 or passed.sum() in (0, total):
        return None
    unit = np.ptp(w)
    low, z = w.min(), (w - w.min()) / unit
    bounds = [(-1.0, 2.0), (0.1, 1000.0), (1e-3, 1.0)]

    def law(z0, b, a):
        below = special.expit(-b * (z - z0))
        slope = a * below * (1 - below)
        return np.clip(1 - a * below, 1e-12, 1 - 1e-12), np.stack([-b * slope, (z - z0) * slope, -below])

    def cost(parameters):
        p, gradient = law(*parameters)
        likelihood = (special.xlogy(passed, p) + special.xlogy(writes - passed, 1 - p)).sum()
        return -likelihood / total, -gradient @ (passed / p - (writes - passed) / (1 - p)) / total

    starts = [(z0, 10.0, 0.98) for z0 in (0.25, 0.5, 0.75)]
    best = min(
        (optimize.minimize(cost, x, jac=True, method="L-BFGS-B", bounds=bounds, tol=1e-12) for x in starts),
        key=lambda result: result.fun,
    )
    p, gradient = law(*best.x)
    free = [min(x - least, most - x) > 1e-6 * (most - least) for x, (least, most) in zip(best.x, bounds)]
    if not (free[0] and free[1]):
        return None
    information = (gradient[free] * writes / (p * (1 - p))) @ gradient[free].T
    if np.linalg.cond(information) > 1e10:
        return None
    error = np.full(3, np.nan)
    error[free] = np.sqrt(np.diag(np.linalg.inv(information)))
    z0, b, a = best.x.tolist()
    if error[1] > b or error[0] > 1:
        return None
    return Law(low + z0 * unit, b / unit, a, *(error * [unit, 1 / unit, 1]).tolist())


# -- the sweep -------------------------------------------------------------------------------------------------------
def _values(config: dict) -> list[float]:
    return [float(value) for value in config["pulses"][LISTS[config["drive"]]]]


def check(section: dict) -> None:
    """Check what a schema cannot: relations between values.

    Raises
    ------
    UserError
        Naming the first key that cannot be.
    """
    where = "device_sims.notched_wire"
    config = section["notched_wire"]
    track, wall, notch, axes, material = (config[key] for key in ("track", "wall", "notch", "pulses", "material"))
    wire.check_track(track, where)
    left, right = notch["position_m"] - notch["width_m"] / 2, notch["position_m"] + notch["width_m"] / 2
    if not 0 < left < right < track["length_m"]:
        raise UserError(
            f"{where}.notch.position_m: found {notch['position_m']:g} with width_m {notch['width_m']:g}, "
            f"allowed: notches within the track, 0 to {track['length_m']:g}"
        )
    if not 0 < wall["start_m"] < left:
        raise UserError(f"{where}.wall.start_m: found {wall['start_m']:g}, allowed: left of the notches, 0 to {left:g}")
    wanted = LISTS[config["drive"]]
    for key in LISTS.values():
        if bool(axes[key]) != (key == wanted):
            raise UserError(
                f"{where}.pulses.{key}: found {len(axes[key])} values, "
                f"allowed with drive {config['drive']}: {'one or more' if key == wanted else 'none'}"
            )
    if len(set(_values(config))) != len(_values(config)):
        raise UserError(f"{where}.pulses.{wanted}: found {_values(config)}, allowed: each once")
    number = len(_values(config)) * section["sweep"]["instances"] * section["sweep"]["replicas_per_instance"]
    if number > wire.MAX_EVENTS:
        raise UserError(f"device_sims.sweep: found {number} events, allowed: at most {wire.MAX_EVENTS}")
    found = f"{where}.material.Ku_J_per_m3: found {material['Ku_J_per_m3']:g}"
    wire.check_width(material, material["Ku_J_per_m3"], track["cell_m"], found)
    problem = _problem(section, _values(config)[0], 0)
    for key, duration in (
        ("wall.rest_s", wall["rest_s"]),
        ("pulses.duration_s", axes["duration_s"]),
        ("wall.settle_s", wall["settle_s"]),
    ):
        problem.steps(duration, f"{where}.{key}")
    problem.steps(problem.record_interval_s, "device_sims.numerics.record_interval_s")
    for instance in range(section["sweep"]["instances"]):
        try:
            geometry.mask(_problem(section, _values(config)[0], instance).geometry, problem.mesh)
        except UserError as error:
            raise UserError(f"{where}, instance {instance}: {error}") from None


def pulses(section: dict) -> pd.DataFrame:
    """Return one row per drive of the sweep, in the config's order; what does not drive is zero."""
    config = section["notched_wire"]
    return pd.DataFrame(
        [
            {
                "pulse": index,
                "channel": config["drive"],
                **dict.fromkeys(AXES, 0.0),
                WIRE_DRIVES[config["drive"]]: value,
                "duration_s": float(config["pulses"]["duration_s"]),
                "settle_s": float(config["wall"]["settle_s"]),
                "temperature_K": float(config["temperature_K"]),
            }
            for index, value in enumerate(_values(config))
        ]
    )


def batches(section: dict) -> list[Batch]:
    """Return the batches of the sweep, ordered by pulse and instance."""
    sweep = section["sweep"]
    return [
        Batch(pulse, instance, _problem(section, value, instance), sweep["replicas_per_instance"])
        for pulse, value in enumerate(_values(section["notched_wire"]))
        for instance in range(sweep["instances"])
    ]


def observe(batch: Batch, problem: Problem, result: Result) -> tuple[dict, dict]:
    """Return the row of `EVENT_COLUMNS` and the arrays of `TRAJECTORY_COLUMNS` of a trajectory.

    The wall has passed if it ends beyond the notches, on the track or through its far end. ``passing_time_s`` counts
    from the start of the pulse to the record from which on that is so.
    """
    row, record = wire.observe(problem, result)
    shape = problem.geometry
    far = shape.notch_positions_m[0] + shape.notch_width_m / 2
    up, position = record["mz"] > 0, record["position_m"]
    beyond = np.where(np.isnan(position), up, np.nan_to_num(position) > far)
    passed = bool(beyond[-1]) and row["wall_state"] != MULTIPLE
    first = len(beyond) - int(np.argmin(beyond[::-1])) if not beyond.all() else 0
    start = result.t_s[result.phase_end["rest"]]
    time = max(float(result.t_s[first] - start), 0.0) if passed else float("nan")
    return {**row, "passed": passed, "passing_time_s": time}, record


def summarise(section: dict, pulses: pd.DataFrame, events: pd.DataFrame) -> pd.DataFrame:
    """Return how many walls passed under each drive, Jeffreys' 95 % interval, and the fitted passing law.

    A track that ends with more than one wall (``nucleated``) answers nothing and counts in no probability. The law is
    that of all drives, repeated in each row; absent if the drives do not tell it.
    """
    column = WIRE_DRIVES[section["notched_wire"]["drive"]]
    unit = of(column).si.replace("^", "")
    groups = events.groupby("pulse")
    table = pulses.set_index("pulse")[list(AXES)].assign(
        writes=groups.size(),
        nucleated=groups["wall_state"].agg(lambda states: int((states == MULTIPLE).sum())),
        passed=groups["passed"].sum().astype(int),
        passing_time_mean_s=groups["passing_time_s"].mean(),
    )
    asked = table["writes"] - table["nucleated"]
    table["probability"] = table["passed"] / asked.where(asked > 0)
    for name, tail in (("ci_low", 0.025), ("ci_high", 0.975)):
        table[name] = stats.beta.ppf(tail, table["passed"] + 0.5, asked - table["passed"] + 0.5)
    law = fit(table[column].abs(), table["passed"], asked) or Law(*[math.nan] * 6)
    table["law_probability"] = passing_law(table[column].abs(), law.w0, law.b, law.a)
    table = table.assign(**{f"law_{name}": value for name, value in law._asdict().items()}, law_unit=unit)
    return table.reset_index()[list(SUMMARY_COLUMNS)]


def describe(section: dict) -> dict:
    """Return what the read-out needs to know of the device."""
    config = section["notched_wire"]
    return {
        "family": "notched_wire",
        "drive": config["drive"],
        "reset_before_write": True,
        "track_length_m": config["track"]["length_m"],
        "track_width_m": config["track"]["width_m"],
        "film_thickness_m": config["track"]["thickness_m"],
        "notch_position_m": config["notch"]["position_m"],
    }


def _problem(section: dict, value: float, instance: int) -> Problem:
    config, seed = section["notched_wire"], section["seed"]
    material, wall, notch, drive = config["material"], config["wall"], config["notch"], config["drive"]
    notches = {"positions_m": [notch["position_m"]], "depth_m": notch["depth_m"], "width_m": notch["width_m"]}
    mesh, shape = wire.strip(config["track"], config["roughness"], notches, seed, instance)
    driven = {
        "field": {"field_T": (0.0, 0.0, value)},
        "sot": {"current_density_A_per_m2": value},
        "zhang_li": {"zhang_li_u_m_per_s": value},
    }[drive]
    D = material["D_J_per_m2"]
    return Problem(
        mesh=mesh,
        geometry=shape,
        material=Material(**material),
        schedule=(
            Phase("rest", wall["rest_s"]),
            Phase("pulse", config["pulses"]["duration_s"], **driven),
            Phase("settle", wall["settle_s"]),
        ),
        initial=Initial(
            "wall",
            position_m=wall["start_m"],
            width_m=wire.rest_width(material),
            # Neel of the chirality that the DMI prefers, or Bloch
            azimuth_rad=math.pi / 2 if D == 0 else math.pi if D > 0 else 0.0,
        ),
        temperature_K=config["temperature_K"],
        numerics=wire.numerics(section["numerics"]),
        record_interval_s=section["numerics"]["record_interval_s"],
        # the value itself and not its place in the list, so that reordering the sweep changes nothing
        stream=(seed, "thermal field", "notched_wire", drive, value, instance),
    )
