"""A picture of a path: energy along it, and the states at its ends and at its saddles."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from device_sims.barriers import tables
from device_sims.barriers.barrier import Barrier
from device_sims.pictures import drawing
from device_sims.pictures.event import of_states
from device_sims.problem import BOLTZMANN
from spinloom import files

SHOWN = 7  # states at most


def draw(barrier: Barrier, temperature_K: float, path: str | Path) -> None:
    """Write a PNG: energy in kB T against the length of the path, and below it the states on the way."""
    from matplotlib.figure import Figure

    table = tables.path(barrier)
    energy = table["energy_J"] / (BOLTZMANN * temperature_K)
    states, names = [barrier.a], ["a"]
    for number, leg in enumerate(barrier.legs):
        states.append(leg.saddle.m)
        names.append("saddle" if len(barrier.legs) == 1 else f"saddle {number}")
        states.append(leg.path.m[-1])
        names.append("b" if leg is barrier.legs[-1] else f"minimum {number}")
    chosen = np.unique(np.linspace(0, len(states) - 1, min(SHOWN, len(states))).round().astype(int))
    event = of_states(barrier.landscape.problem, np.stack([states[i] for i in chosen]))
    colour, layer = drawing.colouring(event), event.m.shape[2] // 2
    ny, nx = event.m.shape[-2:]
    aspect = ny * event.cell_m[1] / (nx * event.cell_m[0])
    columns = 1 if aspect < 0.35 else len(chosen)
    rows = len(chosen) // columns
    height = min(rows * (7.0 / columns * min(aspect, 3.0) + 0.34), 30.0)
    figure = Figure(figsize=(8.0, 3.0 + height), layout="constrained")
    upper, lower = np.ravel(np.asarray(figure.subfigures(2, 1, height_ratios=(3.0, height))))
    ax = upper.subplots()
    images = table["image"] >= 0
    ax.plot(table.loc[images, "length"], energy[images], "o-", markersize=3, linewidth=0.9, color="C0", label="path")
    for number, own in table[images].groupby("leg"):
        place = own["length"].to_numpy()[own["energy_J"].to_numpy().argmax()]
        saddle = energy[~images & (table["leg"] == number)].iloc[0]
        ax.plot(place, saddle, "x", color="C3", label="saddle" if number == 0 else None)
    ax.set_xlabel("along the path (rad, root of cells)", fontsize=8)
    ax.set_ylabel(f"energy (kB T at {temperature_K:g} K)", fontsize=8)
    ax.legend(fontsize=8)
    told = "" if barrier.converged else "not converged: "
    forth, back = (height_J / (BOLTZMANN * temperature_K) for height_J in barrier.barriers_J)
    ax.set_title(f"{told}{forth:.4g} kB T from a, {back:.4g} kB T from b", fontsize=9, loc="left")
    axes = lower.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for record, (place, one) in enumerate(zip(chosen, axes.flat)):
        drawing.panel(one, event, record, layer, colour)
        one.set_title(names[place], fontsize=8, loc="left", pad=2)
        one.label_outer()
    files.write_png(figure, path)
