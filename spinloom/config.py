"""Config files: read as YAML that runs no code, laid over each other, cut into the stages' sections."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from functools import reduce
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import yaml
from pydantic import AfterValidator

from spinloom.declare import Section, Whole, key
from spinloom.errors import UserError
from spinloom.explain import check_depth, short


class Seeded(Section):
    """What a study and each of its stages have: the seed."""

    seed: Whole = key(
        "Seed of all random numbers of the study: roughness, thermal noise, weights, writes, reads.", ge=0, le=2**53 - 1
    )


EVIDENCE = "validation"  # folder in results/ that is no study's


def _folder_name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", text):
        raise ValueError(f"found {short(text)}, allowed: letters, digits, _ and -, the first a letter or a digit")
    if text.lower() == EVIDENCE:
        raise ValueError(
            f"found {short(text)}, allowed: another name; the evidence for the engines is in results/{text}"
        )
    return text


class Named(Seeded):
    """What a study has beside its stages."""

    study: Annotated[str, AfterValidator(_folder_name)] = key(
        "Name of the study. Its results are written to `results/NAME`.", min_length=1, max_length=64
    )


# what YAML 1.1 reads as something else than it looks: 010 is 8, 1:30 is 90, no is false
MISREAD = re.compile(r"[-+]?0[0-9_]+|[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?|yes|no|on|off", re.IGNORECASE)


TEMPLATE = "__use_yte__"
# keys that name files, and of network.dataset_options: relative ones begin at the config file that says them
FILES = ("file", "test_file", "labels_file", "test_labels_file")
FILE = re.compile(rf"(^|\.)network\.(dataset_options\.({'|'.join(FILES)})|(variants\.[^.]+\.)?pretrained\.file)$")


class _Loader(yaml.SafeLoader):
    """YAML without tags that run code, in which no key replaces an earlier one and a value is what it looks like."""

    def compose_mapping_node(self, anchor):
        node = super().compose_mapping_node(anchor)
        lines = {}
        for entry, _ in node.value:
            if not isinstance(entry, yaml.ScalarNode):
                continue
            line = entry.start_mark.line + 1
            if (entry.tag, entry.value) in lines:
                raise UserError(
                    f"{self.name}: line {line}: found key '{short(entry.value)}' a second time (first in line "
                    f"{lines[entry.tag, entry.value]}), allowed: each key once"
                )
            lines[entry.tag, entry.value] = line
        return node

    def compose_scalar_node(self, anchor):
        node = super().compose_scalar_node(anchor)
        if node.tag.endswith((":int", ":float", ":bool")) and MISREAD.fullmatch(node.value):
            raise UserError(
                f"{self.name}: line {node.start_mark.line + 1}: found {short(node.value)}, which YAML reads as "
                f"{short(self.construct_object(node))}, allowed: a number without leading zeros or colons, true, "
                "false, or a text in quotes"
            )
        return node


def value(text: str, source: str) -> Any:
    """Return what a YAML text holds; tags and anything else that could run code are refused.

    Raises
    ------
    UserError
        If it is not valid, has a key twice, or holds what YAML reads as something else than it looks.
    """
    try:
        loader = _Loader(text)
        loader.name = source  # for errors
        return loader.get_single_data()
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{source}: not valid YAML: {error}") from None


def read(path: str | Path) -> dict[str, Any]:
    """Return the mapping in a YAML file.

    Raises
    ------
    UserError
        If it cannot be read, is no mapping, a template, or nested without end, or as of `value`.
    """
    try:
        layer = value(Path(path).read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise UserError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(layer, dict):
        raise UserError(f"{path}: found no keys, allowed: a YAML mapping")
    if TEMPLATE in layer:
        raise UserError(
            f"{path}: found unknown key '{TEMPLATE}', which makes Snakemake execute the file, allowed: data only"
        )
    check_depth(layer, str(path))
    return _anchored(layer, Path(path).parent)


def _anchored(value: Any, folder: Path, key: str = "") -> Any:
    """Return a part of a config, which stands under ``key``, with the files of a data set placed in ``folder``."""
    if isinstance(value, dict):
        axis = str(value["key"]) if "key" in value else ""  # of a scan, whose values stand under that key
        return {
            name: _anchored(below, folder, axis if name == "values" and axis else f"{key}.{name}")
            for name, below in value.items()
        }
    if isinstance(value, list):
        return [_anchored(below, folder, key) for below in value]
    if not isinstance(value, str) or not value or not FILE.search(key):
        return value
    return value if value.startswith("~") else os.path.normpath(folder / value)


def lay_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Lay ``above`` over ``below``; the options of a learning rule or a data set do not outlive it."""
    old, new = below.get("network"), above.get("network")
    if isinstance(old, dict) and isinstance(new, dict):
        gone = {f"{kind}_options" for kind in ("rule", "dataset") if new.get(kind, old.get(kind)) != old.get(kind)}
        below = {**below, "network": {key: value for key, value in old.items() if key not in gone}}
    return overlay(below, above)


