"""Lookup tables of conductance changes, one folder of ``dG_increasing*.txt`` and ``dG_decreasing*.txt`` (CrossSim).

A table tells, for conductances G, the quantile function of the change dG under one pulse. Between the CDF points it is
linear, so a draw is uniform there; between two conductances the quantiles at the same CDF point are interpolated
linearly. Where a column falls with the CDF (in published tables 1 to 5 % of the places), this is still a draw of U and
a look-up at U, as the tables are used by the program that defines them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd

from calibration.card import SCHEMA_VERSION, KernelCard, Meta
from calibration.card.tables import CARD, PULSES
from calibration.counting.estimator import stationary
from calibration.counting.kernel_rows import stated
from calibration.sources.importers.base import Directions, Imported, Switch
from calibration.sources.importers.lattice import Pieces, split
from calibration.sources.importers.measured import DOWN, UP, direction_pulses, directions, instances, pulse_row, unknown
from calibration.sources.importers.reading import Report, folder_of, hint, read_text
from calibration.sources.importers.units import check_values
from calibration.sources.tabular.options import Text
from calibration.sources.tabular.units import CONDUCTANCE_UNITS
from spinloom import quantities
from spinloom.declare import OneOf, Real, Whole, key
from spinloom.errors import UserError
from spinloom.files import sha256_file

MOST_STATES = 1024
BRINGS_STATES = True


class Options(Directions):
    """Options of lookup tables."""

    conductance_unit: Annotated[str, OneOf(lambda: CONDUCTANCE_UNITS)] = key("Unit of the tables' conductances.", "S")
    states: Whole = key("Points of the conductance lattice.", 64, ge=2, le=MOST_STATES)
    device: Text | None = key("Number of the one device to import; null: all.", None)
    by_instance: Switch = key("With several devices, write each one's own kernel too.", True)
    read_voltage_V: Real = key("Voltage of a read.", 0.1)
    read_duration_s: Real = key("Duration of a read.", 5e-9)
    read_noise_fraction: Real = key("Noise of one read over the conductance.", 0, ge=0, le=1)


@dataclass(frozen=True)
class Table:
    """Change of the conductance under one pulse.

    Attributes
    ----------
    conductance_S : ndarray, float64[n]
        Strictly increasing.
    probability : ndarray, float64[m]
        CDF points, strictly increasing from 0 to 1.
    change_S : ndarray, float64[m, n]
        Quantiles.
    """

    conductance_S: np.ndarray
    probability: np.ndarray
    change_S: np.ndarray

    @property
    def mean_change_S(self) -> float:
        """Mean change over the CDF and over the table's conductances, S."""
        return float(np.trapezoid(self.change_S, self.probability, axis=0).mean())

    def landing(self, conductance: float) -> Pieces:
        """Return the distribution of the conductance, S, after a pulse.

        Parameters
        ----------
        conductance : float
            S. Outside of the table's conductances the device stands at their nearer end.

        Returns
        -------
        Pieces
            What would leave the table's conductances stays at their end.
        """
        grid = self.conductance_S
        conductance = float(np.clip(conductance, grid[0], grid[-1]))
        right = int(np.clip(np.searchsorted(grid, conductance), 1, len(grid) - 1))
        share = (conductance - grid[right - 1]) / (grid[right] - grid[right - 1])
        change = (1 - share) * self.change_S[:, right - 1] + share * self.change_S[:, right]
        return Pieces.from_quantiles(self.probability, conductance + change).clipped(grid[0], grid[-1])


def recognise(path: Path, table: object) -> str | None:
    """Return why the folder is one of these, None if it is not."""
    return "a folder with dG_increasing*.txt" if path.is_dir() and any(path.glob("dG_increasing*.txt")) else None


