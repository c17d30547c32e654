"""A study's whole config: what it may say, how it is read and checked, and what each stage sees of it."""

from __future__ import annotations

import json
from functools import reduce
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field

from calibration.config import Calibration
from device_sims.config import DeviceSims
from network.config import RENAMED, Network
from spinloom.config import Named, lay_over, layer, section, stack
from spinloom.declare import Real, Section, key, meaning
from spinloom.explain import check_magnitudes
from spinloom.stages import STAGES
from workflow.design.config import Design
from workflow.study import measured


class Axis(Section):
    """One axis: a key with its values, or named points."""

    name: str | None = key("Name of the axis. With null, the last part of `key`.", None)
    values: tuple[Any, ...] | None = key("Values of the key.", None, min_length=1, max_length=1000)
    points: dict[str, dict[str, Any] | None] | None = key(
        "Changes of the config by label, in place of `key` and `values`. `from` names a config file to begin "
        "with, and `take` its sections to use.",
        None,
        min_length=1,
    )
    key: str | None = key(
        "Key of the config that takes the `values`, such as `calibration.states.count`.",
        None,
        max_length=200,
    )


class Scan(Section):
    """Several studies in one: each combination of entries of the axes is one of them (docs/scans.md)."""

    axes: tuple[Axis, ...] = key(
        "What differs. Each combination is a point with its own results in `results/STUDY/points/`.",
        min_length=1,
        max_length=6,
    )


class Published(Section):
    """A number of the paper."""

    quantity: str = key("Name of the quantity (docs/network/tables.md lists them).")
    variant: str | None = key("Variant that the number is compared with. With null, the first.", None)
    value: Real = key("The published number.")
    unit: str | None = key(
        "Unit of the number: 1 or % for shares, J or mJ to aJ for energies. With null, that of our tables.",
        None,
    )
    tag: str = key("What tells this number from others, such as a page or a condition.", "", max_length=200)


class System(Section):
    """The published system that the study stands for. `network/summary/systems.csv` compares its numbers with ours."""

    name: str = key("Name of the system.", min_length=1, max_length=100)
    paper: str = key("The publication.", min_length=1, max_length=300)
    published: tuple[Published, ...] = key("Numbers of the publication.", (), max_length=1000)
    assumptions: tuple[Annotated[str, Field(min_length=1, max_length=500)], ...] = key(
        "What the publication does not say and you had to assume.",
        (),
        max_length=100,
    )


class Study(Named):
    """A study: a device, its card, and the networks that learn with it."""

    OTHER_NAMES: ClassVar[dict[str, str]] = RENAMED

    device_sims: DeviceSims = key(  # pyright: ignore[reportInvalidTypeForm]: made of the families' options
        meaning(DeviceSims)
    )
    calibration: Calibration = key(meaning(Calibration))
    network: Network | None = key(meaning(Network))
    scan: Scan | None = key(meaning(Scan), None)
    system: System | None = key(meaning(System), None)
    design: Design | None = key(meaning(Design), absent=True)


class StudyFile(Study):
    """What a config file may say: a study, and what it rests on."""

    extends: str | None = key(
        "Config of Spinloom on which this file lies: `default`, or the name of one in `configs/`. Left out: a "
        "file lies on `config.yaml`.",
        None,
        max_length=100,
    )


def load(path: str | Path, *overlays: str | Path) -> dict[str, Any]:
    """Return the checked config of ``path`` with the files ``overlays`` laid over it, key by key, the last on top.

    Raises
    ------
    UserError
        If a file cannot be read, or the config is wrong.
    """
    return laid_over(path, *layer(overlays))


def laid_over(path: str | Path, layer: dict[str, Any], source: str = "") -> dict[str, Any]:
    """Return the checked config of ``path`` with ``layer`` over it; errors name its ``source``, by default ``path``."""
    base, above = stack(path, layer)
    return resolve(_layered(base, [above] if above else []), source or str(path))


def stacked(base: dict[str, Any], layers: list[dict[str, Any]], source: str) -> dict[str, Any]:
    """Return the checked config ``base`` with ``layers`` over it, the last on top; errors as of `resolve`."""
    return resolve(_layered(base, layers), source)


def _layered(base: dict[str, Any], layers: list[dict[str, Any]]) -> dict[str, Any]:
    whole = reduce(lay_over, layers, base)
    under = measured.beneath(whole, layers)
    return reduce(lay_over, [under, *layers], base) if under else whole


def resolve(config: dict[str, Any], source: str = "config") -> dict[str, Any]:
    """Return a checked copy of ``config`` with every default filled in and every number in the type of its key.

    Parameters
    ----------
    config : dict
        As read from YAML.
    source : str
        What to call it in errors.

    Raises
    ------
    UserError
        One line with the key, what was found and what is allowed.
    """
    whole = Study.parse(config, source).dump()
    check_magnitudes(whole, source)
    return whole


def section_texts(config: dict[str, Any], more: dict[str, dict[str, Any]] | None = None) -> dict[str, str]:
    """Return the text of each section file by its name: ``resolved`` is the whole config, each stage has its own.

    ``more`` are further files by name: what single jobs of a stage see of its section.
    """
    stages = {stage: section(config, stage) for stage in STAGES}
    for name in ("pictures", "barriers"):  # files of their own: no table of the sweep depends on them
        stages["device_sims"].pop(name, None)
    parts = {"resolved": config, **stages, **(more or {})}
    return {name: json.dumps(_in_order(content), indent=1) + "\n" for name, content in parts.items()}


def _in_order(value: Any, name: str = "") -> Any:
    """Return ``value`` with all keys sorted, except for variants: tables show these in the user's order."""
    if isinstance(value, dict):
        keys = value if name == "variants" else sorted(value)
        return {key: _in_order(value[key], key) for key in keys}
    return [_in_order(item) for item in value] if isinstance(value, list) else value
