"""Config files: read as YAML that runs no code, laid over each other, cut into the stages' sections."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator

from spinloom.declare import Section, Whole, key
from spinloom.errors import UserError
from spinloom.explain import check_depth, short

STAGES = ("device_sims", "calibration", "network")


class Seeded(Section):
    """What a study and each of its stages have: the seed."""

    seed: Whole = key("Seed of every random stream of the study.", ge=0, le=2**53 - 1)


def _folder_name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", text):
        raise ValueError(f"found {short(text)}, allowed: letters, digits, _ and -, the first a letter or a digit")
    return text


class Named(Seeded):
    """What a study has beside its stages."""

    study: Annotated[str, AfterValidator(_folder_name)] = key(
        "Name of the study; its results go to results/NAME.", min_length=1, max_length=64
    )


class _Loader(yaml.SafeLoader):
    """YAML without tags that run code, in which no key of a mapping silently replaces an earlier one."""

    def compose_mapping_node(self, anchor):
        node = super().compose_mapping_node(anchor)
        lines = {}
        for entry, _ in node.value:
            if not isinstance(entry, yaml.ScalarNode):
                continue
            line = entry.start_mark.line + 1
            if (entry.tag, entry.value) in lines:
                raise UserError(
                    f"{self.name}: line {line}: found key '{short(entry.value)}' again, first in line "
                    f"{lines[entry.tag, entry.value]}, allowed: each key once"
                )
            lines[entry.tag, entry.value] = line
        return node


def read(path: str | Path) -> dict[str, Any]:
    """Return the mapping in a YAML file; tags and anything else that could run code are refused.

    Raises
    ------
    UserError
        If it cannot be read, is no mapping, has a key twice, or is nested without end.
    """
    try:
        with open(path, encoding="utf-8") as stream:  # a stream tells the loader the file's name
            layer = yaml.load(stream, Loader=_Loader)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(layer, dict):
        raise UserError(f"{path}: found no keys, allowed: a YAML mapping")
    check_depth(layer, str(path))
    return layer


def lay_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Lay ``above`` over ``below``; the options of a learning rule do not outlive the rule."""
    old, new = below.get("network"), above.get("network")
    if isinstance(old, dict) and isinstance(new, dict) and new.get("rule", old.get("rule")) != old.get("rule"):
        below = {**below, "network": {key: value for key, value in old.items() if key != "rule_options"}}
    return overlay(below, above)


def overlay(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Lay ``above`` over ``below``, mapping by mapping; what is no mapping replaces what is below it."""
    both = {key for key in above if isinstance(above[key], dict) and isinstance(below.get(key), dict)}
    return {**below, **above, **{key: overlay(below[key], above[key]) for key in both}}


def results(path: str | Path, above: str | Path | None = None) -> Path:
    """Return the folder of the results of ``path`` with the file ``above`` over it, of which no stage is checked.

    Raises
    ------
    UserError
        If a file cannot be read, or the study's name or seed is wrong.
    """
    whole = lay_over(read(path), read(above) if above else {})
    known = {key: whole[key] for key in Named.model_fields if key in whole}
    return Path("results") / Named.parse(known, str(above or path)).study


def section(config: dict[str, Any], stage: str) -> dict[str, Any]:
    """Return what a stage sees of the config: its own part and the study's seed."""
    return {"seed": config["seed"], **(config[stage] or {})}
