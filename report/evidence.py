"""Sections 7 and 8: why to believe it, and what it was made of."""

from __future__ import annotations

import math
import platform
import subprocess
from importlib import metadata
from typing import Any

import pandas as pd
import yaml

from report.parts import Figure, Listing, Section, Table, text, words
from report.plots import axis, colour, layout, numbers
from report.study import Study
from spinloom.version import VERSION

PACKAGES = (
    "jax", "jaxlib", "matplotlib", "numpy", "optax", "pandas", "plotly", "pyarrow", "scikit-learn", "scipy",
    "snakemake",
)  # fmt: skip
# how much of its tolerance a row uses: 1 is the limit
USES = {
    "absolute": lambda expected, obtained, tolerance: abs(obtained - expected) / tolerance,
    "relative": lambda expected, obtained, tolerance: abs(obtained - expected) / (tolerance * abs(expected)),
    "factor": lambda expected, obtained, tolerance: abs(math.log(obtained / expected)) / math.log(tolerance),
    "p_value": lambda expected, obtained, tolerance: tolerance / obtained,
    "at_least": lambda expected, obtained, tolerance: tolerance / obtained,
}
LEAST_USE = 1e-3  # drawn there if smaller


def validation(study: Study) -> Section:
    """Return the section on the evidence: the paper's numbers, the fits, the engines against references."""
    blocks: list[Figure | Table | Listing] = []
    told = []
    if "systems" in study.network:
        blocks.append(_systems(study.network["systems"]))
        told.append(f"Beside the published numbers of {study.network['systems']['paper'].iloc[0]}.")
    chosen = [law for law in study.card.meta.laws if law.conditions.chosen]
    fits = [law.goodness.p_value for law in chosen if law.goodness.p_value is not None]
    if fits:
        poor = sum(p < 0.01 for p in fits)
        told.append(
            f"{len(fits) - poor} of {len(fits)} chosen laws are compatible with the writes (goodness of fit, p ≥ 0.01)."
        )
    table = study.validation
    if table is None:
        told.append(
            "The engines' evidence was not computed beside this study: `snakemake validation` does it, and "
            "docs/validation.md keeps a full run."
        )
    else:
        passed = table["pass"].astype(str) == "True"
        told.append(f"The engines' evidence: {passed.sum()} of {len(table)} checks are within their tolerances.")
        blocks += [margins(table), _checks(table)]
    return Section("validation", "Validation", " ".join(told), blocks)


def use(row: dict[str, Any]) -> float:
    """Return how much of its tolerance a row of the validation uses; NaN if it has no size."""
    try:
        return float(USES[row["tolerance_kind"]](row["expected"], float(row["obtained"]), row["tolerance"]))
    except (ZeroDivisionError, ValueError, KeyError, TypeError):
        return math.nan


def margins(table: pd.DataFrame) -> Figure:
    """Return how much of its tolerance each check uses."""
    groups, traces = list(dict.fromkeys(table["group"])), []
    for place, group in enumerate(groups):
        rows = table[table["group"] == group].to_dict("records")
        used = [max(use(row), LEAST_USE) if math.isfinite(use(row)) else math.nan for row in rows]
        traces.append({
            "type": "scatter", "mode": "markers", "y": [group] * len(rows), "x": numbers(used, 3), "name": group,
            "marker": {"size": 9, "color": colour(place, len(groups)), "opacity": 0.65}, "showlegend": False,
            "customdata": [
                f"{row['test']}<br>{row['quantity']}<br>expected {text(row['expected'])} ({row['source']})<br>"
                f"obtained {text(row['obtained'])}" for row in rows
            ],
            "hovertemplate": "%{customdata}<br>uses %{x:.2g} of the tolerance<extra></extra>",
        })  # fmt: skip
    limit = {
        "type": "line",
        "yref": "paper",
        "x0": 1,
        "x1": 1,
        "y0": 0,
        "y1": 1,
        "line": {"color": "#c0392b", "width": 1.5},
    }
    view = layout(
        axis("share of the tolerance that is used (1: the limit)", type="log"),
        axis("", type="category", autorange="reversed"), shapes=[limit],
    )  # fmt: skip
    caption = "A dot for each check; left of the line it passes. Checks without a size of their own are not drawn."
    return Figure(
        "margins",
        "How close the checks are",
        caption,
        [{"data": traces, "layout": view}],
        height=150 + 24 * len(groups),
    )


def _checks(table: pd.DataFrame) -> Table:
    columns = ["group", "test", "quantity", "expected", "source", "obtained", "tolerance", "tolerance_kind", "pass"]
    rows = [[text(row[name]) for name in columns] for row in table.to_dict("records")]
    return Table("All checks of the engines", [words(name) for name in columns], rows, closed=True)


def _systems(table: pd.DataFrame) -> Table:
    rows = []
    for row in table[table["published"].notna()].to_dict("records"):
        sd = "" if pd.isna(row["ours_sd"]) else f" ± {row['ours_sd']:.2g}"
        rows.append([
            words(row["quantity"]), words(row["variant"]), text(row["published"]),
            "–" if pd.isna(row["ours_mean"]) else f"{row['ours_mean']:.4g}{sd}", text(row["unit"]), text(row["tag"]),
        ])  # fmt: skip
    note = f"Assumed: {text(table['assumed'].iloc[0])}. The same quantities of all variants are in systems.csv."
    heads = ["quantity", "variant", "published", "here, mean ± sd", "unit", "which number"]
    return Table("The paper's numbers beside ours", heads, rows, note)


def provenance(study: Study) -> Section:
    """Return the section on what the study was made of."""
    source, card = study.card.meta.source, study.card
    rows = [["study", study.name], ["seed", str(study.config["seed"])], ["git commit", commit()]]
    if study.device:
        rows.append(["engine", f"{study.device['engine']}, version {study.device['engine_version']}"])
    rows.append(["kernel card (SHA-256 of its tables)", card.hash])
    for key in ("events_sha256", "files"):
        found = getattr(source, key)
        for name, value in found.items() if isinstance(found, dict) else [("", found)] if found else ():
            rows.append([f"{words(key)} {name}".strip(), text(value)])
    if source.spec_hashes is not None:
        rows.append(["simulated problems", f"{len(source.spec_hashes)} hashes in card.json"])
    for file in study.data.get("files", []):
        rows.append(list(file.values()))  # its name and its hash
    sentence = (
        "The same config gives the same tables. Everything in this page is read from the files beside it: "
        "datapackage.json names each table with its types and units, results/README.md says what each column means, "
        "and the camera above a plot saves it as SVG."
    )
    return Section("provenance", "Provenance", sentence, [
        Table("What went in", ["what", "which"], rows), listing("The whole config, with all defaults", study.config),
        software(),
    ])  # fmt: skip


def listing(title: str, config: dict[str, Any]) -> Listing:
    """Return a config as it could be written."""
    return Listing(title, yaml.safe_dump(config, sort_keys=False, allow_unicode=True, width=110))


def software() -> Table:
    """Return the versions of what it was made with."""
    versions = [["Spinloom", VERSION], ["Python", platform.python_version()]]
    versions += [[name, metadata.version(name)] for name in PACKAGES]
    return Table("Software", [], versions, closed=True)


def commit() -> str:
    """Return the commit of the working tree, and whether it had been changed; the page is made where it lies."""

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False, timeout=20)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    found = git("rev-parse", "HEAD")
    if not found:
        return "not a git checkout"
    return found + (" with changes that are not committed" if git("status", "--porcelain", "-uno") else "")
