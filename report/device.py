"""Sections 1 and 2: the simulated device, and what its writes did."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from report import agreement
from report.parts import Figure, Pictures, Section, Table, quantity, text, words
from report.plots import FAINT, INK, axis, colour, errors, layout, numbers, see_through
from report.study import Study
from spinloom.quantities import PULSE, of, pulse_names, si, widest

SOURCES = {
    "import": "measured",
    "parametric": "given by a law",
    "library": "of the library",
    "card": "a card that was made elsewhere",
}
MOST_PATHS, MOST_TIMES = 24, 90  # of a view: more are no clearer
TRACKS = ("position_m", "mz")  # what a path is drawn by
ENDS = {"final_position_m": "start_position_m"}
TIMES = ("switching_time_s", "passing_time_s")
TIME, END = of("t_s"), of("final_position_m")


def device(study: Study) -> Section:
    """Return the section on what was simulated, or where the card comes from."""
    if not study.simulated:
        sentence = (
            f"This study simulated nothing: its device is {SOURCES[study.config['calibration']['source']['kind']]}."
        )
        return Section("device", "Device", sentence, [origin(study)])
    events, pulses = study.simulated["events"], study.simulated["pulses"]
    family, engine = words(study.device["family"]), study.device["engine"]
    sentence = (
        f"{len(events)} write events of a {family}, each a simulation of its own with the engine {engine}: "
        f"{len(pulses)} pulses on {events['instance'].nunique()} devices that differ as fabricated ones do, each "
        f"repeated with thermal noise of its own."
    )
    rows = [list(quantity(key, value)) for key, value in study.device.items() if key not in ("seed", "writes")]
    same = {name: pulses[name].iloc[0] for name in map(str, pulses) if pulses[name].nunique() == 1 and name != "pulse"}
    rows += [list(quantity(name, value)) for name, value in same.items()]
    if not study.pictures:
        sentence += (
            " No pictures of the magnetisation were made (device_sims.pictures; only the engine llg makes them)."
        )
    shown = [pictures(study)] if study.pictures else []
    return Section("device", "Device", sentence, [*shown, trajectories(study), Table("The device", [], rows)])


def pictures(study: Study) -> Pictures:
    """Return a write event of each pulse that has one, as a strip and as an animation."""
    names = pulse_names(study.simulated["pulses"])
    films = {pulse: _film(animation) for pulse, (_, animation) in study.pictures.items()}
    images = [shown for pulse, (strip, _) in study.pictures.items() for shown in ([_uri(strip)], films[pulse][0])]
    caption = (
        "The first write on the first device, simulated once more with the random numbers that it has in the sweep. "
        "Colour is mz or the in-plane angle, arrows are in-plane components, the dashed line is the wall, thin lines "
        "are boundaries of grains and regions. Titles in bold: a drive is on."
    )
    menus = [("pulse", [names[pulse] for pulse in study.pictures]), ("show", ["all snapshots", "one after the other"])]
    frame_ms = max(each_ms for _, each_ms in films.values())
    return Pictures("magnetisation", "A write event", caption, images, frame_ms, menus)


def _uri(webp: bytes) -> str:
    return f"data:image/webp;base64,{base64.b64encode(webp).decode()}"


def _film(animation: bytes) -> tuple[list[str], int]:
    """Return the frames of an animation as data URIs, and for how long each is shown in ms: no browser stops a WebP."""
    with Image.open(io.BytesIO(animation)) as film:
        frames, each_ms = [], 0
        for number in range(getattr(film, "n_frames", 1)):
            film.seek(number)
            one = io.BytesIO()
            film.convert("RGB").save(one, format="webp", lossless=True)
            each_ms = max(each_ms, int(film.info.get("duration", 0)))
            frames.append(_uri(one.getvalue()))
    return frames, each_ms


def origin(study: Study) -> Table:
    """Return where the card comes from, as it tells."""
    rows = [list(quantity(key, value)) for key, value in _flat(study.card.meta.source.dump())]
    rows += [["assumed", sentence] for sentence in study.card.meta.assumed]
    return Table("Where the device comes from", [], rows)


def _flat(source: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted keys and values; the list of all simulated problems is for programs."""
    for key, value in source.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{key}.")
        elif key != "spec_hashes":
            yield f"{above}{key}", value


