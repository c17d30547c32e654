"""The three pictures of a kernel card."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from calibration.card import KernelCard

NM, US = 1e9, 1e6


def position_histograms(card: KernelCard, events: pd.DataFrame) -> Figure:
    """Return histograms of the final position, one panel per pulse, with mean, sd and the edges of the states.

    Parameters
    ----------
    card : KernelCard
    events : DataFrame
        Columns ``pulse`` and ``final_position_m``, the events the card was made from.
    """
    edges = _edges(card) * NM
    positions = events["final_position_m"] * NM
    bins = np.linspace(positions.min(), positions.max(), 61)
    pulses = card.pulses
    figure = Figure(figsize=(7, 1 + 1.2 * len(pulses)), layout="constrained")
    axes = figure.subplots(len(pulses), 1, sharex=True, squeeze=False)
    for axis, pulse, voltage in zip(axes[:, 0], pulses["pulse"], pulses["voltage_V"], strict=True):
        values = positions[events["pulse"] == pulse]
        axis.hist(values, bins=bins, color=f"C{pulse}")
        for edge in edges:
            axis.axvline(edge, color="0.5", linewidth=0.8, linestyle="--")
        axis.axvline(values.mean(), color="black", linewidth=1)
        text = f"{voltage:g} V\n{values.mean():.1f} ± {values.std(ddof=1):.1f} nm\n{len(values)} writes"
        # beside the panel, where no bar can lie below it
        axis.text(1.01, 0.5, text, transform=axis.transAxes, va="center", fontsize=8)
        axis.set_ylabel("writes")
    axes[-1, 0].set_xlabel("final wall position (nm); solid: mean, dashed: edges of the states")
    return figure


def transition_matrix(card: KernelCard) -> Figure:
    """Return the transition probabilities with their intervals, a row per pulse (and state before, if it matters)."""
    states = len(card.states)
    shape = (len(card.pulses) * states, states)
    rows = slice(None, None, states if card.rows_repeat else 1)
    probability, low, high = (
        card.transitions[column].to_numpy().reshape(shape)[rows] for column in ("probability", "ci_low", "ci_high")
    )
    labels = [f"{voltage:g} V" for voltage in card.pulses["voltage_V"]]
    if not card.rows_repeat:
        labels = [f"{label}, from {state}" for label in labels for state in range(states)]
    figure = Figure(figsize=(2 + 1.3 * states, 1.5 + 0.7 * len(labels)), layout="constrained")
    axis = figure.subplots()
    image = axis.imshow(probability, vmin=0, vmax=1, cmap="Blues", aspect="auto")
    for row, column in np.ndindex(probability.shape):
        value = probability[row, column]
        text = f"{value:.3f}\n[{low[row, column]:.3f}, {high[row, column]:.3f}]"
        color = "white" if value > 0.5 else "black"
        axis.text(column, row, text, ha="center", va="center", fontsize=8, color=color)
    axis.set_xticks(range(states), [str(state) for state in range(states)])
    axis.set_yticks(range(len(labels)), labels)
    axis.set_xlabel("state written")
    axis.set_ylabel("pulse")
    figure.colorbar(image, label=f"probability [{card.interval:.0%} interval]")
    return figure


def conductance_map(card: KernelCard) -> Figure:
    """Return conductance against position: the junction's line, the range of each state, its mean and sd."""
    states = card.states
    figure = Figure(figsize=(6, 4), layout="constrained")
    axis = figure.subplots()
    junction = card.meta["junction"]
    axis.plot(
        [0, junction["track_length_m"] * NM],
        [junction["antiparallel_S"] * US, junction["parallel_S"] * US],
        color="0.6",
        label="junction, G(x)",
    )
    for row in states.itertuples():
        axis.axvspan(row.position_low_m * NM, row.position_high_m * NM, color=f"C{row.state}", alpha=0.15)
    axis.errorbar(
        states["position_m"] * NM,
        states["conductance_S"] * US,
        yerr=states["conductance_sd_S"] * US,
        fmt="o",
        color="black",
        capsize=3,
        label="states, mean ± sd",
    )
    axis.set_xlabel("wall position (nm)")
    axis.set_ylabel("conductance (µS)")
    axis.legend()
    return figure


def _edges(card: KernelCard) -> np.ndarray:
    return np.append(card.states["position_low_m"], card.states["position_high_m"].iloc[-1])
