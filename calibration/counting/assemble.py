"""Counted writes -> kernel card, whoever made the writes.

States are intervals of the coordinate; each row of the kernel is estimated from the writes of one pulse that begin in
one state (or in any, if each write begins with a reset). What a row without writes becomes is the config's choice.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from calibration.card import SCHEMA_VERSION, KernelCard, Meta
from calibration.card.tables import units
from calibration.config import Stage
from calibration.counting import estimator, kernel_rows
from calibration.counting.estimator import Rows
from calibration.counting.spread import Spread, as_dict, device_offsets, random_effects
from calibration.counting.states import assign_states, resolved, state_edges
from calibration.counting.wells import well_edges
from calibration.counting.writes import Writes
from calibration.readout.conductance import assumed_of_reads, read_table_of, readout_of
from spinloom import quantities
from spinloom.errors import UserError
from spinloom.streams import generator

if TYPE_CHECKING:
    from calibration.measurement.estimate import Estimate


def assemble(writes: Writes, config: Stage, where: str) -> KernelCard:
    """Return the kernel card of counted writes.

    Parameters
    ----------
    writes : Writes
    config : Stage
        The study's calibration section with its seed.
    where : str
        Name of the config file, for errors.

    Raises
    ------
    UserError
        If the writes do not suffice for what the config asks.
    """
    suffix = quantities.of(writes.coordinate).si
    measured = None
    if writes.readings is not None:
        from calibration.measurement.estimate import estimate  # imported here: JAX, which most cards do not need

        measured = estimate(writes, config, where)
    if measured is not None:
        writes = replace(writes, events=measured.events)
    events = writes.events
    pulse, instance = (events[name].to_numpy() for name in ("pulse", "instance"))
    count = writes.count
    repeated = pulse
    if "prepared" in events:
        repeated = pulse * (events["prepared"].max() + 1) + events["prepared"].to_numpy()
    edges = writes.edges if measured is None else measured.edges
    if edges is None:
        method = resolved(config.states, events["after"].to_numpy(), writes.flags["reset_before_write"])
        config = config.model_copy(update={"states": method})
        kind = pulse if config.states.method == "nearest_mean" else repeated
        after = events["after"].to_numpy()
        edges = (
            well_edges(after, writes.wells, writes.bounds, suffix, where)
            if config.states.method == "wells"
            else state_edges(after, kind, config.states, writes.bounds, suffix, where)
        )
    reset, pulses, size = writes.flags["reset_before_write"], len(writes.pulses), len(edges) - 1
    state = assign_states(events["after"].to_numpy(), edges)
    start = np.zeros_like(state) if reset else assign_states(events["before"].to_numpy(), edges)
    # writes are repetitions if they share the pulse and the preparation or, unprepared, the state before
    cell = repeated if "prepared" in events else pulse * size + start

    states = _states(writes, state, edges, config, measured)
    lent, basis = None, "counts"
    if measured is not None:
        rows, basis = measured.rows, "readings"
    else:
        rows = estimator.transition_rows(pulse, start, state, instance, pulses, size, config.posterior, where, count)
        if _borrows(writes, config):
            from calibration.measurement.borrow import beside_written, borrowed  # imported here: JAX

            basis, lent = "borrowed", beside_written(rows) & (writes.source["kind"] == "measured")
            rows = borrowed(writes, rows, edges, config.posterior, config.seed)
    if reset:
        rows = Rows(**{name: np.repeat(part[:, :1], size, axis=1) for name, part in vars(rows).items()})
    fits, unfitted = [], []
    if measured is not None:
        transitions = kernel_rows.table(rows, basis)
    else:
        fits, unfitted = kernel_rows.fit_laws(writes, start, config.kernel, config.seed, where)
        transitions = _fill(kernel_rows.table(rows, basis), rows, lent, fits, writes, edges, config, where)
    kernel = transitions["probability"].to_numpy().reshape(pulses, size, size)
    states["occupancy"] = estimator.stationary(kernel)
    extras, differ = {}, None if measured is None else measured.population
    if differ is not None:
        extras["by_instance"] = differ.by_instance
    elif config.posterior.by_instance:
        extras["by_instance"] = estimator.by_instance(
            pulse, start, state, instance, pulses, size, config.posterior, where, reset, count
        )
    content = {
        "name": writes.name,
        "schema_version": SCHEMA_VERSION,
        "flags": {**writes.flags, "half_select": False},
        "source": writes.source,
        "units": units(),
        "states": {
            "method": measured.method if measured else config.states.method if writes.edges is None else "device",
            "coordinate": writes.coordinate,
            "edges": [float(edge) for edge in edges],
        },
        "posterior": config.posterior.dump(),
        "laws": [fit.to_dict() for fit in fits],
        "laws_not_fitted": unfitted,
        "intended_states": intended_states(writes, edges),
        "events": int(count.sum()),
        "lost_events": writes.lost,
        **_spreads(writes, cell, instance, size, None if measured is None else measured.spread),
        **writes.meta,
    }
    noise = writes.read_noise_S if measured is None else measured.noise
    if measured is not None:
        content |= {"measurement": measured.meta, "warnings": measured.warnings}
    if writes.source["kind"] == "measured":
        content["assumed"] = [*writes.assumed, *assumed_of_reads(writes, config.readout, noise)]
    elif writes.assumed:
        content["assumed"] = list(writes.assumed)
    reads = read_table_of(states["conductance_S"].to_numpy(), readout_of(writes, config.readout), noise)
    population = _population(writes, cell, instance, config)
    if differ is not None:
        own = population[["instance"]].merge(differ.offsets, on="instance", how="left")
        population["conductance_offset_S"], population["conductance_offset_se_S"] = own["offset"], own["offset_se"]
    return KernelCard(states, writes.pulses, transitions, population, reads, Meta.parse(content, where), extras)


def _borrows(writes: Writes, config: Stage) -> bool:
    """Return whether sparse rows take their prior from the other rows; states by nature are no neighbours."""
    asked = config.posterior.borrow
    wanted = config.states.method == "lattice" if asked is None else asked
    return wanted and writes.edges is None and config.kernel.form == "counts"


def _states(
    writes: Writes, state: np.ndarray, edges: np.ndarray, config: Stage, measured: Estimate | None
) -> pd.DataFrame:
    size, after = len(edges) - 1, writes.events["after"].to_numpy()
    count = np.bincount(state, writes.count, minlength=size).astype(np.int64)
    middle = (edges[:-1] + edges[1:]) / 2
    conductance = writes.conductance(after)
    if measured is not None:
        mean, sd, centre = measured.conductance, measured.conductance_sd, middle
    elif writes.edges is not None:
        mean, sd, centre = writes.conductance(np.arange(size, dtype=np.float64)), np.zeros(size), middle
    elif config.states.method == "lattice":
        # a bin stands for its middle, held or not; within it the coordinate is uniform
        mean, centre = writes.conductance(middle), middle
        sd = np.abs(np.diff(writes.conductance(edges))) / np.sqrt(12)
    else:
        if count.min() < 2:
            poor = int(count.argmin())
            told = quantities.of(writes.coordinate)
            raise UserError(
                f"{writes.where}: state {poor} ({told.scale * edges[poor]:g} to {told.scale * edges[poor + 1]:g} "
                f"{told.unit}) holds {count[poor]} events, allowed: 2 for its conductance and spread: make more "
                "writes or allow fewer states"
            )
        of_state = pd.Series(conductance).groupby(state)
        mean, sd = of_state.mean().to_numpy(), of_state.std(ddof=1).to_numpy()
        centre = pd.Series(after).groupby(state).mean().to_numpy()
    wall = writes.coordinate == "position_m"
    return pd.DataFrame(
        {
            "state": np.arange(size),
            "label": list(writes.labels) or [f"s{number}" for number in range(size)],
            "position_m": centre if wall else np.nan,
            "position_low_m": edges[:-1] if wall else np.nan,
            "position_high_m": edges[1:] if wall else np.nan,
            "conductance_S": mean,
            "conductance_sd_S": sd,
            "count": count,
        }
    )


def _fill(
    table: pd.DataFrame,
    rows: Rows,
    lent: np.ndarray | None,
    fits: list,
    writes: Writes,
    edges: np.ndarray,
    config: Stage,
    where: str,
) -> pd.DataFrame:
    """Return the table with rows by law, if the config wants them, and with those that have no writes."""
    kernel, bare = config.kernel, rows.counts.sum(axis=-1) == 0
    if lent is not None:
        bare &= ~lent
    by_law = np.zeros_like(bare)
    if kernel.form == "law":
        by_law[:] = True
    elif kernel.empty_rows == "law":
        by_law |= bare
        if writes.missing == "stay":
            by_law &= kernel_rows.with_law(fits, writes.pulses, len(edges) - 1)
    stay = bare & ~by_law & (kernel.empty_rows == "stay" or writes.missing == "stay")
    if kernel.form == "law" and writes.missing == "stay":
        # a switching law tells of the direction that was written; the other row has no law
        stay, by_law = bare, by_law & ~bare
    empty = bare & ~by_law & ~stay
    if empty.any():
        # rows that are not asked for any more must not be named
        counts = np.where((bare & ~empty)[..., None], 1, rows.counts)
        replicas = int(writes.events["replica"].max()) + 1 if writes.source["kind"] == "simulated" else None
        raise estimator.empty_row_error(counts, replicas, writes.where, writes.labels)
    if by_law.any():
        level = config.posterior.interval
        table = kernel_rows.with_laws(table, by_law, fits, writes.pulses, edges, level, where)
    if stay.any():
        table = kernel_rows.with_stay(table, stay)
    return table


def _spreads(
    writes: Writes, cell: np.ndarray, instance: np.ndarray, size: int, fitted: Spread | None
) -> dict[str, Any]:
    if fitted is not None:  # without the width of the states
        return {"spread": as_dict(fitted, "S")}
    after = writes.events["after"].to_numpy()
    if writes.edges is not None:
        # between states by nature the only spread is that of probabilities
        return {
            "spread": None,
            "probability_spread": kernel_rows.probability_spreads(after, cell, instance, writes.count, size),
        }
    spreads: dict[str, Any] = {"spread": as_dict(random_effects(writes.conductance(after), cell, instance), "S")}
    if writes.coordinate == "position_m":
        spreads["spread_position"] = as_dict(random_effects(after, cell, instance), "m")
        pulse = writes.events["pulse"].to_numpy()
        spreads["spread_position_by_pulse"] = [
            {
                "pulse": int(number),
                "mean_m": float(after[own].mean()),
                **as_dict(random_effects(after[own], cell[own], instance[own]), "m"),
            }
            for number in np.unique(pulse)
            for own in [pulse == number]
        ]
    return spreads


def _population(writes: Writes, cell: np.ndarray, instance: np.ndarray, config: Stage) -> pd.DataFrame:
    after = writes.events["after"].to_numpy()
    by_nature = writes.edges is not None
    offsets = device_offsets(np.zeros(len(after)) if by_nature else writes.conductance(after), cell, instance)
    table = offsets.rename(columns={"offset": "conductance_offset_S", "offset_se": "conductance_offset_se_S"})
    table["position_offset_m"], table["position_offset_se_m"] = np.nan, np.nan
    if writes.coordinate == "position_m":
        walls = device_offsets(after, cell, instance)
        table["position_offset_m"], table["position_offset_se_m"] = walls["offset"], walls["offset_se"]
    # counted rows stand for several writes
    place = np.searchsorted(table["instance"], instance)
    table["events"] = np.bincount(place, writes.count).astype(np.int64)
    # a barrier that is thicker or thinner scales all conductances of its device alike; RA is lognormal
    drawn = [generator(config.seed, "RA spread", int(number)).standard_normal() for number in table["instance"]]
    # measured devices bring the spread of their barriers with them
    relative = config.readout.RA_relative_sd if writes.source["kind"] == "simulated" else 0.0
    sigma = np.sqrt(np.log1p(relative**2))
    return table.assign(conductance_factor=np.exp(-sigma * np.array(drawn)))


def intended_states(writes: Writes, edges: np.ndarray) -> list[int] | None:
    """Return the state that holds the mean of what each pulse writes after a reset; None without a reset.

    ``edges``, float64[states + 1], bound the states.
    """
    if not writes.flags["reset_before_write"]:
        return None
    return assign_states(writes.events.groupby("pulse")["after"].mean().to_numpy(), edges).tolist()
