"""A study's tables as a data package, so that any tool opens them with their types and units.

    python -m workflow.study.package --study results/NAME --output results/NAME/datapackage.json

A descriptor after the Data Package standard, version 1 (https://specs.frictionlessdata.io): a resource for each CSV and
Parquet table, with its hash, and of each column the type, the unit and what it means; and one for each picture. Types
are those of the values, units and meanings those of the data dictionary, results/README.md.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from pandas.api import types

from spinloom import files
from spinloom.command_line import run_cli
from spinloom.errors import UserError
from spinloom.version import VERSION

DICTIONARY = Path(__file__).parents[1] / "dictionary.md"  # results/README.md, which is installed under this name
# what belongs to a resumable computation is no result; a scan's points are studies with packages of their own
LEFT_OUT = (
    "device_sims/chunks", "calibration/samples", "network/runs", "network/sampled", "config", "logs", "previous",
    "points/",
)  # fmt: skip
MISSING = [""]


class Column(NamedTuple):
    """A row of the data dictionary; NAME or LEVEL in a name stands for any."""

    name: str
    unit: str
    meaning: str

    def names(self, column: str) -> bool:
        """Return whether it is about this column of a table."""
        return re.fullmatch(re.sub("NAME|LEVEL", "[A-Za-z0-9.+_-]+", re.escape(self.name)), column) is not None


def documented(heading: str) -> list[Column]:
    """Return what the dictionary says of the columns under the heading that begins with ``heading``, in order.

    Raises
    ------
    KeyError
        If there is no such heading.
    """
    parts = DICTIONARY.read_text(encoding="utf-8").split(f"### `{heading}`", 1)
    if len(parts) < 2:
        raise KeyError(heading)
    columns = []
    for line in parts[1].split("\n#", 1)[0].splitlines():
        if line.startswith("| `"):
            names, unit, meaning = (cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:4])
            found, units = re.findall(r"`([^`]+)`", names), [one.strip() for one in unit.split(",")]
            units = units if len(units) == len(found) else [unit] * len(found)
            columns += [Column(name, one, meaning) for name, one in zip(found, units, strict=True)]
    return columns


def describe(study: str | Path) -> dict:
    """Return the descriptor of the tables in a study's folder.

    Raises
    ------
    UserError
        If the folder holds no table, or if a CSV and a Parquet file of one name do not hold the same.
    """
    study = Path(study)
    paths = sorted(path for kind in ("csv", "parquet") for path in study.rglob(f"[!.]*.{kind}"))
    names = {path: path.relative_to(study).as_posix() for path in paths}
    tables = [path for path in paths if not names[path].startswith(LEFT_OUT)]
    if not tables:
        raise UserError(f"{study}: found no table, allowed: the folder of a study that has run")
    for path in tables:
        _agrees(path, path.with_suffix(".csv"))
    device = study / "device_sims" / "device.json"
    family = files.read_json(device).get("family", "") if device.exists() else ""
    return {
        "profile": "data-package",
        "name": re.sub(r"[^a-z0-9-]", "-", study.name.lower()),
        "title": f"Spinloom study {study.name}",
        "description": "Tables of a study; results/README.md says more of each.",
        "generator": f"Spinloom {VERSION}",
        "resources": [
            *(resource(path, names[path], family) for path in tables),
            *(picture(path, path.relative_to(study).as_posix()) for path in _pictures(study)),
        ],
    }


def _agrees(path: Path, other: Path) -> None:
    if path.suffix != ".parquet" or not other.exists():
        return
    try:
        # an empty text is an empty field of a CSV, which reads as a missing value
        pd.testing.assert_frame_equal(
            files.read_table(path).replace("", np.nan), files.read_table(other), check_dtype=False, rtol=0, atol=0
        )
    except AssertionError as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"{other}: found other values than in {path.name}, allowed: the same values ({reason})"
        ) from None


def resource(path: Path, name: str, family: str) -> dict:
    """Return the descriptor of one table; ``name`` is its path in the package."""
    kind = path.suffix[1:]
    table = files.read_table(path)
    known = _meanings(path, family)
    fields = [_field(table[name], next((one for one in known if one.names(name)), None)) for name in map(str, table)]
    return {
        "name": _plain(name),
        "path": name,
        "profile": "tabular-data-resource" if kind == "csv" else "data-resource",
        "format": kind,
        "mediatype": "text/csv" if kind == "csv" else "application/vnd.apache.parquet",
        # the reference reader counts no bytes of Parquet files
        **({"encoding": "utf-8", "bytes": path.stat().st_size} if kind == "csv" else {}),
        "hash": f"sha256:{files.sha256_file(path)}",
        "schema": {"fields": fields, "missingValues": MISSING},
    }


def _pictures(study: Path) -> list[Path]:
    """Return the pictures that the study's config asks for; others are left from an earlier one."""
    asked = study / "config" / "pictures.json"
    pulses = files.read_json(asked)["pulses"] if asked.exists() else []
    folder = study / "device_sims" / "pictures"
    return [folder / f"pulse_{pulse}{ending}" for pulse in pulses for ending in ("_strip.webp", ".webp")]


def picture(path: Path, name: str) -> dict:
    """Return the descriptor of a picture of the magnetisation; ``name`` is its path in the package."""
    what = "strip of snapshots" if path.stem.endswith("_strip") else "animation"
    return {
        "name": _plain(name),
        "path": name,
        "profile": "data-resource",
        "title": f"{what} of a write event of pulse {path.stem.split('_')[1]}",
        "format": "webp",
        "mediatype": "image/webp",
        "bytes": path.stat().st_size,
        "hash": f"sha256:{files.sha256_file(path)}",
    }


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9._-]", "-", name.lower().replace("/", "."))


def _meanings(path: Path, family: str) -> list[Column]:
    """Return what the dictionary says of a table, which is told by its file's or its family's name."""
    headings = {"device_sims": (f"{family}: {path.stem}", path.name), "summary": (f"summary/{path.name}",)}
    headings["tuned"] = ("tuned/VARIANT.csv",)
    for heading in headings.get(path.parent.name, (path.name,)):
        try:
            return documented(heading)
        except KeyError:
            continue
    return []


def _field(values: pd.Series, known: Column | None) -> dict:
    field = {"name": str(values.name), "type": _type(values)}
    if known is not None:
        field["description"] = known.meaning
        if known.unit not in ("text", ""):
            field["unit"] = known.unit
    return field


def _type(values: pd.Series) -> str:
    """Return the Table Schema type of a column."""
    if types.is_bool_dtype(values):
        return "boolean"
    if types.is_integer_dtype(values):
        return "integer"
    if types.is_float_dtype(values):
        return "number" if values.notna().any() else "any"
    return "string" if values.notna().any() else "any"


def main(arguments: Iterable[str] | None = None) -> None:
    """Write the descriptor of a study's tables."""
    parser = argparse.ArgumentParser(prog="python -m workflow.study.package", description=__doc__)
    parser.add_argument("--study", type=Path, required=True, help="folder of the study's results")
    parser.add_argument("--output", type=Path, required=True, help="the descriptor, in that folder")
    parsed = parser.parse_args(arguments)
    files.write_json(describe(parsed.study), parsed.output)


if __name__ == "__main__":
    run_cli(main)
