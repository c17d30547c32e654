"""The chapters of a scan that are plots: its quantities along the axes, and accuracy against energy."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from report.costs import LEVELS, PHASES
from report.network import BASELINE, share
from report.parts import Figure, Section, text, words
from report.plots import BLUES, FAINT, INK, axis, colour, errors, joules, layout, matrix, numbers
from report.scan import Scan, energy, listed
from spinloom.pareto import front

MOST_DOTS = 20_000  # of a figure's views together: more make the page slow
MOST_NAMES = 40  # in a legend
MOST_TEXT = 12  # entries of an axis beyond which a map carries no numbers
LEAST_MAP = 3  # entries of an axis that is worth a map
ROW = 22  # height of a row of the legend, px


@dataclass(frozen=True)
class Quantity:
    """A column of ``scan.csv`` that is drawn: shares in per cent and energies in J with their sd, or plain numbers."""

    column: str
    title: str
    sd: str = ""

    @property
    def is_energy(self) -> bool:
        """Whether its unit is J."""
        return "_energy_J_" in self.column

    def of(self, rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """Return values and standard deviations as drawn, float64[rows]; NaN where a network spends nothing."""
        values = rows[self.column].to_numpy(float)
        if not self.sd:
            return values, np.full(len(rows), np.nan)
        sd = rows[self.sd].to_numpy(float)
        return (np.where(values > 0, values, np.nan), sd) if self.is_energy else (100 * values, 100 * sd)

    def told(self, row: dict[Hashable, Any]) -> str:
        """Return its value in a row as a text."""
        if self.is_energy:
            return energy(row[self.column], row[self.sd])
        return share(row[self.column], row[self.sd], row["seeds"]) if self.sd else text(float(row[self.column]), 3)

    def axis(self, values: np.ndarray) -> dict[str, Any]:
        """Return its axis for ``values``, float64[rows]."""
        return joules(self.title, values) if self.is_energy else axis(self.title)


QUANTITIES = (
    Quantity("test_accuracy_mean", "test accuracy (%)", "test_accuracy_sd"),
    Quantity("accuracy_below_float_mean", "accuracy below float (%)", "accuracy_below_float_sd"),
    *(
        Quantity(f"{phase}_energy_J_{level}", f"energy per sample of {phase}, {what}", f"{phase}_energy_sd_J_{level}")
        for phase in PHASES
        for level, what in LEVELS.items()
    ),
    Quantity("writes_per_sample_mean", "writes per training sample"),
    Quantity("training_writes_per_sample_mean", "writes per training sample, without the first programming"),
    Quantity("memory_bits_per_synapse", "digital memory (bit per synapse)"),
)


def along(scan: Scan) -> Section:
    """Return the chapter on what each axis does."""
    drawn = [one for one in QUANTITIES if np.isfinite(one.of(scan.table)[0]).any()]
    names = scan.varied if len(scan.table) * len(drawn) * len(scan.varied) <= MOST_DOTS else scan.varied[:1]
    lines = max(len(_lines(scan, name)) for name in names)
    views = [_curves(scan, one, name) for one, name in product(drawn, names)]
    menus = [("show", [one.title for one in drawn]), ("along", [words(name) for name in names])]
    caption = (
        "A line for each combination of the other axes and variants; the bars are one standard deviation over seeds. "
        "Point at a mark for its point, mean, sd and number of seeds; click a line in the legend to hide it, "
        "double-click to see it alone."
    )
    height = 360 + ROW * math.ceil(lines / 2) * (lines <= MOST_NAMES)
    blocks = [Figure("along", "Along the axes", caption, views, menus, height)]
    wide = [name for name in scan.varied if len(scan.axes[name]) >= LEAST_MAP]
    if len(wide) == 2:
        blocks.append(_map(scan, drawn, *wide))
    sentence = f"Accuracy, energies, writes and memory along {listed([words(name) for name in scan.varied])}."
    return Section("axes", "Along the axes", sentence, blocks)


def _lines(scan: Scan, name: str) -> list[tuple[str, bool, pd.DataFrame]]:
    """Return name, whether it is the float baseline, and rows of each line along an axis."""
    others = [other for other in scan.varied if other != name]
    found = []
    for (*labels, variant), rows in scan.table.groupby([*(f"axis_{other}" for other in others), "variant"], sort=False):
        told = [f"{words(other)} {label}" for other, label in zip(others, labels)]
        told += [words(str(variant))] if len(scan.variants) > 1 or not told else []
        found.append((", ".join(told), variant == BASELINE, rows))
    return found


def _curves(scan: Scan, quantity: Quantity, name: str) -> dict[str, Any]:
    lines, labels = _lines(scan, name), scan.axes[name]
    places = pd.to_numeric(pd.Series(labels), errors="coerce").to_numpy(float)
    numeric = bool(np.isfinite(places).all())
    place = dict(zip(labels, places if numeric else range(len(labels))))
    own = [told for told, is_float, _ in lines if not is_float]
    shades = dict(zip(own, (colour(number, len(own)) for number in range(len(own)))))
    traces = []
    for told, is_float, rows in lines:
        rows = rows.iloc[rows[f"axis_{name}"].map(place).argsort(kind="stable")]
        y, sd = quantity.of(rows)
        if not np.isfinite(y).any():
            continue
        sd = np.nan_to_num(sd)
        traces.append({
            "type": "scatter", "mode": "lines+markers", "name": told, "y": numbers(y),
            "x": numbers(rows[f"axis_{name}"].map(place)) if numeric else rows[f"axis_{name}"].tolist(),
            **({"error_y": errors(y - sd, y, y + sd)} if sd.any() else {}), "showlegend": len(lines) <= MOST_NAMES,
            "line": {"color": shades.get(told, INK), "dash": "dash" if is_float else "solid"},
            "marker": {"size": 7}, "customdata": [_told(row, quantity) for row in rows.to_dict("records")],
            "hovertemplate": "%{customdata}<extra></extra>",
        })  # fmt: skip
    values = np.concatenate([trace["y"] for trace in traces]).astype(float)
    return {
        "data": traces,
        "layout": layout(_axis(words(name), labels, places if numeric else None), quantity.axis(values)),
    }


def _axis(title: str, labels: list[str], places: np.ndarray | None) -> dict[str, Any]:
    """Return the axis of a scan's axis: of the numbers that the labels are, if so; logarithmic from a decade on."""
    if places is None:
        return axis(title, type="category", categoryorder="array", categoryarray=labels)
    ticks = {"tickvals": numbers(np.sort(places))} if len(labels) <= MOST_TEXT else {}
    return axis(title, **ticks, **({"type": "log"} if 0 < 10 * places.min() <= places.max() else {}))


