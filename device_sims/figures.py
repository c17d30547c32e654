"""Figures of this stage: what the walls do."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd

from spinloom import files

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402  (after the backend is chosen)


def wall_position(trajectories: pd.DataFrame, pulses: pd.DataFrame, rest_s: float, path: str | Path) -> None:
    """Draw wall position against time, one panel per voltage: each replica, and their mean."""
    figure, axes = plt.subplots(
        1, len(pulses), figsize=(2.3 * len(pulses) + 0.8, 3.2), sharey=True, squeeze=False, layout="constrained"
    )
    colours = plt.get_cmap("viridis")(np.linspace(0.1, 0.85, len(pulses)))
    for axis, colour, pulse in zip(axes[0], colours, pulses.itertuples()):
        own = trajectories[trajectories["pulse"] == pulse.pulse]
        table = own.pivot_table(index="t_s", columns=["instance", "replica"], values="position_m")
        axis.plot(table.index * 1e9, table.to_numpy() * 1e9, color=colour, alpha=0.25, linewidth=0.6)
        axis.plot(table.index * 1e9, table.mean(axis=1) * 1e9, color="black", linewidth=1.6)
        axis.axvspan(rest_s * 1e9, (rest_s + pulse.duration_s) * 1e9, color="0.93", zorder=0)
        axis.set_title(f"{pulse.voltage_V:+g} V")
        axis.set_xlabel("time (ns)")
    axes[0][0].set_ylabel("wall position (nm)")
    files.write_png(figure, path)
    plt.close(figure)
