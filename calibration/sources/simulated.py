"""Writes of a simulated device, of whatever family: the device stage's tables, read as its ``device.json`` says.

The entry ``writes`` of that file (`spinloom.write_events.Writes`) says which events count, which states they begin and
end in, what reads the state and what a write spends. The electrical constants are those of the calibration section.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa

from calibration.card.tables import at_least_0, conform, contiguous, entry, index, integer, label, number, positive
from calibration.config import Stage
from calibration.counting.states import check as check_states
from calibration.counting.writes import Simulated, Writes
from calibration.readout.conductance import Junction
from calibration.readout.energy import gate_energy, junction_energy, line_energy, pulse_table
from calibration.sections import METHODS, given
from spinloom import write_events
from spinloom.errors import UserError
from spinloom.files import read_json, read_table, sha256_file
from spinloom.write_events import Levels, Line, Position

UNKNOWN = "The energy of a write is not known: nothing says what spends it."


@dataclass(frozen=True, kw_only=True)
class Simulation(Simulated):
    """Simulated writes, and the calibration section that makes a card of them, ``where`` being its file."""

    config: Stage
    where: str

    def constant(self, key: str) -> float:
        """Return a number of the calibration section; errors as of `calibration.sections.given`."""
        return given(self.config, key, self.where)


def check(family: str, means: write_events.Writes, config: Stage, pulses: int, where: str) -> None:
    """Check the calibration section, ``where``, against a device before anything is simulated.

    Raises
    ------
    UserError
        If ``states.method`` is not for this device, or does not go with the number of pulses.
    """
    method = config.states.method
    walls = isinstance(means.states, Position)
    wells = len(means.states.wells_m) if isinstance(means.states, Position) else 0
    allowed = [*METHODS, *(("wells",) if wells else ())] if walls else ["device"]
    if method not in allowed:
        raise UserError(f"{where}.states.method: found '{method}', allowed for {family}: {', '.join(allowed)}")
    if method != "device":
        check_states(config.states, pulses, where, wells)


def told(folder: str | Path) -> Simulated:
    """Return the device stage's ``device.json``, ``pulses.csv`` and ``events.parquet`` in ``folder``.

    Raises
    ------
    UserError
        If a file is absent or unfit.
    """
    folder = Path(folder)
    device = read_json(folder / "device.json")
    if "writes" not in device:
        raise UserError(
            f"{folder / 'device.json'}: found no key writes, allowed: the description of the writes; run stage "
            "device_sims again"
        )
    means = write_events.Writes.parse(device["writes"], str(folder / "device.json"), "writes")
    table = read_table(folder / "pulses.csv")
    pulses = conform(table, _plan(means, table), folder / "pulses.csv")
    contiguous(pulses["pulse"], folder / "pulses.csv")
    events = conform(read_table(folder / "events.parquet"), _events(means), folder / "events.parquet")
    _check_pulses(events, pulses, folder / "events.parquet")
    source = {
        "kind": "simulated",
        **{key: entry(device, key, folder / "device.json", str) for key in ("engine", "engine_version")},
        "spec_hashes": sorted(set(events["spec_hash"])),
        "events_sha256": sha256_file(folder / "events.parquet"),
    }
    return Simulated(
        name=entry(device, "family", folder / "device.json", str),
        source=source,
        events_file=folder / "events.parquet",
        means=means,
        pulses=pulses,
        events=events,
    )


def read(folder: str | Path, config: Stage, where: str) -> Writes:
    """Read the device stage's tables in ``folder`` as writes.

    Raises
    ------
    UserError
        If a file is absent or unfit, or the calibration section does not go with the device.
    """
    known = told(folder)
    check(known.name, known.means, config, len(known.pulses), f"{where}: calibration")
    return counted(known, config, where)


def _plan(means: write_events.Writes, table: pd.DataFrame) -> pa.DataFrameSchema:
    """Return what ``pulses.csv`` must hold; it may hold more."""
    columns = {
        "pulse": index(),
        **{name: number() for name in means.pulse.drives},
        "duration_s": positive(),
        means.pulse.settle: at_least_0(),
        "temperature_K": at_least_0(),
    }
    if isinstance(means.states, Levels) and means.states.before is not None:
        columns[means.states.before] = label(*means.states.starts)
    if "channel" in table:
        columns["channel"] = label(means.pulse.channel)
    return pa.DataFrameSchema(columns, unique=["pulse"])


def _events(means: write_events.Writes) -> pa.DataFrameSchema:
    """Return what ``events.parquet`` must hold; it may hold more."""
    states = means.states
    columns = {
        "pulse": index(),
        "instance": integer(),
        "replica": integer(),
        means.outcome.column: label(*means.outcome.counted, *means.outcome.left_out),
        "spec_hash": label(),
    }
    if isinstance(states, Levels):
        if states.passed is not None:
            columns[states.passed] = pa.Column(bool)
    else:
        columns |= {name: number(nullable=True) for name in (states.before, states.after) if name is not None}
        if states.start is not None:
            columns[states.start] = number()
    if means.energy.junction is not None:
        columns[means.energy.junction.mz] = number()
    return pa.DataFrameSchema(columns, unique=["pulse", "instance", "replica", "spec_hash"])


def _check_pulses(events: pd.DataFrame, pulses: pd.DataFrame, path: Path) -> None:
    unknown = events[~events["pulse"].isin(pulses["pulse"])]
    if len(unknown):
        raise UserError(
            f"{path}: column pulse: found {unknown['pulse'].iloc[0]}, allowed: 0..{len(pulses) - 1}, the pulses of "
            "pulses.csv"
        )


def _keep(stage: Simulation) -> tuple[pd.DataFrame, int]:
    """Return the events that count, and the number of those that do not.

    Raises
    ------
    UserError
        If more than the share ``max_lost_fraction`` of the config does not, or none of a pulse is left.
    """
    events, outcome, most = stage.events, stage.means.outcome, stage.config.max_lost_fraction
    good = events[outcome.column].isin(outcome.counted)
    kept = events[good].reset_index(drop=True)
    lost = len(events) - len(kept)
    if lost > most * len(events):
        first = events[~good].iloc[0]
        at = first.get("lost_at_s")
        when = "" if at is None or pd.isna(at) else f" at {at:.3g} s"
        raise UserError(
            f"{stage.events_file}: {lost} of {len(events)} events {outcome.what}, the first is pulse {first['pulse']}, "
            f"instance {first['instance']}, replica {first['replica']}{when}, allowed: a share of {most:g} "
            f"(max_lost_fraction in {stage.where}), so raise it, or {outcome.advice}"
        )
    empty = sorted(set(stage.pulses["pulse"]) - set(kept["pulse"]))
    if empty:
        raise UserError(
            f"{stage.events_file}: pulse {empty[0]}: found only writes that {outcome.what}, allowed: at least one that "
            "did not"
        )
    return kept, lost


def _junction(stage: Simulation) -> Junction:
    read = stage.means.junction
    return Junction(
        area=read.area_m2,
        resistance_area=stage.constant("readout.RA_ohm_m2") if read.RA_ohm_m2 is None else read.RA_ohm_m2,
        tmr=stage.constant("readout.TMR") if read.TMR is None else read.TMR,
        half_voltage=stage.config.readout.TMR_half_voltage_V,
    )


def _lent(stage: Simulation, junction: Junction) -> list[str]:
    """Return what finished runs do not say and the study's read-out does: what a state conducts, how it is read."""
    read, readout = stage.means.junction, stage.config.readout
    parts = [f"RA {junction.resistance_area:g} ohm m2"] if read.RA_ohm_m2 is None else []
    parts += [f"TMR {junction.tmr:g}"] if read.TMR is None else []
    return [
        *(
            [f"The conductances are those of a junction of {' and '.join(parts)} (calibration.readout)."]
            if parts
            else []
        ),
        f"A read takes {readout.read_voltage_V:g} V for {readout.read_duration_s:g} s, with a noise of "
        f"{readout.noise_fraction:g} of the conductance (calibration.readout).",
    ]


