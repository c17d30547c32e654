"""Sections 5 and 6: energy, and what accuracy costs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from report.network import BASELINE, shade
from report.parts import Figure, Section, Table, text, words
from report.plots import FAINT, axis, colour, joules, layout, numbers
from report.study import Study
from spinloom.pareto import front
from spinloom.quantities import OWN, PHASES, si

LEVELS = {"device": "devices", "array": "with the array", "system": "with the whole system"}
SPOKEN = {"device": "in the devices", "array": "with the array", "system": "in the whole system"}
SHADES = {"device": "#0072b2", "array": "#e69f00", "system": "#7f8c99"}
OTHER_COSTS = {
    "writes_per_sample_mean": "writes per sample",
    "memory_bits_per_synapse": "digital memory (bit per synapse)",
    "device_reads_per_sample": "device reads per training sample",
}


def energy(study: Study) -> Section:
    """Return the section on energies: of a write, and of the networks if there are any."""
    blocks = [write_energy(study)]
    mean = study.card.pulses["energy_mean_J"]
    span = si(mean.min(), "J") + (f" to {si(mean.max(), 'J')}" if mean.nunique() > 1 else "")
    sentence = (
        f"A write takes {span}." if mean.notna().all() else "The energy of a write is unknown, and so are totals."
    )
    if study.network:
        totals, first = _totals(study), study.variants[0]
        told = [f"{si(totals[first, 'training', level], 'J')} {what}" for level, what in SPOKEN.items()]
        sentence += (
            f" Training takes per sample, variant {words(first)}: {', '.join(told)}. The constants behind arrays and "
            "systems are assumptions; each is in the table of terms."
        )
        lacks = study.network["costs"]
        lacks = lacks[(lacks["chip"] == OWN) & lacks["lacks"].notna()].groupby("variant", sort=False)["lacks"].first()
        sentence += "".join(f" The costs of {words(str(name))} leave out: {told}." for name, told in lacks.items())
        blocks += [levels(study), terms(study), chips(study), tornado(study), _terms(study), _areas(study)]
    return Section("energy", "Energy", sentence, blocks)


def _totals(study: Study) -> pd.Series:
    table = study.network["energy"]
    return table[table["term"] == "total"].set_index(["variant", "phase", "level"])["energy_J_mean"]


def write_energy(study: Study) -> Figure:
    """Return the energy of a write by pulse, in its parts where the card knows them."""
    pulses, names = study.card.pulses, study.pulses
    parts = [
        name for name in map(str, pulses) if name.startswith("energy_") and name not in ("energy_mean_J", "energy_sd_J")
    ]
    parts = [name for name in parts if pulses[name].fillna(0).any()] or ["energy_mean_J"]
    traces = [
        {
            "type": "bar", "x": names, "y": numbers(pulses[name].fillna(0)), "marker": {"color": colour(place)},
            "name": name.removeprefix("energy_").removesuffix("_J").replace("sot", "spin-orbit torque line"),
        }
        for place, name in enumerate(parts)
    ]  # fmt: skip
    y = axis("energy of a write", exponentformat="SI", ticksuffix="J", rangemode="tozero")
    view = {"data": traces, "layout": layout(axis("pulse", type="category"), y, barmode="stack")}
    return Figure("write_energy", "One write", "Energy of one write in its parts, by pulse.", [view], height=320)


def levels(study: Study) -> Figure:
    """Return the energy per sample of all variants, devices to system."""
    totals, views = _totals(study), []
    names = [words(variant) for variant in study.variants]
    for phase in PHASES:
        traces = []
        for level, what in LEVELS.items():
            values = np.array([totals[variant, phase, level] for variant in study.variants])
            traces.append({
                "type": "scatter", "mode": "markers", "y": names, "x": numbers(np.where(values > 0, values, np.nan), 4),
                "name": what, "marker": {"color": SHADES[level], "size": 11}, "hovertemplate": "%{x:.3s}J",
            })  # fmt: skip
        y = axis("", type="category", autorange="reversed")
        views.append(
            {
                "data": traces,
                "layout": layout(joules(f"energy per sample of {phase}", totals.xs(phase, level="phase")), y),
            }
        )
    caption = "On a logarithmic axis: the devices alone, with converters and lines, with digital arithmetic and memory."
    return Figure(
        "levels", "Devices, array, system", caption, views, [("phase", list(PHASES))], 170 + 28 * len(study.variants)
    )


def terms(study: Study) -> Figure:
    """Return what costs how much, for each variant and phase."""
    table, views = study.network["energy"], []
    most = 0
    for variant in study.variants:
        for phase in PHASES:
            own = table[(table["variant"] == variant) & (table["phase"] == phase) & (table["term"] != "total")]
            own = own[own["energy_J_mean"] > 0].sort_values("energy_J_mean", ascending=False)
            most = max(most, len(own))
            trace = {
                "type": "bar", "orientation": "h", "x": numbers(own["energy_J_mean"], 4), "showlegend": False,
                "y": [f"{row.term} ({row.level})" for row in own.itertuples()],
                "marker": {"color": [SHADES[level] for level in own["level"]]},
                "customdata": [f"{row.formula}<br>{row.inputs}<br>{row.assumption}" for row in own.itertuples()],
                "hovertemplate": "%{x:.3s}J<br>%{customdata}<extra></extra>",
            }  # fmt: skip
            y = axis("", type="category", autorange="reversed")
            views.append({"data": [trace], "layout": layout(joules("energy per sample", own["energy_J_mean"]), y)})
    menus = [("variant", [words(variant) for variant in study.variants]), ("phase", list(PHASES))]
    caption = "The largest first; point at a bar for its formula, its inputs and what is assumed."
    return Figure("terms", "What costs most", caption, views, menus, 140 + 26 * most)


def chips(study: Study) -> Table:
    """Return the chips at inference, each variant's beside its digital rivals."""
    table = study.network["costs"]
    rows = [
        [
            words(row["variant"]), row["chip"], si(row["energy_J_mean"], "J"), si(row["time_s"], "s"),
            text(row["area_m2"] * 1e6, 3), si(row["power_W"], "W"), text(row["operations_per_s"] * 1e-12, 3),
            text(row["operations_per_J"] * 1e-12, 3), text(row["operations_per_s_per_m2"] * 1e-18, 3),
        ]
        for row in table[(table["phase"] == "inference") & (table["level"] == "system")].to_dict("records")
    ]  # fmt: skip
    heads = ["variant", "chip", "energy per picture", "time", "area (mm²)", "power", "TOPS", "TOPS/W", "TOPS/mm²"]
    caption = "Whole systems at inference. A rival has the same layers in numbers; its accuracy is not measured here."
    return Table("Chips and their digital rivals", heads, rows, caption)


