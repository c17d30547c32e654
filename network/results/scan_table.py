"""The points of a scan side by side: one table, one figure along the axes, one of accuracy against energy."""

from __future__ import annotations

from itertools import cycle
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
import pandas as pd  # noqa: E402
from matplotlib.ticker import LogFormatterSciNotation  # noqa: E402

from network.results.figures import COLOURS  # noqa: E402
from network.training.settings import BASELINE  # noqa: E402
from spinloom.files import read_json, read_table, write_png  # noqa: E402
from spinloom.pareto import front  # noqa: E402
from spinloom.quantities import LEVELS, PHASES  # noqa: E402

MARKERS = "osD^vP*X<>"
COPIED = (
    "rule", "seeds", "epoch_mean", "test_accuracy_mean", "test_accuracy_sd", "accuracy_below_float_mean",
    "accuracy_below_float_sd", "writes_per_sample_mean", "training_writes_per_sample_mean", "most_writes_on_a_device",
    "memory_bits_per_synapse", "synapses", "devices",
)  # fmt: skip
ENERGIES = {  # column: phase, level and column of energy.csv
    f"{phase}_energy_{unit}_{level}": (phase, level, column)
    for phase in PHASES
    for level in LEVELS
    for unit, column in (("J", "energy_J_mean"), ("sd_J", "energy_J_sd"))
}
COLUMNS = ["variant", *COPIED, *ENERGIES, "states", "writes_behind_card", "card_sha256"]


def collect(points: dict[str, dict[str, str]], folder: Path) -> pd.DataFrame:
    """Return one row per point and variant: accuracies, writes, energies, and its labels, a column ``axis_NAME`` each.

    Parameters
    ----------
    points : dict
        Labels by axis, of each point by its name; see `workflow.study.scan`.
    folder : Path
        Has a finished study for each point, by its name.

    Raises
    ------
    UserError
        If a point's tables are missing.
    """
    rows = []
    for name, labels in points.items():
        study = folder / name
        summary, energy = (read_table(study / "network/summary" / f"{table}.csv") for table in ("summary", "energy"))
        last = summary[summary["selection"] == "last"].set_index("variant")
        totals = energy[energy["term"] == "total"].set_index(["variant", "phase", "level"])
        card = read_json(study / "calibration/card/card.json")
        written = int(read_table(study / "calibration/card/transitions.csv")["count"].sum())
        states = len(read_table(study / "calibration/card/states.csv"))
        for variant, row in last.iterrows():
            rows.append({
                "point": name, **{f"axis_{axis}": label for axis, label in labels.items()},
                "variant": variant, **{column: row[column] for column in COPIED},
                **{key: totals.loc[(variant, *which), column] for key, (*which, column) in ENERGIES.items()},
                "states": states, "writes_behind_card": written, "card_sha256": card["hash"],
            })  # fmt: skip
    return pd.DataFrame(rows)


def along(table: pd.DataFrame, axes: list[str], path: Path) -> None:
    """Draw accuracy and the devices' training energy along the first axis, a line per variant and other label."""
    figure, panels = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
    first, *others = (f"axis_{axis}" for axis in axes)
    place = pd.to_numeric(table[first], errors="coerce")
    labels = list(dict.fromkeys(table[first]))
    numeric = place.notna().all()
    table = table.assign(place=place if numeric else table[first].map(labels.index))
    curves = table.groupby([*others, "variant"], sort=False, dropna=False)
    for number, (names, rows) in enumerate(curves):
        rows = rows.sort_values("place")
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number // len(COLOURS) % len(MARKERS)]
        if rows["rule"].iloc[0] == BASELINE:
            colour = "0.5"
        label = ", ".join([*(f"{axis} {text}" for axis, text in zip(axes[1:], names)), names[-1].replace("_", " ")])
        sd = 100 * rows["test_accuracy_sd"].fillna(0)
        panels[0].errorbar(
            rows["place"], 100 * rows["test_accuracy_mean"], sd, color=colour, marker=marker, capsize=2, label=label
        )
        if (rows["training_energy_J_device"] > 0).any():
            energy, sd = (rows[f"training_energy_{unit}_device"] for unit in ("J", "sd_J"))
            panels[1].errorbar(rows["place"], energy, sd.fillna(0), color=colour, marker=marker, capsize=2)
            panels[1].set_yscale("log")
    panels[0].set_ylabel("test accuracy (%)")
    panels[1].set_ylabel("devices' energy per\ntraining sample (J)")
    for axes_ in panels:
        axes_.set_xlabel(axes[0])
        if not numeric:
            axes_.set_xticks(range(len(labels)), labels, rotation=30, ha="right")
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=7, frameon=False
    )
    figure.suptitle(_behind(table), fontsize=8)
    write_png(figure, path)
    plt.close(figure)


def pareto(table: pd.DataFrame, path: Path) -> None:
    """Draw accuracy against the energy of a training sample, one panel per level of accounting.

    Points that no other beats in both, within a panel, are joined by a line. Float networks have an energy at the
    level of the system alone.
    """
    figure, panels = plt.subplots(1, 3, figsize=(11, 4.2), sharey=True, layout="constrained")
    styles = {}
    for axes, level in zip(panels, LEVELS, strict=True):
        column = f"training_energy_J_{level}"
        shown = table[table[column] > 0]
        for row, colour in zip(shown.to_dict("records"), cycle(COLOURS)):
            key = (row["point"], row["variant"])
            number = len(styles)
            style = styles.setdefault(key, (COLOURS[number % 6], MARKERS[number // 6 % len(MARKERS)]))
            name = f"{row['point']}: {row['variant'].replace('_', ' ')}"
            colour = "0.5" if row["rule"] == BASELINE else style[0]
            sd = 0.0 if pd.isna(row["test_accuracy_sd"]) else 100 * row["test_accuracy_sd"]
            axes.errorbar(row[column], 100 * row["test_accuracy_mean"], sd, color=colour, marker=style[1], capsize=2,
                          linestyle="none", label=name)  # fmt: skip
        best = front(shown[column].to_numpy(), shown["test_accuracy_mean"].to_numpy())
        edge = shown.iloc[best]
        axes.plot(edge[column], 100 * edge["test_accuracy_mean"], color="0.8", zorder=0)
        axes.set_xscale("log")
        # of less than a decade every tick is labelled, of more only the decades
        axes.xaxis.set_minor_formatter(LogFormatterSciNotation(minor_thresholds=(0.9, 0.3)))
        axes.tick_params(axis="x", which="minor", labelsize=7, labelrotation=45)
        axes.set(xlabel=f"energy per training sample (J): {'+ ' * (level != 'device')}{level}")
    panels[0].set_ylabel("test accuracy (%)")
    handles = {}
    for axes in panels:
        handles.update({label: handle for handle, label in zip(*axes.get_legend_handles_labels())})
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=3, fontsize=7, frameon=False)
    figure.suptitle(_behind(table), fontsize=8)
    write_png(figure, path)
    plt.close(figure)


def _behind(table: pd.DataFrame) -> str:
    """Return what stands behind a figure: numbers of seeds and of the writes that the cards are made of."""

    def span(column: str) -> str:
        low, high = int(table[column].min()), int(table[column].max())
        return f"{low}" if low == high else f"{low} to {high}"

    cards = f"cards of {span('writes_behind_card')} writes" if table["writes_behind_card"].any() else "cards of laws"
    return f"{span('seeds')} seeds per point; {cards}"
