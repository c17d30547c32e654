"""A domain wall clocked past a notch: it passes or is pinned, with a probability that the drive sets.

A wall waits on the left of a pair of notches in a perpendicular wire. A pulse of field along z, of spin-orbit current,
or of Zhang-Li current drives it to the right; whether it has passed the notches when all is quiet again is the wire's
answer, a random bit (after Ellis et al., arXiv 2303.01886). Their passing law,

    p(w) = 1 - a / (1 + exp(b (w - w0))),

is fitted to the sweep with w the strength of the drive: it rises from 1 - a to 1.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Annotated, Literal, NamedTuple

import numpy as np
import pandas as pd
import pandera.pandas as pa
import scipy
from pydantic import Field
from scipy import special

from device_sims.common import Simulations
from device_sims.devices import Batch, planning, wire
from device_sims.engines import Result
from device_sims.problem import Initial, Material, Phase, Problem
from device_sims.problem.observables import LOST, MULTIPLE, SINGLE
from spinloom.declare import Real, Section, key
from spinloom.errors import UserError
from spinloom.quantities import WIRE_DRIVES, of
from spinloom.write_events import Energy, Junction, Levels, Line, Pulse, Writes

# kind of drive -> list of the config
LISTS = {"field": "fields_T", "sot": "current_densities_A_per_m2", "zhang_li": "zhang_li_u_m_per_s"}
AXES = tuple(WIRE_DRIVES.values())
KEYS = ()
_drives = {column: pa.Column(float) for column in AXES}
_share = pa.Column(float, pa.Check.in_range(0, 1), nullable=True)
_number = pa.Column(float, nullable=True)
BODY = "wall"
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
    """Return ``1 - a / (1 + exp(b (w - w0)))``, float64[n]; ``w``, float64[n], as of `fit`."""
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
        (scipy.optimize.minimize(cost, x, jac=True, method="L-BFGS-B", bounds=bounds, tol=1e-12) for x in starts),
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
class Constants(wire.Material):
    """Constants of the free layer, and of what drives the wall."""

    D_J_per_m2: Real = key("Interfacial DMI, sign of mumax3's Dind.", 0, ge=-0.02, le=0.02)
    spin_hall_angle: Real = key(
        "Effective spin Hall angle, for drive sot; with D > 0 a negative product with J drives the wall to the right.",
        0,
        ge=-1,
        le=1,
    )
    field_like_ratio: Real = key("Field-like over damping-like torque.", 0, ge=-10, le=10)
    zhang_li_beta: Real = key("Non-adiabaticity, for drive zhang_li.", 0, ge=-10, le=10)


class Notch(Section):
    """A pair of triangular notches, one on each edge."""

    position_m: Real = key("Centre.", gt=0)
    depth_m: Real = key("Depth from each edge.", gt=0, le=1e-06)
    width_m: Real = key("Width at the edge.", gt=0, le=1e-06)


class Wall(Section):
    """Where and how a write begins and ends."""

    start_m: Real = key("Where the wall waits; left of the notches.", gt=0)
    rest_s: Real = key("Thermalisation before the pulse.", gt=0, le=1e-06)
    settle_s: Real = key("Rest after the pulse before the wall counts as passed or pinned.", gt=0, le=1e-06)


class Pulses(Section):
    """Axes of the sweep; the one list of drives that belongs to `drive` is given."""

    fields_T: tuple[Annotated[Real, Field(ge=-100, le=100)], ...] = key(
        "Field along z, drive field; positive values drive to the right.",
        (),
        max_length=10000,
    )
    current_densities_A_per_m2: tuple[Annotated[Real, Field(ge=-10000000000000.0, le=10000000000000.0)], ...] = key(
        "Current density in the heavy metal, drive sot.",
        (),
        max_length=10000,
    )
    zhang_li_u_m_per_s: tuple[Annotated[Real, Field(ge=-10000, le=10000)], ...] = key(
        "Velocity u of the Zhang-Li torque, drive zhang_li; positive values drive to the right.",
        (),
        max_length=10000,
    )
    duration_s: Real = key("Length of the pulse.", gt=0, le=1e-06)


class Options(Section):
    """Domain wall clocked past a pair of notches: it passes or is pinned."""

    track: wire.Track = key("The strip.")
    material: Constants = key("Constants of the free layer.")
    roughness: wire.Roughness = key("Rough edges.", wire.Roughness)
    grains: wire.Grains = key("Voronoi grains of the film.", wire.Grains)
    notch: Notch = key("A pair of triangular notches, one on each edge.")
    wall: Wall = key("Where and how a write begins and ends.")
    temperature_K: Real = key("Temperature.", ge=0, le=1500)
    drive: Literal["field", "sot", "zhang_li"] = key(
        "What pulls the wall: a field along z, spin-orbit torque, or Zhang-Li torque.",
    )
    pulses: Pulses = key("Axes of the sweep; the one list of drives that belongs to `drive` is given.")


def _values(options: Options) -> tuple[float, ...]:
    return getattr(options.pulses, LISTS[options.drive])


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
    left, right = notch.position_m - notch.width_m / 2, notch.position_m + notch.width_m / 2
    if not 0 < left < right < track.length_m:
        raise UserError(
            f"{where}.notch.position_m: found {notch.position_m:g} with width_m {notch.width_m:g}, "
            f"allowed: notches within the track, 0 to {track.length_m:g}"
        )
    if not 0 < wall.start_m < left:
        raise UserError(f"{where}.wall.start_m: found {wall.start_m:g}, allowed: left of the notches, 0 to {left:g}")
    wanted, values = LISTS[options.drive], _values(options)
    for name in LISTS.values():
        if bool(getattr(axes, name)) != (name == wanted):
            raise UserError(
                f"{where}.pulses.{name}: found {len(getattr(axes, name))} values, "
                f"allowed with drive {options.drive}: {'one or more' if name == wanted else 'none'}"
            )
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


def summarise(section: Simulations, pulses: pd.DataFrame, events: pd.DataFrame) -> pd.DataFrame:
    """Return how many walls passed under each drive, Jeffreys' 95 % interval, and the fitted passing law.

    A track that ends with more than one wall (``nucleated``) answers nothing and counts in no probability. The law is
    that of all drives, repeated in each row; absent if the drives do not tell it.
    """
    column = WIRE_DRIVES[section.options.drive]
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
        table[name] = scipy.stats.beta.ppf(tail, table["passed"] + 0.5, asked - table["passed"] + 0.5)
    drive = table[column].abs().to_numpy()
    law = fit(drive, table["passed"].to_numpy(), asked.to_numpy()) or Law(*[math.nan] * 6)
    table["law_probability"] = passing_law(drive, law.w0, law.b, law.a)
    table = table.assign(**{f"law_{name}": value for name, value in law._asdict().items()}, law_unit=unit)
    return table.reset_index()[list(SUMMARY_COLUMNS)]


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
    """Return what the write events mean: pinned or passed, decided anew by every pulse.

    The wire is read by a junction over the track beyond the notches, which a wall that has passed turns from
    antiparallel to parallel.
    """
    options = section.options
    track, column = options.track, WIRE_DRIVES[options.drive]
    sot = options.drive == "sot"
    return Writes(
        outcome=wire.outcome((SINGLE, LOST), "ended with more than one wall", "weaken the drive"),
        states=Levels(labels=("pinned", "passed"), passed="passed", volatile=True),
        pulse=Pulse(channel=options.drive, drives=(column,), polarity=column, settle="settle_s"),
        junction=Junction(area_m2=track.width_m * (track.length_m - options.notch.position_m)),
        # what makes the field, or carries the spin current, is not part of the device
        energy=Energy(sot=Line(width_m=track.width_m, length_m=track.length_m)) if sot else Energy(clock=True),
    )


def _problem(section: Simulations, value: float, instance: int) -> Problem:
    options, seed = section.options, section.seed
    material, wall, notch, drive = options.material, options.wall, options.notch, options.drive
    notches = wire.Notches(positions_m=(notch.position_m,), depth_m=notch.depth_m, width_m=notch.width_m)
    mesh, shape = wire.strip(options.track, options.roughness, notches, seed, instance)
    driven = {"field_T": (0.0, 0.0, value)} if drive == "field" else {WIRE_DRIVES[drive]: value}
    pulse = replace(Phase("pulse", options.pulses.duration_s), **driven)
    D = material.D_J_per_m2
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
            # Neel of the chirality that the DMI prefers, or Bloch
            azimuth_rad=math.pi / 2 if D == 0 else math.pi if D > 0 else 0.0,
        ),
        temperature_K=options.temperature_K,
        numerics=section.numerics.of_problem(),
        record_interval_s=section.numerics.record_interval_s,
        # the value itself and not its place in the list, so that reordering the sweep changes nothing
        stream=(seed, "thermal field", "notched_wire", drive, value, instance),
        grains=wire.grains(options.grains, seed, instance),
    )