def counted(told: Simulated, config: Stage, where: str) -> Writes:
    """Return the writes that count, with what the calibration section, in the file ``where``, makes of them.

    Raises
    ------
    UserError
        If too many lost their state, or a constant of the read-out or of the energy is missing.
    """
    stage = Simulation(**vars(told), config=config, where=where)
    kept, lost = _keep(stage)
    junction, voltage, means = _junction(stage), stage.config.readout.read_voltage_V, stage.means
    conducts = {"parallel_S": junction.parallel_S, "antiparallel_S": junction.antiparallel_S(voltage)}
    if isinstance(means.states, Position):
        length = means.states.length_m
        events, kinds, bounds = _walls(stage, kept, means.states), stage.pulses, (0.0, length)
        own: dict[str, Any] = {"coordinate": "position_m"}
        meta: dict[str, Any] = {"junction": {**conducts, "track_length_m": length}}
        own["wells"] = means.states.wells_m
        whole, volatile = length, False  # behind the wall, 0..x, the free layer is parallel to the reference layer
    else:
        events, kinds = _levels(stage, kept, means.states)
        edges = np.arange(len(means.states.labels) + 1) - 0.5
        bounds = (float(edges[0]), float(edges[-1]))
        own = {
            "coordinate": "level", "edges": edges, "labels": means.states.labels, "missing": means.states.missing
        }  # fmt: skip
        meta = {"junction": conducts}
        whole, volatile = len(means.states.labels) - 1, means.states.volatile
        if not volatile:
            meta["barrier"] = _barrier(stage)
    return Writes(
        name=stage.name,
        events=events,
        pulses=_pulses(stage, kept, events, kinds, junction),
        bounds=bounds,
        conductance=lambda place: junction.conductance(np.asarray(place) / whole, voltage),
        flags={"volatile": volatile, "reset_before_write": means.reset, "destructive_read": stage.destructive_read},
        source=stage.source,
        where=str(stage.events_file),
        lost=lost,
        meta={**meta, **stage.meta},
        assumed=(
            *stage.assumed,
            *([] if any(means.energy.dump().values()) else [UNKNOWN]),
            *(_lent(stage, junction) if "import" in stage.meta else []),
        ),
        **own,
    )


