"""Simulated device families: the device stage's files -> `calibration.counting.writes.Writes`. One file per family.

A family is a module with

* ``PLAN``, ``EVENTS``: pandera schemas of what it needs of the device stage's ``pulses.csv`` and ``events.parquet``,
  which may hold more;
* ``STATES``: the methods of ``calibration.states`` that make sense for it;
* ``writes(stage, config, where) -> Writes``: from a `Simulation` and the config's calibration section, ``where`` being
  the name of its file.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd

from calibration.card.tables import conform, contiguous, entry
from calibration.config import Stage
from calibration.counting import states
from calibration.counting.writes import Writes
from spinloom.errors import UserError
from spinloom.files import read_json, read_table, sha256_file

REGISTRY = {
    "domain_wall": "calibration.sources.simulated.domain_wall",
    "stt_mtj": "calibration.sources.simulated.mtj",
    "vcma_mtj": "calibration.sources.simulated.mtj",
    "notched_wire": "calibration.sources.simulated.notched_wire",
}


@dataclass(frozen=True)
class Simulation:
    """What the device stage hands over, read and checked."""

    folder: Path
    device: dict[str, Any]
    pulses: pd.DataFrame
    events: pd.DataFrame

    @property
    def device_file(self) -> Path:
        """Where ``device`` was read."""
        return self.folder / "device.json"

    @property
    def events_file(self) -> Path:
        """Where ``events`` were read."""
        return self.folder / "events.parquet"

    def value(self, key: str, kind: type = float, least: float | None = None) -> Any:
        """Return an entry of ``device.json``; errors as of `calibration.card.tables.entry`."""
        return entry(self.device, key, self.device_file, kind, least)

    def source(self) -> dict[str, Any]:
        """Return ``source`` of the card: who simulated, and the hashes of what."""
        return {
            "kind": "simulated",
            "engine": self.value("engine", str),
            "engine_version": self.value("engine_version", str),
            "spec_hashes": sorted(set(self.events["spec_hash"])),
            "events_sha256": sha256_file(self.events_file),
        }


def module(family: str, where: str | Path = "device") -> ModuleType:
    """Return the module of a family.

    Raises
    ------
    UserError
        If there is no such family.
    """
    if family not in REGISTRY:
        raise UserError(f"{where}: family: found '{family}', allowed: {', '.join(REGISTRY)}")
    return import_module(REGISTRY[family])


def check(family: str, config: Stage, pulses: int, where: str = "calibration") -> None:
    """Check the calibration section, ``where``, as only the family can, before anything is simulated.

    Raises
    ------
    UserError
        If ``states.method`` is not for this family, or does not go with the number of pulses.
    """
    method, allowed = config.states.method, module(family).STATES
    if method not in allowed:
        raise UserError(f"{where}.states.method: found '{method}', allowed for {family}: {', '.join(allowed)}")
    if method != "device":
        states.check(config.states, pulses, where)


def read(folder: str | Path, config: Stage, where: str) -> Writes:
    """Read the device stage's ``device.json``, ``pulses.csv`` and ``events.parquet`` in ``folder`` as writes.

    Raises
    ------
    UserError
        If a file is absent or unfit.
    """
    folder = Path(folder)
    device = read_json(folder / "device.json")
    family = module(entry(device, "family", folder / "device.json", str), folder / "device.json")
    pulses = conform(read_table(folder / "pulses.csv"), family.PLAN, folder / "pulses.csv")
    contiguous(pulses["pulse"], folder / "pulses.csv")
    check(device["family"], config, len(pulses), f"{where}: calibration")
    events = conform(read_table(folder / "events.parquet"), family.EVENTS, folder / "events.parquet")
    _check_pulses(events, pulses, folder / "events.parquet")
    return family.writes(Simulation(folder, device, pulses, events), config, where)


def _check_pulses(events: pd.DataFrame, pulses: pd.DataFrame, path: Path) -> None:
    unknown = events[~events["pulse"].isin(pulses["pulse"])]
    if len(unknown):
        raise UserError(
            f"{path}: column pulse has {unknown['pulse'].iloc[0]}; allowed are the pulses 0..{len(pulses) - 1} "
            "of the pulse table"
        )


def keep(
    stage: Simulation, good: pd.Series, config: Stage, where: str, lost_what: str, advice: str
) -> tuple[pd.DataFrame, int]:
    """Return the events of which ``good`` is true, and how many are not.

    Raises
    ------
    UserError
        If more than the share ``max_lost_fraction`` of the config is not, or none is left.
    """
    events, most = stage.events, config.max_lost_fraction
    kept = events[good].reset_index(drop=True)
    lost = len(events) - len(kept)
    if lost > most * len(events):
        first = events[~good].iloc[0]
        at = first.get("lost_at_s")
        when = "" if at is None or pd.isna(at) else f" at {at:.3g} s"
        raise UserError(
            f"{stage.events_file}: {lost} of {len(events)} events {lost_what}, the first is pulse {first['pulse']}, "
            f"instance {first['instance']}, replica {first['replica']}{when}; allowed is a share of {most:g} "
            f"(max_lost_fraction in {where}), so raise it, or {advice}"
        )
    empty = sorted(set(stage.pulses["pulse"]) - set(kept["pulse"]))
    if empty:
        raise UserError(f"{stage.events_file}: all events of pulse {empty[0]} {lost_what}; needed is at least one")
    return kept, lost
