"""Events of the device stage -> kernel card."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from calibration.card import SCHEMA_VERSION, KernelCard
from calibration.conductance import Junction, read_table_of
from calibration.derived import derive
from calibration.energy import pulse_table
from calibration.estimator import count_transitions, device_offsets, posterior, random_effects, stationary
from calibration.states import FAMILIES, assign_states, state_edges
from calibration.tables import CARD, EVENTS, PULSE_PLAN, conform, contiguous, entry, unit
from spinloom.errors import UserError
from spinloom.files import read_json, read_table, sha256_file


def read_events(
    path: str | Path, voltage: pd.Series, track_length: float, max_lost_fraction: float, where: str | Path
) -> tuple[pd.DataFrame, int]:
    """Read the write events and set aside those that lost the wall.

    Parameters
    ----------
    path : str or Path
        ``events.parquet``.
    voltage : Series, float64[pulses]
        Gate voltage of each pulse, V, that the events must agree with.
    track_length : float
        m; positions lie in 0..track_length.
    max_lost_fraction : float
        Largest share of events with ``wall_state`` other than "single" that is put up with.
    where : str or Path
        Name of the config file, for the error about that share.

    Returns
    -------
    DataFrame
        `calibration.tables.EVENTS` sorted by pulse, instance, replica; only events with a single wall.
    int
        Number of events set aside.

    Raises
    ------
    UserError
        If the table breaks its schema, disagrees with the pulses, or too many walls were lost.
    """
    events = conform(read_table(path), EVENTS, path)
    _check_against_pulses(events, voltage, path)
    kept = events[events["wall_state"] == "single"].reset_index(drop=True)
    lost = len(events) - len(kept)
    if lost > max_lost_fraction * len(events):
        first = events[events["wall_state"] != "single"].iloc[0]
        at = first.get("lost_at_s")
        when = "" if pd.isna(at) else f" at {at:.3g} s"
        raise UserError(
            f"{path}: {lost} of {len(events)} events lost their wall, the first is pulse {first['pulse']} "
            f"({first['voltage_V']:g} V), instance {first['instance']}, replica {first['replica']}{when}; allowed is a "
            f"share of {max_lost_fraction:g} (max_lost_fraction in {where}), so raise it, or lengthen the track or "
            "shorten the pulse"
        )
    position = kept["final_position_m"]
    outside = kept[~position.between(0.0, track_length)]
    if len(outside):
        row = outside.iloc[0]
        raise UserError(
            f"{path}: column final_position_m has {row['final_position_m']:g} (pulse {row['pulse']}, instance "
            f"{row['instance']}, replica {row['replica']}); allowed with a single wall is 0..{track_length:g}"
        )
    empty = sorted(set(range(len(voltage))) - set(kept["pulse"]))
    if empty:
        raise UserError(f"{path}: pulse {empty[0]} has no event with a single wall; needed is at least one per pulse")
    return kept, lost


def _check_against_pulses(events: pd.DataFrame, voltage: pd.Series, path: str | Path) -> None:
    unknown = events[~events["pulse"].isin(range(len(voltage)))]
    if len(unknown):
        raise UserError(
            f"{path}: column pulse has {unknown['pulse'].iloc[0]}; allowed are the pulses 0..{len(voltage) - 1} "
            "of the pulse table"
        )
    planned = voltage.to_numpy()[events["pulse"]]
    differs = events[~np.isclose(events["voltage_V"], planned, rtol=1e-9, atol=0)]
    if len(differs):
        row = differs.iloc[0]
        raise UserError(
            f"{path}: column voltage_V has {row['voltage_V']:g} for pulse {row['pulse']}; "
            f"allowed is {planned[differs.index[0]]:g} as in the pulse table"
        )


def build_card(config_path: str, events_path: str, pulses_path: str, device_path: str) -> KernelCard:
    """Return the kernel card of a simulated device.

    Parameters
    ----------
    config_path : str
        JSON, the calibration section of the study's config.
    events_path, pulses_path, device_path : str
        ``events.parquet``, ``pulses.csv``, ``device.json`` of the device stage.

    Raises
    ------
    UserError
        If an input is unfit.
    """
    config, device = read_json(config_path), read_json(device_path)
    family = entry(device, "family", device_path, str)
    if family not in FAMILIES:
        raise UserError(
            f"{device_path}: family: found '{family}', allowed: {', '.join(FAMILIES)}; cards of other families are not "
            "made yet, so ask the workflow for the target device_sims only"
        )
    plan = conform(read_table(pulses_path), PULSE_PLAN, pulses_path)
    contiguous(plan["pulse"], pulses_path)
    junction = Junction.from_files(device, device_path, config, config_path)
    reset = entry(device, "reset_before_write", device_path, bool)
    events, lost = read_events(
        events_path, plan["voltage_V"], junction.length, entry(config, "max_lost_fraction", config_path), config_path
    )

    count = entry(config, "states.count", config_path, int)
    method = entry(config, "states.method", config_path, str)
    edges = state_edges(events, method, count, junction.length, config_path)
    position, pulse = events["final_position_m"].to_numpy(), events["pulse"].to_numpy()
    state = assign_states(position, edges)
    start = np.zeros_like(state) if reset else _start_states(events, edges, events_path)
    # writes are alike if they share the pulse and, without a reset, the state before
    cell, instance = pulse * count + start, events["instance"].to_numpy()

    states = _state_table(events, state, edges, junction, events_path)
    pulses = pulse_table(plan, device, device_path, config, config_path)
    counts = count_transitions(pulse, start, state, len(plan), count)
    if reset:
        counts = np.repeat(counts[:, :1], count, axis=1)
    transitions, kernel = _transition_table(counts, config, config_path, events_path)
    states["occupancy"] = stationary(kernel)
    reads = read_table_of(states["conductance_S"].to_numpy(), config, config_path)
    population = device_offsets(position, cell, instance)
    population["conductance_offset_S"] = junction.slope_S_per_m * population["position_offset_m"]

    mean_position = events.groupby("pulse")["final_position_m"].mean().to_numpy()
    meta = {
        "name": entry(device, "family", device_path, str),
        "schema_version": SCHEMA_VERSION,
        "flags": {"volatile": False, "reset_before_write": reset, "destructive_read": False, "half_select": None},
        "source": {
            "kind": "simulated",
            "engine": entry(device, "engine", device_path, str),
            "engine_version": entry(device, "engine_version", device_path, str),
            "spec_hashes": sorted(set(events["spec_hash"])),
            "events_sha256": sha256_file(events_path),
        },
        "units": {column: unit(column) for schema in CARD.values() for column in schema.columns if column != "channel"},
        "states": {"method": method, "edges_m": [float(edge) for edge in edges]},
        "transition_rows": (
            "the same for every state_from, because each write begins with a reset; counts repeat and must not be "
            "added up over state_from"
            if reset
            else "one per state_from"
        ),
        "posterior": {
            "pseudocount": entry(config, "posterior.pseudocount", config_path),
            "interval": entry(config, "posterior.interval", config_path),
        },
        "junction": {
            "parallel_S": junction.parallel_S,
            "antiparallel_S": junction.antiparallel_S,
            "track_length_m": junction.length,
        },
        "events": len(events),
        "lost_events": lost,
        "spread": asdict(random_effects(position, cell, instance)),
        "spread_by_pulse": [
            {
                "pulse": number,
                "mean_m": float(position[pulse == number].mean()),
                **asdict(random_effects(position[pulse == number], cell[pulse == number], instance[pulse == number])),
            }
            for number in range(len(plan))
        ],
        "derived": derive(
            kernel,
            states["occupancy"].to_numpy(),
            states["conductance_S"].to_numpy(),
            states["conductance_sd_S"].to_numpy(),
            reads["noise_sd_S"].to_numpy(),
            assign_states(mean_position, edges),
            pulses["energy_mean_J"].to_numpy(),
        ),
    }
    return KernelCard(states, pulses, transitions, population, reads, meta).validate()


def _start_states(events: pd.DataFrame, edges: np.ndarray, path: str) -> np.ndarray:
    start = events["start_position_m"]
    if start.isna().any():
        raise UserError(
            f"{path}: column start_position_m is empty for pulse {events.loc[start.isna(), 'pulse'].iloc[0]}; "
            "every write needs one unless the device is reset before each write"
        )
    return assign_states(start.to_numpy(), edges)


def _state_table(
    events: pd.DataFrame, state: np.ndarray, edges: np.ndarray, junction: Junction, path: str
) -> pd.DataFrame:
    counts = np.bincount(state, minlength=len(edges) - 1)
    if counts.min() < 2:
        poor = int(counts.argmin())
        raise UserError(
            f"{path}: state {poor} ({1e9 * edges[poor]:g} to {1e9 * edges[poor + 1]:g} nm) holds {counts[poor]} "
            "events; needed are 2 for its conductance and spread: simulate more writes or allow fewer states"
        )
    position = events["final_position_m"].groupby(state)
    conductance = pd.Series(junction.conductance(events["final_position_m"])).groupby(state)
    return pd.DataFrame(
        {
            "state": np.arange(len(counts)),
            "position_m": position.mean(),
            "position_low_m": edges[:-1],
            "position_high_m": edges[1:],
            "conductance_S": conductance.mean(),
            "conductance_sd_S": conductance.std(ddof=1),
        }
    )


def _transition_table(
    counts: np.ndarray, config: Any, config_path: str, events_path: str
) -> tuple[pd.DataFrame, np.ndarray]:
    empty = np.argwhere(counts.sum(axis=-1) == 0)
    if len(empty):
        raise UserError(
            f"{events_path}: pulse {empty[0][0]} has no event that starts in state {empty[0][1]}; "
            "needed is at least one for each pulse and state"
        )
    mean, low, high = posterior(
        counts,
        entry(config, "posterior.pseudocount", config_path),
        entry(config, "posterior.interval", config_path),
        config_path,
    )
    keys = np.indices(counts.shape).reshape(3, -1)
    table = pd.DataFrame(dict(zip(("pulse", "state_from", "state_to"), keys, strict=True)))
    table["count"] = counts.ravel()
    table["probability"], table["ci_low"], table["ci_high"] = mean.ravel(), low.ravel(), high.ravel()
    return table, mean
