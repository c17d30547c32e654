"""Where the numbers of a grid of cells begin, and what the lines above them say."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from calibration.sources.tabular.units import unit_of
from spinloom.text_tables import MISSING, is_number

_SAMPLE = 200
NAMES, UNITS = "long name", "units"  # labels of rows in an export of Origin


class Header(NamedTuple):
    """What stands above the numbers.

    ``names`` and ``units`` have an entry for each column, "" where there is none; ``first`` is the first row of
    numbers, ``preamble`` the lines above the names.
    """

    names: list[str]
    units: list[str]
    first: int
    preamble: list[str]


def _text(cell: Any) -> str:
    return "" if cell is None else str(cell).strip()


def _kind(cell: Any, decimal: str) -> str:
    """Return whether a cell is a ``number``, ``missing`` or a ``word``."""
    if isinstance(cell, (int, float)) and not isinstance(cell, bool):
        return "number"
    text = _text(cell)
    if text.lower() in MISSING:
        return "missing"
    return "number" if is_number(text, decimal) else "word"


def found(grid: list[list[Any]], decimal: str) -> Header:
    """Return the header of a grid, whose rows may differ in length.

    A column is one of numbers if most of its cells in the lower part of the grid are. The first row of numbers is the
    first in which no such column holds a word, and at least one a number.
    """
    sample = [[_kind(cell, decimal) for cell in cells] for cells in grid[len(grid) // 4 :][-_SAMPLE:]]
    lengths = [len(kinds) for kinds in sample]
    width = max((length for length in lengths if lengths.count(length) >= 0.3 * len(lengths)), default=0)
    numeric = []
    for place in range(width):
        kinds = [kinds[place] for kinds in sample if place < len(kinds) and kinds[place] != "missing"]
        if kinds and kinds.count("number") > 0.5 * len(kinds):
            numeric.append(place)
    first = len(grid)
    for place, cells in enumerate(grid):
        kinds = [_kind(cells[column], decimal) for column in numeric if column < len(cells)]
        if "number" in kinds and "word" not in kinds:
            first = place
            break
    if first == len(grid) and not numeric:
        first = min(1, len(grid))  # no number at all: the first line has the names
    above = grid[:first]
    units, names = [""] * width, [""] * width
    if labels := _labelled(above):
        # the column of the labels has no name
        names = ["", *_filled(above[labels[NAMES]], width)[1:]]
        units = ["", *_filled(above[labels[UNITS]], width)[1:]] if UNITS in labels else units
        rest = [cells for place, cells in enumerate(above) if place not in labels.values()]
        return Header(names, units, first, [" ".join(filter(None, map(_text, cells))) for cells in rest])
    place = first - 1
    while place >= 0 and len(above[place]) < 0.6 * width:
        place -= 1
    # Origin writes names, units and comments, in this order
    if (
        place >= 1
        and not _is_units(above[place])
        and _is_units(above[place - 1])
        and len(above[place - 1]) >= 0.6 * width
    ):
        place -= 1
    if place >= 1 and _is_units(above[place]) and len(above[place - 1]) >= 0.6 * width:
        units = _filled(above[place], width)
        place -= 1
    if place >= 0:
        names = _filled(above[place], width)
    preamble = [" ".join(filter(None, map(_text, cells))) for cells in above[: max(place, 0)]]
    return Header(names, units, first, preamble)


def _labelled(above: list[list[Any]]) -> dict[str, int]:
    """Return the places of the rows of names and units by their labels in the first column; empty if it has none."""
    labels = {_text(cells[0]).lower().rstrip(":"): place for place, cells in enumerate(above) if cells}
    return {label: labels[label] for label in (NAMES, UNITS) if label in labels} if NAMES in labels else {}


def _is_units(cells: list[Any]) -> bool:
    """Return whether a row holds units, perhaps in brackets, and nothing else but blanks and number signs."""
    texts = [re.sub(r"^[\[({]\s*|\s*[\])}]$", "", _text(cell)) for cell in cells]
    known = [unit_of(text) is not None for text in texts]
    return any(known) and all(own or text in ("", "#", "-", "1", "a.u.", "arb. u.") for own, text in zip(known, texts))


def _filled(cells: list[Any], width: int) -> list[str]:
    return [_text(cell) for cell in cells[:width]] + [""] * (width - len(cells))