def trajectories(study: Study) -> Figure:
    """Return paths against time, a view for each pulse."""
    table, pulses = study.simulated["trajectories"], study.simulated["pulses"]
    track = next(name for name in TRACKS if name in table)
    keys = [name for name in ("instance", "nominal_start_m", "replica") if name in table]
    names, views, most = pulse_names(pulses), [], 0
    for place, pulse in enumerate(pulses["pulse"]):
        own = table[table["pulse"] == pulse]
        most = max(most, own.groupby(keys).ngroups)
        views.append({"data": _paths(own, keys, track), "layout": _timeline(own, pulses.iloc[place], track)})
    shown = f"{MOST_PATHS} of them, evenly picked; " if most > MOST_PATHS else ""
    caption = (
        f"Thin lines are single write events ({shown}one colour for each device), the black line is the mean of all. "
        "Shaded: the pulse. Drag to zoom, double-click to zoom out."
    )
    return Figure("trajectories", "From pulse to state", caption, views, [("pulse", names)])


def _paths(own: pd.DataFrame, keys: list[str], track: str) -> list[dict[str, Any]]:
    scale = of(track).scale
    groups = list(own.groupby(keys))
    chosen = np.unique(np.linspace(0, len(groups) - 1, min(len(groups), MOST_PATHS)).round().astype(int))
    instances = sorted(own["instance"].unique())
    traces = []
    for key, path in (groups[number] for number in chosen):
        at = np.unique(np.linspace(0, len(path) - 1, min(len(path), MOST_TIMES)).round().astype(int))
        told = ", ".join(f"{words(name)} {value:g}" for name, value in zip(keys, key) if name != "nominal_start_m")
        shade = colour(instances.index(key[0]), len(instances))
        traces.append({
            "type": "scatter", "mode": "lines", "x": numbers(path["t_s"].to_numpy()[at] * TIME.scale, 4),
            "y": numbers(path[track].to_numpy()[at] * scale, 4), "name": told, "showlegend": False,
            "line": {"width": 1, "color": see_through(shade, 0.55)}, "hoverinfo": "name+x+y",
        })  # fmt: skip
    mean = own.groupby("t_s")[track].mean()
    at = np.unique(np.linspace(0, len(mean) - 1, min(len(mean), MOST_TIMES)).round().astype(int))
    mean = mean.iloc[at]
    traces.append({
        "type": "scatter", "mode": "lines", "name": "mean", "showlegend": False,
        "x": numbers(mean.index * TIME.scale, 4), "y": numbers(mean * scale, 4),
        "line": {"width": 2.5, "color": INK}, "hoverinfo": "name+x+y",
    })  # fmt: skip
    return traces


def _timeline(own: pd.DataFrame, pulse: pd.Series, track: str) -> dict[str, Any]:
    """Return the layout of a view, with the pulse shaded: it ends where the last rest begins."""
    end = own["t_s"].max() - next(pulse[name] for name in ("settle_s", "relax_s") if name in pulse)
    begin = end - pulse["duration_s"]
    shade = {
        "type": "rect", "xref": "x", "yref": "paper", "x0": begin * TIME.scale, "x1": end * TIME.scale,
        "y0": 0, "y1": 1, "fillcolor": "#f1c40f", "opacity": 0.12, "line": {"width": 0}, "layer": "below",
    }  # fmt: skip
    return layout(axis(TIME.title), axis(of(track).title), shapes=[shade])


def writes(study: Study) -> Section:
    """Return the section on the statistics of the writes."""
    if not study.simulated:
        counted = study.card.meta.events
        told = (
            f"The card counts {counted} writes; what they say is in the table below."
            if counted
            else "Nobody counted writes: the table below is what the source states."
        )
        return Section("writes", "Write statistics", told + agreement.told(study), agreement.agreement(study))
    summary = study.simulated["summary"]
    blocks: list[Figure | Table] = [response(study)]
    if (figure := outcomes(study)) is not None:
        blocks.append(figure)
    blocks.append(_summary(study))
    lost = int(summary.get("lost", summary.get("nucleated", summary.get("undecided", pd.Series([0])))).sum())
    sentence = f"What {int(summary['writes'].sum())} writes did. " + (
        f"{lost} of them did not end in a state; they are counted apart." if lost else "All of them ended in a state."
    )
    blocks += agreement.agreement(study)
    return Section("writes", "Write statistics", sentence + agreement.told(study), blocks)


