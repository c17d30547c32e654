"""What is written from the declarations of all keys: docs/config.md, docs/config/, and JSON Schemas for editors.

``python -m spinloom reference`` writes them.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from calibration.sources import importers
from device_sims.config import FAMILIES
from device_sims.problem.problem_file import ProblemFile
from network import datasets, rules
from spinloom.declare import Section, allowed, default, meaning, options_of, schema
from spinloom.registry import Registry
from workflow.study.config import StudyFile

WRITTEN = "Written by `python -m spinloom reference` from the declarations in the code; do not edit."
HEAD = f"""# The config, key by key

{WRITTEN}

A config file is YAML. `config.yaml` is the default study; comments in it say where each value comes from. You rarely
write a whole config. You write a small file with the keys that you change, and lay it over `config.yaml`:

```
python -m spinloom run mine.yaml
```

## How layers are laid over each other

From bottom to top:

1. `config.yaml` in the folder you are in. If one of your files says `extends: NAME`, this version's default study is
   used instead, with the config NAME of `configs/` on top of it.
2. Your files, in the order in which the command line names them.
3. Values that you give to Snakemake's `--config`.

A mapping is merged key by key. Anything else, a list included, replaces what is below it. If a layer changes
`network.rule` or `network.dataset`, the options of the old one are dropped with it. An unknown key is an error, and so
is a value out of range: one line names the file, the key, what was found and what is allowed.
`python -m spinloom check mine.yaml` checks a config and runs nothing.

## How to read the tables

* A key stands below the heading of its section: `dt_s` below `device_sims.numerics` is `device_sims.numerics.dt_s`.
* An *object* is a mapping of keys to values, and an *array* is a list.
* In a name, `[]` is an entry of a list and `NAME` is a name that you choose.
* The default applies if no layer gives the key. *Required* means that some layer must give it, if the section is there.
  A dash means that the key may be left out and has no default.
* All units are SI, and the name of a key ends with its unit: `_m`, `_s`, `_V`, `_J`, `_K`. A key without a unit is a
  number without one.
* `config.yaml` names a JSON Schema in its first line. An editor that knows YAML schemas shows these texts as you type.

## Pages

"""


class Page(NamedTuple):
    """A page of the reference: the keys of ``root``, its sections included, or the ``sections`` alone."""

    title: str
    about: str
    root: str | None
    sections: tuple[str, ...] = ()


PAGES = {
    "study": Page("The study", "Name and seed, scans, and the published system that a study stands for.", ""),
    "device_sims": Page(
        "device_sims: the simulation",
        "Engine, size of the sweep, time steps, barriers and pictures (docs/device_sims.md).",
        "device_sims",
    ),
    **{
        family: Page(f"device_sims.{family}", meaning(section), f"device_sims.{family}")
        for family, section in FAMILIES.items()
    },
    "calibration": Page(
        "calibration: from writes to the kernel card",
        "Where the card comes from, states, statistics, laws, read-out and write energy (docs/calibration.md).",
        "calibration",
    ),
    "parametric": Page(
        "calibration.parametric: a device from a formula",
        "The device that `calibration.source.kind: parametric` uses (docs/cards/own.md).",
        "calibration.parametric",
    ),
    "network": Page(
        "network: training on the card",
        "Layers, data, learning rule, training, tests and variants (docs/network.md).",
        "network",
    ),
    "chip": Page(
        "network: the array and the chip",
        "Lines and converters (docs/array.md), costs of the chip (docs/cost.md), lifetime (docs/lifetime.md).",
        None,
        ("network.array", "network.converters", "network.hardware", "network.lifetime"),
    ),
    "design": Page("design: a search", "A search for good values of keys (docs/design.md).", "design"),
}
PLUG_INS = {
    "imports": (importers.REGISTRY, "calibration.source.options", "Options of each import format (docs/import.md)."),
    "datasets": (datasets.REGISTRY, "network.dataset_options", "Options of data of your own (docs/datasets/own.md)."),
    "rules": (rules.REGISTRY, "network.rule_options", "Options of each learning rule (docs/rules.md)."),
}
SHARED = 3  # an option that so many plug-ins have in the same words stands in a table for all of them
COLUMNS = "| key | allowed | default | meaning |\n|---|---|---|---|\n"
FILE = re.compile(r"\b(docs/[\w/]+|results/README|CONTRIBUTING)\.md\b")


def files() -> dict[str, str]:
    """Return the text of each file by its path from the project's root."""
    whole = schema(StudyFile)
    return {
        "docs/config.md": index(),
        **{f"docs/config/{name}.md": page(name, whole) for name in PAGES},
        **{f"docs/config/{name}.md": options_page(*plug_ins) for name, plug_ins in PLUG_INS.items()},
        "workflow/schemas/config.schema.json": editors(StudyFile),
        "workflow/schemas/problem.schema.json": editors(ProblemFile),
    }


def editors(model: type[Section]) -> str:
    """Return the JSON Schema of a section, by which an editor explains, completes and checks a file."""
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema(model)}, indent=1) + "\n"


