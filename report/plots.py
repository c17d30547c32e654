"""What the page's plots have in common: colours, axes, and numbers as plotly.js takes them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a5195", "#8c6d31", "#637939", "#a05195")
INK, FAINT = "#1c2733", "#9aa7b4"
BLUES = [[0, "#ffffff"], [0.25, "#c9dff0"], [0.6, "#4f97c9"], [1, "#08306b"]]
ORANGES = [[0, "#ffffff"], [0.3, "#fdd0a2"], [1, "#a63603"]]


def numbers(values: Iterable[float], digits: int = 5) -> list[float | None]:
    """Return numbers for a plot: rounded to ``digits`` figures, None where there is no number."""
    return [float(f"{value:.{digits}g}") if math.isfinite(value) else None for value in np.asarray(values, float)]


def matrix(values: np.ndarray, digits: int = 5) -> list[list[float | None]]:
    """Return the rows of an array, float[rows, columns], as `numbers`."""
    return [numbers(row, digits) for row in values]


def axis(title: str, **more: Any) -> dict[str, Any]:
    """Return an axis with a title."""
    return {"title": {"text": title}, "zeroline": False, "automargin": True, "linecolor": FAINT, **more}


def joules(title: str, values: Iterable[float]) -> dict[str, Any]:
    """Return a logarithmic axis of energies, with a mark at each decade if ``values`` span some."""
    known = [value for value in values if value > 0]
    wide = known and max(known) > 30 * min(known)
    return axis(title, type="log", exponentformat="SI", ticksuffix="J", **({"dtick": 1} if wide else {}))


def layout(x: dict[str, Any], y: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a layout; the page adds what all plots have in common."""
    return {"xaxis": x, "yaxis": y, **more}


def colour(place: int, of: int = 0) -> str:
    """Return the colour of an entry of a list; beyond the palette's length entries differ by hue alone."""
    if of <= len(COLOURS):
        return COLOURS[place % len(COLOURS)]
    return f"hsl({round(360 * place / of)}, 60%, 45%)"


def see_through(shade: str, opacity: float) -> str:
    """Return a colour of `colour` with an opacity."""
    if shade.startswith("hsl"):
        return shade.replace("hsl(", "hsla(").replace(")", f", {opacity})")
    red, green, blue = (int(shade[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, {opacity})"


def errors(low: Iterable[float], middle: Iterable[float], high: Iterable[float]) -> dict[str, Any]:
    """Return error bars from ``low`` to ``high``."""
    low, middle, high = (np.asarray(list(values), float) for values in (low, middle, high))
    return {
        "type": "data", "symmetric": False, "array": numbers(np.clip(high - middle, 0, None)),
        "arrayminus": numbers(np.clip(middle - low, 0, None)), "thickness": 1.2, "width": 4,
    }  # fmt: skip