def _walls(stage: Simulation, kept: pd.DataFrame, states: Position) -> pd.DataFrame:
    """Return the events of writes to a wall: position before and after, from each start or from the reset."""
    final = kept[states.after]
    outside = kept[~final.between(0.0, states.length_m)]
    if len(outside):
        row = outside.iloc[0]
        raise UserError(
            f"{stage.events_file}: column {states.after}: found {row[states.after]:g} (pulse {row['pulse']}, "
            f"instance {row['instance']}, replica {row['replica']}), allowed: 0 to {states.length_m:g} for "
            "a single wall"
        )
    before = np.nan if states.before is None else kept[states.before]
    if states.before is not None and kept[states.before].isna().any():
        raise UserError(
            f"{stage.events_file}: column {states.before}: found nothing for pulse "
            f"{kept.loc[kept[states.before].isna(), 'pulse'].iloc[0]}; every write needs one unless the device is "
            "reset before each write"
        )
    start = np.zeros(len(kept)) if states.start is None else kept[states.start]
    names = {name: kept[name] for name in ("pulse", "instance", "replica")}
    return pd.DataFrame(
        {**names, "before": before, "after": final, "prepared": np.unique(start, return_inverse=True)[1]}
    )


def _levels(stage: Simulation, kept: pd.DataFrame, states: Levels) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the events of writes between states by nature, and the pulses.

    Where the device stage has a pulse for each state before, a pulse here is what the driver does: pulses of the same
    drives, width and temperature are one, with a row for each state.
    """
    plan, before, kinds = stage.pulses, np.nan, stage.pulses
    pulse = kept["pulse"].to_numpy()
    if states.before is not None:
        drive = [*stage.means.pulse.drives, "duration_s", "temperature_K"]
        kinds = plan.drop_duplicates(drive, ignore_index=True)
        merged = plan[["pulse", *drive]].merge(kinds[drive].assign(kind=kinds.index), on=drive)
        pulse = kept["pulse"].map(merged.set_index("pulse")["kind"]).to_numpy()
        before = kept["pulse"].map(plan.set_index("pulse")[states.before].map(states.starts)).astype("float64")
    after = (
        kept[stage.means.outcome.column].map({name: level for level, name in enumerate(states.labels)})
        if states.passed is None
        else kept[states.passed]
    )
    names = {name: kept[name] for name in ("instance", "replica")}
    events = pd.DataFrame({"pulse": pulse, **names, "before": before, "after": after.astype("float64")})
    return events, kinds.assign(pulse=kinds.index)


def _barrier(stage: Simulation) -> dict[str, Any] | None:
    barrier = stage.means.barrier
    if barrier is None:
        return None
    return {**barrier.dump(), "temperature_K": float(stage.pulses["temperature_K"].iloc[0])}


def _pulses(
    stage: Simulation, kept: pd.DataFrame, events: pd.DataFrame, kinds: pd.DataFrame, junction: Junction
) -> pd.DataFrame:
    """Return the card's pulses with what a write spends, by mechanism."""
    energy, pulse, states = stage.means.energy, stage.means.pulse, stage.means.states
    duration, reset_s = kinds["duration_s"], 0.0
    parts: dict[str, Any] = {}
    spread: Any = 0.0
    if energy.reset is not None and stage.means.reset:
        reset_s = stage.constant("write_energy.reset_duration_s")
    if energy.sot is not None:
        parts["sot"] = _line(stage, energy.sot, kinds["current_density_A_per_m2"], duration)
    if energy.junction is not None and isinstance(states, Levels):
        mz = kept[energy.junction.mz].to_numpy()
        parts["junction"], spread = _heat(mz, events, kinds, junction, len(states.labels))
    if energy.gate is not None:
        plates = energy.gate
        # a gate of another material than calibration's says so itself
        permittivity = plates.relative_permittivity or stage.constant("write_energy.gate_relative_permittivity")
        parts["gate"] = gate_energy(kinds["voltage_V"], permittivity, plates.area_m2, plates.dielectric_thickness_m)
    if energy.reset is not None:
        current = stage.constant("write_energy.reset_current_density_A_per_m2")
        parts["reset"] = _line(stage, energy.reset, current, reset_s)
    if energy.clock:
        parts["clock"] = np.full(len(kinds), stage.constant("write_energy.clock_energy_J"))
    if not parts:  # nobody said what spends it
        parts["unknown"], spread = np.full(len(kinds), np.nan), np.nan
    pulses = kinds[["pulse", *pulse.drives, "duration_s", "temperature_K"]].assign(
        channel=pulse.channel, polarity=np.sign(kinds[pulse.polarity]).astype("int64")
    )
    return pulse_table(pulses, parts, reset_s + duration + kinds[pulse.settle], sd=spread)


