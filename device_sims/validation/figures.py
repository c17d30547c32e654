"""Draws the curves that checks yield; which figure has which axes is said here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from device_sims.validation import Curve
from spinloom import files

# x label, y label, options of the axes
FIGURES = {
    "oommf_racetracks": ("t (ns)", "<m>", {}),
    "oommf_disc": ("t (ns)", "<m>", {}),
    "oommf_sp4": ("t (ns)", "<m>", {}),
    "convergence_time": ("time step (ps)", "largest error of m", {"xscale": "log", "yscale": "log"}),
    "convergence_cells": ("cell (nm)", "relative error of the wall's energy", {"xscale": "log", "yscale": "log"}),
    "thermometer": ("field evaluations per ps", "temperature read / set", {"xscale": "log", "ylim": (0.7, 1.3)}),
    "boltzmann_disc": ("mean mz of the disc", "share of states below", {}),
    "wall_diffusion": ("t (ns)", "sd of the wall's displacement (nm)", {}),
    "barrier_of_a_disc": ("diameter (nm)", "barrier (kB T at 300 K)", {}),
    "escapes_of_a_wall": ("1000 K / T", "rate (1/s)", {"yscale": "log"}),
    "switching": ("voltage (V)", "switching probability", {}),
    "collective": ("voltage (V)", "displacement by the pulse (nm)", {}),
}
COLUMNS = 2  # of panels


def draw(curves: Sequence[Curve], output: str | Path) -> None:
    """Draw one PNG per figure named by the curves, a panel each."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    for name in dict.fromkeys(curve.figure for curve in curves):
        own = [curve for curve in curves if curve.figure == name]
        panels = list(dict.fromkeys(curve.panel for curve in own))
        x, y, options = FIGURES[name]
        columns = min(COLUMNS, len(panels))
        rows = -(-len(panels) // columns)
        figure, axes = plt.subplots(
            rows, columns, figsize=(5.2 * columns, 3.4 * rows), squeeze=False, layout="constrained"
        )
        for spare in list(axes.flat)[len(panels) :]:
            spare.remove()
        for panel, axis in zip(panels, axes.flat):
            for curve in own:
                if curve.panel == panel:
                    marker = {"markersize": 4, "fillstyle": "none"} if curve.style[0] in "osx^" else {}
                    axis.plot(curve.x, curve.y, curve.style, color=f"C{curve.colour}", label=curve.label, **marker)
            axis.set(title=panel, xlabel=x, ylabel=y, **options)
            axis.legend(fontsize="x-small")
        files.write_png(figure, Path(output) / f"{name}.png")
        plt.close(figure)
