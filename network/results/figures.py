"""The figure that the report does not draw: where the spread of results comes from."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

from spinloom.files import write_png  # noqa: E402

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # Okabe and Ito: safe for colour-blind


def _label(rule: str) -> str:
    return rule.replace("_", " ")


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
