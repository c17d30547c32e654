"""What a page is made of: sections of figures and tables, as plain data that `report.page` writes as HTML."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from spinloom.quantities import of, si


@dataclass
class Figure:
    """A plot with as many views as its menus have choices.

    Attributes
    ----------
    name : str
        Anchor in the page.
    title, caption : str
    views : list of dict
        ``data`` and ``layout`` of plotly.js; one for each combination of choices, the last menu's running fastest.
    menus : list of (str, list of str)
        Label and choices of each menu; none for a single view.
    height : int
        Height of the plot, px.
    """

    name: str
    title: str
    caption: str
    views: list[dict[str, Any]]
    menus: list[tuple[str, list[str]]] = field(default_factory=list)
    height: int = 380


@dataclass
class Pictures:
    """Pictures as many as its menus have choices, in the order of a `Figure`'s views.

    Each is a list of data URIs: one image, or the frames of a film with a slider, each shown for ``frame_ms``.
    """

    name: str
    title: str
    caption: str
    images: list[list[str]]
    frame_ms: int
    menus: list[tuple[str, list[str]]]


@dataclass
class Link:
    """A text that leads to a file or folder; its address is relative to the page's folder."""

    text: str
    address: str


@dataclass
class Table:
    """A table; ``rows`` hold texts. Without columns its rows are names and values. A closed one shows its title."""

    title: str
    columns: list[str]
    rows: Sequence[Sequence[str | Link]]
    caption: str = ""
    closed: bool = False


@dataclass
class Listing:
    """A text in fixed pitch, closed until it is opened."""

    title: str
    text: str


@dataclass
class Section:
    """A chapter: an anchor, a title, sentences, and what it shows."""

    name: str
    title: str
    text: str
    blocks: Sequence[Figure | Pictures | Table | Listing] = ()


def text(value: Any, digits: int = 4) -> str:
    """Return a cell of a table."""
    if value is None or isinstance(value, float) and not math.isfinite(value):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.0f}" if 1e3 <= abs(value) < 1e7 else f"{value:.{digits}g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(text(entry) for entry in value)
    return str(value)


def words(name: str) -> str:
    """Return a name of the config or of a table as a person would write it."""
    return name.replace("_", " ")


def quantity(name: str, value: Any) -> tuple[str, str]:
    """Return name and value of a key whose name may end in its unit, both for people."""
    known = of(name)
    if known.unit and isinstance(value, (int, float)) and not isinstance(value, bool):
        return known.label, si(value, known.si) if len(known.si) == 1 and known.si != "K" else known.told(value)
    return words(name), words(value) if isinstance(value, str) else text(value)