def read(path: str, options: Options) -> Imported:
    """Read the tables of one device or more and put them on one lattice of conductances.

    The lattice runs evenly from the lowest to the highest conductance of all tables. See `lattice.split` for what
    becomes of a step: its mean is exact, its standard deviation is exact unless less than the lattice can show. A row
    of the pooled kernel is the mean over the devices that can have its conductance.

    Parameters
    ----------
    path : str
        Folder with ``dG_increasing{n}.txt`` and ``dG_decreasing{n}.txt`` for each device n, or without a number for
        one. A file has an optional header, the conductances (S), the CDF points and the matrix of changes (S), CDF
        points down, conductances across, separated by commas or blanks.
    options : Options

    Raises
    ------
    UserError
        Names the file, the row and the column.
    """
    folder = folder_of(path)
    plan = direction_pulses(options)
    files = _files(folder, options.device)
    scale = CONDUCTANCE_UNITS[options.conductance_unit]
    tables = [(read_table(up, scale), read_table(down, scale)) for up, down in files.values()]
    for (up, down), pair in zip(tables, files.values()):
        if not np.array_equal(up.conductance_S[[0, -1]], down.conductance_S[[0, -1]]):
            raise UserError(
                f"{pair[DOWN]}: row of conductances: found {_span(down)}, allowed: {_span(up)} as in {pair[UP].name}"
            )
    ways = [
        directions(up.mean_change_S, down.mean_change_S, folder, (pair[UP].name, pair[DOWN].name))
        for (up, down), pair in zip(tables, files.values())
    ]
    ends = np.array([up.conductance_S[[0, -1]] for up, _ in tables])
    lattice = np.linspace(ends[:, 0].min(), ends[:, 1].max(), options.states)
    kernels = np.stack([[kernel(table, lattice) for table in pair] for pair in tables])
    # a lattice point next to a device's range is reached from within it
    pitch = lattice[1] - lattice[0]
    own = (lattice > ends[:, :1] - pitch) & (lattice < ends[:, 1:] + pitch)
    if not own.any(axis=0).all():
        gap = lattice[~own.any(axis=0)][0]
        raise UserError(
            f"{folder}: found no device with the conductance {gap:g} S, allowed: devices whose conductances overlap; "
            "import one with option device"
        )
    pooled = np.einsum("ds,dpst->pst", own / own.sum(axis=0), kernels)
    pooled /= pooled.sum(axis=-1, keepdims=True)
    narrow, excess = _narrow_rows(tables, lattice, own)
    notes = (*(note for way in ways for note in way), *_notes(tables, narrow, excess, pitch, own))
    card = _card(
        folder,
        options,
        plan,
        files,
        lattice,
        pooled,
        kernels,
        {"rows_too_narrow": narrow, "excess_sd_S": excess, "notes": list(notes)},
    )
    rows = sum(table.change_S.size for pair in tables for table in pair)
    return Imported(rows=rows, report=Report().table(), card=card, notes=notes)


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
    lines = [(number, line) for number, line in enumerate(read_text(path).splitlines(), start=1) if line.strip()]
    if not any(_is_number(cell) for cell in _cells(lines[0][1])):
        lines = lines[1:]
    if len(lines) < 4:
        raise UserError(
            f"{path}: found {len(lines)} rows of numbers, allowed: the conductances, the CDF points and 2 rows of "
            "changes, or more"
        )
    rows = [(number, _floats(line, f"{path}: row {number}")) for number, line in lines]
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


def kernel(table: Table, lattice: np.ndarray) -> np.ndarray:
    """Return the probabilities of a pulse between the points of an even lattice.

    Parameters
    ----------
    table : Table
    lattice : ndarray, float64[states]
        S; holds all conductances of the table.

    Returns
    -------
    ndarray, float64[states, states]
        Indexed by from, to.
    """
    pitch = (lattice[-1] - lattice[0]) / (len(lattice) - 1)
    rows = []
    for conductance in lattice:
        step = table.landing(conductance)
        low, high = (np.clip((end - lattice[0]) / pitch, 0, len(lattice) - 1) for end in (step.low, step.high))
        rows.append(split(Pieces(low, high, step.weight), len(lattice)))
    return np.stack(rows)


def _files(folder: Path, device: str | None) -> dict[str, tuple[Path, Path]]:
    """Return the files, up and down, of each device by its label in order."""
    found: dict[str, dict[str, Path]] = {}
    for path in sorted(folder.iterdir()):
        if match := re.fullmatch(r"dG_(increasing|decreasing)(\d*)\.txt", path.name):
            found.setdefault(match[2], {})[match[1]] = path
    if not found:
        raise UserError(f"{folder}: found no table, allowed: dG_increasing.txt and dG_decreasing.txt, or numbered")
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


def _span(table: Table) -> str:
    return f"{table.conductance_S[0]:g}..{table.conductance_S[-1]:g} S"


def _narrow_rows(tables: list[tuple[Table, Table]], lattice: np.ndarray, own: np.ndarray) -> tuple[int, float]:
    """Return how many steps are narrower than the lattice can show, and by how much at most their sd grows, S."""
    pitch = (lattice[-1] - lattice[0]) / (len(lattice) - 1)
    excess = []
    for device, pair in enumerate(tables):
        for step in (table.landing(conductance) for table in pair for conductance in lattice[own[device]]):
            rest = (step.mean - lattice[0]) / pitch % 1
            excess.append(np.sqrt(max(step.variance, rest * (1 - rest) * pitch**2)) - np.sqrt(step.variance))
    # below a thousandth of the pitch it is rounding
    return int(np.sum(np.array(excess) > 1e-3 * pitch)), float(max(excess))


