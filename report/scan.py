"""A scan's result files, read once, and the chapters that say what was scanned and what came out where."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd

from report.costs import LEVELS, PHASES
from report.device import SOURCES
from report.evidence import commit, listing, software
from report.network import BASELINE, share
from report.parts import Link, Section, Table, text, words
from spinloom import files
from spinloom.errors import UserError
from spinloom.quantities import si
from workflow.study.axes import axis_entries

MOST_ROWS = 40  # of a table that is open
SHORT = 8  # digits of a hash that tell cards apart


@dataclass(frozen=True)
class Scan:
    """What a scan left behind.

    Attributes
    ----------
    name : str
    config : dict
        What all points share, with all defaults, and the section ``scan`` (``config/resolved.json``).
    labels : dict of dict of str
        Of each point, by its name: its label by axis (``config/scan.json``).
    table : DataFrame
        ``scan.csv``; the columns ``axis_NAME`` hold the labels as texts.
    points : dict of dict
        The whole config of each point, by its name.
    hashes : dict of str
        SHA-256 of ``scan.csv`` and of each point's config, by their path in the scan's folder.
    """

    name: str
    config: dict[str, Any]
    labels: dict[str, dict[str, str]]
    table: pd.DataFrame
    points: dict[str, dict[str, Any]]
    hashes: dict[str, str]

    @property
    def axes(self) -> dict[str, list[str]]:
        """Labels of each axis in their order."""
        names = next(iter(self.labels.values()))
        return {name: list(dict.fromkeys(own[name] for own in self.labels.values())) for name in names}

    @property
    def varied(self) -> list[str]:
        """The axes with more than one entry; the first axis if none has."""
        return [name for name, entries in self.axes.items() if len(entries) > 1] or list(self.axes)[:1]

    @property
    def variants(self) -> list[str]:
        """All variants of all points, the float baseline last."""
        return sorted(dict.fromkeys(self.table["variant"]), key=lambda name: name == BASELINE)


def read(folder: Path) -> Scan:
    """Read a scan.

    Parameters
    ----------
    folder : Path
        ``results/STUDY``.

    Raises
    ------
    UserError
        If a file that the scan must have is absent or damaged, or if its table is not of its points.
    """
    config, labels = (files.read_json(folder / "config" / f"{name}.json") for name in ("resolved", "scan"))
    table = files.read_table(folder / "scan.csv")
    if set(table["point"]) != set(labels):
        other = min(set(table["point"]) ^ set(labels))
        raise UserError(
            f"{folder / 'scan.csv'}: point: found other points than in config/scan.json ({other}), allowed: the same "
            "points; run the scan again"
        )
    for axis in next(iter(labels.values())):
        # not as read: a label such as 010 is no number
        table[f"axis_{axis}"] = [labels[point][axis] for point in table["point"]]
    paths = {point: f"points/{point}/config/resolved.json" for point in labels}
    points = {point: files.read_json(folder / path) for point, path in paths.items()}
    hashes = {path: files.sha256_file(folder / path) for path in ("scan.csv", *paths.values())}
    return Scan(config["study"], config, labels, table, points, hashes)


def lead(found: Scan) -> str:
    """Return the sentence below the title."""
    sizes = [f"{words(name)} ({len(entries)})" for name, entries in found.axes.items() if name in found.varied]
    data = dict.fromkeys(_data(found, point) for point in found.points)
    return f"{len(found.labels)} studies that differ along {listed(sizes)}, trained on {listed(list(data))}."


def _data(found: Scan, point: str) -> str:
    """Return the name of a point's data set, of a user's its files and their hash."""
    own = found.table[found.table["point"] == point]
    told = own["data"].iloc[0] if "data" in own else None
    return told if isinstance(told, str) else words(found.points[point]["network"]["dataset"])


def listed(names: list[str]) -> str:
    """Return names as a sentence lists them."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def tiles(found: Scan) -> list[tuple[str, str]]:
    """Return the headline numbers: a number and what it is; ranges, since to name the best would be to select it."""
    devices = found.table[found.table["variant"] != BASELINE]
    devices = devices if len(devices) else found.table
    accuracy = 100 * devices["test_accuracy_mean"]
    told = [
        (f"{len(found.labels)}", "points"),
        (f"{int(found.table['seeds'].sum())}", "trainings"),
        (_range(f"{accuracy.min():.2f}", f"{accuracy.max():.2f}") + "\u00a0%", "test accuracy, lowest to highest mean"),
    ]
    for level in ("device", "system"):
        energy = devices[f"training_energy_J_{level}"]
        energy = energy[energy > 0]
        if len(energy):
            span = _range(si(energy.min(), "J"), si(energy.max(), "J"))
            told.append((span, f"per sample of training, {LEVELS[level]}"))
    return told


def scanned(found: Scan) -> Section:
    """Return the chapter on the axes and on what stands behind each point."""
    sentence = (
        f"Every combination of the axes' entries is a point: a whole study in a folder of its own. {_span(found)} "
        "Points that simulate the same writes share them."
    )
    return Section("scan", "What was scanned", sentence, [_axes(found), _behind(found)])


def _span(found: Scan) -> str:
    """Return how many seeds and writes are behind the points."""

    def span(column: str) -> str:
        return _range(f"{found.table[column].min():,}", f"{found.table[column].max():,}")

    counted = found.table["writes_behind_card"].any()
    cards = f"cards that count {span('writes_behind_card')} writes" if counted else "cards made of laws, without writes"
    return f"Each variant of a point was trained with {span('seeds')} seeds, on {cards}."