def tornado(study: Study) -> Figure:
    """Return how far the ends of each published number's range move the totals."""
    table, views = study.network["sensitivity"], []
    names = {"energy_J": ("energy", "J"), "time_s": ("time", "s"), "area_m2": ("area", "m²")}
    wanted = [(phase, quantity) for phase in PHASES for quantity in names]
    wanted = [pair for pair in wanted if pair != ("training", "area_m2")]
    most = 0
    for variant in study.variants:
        for phase, quantity in wanted:
            own = table[(table["variant"] == variant) & (table["phase"] == phase) & (table["quantity"] == quantity)]
            most = max(most, len(own))
            told = [
                f"{row['constant']} from {row['low']:.3g} to {row['high']:.3g}: "
                f"{si(row['total_at_low'], names[quantity][1])} to {si(row['total_at_high'], names[quantity][1])}"
                f"<br>{row['source']}"
                for row in own.to_dict("records")
            ]
            low, high = own["total_at_low"] / own["total"], own["total_at_high"] / own["total"]
            trace = {
                "type": "bar", "orientation": "h", "y": own["constant"].tolist(), "x": numbers(high - low, 4),
                "base": numbers(low, 4), "showlegend": False, "marker": {"color": SHADES["array"]},
                "customdata": told, "hovertemplate": "%{customdata}<extra></extra>",
            }  # fmt: skip
            x = axis(f"{names[quantity][0]} over that with the published values, {phase}", type="log")
            views.append({"data": [trace], "layout": layout(x, axis("", type="category", autorange="reversed"))})
    menus = [
        ("variant", [words(variant) for variant in study.variants]),
        ("total", [f"{names[quantity][0]}, {phase}" for phase, quantity in wanted]),
    ]
    caption = "Each bar moves one number of the cost model from one end of its published range to the other."
    return Figure("tornado", "How sure the costs are", caption, views, menus, 140 + 26 * most)


