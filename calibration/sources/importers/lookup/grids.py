"""CDF of the change over a grid of (G, dG): ``*_cdf.txt`` and its axes, for set and reset (XBTorch).

The row of the nearest conductance counts, as in the program that defines the grids (XBTorch, ``TabularDevice.write``).
That program draws the dG whose CDF is nearest to a uniform U. Here the CDF is linear between its points, which has the
same mean and less of the spread that comes from the grid: a twelfth of its squared spacing instead of a quarter.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from calibration.sources.importers.lookup import Device, Found, Step
from calibration.sources.importers.lookup.lattice import Pieces
from calibration.sources.importers.lookup.text import number_rows
from calibration.sources.importers.units import check_values
from spinloom.errors import UserError

SHOWN = "*_set*_cdf.txt"
_NAME = re.compile(r"(.+)_(set|reset)(.*)_cdf\.txt")
ROUNDING = 1e-6
# of the probability, beyond the ends of the axis of changes: told, and refused
TOLD, MOST_OUTSIDE = 1e-3, 0.05


@dataclass(frozen=True)
class Grid(Step):
    """Change of the conductance under one pulse, by its CDF.

    Attributes
    ----------
    change_S : ndarray, float64[m]
        Strictly increasing.
    cdf : ndarray, float64[n, m]
        Rises along a row. What it lacks at its ends lies at the first and the last change.
    both_S : ndarray, float64[2]
        Lowest and highest conductance that the grids of both directions have.
    """

    change_S: np.ndarray
    cdf: np.ndarray
    both_S: np.ndarray

    @property
    def ends_S(self) -> np.ndarray:
        """Lowest and highest conductance of the device, S, float64[2]."""
        return self.both_S

    def change(self, conductance: float) -> Pieces:
        """Return the distribution of the change, S, at the nearest of the grid's conductances, S."""
        change, cdf = self.change_S, self.cdf[int(np.abs(self.conductance_S - conductance).argmin())]
        return Pieces(
            np.concatenate([change[:1], change]),
            np.concatenate([change, change[-1:]]),
            np.diff(cdf, prepend=0, append=1),
        )


def is_here(folder: Path) -> bool:
    """Return whether the folder holds such grids."""
    return any(_NAME.fullmatch(path.name) for path in folder.iterdir())


def read(folder: Path, device: str | None, scale: float) -> Found:
    """Read the grids of one device. Its conductances are those that the grids of both directions have.

    Parameters
    ----------
    folder : Path
        Names often tell the pulse (``optuna_exp_1.5V``): several in a folder are not pooled.
    device : str or None
        The files' names without direction and ending; None: the only one.
    scale : float
        Siemens in the files' unit.

    Raises
    ------
    UserError
        Names the file, the row and the column.
    """
    label, pair = _chosen(folder, device)
    grids, notes, files = [], [], []
    for match in pair:
        own = _files(folder, match)
        grid = read_grid(*own, scale)
        outside = np.maximum(grid.cdf[:, 0], 1 - grid.cdf[:, -1]).max()
        if outside > TOLD:
            notes.append(
                f"{own[0].name}: up to {100 * outside:.2g} % of a row lies beyond the axis of changes and is taken "
                "to be at its end"
            )
        grids.append(grid)
        files += own
    low, high = max(grid.ends_S[0] for grid in grids), min(grid.ends_S[1] for grid in grids)
    if low >= high:
        spans = " and ".join(f"{grid.ends_S[0]:g}..{grid.ends_S[1]:g} S" for grid in grids)
        raise UserError(f"{folder}: found conductances {spans} (set and reset), allowed: ranges that overlap")
    up, down = (Grid(grid.conductance_S, grid.change_S, grid.cdf, np.array([low, high])) for grid in grids)
    found = Device(up, down, (pair[0].string, pair[1].string), tuple(dict.fromkeys(files)))
    return Found({label: found}, up.cdf.size + down.cdf.size, tuple(notes))