def _notes(
    tables: list[tuple[Table, Table]], narrow: int, excess: float, pitch: float, own: np.ndarray
) -> tuple[str, ...]:
    notes = []
    if narrow:
        notes.append(
            f"{narrow} of {2 * int(own.sum())} steps are narrower than the lattice of pitch {1e6 * pitch:.3g} uS can "
            f"show: their mean is exact, their standard deviation too large by up to {1e6 * excess:.3g} uS; option "
            f"states allows up to {MOST_STATES}"
        )
    falls = np.concatenate([np.diff(table.change_S, axis=0).ravel() < 0 for pair in tables for table in pair]).mean()
    if falls:
        notes.append(f"changes fall with the CDF in {100 * falls:.2g} % of the places; draws are the same either way")
    return tuple(notes)


def _card(
    folder: Path,
    options: Options,
    plan: pd.DataFrame,
    files: dict[str, tuple[Path, Path]],
    lattice: np.ndarray,
    pooled: np.ndarray,
    kernels: np.ndarray,
    lattice_meta: dict[str, Any],
) -> KernelCard:
    state, occupancy = np.arange(len(lattice)), stationary(pooled)
    states = pd.DataFrame(
        {
            "state": state,
            "label": [f"s{number}" for number in state],
            "position_m": np.nan,
            "position_low_m": np.nan,
            "position_high_m": np.nan,
            "conductance_S": lattice,
            "conductance_sd_S": 0.0,
            "count": 0,
            "occupancy": occupancy,
        }
    )
    # a write costs what the state before it conducts
    mean = float(occupancy @ lattice)
    sd = float(np.sqrt(occupancy @ (lattice - mean) ** 2))
    rows = []
    for pulse, fields in enumerate(plan.to_dict("records")):
        rows.append(pulse_row(pulse, fields, options, mean, sd))
    duration, voltage = options.read_duration_s, options.read_voltage_V
    reads = pd.DataFrame(
        {
            "state": state,
            "read_voltage_V": voltage,
            "energy_J": voltage**2 * lattice * duration,
            "latency_s": duration,
            "noise_sd_S": options.read_noise_fraction * lattice,
        }
    )
    # a state is a conductance, so devices differ in their kernels and not in the conductance of a state
    population = pd.DataFrame(
        {
            "instance": np.arange(len(files)),
            "events": 0,
            "conductance_factor": 1.0,
            "conductance_offset_S": 0.0,
            "conductance_offset_se_S": np.nan,
            "position_offset_m": np.nan,
            "position_offset_se_m": np.nan,
        }
    )
    extras = {}
    if len(files) > 1 and options.by_instance:
        parts = [stated(own).assign(instance=instance) for instance, own in enumerate(kernels)]
        extras["by_instance"] = pd.concat(parts, ignore_index=True)
    edges = np.concatenate([lattice[:1], (lattice[1:] + lattice[:-1]) / 2, lattice[-1:]])
    content = {
        "name": options.name or folder.resolve().name,
        "schema_version": SCHEMA_VERSION,
        "flags": {
            "volatile": options.volatile,
            "reset_before_write": False,
            "destructive_read": options.destructive_read,
            "half_select": False,
        },
        "source": {
            "kind": "library",
            "format": "crosssim",
            "files": {file.name: sha256_file(file) for pair in files.values() for file in pair},
            "options": options.given(),
        },
        "units": {column: quantities.of(column).si for schema in CARD.values() for column in schema.columns},
        "states": {"method": "lattice", "coordinate": "conductance_S", "edges": [float(edge) for edge in edges]},
        "import": {
            "devices": [label or "0" for label in files],
            "lattice_pitch_S": float(lattice[1] - lattice[0]),
            **lattice_meta,
        },
        "laws": [],
        "events": 0,
        "lost_events": 0,
        "spread": None,
    }
    pulses = pd.DataFrame(rows).reindex(columns=list(PULSES.columns))
    content["assumed"] = list(unknown(pulses, options))
    transitions = stated(pooled, basis="given")
    return KernelCard(
        states, pulses, transitions, population, reads, Meta.parse(content, str(folder)), extras
    ).validate(folder)