def index() -> str:
    """Return the page that leads to all others."""
    told = {name: (one.title, one.about) for name, one in PAGES.items()}
    told |= {name: (title, about) for name, (_, title, about) in PLUG_INS.items()}
    rows = [f"| [{title}](config/{name}.md) | {linked(about, 'docs/')} |" for name, (title, about) in told.items()]
    tree = ["```{toctree}", ":hidden:", "", *(f"config/{name}" for name in told), "```"]
    return "\n".join([HEAD, "| page | what is there |", "|---|---|", *rows, "", *tree]) + "\n"


def page(name: str, whole: dict[str, Any]) -> str:
    """Return a page: the table of the root's own keys, and a table for each section."""
    title, about, root, sections = PAGES[name]
    plain = []
    for key, rule in children(at(whole, root)) if root is not None else ():
        path = f"{root}.{key}".strip(".")
        if elsewhere := page_of(path):
            plain.append(row(key, {**rule, "description": f"{rule['description']} [Its keys]({elsewhere}.md)."}))
        elif is_section(rule):
            sections = (*sections, path)
        else:
            plain.append(row(key, rule))
    own = [table(plain)] if plain else []
    return "\n".join([head(title, about), *own, *(section(path, at(whole, path)) for path in sections)])


def page_of(path: str) -> str:
    """Return the name of the page that has a section, if it has one of its own."""
    return next((name for name, one in PAGES.items() if path == one.root or path in one.sections), "")


def section(path: str, rule: dict[str, Any]) -> str:
    """Return heading, meaning and table of a section."""
    text = f"{linked(rule['description'])} {left_out(rule)}".strip()
    return f"## {path}\n\n{text}\n\n{table([row(*leaf) for leaf in leaves(rule)])}"


def options_page(registry: Registry, title: str, about: str) -> str:
    """Return the page of the plug-ins of a kind: the options that several share, then each one's own."""
    holders: dict[str, list[str]] = {}
    for name, options in options_of(registry).items():
        for leaf in leaves(schema(options)):
            holders.setdefault(row(*leaf), []).append(name)
    tables: dict[tuple[str, ...], list[str]] = {}
    for line, names in holders.items():
        for group in [tuple(names)] if len(names) >= SHARED else [(name,) for name in names]:
            tables.setdefault(group, []).append(line)
    parts = [head(title, f"{about} A table whose heading has several names holds for each of them.")]
    for group in sorted(tables, key=lambda names: (len(names) < SHARED, -len(names), names)):
        parts.append(f"## {', '.join(group)}\n\n{table(tables[group])}")
    return "\n".join(parts)


def head(title: str, about: str) -> str:
    """Return the beginning of a page."""
    return f"# {title}\n\n{WRITTEN} [How to read this page](../config.md).\n\n{linked(about)}\n"


def table(rows: list[str]) -> str:
    """Return a table of keys."""
    return COLUMNS + "\n".join(rows) + "\n"


def row(path: str, rule: dict[str, Any]) -> str:
    """Return the row of one key."""
    value = default(rule) or ("*required*" if rule.get("given") else "-")
    cells = (f"`{path}`", allowed(rule), value, linked(rule.get("description", "")))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def left_out(rule: dict[str, Any]) -> str:
    """Return what it means if a section is left out."""
    if rule.get("given"):
        return "Required."
    return "The default is `null`." if rule.get("default", {}) is None else "May be left out."


def linked(text: str, folder: str = "docs/config/") -> str:
    """Return a text in which the names of pages are links; ``folder`` is that of the page that has it."""

    def link(match: re.Match[str]) -> str:
        return f"[{match[0]}]({posixpath.relpath(match[0], folder)})"

    return FILE.sub(link, text)


def at(rule: dict[str, Any], path: str) -> dict[str, Any]:
    """Return the schema of a key by its dotted path."""
    for key in path.split(".") if path else ():
        rule = dict(children(rule))[key]
    return rule


def children(rule: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the keys of a section with their schemas; ``given`` marks those without which it is wrong."""
    for key, below in rule.get("properties", {}).items():
        yield key, {**below, "given": key in rule.get("required", ())}


def is_section(rule: dict[str, Any]) -> bool:
    """Return whether a key holds further keys, or a list of such."""
    return "properties" in rule or "properties" in rule.get("items", {})


def leaves(rule: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the dotted path and the schema of each key, parents that are described or may be left out included."""
    inner = dict(children(rule))
    if isinstance(rule.get("additionalProperties"), dict):
        inner["NAME"] = rule["additionalProperties"]
    entries = rule.get("items") if isinstance(rule.get("items"), dict) else None
    if path and rule.get("description"):
        yield path, rule
    for key, below in inner.items():
        yield from leaves(below, f"{path}.{key}" if path else key)
    if entries and (entries.get("properties") or entries.get("items")):
        yield from leaves({k: v for k, v in entries.items() if k != "description"}, f"{path}[]")