def read_grid(path: Path, conductance_path: Path, change_path: Path, scale: float = 1.0) -> Grid:
    """Read the grid of one direction.

    Parameters
    ----------
    path : Path
        CDF, one row for each conductance, one column for each change.
    conductance_path, change_path : Path
        The axes.
    scale : float
        Siemens in the axes' unit.

    Raises
    ------
    UserError
        Names the file and the row.
    """
    (lines, conductance), (_, change) = _axis(conductance_path), _axis(change_path)
    check_values(scale * conductance, "conductance_S", lines, str(conductance_path))
    rows = number_rows(path)
    if len(rows) != len(conductance):
        raise UserError(
            f"{path}: found {len(rows)} rows, allowed: {len(conductance)}, one for each value of "
            f"{conductance_path.name}"
        )
    for number, row in rows:
        where = f"{path}: row {number}"
        if len(row) != len(change):
            raise UserError(
                f"{where}: found {len(row)} columns, allowed: {len(change)}, one for each value of {change_path.name}"
            )
        if (falls := np.flatnonzero(np.diff(row) < -ROUNDING)).size:
            column = int(falls[0])
            raise UserError(
                f"{where}, column {column + 2}: found a CDF of {row[column + 1]:g} after {row[column]:g}, allowed: "
                "values that do not fall"
            )
        if row[0] < -ROUNDING or row[-1] > 1 + ROUNDING or row[0] > MOST_OUTSIDE or row[-1] < 1 - MOST_OUTSIDE:
            raise UserError(
                f"{where}: found a CDF from {row[0]:g} to {row[-1]:g}, allowed: from 0 to 1, each within "
                f"{MOST_OUTSIDE:g}"
            )
    # rounding may let it fall by a little
    cdf = np.maximum.accumulate(np.clip([row for _, row in rows], 0, 1), axis=1)
    return Grid(scale * conductance, scale * change, cdf, scale * conductance[[0, -1]])


def _chosen(folder: Path, device: str | None) -> tuple[str, tuple[re.Match[str], re.Match[str]]]:
    """Return the label of the one device and the names of its CDFs, set and reset."""
    found: dict[str, dict[str, re.Match[str]]] = {}
    for path in sorted(folder.iterdir()):
        if match := _NAME.fullmatch(path.name):
            label = "_".join(filter(None, (match[1], match[3].strip("_"))))
            found.setdefault(label, {})[match[2]] = match
    if device is None and len(found) > 1:
        raise UserError(
            f"{folder}: found grids of {len(found)} names, allowed: one, by option device: {', '.join(found)}"
        )
    label = next(iter(found)) if device is None else device
    if label not in found:
        raise UserError(f"{folder}: option device: found {device}, allowed: {', '.join(found)}")
    pair = found[label]
    for way, other in (("set", "reset"), ("reset", "set")):
        if way not in pair:
            raise UserError(
                f"{folder / pair[other].string}: found no grid for {way} beside it, allowed: both directions"
            )
    return label, (pair["set"], pair["reset"])


def _files(folder: Path, match: re.Match[str]) -> tuple[Path, Path, Path]:
    """Return the files of the CDF, its conductances and its changes."""
    stem = folder / match.string.removesuffix("_cdf.txt")
    change = stem.with_name(f"{stem.name}_axis_level_dG.txt")
    # grids of several voltages may share their changes
    shared = folder / f"{match[1]}_{match[2]}_axis_level_dG.txt"
    own = change if change.exists() or not shared.exists() else shared
    return folder / match.string, stem.with_name(f"{stem.name}_axis_level_G.txt"), own


def _axis(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the lines and the values of an axis."""
    rows = number_rows(path)
    for number, row in rows:
        if len(row) != 1:
            raise UserError(f"{path}: row {number}: found {len(row)} values, allowed: 1")
    values = np.array([row[0] for _, row in rows])
    if len(values) < 2:
        raise UserError(f"{path}: found {len(values)} values, allowed: 2 or more")
    if (falls := np.flatnonzero(np.diff(values) <= 0)).size:
        place = int(falls[0]) + 1
        raise UserError(
            f"{path}: row {rows[place][0]}: found {values[place]:g} after {values[place - 1]:g}, "
            "allowed: each above the last"
        )
    return np.array([number for number, _ in rows]), values