def _told(row: dict[Hashable, Any], *quantities: Quantity) -> str:
    """Return what is read at a mark: which point and variant, the quantities, and what is behind them."""
    values = [f"{one.title.removesuffix(' (%)')}: {one.told(row)}" for one in quantities]
    written = f"card of {row['writes_behind_card']:,} writes" if row["writes_behind_card"] else "card of a law"
    return "<br>".join([row["point"], words(row["variant"]), *values, f"n = {row['seeds']} seeds; {written}"])


def _map(scan: Scan, drawn: list[Quantity], across: str, up: str) -> Figure:
    """Return the plane of two axes as colours, for each combination of the others and each variant."""
    columns, rows = scan.axes[across], scan.axes[up]
    others = [name for name in scan.varied if name not in (across, up)]
    groups = list(scan.table.groupby([*(f"axis_{name}" for name in others), "variant"], sort=False))
    few, views = max(len(columns), len(rows)) <= MOST_TEXT, []
    for quantity, (_, own) in product(drawn, groups):
        z = np.full((len(rows), len(columns)), np.nan)
        written, pointed = ([[""] * len(columns) for _ in rows] for _ in range(2))
        for row, value in zip(own.to_dict("records"), quantity.of(own)[0]):
            j, i = rows.index(row[f"axis_{up}"]), columns.index(row[f"axis_{across}"])
            z[j, i] = np.log10(value) if quantity.is_energy else value
            written[j][i] = quantity.told(row).split("\u00a0±")[0].removesuffix("\u00a0%")
            pointed[j][i] = _told(row, quantity)
        trace: dict[str, Any] = {
            "type": "heatmap", "x": columns, "y": rows, "z": matrix(z), "text": written, "customdata": pointed,
            "colorscale": BLUES, "xgap": 1, "ygap": 1, "hovertemplate": "%{customdata}<extra></extra>",
            "colorbar": {"thickness": 12, "outlinewidth": 0, "title": {"text": "log₁₀ J" * quantity.is_energy}},
        }  # fmt: skip
        if few:
            trace["texttemplate"] = "%{text}"
        axes = (axis(words(name), type="category", showgrid=False) for name in (across, up))
        views.append({"data": [trace], "layout": layout(*axes)})
    names = []
    for (*labels, variant), _ in groups:
        names.append(
            ", ".join([*(f"{words(name)} {label}" for name, label in zip(others, labels)), words(str(variant))])
        )
    title = f"The plane of {words(across)} and {words(up)}"
    caption = "Means over seeds; energies are coloured by their logarithm. Point at a cell for its sd and seeds."
    menus = [("show", [one.title for one in drawn]), ("of", names)]
    return Figure("map", title, caption, views, menus, 200 + min(420, 44 * len(rows)))


