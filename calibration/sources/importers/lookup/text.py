"""Rows of numbers of a lookup table's file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from calibration.sources.importers.reading import hint, read_text
from spinloom.errors import UserError


def number_rows(path: str | Path) -> list[tuple[int, np.ndarray]]:
    """Return the rows of numbers, separated by commas or blanks, each with its line in the file.

    Parameters
    ----------
    path : str or Path
        Lines that are empty and a first line of text are passed over.

    Returns
    -------
    list of (int, ndarray)
        Line, and its numbers, float64[columns].

    Raises
    ------
    UserError
        Names the file, the line and the column of what is no finite number.
    """
    lines = [(number, line) for number, line in enumerate(read_text(path).splitlines(), start=1) if line.strip()]
    if not any(_is_number(cell) for cell in _cells(lines[0][1])):
        lines = lines[1:]
    return [(number, _floats(line, f"{path}: row {number}")) for number, line in lines]


def _cells(line: str) -> list[str]:
    return line.replace(",", " ").split()


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _floats(line: str, where: str) -> np.ndarray:
    cells = _cells(line)
    try:
        values = np.array([float(cell) for cell in cells])
    except ValueError:
        column = next(index for index, cell in enumerate(cells) if not _is_number(cell))
        raise UserError(
            f"{where}, column {column + 1}: found {cells[column]!r}, allowed: a number{hint(line)}"
        ) from None
    if (wrong := np.flatnonzero(~np.isfinite(values))).size:
        raise UserError(f"{where}, column {wrong[0] + 1}: found {cells[wrong[0]]}, allowed: a finite number")
    return values
