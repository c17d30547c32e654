"""The stage's config section as an object, with the checks that only this stage can make."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from network import datasets, metering, optimizers
from spinloom.errors import UserError
from spinloom.files import read_json

BASELINE = "float_baseline"


@dataclass(frozen=True)
class Settings:
    """The network section of the config; see docs/network.md for the meaning of every key."""

    dataset: str
    layers: list[int]
    rule: str
    seed: int
    seeds: int = 3
    epochs: int = 10
    batch_size: int = 100
    validation_images: int = 5000
    optimizer: dict = field(default_factory=lambda: {"name": "adam", "learning_rate": 1e-3})
    rule_options: dict = field(default_factory=dict)
    baseline: str | None = BASELINE
    data: dict = field(default_factory=dict)
    device: dict = field(default_factory=dict)
    energy: dict = field(default_factory=dict)

    @property
    def cache(self) -> Path:
        """Folder of checked data files."""
        return _folder("cache", self.data.get("cache") or "~/.cache/spinloom")

    @property
    def folder(self) -> Path | None:
        """Folder where the user put the data files, if any."""
        return _folder("folder", self.data["folder"]) if self.data.get("folder") else None

    def options_of(self, rule: str) -> dict:
        """Return the options for ``rule``; the baseline has none, whatever the config's rule is."""
        return self.rule_options if rule == self.rule and rule != BASELINE else {}

    def identity(self) -> dict[str, Any]:
        """Return what decides the course of a run: not where data lie, how many seeds or epochs, nor energies."""
        keys = ("dataset", "layers", "seed", "batch_size", "validation_images", "optimizer", "device")
        return {key: getattr(self, key) for key in keys}


def _folder(key: str, text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise UserError(f"network.data.{key}: found {text!r}, allowed a path with a known home ({error})") from None


def _whole(section: dict, key: str, low: int, high: int) -> None:
    value = section.get(key, low)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise UserError(f"network.{key}: found {value!r}, allowed whole numbers {low} to {high}")


def read(path: str | Path) -> Settings:
    """Read the network section of the config from a JSON file; errors as of `check`."""
    return check(read_json(path), path)


def check(section: Any, path: str | Path = "config") -> Settings:
    """Return the network section of the config as an object.

    Raises
    ------
    UserError
        If a key is missing or unknown, or does not fit the data set, the rule or the optimiser.
    """
    if not isinstance(section, dict):
        raise UserError(f"{path}: found no JSON object, allowed the network section of the config")
    known = set(Settings.__dataclass_fields__)
    if unknown := sorted(set(section) - known):
        raise UserError(f"{path}: network: found unknown key {', '.join(unknown)}, allowed {', '.join(sorted(known))}")
    if missing := [key for key in ("dataset", "layers", "rule", "seed") if key not in section]:
        raise UserError(f"{path}: network: {', '.join(missing)} missing")
    dataset = datasets.get(section["dataset"])
    images = dataset.files[0].shape[0]
    _whole(section, "seed", 0, 2**53)
    for key, high in (("seeds", 10**4), ("epochs", 10**5), ("batch_size", images), ("validation_images", images - 1)):
        _whole(section, key, 1, high)
    layers = section["layers"]
    if not isinstance(layers, list) or len(layers) < 2 or not all(type(n) is int and n > 0 for n in layers):
        raise UserError(f"network.layers: found {layers!r}, allowed a list of at least two widths")
    if layers[0] != dataset.inputs or layers[-1] != dataset.classes:
        raise UserError(
            f"network.layers: found {layers[0]} inputs and {layers[-1]} outputs, allowed {dataset.inputs} and "
            f"{dataset.classes} for {dataset.name}"
        )
    metering.constants(section.get("energy", {}))  # a run must not end in an error that was there at its start
    settings = Settings(**section)
    if settings.batch_size > images - settings.validation_images:
        left = images - settings.validation_images
        raise UserError(f"network.batch_size: found {settings.batch_size}, allowed 1 to {left} (validation excluded)")
    for name, folder in (("cache", settings.cache), ("folder", settings.folder)):
        if folder is not None and not str(folder).isprintable():
            raise UserError(f"network.data.{name}: found {str(folder)!r}, allowed a printable path")
    optimizers.check(settings.optimizer)
    return settings
