"""What families of wires share in which a wall passes a pair of notches or is pinned: the answer and its law.

A wall waits on the left of a pair of notches, a pulse drives it to the right, and whether it has passed when all is
quiet again is the wire's answer, a random bit (after Ellis et al., arXiv 2303.01886). Their passing law,

    p(w) = 1 - a / (1 + exp(b (w - w0))),

is fitted to the sweep with w the strength of the drive: it rises from 1 - a to 1.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pandas as pd
import pandera.pandas as pa
import scipy
from scipy import special

from device_sims.devices.tracks import wire
from device_sims.engines import Result
from device_sims.problem import Problem
from device_sims.problem.observables import LOST, MULTIPLE, SINGLE
from spinloom.declare import Real, Section, key
from spinloom.errors import UserError
from spinloom.quantities import of
from spinloom.write_events import Energy, Junction, Levels, Line, Pulse, Writes

EVENT_COLUMNS = {**wire.EVENT_COLUMNS, "passed": pa.Column(bool), "passing_time_s": wire.POSITION}
_share = pa.Column(float, pa.Check.in_range(0, 1), nullable=True)
_number = pa.Column(float, nullable=True)


def summary_columns(drives: tuple[str, ...]) -> dict[str, pa.Column]:
    """Return the columns of a summary, by name; ``drives`` are the columns of pulses that drive the wall."""
    return {
        "pulse": wire.INDEX,
        **{column: pa.Column(float) for column in drives},
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


class Notch(Section):
    """A pair of triangular notches, one in each edge."""

    position_m: Real = key("Position of the notches' centre along the wire.", gt=0)
    depth_m: Real = key("Depth of a notch, from each edge.", gt=0, le=1e-06)
    width_m: Real = key("Width of a notch at the edge.", gt=0, le=1e-06)


class Wall(Section):
    """Where a write begins, and the waiting times around the pulse."""

    start_m: Real = key("Position of the wall before the pulse, left of the notches.", gt=0)
    rest_s: Real = key("Time at the set temperature before the pulse.", gt=0, le=1e-06)
    settle_s: Real = key("Time after the pulse until the wall counts as passed or pinned.", gt=0, le=1e-06)


# -- one write -------------------------------------------------------------------------------------------------------
def check_places(track: wire.Track, notch: Notch, wall: Wall, where: str) -> None:
    """Check that the notches are on the track and the wall on their left; ``where`` is the family's section.

    Raises
    ------
    UserError
        Naming the key.
    """
    left, right = notch.position_m - notch.width_m / 2, notch.position_m + notch.width_m / 2
    if not 0 < left < right < track.length_m:
        raise UserError(
            f"{where}.notch.position_m: found {notch.position_m:g} with width_m {notch.width_m:g}, "
            f"allowed: notches within the track, 0 to {track.length_m:g}"
        )
    if not 0 < wall.start_m < left:
        raise UserError(f"{where}.wall.start_m: found {wall.start_m:g}, allowed: left of the notches, 0 to {left:g}")


def observe(problem: Problem, result: Result, component: int) -> tuple[dict, dict]:
    """Return the row of `EVENT_COLUMNS` and the arrays of `wire.TRAJECTORY_COLUMNS` of a trajectory.

    The wall has passed if it ends beyond the notches, on the track or through its far end. ``passing_time_s`` counts
    from the start of the pulse to the record from which on that is so. ``component`` is that of m along the domains.
    """
    row, record = wire.observe(problem, result, component)
    shape = problem.geometry
    far = shape.notch_positions_m[0] + shape.notch_width_m / 2
    reversed_, position = record["mx" if component == 0 else "mz"] > 0, record["position_m"]
    beyond = np.where(np.isnan(position), reversed_, np.nan_to_num(position) > far)
    passed = bool(beyond[-1]) and row["wall_state"] != MULTIPLE
    first = len(beyond) - int(np.argmin(beyond[::-1])) if not beyond.all() else 0
    start = result.t_s[result.phase_end["rest"]]
    time = max(float(result.t_s[first] - start), 0.0) if passed else float("nan")
    return {**row, "passed": passed, "passing_time_s": time}, record


def summarise(pulses: pd.DataFrame, events: pd.DataFrame, drives: tuple[str, ...], column: str) -> pd.DataFrame:
    """Return how many walls passed under each drive, Jeffreys' 95 % interval, and the fitted passing law.

    A track that ends with more than one wall (``nucleated``) answers nothing and counts in no probability. The law is
    that of all drives, repeated in each row; absent if the drives do not tell it.

    Parameters
    ----------
    pulses, events : DataFrame
    drives : tuple of str
        Columns of ``pulses`` that drive the wall.
    column : str
        The one of them that is swept.

    Returns
    -------
    DataFrame
        The columns of `summary_columns`.
    """
    groups = events.groupby("pulse")
    table = pulses.set_index("pulse")[list(drives)].assign(
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
    table = table.assign(
        **{f"law_{name}": value for name, value in law._asdict().items()}, law_unit=of(column).si.replace("^", "")
    )
    return table.reset_index()[list(summary_columns(drives))]


def writes(track: wire.Track, notch: Notch, channel: str, column: str, line: bool = False) -> Writes:
    """Return what the write events mean: pinned or passed, decided anew by every pulse.

    The wire is read by a junction over the track beyond the notches, which a wall that has passed turns from
    antiparallel to parallel.

    Parameters
    ----------
    track : wire.Track
    notch : Notch
    channel : str
        What is pulsed, in words.
    column : str
        Column of the pulses that drives the wall.
    line : bool
        Whether a current in a line along the track does; else it is driven from outside the device.
    """
    heated = Energy(sot=Line(width_m=track.width_m, length_m=track.length_m))
    return Writes(
        outcome=wire.outcome((SINGLE, LOST), "ended with more than one wall", "weaken the drive"),
        states=Levels(labels=("pinned", "passed"), passed="passed", volatile=True),
        pulse=Pulse(channel=channel, drives=(column,), polarity=column, settle="settle_s"),
        junction=Junction(area_m2=track.width_m * (track.length_m - notch.position_m)),
        energy=heated if line else Energy(clock=True),
    )