def groups(table: pd.DataFrame, x: str) -> list[tuple[str, pd.DataFrame]]:
    """Return the rows by what they differ in beside ``x``."""
    others = [name for name in ("direction", *PULSE) if name in table and name != x and table[name].nunique() > 1]
    # what follows from x tells no curves apart
    others = [name for name in others if table.groupby(x)[name].nunique().max() > 1]
    if not others:
        return [("", table)]
    found = []
    for key, own in table.groupby(others, sort=False):
        told = (words(str(v)) if name == "direction" else of(name).told(float(str(v))) for name, v in zip(others, key))
        found.append((", ".join(told), own))
    return found


def response(study: Study) -> Figure:
    """Return what each pulse gives against its drive: a probability with its interval, or a position with its sd."""
    pulses, summary = study.simulated["pulses"], study.simulated["summary"]
    table = summary.merge(pulses[["pulse", *(name for name in pulses if name not in summary)]], on="pulse")
    x = widest(pulses)
    curves, traces = groups(table, x), []
    for place, (name, own) in enumerate(curves):
        own, shade = own.sort_values(x), colour(place, len(curves))
        common = {"type": "scatter", "x": numbers(own[x] * of(x).scale), "name": name, "legendgroup": name}
        if "probability" in own:
            y, bars = own["probability"], errors(own["ci_low"], own["probability"], own["ci_high"])
            traces += [
                {
                    **common, "mode": "lines", "y": numbers(own[law]), "showlegend": False, "hoverinfo": "name+x+y",
                    "name": f"{name} {words(law)}", "line": {"width": 1, "color": shade, "dash": dash},
                }
                for law, dash in zip(_laws(own), ("solid", "dash", "dot", "dashdot"))
            ]  # fmt: skip
        else:
            y, sd = own["position_mean_m"] * END.scale, own["position_sd_m"] * END.scale
            bars = errors(y - sd, y, y + sd)
        traces.append({
            **common, "mode": "markers", "y": numbers(y), "error_y": {**bars, "color": see_through(shade, 0.6)},
            "showlegend": bool(name), "marker": {"color": shade, "size": 7}, "customdata": own["writes"].tolist(),
            "hovertemplate": "%{x:.4g}: %{y:.4g} (%{customdata} writes)",
        })  # fmt: skip
    if "probability" in summary:
        caption = "Share of the writes that did what they should, with Jeffreys' 95 % interval"
        drawn = [words(law) for law in _laws(summary)]
        caption += f"; lines: {', '.join(drawn)}." if drawn else "."
        y_axis = axis("probability", range=[-0.03, 1.03])
    else:
        caption = "Mean final position; the bars are one standard deviation of single writes, no error of the mean."
        y_axis = axis(END.title)
    return Figure(
        "response", "Response to the drive", caption, [{"data": traces, "layout": layout(axis(of(x).title), y_axis)}]
    )


def _laws(summary: pd.DataFrame) -> list[str]:
    laws = [name for name in map(str, summary) if name.startswith("probability_") or name == "law_probability"]
    return [name for name in laws if summary[name].notna().any()]