def overlay(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Lay ``above`` over ``below``, mapping by mapping; what is no mapping replaces what is below it."""
    both = {key for key in above if isinstance(above[key], dict) and isinstance(below.get(key), dict)}
    return {**below, **above, **{key: overlay(below[key], above[key]) for key in both}}


SHIPPED = Path(__file__).parents[1] / "workflow"  # holds config.yaml and configs/ of this version
DEFAULT = "default"  # what the first is called
EXTENDS = "extends"


def shipped() -> dict[str, Path]:
    """Return the configs that come with Spinloom by name, the default study's first."""
    return {DEFAULT: SHIPPED / "config.yaml", **{path.stem: path for path in sorted(SHIPPED.glob("configs/*.yaml"))}}


def named(name: str, source: str) -> Path:
    """Return the config of that name.

    Raises
    ------
    UserError
        Naming ``source`` and those that there are.
    """
    known = shipped()
    if name not in known:
        raise UserError(f"{source}: found {short(name)}, allowed: {', '.join(known)}")
    return known[name]


class Stack(NamedTuple):
    """A complete config, and what lies over it."""

    base: dict[str, Any]
    above: dict[str, Any]


def stack(path: str | Path, above: dict[str, Any]) -> Stack:
    """Return what a config file rests on, and all that lies over that, ``above`` on top.

    A file that ``extends`` a config of Spinloom's rests on that one and, if it is not the default study, on the default
    study below; so does a layer, in place of the file. A file that extends nothing is complete.

    Raises
    ------
    UserError
        If a file cannot be read, or there is no config of that name.
    """
    source = str(path)
    if EXTENDS not in above:
        if not Path(path).exists() and Path(path).name == "config.yaml":
            raise UserError(
                f"{path}: found no such file here, allowed: a folder made by `spinloom init`, or a config file with "
                f"the line `{EXTENDS}: {DEFAULT}`"
            )
        content = read(path)
        if EXTENDS not in content:
            return Stack(content, above)
        above = lay_over(content, above)
    else:
        source = "config"
    below = named(str(above[EXTENDS]), f"{source}: {EXTENDS}")
    above = {key: value for key, value in above.items() if key != EXTENDS}
    default = shipped()[DEFAULT]
    return Stack(read(default), above if below == default else lay_over(read(below), above))


class Layer(NamedTuple):
    """What is laid over config.yaml, and what to call it in errors."""

    content: dict[str, Any]
    source: str


def layer(files: Iterable[str | Path], settings: dict[str, Any] | None = None) -> Layer:
    """Return config files, the last on top, and ``settings`` of the command line above them.

    Raises
    ------
    UserError
        If a file cannot be read.
    """
    names = list(map(str, files))
    content = reduce(lay_over, [*map(read, names), settings or {}], {})
    return Layer(content, ", ".join([*names, *(["--config"] if settings else [])]))


def results(path: str | Path, *above: str | Path) -> Path:
    """Return the folder of the results of ``path`` with files ``above`` over it, of which no stage is checked.

    Raises
    ------
    UserError
        If a file cannot be read, or the study's name or seed is wrong.
    """
    content, source = layer(above)
    whole = lay_over(*stack(path, content))
    known = {key: whole[key] for key in Named.model_fields if key in whole}
    return Path("results") / Named.parse(known, source or str(path)).study


def section(config: dict[str, Any], stage: str) -> dict[str, Any]:
    """Return what a stage sees of the config: its own part and the study's seed."""
    return {"seed": config["seed"], **(config[stage] or {})}
