"""Section 3: the kernel card, the transition table with its uncertainty."""

from __future__ import annotations

from typing import Any

import numpy as np

from report.device import groups
from report.parts import Figure, Section, Table, text, words
from report.plots import BLUES, COLOURS, FAINT, axis, colour, errors, layout, matrix, numbers, see_through
from report.study import Study
from spinloom.quantities import of, widest

MOST_TEXT = 8  # states beyond which a matrix carries no numbers
MOST_LABELS = 16  # below a plot
MOST_ROWS = 48  # of the table in figures
MOST_NUMBERS = 60_000  # of the views of single rows, and of the matrices
TRAIN = 40  # pulses up, then down


def table(study: Study) -> Section:
    """Return the section on the card."""
    card = study.card
    states, pulses = len(card.states), len(card.pulses)
    events = card.meta.events
    counted = f" from {events} writes" if events else ""
    sentence = (
        f"The kernel card: the probability that a pulse takes the device from one of {states} states to another, for "
        f"{pulses} pulses{counted}."
    )
    if card.rows_repeat:
        sentence += " Each write begins with a reset, so that the state before it does not matter."
    derived = card.meta.derived
    if derived is not None:
        levels, ratio = derived.distinguishable_levels, derived.conductance_ratio
        sentence += f" {levels} levels can be told apart; the conductance spans a factor of {ratio:.3g}."
    blocks: list[Figure | Table] = [matrices(study), single_rows(study), conductance(study)]
    if states == 2 and pulses > 2:
        blocks.insert(0, switching(study))
    if states > 2 and not card.rows_repeat:
        blocks.append(steps(study))
    if (figure := spread(study)) is not None:
        blocks.append(figure)
    if states <= MOST_TEXT and pulses * (1 if card.rows_repeat else states) <= MOST_ROWS:
        blocks.append(_figures(study))
    if card.meta.laws:
        blocks.append(_laws(study))
    return Section("table", "Transition table", sentence, blocks)