def _axes(found: Scan) -> Table:
    rows = []
    for number, axis in enumerate(found.config["scan"]["axes"]):
        name, entries = axis_entries(number, axis)
        for place, label in enumerate(found.axes[name]):
            changes = dict(entries[label])
            source, take = changes.pop("from", None), changes.pop("take", None)
            told = [f"{', '.join(take) if take else 'all'} of {source}"] if source else []
            told += [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in _leaves(changes)]
            rows.append(["" if place else words(name), label, "; ".join(told) or "nothing: as all points"])
    return Table("The axes and their entries", ["axis", "entry", "what it sets"], rows, closed=len(rows) > MOST_ROWS)


def _leaves(changes: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in changes.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _behind(found: Scan) -> Table:
    rows = []
    for point, own in found.table.groupby("point", sort=False):
        point = str(point)
        config, first = found.points[point], own.iloc[0]
        calibration = config["calibration"]["source"]
        kind = SOURCES.get(calibration["kind"], f"simulated {words(config['device_sims']['device'])}")
        kind += f" ({words(calibration['name'])})" if calibration["kind"] == "library" else ""
        counted = int(first["writes_behind_card"])
        rows.append([
            Link(point, _folder(point)), kind, str(first["states"]), f"{counted:,}" if counted else "none: a law",
            _data(found, point), _each(own["seeds"]), _each(own["epoch_mean"]),
            Link(first["card_sha256"][:SHORT], _folder(point, "calibration/card")),
        ])  # fmt: skip
    heads = ["point", "device", "states", "writes behind its card", "data set", "seeds", "epochs", "card"]
    note = (
        f"A point's name leads to its folder, the first {SHORT} digits of its card's SHA-256 to the card. The figures "
        "and the page of a point are made when they are asked for: `snakemake report`."
    )
    return Table("What stands behind each point", heads, rows, note, closed=len(rows) > MOST_ROWS)


def energy(mean: float, sd: float = math.nan) -> str:
    """Return an energy with its standard deviation, if there is one; a dash where nothing is spent."""
    told = si(mean, "J") + (f" ± {si(sd, 'J', 2)}" if sd > 0 else "")
    return told.replace(" ", "\u00a0") if mean > 0 else "–"


def points(found: Scan) -> Section:
    """Return the chapter with the table of all points and variants."""
    rows = []
    for row in found.table.to_dict("records"):
        joules = (" / ".join(energy(row[f"{phase}_energy_J_{level}"]) for level in LEVELS) for phase in PHASES)
        below, labels = row["accuracy_below_float_mean"], [row[f"axis_{name}"] for name in found.varied]
        rows.append([
            Link(labels[0], _folder(row["point"])), *labels[1:], words(row["variant"]),
            f"{share(row['test_accuracy_mean'], row['test_accuracy_sd'], row['seeds'])} ({row['seeds']})",
            "–" if pd.isna(below) else share(below, row["accuracy_below_float_sd"], row["seeds"]),
            text(float(row["writes_per_sample_mean"]), 3), text(float(row["most_writes_on_a_device"])), *joules,
            f"{row['memory_bits_per_synapse']:g}", row["card_sha256"][:SHORT],
        ])  # fmt: skip
    heads = [
        *map(words, found.varied), "variant", "test accuracy ± sd (n)", "below float, seed by seed",
        "writes per sample", "most writes on a device", *(f"{phase}: {' / '.join(LEVELS)}" for phase in PHASES),
        "memory (bit per synapse)", "card",
    ]  # fmt: skip
    warned = found.table.dropna(subset="warnings")
    told = "".join(
        f" Warning, {row['point']}, variant {words(row['variant'])}: {row['warnings']}."
        for row in warned.to_dict("records")
    )
    sentence = (
        "Test images after the last epoch, mean ± sd over n seeds; energies per sample. Nothing was selected. "
        "Who takes the best of many by this table selects by the test: it will do a little worse on new images." + told
    )
    note = "The first column leads to the point's folder. scan.csv holds all digits, and the columns left out here."
    return Section("points", "All points", sentence, [Table("Points and variants", heads, rows, note)])


def provenance(found: Scan) -> Section:
    """Return the chapter on what the scan was made of."""
    rows = [["scan", found.name], ["seed", str(found.config["seed"])], ["git commit", commit()]]
    rows += [[path, digest] for path, digest in found.hashes.items() if "/" not in path]
    cards = found.table.groupby("point", sort=False)["card_sha256"].first()
    hashes = [[point, cards[point], found.hashes[f"points/{point}/config/resolved.json"]] for point in found.labels]
    sentence = (
        "The same config gives the same table. Everything in this page is read from scan.csv and from the points' "
        "configs; datapackage.json names the types and units of the table's columns, results/README.md says what each "
        "means, and the camera above a plot saves it as SVG. From a point's card the way leads on to its trajectories."
    )
    return Section("provenance", "Provenance", sentence, [
        Table("What went in", ["what", "which"], rows),
        Table("Cards and configs of the points", ["point", "SHA-256 of its card", "SHA-256 of its config"], hashes,
              closed=True),
        listing("What all points share, with all defaults, and the axes", found.config), software(),
    ])  # fmt: skip


def _folder(point: str, place: str = "") -> str:
    return quote(f"points/{point}/{place}", safe="/=,+")


def _range(low: str, high: str) -> str:
    return low if low == high else f"{low} to {high}"


def _each(values: pd.Series) -> str:
    return ", ".join(f"{value:g}" for value in sorted(set(values)))
