"""The chapters of a search's page that are plots: front, parallel coordinates, history, sensitivities, curves."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from report.design.found import STANDS, Found, Goal
from report.parts import Figure, Section, Table, text, words
from report.plots import BLUES, COLOURS, FAINT, axis, errors, layout, numbers, see_through


def front(found: Found) -> Section:
    """Return the chapter with the front and the parallel coordinates of all points at full fidelity."""
    full = found.full
    if not len(full):
        return Section("front", "The front", "No point was made at full fidelity.")
    pairs = list(combinations(found.goals, 2)) or [(found.goals[0], found.goals[0])]
    views = [_pair(found, full, x, y) for y, x in pairs]
    menus = [("show", [f"{words(y.name)} against {words(x.name)}" for y, x in pairs])] if len(pairs) > 1 else []
    caption = (
        "Filled marks are beaten by no other point and keep all bounds; bars are standard errors over seeds. Diamonds "
        "are points of the front that were made again, the cross is the study as it stands. Point at a mark for its "
        "variables."
    )
    blocks: list[Figure | Table] = [Figure("front", "What can be had", caption, views, menus, 460)]
    blocks.append(_parallel(found, full))
    count = int(full["front"].sum())
    bounds = [
        f"{words(goal.name)} {word} {goal.told(bound)}"
        for goal in found.goals
        for word, bound in (("at least", goal.at_least), ("at most", goal.at_most))
        if bound is not None
    ]
    told = f" Bounds: {', '.join(bounds)}." if bounds else ""
    return Section("front", "The front", f"{count} of {len(full)} points are beaten by none.{told}", blocks)


def _pair(found: Found, full: pd.DataFrame, x: Goal, y: Goal) -> dict[str, Any]:
    traces = []
    for on, name, symbol in ((False, "beaten, or beyond a bound", "circle-open"), (True, "front", "circle")):
        rows = full[full["front"] == on]
        if len(rows):
            traces.append(_marks(found, rows, x, y, "", name, symbol, COLOURS[0] if on else FAINT))
    again = found.tables["final"]
    if len(again):
        again = again.dropna(subset=[f"{x.name}_fresh", f"{y.name}_fresh"])
        base = again["number"].isna()
        for rows, name, symbol, shade in (
            (again[~base], "made again", "diamond", COLOURS[1]),
            (again[base], STANDS, "x", COLOURS[2]),
        ):
            if len(rows):
                traces.append(_marks(found, rows, x, y, "_fresh", name, symbol, shade))
    values = np.concatenate([np.asarray(trace["x"], float) for trace in traces])
    tall = np.concatenate([np.asarray(trace["y"], float) for trace in traces])
    return {"data": traces, "layout": layout(x.axis(values), y.axis(tall))}


def _marks(
    found: Found, rows: pd.DataFrame, x: Goal, y: Goal, kind: str, name: str, symbol: str, shade: str
) -> dict[str, Any]:
    ends = {}
    for place, goal in (("x", x), ("y", y)):
        value, error = goal.drawn(rows[f"{goal.name}{kind}"]), goal.drawn(rows[f"{goal.name}{kind}_error"])
        error = np.nan_to_num(error)
        ends[place] = numbers(value)
        if error.any():
            ends[f"error_{place}"] = errors(value - error, value, value + error)
    return {
        "type": "scatter", "mode": "markers", "name": name, **ends,
        "marker": {"symbol": symbol, "size": 9, "color": shade},
        "customdata": [_told(found, row, kind) for row in rows.to_dict("records")],
        "hovertemplate": "%{customdata}<extra></extra>",
    }  # fmt: skip


def _told(found: Found, row: dict[Any, Any], kind: str) -> str:
    lines = [STANDS if pd.isna(row["number"]) else f"point {int(row['number'])}"]
    lines += [
        f"{words(goal.name)}: {goal.told(row[f'{goal.name}{kind}'], row[f'{goal.name}{kind}_error'])}"
        for goal in found.goals
    ]
    lines += [f"{words(name)} = {text(row[name])}" for name in found.variables if not pd.isna(row[name])]
    return "<br>".join(lines)


def _parallel(found: Found, full: pd.DataFrame) -> Figure:
    """Return a line for each point across its variables and objectives, coloured by the first objective."""
    about, dimensions = found.about["design"]["variables"], []
    for name in found.variables:
        column = full[name]
        if about[name]["choices"] is not None or column.dtype == object:
            labels = [text(value) for value in sorted(column.dropna().astype(str).unique())]
            places = column.astype(str).map({label: place for place, label in enumerate(labels)})
            dimensions.append(
                {
                    "label": words(name),
                    "values": numbers(places),
                    "tickvals": list(range(len(labels))),
                    "ticktext": labels,
                }
            )
        else:
            dimensions.append(_dimension(words(name), column.to_numpy(float), about[name]["log"]))
    for goal in found.goals:
        dimensions.append(_dimension(goal.title, goal.drawn(full[goal.name]), not goal.linear))
    first = found.goals[0]
    shade = first.drawn(full[first.name])
    trace = {
        "type": "parcoords", "dimensions": dimensions, "labelangle": -15,
        "line": {
            "color": numbers(shade), "colorscale": BLUES, "cmin": float(shade.min()) - 0.2 * float(np.ptp(shade)),
            "cmax": float(shade.max()), "showscale": True,
            "colorbar": {"title": {"text": first.title}, "thickness": 12, "outlinewidth": 0},
        },
    }  # fmt: skip
    caption = "A line for each point at full fidelity. Drag along an axis to keep the lines that cross there."
    view = {"data": [trace], "layout": {"margin": {"l": 70, "r": 30, "t": 90, "b": 30}}}
    return Figure("parallel", "What is behind each point", caption, [view], height=420)


def _dimension(title: str, values: np.ndarray, log: bool) -> dict[str, Any]:
    known = values[np.isfinite(values)]
    if not log or not len(known) or known.min() <= 0:
        return {"label": title, "values": numbers(values)}
    ends = np.log10([known.min(), known.max()])
    ticks = np.linspace(ends[0], ends[1], 5) if np.ptp(ends) > 0 else ends[:1]
    return {
        "label": title, "values": numbers(np.log10(values)), "tickvals": numbers(ticks),
        "ticktext": [f"{10**tick:.3g}" for tick in ticks],
    }  # fmt: skip


def history(found: Found) -> Section:
    """Return the chapter on how the front grew."""
    table = found.tables["hypervolume"]
    traces = [{
        "type": "scatter", "mode": "lines", "x": numbers(table["points"]), "y": numbers(table["hypervolume"]),
        "line": {"color": COLOURS[0], "shape": "hv"}, "name": "hypervolume",
        "hovertemplate": "after %{x} points: %{y:.3f}<extra></extra>",
    }] if len(table) else []  # fmt: skip
    view = {"data": traces, "layout": layout(axis("points"), axis("hypervolume", rangemode="tozero"))}
    caption = (
        "Share of the box between the worst and the best value of each objective (energies by their logarithm) that "
        "the "
        "points so far rule. A flat end says that more points found no more."
    )
    sentence = "How the front grew from point to point."
    return Section("history", "History", sentence, [Figure("hypervolume", "Hypervolume", caption, [view], height=300)])


def matters(found: Found) -> Section:
    """Return the chapter on which variable matters, one-knob curves and robustness."""
    table = found.tables["sensitivities"]
    if not len(table):
        return Section("matters", "What matters", "There were too few points for a fit.")
    views, names = [], list(dict.fromkeys(table["objective"]))
    for name in names:
        own = table[table["objective"] == name]
        traces = []
        for column, title, shade in (("first_order", "by itself", COLOURS[0]), ("total_order", "in total", COLOURS[4])):
            value, half = own[column].to_numpy(float), own[f"{column}_half"].to_numpy(float)
            traces.append({
                "type": "bar", "name": title, "x": [words(one) for one in own["variable"]], "y": numbers(value),
                "error_y": errors(value - half, value, value + half), "marker": {"color": shade},
            })  # fmt: skip
        views.append({"data": traces, "layout": layout(axis("", type="category"), axis("share of the variance"))})
    fits = table.drop_duplicates("objective").to_dict("records")
    told = "; ".join(
        f"{words(row['objective'])}: {row['fit_rmse']:.2g} in units of {row['scale']}, R² {row['fit_r2']:.2f}"
        for row in fits
    )
    sentence = (
        f"By a Gaussian process fitted to {fits[0]['points']} points. Its error in five-fold cross-validation is "
        f"{told}. "
        "Where R² is small, what follows says little."
    )
    menus = [("of", [words(name) for name in names])]
    caption = (
        "Sobol's indices over the whole ranges: the share of an objective's variance that a variable explains by "
        "itself, and "
        "with all that it does together with others. Bars are 95 % intervals of sampling and fit."
    )
    blocks = [Figure("sobol", "Which variable matters", caption, views, menus), _curves(found), _robustness(found)]
    return Section("matters", "What matters", sentence, [block for block in blocks if block is not None])


def _curves(found: Found) -> Figure | None:
    table = found.tables["curves"]
    if not len(table):
        return None
    goals = [goal for goal in found.goals if goal.name in set(table["objective"])]
    variables, views = list(dict.fromkeys(table["variable"])), []
    about = found.about["design"]["variables"]
    for goal in goals:
        for name in variables:
            own = table[(table["objective"] == goal.name) & (table["variable"] == name)]
            choice = about[name]["choices"] is not None
            x = own["value"].astype(str).tolist() if choice else numbers(own["value"].astype(float))
            low, mean, high = (goal.drawn(own[column]) for column in ("low", "predicted", "high"))
            shade = COLOURS[0]
            if choice:
                traces: list[dict[str, Any]] = [{
                    "type": "scatter", "mode": "markers", "x": x, "y": numbers(mean),
                    "error_y": errors(low, mean, high),
                    "marker": {"color": shade, "size": 9}, "showlegend": False,
                }]  # fmt: skip
            else:
                band = {"type": "scatter", "mode": "lines", "x": x, "line": {"width": 0}, "showlegend": False}
                traces = [
                    {**band, "y": numbers(low), "hoverinfo": "skip"},
                    {**band, "y": numbers(high), "fill": "tonexty", "fillcolor": see_through(shade, 0.2),
                     "hoverinfo": "skip"},
                    {**band, "y": numbers(mean), "line": {"color": shade}},
                ]  # fmt: skip
            kind = {"type": "category"} if choice else {"type": "log"} if about[name]["log"] else {}
            views.append({"data": traces, "layout": layout(axis(words(name), **kind), goal.axis(mean))})
    number = int(table["number"].iloc[0])
    caption = (
        f"The fit through point {number}, the one of the front that is nearest to the best of all objectives at "
        "once, with one "
        "variable moved; the band is 95 % of the fit."
    )
    menus = [("show", [words(goal.name) for goal in goals]), ("along", [words(name) for name in variables])]
    return Figure("curves", "One knob", caption, views, menus, 340)


def _robustness(found: Found) -> Table | None:
    table = found.tables["robustness"]
    if not len(table):
        return None
    rows = [
        [
            words(row["variable"]), words(row["objective"]), f"{row['loss_mean']:.2g}", f"{row['loss_most']:.2g}",
            f"{row['fit_rmse']:.2g}", row["scale"],
        ]
        for row in table.to_dict("records")
    ]  # fmt: skip
    share = 100 * table["tolerance"].iloc[0]
    heads = ["variable", "objective", "loss, mean of the front", "loss, most", "error of the fit", "in units of"]
    note = "The worse of the two sides, by the fit: what is smaller than its error is not known."
    return Table(f"If a variable is off by {share:g} %", heads, rows, note)
