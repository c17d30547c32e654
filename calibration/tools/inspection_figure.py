"""A picture of what a file of measurements holds."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from calibration.counting.writes import REST
from calibration.tools.inspection import Inspection
from spinloom.quantities import of

MOST_POINTS = 4000
COLOURS = {1: "#c0392b", -1: "#0072b2", 0: "#7f8c99"}
NAMES = {1: "up", -1: "down", 0: "no pulse"}


def draw(found: Inspection) -> Figure | None:
    """Return the readings in their order, and the steps against the conductance; None if there are neither."""
    writes = None if found.imported is None else found.imported.writes
    if writes is None or writes.events["before"].isna().all():
        return None
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
