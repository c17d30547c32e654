"""The stage's config section as objects, one per variant, with the checks that only this stage can make."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn, Self

from pydantic import model_validator

from network import datasets, rules
from network.config import Planned, Shared, Stage, Training
from network.model import architecture, optimizers
from network.rules.capabilities import Devices
from network.training import data, tunable
from spinloom.config import overlay
from spinloom.declare import Section, key
from spinloom.errors import UserError
from spinloom.files import read_json

BASELINE = "float_baseline"
# work of a value that an array gives, or that a convolution copies for a use (both forward and backward), measured
VALUE = 130.0
# how often a variant is trained
REPEATS = ("seeds", "card_samples", "chips", "seeds_per_chip")
# what turns counts into joules, seconds and years
ASSUMED = ("hardware", "lifetime")


class Settings(Shared, Training, Planned):
    """The network section of the config for one variant; see docs/config/network.md for the meaning of the keys."""

    variant: str = key("Name of the variant.", "")

    @cached_property
    def options(self) -> Section:
        """Options of the rule; `UserError` if it has no such."""
        return rules.options(self.rule, self.rule_options)

    @cached_property
    def data_set(self) -> datasets.Dataset:
        """The data set; `UserError` if it has no such options."""
        return datasets.get(self.dataset, self.dataset_options, self.found, self.data.cache)

    @property
    def about_data(self) -> datasets.Found | None:
        """What the files of a data set of the user's hold."""
        return getattr(self.data_set, "found", None)

    def held(self, images: int) -> int:
        """Return how many of the training set's images validate."""
        return self.validation_images or max(min(5000, images // 10), 1)

    @property
    def learned(self) -> int | None:
        """How many images a training learns from; None of a data set whose size nobody knows before it is read."""
        if self.training_images is not None:
            return self.training_images
        images = self.data_set.train_count
        return None if images is None else images - self.held(images)

    @property
    def modules(self) -> tuple[str, str]:
        """Names of the plug-ins' modules that a training uses: rule and data set."""
        return rules.REGISTRY.module(self.rule), datasets.REGISTRY.module(self.dataset)

    @property
    def uses_card(self) -> bool:
        """Whether a training depends on the kernel card: on its devices, or on its levels."""
        return rules.get(self.rule).uses_card(self.options)

    def architecture(self) -> architecture.Architecture:
        """Return the network; `UserError` if its layers do not fit the data set."""
        rows, columns, channels = self.data_set.shape
        side = self.input.pool
        if rows % side or columns % side:
            raise UserError(f"network.input.pool: found {side}, allowed: a common divisor of {rows} and {columns}")
        picture = (rows // side, columns // side, channels)
        layers = architecture.parse(self.layers, picture)
        ranges = self.weight_range if isinstance(self.weight_range, tuple) else (self.weight_range,) * len(layers)
        if len(ranges) != len(layers):
            _refuse("weight_range", f"{len(ranges)} numbers", f"one, or one for each of the {len(layers)} arrays")
        layers = tuple(replace(layer, weight_range=own) for layer, own in zip(layers, ranges, strict=True))
        return architecture.Architecture(picture, layers, self.activation, self.normalisation, self.loss)

    @property
    def tunes(self) -> bool:
        """Whether short trainings find some of its keys before it is trained."""
        return self.tune is not None and self.tune.trials > 0 and self.epochs > 0 and bool(tunable.ranges(self))

    def identity(self) -> dict[str, Any]:
        """Return what decides the course of a run: not its name, where data lie, how many seeds, nor energies.

        The number of epochs counts only where the learning rate depends on it: then a longer run is another run.
        """
        other = {
            "variant",
            *REPEATS,
            "tune",
            "data",
            "dataset_options",
            "found",
            *ASSUMED,
            "evaluation",
            "early_stopping",
        }
        if self.pretrained is None:
            other.add("pretrained")
        if self.optimizer.schedule is None or self.optimizer.schedule.name == "constant":
            other.add("epochs")
        told = {**self.model_dump(mode="json", exclude=other), "rule_options": self.options.dump()}
        if self.pretrained is not None:  # the hash of the file is told by who has read it
            told["pretrained"] = self.pretrained.model_dump(mode="json", exclude={"file", "sha256"})
        return told

    def work(self, samples: int) -> float:
        """Return the work of a training on ``samples`` images, in the units of `spinloom.speed`."""
        use, step = rules.get(self.rule).effort(self.options)
        network = self.architecture()
        # a sum or a mean takes at most what a value of an array does
        image = VALUE * sum(network.between)
        for layer in network.layers:
            weights = layer.inputs * layer.outputs
            values = layer.outputs + (layer.inputs if layer.kernel else 0)  # what a use writes to memory
            image += layer.uses * (use * weights + VALUE * values) + step * weights / self.batch_size
        return samples * self.epochs * image

    @model_validator(mode="after")
    def _fits(self) -> Self:
        """Refuse what does not fit the data set, the optimiser or the rule."""
        if (self.pretrained is not None) != (self.epochs == 0):
            allowed = "1 to 100000, or 0 with network.pretrained" if self.epochs == 0 else "0 with pretrained weights"
            _refuse("epochs", self.epochs, allowed)
        dataset = self.data_set
        images = dataset.train_count or 10**9  # of an image folder nobody knows before it is read
        left, most_px = images - self.held(images), min(dataset.shape[:2]) - 1
        if left < 1:
            _refuse("validation_images", self.validation_images, f"whole numbers 1 to {images - 1}")
        if self.training_images is not None:
            if self.training_images > left:
                _refuse("training_images", self.training_images, f"1 to {left} (validation excluded)")
            left = self.training_images
        if self.card_samples == 1:
            _refuse("card_samples", 1, "0 or at least 2: one draw has no spread")
        if self.augmentation.shift_px > most_px:
            _refuse("augmentation.shift_px", self.augmentation.shift_px, f"whole numbers 0 to {most_px}")
        if self.data.folder is not None and self.about_data is not None:
            _refuse("data.folder", repr(self.data.folder), f"null for {dataset.name}: dataset_options name its files")
        if self.augmentation.mirror and dataset.shape[0] == 1:
            _refuse("augmentation.mirror", "true", "false for samples of one row, which are no pictures")
        layers = self.architecture().layers
        if layers[-1].outputs != dataset.classes:
            _refuse("layers", f"{layers[-1].outputs} outputs", f"{dataset.classes} for {dataset.name}")
        if self.batch_size > left:
            _refuse("batch_size", self.batch_size, f"1 to {left} (images to train with)")
        if self.tunes and self.tune and self.batch_size > (few := self.tune.training_images or left):
            _refuse("tune.training_images", few, f"a batch at least, {self.batch_size}")
        if self.batch_size == 1 and self.normalisation == "batch":
            _refuse("normalisation", "'batch'", "none with batch_size 1 (one image has no spread)")
        data.folders(self.data)
        optimizers.check(self.optimizer)
        self._suits(layers)
        return self

    def _suits(self, layers: tuple[architecture.Layer, ...]) -> None:
        """Refuse a network that the rule cannot train, and parts of the array that would be without effect."""
        rule = rules.get(self.rule)
        clocked = rule.devices is Devices.CLOCKED
        self.options  # noqa: B018  (checked before anything runs)

        def refuse(key: str, found: Any, allowed: str) -> NoReturn:
            _refuse(key, found, f"{allowed} for {self.rule}")

        if self.pretrained is not None:
            if not rule.takes_weights:
                able = " or ".join(name for name in rules.REGISTRY.own() if rules.get(name).takes_weights)
                _refuse("pretrained", "weights", f"null with rule {self.rule}, or rule {able}")
            if self.weight_range != 1:
                _refuse(
                    "weight_range", self.weight_range, "1 with pretrained weights, whose range comes from their file"
                )
        if rule.outer and self.batch_size != 1:
            refuse("batch_size", self.batch_size, "1")
        if (rule.outer or clocked) and any(layer.kernel for layer in layers):
            refuse("layers", "a convolution", "dense layers")
        if clocked and any(layer.dropout or layer.projects is not None or layer.adds is not None for layer in layers):
            refuse("layers", "a residual block or dropout", "neither")
        if self.array.half_select and rule.devices is not Devices.IN_PLACE and self.rule != BASELINE:
            refuse("array.half_select", self.array.half_select, "null")
        if self.array.half_select and getattr(self.options, "pulses", None) == "fractional":
            refuse("array.half_select", self.array.half_select, "null with pulses: fractional")
        if self.array.rows_read_at_once and self.array.partial_sums == "analogue":
            refuse("array.rows_read_at_once", self.array.rows_read_at_once, "null with partial_sums: analogue")
        if self.array.partial_sums == "digital" and (clocked or rule.outer):
            refuse("array.partial_sums", "'digital'", "analogue")
        if self.array.rows_read_at_once and self.array.resistive:
            refuse("array.rows_read_at_once", self.array.rows_read_at_once, "null with resistances of lines")
        if not clocked:
            return
        if self.input.range == "signed":
            refuse("input.range", "'signed'", "unit, binary")
        if len(layers) > 1 and self.activation != "sigmoid":
            refuse("activation", repr(self.activation), "sigmoid")
        for name, value in self.array.resistances_ohm.items():
            if value:
                refuse(f"array.{name}", f"{value:g}", "none")
        # a device that holds nothing neither fails to be written, nor is mirrored, nor rests
        if not self.device.stochastic:
            refuse("device.stochastic", "false", "true")
        if self.device.symmetric:
            refuse("device.symmetric", "true", "false")
        if self.device.rest is not None:
            refuse("device.rest", "a rest", "null")


def _refuse(key: str, found: Any, allowed: str) -> NoReturn:
    raise UserError(f"network.{key}: found {found}, allowed: {allowed}")


def variants(section: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the section of each variant, the baseline last, by name.

    Without ``variants`` there is one, named after the rule. A variant that changes the rule or the optimiser replaces
    ``rule_options`` or ``optimizer`` as a whole, because settings of one are none of the other's.

    Raises
    ------
    UserError
        If a variant has the name of the baseline and another rule.
    """
    base = {key: value for key, value in section.items() if key not in ("variants", "baseline")}
    named = section.get("variants") or {section["rule"]: {}}
    found = {}
    for name, change in named.items():
        name, change, start = str(name), change or {}, dict(base)  # a number is a name too, and a text in every file
        if change.get("rule", base["rule"]) != base["rule"]:
            start["rule_options"] = {}
        if (change.get("optimizer") or {}).get("name", None) not in (None, (base.get("optimizer") or {}).get("name")):
            start["optimizer"] = {}
        if name == BASELINE and "converters" not in change:
            start["converters"] = {}  # as of the baseline that nobody lists, below
        found[name] = {**overlay(start, change), "variant": name}
    baseline = section.get("baseline", BASELINE)
    if baseline:
        # what lies between a network in floats and one in hardware is the loss that is to be told: no converters, and
        # a learning rate that means what it means for the devices
        options = {"rate_of": "true_weight"} if rules.get(base["rule"]).outer else {}
        own = {**base, "rule": baseline, "rule_options": options, "variant": baseline, "converters": {}}
        found[baseline] = found.pop(baseline, own)
    if BASELINE in found and found[BASELINE]["rule"] != BASELINE:
        _refuse(f"variants.{BASELINE}.rule", found[BASELINE]["rule"], BASELINE)
    return found


def parts(section: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what each kind of job sees of a network section, by file name.

    ``data`` names the data set; ``training_NAME`` is the section of a variant without the assumed constants and the
    numbers of repeated runs, which no training depends on. Neither says where the cache is.
    """
    seen = {"data": {key: section[key] for key in ("dataset", "dataset_options", "found", "data") if key in section}}
    for name, own in variants(section).items():
        seen[f"training_{name}"] = {key: value for key, value in own.items() if key not in (*ASSUMED, *REPEATS)}
    return {name: without_cache(part) for name, part in seen.items()}


def without_cache(section: dict[str, Any]) -> dict[str, Any]:
    """Return a section without the place of the cache, on which no result depends."""
    data = section.get("data")
    return {**section, "data": {key: data[key] for key in data if key != "cache"}} if data else section


def with_found(section: dict[str, Any], folder: Path | None) -> dict[str, Any]:
    """Return a variant's section with what its tuning found, if ``folder`` holds that.

    Raises
    ------
    UserError
        If the file cannot be read.
    """
    if folder is None or not (path := folder / f"{section['variant']}.json").exists():
        return section
    found = read_json(path)
    return {**section, **{key: found[key] for key in tunable.SECTIONS if key in found}}


def read(path: str | Path) -> Settings:
    """Read one variant's section from a JSON file; errors as of `check`."""
    return check(read_json(path), path)


def read_all(path: str | Path, tuned: Path | None = None) -> list[Settings]:
    """Read all variants of a network section from a JSON file; the rest as of `check_all`."""
    return check_all(read_json(path), path, tuned)


def check_all(section: Any, path: str | Path = "config", tuned: Path | None = None) -> list[Settings]:
    """Return all variants of a network section, with what is found in the folder ``tuned``; errors as of `check`."""
    Stage.parse(section, str(path))
    found = []
    for name, one in variants(section).items():
        try:
            found.append(check(with_found(one, tuned), path))
        except UserError as error:  # one of many: say which
            raise UserError(f"variant {name}: {error}" if section.get("variants") else str(error)) from None
    tune = found[0].tune if found else None
    if tune and tune.trials and tune.keys and all(one.epochs and not one.tunes for one in found):
        _refuse("tune.keys", ", ".join(tune.keys), "a key that one of the variants has")
    return found


def check(section: Any, path: str | Path = "config") -> Settings:
    """Return one variant's section as an object.

    Raises
    ------
    UserError
        If a key is missing or unknown, or does not fit the data set, the rule or the optimiser.
    """
    if isinstance(section, dict):  # a whole section without variants will do
        section = {key: value for key, value in section.items() if key not in ("variants", "baseline")}
        section.setdefault("variant", section.get("rule", ""))
    return Settings.parse(section, str(path))
