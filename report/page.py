"""The page of a study, of a scan, of a search or of a card: all sections as one HTML file that needs no network."""

from __future__ import annotations

import base64
import hashlib
import json
from importlib import resources
from typing import Any

import jinja2

from calibration.card import KernelCard
from report import costs, device, evidence, network, scan, scan_figures, table
from report.design import chapters, figures
from report.design.found import Found
from report.network import share
from report.parts import Figure, Link, Listing, Pictures, Section, Table, text, words
from report.study import Study
from spinloom.quantities import si

SECTIONS = (
    device.device, device.writes, table.table, network.network, costs.energy, costs.pareto, evidence.validation,
    evidence.provenance,
)  # fmt: skip
OF_A_SEARCH = (
    figures.front, chapters.ends, figures.history, figures.matters, chapters.worth, chapters.points,
    chapters.provenance,
)  # fmt: skip
OF_A_SCAN = (scan.scanned, scan_figures.along, scan_figures.pareto, scan.points, scan.provenance)


def render(study: Study) -> str:
    """Return the page of a study."""
    return _html("study", study.name, lead(study), tiles(study), [build(study) for build in SECTIONS])


def render_scan(found: scan.Scan) -> str:
    """Return the page of a scan."""
    return _html("scan", found.name, scan.lead(found), scan.tiles(found), [build(found) for build in OF_A_SCAN])


def render_design(found: Found) -> str:
    """Return the page of a search."""
    return _html(
        "search", found.name, chapters.lead(found), chapters.tiles(found), [build(found) for build in OF_A_SEARCH]
    )


def render_card(card: KernelCard) -> str:
    """Return the page of a card that no study made."""
    found, lead = Study(card.meta.name, {}, card), "A synapse as a table of transition probabilities."
    source = Section("device", "Device", f"The SHA-256 of the card's tables is {card.hash}.", [device.origin(found)])
    return _html("card", found.name, lead, tiles(found), [source, table.table(found)])


def _html(kind: str, name: str, lead: str, tiles: list[tuple[str, str]], sections: list[Section]) -> str:
    figures = {block.name: block for section in sections for block in section.blocks if isinstance(block, Figure)}
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("report", "page"), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    environment.tests |= {each.__name__.lower(): _is(each) for each in (Figure, Pictures, Table, Listing, Link)}
    scripts = [_read("plotly", "package_data/plotly.min.js"), _read("report", "page/page.js")]
    return environment.get_template("page.html").render(
        policy=_policy(scripts), scripts=scripts, kind=kind, title=words(name), lead=lead,
        tiles=tiles, sections=sections,
        figures=_json({name: {"views": figure.views} for name, figure in figures.items()}),
    )  # fmt: skip


def _read(package: str, name: str) -> str:
    return resources.files(package).joinpath(name).read_text(encoding="utf-8")


def _policy(scripts: list[str]) -> str:
    """Return the content policy: these scripts run and no others, and nothing is fetched or sent."""
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    told = {
        "default-src": "'none'", "base-uri": "'none'", "form-action": "'none'",
        "script-src": " ".join(f"'sha256-{one}'" for one in hashes),
        "style-src": "'unsafe-inline'",  # plotly brings styles of its own; they run nothing
        "img-src": "data: blob:",
    }  # fmt: skip
    return "; ".join(f"{name} {value}" for name, value in told.items())


def _is(kind: type):
    return lambda value: isinstance(value, kind)


def _json(value: Any) -> str:
    """Return JSON that can stand in a page: nothing in it ends a script."""
    told = json.dumps(value, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return told.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def lead(study: Study) -> str:
    """Return the sentence below the title."""
    source = study.config["calibration"]["source"]["kind"]
    what = study.device["family"] if study.device else study.card.meta.name
    told = (
        f"A synapse ({words(what)}), {device.SOURCES.get(source, 'simulated')}, as a table of transition probabilities"
    )
    if not study.network:
        return f"{told}."
    return f"{told}, and networks whose weights are such devices, trained on {study.data['title']}."


def tiles(study: Study) -> list[tuple[str, str]]:
    """Return the headline numbers: a number and what it is."""
    card = study.card
    found = []
    if card.meta.events:
        found.append((f"{card.meta.events}", "writes counted"))
    found.append((f"{len(card.pulses)} × {len(card.states)}", "pulses × states"))
    if study.network:
        last, first = study.last().to_dict("index"), study.variants[0]
        row = last[first]
        told = share(row["test_accuracy_mean"], row["test_accuracy_sd"], row["seeds"])
        found.append((told, f"test accuracy, {words(first)}"))
        if network.BASELINE in last and first != network.BASELINE:
            base = last[network.BASELINE]
            told = share(base["test_accuracy_mean"], base["test_accuracy_sd"], base["seeds"])
            found.append((told, "with float weights"))
        found.append((text(row["writes_per_sample_mean"], 3), "writes per training sample"))
        energy = study.network["energy"]
        for phase in costs.PHASES:
            own = energy[(energy["variant"] == first) & (energy["phase"] == phase) & (energy["term"] == "total")]
            value = own.set_index("level")["energy_J_mean"]["system"]
            found.append((si(value, "J"), f"per sample of {phase}, whole system"))
    return found
