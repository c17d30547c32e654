"""Readings of measured devices -> states, transition probabilities and read noise.

Two models are fitted to whole series of readings: few levels (`level_model`) and steps of a continuous conductance
(`step_model`). Where the config leaves the choice open, the Bayesian information criterion makes it (Schwarz, Ann.
Stat. 6, 461 (1978)): both are likelihoods of the same readings.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float64
from scipy.stats import chi2

from calibration.config import Stage
from calibration.counting.estimator import Rows, count_transitions
from calibration.counting.spread import Spread
from calibration.counting.states import MOST, assign_states, given_edges
from calibration.counting.writes import REST, Writes
from calibration.measurement import kernel, level_model, level_rows, step_model, surface
from calibration.measurement.clean import SURPRISE, drift_at_rest, far_from_levels, glitches, gross
from calibration.measurement.devices import Devices, separated
from calibration.measurement.level_model import Levels
from calibration.measurement.population import Population, population, spread
from calibration.measurement.segments import Segments, segments
from calibration.sections import States
from spinloom.errors import UserError
from spinloom.streams import generator

CHAINED = 30  # readings between two others of their series, below which noise is not told from writing
FEWEST = 3  # writes with a pulse that a model needs
SPARSE = 10  # writes, below which intervals of pulses fitted together do not cover (docs/statistics/surface.md)
DRAWS = 200  # of the parameters, for intervals
MIDDLE = (0.003, 0.997)  # quantiles of the readings between which states lie, for a first guess
CHANCE = 1e-4  # with which a given noise that is right is said to contradict the readings
SURE = 2.0  # standard deviations by which a state must lie beyond the range for it to be extended
ON_END = 0.02  # share of the states that a hard end must hold to bound the lattice
LATTICE = (8, 64)  # fewest and most states of a lattice whose number is not given


@dataclass(frozen=True)
class Estimate:
    """What the readings say.

    Attributes
    ----------
    method
        How the states were chosen: levels, or as in the config.
    edges
        Of the states, S.
    conductance, conductance_sd
        Of each state, S.
    events
        `Writes.events` with the estimated states before and after each write.
    rows
        Of the kernel; counts are expected numbers of writes, rounded.
    noise
        Standard deviation of a reading, S, of any state or of each.
    meta
        Entry ``measurement`` of ``card.json``.
    population
        How the devices differ; None where the readings do not support that they do.
    spread
        Of writes, and of devices; None where no step was fitted, so that it is found from the states.
    warnings
        What is wrong with them.
    """

    method: str
    edges: Float64[np.ndarray, " edges"]
    conductance: Float64[np.ndarray, " states"]
    conductance_sd: Float64[np.ndarray, " states"]
    events: pd.DataFrame
    rows: Rows
    noise: float | Float64[np.ndarray, " states"]
    meta: dict[str, Any]
    population: Population | None = None
    spread: Spread | None = None
    warnings: tuple[str, ...] = ()


def estimate(writes: Writes, config: Stage, where: str) -> Estimate | None:
    """Return states, probabilities and noise, None where counting the writes is as good.

    That is where no series is long enough to tell noise from writing and the noise is not given, and where there is no
    noise to speak of and the states are intervals that the config wants to be counted.

    Parameters
    ----------
    writes : Writes
        With readings.
    config : Stage
    where : str
        Name of the config file, for errors.

    Raises
    ------
    UserError
        If the readings do not carry the states that the config asks for.
    """
    assert writes.readings is not None
    options, table = config.states, segments(writes.readings)
    if options.method == "nearest_mean" or (writes.read_noise_S is None and table.chained() < CHAINED):
        return None
    for number, writes_of in enumerate(_writes_of(table, len(writes.pulses))):
        if writes_of < FEWEST:
            raise UserError(
                f"{writes.where}: found {writes_of} writes with pulse {number}, allowed: {FEWEST} or more, each "
                "between two readings (option pulse_tolerance, if voltages or widths were measured)"
            )
    known = np.isfinite(table.value).sum()
    table = table.without(gross(table, len(writes.readings)))
    rng = generator(config.seed, "read noise", writes.name)
    groups = surface.groups(writes.pulses, table.pulses, table.writes())
    if options.method == "mixture" and options.count is not None:
        first = level_model.fit(table, options.count, writes.read_noise_S)
        left_out, heavy = far_from_levels(first, table, len(writes.readings))
        table = table.without(left_out)
        levels = level_model.fit(table, options.count, writes.read_noise_S) if left_out.any() else first
    else:
        first = _first(table, writes.read_noise_S, rng, groups)
        left_out, heavy = glitches(first, table, len(writes.readings))
        table = table.without(left_out)
        levels = _levels(table, options, first, writes.read_noise_S, writes.where)
    notes, warnings = [], []
    if gone := int(known - np.isfinite(table.value).sum()):
        notes.append(f"{gone} readings lie far from what those around them allow and are left out")
    if heavy:
        notes.append(
            f"{heavy} readings are more than {SURPRISE:g} standard deviations from the model: "
            + ("they are not at its levels" if isinstance(first, Levels) else "steps have heavy tails")
        )
    if levels is not None and levels.free is not None and _other(levels.free, levels):
        warnings.append(
            f"the given read noise of {writes.read_noise_S:.3g} S is not that of readings at {len(levels.level)} "
            f"levels, {levels.free.noise:.3g} S"
        )
    if (drift := drift_at_rest(table)) is not None:
        notes.append(drift)
        if levels is None:
            table = without_rests(table, writes.readings)
    rows = apart = None
    if levels is not None:
        fit = levels
        rows, ends = level_rows.estimated(levels, table, len(writes.pulses), config.posterior, rng)
    else:
        assert isinstance(first, step_model.Fit)
        first, apart = separated(table, first, writes.read_noise_S, rng, groups)
        if apart is not None:
            table = apart.typical(table)
            notes.append(apart.told)
        tied = np.concatenate([group.members for group in groups]) if groups else np.empty(0, int)
        if few := int(np.sum(table.writes()[tied] < SPARSE)):
            warnings.append(
                f"{few} pulses have fewer than {SPARSE} writes: their steps lean on those of neighbouring pulses, and "
                "their intervals are too narrow"
            )
        grows = first.steps.fraction > 0
        fit = step_model.fit(table, *_range(first), writes.read_noise_S, DRAWS, rng, grows, groups=groups)
        ends = fit.noise_interval
    noise = _noise(fit)
    if writes.read_noise_S is not None:
        noise = writes.read_noise_S  # the models take a smallest noise for none
    elif isinstance(fit, step_model.Fit) and fit.unseen:
        noise = 0.0
    interval = [None if np.isnan(end) else float(end) for end in ends]
    meta = {
        "model": "levels" if isinstance(fit, Levels) else "steps",
        "readings": int(known),
        "left_out": gone,
        "noise_sd_S": float(noise),
        "noise_interval_S": interval,
        "noise_basis": "estimated" if writes.read_noise_S is None else "given",
        "notes": notes,
    }
    if isinstance(fit, Levels):
        assert rows is not None
        made = _by_levels(fit, rows, table, writes, meta)
    else:
        made = _by_steps(fit, table, apart, writes, config, meta, where)
    return made and replace(made, warnings=tuple(warnings))


def without_rests(table: Segments, readings: pd.DataFrame) -> Segments:
    """Return readings, cut where the device rests, so that no step is fitted across a drift, if enough are left.

    Parameters
    ----------
    table : Segments
        Of `readings`, without those that are left out.
    readings : DataFrame
        `calibration.counting.writes.Writes.readings`.
    """
    kept = np.isfinite(table.whole(table.value, len(readings)))
    cut = segments(readings.assign(series=(readings["pulse"] == REST).cumsum())).without(~kept)
    return cut if cut.chained() >= CHAINED else table


def _noise(fit: Levels | step_model.Fit) -> float:
    return fit.noise if isinstance(fit, Levels) else fit.steps.noise


def _other(free: Levels, given: Levels) -> bool:
    """Return whether the readings contradict a given noise beyond chance (likelihood ratio of one parameter)."""
    return bool(chi2.sf(2 * (free.log_likelihood - given.log_likelihood), 1) < CHANCE)


def _writes_of(table: Segments, pulses: int) -> np.ndarray:
    counts = np.zeros(pulses, dtype=np.int64)
    counts[list(table.pulses)] = table.writes()
    return counts


def _first(
    table: Segments, noise: float | None, rng: np.random.Generator, groups: tuple[surface.Group, ...]
) -> step_model.Fit:
    """Return the steps, with a noise that grows with the conductance if the readings support its parameter."""
    middle = _middle(table.value)
    even = step_model.fit(table, *middle, noise, 0, rng, groups=groups)
    if noise is not None or groups:  # many pulses with few writes do not tell the noise that finely
        return even
    grown = step_model.fit(table, *middle, noise, 0, rng, grows=True, near=even)
    if _criterion(even, table) <= _criterion(grown, table):
        return even
    # what a second start finds must not speak for the further parameter
    even = step_model.fit(table, *middle, noise, 0, rng, near=grown)
    return min(even, grown, key=lambda fit: _criterion(fit, table))


def _middle(values: np.ndarray) -> tuple[float, float]:
    low, high = np.nanquantile(values, MIDDLE)
    return float(low), float(high)


def _range(fit: step_model.Fit) -> tuple[float, float]:
    """Return the range of the smoothed states; a hard end bounds it that holds some of them."""
    low, high = float(np.nanmin(fit.state + SURE * fit.state_sd)), float(np.nanmax(fit.state - SURE * fit.state_sd))
    reach = 2 * max(fit.steps.noise, float(np.nanmedian(fit.state_sd)), 1e-3 * (high - low))
    held = fit.state[np.isfinite(fit.state)]
    if np.mean(held < fit.steps.low + reach) > ON_END and fit.steps.low < high:
        low = fit.steps.low
    if np.mean(held > fit.steps.high - reach) > ON_END and fit.steps.high > low:
        high = fit.steps.high
    return low, high


def _criterion(fit: Levels | step_model.Fit, table: Segments) -> float:
    return -2 * fit.log_likelihood + fit.parameters * np.log(np.isfinite(table.value).sum())


def _levels(table: Segments, options: States, steps: step_model.Fit, noise: float | None, where: str) -> Levels | None:
    """Return the levels if the config asks for them, or if the readings show as many as it wants states.

    A read noise (S) that is known holds for every number of levels that is tried.

    Raises
    ------
    UserError
        If it asks for levels and the readings show none.
    """
    method, count = options.method, options.count
    tried = {*level_model.candidates(table), *_by_steps_alone(steps)}
    if method not in ("auto", "mixture"):
        tried &= {count}
    fits = {number: level_model.fit(table, number, noise, level_model.TRIAL) for number in sorted(tried)}
    for _ in range(2 if method in ("auto", "mixture") and fits else 0):
        best = min(fits, key=lambda number: _criterion(fits[number], table))
        for number in (best - 1, best + 1):
            if number not in fits and 2 <= number <= level_model.MOST:
                fits[number] = level_model.fit(table, number, noise, level_model.TRIAL)
    best = min(fits.values(), key=lambda fit: _criterion(fit, table), default=None)
    if best is not None and _criterion(best, table) < _criterion(steps, table):
        return level_model.fit(table, len(best.level), noise) if count in (None, len(best.level)) else None
    if method == "mixture":
        raise UserError(
            f"{where}: states.method: found mixture, but the readings show a continuous conductance and no levels, "
            "allowed: auto, lattice, equal_width, equal_population or edges, or mixture with states.count"
        )
    return None


def _by_steps_alone(fit: step_model.Fit) -> set[int]:
    """Return the number of levels that a device has whose steps all are about as long as its distance of levels."""
    low, high = _range(fit)
    lengths = np.abs(fit.steps.mean).mean(axis=1)
    number = int(np.rint((high - low) / max(lengths.mean(), 1e-3 * (high - low)))) + 1
    return {one for one in (number - 1, number, number + 1) if 2 <= one <= level_model.MOST}


def _events(table: Segments, state: np.ndarray, writes: Writes) -> pd.DataFrame:
    """Return the writes with the estimated states, float64[segments, places], before and after them."""
    readings = writes.readings
    assert readings is not None
    # a write beside a missing reading tells the model of its pulse, but is not counted as seen
    whole = table.whole(np.where(np.isfinite(table.value), state, np.nan), len(readings))
    events = pd.DataFrame(
        {
            "pulse": readings["pulse"],
            "instance": readings["instance"],
            "before": np.concatenate([[np.nan], whole[:-1]]),
            "after": whole,
        }
    )
    # a reading that ends one segment begins the next, and its own pulse belongs to the first
    inside = readings["pulse"].ne(REST) & readings["series"].eq(readings["series"].shift())
    events = events[inside & events[["before", "after"]].notna().all(axis=1)]
    events = events.sort_values(["pulse", "instance"], kind="stable", ignore_index=True)
    return events.assign(replica=events.groupby(["pulse", "instance"]).cumcount())


def _by_levels(fit: Levels, rows: Rows, table: Segments, writes: Writes, meta: dict[str, Any]) -> Estimate:
    level = fit.level
    edges = np.concatenate([level[:1], (level[1:] + level[:-1]) / 2, level[-1:]])
    events = _events(table, level[fit.state], writes)
    return Estimate("levels", edges, level, np.zeros(len(level)), events, rows, meta["noise_sd_S"], meta)


def _by_steps(
    fit: step_model.Fit,
    table: Segments,
    apart: Devices | None,
    writes: Writes,
    config: Stage,
    meta: dict[str, Any],
    where: str,
) -> Estimate | None:
    options, steps = config.states, fit.steps
    low, high = _range(fit)
    points = options.method in ("auto", "lattice")
    if meta["noise_sd_S"] == 0 and not points and apart is None:
        return None
    events = _events(table, fit.state, writes)
    if points:
        count = options.count or int(np.clip((high - low) / np.abs(steps.mean).mean(axis=1).min(), *LATTICE))
        centre = np.linspace(low, high, count)
        edges = np.concatenate([[low], (centre[1:] + centre[:-1]) / 2, [high]])
        rows = partial(kernel.on_points, points=centre)
        sd = np.zeros(count)
    else:
        edges = _interval_edges(options, events, (low, high), 2 * steps.noise, where)
        centre, sd = (edges[1:] + edges[:-1]) / 2, np.diff(edges) / np.sqrt(12)
        rows = partial(kernel.in_intervals, edges=edges)
    of = [rows(own) for own in (steps, *fit.draws)]
    size = len(centre)
    tail = (1 - config.posterior.interval) / 2
    drawn = np.stack(of[1:])
    shape = (len(writes.pulses), size, size)
    parts = {name: np.zeros(shape) for name in ("probability", "ci_low", "ci_high", "effective")}
    own = list(table.pulses)
    parts["probability"][own] = of[0]
    parts["ci_low"][own] = np.minimum(np.quantile(drawn, tail, axis=0), of[0])
    parts["ci_high"][own] = np.maximum(np.quantile(drawn, 1 - tail, axis=0), of[0])
    # independent writes that would leave as much uncertainty
    worth = (of[0] * (1 - of[0])).sum(axis=-1) / np.maximum(drawn.var(axis=0).sum(axis=-1), 1e-12)
    written = table.writes().astype(float)[:, None]
    parts["effective"][own] = np.minimum(worth, written)[..., None] * of[0]
    start, stop = (assign_states(events[name].to_numpy(), edges) for name in ("before", "after"))
    counts = count_transitions(events["pulse"].to_numpy(), start, stop, len(writes.pulses), size)
    at = steps.knots[:: step_model.FINE]
    meta = meta | {
        "knots_S": at.tolist(),
        "hard_ends_S": [steps.low, steps.high],
        "steps": [
            {"pulse": pulse, "mean_S": mean.tolist(), "mean_se_S": se.tolist(), "sd_S": spread.tolist()}
            for pulse, mean, se, spread in zip(
                own,
                steps.mean[:, :: step_model.FINE],
                np.std([draw.mean[:, :: step_model.FINE] for draw in fit.draws], axis=0),
                steps.sd[:, :: step_model.FINE],
            )
        ],
    }
    method = "lattice" if options.method == "auto" else options.method
    noise = meta["noise_sd_S"]
    if noise and steps.fraction:
        noise, meta = steps.noise_at(centre), meta | step_model.grown(fit, centre, tail)
    differ = None
    if apart is not None:
        each = np.searchsorted(table.devices, events["instance"].to_numpy())
        written = np.zeros((len(table.devices), *shape), dtype=np.int64)
        np.add.at(written, (each, events["pulse"].to_numpy(), start, stop), 1)
        rng = generator(config.seed, "devices of readings", writes.name)
        differ = population(apart, table.devices, fit, rows, written, events["before"].to_numpy(), rng)
        meta |= differ.meta
    scatter = spread(fit, events["before"].to_numpy(), None if apart is None else apart.offset)
    return Estimate(method, edges, centre, sd, events, Rows(counts, **parts), noise, meta, differ, scatter)


def _interval_edges(
    options: States, events: pd.DataFrame, bounds: tuple[float, float], apart: float, where: str
) -> np.ndarray:
    """Return the edges of intervals; without a number, as many as are ``apart`` (S), twice the read noise, wide."""
    if options.method == "edges":
        return given_edges(options, bounds, "S", where)
    count = options.count or int(np.clip((bounds[1] - bounds[0]) / apart, 2, MOST))
    if options.method == "equal_width":
        # the outermost states lie about the ends of the range as the others do about their middles
        half = (bounds[1] - bounds[0]) / (count - 1) / 2
        return np.linspace(bounds[0] - half, bounds[1] + half, count + 1)
    inner = np.quantile(events["after"], np.arange(1, count) / count)
    return np.concatenate([bounds[:1], inner, bounds[1:]])
