"""Section 4: the trained networks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from report.parts import Figure, Section, Table, text, words
from report.plots import INK, ORANGES, axis, colour, errors, layout, matrix, numbers, see_through
from report.study import Study
from spinloom import border

CURVES = {
    "test_accuracy": ("test accuracy (%)", 100),
    "validation_accuracy": ("validation accuracy (%)", 100),
    "train_loss": ("training loss", 1),
    "writes_per_sample": ("writes per sample", 1),
}
MOST_TEXT = 12  # classes beyond which a confusion matrix carries no numbers
BASELINE = "float_baseline"
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")


def shade(study: Study, variant: str) -> str:
    """Return the colour of a variant, the same in all figures; the float baseline is black."""
    if variant == BASELINE:
        return INK
    others = [name for name in study.variants if name != BASELINE]
    return colour(others.index(variant), len(others))


def share(mean: float, sd: float, seeds: int = 2) -> str:
    """Return a fraction in per cent with its standard deviation, if there is one."""
    return f"{100 * mean:.2f}" + (f"\u00a0±\u00a0{100 * sd:.2f}" if seeds > 1 and np.isfinite(sd) else "") + "\u00a0%"


def network(study: Study) -> Section:
    """Return the section on training and what it gave; empty if the study ends with its card."""
    if not study.network:
        return Section("network", "Network", "This study ends with the card; it trained no network.")
    last, first = study.last().to_dict("index"), study.variants[0]
    row, title = last[first], study.data.get("title", study.config["network"]["dataset"])
    layers = "-".join(map(str, study.config["network"]["layers"])) if _sizes(study) else "layers of the config"
    origin = "trained" if row["epoch_mean"] > 0 else "given from elsewhere and tested"
    sentence = (
        f"A network ({layers}) {origin} on {title} with weights that are drawn from the card. Variant {words(first)}: "
        f"{share(row['test_accuracy_mean'], row['test_accuracy_sd'], row['seeds'])} of the test images are right after "
        f"{row['epoch_mean']:g} epochs (mean ± sd over {row['seeds']} seeds)."
    )
    if BASELINE in last and first != BASELINE:
        base = last[BASELINE]
        told = share(base["test_accuracy_mean"], base["test_accuracy_sd"], base["seeds"])
        sentence += f" The same network with float weights: {told}."
    for variant, own in last.items():
        if isinstance(own["assumed"], str):
            sentence += f" Variant {words(str(variant))} assumes: {own['assumed'].removesuffix('.')}."
        if isinstance(own.get("tuned"), str):
            sentence += f" Variant {words(str(variant))} was tuned: {own['tuned']}."
        if isinstance(own["warnings"], str):
            sentence += f" Warning, variant {words(str(variant))}: {own['warnings']}."
    blocks = [_summary(study), _layers(study), confusion(study)]
    if study.network["history"]["epoch"].max() > 0:  # else all weights were given, and nothing was learned
        blocks.insert(0, curves(study))
    if len(study.tuning):
        blocks.append(_tuning(study.tuning))
    if len(study.network["programming"]):
        blocks.append(programming(study))
    evaluations = study.network["evaluations"]
    if len(evaluations):
        if (figure := conditions(study)) is not None:
            blocks.append(figure)
        blocks.append(_evaluations(evaluations))
    if len(lifetime := study.network["lifetime"]):
        blocks.append(_lifetime(lifetime))
    return Section("network", "Network", sentence, blocks)


def _tuning(table: pd.DataFrame) -> Table:
    rows = []
    for (variant, trial), own in table.groupby(["variant", "trial"], sort=False):
        first = own.iloc[0]
        told = "–" if pd.isna(first["validation_accuracy"]) else f"{100 * first['validation_accuracy']:.2f} %"
        values = ", ".join(f"{words(row['key'])} {row['value']:.4g}" for row in own.to_dict("records"))
        became = first["failed"] if isinstance(first["failed"], str) else "chosen" if first["chosen"] else ""
        rows.append([words(str(variant)), str(trial), values, told, became])
    note = "Short trainings with a seed of their own. The first of each variant is what the config says."
    heads = ["variant", "trial", "with", "validation accuracy", ""]
    return Table("What tuning tried", heads, rows, note, closed=True)


def _sizes(study: Study) -> bool:
    return all(isinstance(layer, int) for layer in study.config["network"]["layers"])


def curves(study: Study) -> Figure:
    """Return what grows with the epochs: mean over seeds with a band of one sd, one curve for each variant."""
    history = study.network["history"]
    history = history[history["epoch"] > 0]
    views = []
    for column, (title, scale) in CURVES.items():
        traces = []
        for variant in study.variants:
            groups = history[history["variant"] == variant].groupby("epoch")[column]
            mean, sd = groups.mean() * scale, groups.std(ddof=1).fillna(0) * scale
            if column == "writes_per_sample" and not mean.any():
                continue
            x, tint = mean.index.tolist(), shade(study, variant)
            common = {"type": "scatter", "legendgroup": variant}
            if (sd > 0).any():
                traces.append({
                    **common, "mode": "lines", "x": [*x, *x[::-1]], "fill": "toself", "line": {"width": 0},
                    "y": numbers([*(mean + sd), *(mean - sd)[::-1]]), "fillcolor": see_through(tint, 0.15),
                    "hoverinfo": "skip", "showlegend": False,
                })  # fmt: skip
            traces.append({
                **common, "mode": "lines+markers", "x": x, "y": numbers(mean), "name": words(variant),
                "line": {"color": tint, "width": 2, "dash": "dash" if variant == BASELINE else "solid"},
                "marker": {"size": 5}, "customdata": numbers(sd, 2),
                "hovertemplate": "%{y:.5g} ± %{customdata:.2g}",
            })  # fmt: skip
        loss = {"type": "log"} if column == "train_loss" and (history[column] > 0).all() else {}
        steps = {"dtick": 1} if history["epoch"].max() <= 20 else {}
        views.append({
            "data": traces,
            "layout": layout(axis("epoch", **steps), axis(title, **loss), hovermode="x unified"),
        })  # fmt: skip
    caption = (
        "Mean over the seeds, shaded one standard deviation. Click a variant in the legend to hide it, double-click to "
        "see it alone."
    )
    return Figure("curves", "Learning", caption, views, [("show", [title for title, _ in CURVES.values()])], 420)


def _summary(study: Study) -> Table:
    rows = []
    for row in study.network["summary"].to_dict("records"):
        below = row["accuracy_below_float_mean"]
        rows.append([
            words(row["variant"]), f"{words(row['selection'])} ({row['epoch_mean']:g})",
            share(row["test_accuracy_mean"], row["test_accuracy_sd"], row["seeds"]),
            "–" if pd.isna(below) else share(below, row["accuracy_below_float_sd"], row["seeds"]),
            text(row["writes_per_sample_mean"], 3), f"{row['most_writes_on_a_device']:g}", f"{row['devices']:,.0f}",
            f"{row['memory_bits_per_synapse']:g}",
        ])  # fmt: skip
    heads = [
        "variant", "epoch", "test accuracy ± sd", "below float, seed by seed", "writes per sample",
        "most writes on a device", "devices", "memory (bit per synapse)",
    ]  # fmt: skip
    note = "Rows that were selected are selected by the validation images, never by the test."
    return Table("Accuracy and writes", heads, rows, note)


def _layers(study: Study) -> Table:
    note = (
        "Where the products of each layer are formed, and the digital circuits behind its array, in their order. "
        "The optimiser and what the learning rule keeps are digital."
    )
    rows = border.shown(study.network["layers"])
    return Table("What devices compute, and what is digital", list(border.SHOWN), rows, note)


def programming(study: Study) -> Figure:
    """Return the error of devices that are programmed in a closed loop, against the pulses that they got at most."""
    views, names = [], []
    for stage, table in study.network["programming"].groupby("stage", sort=False):
        traces = []
        for variant, own in table.groupby("variant", sort=False):
            x, tint = own["pulses"].tolist(), shade(study, str(variant))
            common = {"type": "scatter", "legendgroup": variant, "line": {"color": tint}}
            traces.append({
                **common, "mode": "lines", "x": [*x, *x[::-1]], "fill": "toself", "line": {"width": 0},
                "y": numbers([*own["error_p95"], *own["error_p05"][::-1]]), "fillcolor": see_through(tint, 0.15),
                "hoverinfo": "skip", "showlegend": False,
            })  # fmt: skip
            for column, dash in (("error_p50", "solid"), ("error_rms", "dot")):
                traces.append({
                    **common, "mode": "lines", "x": x, "y": numbers(own[column]), "showlegend": dash == "solid",
                    "name": words(str(variant)), "line": {"color": tint, "dash": dash},
                    "customdata": numbers(100 * own["unfinished"]),
                    "hovertemplate": "%{y:.3g}, %{customdata:.3g} % of the devices not there yet",
                })  # fmt: skip
        views.append({"data": traces, "layout": layout(axis("pulses at most"), axis("error of the weight"))})
        names.append(str(stage))
    caption = (
        "Error of the devices' weights, which are -1 to 1, after at most so many pulses: the median, the 5th to the "
        "95th percentile shaded, the root mean square dotted. Mean over the seeds."
    )
    return Figure("programming", "Programming in a closed loop", caption, views, [("stage", names)])


def confusion(study: Study) -> Figure:
    """Return the confusion matrix of each variant, in per cent of the true class."""
    table, views = study.network["confusion"], []
    names = study.data.get("class_names")
    for variant in study.variants:
        own = table[table["variant"] == variant].pivot(index="true_class", columns="predicted_class", values="images")
        images = own.to_numpy()
        percent = 100 * images / np.maximum(images.sum(axis=1, keepdims=True), 1)
        wrong = np.where(np.eye(len(percent), dtype=bool), np.nan, percent)
        labels = [names[number] if names else str(number) for number in own.index]
        trace: dict[str, Any] = {
            "type": "heatmap", "x": labels, "y": labels, "z": matrix(wrong, 3), "colorscale": ORANGES, "xgap": 1,
            "ygap": 1, "zmin": 0, "customdata": images.astype(int).tolist(),
            "hovertemplate": "true %{y}, answer %{x}: %{text} % (%{customdata} images)<extra></extra>",
            "text": [[f"{value:.1f}" for value in row] for row in percent], "hoverongaps": True,
            "colorbar": {"title": {"text": "wrong (%)"}, "thickness": 12, "outlinewidth": 0},
        }  # fmt: skip
        notes = []
        if len(labels) <= MOST_TEXT:
            # as annotations: the diagonal is a gap of the image, and its numbers are wanted all the same
            notes = [
                {
                    "x": x,
                    "y": y,
                    "text": f"{percent[j, i]:.1f}",
                    "showarrow": False,
                    "font": {"size": 11, "color": "#ffffff" if wrong[j, i] > 0.6 * np.nanmax(wrong) else INK},
                }  # fmt: skip
                for j, y in enumerate(labels)
                for i, x in enumerate(labels)
            ]
        axes = (
            axis("answer", type="category", showgrid=False),
            axis("true class", type="category", showgrid=False, autorange="reversed"),
        )
        views.append({"data": [trace], "layout": layout(*axes, annotations=notes)})
    caption = (
        "Answers in per cent of the true class, test images after the last epoch, summed over seeds. Right answers are "
        "not coloured: wrong ones would not show beside them."
    )
    return Figure(
        "confusion", "Which classes are mistaken",
        caption, views, [("variant", [words(variant) for variant in study.variants])], 460,
    )  # fmt: skip


def conditions(study: Study) -> Figure | None:
    """Return the accuracy against what the networks were tested under; None if that was one thing."""
    table, views, names = study.network["evaluations"], [], []
    for condition, rows in table.groupby("condition", sort=False):
        if rows["value"].nunique() < 2:
            continue
        traces = []
        how = [_held(*pair) for pair in zip(rows["temperature_K"], rows["refresh_interval_s"], strict=True)]
        ways = list(dict.fromkeys(how))
        for key, own in rows.groupby(["variant", pd.Series(how, rows.index)], sort=False):
            variant, way = map(str, key)
            mean, dash = own["test_accuracy_mean"] * 100, DASHES[ways.index(way) % len(DASHES)]
            traces.append({
                "type": "scatter", "mode": "lines+markers", "x": numbers(own["value"]), "y": numbers(mean),
                "error_y": errors(own["test_accuracy_min"] * 100, mean, own["test_accuracy_max"] * 100),
                "name": words(variant) + way, "line": {"color": shade(study, variant), "dash": dash},
            })  # fmt: skip
        wide = {"type": "log"} if condition == "hold_s" else {}
        title = "time since the training (s)" if condition == "hold_s" else words(str(condition))
        views.append({"data": traces, "layout": layout(axis(title, **wide), axis("test accuracy (%)"))})
        names.append(title)
    if not views:
        return None
    caption = "The trained networks under other conditions; the bars go from the worst to the best test."
    return Figure("conditions", "Under other conditions", caption, views, [("condition", names)])


def _held(temperature_K: float, refresh_interval_s: float) -> str:
    """Return at which temperature a network was kept, and how often refreshed; empty if it was not kept."""
    if pd.isna(temperature_K):
        return ""
    often = "never refreshed" if pd.isna(refresh_interval_s) else f"refreshed every {refresh_interval_s:g} s"
    return f", {temperature_K:g} K, {often}"


def _evaluations(table: pd.DataFrame) -> Table:
    rows = [
        [
            words(row["variant"]), words(row["condition"]) + _held(row["temperature_K"], row["refresh_interval_s"]),
            text(row["value"]), str(row["draws"]),
            share(row["test_accuracy_mean"], row["test_accuracy_sd"], row["seeds"]),
            f"{100 * row['test_accuracy_min']:.2f} to {100 * row['test_accuracy_max']:.2f} %",
        ]
        for row in table.to_dict("records")
    ]  # fmt: skip
    heads = ["variant", "condition", "value", "draws", "test accuracy ± sd over seeds", "worst to best"]
    return Table("Further tests", heads, rows, closed=len(rows) > 8)


def _lifetime(table: pd.DataFrame) -> Table:
    first = table.iloc[0]
    rows = [
        [
            words(row["variant"]), words(row["cause"]) + _held(row["temperature_K"], row["refresh_interval_s"]),
            text(row["writes_per_s_worst"]), text(row["writes_per_s_mean"]),
            text(row["lifetime_years_worst"]), text(row["lifetime_years_mean"]),
        ]
        for row in table.to_dict("records")
    ]  # fmt: skip
    title = (
        f"How long the devices last: {first['endurance_writes']:.3g} writes each, "
        f"{first['samples_per_s']:g} training samples per second"
    )
    heads = ["variant", "cause", "writes/s, worst device", "mean device", "years, worst device", "mean device"]
    return Table(title, heads, rows)
