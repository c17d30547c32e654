"""What is written from the declarations of all keys: docs/config.md, and JSON Schemas for editors.

``python -m spinloom reference`` writes them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from calibration.sources import importers
from device_sims.problem.problem_file import ProblemFile
from network import datasets, rules
from spinloom.declare import Section, allowed, default, options_of, schema
from spinloom.registry import Registry
from workflow.study.config import StudyFile

HEAD = """# The config, key by key

Written by `python -m spinloom reference` from the declarations in the code; do not edit. A study is `config.yaml` with
a file laid over it; what a key means for the default study, and where its value comes from, is said there beside it. A
key without a default must be given where its section is needed, or is left out. `[]` is an entry of a list, `NAME` any
name. What `calibration.source.options`, `network.rule_options` and `network.dataset_options` may hold depends on the
format, the rule and the data set and is listed at the end. Below `network.variants.NAME` stand the keys of `network`
once more, but for the data set, the seeds, the baseline and the energies.
"""
SECTIONS = {
    "": "The study",
    "device_sims": "device_sims: what the engine sees",
    "calibration": "calibration: from writes to the kernel card",
    "network": "network: training on the card",
    "system": "system: the paper beside ours",
    "design": "design: a search",
}


def files() -> dict[str, str]:
    """Return the text of each file by its path from the project's root."""
    return {
        "docs/config.md": page(),
        "workflow/schemas/config.schema.json": editors(StudyFile),
        "workflow/schemas/problem.schema.json": editors(ProblemFile),
    }


def editors(model: type[Section]) -> str:
    """Return the JSON Schema of a section, by which an editor explains, completes and checks a file."""
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema(model)}, indent=1) + "\n"


def page() -> str:
    """Return the page as Markdown: a table for each part of the config."""
    tables: dict[str, list[str]] = {name: [] for name in SECTIONS}
    for path, rule in leaves(schema(StudyFile)):
        if path.startswith("network.variants.NAME."):
            continue
        first = path.split(".")[0]
        tables[first if first in tables else ""].append(row(path, rule))
    parts = [HEAD, *(table(f"## {title}", tables[name]) for name, title in SECTIONS.items())]
    parts += plug_ins(importers.REGISTRY, "calibration.source.options: of each format of imports (docs/import.md)")
    parts += plug_ins(datasets.REGISTRY, "network.dataset_options: of data sets of your own (docs/datasets/own.md)")
    parts += plug_ins(rules.REGISTRY, "network.rule_options: what each learning rule can be told (docs/rules.md)")
    return "\n".join(parts)


def plug_ins(registry: Registry, title: str) -> Iterator[str]:
    """Yield a heading and, for each plug-in that has some, the table of its options."""
    yield f"## {title}\n"
    for name, section in options_of(registry).items():
        if options := [row(*leaf) for leaf in leaves(schema(section))]:
            yield table(f"### {name}", options)


def table(title: str, rows: list[str]) -> str:
    """Return a table of keys with its title."""
    return "\n".join([f"{title}\n", "| key | allowed | default | |", "|---|---|---|---|", *rows]) + "\n"


def row(path: str, rule: dict[str, Any]) -> str:
    """Return the row of one key."""
    cells = (f"`{path}`", allowed(rule), default(rule), rule.get("description", ""))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def leaves(rule: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the dotted path and the schema of each key, parents that are described or may be left out included."""
    inner = dict(rule.get("properties", {}))
    if isinstance(rule.get("additionalProperties"), dict):
        inner["NAME"] = rule["additionalProperties"]
    entries = rule.get("items") if isinstance(rule.get("items"), dict) else None
    if path and rule.get("description"):
        yield path, rule
    for key, below in inner.items():
        yield from leaves(below, f"{path}.{key}" if path else key)
    if entries and (entries.get("properties") or entries.get("items")):
        yield from leaves({k: v for k, v in entries.items() if k != "description"}, f"{path}[]")