def outcomes(study: Study) -> Figure | None:
    """Return histograms of where the writes ended, or of how long they took; None if no event has such a number."""
    events, card = study.simulated["events"], study.card
    column = next((name for name in (*ENDS, *TIMES) if name in events and events[name].notna().any()), None)
    if column is None:
        return None
    scale = of(column).scale
    values = events[column] * scale
    shift = column in ENDS and not card.rows_repeat
    if shift:
        values = values - events[ENDS[column]] * scale
    bins = np.linspace(values.min(), values.max(), 49) if values.min() < values.max() else values.min() + [-0.5, 0.5]
    middle, width = (bins[1:] + bins[:-1]) / 2, bins[1] - bins[0]
    names = pulse_names(study.simulated["pulses"])
    edges = np.array(card.meta.states.edges or []) * scale
    # edges of the card's states have a place here if these are positions
    lines = edges[(edges > bins[0]) & (edges < bins[-1])]
    lines = lines if column in ENDS and not shift and card.meta.states.coordinate == "position_m" else []
    title = f"change of position ({END.unit})" if shift else of(column).title
    marks = [
        {
            "type": "line", "xref": "x", "yref": "paper", "x0": float(edge), "x1": float(edge), "y0": 0, "y1": 1,
            "line": {"width": 1, "color": FAINT, "dash": "dot"},
        }
        for edge in lines
    ]  # fmt: skip
    views = []
    for shown in [list(range(len(names))), *([place] for place in range(len(names)))]:
        traces = []
        for place in shown:
            own = values[events["pulse"] == place].dropna().to_numpy()
            shade = colour(place, len(names))
            traces.append({
                "type": "bar", "x": numbers(middle), "y": np.histogram(own, bins)[0].tolist(), "width": width,
                "name": names[place], "marker": {"color": see_through(shade, 0.6)},
            })  # fmt: skip
            if column in ENDS and (law := _normal(study, place)) is not None and len(own):
                fine = np.linspace(bins[0], bins[-1], 200)
                mean, sd = law[0] * scale, law[1] * scale
                density = len(own) * width / (sd * np.sqrt(2 * np.pi)) * np.exp(-(((fine - mean) / sd) ** 2) / 2)
                traces.append({
                    "type": "scatter", "mode": "lines", "x": numbers(fine, 4), "y": numbers(density, 3),
                    "line": {"color": shade, "width": 2}, "showlegend": False, "name": f"{names[place]}: fitted law",
                })  # fmt: skip
        views.append({"data": traces, "layout": layout(axis(title), axis("writes"), barmode="overlay", shapes=marks)})
    told = "; lines: the fitted law" if any(trace["type"] == "scatter" for trace in views[0]["data"]) else ""
    told += "; dotted: edges of the card's states" if len(lines) else ""
    return Figure(
        "outcomes", "Where the writes ended" if column in ENDS else "How long the writes took",
        f"Histograms of all writes{told}. Click a pulse in the legend to hide it, double-click to see it alone.",
        views, [("pulse", ["all", *names])],
    )  # fmt: skip


def _normal(study: Study, pulse: int) -> tuple[float, float] | None:
    """Return mean and sd of the chosen law of a pulse, if it is one of positions."""
    for law in study.card.meta.laws:
        where, values = law.conditions, law.parameters
        if where.chosen and pulse in where.pulses and law.law == "truncated_normal":
            return values["mean" if "mean" in values else "shift"], values["sd"]
    return None


def _summary(study: Study) -> Table:
    pulses, summary = study.simulated["pulses"], study.simulated["summary"]
    names, rows = pulse_names(pulses), []
    counts = [name for name in ("lost", "switched", "passed", "undecided", "nucleated") if name in summary]
    for row in summary.to_dict("records"):
        if "probability" in row:
            result = f"{row['probability']:.3f} ({row['ci_low']:.3f}–{row['ci_high']:.3f})"
        else:
            mean, sd, error = (END.scale * row[f"position_{one}_m"] for one in ("mean", "sd", "sem"))
            result = f"{mean:.1f} ± {sd:.1f} {END.unit} (mean ± {error:.1f})"
        energy = row.get("write_energy_mean_J", float("nan"))
        rows.append([
            names[int(row["pulse"])], text(row["writes"]), *(text(row[name]) for name in counts), result,
            *([si(energy, "J")] if "write_energy_mean_J" in row else []),
        ])  # fmt: skip
    head = "probability (95 % interval)" if "probability" in summary else "final position ± sd of a write"
    more = ["energy of the pulse"] if "write_energy_mean_J" in summary else []
    title = f"Each of the {len(rows)} rows of the sweep"
    return Table(title, ["pulse", "writes", *counts, head, *more], rows, closed=len(rows) > 12)