def _picked(study: Study, each: int) -> list[int]:
    """Return pulses evenly picked, as many as the page has room for if each takes ``each`` numbers."""
    pulses = len(study.card.pulses)
    most = max(1, min(pulses, MOST_NUMBERS // each))
    return np.unique(np.linspace(0, pulses - 1, most).round().astype(int)).tolist()


def _told(study: Study, shown: list[int]) -> str:
    pulses = len(study.card.pulses)
    return "" if len(shown) == pulses else f" {len(shown)} of {pulses} pulses, evenly picked; all are in the table."


def _cube(study: Study, column: str) -> np.ndarray:
    shape = (len(study.card.pulses), len(study.card.states), len(study.card.states))
    return study.card.transitions[column].to_numpy().reshape(shape)


def matrices(study: Study) -> Figure:
    """Return the probabilities as colours: pulse against state after a reset, else state against state by pulse."""
    card, labels = study.card, list(study.card.states["label"])
    few = len(labels) <= MOST_TEXT
    probability, low, high = (_cube(study, name) for name in ("probability", "ci_low", "ci_high"))

    def view(values: np.ndarray, ends: list[list[str]], rows: list[str], title: str) -> dict[str, Any]:
        trace = {
            "type": "heatmap", "x": labels, "y": rows, "z": matrix(values, 3), "customdata": ends, "zmin": 0,
            "zmax": 1 if few else max(float(probability.max()), 1e-9), "colorscale": BLUES, "xgap": 1, "ygap": 1,
            "hovertemplate": "%{y} → %{x}: %{z:.3g} (%{customdata})<extra></extra>",
            "colorbar": {"title": {"text": "probability"}, "thickness": 12, "outlinewidth": 0},
        }  # fmt: skip
        if few:
            trace |= {"texttemplate": "%{z:.2f}"}
        x = axis("state written", type="category", showgrid=False)
        return {
            "data": [trace],
            "layout": layout(x, axis(title, type="category", showgrid=False, autorange="reversed")),
        }

    def ends(rows: list[tuple[int, int]]) -> list[list[str]]:
        return [[f"{low[k, s, t]:.3g}–{high[k, s, t]:.3g}" for t in range(len(labels))] for k, s in rows]

    if card.rows_repeat:
        shown = _picked(study, 2 * len(labels))
        names = [study.pulses[k] for k in shown]
        views = [view(probability[shown, 0], ends([(k, 0) for k in shown]), names, "pulse")]
        menus, height = [], 160 + min(420, 40 * len(shown))
    else:
        shown = _picked(study, 2 * len(labels) ** 2)
        starts = range(len(labels))
        views = [view(probability[k], ends([(k, s) for s in starts]), labels, "state before") for k in shown]
        menus, height = [("pulse", [study.pulses[k] for k in shown])], 420
    caption = f"Point at a cell for its number{_and_interval(study)}.{_told(study, shown)}"
    return Figure("transitions", "Where a pulse leads", caption, views, menus, height)


def _interval(study: Study) -> str:
    share = study.card.interval
    return f"{share:.0%} interval" if np.isfinite(share) else "interval"


def _and_interval(study: Study) -> str:
    return f" and its {_interval(study)}" if study.card.meta.events else "; its source gives no uncertainty"


def switching(study: Study) -> Figure:
    """Return the probability of leaving either of two states against the drive, with intervals."""
    card, labels = study.card, list(study.card.states["label"])
    x = widest(card.pulses)
    probability, low, high = (_cube(study, name) for name in ("probability", "ci_low", "ci_high"))
    changes = [(0, 1)] if card.rows_repeat else [(0, 1), (1, 0)]
    curves = groups(card.pulses, x)
    views = []
    for start, stop in changes:
        traces = []
        for place, (name, own) in enumerate(curves):
            own = own.sort_values(x)
            p, bottom, top = (values[own["pulse"], start, stop] for values in (probability, low, high))
            shade = colour(place, len(curves))
            traces.append({
                "type": "scatter", "mode": "lines+markers", "x": numbers(own[x] * of(x).scale), "y": numbers(p),
                "name": name, "showlegend": bool(name), "line": {"color": shade, "width": 1}, "marker": {"size": 6},
                "error_y": {**errors(bottom, p, top), "color": see_through(shade, 0.6)},
                "hovertemplate": "%{x:.4g}: %{y:.3g}",
            })  # fmt: skip
        views.append({"data": traces, "layout": layout(axis(of(x).title), axis("probability", range=[-0.03, 1.03]))})
    names = [f"to {labels[1]}" if card.rows_repeat else f"{labels[start]} → {labels[stop]}" for start, stop in changes]
    caption = f"Probability of the change; the bars are its {_interval(study)}, lines guide the eye."
    return Figure("switching", "Switching", caption, views, [("change", names)])


def single_rows(study: Study) -> Figure:
    """Return the probabilities of one row of the table with their intervals."""
    card, labels = study.card, list(study.card.states["label"])
    starts = [0] if card.rows_repeat else list(range(len(labels)))
    shown = _picked(study, 5 * len(labels) * len(starts))
    columns = {name: _cube(study, name) for name in ("probability", "ci_low", "ci_high", "count", "effective_count")}
    basis = card.transitions["basis"].to_numpy().reshape(columns["count"].shape)
    views = []
    for pulse in shown:
        for start in starts:
            p, low, high, count, worth = (values[pulse, start] for values in columns.values())
            told = [f"{int(n)} writes, worth {w:.3g}; {b}" for n, w, b in zip(count, worth, basis[pulse, start])]
            bars = {
                "type": "bar", "x": labels, "y": numbers(p, 3), "error_y": {**errors(low, p, high), "color": "#334"},
                "marker": {"color": see_through(COLOURS[0], 0.75)}, "customdata": told, "showlegend": False,
                "hovertemplate": "%{x}: %{y:.3g}<br>%{customdata}<extra></extra>",
            }  # fmt: skip
            y = axis("probability", rangemode="tozero")
            views.append({"data": [bars], "layout": layout(axis("state written", type="category"), y)})
    menus = [("pulse", [study.pulses[k] for k in shown])]
    if not card.rows_repeat:
        menus.append(("from state", labels))
    bars = f" The bars are its {_interval(study)}." if study.card.meta.events else ""
    caption = f"One row of the table.{bars}{_told(study, shown)}"
    return Figure("rows", "How sure the table is", caption, views, menus, 340)


def conductance(study: Study) -> Figure:
    """Return the mean conductance ± sd after trains of up and down pulses, or after each pulse if none are a pair."""
    card = study.card
    quantity = of("conductance_S")
    mean, sd = (card.states[name].to_numpy() * quantity.scale for name in ("conductance_S", "conductance_sd_S"))
    kernel, names = card.kernel, study.pulses

    def moments(share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        centre = share @ mean
        return centre, np.sqrt(np.clip(share @ (mean**2 + sd**2) - centre**2, 0, None))

    pairs = [] if card.meta.derived is None else card.meta.derived.pairs
    y = axis(quantity.title)
    if not pairs:
        start = card.states["occupancy"].to_numpy()
        centre, width = moments(np.einsum("s,kst->kt", start, kernel))
        dots = {
            "type": "scatter", "mode": "markers", "x": names, "y": numbers(centre), "marker": {"size": 9},
            "error_y": errors(centre - width, centre, centre + width), "showlegend": False,
        }  # fmt: skip
        levels = [
            {
                "type": "line",
                "xref": "paper",
                "x0": 0,
                "x1": 1,
                "y0": g,
                "y1": g,
                "line": {"width": 0.6, "color": FAINT},
            }
            for g in numbers(mean)
        ]
        view = {"data": [dots], "layout": layout(axis("pulse", type="category"), y, shapes=levels)}
        caption = "Mean and standard deviation after each pulse; the lines are the states' mean conductances."
        return Figure("conductance", "Conductance", caption, [view])
    views, first = [], np.eye(len(mean))[int(np.argmin(mean))]
    for pair in pairs[:12]:
        train = [first]
        for pulse in [pair["up"]] * TRAIN + [pair["down"]] * TRAIN:
            train.append(train[-1] @ kernel[pulse])
        centre, width = moments(np.array(train))
        views.append({
            "data": _band(list(range(len(centre))), centre, width, COLOURS[0], "mean ± sd"),
            "layout": layout(axis(f"pulses: {TRAIN} up, then {TRAIN} down"), y),
        })  # fmt: skip
    menus = [("up / down", [f"{names[pair['up']]} / {names[pair['down']]}" for pair in pairs[:12]])]
    caption = "From the lowest state: mean and standard deviation over many devices, by powers of the table."
    return Figure("conductance", "Conductance", caption, views, menus)


def steps(study: Study) -> Figure:
    """Return the step of each pulse against the conductance before it, mean ± sd."""
    card = study.card
    quantity = of("conductance_S")
    mean = card.states["conductance_S"].to_numpy() * quantity.scale
    shown, traces = _picked(study, 5 * len(mean)), []
    for place, pulse in enumerate(shown):
        centre = card.kernel[pulse] @ mean
        width = np.sqrt(np.clip(card.kernel[pulse] @ mean**2 - centre**2, 0, None))
        line, shade = study.pulses[pulse], colour(place, len(shown))
        traces += [
            {**trace, "showlegend": "name" in trace}
            for trace in _band(numbers(mean), centre - mean, width, shade, line)
        ]
    x, y = (axis(f"{what} ({quantity.unit})") for what in ("conductance before", "step of one pulse"))
    view = {"data": traces, "layout": layout(x, y)}
    caption = f"Mean and standard deviation over many devices.{_told(study, shown)}"
    return Figure("steps", "Steps", caption, [view])


def _band(x: list, centre: np.ndarray, width: np.ndarray, shade: str, name: str) -> list[dict[str, Any]]:
    """Return a line with a band of ± ``width``; a legend entry hides both."""
    return [
        {
            "type": "scatter", "mode": "lines", "x": [*x, *x[::-1]], "line": {"width": 0}, "fill": "toself",
            "y": numbers([*(centre + width), *(centre - width)[::-1]]), "fillcolor": see_through(shade, 0.18),
            "hoverinfo": "skip", "showlegend": False, "legendgroup": name,
        },
        {
            "type": "scatter", "mode": "lines", "x": x, "y": numbers(centre), "name": name, "legendgroup": name,
            "line": {"color": shade, "width": 2}, "showlegend": False,
        },
    ]  # fmt: skip


def spread(study: Study) -> Figure | None:
    """Return how far writes to one device, and devices, differ, with standard errors; None if the card cannot tell."""
    meta, names = study.card.meta, study.pulses
    if meta.spread_position_by_pulse:
        rows, quantity = [row.dump() for row in meta.spread_position_by_pulse], of("position_m")
        parts = [("within a device", "cycle_to_cycle", "_m"), ("between devices", "device_to_device", "_m")]
    elif meta.probability_spread:
        rows = [{**row.dump(), "p_sd": row.sd, "p_se": row.sd_se} for row in meta.probability_spread]
        quantity, parts = of("probability"), [("between devices", "p", "")]
    elif meta.spread:
        rows, names, quantity = [{"pulse": 0, **meta.spread}], ["all pulses"], of("conductance_S")
        parts = [("within a device", "cycle_to_cycle", "_S"), ("between devices", "device_to_device", "_S")]
    else:
        return None
    labels = study.card.states["label"]
    several = len({row.get("state_from") for row in rows}) > 1
    x = [names[row["pulse"]] + (f", from {labels[row['state_from']]}" if several else "") for row in rows]
    if not any(row.get(f"{key}_sd{unit}") for row in rows for _, key, unit in parts):
        return None
    traces = []
    for place, (name, key, unit) in enumerate(parts):
        sd, error = (
            np.array([row.get(f"{key}_{one}{unit}") for row in rows], float) * quantity.scale for one in ("sd", "se")
        )
        traces.append({
            "type": "bar", "x": x, "y": numbers(sd), "name": name, "marker": {"color": colour(place)},
            "error_y": {**errors(np.clip(sd - error, 0, None), sd, sd + error), "color": "#334"},
        })  # fmt: skip
    x_axis = (
        axis("", type="category") if len(x) <= MOST_LABELS else axis("pulse", type="category", showticklabels=False)
    )
    view = {"data": traces, "layout": layout(x_axis, axis(f"sd of the {quantity.title}"), barmode="group")}
    caption = "Standard deviations and their standard errors: repeated writes to one device, and from device to device."
    return Figure("spread", "Noise of a write, spread of the devices", caption, [view])


def _figures(study: Study) -> Table:
    card, labels = study.card, list(study.card.states["label"])
    probability, low, high, count = (_cube(study, name) for name in ("probability", "ci_low", "ci_high", "count"))
    rows = []
    for pulse, name in enumerate(study.pulses):
        for start in [0] if card.rows_repeat else range(len(labels)):
            cells = (
                f"{probability[pulse, start, stop]:.3f} ({low[pulse, start, stop]:.3f}–{high[pulse, start, stop]:.3f})"
                for stop in range(len(labels))
            )
            rows.append([name, "any" if card.rows_repeat else labels[start], *cells, str(count[pulse, start].sum())])
    heads = ["pulse", "from", *(f"to {label}" for label in labels), "writes"]
    return Table(f"Probabilities ({_interval(study)})", heads, rows)


def _laws(study: Study) -> Table:
    rows = []
    for law in study.card.meta.laws:
        where, slips = law.conditions, law.standard_errors
        told = ", ".join(
            f"{words(name)} {value:.4g}" + ("" if slips.get(name) is None else f" ± {slips[name]:.2g}")
            for name, value in law.parameters.items()
        )
        pulses = where.pulses
        span = study.pulses[pulses[0]] + (f" … {study.pulses[pulses[-1]]}" if len(pulses) > 1 else "")
        start = where.state_from
        start = "any" if start is None else study.card.states["label"][start]
        rows.append([words(law.law), span, start, told, f"{law.aic:.1f}", text(law.goodness.p_value, 2)])
    heads = ["law", "pulses", "from", "parameters ± standard error (SI units)", "AIC", "goodness of fit, p"]
    note = "The best of each group of pulses first. A p below 0.01 says that the law does not describe the writes."
    return Table("Fitted laws", heads, rows, note, closed=len(rows) > 8)
