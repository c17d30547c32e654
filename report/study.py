"""A study's result files, read once."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from calibration.card import KernelCard
from spinloom import files
from spinloom.errors import UserError
from spinloom.quantities import pulse_names

DEVICE_SIMS = ("events.parquet", "trajectories.parquet", "pulses.csv", "summary.csv")
PICTURES = ("_strip.webp", ".webp")  # strip and animation
NETWORK = (
    "history.csv", "summary.csv", "writes.csv", "energy.csv", "costs.csv", "areas.csv", "rivals.csv", "sensitivity.csv",
    "evaluations.csv", "programming.csv", "lifetime.csv", "confusion.csv", "layers.csv",
)  # fmt: skip


@dataclass(frozen=True)
class Study:
    """What a study left behind; stages that had no part in it left nothing.

    Attributes
    ----------
    name : str
    config : dict
        The whole config with all defaults (``config/resolved.json``).
    card : KernelCard
    device : dict
        ``device.json`` of a simulated device; else empty.
    simulated, network : dict of DataFrame
        Tables of stages 1 and 3 by file name without ending; empty if the stage had no part.
    pictures : dict of list of bytes
        Strip and animation of a write event, by number of its pulse.
    data : dict
        Manifest of the data set; else empty.
    tuning : DataFrame
        What the tuning of all variants tried; empty if there was none.
    validation : DataFrame or None
        The engines' evidence, if it was computed beside the study.
    """

    name: str
    config: dict[str, Any]
    card: KernelCard
    device: dict[str, Any] = field(default_factory=dict)
    simulated: dict[str, pd.DataFrame] = field(default_factory=dict)
    network: dict[str, pd.DataFrame] = field(default_factory=dict)
    pictures: dict[int, list[bytes]] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    tuning: pd.DataFrame = field(default_factory=pd.DataFrame)
    validation: pd.DataFrame | None = None

    @property
    def pulses(self) -> list[str]:
        """Names of the card's pulses."""
        return pulse_names(self.card.pulses)

    @property
    def variants(self) -> list[str]:
        """What was trained, in the order of the config, the baseline last."""
        return list(dict.fromkeys(self.network["summary"]["variant"]))

    def last(self) -> pd.DataFrame:
        """Rows of the network's summary after the last epoch, by variant."""
        summary = self.network["summary"]
        return summary[summary["selection"] == "last"].set_index("variant")


def read(folder: Path, validation: Path | None = None) -> Study:
    """Read a study.

    Parameters
    ----------
    folder : Path
        ``results/STUDY``.
    validation : Path, optional
        ``validation.csv``.

    Raises
    ------
    UserError
        If a file that the study must have is absent or damaged.
    """
    config = files.read_json(folder / "config" / "resolved.json")
    parts: dict[str, Any] = {}
    if config["calibration"]["source"]["kind"] == "simulation":
        tables = folder / "device_sims"
        parts["device"] = files.read_json(tables / "device.json")
        parts["simulated"] = {name.split(".")[0]: files.read_table(tables / name) for name in DEVICE_SIMS}
        asked = folder / "config" / "pictures.json"  # studies of versions without pictures have none
        pulses = files.read_json(asked)["pulses"] if asked.exists() else []
        parts["pictures"] = {pulse: _pictures(tables / "pictures", pulse) for pulse in pulses}
    if config["network"] is not None:
        names = [*NETWORK, "systems.csv"] if config.get("system") else NETWORK
        summary = folder / "network" / "summary"
        parts["network"] = {name.split(".")[0]: files.read_table(summary / name) for name in names}
        parts["data"] = files.read_json(folder / "network" / "data.json")
        tuned = [files.read_table(path) for path in sorted((folder / "network" / "tuned").glob("*.csv"))]
        if tuned and config["network"].get("tune", {}).get("trials"):
            parts["tuning"] = pd.concat(tuned, ignore_index=True)
    if validation is not None:
        parts["validation"] = files.read_table(validation)
    return Study(config["study"], config, KernelCard.read(folder / "calibration" / "card"), **parts)


def _pictures(folder: Path, pulse: int) -> list[bytes]:
    paths = [folder / f"pulse_{pulse}{ending}" for ending in PICTURES]
    for path in paths:
        if not path.exists():
            raise UserError(f"{path}: found no such file")
    return [path.read_bytes() for path in paths]