def _areas(study: Study) -> Table:
    table = study.network["areas"]
    rows = [
        [
            words(row["variant"]), row["chip"], row["phase"], row["level"], row["block"], text(row["number"], 6),
            text(row["area_of_each_m2"] * 1e12, 3), text(row["area_m2"] * 1e6, 3), _said(row["assumption"]),
        ]
        for row in table.to_dict("records")
    ]  # fmt: skip
    heads = ["variant", "chip", "phase", "level", "block", "number", "each (µm²)", "area (mm²)", "assumption"]
    return Table("Areas, block by block", heads, rows, closed=True)


def _terms(study: Study) -> Table:
    table = study.network["energy"]
    rows = [
        [
            words(row["variant"]), row["phase"], row["level"], row["term"], si(row["energy_J_mean"], "J"),
            si(row["time_s"], "s"), *(_said(row[name]) for name in ("formula", "inputs", "assumption")),
        ]
        for row in table.to_dict("records")
    ]  # fmt: skip
    heads = ["variant", "phase", "level", "term", "energy", "time", "formula", "inputs", "assumption"]
    return Table("All terms with formulas, inputs and assumptions", heads, rows, closed=True)


def _said(value: Any) -> str:
    return value if isinstance(value, str) else ""


def pareto(study: Study) -> Section:
    """Return the section on what accuracy costs."""
    if not study.network:
        return Section("pareto", "Pareto", "Without networks there is nothing to weigh.")
    last, totals = study.last(), _totals(study)
    costs: dict[str, tuple[pd.Series, bool]] = {}
    for phase in PHASES:
        for level, what in reversed(LEVELS.items()):
            costs[f"{phase} energy per sample, {what} (J)"] = (totals.xs((phase, level), level=(1, 2)), True)
    chip = study.network["costs"]
    whole = chip[(chip["chip"] == OWN) & (chip["level"] == "system")]
    for phase in PHASES:
        own = whole[whole["phase"] == phase].set_index("variant")
        costs[f"time of a sample, {phase} (s)"] = (own["time_s"], False)
        if phase == "inference":
            costs["area of the chip (m²)"] = (own["area_m2"], False)
    costs |= {title: (last[column], False) for column, title in OTHER_COSTS.items() if last[column].notna().any()}
    views, names = [], []
    for title, (cost, is_energy) in costs.items():
        cost = cost[cost > 0]
        if cost.empty:
            continue
        names.append(title)
        views.append(_trade(study, last, cost, title, is_energy))
    sentence = "Which variants are beaten by none: no other is as accurate for less. The dotted line joins them."
    caption = "Accuracy after the last epoch, mean ± sd over seeds. Variants that cost nothing of a kind are not drawn."
    figure = Figure("trade", "Accuracy against cost", caption, views, [("cost", names)], 440)
    return Section("pareto", "Pareto", sentence, [figure])


def _trade(study: Study, last: pd.DataFrame, cost: pd.Series, title: str, is_energy: bool) -> dict[str, Any]:
    own = last.loc[cost.index]
    y, sd = 100 * own["test_accuracy_mean"].to_numpy(), 100 * own["test_accuracy_sd"].fillna(0).to_numpy()
    x = cost.to_numpy()
    best = front(x, y)
    traces: list[dict[str, Any]] = [{
        "type": "scatter", "mode": "lines", "x": numbers(x[best], 4), "y": numbers(y[best]), "hoverinfo": "skip",
        "line": {"color": FAINT, "dash": "dot", "shape": "hv"}, "showlegend": False, "name": "front",
    }]  # fmt: skip
    for place, variant in enumerate(own.index):
        symbol = "diamond" if variant == BASELINE else "circle" if place in best else "circle-open"
        traces.append({
            "type": "scatter", "mode": "markers", "x": numbers(x[[place]], 4), "y": numbers(y[[place]]),
            "error_y": {"type": "data", "array": numbers(sd[[place]], 3), "thickness": 1.2, "width": 4},
            "marker": {"color": shade(study, variant), "size": 11, "symbol": symbol}, "name": words(variant),
            "hovertemplate": f"%{{x:.3s}}{'J' if is_energy else ''}: %{{y:.2f}} %",
        })  # fmt: skip
    x_axis = joules(title.removesuffix(" (J)"), x) if is_energy else axis(title, type="log")
    return {"data": traces, "layout": layout(x_axis, axis("test accuracy (%)"))}