def _line(stage: Simulation, line: Line, current: Any, duration: Any) -> Any:
    resistivity = line.resistivity_ohm_m or stage.constant("write_energy.resistivity_ohm_m")
    thickness = line.thickness_m or stage.constant("write_energy.heavy_metal_thickness_m")
    return line_energy(current, duration, resistivity, line.width_m, thickness, line.length_m)


def _heat(
    mz: np.ndarray, events: pd.DataFrame, kinds: pd.DataFrame, junction: Junction, states: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and sd of the junction's heat in a write, over all states before, equally often.

    The conductance follows ``mz``, the mean over each pulse, at the voltage of the pulse. In a state that nobody wrote
    from, it is that of the state for the whole pulse.
    """
    kind, before = events["pulse"].to_numpy(), events["before"].to_numpy()
    voltage, duration = kinds["voltage_V"].to_numpy(), kinds["duration_s"].to_numpy()
    share = np.clip((1 + mz) / 2, 0, 1)
    conductance = junction.conductance(share, voltage[kind])
    heat = pd.Series(junction_energy(voltage[kind], duration[kind], conductance))
    means, variances = np.zeros((states, len(kinds))), np.zeros((states, len(kinds)))
    for state in range(states):
        still = junction.conductance(np.asarray(state / (states - 1)), voltage)
        means[state] = junction_energy(voltage, duration, still)
        own = heat[before == state].groupby(kind[before == state])
        written = own.mean().index
        means[state, written], variances[state, written] = own.mean(), own.var(ddof=0)
    return means.mean(axis=0), np.sqrt(variances.mean(axis=0) + means.var(axis=0))
