"""Quantiles of the change over conductances: ``dG_increasing*.txt`` and ``dG_decreasing*.txt`` (CrossSim).

A table tells, for conductances G, the quantile function of the change dG under one pulse. Between the CDF points it is
linear, so a draw is uniform there; between two conductances the quantiles at the same CDF point are interpolated
linearly. Where a column falls with the CDF (in published tables 1 to 5 % of the places), this is still a draw of U and
a look-up at U, as the tables are used by the program that defines them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from calibration.sources.importers.lookup import Device, Found, Step
from calibration.sources.importers.lookup.lattice import Pieces
from calibration.sources.importers.lookup.text import number_rows
from calibration.sources.importers.measured import DOWN, UP, instances
from calibration.sources.importers.units import check_values
from spinloom.errors import UserError

SHOWN = "dG_increasing*.txt"


@dataclass(frozen=True)
class Table(Step):
    """Change of the conductance under one pulse, by its quantiles.

    Attributes
    ----------
    probability : ndarray, float64[m]
        CDF points, strictly increasing from 0 to 1.
    change_S : ndarray, float64[m, n]
        Quantiles.
    """

    probability: np.ndarray
    change_S: np.ndarray

    @property
    def ends_S(self) -> np.ndarray:
        """Lowest and highest conductance of the device, S, float64[2]."""
        return self.conductance_S[[0, -1]]

    def change(self, conductance: float) -> Pieces:
        """Return the distribution of the change, S, between the quantiles at the two conductances next to one, S."""
        grid = self.conductance_S
        right = int(np.clip(np.searchsorted(grid, conductance), 1, len(grid) - 1))
        share = (conductance - grid[right - 1]) / (grid[right] - grid[right - 1])
        change = (1 - share) * self.change_S[:, right - 1] + share * self.change_S[:, right]
        return Pieces.from_quantiles(self.probability, change)


def is_here(folder: Path) -> bool:
    """Return whether the folder holds such tables."""
    return any(folder.glob(SHOWN))


def read(folder: Path, device: str | None, scale: float) -> Found:
    """Read the tables of one device or more.

    Parameters
    ----------
    folder : Path
    device : str or None
        Number of the one device to read; None: all.
    scale : float
        Siemens in the files' unit.

    Raises
    ------
    UserError
        Names the file, the row and the column.
    """
    devices: dict[str, Device] = {}
    tables = []
    for label, pair in _files(folder, device).items():
        up, down = (read_table(path, scale) for path in pair)
        if not np.array_equal(up.ends_S, down.ends_S):
            raise UserError(
                f"{pair[DOWN]}: row of conductances: found {_span(down)}, allowed: {_span(up)} as in {pair[UP].name}"
            )
        devices[label] = Device(up, down, (pair[UP].name, pair[DOWN].name), pair)
        tables += [up, down]
    falls = np.concatenate([np.diff(table.change_S, axis=0).ravel() < 0 for table in tables]).mean()
    note = f"changes fall with the CDF in {100 * falls:.2g} % of the places; draws are the same either way"
    return Found(devices, sum(table.change_S.size for table in tables), (note,) if falls else ())


def read_table(path: str | Path, scale: float = 1.0) -> Table:
    """Read one lookup table.

    Parameters
    ----------
    path : str or Path
    scale : float
        Siemens in the file's unit.

    Raises
    ------
    UserError
        Names the file and the line.
    """
    rows = number_rows(path)
    if len(rows) < 4:
        raise UserError(
            f"{path}: found {len(rows)} rows of numbers, allowed: the conductances, the CDF points and 2 rows of "
            "changes, or more"
        )
    (at, conductance), (at_cdf, probability), changes = rows[0], rows[1], rows[2:]
    where, where_cdf = f"{path}: row {at}", f"{path}: row {at_cdf}"
    if len(conductance) < 2 or not (np.diff(conductance) > 0).all():
        raise UserError(f"{where}: found conductances that do not increase, allowed: two or more, each above the last")
    if not (np.diff(probability) > 0).all():
        first = int(np.flatnonzero(np.diff(probability) <= 0)[0])
        raise UserError(
            f"{where_cdf}: found CDF point {probability[first + 1]:g} after {probability[first]:g}, "
            "allowed: each above the last"
        )
    if probability[0] != 0 or probability[-1] != 1:
        raise UserError(
            f"{where_cdf}: found CDF points from {probability[0]:g} to {probability[-1]:g}, allowed: from 0 to 1"
        )
    for number, row in changes:
        if len(row) != len(conductance):
            raise UserError(
                f"{path}: row {number}: found {len(row)} changes, allowed: {len(conductance)}, one for each conductance"
            )
    if len(changes) != len(probability):
        raise UserError(
            f"{path}: found {len(changes)} rows of changes, allowed: {len(probability)}, one for each CDF point"
        )
    check_values(scale * conductance, "conductance_S", np.full(len(conductance), at), str(path))
    return Table(scale * conductance, probability, scale * np.array([row for _, row in changes]))


def _files(folder: Path, device: str | None) -> dict[str, tuple[Path, Path]]:
    """Return the files, up and down, of each device by its label in order."""
    found: dict[str, dict[str, Path]] = {}
    for path in sorted(folder.iterdir()):
        if match := re.fullmatch(r"dG_(increasing|decreasing)(\d*)\.txt", path.name):
            found.setdefault(match[2], {})[match[1]] = path
    for label, pair in found.items():
        for direction in ("increasing", "decreasing"):
            if direction not in pair:
                raise UserError(f"{folder}: dG_{direction}{label}.txt: found nothing, allowed: both directions")
    labels, _ = instances(pd.Series(list(found)))
    if device is not None:
        if device not in labels:
            numbered = ", ".join(filter(None, labels)) or "nothing, as the tables have no number"
            raise UserError(f"{folder}: option device: found {device}, allowed: {numbered}")
        labels = [device]
    return {label: (found[label]["increasing"], found[label]["decreasing"]) for label in labels}


def _span(table: Table) -> str:
    return f"{table.conductance_S[0]:g}..{table.conductance_S[-1]:g} S"
