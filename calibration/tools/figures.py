"""The picture of the writes behind a kernel card, and of what was fitted to them; the report draws the card itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from calibration import laws
from calibration.card import KernelCard
from calibration.config import Stage
from calibration.counting import kernel_rows
from calibration.counting.writes import Writes
from calibration.laws.fitting import Fit
from calibration.sources import build
from spinloom.errors import UserError
from spinloom.files import write_png
from spinloom.quantities import of, pulse_names, widest


def draw(card: KernelCard, config: Stage, where: str, device_sims: str | None, output: str | Path) -> None:
    """Write ``writes_by_pulse.png`` into ``output``.

    Parameters
    ----------
    card : KernelCard
    config : Stage
        The calibration section that it was made by; names the writes behind it, if there are any.
    where : str
        File of the section, for errors.
    device_sims : str or None
        Folder of the device stage's tables, for a simulated card.
    output : str or Path

    Raises
    ------
    UserError
        If the writes are not those that the card was made from.
    """
    writes = build.writes(config, where, device_sims)
    made_from = {key: getattr(card.meta.source, key) for key in ("events_sha256", "files")}
    if writes is not None and {key: writes.source.get(key) for key in made_from} != made_from:
        raise UserError(f"{writes.where}: not the writes that the card was made from; make the card again")
    write_png(writes_by_pulse(card, writes), Path(output) / "writes_by_pulse.png")


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
            for edge in card.meta.states.edges or ():
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
    return [Fit.from_dict(law.dump()) for law in card.meta.laws]


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
            name = ", ".join(of(name).told(float(str(value))) for name, value in zip(others, key)) or None
            axis.errorbar(group[x] * scale, p, bars, fmt="o", markersize=3, color=f"C{colour % 10}", label=name)
            _law_curves(axis, card, start, group, x, scale, f"C{colour % 10}")
        axis.set_title(f"to {labels[1]}" if card.rows_repeat else f"{labels[start]} to {labels[stop]}")
        axis.set_xlabel(of(x).title)
        if others and len(groups) <= 10:
            axis.legend(frameon=False, fontsize="x-small")
    axes[0].set_ylabel(f"probability, {card.interval:.0%} interval" if card.meta.events else "probability")
    axes[0].set_ylim(-0.03, 1.03)
    return figure


def _law_curves(
    axis: Axes, card: KernelCard, start: int, group: pd.DataFrame, x: str, scale: float, colour: str
) -> None:
    edges = np.array(card.meta.states.edges)
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
    conductance = of("conductance_S")
    mean = card.states["conductance_S"].to_numpy() * conductance.scale
    steps = card.kernel @ mean - mean
    figure = Figure(figsize=(6.4, 4), layout="constrained")
    axis = figure.subplots()
    for pulse, name in enumerate(pulse_names(card.pulses)):
        spread = np.sqrt(np.clip(card.kernel[pulse] @ mean**2 - (card.kernel[pulse] @ mean) ** 2, 0, None))
        axis.plot(mean, steps[pulse], color=f"C{pulse % 10}", label=name if pulse < 10 else None)
        axis.fill_between(mean, steps[pulse] - spread, steps[pulse] + spread, color=f"C{pulse % 10}", alpha=0.15)
    axis.axhline(0, color="0.5", linewidth=0.8)
    unit = conductance.unit
    axis.set(xlabel=f"conductance before ({unit})", ylabel=f"step of one pulse ({unit}), mean ± sd")
    axis.legend(frameon=False, fontsize="small")
    return figure
