"""The stage's config section as objects, one per variant, with the checks that only this stage can make."""

from __future__ import annotations

import re
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from network import datasets, rules
from network.config import Energy, Lifetime, Stage
from network.model import architecture, optimizers
from network.training import options
from network.training.data import folders
from spinloom.errors import UserError
from spinloom.files import read_json

BASELINE = "float_baseline"
RANGES = ("unit", "signed", "binary")
# how often a variant is trained
REPEATS = ("seeds", "card_samples", "chips", "seeds_per_chip")
# numbers that turn counts into joules and years
ASSUMED = ("energy", "lifetime")
# the whole study's, so no variant may change them
COMMON = ("dataset", "data", "seed", *ASSUMED, "baseline", "variants", *REPEATS)
# keys of the parts that no other module checks
PARTS = {
    "data": ("folder", "cache"),
    "input": ("range", "pool"),
    "augmentation": ("shift_px", "mirror"),
    "early_stopping": ("patience",),
    "device": (
        "within_state_spread", "read_noise", "device_to_device", "stochastic", "symmetric", "rest", "pulses",
        "stuck_fraction",
    ),
    "array": (
        "wire_resistance_ohm", "driver_resistance_ohm", "sense_resistance_ohm", "tile_rows", "tile_columns",
        "half_select",
    ),
    "converters": ("dac_bits", "dac_full_scale", "adc_bits", "adc_full_scale"),
    "evaluation": ("input_noise_sds", "retention"),
}  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """The network section of the config for one variant; see docs/network.md for the meaning of every key."""

    dataset: str
    layers: list[int | str]
    rule: str
    seed: int
    variant: str = ""
    seeds: int = 3
    card_samples: int = 0
    chips: int = 2
    seeds_per_chip: int = 2
    epochs: int = 10
    batch_size: int = 100
    validation_images: int = 5000
    activation: str = "relu"
    normalisation: str = "batch"
    loss: str = "cross_entropy"
    weight_range: float = 1.0
    input: dict = field(default_factory=dict)
    augmentation: dict = field(default_factory=dict)
    optimizer: dict = field(default_factory=lambda: {"name": "adam", "learning_rate": 1e-3})
    early_stopping: dict | None = None
    rule_options: dict = field(default_factory=dict)
    data: dict = field(default_factory=dict)
    device: dict = field(default_factory=dict)
    array: dict = field(default_factory=dict)
    converters: dict = field(default_factory=dict)
    evaluation: dict = field(default_factory=dict)
    energy: Energy = field(default_factory=Energy)
    lifetime: Lifetime = field(default_factory=Lifetime)

    @property
    def cache(self) -> Path:
        """Folder of checked data files."""
        return folders(self.data)[0]

    @property
    def folder(self) -> Path | None:
        """Folder where the user put the data files, if any."""
        return folders(self.data)[1]

    def architecture(self) -> architecture.Architecture:
        """Return the network; `UserError` if its layers do not fit the data set."""
        rows, columns, channels = datasets.get(self.dataset).shape
        side = self.input.get("pool", 1)
        if side < 1 or rows % side or columns % side:
            raise UserError(f"network.input.pool: found {side}, allowed divisors of {rows} and {columns}")
        picture = (rows // side, columns // side, channels)
        layers = architecture.parse(self.layers, picture)
        layers = tuple(replace(layer, weight_range=self.weight_range) for layer in layers)
        return architecture.Architecture(picture, layers, self.activation, self.normalisation, self.loss)

    @property
    def modules(self) -> tuple[str, str]:
        """Names of the plug-ins' modules that a training uses: rule and data set."""
        return rules.REGISTRY.module(self.rule), datasets.REGISTRY.module(self.dataset)

    def identity(self) -> dict[str, Any]:
        """Return what decides the course of a run: not its name, where data lie, how many seeds, nor energies.

        The number of epochs counts only where the learning rate depends on it: then a longer run is another run.
        """
        other = ("variant", *REPEATS, "epochs", "data", *ASSUMED, "evaluation", "early_stopping")
        values = {key: value for key, value in vars(self).items() if key not in other}
        if (self.optimizer.get("schedule") or {}).get("name", "constant") != "constant":
            values["epochs"] = self.epochs
        return values


def work(config: Settings, samples: int) -> float:
    """Return images x weights of a training on ``samples`` images: what it takes, in the units of `spinloom.speed`."""
    weights = sum(layer.inputs * layer.outputs * layer.uses for layer in config.architecture().layers)
    return float(samples * config.epochs * weights * options.effort(config.rule, config.rule_options))


def _whole(section: dict, key: str, low: int, high: int) -> None:
    value = section.get(key, Settings.__dataclass_fields__[key].default)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise UserError(f"network.{key}: found {value!r}, allowed whole numbers {low} to {high}")


def _over(base: Any, change: Any) -> Any:
    """Return ``base`` with ``change`` laid over it, dictionary by dictionary."""
    if not isinstance(base, dict) or not isinstance(change, dict):
        return deepcopy(change)
    return {**deepcopy(base), **{key: _over(base.get(key), value) for key, value in change.items()}}


def variants(section: dict) -> dict[str, dict]:
    """Return the section of each variant, the baseline last, by name.

    Without ``variants`` there is one, named after the rule. A variant that changes the rule or the optimiser replaces
    ``rule_options`` or ``optimizer`` as a whole, because settings of one are none of the other's.

    Raises
    ------
    UserError
        If a name cannot be that of a folder, or a variant changes what belongs to the whole study.
    """
    base = {key: value for key, value in section.items() if key not in ("variants", "baseline")}
    named = section.get("variants") or {section["rule"]: {}}
    found = {}
    for name, change in named.items():
        name, change = str(name), change or {}  # a number is a name too, and a text in every file
        if not re.fullmatch(r"[a-z0-9_]{1,40}", name):
            raise UserError(f"network.variants: found {name!r}, allowed up to 40 of a-z, 0-9 and _")
        if fixed := sorted(set(change) & set(COMMON)):
            raise UserError(f"network.variants.{name}: found {', '.join(fixed)}, which belong to the whole study")
        start = dict(base)
        if change.get("rule", base["rule"]) != base["rule"]:
            start["rule_options"] = {}
        if (change.get("optimizer") or {}).get("name", None) not in (None, (base.get("optimizer") or {}).get("name")):
            start["optimizer"] = {}
        found[name] = {**_over(start, change), "variant": name}
    baseline = section.get("baseline", BASELINE)
    if baseline:
        # what lies between a network in floats and one in hardware is the loss that is to be told
        own = {**deepcopy(base), "rule": baseline, "rule_options": {}, "variant": baseline, "converters": {}}
        found[baseline] = found.pop(baseline, own)
    if BASELINE in found and found[BASELINE]["rule"] != BASELINE:
        raise UserError(f"network.variants.{BASELINE}.rule: found {found[BASELINE]['rule']}, allowed {BASELINE}")
    return found


def parts(section: dict) -> dict[str, dict]:
    """Return what each kind of job sees of a network section, by file name.

    ``data`` names the data set; ``training_NAME`` is the section of a variant without the assumed constants and the
    numbers of repeated runs, which no training depends on.
    """
    seen = {"data": {key: section[key] for key in ("dataset", "data") if key in section}}
    for name, own in variants(section).items():
        seen[f"training_{name}"] = {key: value for key, value in own.items() if key not in (*ASSUMED, *REPEATS)}
    return seen


def read(path: str | Path) -> Settings:
    """Read one variant's section from a JSON file; errors as of `check`."""
    return check(_by_schema(read_json(path), path), path)


def read_all(path: str | Path) -> list[Settings]:
    """Read all variants of a network section from a JSON file; errors as of `check`."""
    return check_all(_by_schema(read_json(path), path), path)


def _by_schema(section: Any, path: str | Path) -> dict:
    """Return a section that may be written by hand as it is; `UserError` where the config's schema is not met."""
    if not isinstance(section, dict):
        raise UserError(f"{path}: found no JSON object, allowed the network section of the config")
    own = {key: value for key, value in section.items() if key != "variant"}
    Stage.parse(own, str(path))
    return section


def check_all(section: Any, path: str | Path = "config") -> list[Settings]:
    """Return all variants of a network section; errors as of `check`."""
    if not isinstance(section, dict) or "rule" not in section:
        raise UserError(f"{path}: found no rule, allowed the network section of the config")
    found = []
    for name, one in variants(section).items():
        try:
            found.append(check(one, path))
        except UserError as error:  # one of many: say which
            raise UserError(f"variant {name}: {error}" if section.get("variants") else str(error)) from None
    return found


def check(section: Any, path: str | Path = "config") -> Settings:
    """Return one variant's section as an object.

    Raises
    ------
    UserError
        If a key is missing or unknown, or does not fit the data set, the rule or the optimiser.
    """
    if not isinstance(section, dict):
        raise UserError(f"{path}: found no JSON object, allowed the network section of the config")
    section = {key: value for key, value in section.items() if key not in ("variants", "baseline")}
    known = set(Settings.__dataclass_fields__)
    if unknown := sorted(set(section) - known):
        raise UserError(f"{path}: network: found unknown key {', '.join(unknown)}, allowed {', '.join(sorted(known))}")
    if missing := [key for key in ("dataset", "layers", "rule", "seed") if key not in section]:
        raise UserError(f"{path}: network: {', '.join(missing)} missing")
    for part, allowed in PARTS.items():
        found = section.get(part)
        if found is not None and not isinstance(found, dict):
            raise UserError(f"{path}: network.{part}: found {found!r}, allowed {', '.join(allowed)}")
        if unknown := sorted(set(found or {}) - set(allowed)):
            raise UserError(
                f"{path}: network.{part}: found unknown key {', '.join(unknown)}, allowed {', '.join(allowed)}"
            )
    section = {"variant": section["rule"], **section}
    dataset = datasets.get(section["dataset"])
    images = dataset.train_count or 10**9  # of an image folder nobody knows before it is read
    _whole(section, "seed", 0, 2**53)
    for key, low, high in (
        ("seeds", 1, 10**4), ("epochs", 1, 10**5), ("batch_size", 1, images), ("validation_images", 1, images - 1),
        ("card_samples", 0, 10**3), ("chips", 2, 10**3), ("seeds_per_chip", 2, 10**3),
    ):  # fmt: skip
        _whole(section, key, low, high)
    if section.get("card_samples") == 1:
        raise UserError("network.card_samples: found 1, allowed 0 or at least 2: one draw has no spread")
    layers = section["layers"]
    if not isinstance(layers, list) or len(layers) < 2:
        raise UserError(f"network.layers: found {layers!r}, allowed a list of at least two entries")
    for key, allowed in (
        ("activation", architecture.ACTIVATIONS),
        ("normalisation", architecture.NORMALISATIONS),
        ("loss", architecture.LOSSES),
    ):
        if section.get(key, allowed[0]) not in allowed:
            raise UserError(f"network.{key}: found {section[key]!r}, allowed {', '.join(allowed)}")
    if (found := (section.get("input") or {}).get("range", "unit")) not in RANGES:
        raise UserError(f"network.input.range: found {found!r}, allowed {', '.join(RANGES)}")
    for name, declared in (("energy", Energy), ("lifetime", Lifetime)):
        section[name] = declared.parse(section.get(name, {}), str(path), f"network.{name}")
    settings = Settings(**section)
    most = min(dataset.shape[:2]) - 1
    shift = settings.augmentation.get("shift_px", 0)
    if isinstance(shift, bool) or not isinstance(shift, int) or not 0 <= shift <= most:
        raise UserError(f"network.augmentation.shift_px: found {shift!r}, allowed whole numbers 0 to {most}")
    classes = settings.architecture().layers[-1].outputs
    if classes != dataset.classes:
        raise UserError(f"network.layers: found {classes} outputs, allowed {dataset.classes} for {dataset.name}")
    if settings.batch_size > images - settings.validation_images:
        left = images - settings.validation_images
        raise UserError(f"network.batch_size: found {settings.batch_size}, allowed 1 to {left} (validation excluded)")
    if settings.batch_size == 1 and settings.normalisation == "batch":
        raise UserError(
            "network.normalisation: found 'batch', allowed none with batch_size 1 (one image has no spread)"
        )
    folders(settings.data)
    optimizers.check(settings.optimizer)
    options.check(settings.rule, settings.rule_options)
    options.fit(settings.rule, settings, settings.architecture().layers)
    return settings
