"""Figures of the stage, drawn from its tables alone: same tables, same bytes."""

from __future__ import annotations

from itertools import cycle
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from matplotlib.ticker import MaxNLocator

from spinloom.files import read_table, write_png  # noqa: E402
from spinloom.quantities import LEVELS, PHASES  # noqa: E402

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # Okabe and Ito: safe for colour-blind


def _label(rule: str) -> str:
    return rule.replace("_", " ")


def _curve(axes, table: pd.DataFrame, column: str, factor: float = 1.0) -> None:
    """Draw the mean over seeds against the epoch, with a band of one sd and a dot per seed."""
    for colour, (rule, of_rule) in zip(cycle(COLOURS), table.groupby("variant", sort=False), strict=False):
        groups = of_rule.groupby("epoch")[column]
        mean, sd = groups.mean() * factor, groups.std(ddof=1).fillna(0) * factor
        axes.plot(mean.index, mean, color=colour, label=f"{_label(rule)} (n = {of_rule['replicate'].nunique()})")
        axes.fill_between(mean.index, mean - sd, mean + sd, color=colour, alpha=0.2, linewidth=0)
        axes.plot(of_rule["epoch"], of_rule[column] * factor, ".", color=colour, markersize=3)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False)


def accuracy(history: pd.DataFrame, path: Path) -> None:
    """Draw test accuracy against epoch, mean and sd over seeds, device rule and float baseline."""
    figure, axes = plt.subplots(figsize=(5.5, 3.8), layout="constrained")
    _curve(axes, history[history["epoch"] > 0], "test_accuracy", 100)
    axes.set_ylabel("test accuracy (%)")
    write_png(figure, path)
    plt.close(figure)


def writes(history: pd.DataFrame, path: Path) -> None:
    """Draw programming events per training sample against epoch."""
    figure, axes = plt.subplots(figsize=(5.5, 3.8), layout="constrained")
    table = history[(history["epoch"] > 0) & (history.groupby("variant")["writes"].transform("sum") > 0)]
    _curve(axes, table, "writes_per_sample")
    axes.set_ylabel("writes per sample")
    axes.set_ylim(bottom=0)
    write_png(figure, path)
    plt.close(figure)


def energy(table: pd.DataFrame, path: Path) -> None:
    """Draw the cumulative energy per sample by level, rule and phase, on a logarithmic scale."""
    figure, panels = plt.subplots(1, 2, figsize=(7.5, 3.8), sharey=True, layout="constrained")
    total = table[table["term"] == "total"]
    rules = list(dict.fromkeys(total["variant"]))
    for axes, phase in zip(panels, PHASES, strict=True):
        for i, rule in enumerate(rules):
            rows = total[(total["variant"] == rule) & (total["phase"] == phase)]
            rows = rows.set_index("level")["energy_J_mean"]
            place = np.arange(len(LEVELS)) + (i - (len(rules) - 1) / 2) * 0.8 / len(rules)
            values = [rows[level] if rows[level] > 0 else np.nan for level in LEVELS]
            axes.bar(place, values, 0.8 / len(rules), color=COLOURS[i % len(COLOURS)], label=_label(rule))
        axes.set_xticks(range(len(LEVELS)), ["device", "+ array", "+ system"])
        axes.set_yscale("log")
        axes.set_title(phase)
    panels[0].set_ylabel("energy per sample (J)")
    panels[0].legend(frameon=False)
    write_png(figure, path)
    plt.close(figure)


def confusion(table: pd.DataFrame, path: Path) -> None:
    """Draw the confusion matrix of the first rule, in per cent of the true class, summed over seeds."""
    rule = table["variant"].iloc[0]
    matrix = table[table["variant"] == rule].pivot(index="true_class", columns="predicted_class", values="images")
    percent = 100 * matrix.to_numpy() / np.maximum(matrix.to_numpy().sum(axis=1, keepdims=True), 1)
    figure, axes = plt.subplots(figsize=(5.2, 4.6), layout="constrained")
    # wrong answers are few: a scale up to 100 % would hide them
    image = axes.imshow(np.where(np.eye(len(percent), dtype=bool), np.nan, percent), cmap="Oranges")
    for (row, column), value in np.ndenumerate(percent):
        axes.text(column, row, f"{value:.1f}", ha="center", va="center", fontsize=6.5)
    figure.colorbar(image, label="wrong answers (% of the true class)")
    axes.set(xlabel="answer", ylabel="true class", title=_label(rule))
    axes.set_xticks(range(len(percent)), matrix.columns)
    axes.set_yticks(range(len(percent)), matrix.index)
    write_png(figure, path)
    plt.close(figure)


def uncertainty(table: pd.DataFrame, path: Path) -> None:
    """Draw the sd of accuracy and of the devices' training energy by source (see `network.results.uncertainty`)."""
    wanted = {
        "test_accuracy": ("sd of test accuracy (%)", 100.0),
        "training_energy_J_device": ("sd of the devices' training energy (% of the mean)", None),
    }
    figure, panels = plt.subplots(1, 2, figsize=(7.5, 3.8), layout="constrained")
    variants, sources = list(dict.fromkeys(table["variant"])), ("card", "devices", "seeds")
    for axes, (quantity, (label, factor)) in zip(panels, wanted.items(), strict=True):
        rows = table[table["quantity"] == quantity].set_index("variant")
        for i, variant in enumerate(variants):
            row = rows.loc[variant]
            scale = factor if factor else 100 / row["mean"] if row["mean"] else np.nan
            sd, low, high = (
                np.array([row[f"sd_{source}{end}"] for source in sources]) * scale for end in ("", "_low", "_high")
            )
            place = np.arange(len(sources)) + (i - (len(variants) - 1) / 2) * 0.6 / len(variants)
            lines = [np.maximum(sd - low, 0), np.maximum(high - sd, 0)]
            axes.errorbar(place, sd, lines, fmt="o", capsize=3, color=COLOURS[i % len(COLOURS)], label=_label(variant))
        axes.set_xticks(range(len(sources)), ["too few writes\n(card)", "devices", "seeds"])
        axes.set_ylim(bottom=0)
        axes.set_ylabel(label)
    cards, chips, seeds = table[["card_samples", "chips", "seeds"]].iloc[0]
    panels[0].set_title(f"{cards} cards x {chips} chips x {seeds} seeds", fontsize=9)
    panels[0].legend(frameon=False)
    write_png(figure, path)
    plt.close(figure)


def draw_all(summary: Path, output: Path) -> None:
    """Draw accuracy.png, writes.png, energy.png and confusion.png from the tables in ``summary``."""
    history = read_table(summary / "history.csv")
    accuracy(history, output / "accuracy.png")
    writes(history, output / "writes.png")
    energy(read_table(summary / "energy.csv"), output / "energy.png")
    confusion(read_table(summary / "confusion.csv"), output / "confusion.png")
