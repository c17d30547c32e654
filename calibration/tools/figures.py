"""The pictures of a kernel card: outcomes by pulse, transition matrix, conductance response, variance split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from calibration import laws
from calibration.card import KernelCard
from calibration.counting import kernel_rows
from calibration.counting.writes import Writes
from calibration.laws.fitting import Fit
from calibration.sources import build
from spinloom.errors import UserError
from spinloom.files import write_png
from spinloom.quantities import of, pulse_names, widest

MOST_TEXT = 8  # states beyond which a matrix carries no numbers
PULSES = 40  # of the response to trains


def draw(card: KernelCard, config: dict[str, Any], where: str, device_sims: str | None, output: str | Path) -> None:
    """Write the four figures into ``output``: writes_by_pulse, transitions, conductance, spread .png.

    Parameters
    ----------
    card : KernelCard
    config : dict
        The calibration section that it was made by; names the writes behind it, if there are any.
    where : str
        File of the section, for errors.
    device_sims : str or None
        Folder of the device stage's tables, for a simulated card.
    output : str or Path
    """
    writes = build.writes(config, where, device_sims)
    made_from = {key: card.meta["source"].get(key) for key in ("events_sha256", "files")}
    if writes is not None and {key: writes.source.get(key) for key in made_from} != made_from:
        raise UserError(f"{writes.where}: not the writes that the card was made from; make the card again")
    output = Path(output)
    write_png(writes_by_pulse(card, writes), output / "writes_by_pulse.png")
    write_png(transition_matrix(card), output / "transitions.png")
    write_png(conductance_response(card), output / "conductance.png")
    write_png(variance_split(card), output / "spread.png")


def writes_by_pulse(card: KernelCard, writes: Writes | None) -> Figure:
    """Return what each pulse does: histograms with the fitted law, P(switch) with intervals and laws, or rows."""
    if writes is not None and writes.coordinate != "level":
        return _histograms(card, writes)
    if len(card.states) == 2:
        return _switching(card)
    return _mean_steps(card)


def _histograms(card: KernelCard, writes: Writes) -> Figure:
    coordinate = of(writes.coordinate)
    scale = coordinate.scale
    events, reset = writes.events, card.rows_repeat
    values = events["after"] - (0 if reset else events["before"])
    bins = np.linspace(values.min(), values.max(), 61)
    number = len(writes.pulses)
    chosen = {pulse: fit for fit in _fits(card) if fit.conditions["chosen"] for pulse in fit.conditions["pulses"]}
    figure = Figure(figsize=(7, 1 + 1.2 * number), layout="constrained")
    axes = figure.subplots(number, 1, sharex=True, squeeze=False)[:, 0]
    for pulse, (axis, name) in enumerate(zip(axes, pulse_names(card.pulses))):
        own = values[events["pulse"] == pulse]
        axis.hist(own * scale, bins=bins * scale, color=f"C{pulse % 10}", alpha=0.7)
        if reset:
            for edge in card.meta["states"]["edges"]:
                if bins[0] <= edge <= bins[-1]:
                    axis.axvline(edge * scale, color="0.5", linewidth=0.8, linestyle="--")
        if pulse in chosen:
            x = np.linspace(bins[0], bins[-1], 400)
            p = chosen[pulse].parameters
            density = stats.norm.pdf(x, p["mean"] if reset else p["shift"], p["sd"])
            axis.plot(x * scale, len(own) * density * (bins[1] - bins[0]), color="black", linewidth=1)
        text = f"{name}\n{own.mean() * scale:.1f} ± {own.std(ddof=1) * scale:.1f} {coordinate.unit}\n{len(own)} writes"
        # beside the panel, where no bar can lie below it
        axis.text(1.01, 0.5, text, transform=axis.transAxes, va="center", fontsize=8)
        axis.set_ylabel("writes")
    what = f"{coordinate.label} after the write" if reset else f"change of {coordinate.label}"
    more = "; dashed: edges of the states" if reset else ""
    axes[-1].set_xlabel(f"{what} ({coordinate.unit}); line: fitted law{more}")
    return figure


def _fits(card: KernelCard) -> list[Fit]:
    return [Fit.from_dict(law) for law in card.meta.get("laws", [])]


def _switching(card: KernelCard) -> Figure:
    pulses, labels = card.pulses, card.states["label"]
    x = widest(pulses)
    scale = of(x).scale
    others = [name for name in ("voltage_V", "duration_s", "temperature_K", "polarity") if name != x]
    others = [name for name in others if pulses[name].nunique() > 1 and not (name == "polarity" and x == "voltage_V")]
    starts = [0] if card.rows_repeat else [0, 1]
    figure = Figure(figsize=(4.6 * len(starts) + 0.6, 3.6), layout="constrained")
    axes = figure.subplots(1, len(starts), sharey=True, squeeze=False)[0]
    table = card.transitions.set_index(["pulse", "state_from", "state_to"])
    for axis, start in zip(axes, starts):
        stop = 1 if card.rows_repeat else 1 - start
        rows = table.xs((start, stop), level=("state_from", "state_to"))
        counted = rows["basis"] != "assumed"
        own = pulses[counted.to_numpy()]
        groups = list(own.groupby(others)) if others else [((), own)]
        for colour, (key, group) in enumerate(groups):
            group = group.sort_values(x)
            known = rows.loc[group["pulse"]]
            p = known["probability"].to_numpy()
            bars = np.clip([p - known["ci_low"], known["ci_high"] - p], 0, None)
            name = ", ".join(of(name).told(value) for name, value in zip(others, np.atleast_1d(key))) or None
            axis.errorbar(group[x] * scale, p, bars, fmt="o", markersize=3, color=f"C{colour % 10}", label=name)
            _law_curves(axis, card, start, group, x, scale, f"C{colour % 10}")
        axis.set_title(f"to {labels[1]}" if card.rows_repeat else f"{labels[start]} to {labels[stop]}")
        axis.set_xlabel(of(x).title)
        if others and len(groups) <= 10:
            axis.legend(frameon=False, fontsize="x-small")
    axes[0].set_ylabel(f"probability, {card.interval:.0%} interval" if card.meta.get("events") else "probability")
    axes[0].set_ylim(-0.03, 1.03)
    return figure


def _law_curves(
    axis: Axes, card: KernelCard, start: int, group: pd.DataFrame, x: str, scale: float, colour: str
) -> None:
    edges = np.array(card.meta["states"]["edges"])
    # a law holds for the voltages that favour its change
    group = group[group["polarity"] * (1 if start == 0 else -1) >= 0] if not card.rows_repeat else group
    if len(group) < 2:
        return
    for fit in _fits(card):
        state = fit.conditions["state_from"]
        if not fit.conditions["chosen"] or state not in (None, start) or laws.get(fit.law).KIND != "switching":
            continue
        fine = np.linspace(group[x].min(), group[x].max(), 200)
        plan = pd.concat([group.iloc[[0]]] * len(fine), ignore_index=True).assign(**{x: fine})
        within = Fit.from_dict({**fit.to_dict(), "conditions": {**fit.conditions, "pulses": list(range(len(fine)))}})
        places, rows = kernel_rows.law_rows(within, plan, edges)
        values = rows(fit.parameters)
        own = [k for k, (_, s) in enumerate(places) if s == start]
        axis.plot(fine * scale, values[own, 1 if card.rows_repeat else 1 - start], color=colour, linewidth=1)


def _mean_steps(card: KernelCard) -> Figure:
    mean = card.states["conductance_S"].to_numpy()
    steps = card.kernel @ mean - mean
    figure = Figure(figsize=(6.4, 4), layout="constrained")
    axis = figure.subplots()
    for pulse, name in enumerate(pulse_names(card.pulses)):
        spread = np.sqrt(np.clip(card.kernel[pulse] @ mean**2 - (card.kernel[pulse] @ mean) ** 2, 0, None))
        axis.plot(mean * 1e6, steps[pulse] * 1e6, color=f"C{pulse % 10}", label=name if pulse < 10 else None)
        axis.fill_between(
            mean * 1e6, (steps[pulse] - spread) * 1e6, (steps[pulse] + spread) * 1e6, color=f"C{pulse % 10}", alpha=0.15
        )
    axis.axhline(0, color="0.5", linewidth=0.8)
    axis.set(xlabel="conductance before (µS)", ylabel="step of one pulse (µS), mean ± sd")
    axis.legend(frameon=False, fontsize="small")
    return figure


def transition_matrix(card: KernelCard) -> Figure:
    """Return the transition probabilities: with intervals as text for few states, as images for many."""
    states, pulses = len(card.states), len(card.pulses)
    names = pulse_names(card.pulses)
    rows_of = 1 if card.rows_repeat else states
    if states > MOST_TEXT or pulses * rows_of > 40:
        return _matrix_images(card, names)
    shape = (pulses * states, states)
    rows = slice(None, None, states if card.rows_repeat else 1)
    probability, low, high = (
        card.transitions[column].to_numpy().reshape(shape)[rows] for column in ("probability", "ci_low", "ci_high")
    )
    labels = (
        names if card.rows_repeat else [f"{name}, from {label}" for name in names for label in card.states["label"]]
    )
    figure = Figure(figsize=(2 + 1.3 * states, 1.5 + 0.55 * len(labels)), layout="constrained")
    axis = figure.subplots()
    image = axis.imshow(probability, vmin=0, vmax=1, cmap="Blues", aspect="auto")
    counted = np.isfinite(card.interval)  # a law's probabilities are given, with nothing to be unsure of
    for row, column in np.ndindex(probability.shape):
        value = probability[row, column]
        text = f"{value:.3f}"
        if counted:
            text += f"\n[{low[row, column]:.3f}, {high[row, column]:.3f}]"
        color = "white" if value > 0.5 else "black"
        axis.text(column, row, text, ha="center", va="center", fontsize=7, color=color)
    axis.set_xticks(range(states), list(card.states["label"]))
    axis.set_yticks(range(len(labels)), labels)
    axis.set_xlabel("state written")
    axis.set_ylabel("pulse")
    figure.colorbar(image, label="probability" + (f" [{card.interval:.0%} interval]" if counted else ""))
    return figure


def _matrix_images(card: KernelCard, names: list[str]) -> Figure:
    shown = np.unique(np.linspace(0, len(names) - 1, min(len(names), 12)).round().astype(int))
    columns = min(4, len(shown))
    lines = -(-len(shown) // columns)
    figure = Figure(figsize=(2.4 * columns + 0.8, 2.4 * lines + 0.4), layout="constrained")
    axes = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axis, pulse in zip(axes, shown):
        image = axis.imshow(card.kernel[pulse], vmin=0, vmax=card.kernel.max(), cmap="viridis", origin="lower")
        axis.set_title(names[pulse], fontsize=8)
    for axis in axes[len(shown) :]:
        axis.set_axis_off()
    figure.supxlabel("state written")
    figure.supylabel("state before")
    figure.colorbar(image, ax=list(axes), label="probability", shrink=0.8)
    return figure


def conductance_response(card: KernelCard) -> Figure:
    """Return the mean conductance ± sd after trains of up and down pulses, or after each pulse if none are a pair."""
    mean, sd = card.states["conductance_S"].to_numpy() * 1e6, card.states["conductance_sd_S"].to_numpy() * 1e6
    figure = Figure(figsize=(6.4, 4), layout="constrained")
    axis = figure.subplots()
    pairs = card.meta["derived"]["pairs"]
    names = pulse_names(card.pulses)

    def moments(share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        centre = share @ mean
        return centre, np.sqrt(np.clip(share @ (mean**2 + sd**2) - centre**2, 0, None))

    if not pairs:
        start = card.states["occupancy"].to_numpy()
        centre, width = moments(np.einsum("s,kst->kt", start, card.kernel))
        axis.errorbar(range(len(names)), centre, width, fmt="o", color="black", capsize=3)
        if len(names) <= 12:
            axis.set_xticks(range(len(names)), names, rotation=30, ha="right")
        for level in mean:
            axis.axhline(level, color="0.8", linewidth=0.6, zorder=0)
        axis.set(xlabel="pulse", ylabel="conductance after the write (µS), mean ± sd")
        return figure
    for colour, pair in enumerate(pairs[:6]):
        share = np.eye(len(mean))[int(np.argmin(mean))]
        train = [share]
        for pulse in [pair["up"]] * PULSES + [pair["down"]] * PULSES:
            share = share @ card.kernel[pulse]
            train.append(share)
        centre, width = moments(np.array(train))
        name = f"{names[pair['up']]} / {names[pair['down']]}"
        axis.plot(centre, color=f"C{colour}", label=name)
        axis.fill_between(range(len(centre)), centre - width, centre + width, color=f"C{colour}", alpha=0.15)
    axis.axvline(PULSES, color="0.6", linestyle="--", linewidth=0.8)
    axis.set(xlabel=f"pulses: {PULSES} up, then {PULSES} down", ylabel="conductance (µS), mean ± sd")
    axis.legend(frameon=False, fontsize="small")
    return figure


def variance_split(card: KernelCard) -> Figure:
    """Return how far writes to one device and devices differ, with standard errors, by pulse."""
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axis = figure.subplots()
    names, meta = pulse_names(card.pulses), card.meta
    if meta.get("spread_position_by_pulse"):
        rows, scale = meta["spread_position_by_pulse"], 1e9
        parts = [("cycle_to_cycle", "_m", "within a device"), ("device_to_device", "_m", "between devices")]
        axis.set_ylabel("sd of the wall position (nm)")
    elif meta.get("probability_spread"):
        rows, scale = [{**row, "p_sd": row["sd"], "p_se": row["sd_se"]} for row in meta["probability_spread"]], 1
        parts = [("p", "", "between devices")]
        axis.set_ylabel("sd of the probability between devices")
    elif meta.get("spread"):
        rows, scale, names = [{"pulse": 0, **meta["spread"]}], 1e6, ["all pulses"]
        parts = [("cycle_to_cycle", "_S", "within a device"), ("device_to_device", "_S", "between devices")]
        axis.set_ylabel("sd of the conductance (µS)")
    else:
        rows = []
    width = 0.8 / max(1, len(parts) if rows else 1)
    drawn = False
    for number, (key, unit, label) in enumerate(parts if rows else ()):
        sd = [row.get(f"{key}_sd{unit}") for row in rows]
        se = [row.get(f"{key}_se{unit}") for row in rows]
        known = [place for place, value in enumerate(sd) if value is not None]
        if not known:
            continue
        drawn = True
        heights = np.array([sd[place] for place in known], float) * scale
        errors = np.array([se[place] or 0.0 for place in known], float) * scale
        axis.bar(np.array(known) + number * width, heights, width, yerr=errors, capsize=2, label=label)
    if drawn:
        if len(rows) <= 16:
            axis.set_xticks(range(len(rows)), [_row_name(row, names, card) for row in rows], rotation=30, ha="right")
        axis.legend(frameon=False, fontsize="small")
    else:
        axis.text(0.5, 0.5, "The source of this card tells no spread.", ha="center", va="center")
        axis.set_axis_off()
    return figure


def _row_name(row: dict, names: list[str], card: KernelCard) -> str:
    start = row.get("state_from")
    own = names[row["pulse"]]
    return own if start is None or card.rows_repeat else f"{own}, {card.states['label'][start]}"
