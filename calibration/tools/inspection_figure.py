"""A picture of what a file of measurements holds."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from calibration.counting.writes import REST
from calibration.tools.inspection import Inspection, shares
from spinloom.quantities import of, widest

MOST_POINTS = 4000
COLOURS = {1: "#c0392b", -1: "#0072b2", 0: "#7f8c99"}
NAMES = {1: "up", -1: "down", 0: "no pulse"}


def draw(found: Inspection) -> Figure | None:
    """Return the readings in their order and the steps against the conductance, or how often pulses switch.

    None if there is nothing of the kind.
    """
    writes = None if found.imported is None else found.imported.writes
    if writes is None or writes.events["before"].isna().all():
        return None
    if writes.edges is not None:
        return _shares(found)
    unit, polarity = of(writes.coordinate), writes.pulses["polarity"].to_numpy()
    figure = Figure(figsize=(10, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    readings, events = writes.readings, writes.events
    if readings is not None:
        shown = readings[readings["value"].notna()].head(MOST_POINTS)
        way = np.where(shown["pulse"] == REST, 0, polarity[np.maximum(shown["pulse"], 0)])
        for kind in (1, -1, 0):
            own = shown[way == kind]
            left.plot(own.index, own["value"] * unit.scale, ".", ms=3, color=COLOURS[kind], label=NAMES[kind])
        left.set_xlabel("reading" + (f" (the first {MOST_POINTS})" if len(readings) > MOST_POINTS else ""))
        left.legend(frameon=False, fontsize="small")
    else:
        left.plot(events["before"] * unit.scale, events["after"] * unit.scale, ".", ms=3, color=COLOURS[0])
        left.set_xlabel(f"before the write ({unit.unit})")
    left.set_ylabel(f"{unit.label} ({unit.unit})")
    step = (events["after"] - events["before"]) * unit.scale
    for kind in (1, -1, 0):
        own = polarity[events["pulse"]] == kind
        right.plot(events["before"][own] * unit.scale, step[own], ".", ms=3, color=COLOURS[kind], label=NAMES[kind])
    right.axhline(0, color="#7f8c99", lw=0.8)
    right.set_xlabel(f"{unit.label} before the write ({unit.unit})")
    right.set_ylabel(f"step ({unit.unit})")
    figure.suptitle(found.path.name, fontsize="medium")
    return figure


def _shares(found: Inspection) -> Figure | None:
    if found.imported is None or found.imported.writes is None:
        return None
    writes, table = found.imported.writes, shares(found.imported)
    name = widest(writes.pulses)
    figure = Figure(figsize=(6, 3.8), layout="constrained")
    axis = figure.subplots()
    for before, own in table.groupby("before"):
        x = writes.pulses[name].to_numpy()[own["pulse"]] * of(name).scale
        axis.plot(x, own["share"], ".", label=f"from {writes.labels[int(float(str(before)))]}")
    axis.set_xlabel(of(name).title)
    axis.set_ylabel("share switched")
    axis.legend(frameon=False, fontsize="small")
    figure.suptitle(found.path.name, fontsize="medium")
    return figure
