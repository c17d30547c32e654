"""Section 2, of every card that counts writes: the writes beside the same writes as the card makes them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from report.parts import Figure, Table, text
from report.plots import COLOURS, FAINT, INK, axis, errors, layout, numbers, see_through
from report.study import Study
from spinloom.quantities import of

MOST = 24  # pulses that are drawn
STEP = of("step_mean_S")


def agreement(study: Study) -> list[Figure | Table]:
    """Return figure and table; none for a card that counts no writes."""
    check = study.card.meta.check
    if check is None:
        return []
    return [_figure(study, study.card.extras["check"]), _table(study)]


def told(study: Study) -> str:
    """Return what the comparison says in a sentence, and which contradictions were accepted."""
    check = study.card.meta.check
    if check is None:
        return ""
    found = (
        f" Made again by the card, they agree with it in all of {check.statistics} statistics, as "
        "closely as chance and the width of the states allow."
        if not check.contradictions
        else f" The card contradicts them in {check.contradictions} of {check.statistics} statistics."
    )
    meta = study.card.meta
    notes = [f" Note: {note}." for note in meta.measurement.notes] if meta.measurement else []
    return found + "".join([*notes, *(f" Warning: {warning}." for warning in meta.warnings)])


def _figure(study: Study, table: pd.DataFrame) -> Figure:
    card, scale = study.card, STEP.scale
    mean = card.states["conductance_S"].to_numpy()
    noise = 0.0 if card.meta.source.kind == "simulated" else np.sqrt(2) * card.reads["noise_sd_S"].to_numpy()
    reset = card.rows_repeat
    shown = [pulse for pulse in range(len(card.pulses)) if (table["pulse"] == pulse).any()]
    shown = [shown[place] for place in np.unique(np.linspace(0, len(shown) - 1, MOST).round().astype(int))]
    views = []
    for pulse in shown:
        own = table[table["pulse"] == pulse]
        state = own["state_from"].to_numpy()
        centre, rows = own["step_mean_card_S"].to_numpy(), card.kernel[pulse][state]
        landing = rows @ mean
        sd = card.states["conductance_sd_S"].to_numpy()
        write = np.sqrt(np.clip(rows @ (mean**2 + sd**2) - landing**2, 0, None))
        both = np.hypot(write, np.broadcast_to(noise, mean.shape)[state])
        x = [study.pulses[pulse]] if reset else numbers(mean[state] * scale)
        views.append({"data": [
            *(_band(x, centre * scale, width * scale, shade, name) for width, shade, name in (
                (both, see_through(FAINT, 0.35), "card: spread of writes and read noise"),
                (write, see_through(COLOURS[0], 0.3), "card: spread of writes alone"),
            )),
            {"type": "scatter", "mode": "lines+markers" if reset else "lines", "x": x, "y": numbers(centre * scale),
             "name": "card: mean", "line": {"color": COLOURS[0], "width": 2}, "marker": {"size": 5}},
            _points(own, x),
        ], "layout": _layout(reset)})  # fmt: skip
    caption = (
        "Points: what the writes did, mean and standard error by state before; line and bands: mean and one standard "
        "deviation of the card."
    )
    if not reset and card.meta.source.kind != "simulated":
        caption += " The state is that of the reading before, with its noise."
    return Figure("agreement", "Writes and card", caption, views, [("pulse", [study.pulses[k] for k in shown])])


def _band(x: list, centre: np.ndarray, width: np.ndarray, shade: str, name: str) -> dict[str, Any]:
    if len(x) == 1:  # a bar
        bars = errors(centre - width, centre, centre + width)
        return {
            "type": "scatter", "mode": "markers", "x": x, "y": numbers(centre), "name": name, "hoverinfo": "skip",
            "error_y": {**bars, "color": shade, "thickness": 18, "width": 0}, "marker": {"color": shade, "size": 1},
        }  # fmt: skip
    return {
        "type": "scatter", "mode": "lines", "x": [*x, *x[::-1]], "line": {"width": 0}, "fill": "toself", "name": name,
        "y": numbers([*(centre + width), *(centre - width)[::-1]]), "fillcolor": shade, "hoverinfo": "skip",
    }  # fmt: skip


def _points(own: pd.DataFrame, x: list) -> dict[str, Any]:
    middle, scale = own["step_mean_S"] * STEP.scale, STEP.scale
    error = own["step_sd_S"] * scale / np.sqrt(own["writes"])
    return {
        "type": "scatter", "mode": "markers", "x": x, "y": numbers(middle), "name": "writes",
        "error_y": {**errors(middle - error, middle, middle + error), "color": INK},
        "marker": {"color": INK, "size": 6},
        "customdata": own["writes"].tolist(), "hovertemplate": "%{y:.4g} (%{customdata} writes)<extra></extra>",
    }  # fmt: skip


def _layout(reset: bool) -> dict[str, Any]:
    if reset:
        return layout(axis("pulse", type="category"), axis(f"conductance after the write ({STEP.unit})"))
    return layout(axis(f"conductance before ({STEP.unit})"), axis(f"step of one pulse ({STEP.unit})"))


def _table(study: Study) -> Table:
    check, rows = study.card.meta.check, []
    assert check is not None
    names = {
        "step_mean_S": "mean step", "step_sd_S": "sd of the step", "against": "against the pulse",
        "correlation": "correlation of successive changes",
    }  # fmt: skip
    known = [name for name in names if name in check.pulses[0]]
    if study.card.rows_repeat:
        names["step_mean_S"], names["step_sd_S"] = "mean after the write", "sd after the write"
    for own in check.pulses:
        cells = []
        for name in known:
            other = name.replace("_S", "_card_S") if name.endswith("_S") else f"{name}_card"
            scale = STEP.scale if name.endswith("_S") else 1.0
            cells.append(" / ".join(text(own[one] and own[one] * scale) for one in (name, other)))
        rows.append([study.pulses[own["pulse"]], text(own["writes"]), *cells])
    head = [f"{names[name]} ({STEP.unit})" if name.endswith("_S") else names[name] for name in known]
    title = (
        "Each pulse over all states: of the writes / of the card (its sd has the width of a state and its prior in it)"
    )
    return Table(title, ["pulse", "writes", *head], rows, closed=len(rows) > 12)