def pareto(scan: Scan) -> Section:
    """Return the chapter on accuracy against energy: devices, with the array, with the whole system."""
    by = [*(f"axis_{name}" for name in scan.varied), *(["variant"] if len(scan.variants) > 1 else [])]
    by = by if len(scan.table) * len(LEVELS) * len(PHASES) * len(by) <= MOST_DOTS else by[:1]
    views = [_panels(scan, phase, column) for phase, column in product(PHASES, by)]
    menus = [("phase", list(PHASES)), ("coloured by", [words(column.removeprefix("axis_")) for column in by])]
    caption = (
        "Mean ± sd over seeds after the last epoch. Filled marks are beaten by none within their panel: no other is as "
        "accurate for less; the dotted line joins them. Float networks (diamonds) have an energy in the system alone. "
        "Point at a mark for its point and variant."
    )
    height = 400 + ROW * math.ceil(max(scan.table[column].nunique() for column in by) / 4)
    sentence = "What accuracy costs: all points and variants, by the energy of a sample at three levels of accounting."
    figure = Figure("trade", "Accuracy against energy", caption, views, menus, min(height, 800))
    return Section("pareto", "Pareto", sentence, [figure])


def _panels(scan: Scan, phase: str, by: str) -> dict[str, Any]:
    accuracy = QUANTITIES[0]
    entries = scan.variants if by == "variant" else scan.axes[by.removeprefix("axis_")]
    shades = {label: INK if label == BASELINE else colour(place, len(entries)) for place, label in enumerate(entries)}
    traces: list[dict[str, Any]] = []
    axes, named = {}, set()
    for panel, (level, what) in enumerate(LEVELS.items()):
        spent = Quantity(f"{phase}_energy_J_{level}", what, f"{phase}_energy_sd_J_{level}")
        suffix = str(panel + 1) if panel else ""
        shown = scan.table[scan.table[spent.column] > 0]
        (x, _), (y, sd) = spent.of(shown), accuracy.of(shown)
        width = 1 / len(LEVELS)
        axes[f"xaxis{suffix}"] = spent.axis(x) | {
            "nticks": 4,
            "domain": [panel * width, (panel + 1) * width - 0.03],
            "anchor": "y",
        }
        best = front(x, y)
        place = {"xaxis": f"x{suffix}", "yaxis": "y", "type": "scatter"}
        traces.append({
            **place, "mode": "lines", "x": numbers(x[best], 4), "y": numbers(y[best]), "hoverinfo": "skip",
            "line": {"color": FAINT, "dash": "dot", "shape": "hv"}, "showlegend": False, "name": "front",
        })  # fmt: skip
        for label in dict.fromkeys(shown[by]):
            own = np.flatnonzero(shown[by] == label)
            rows = shown.iloc[own].to_dict("records")
            open_ = ["" if number in best else "-open" for number in own]
            shapes = ["diamond" if row["variant"] == BASELINE else "circle" for row in rows]
            bars = np.nan_to_num(sd[own])
            traces.append({
                **place, "mode": "markers", "x": numbers(x[own], 4), "y": numbers(y[own]), "legendgroup": label,
                "name": words(label), "showlegend": label not in named and len(entries) <= MOST_NAMES,
                "error_y": errors(y[own] - bars, y[own], y[own] + bars),
                "marker": {"color": shades[label], "size": 10, "symbol": [a + b for a, b in zip(shapes, open_)]},
                "customdata": [_told(row, accuracy, spent) for row in rows],
                "hovertemplate": "%{customdata}<extra></extra>",
            })  # fmt: skip
            named.add(label)
    return {"data": traces, "layout": {**axes, "yaxis": axis(accuracy.title)}}
