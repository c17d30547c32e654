"""Resistive crossbars with wires: what a column reads, and what every cell sees while one of them is written.

Row i is driven at its left end through ``driver_resistance_ohm``; column j ends at the bottom in a virtual ground
behind ``sense_resistance_ohm`` (while writing: in a voltage source behind the same resistance). A cell of conductance
G_ij joins row node (i, j) to column node (i, j). Every cell brings one segment of ``wire_resistance_ohm`` to its row,
on the driver's side, and one to its column, on the sense side: the current of cell (i, j) crosses j + 1 row segments
and n - i column segments.

Kirchhoff's law is not solved for the node voltages but for how far each node is off the voltage of its line's source:
below it on rows, above it on columns. Such a shift is the sum of the drop in the resistance at the line's end, common
to the line, and of the drop in the wire up to the node. With x these drops, P the matrix that adds them up for each
cell, D the Laplacian of the wires and V_ij the difference of the voltages of the two sources,

    (D + P^T diag(G) P) x = P^T diag(G) V,        voltage across the cells = V - P x.

Errors are then a few roundings of the largest conductance, however small the wire resistance r; node voltages would
lose a factor 1/(r G). A resistance of zero has no unknown, so zeros are exact and need no small substitute. The common
drop of a floating line is its own unknown voltage. The matrix is symmetric and positive definite: one sparse
factorisation serves all right-hand sides (SuperLU; X. S. Li, ACM TOMS 31, 302 (2005)).

Voltages are positive from row to column, resistances and conductances at least 0; "floating" tells an open line end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from spinloom.errors import UserError

# what the lines without a selected cell are held at, rows and columns, in units of the write voltage; None: they float
SCHEMES = {"1T1R": (0.0, None), "V/2": (1 / 2, 1 / 2), "V/3": (1 / 3, 2 / 3), "floating": (None, None)}
UNSELECTED = ("grounded", "floating")
CHUNK = 64  # right-hand sides solved at once: bounds the memory of large arrays without tiles


class Currents(NamedTuple):
    """State of a driven array of n rows and m columns; all float64."""

    row_node_V: np.ndarray  # [n, m]
    column_node_V: np.ndarray  # [n, m]
    cell_current_A: np.ndarray  # [n, m], from row to column
    row_current_A: np.ndarray  # [n], out of the row drivers
    column_current_A: np.ndarray  # [m], into the virtual grounds
    cell_power_W: np.ndarray  # [n, m]
    wire_power_W: float  # in all wire segments
    driver_power_W: float  # in the driver resistances
    sense_power_W: float  # in the sense resistances


class _Array:
    """A factorised array. Lines that are not held at their ends (bool[n], bool[m]) float."""

    def __init__(self, conductance_S, wire_ohm, driver_ohm, sense_ohm, rows_held=None, columns_held=None):
        n, m = self.shape = conductance_S.shape
        cell = np.arange(n * m).reshape(n, m)
        rows_held = np.ones(n, bool) if rows_held is None else rows_held
        columns_held = np.ones(m, bool) if columns_held is None else columns_held
        self.rows, row_wires = _lines(cell, rows_held, wire_ohm, driver_ohm)
        self.columns, column_wires = _lines(cell[::-1].T, columns_held, wire_ohm, sense_ohm)  # connected at the bottom
        both = sparse.hstack([self.rows, self.columns], format="csr")
        self.load = (both.T @ sparse.diags_array(conductance_S.ravel())).tocsr()
        matrix = (sparse.block_diag([row_wires, column_wires]) + self.load @ both).tocsc()
        options = {"permc_spec": "MMD_AT_PLUS_A", "diag_pivot_thresh": 0.0, "options": {"SymmetricMode": True}}
        self.factors = splu(matrix, **options) if both.shape[1] else None

    def shifts(self, source_V: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return how far row nodes are below and column nodes above their sources, float64[k, n, m] both.

        ``source_V`` (float64[k, n, m]): voltage of the row's source less that of the column's.
        """
        k, own = len(source_V), self.rows.shape[1]
        if self.factors is None:
            return np.zeros((k, *self.shape)), np.zeros((k, *self.shape))
        drops = self.factors.solve(self.load @ source_V.reshape(k, -1).T)
        below, above = self.rows @ drops[:own], self.columns @ drops[own:]
        return below.T.reshape(k, *self.shape), above.T.reshape(k, *self.shape)


def _lines(cells: np.ndarray, held: np.ndarray, wire_ohm: float, end_ohm: float):
    """Return (drops to cells, Laplacian of the wires in S) of parallel lines, both sparse.

    ``cells`` (int[lines, length]) numbers the cells along each line from its connected end; ``held`` (bool[lines]) says
    which lines are connected there. Drops: of the ends of lines that have a resistance there or float, then, with wire
    resistance, of the wire up to every cell in the order of their numbers.
    """
    ends = np.flatnonzero(~held | (end_ohm > 0))
    place = (cells[ends].ravel(), np.repeat(np.arange(ends.size), cells.shape[1]))
    common = sparse.coo_array((np.ones(place[0].size), place), shape=(cells.size, ends.size))
    end = sparse.diags_array(held[ends] / end_ohm if end_ohm > 0 else np.zeros(ends.size))
    if wire_ohm == 0:
        return common, end
    near, far = cells[:, :-1].ravel(), cells[:, 1:].ravel()
    links = sparse.coo_array((np.full(near.size, -1 / wire_ohm), (near, far)), shape=(cells.size, cells.size))
    degree = np.full(cells.size, 2 / wire_ohm)
    degree[cells[:, -1]] = 1 / wire_ohm
    wire = sparse.diags_array(degree) + links + links.T
    return sparse.hstack([common, sparse.eye_array(cells.size)]), sparse.block_diag([end, wire])


def transfer(
    conductance_S: np.ndarray,
    wire_resistance_ohm: float = 0.0,
    driver_resistance_ohm: float = 0.0,
    sense_resistance_ohm: float = 0.0,
) -> np.ndarray:
    """Return the current of column j per volt on row i, all other rows grounded at their drivers.

    The array is linear, so the column currents for any row voltages are exactly ``voltage_V @ transfer``. It is also
    reciprocal: the current of column j per volt on row i is that of row i per volt on column j, so solutions for the
    rows or for the columns serve, whichever are fewer.

    Parameters
    ----------
    conductance_S : ndarray, float64[n, m]
    wire_resistance_ohm : float
        Of one segment, one cell pitch long; rows and columns.
    driver_resistance_ohm, sense_resistance_ohm : float
        At the left end of a row and at the bottom end of a column.

    Returns
    -------
    ndarray, float64[n, m]
        Effective conductance, S; with all resistances 0 the conductances themselves, bit for bit.

    Raises
    ------
    UserError
        If a conductance or resistance is negative or not finite, or the array is not a filled rectangle.
    """
    conductance = _conductance(conductance_S)
    array = _Array(conductance, *_resistances(wire_resistance_ohm, driver_resistance_ohm, sense_resistance_ohm))
    n, m = conductance.shape
    effective = np.empty((n, m))
    for start in range(0, min(n, m), CHUNK):
        driven = np.arange(start, min(start + CHUNK, n, m))
        source = np.zeros((driven.size, n, m))
        if n <= m:  # rows at 1 V, sensed at the columns; else columns at -1 V, sensed at the rows
            source[np.arange(driven.size), driven, :] = 1
        else:
            source[np.arange(driven.size), :, driven] = 1
        below, above = array.shifts(source)
        current = conductance * (source - below - above)
        if n <= m:
            effective[driven] = current.sum(axis=1)
        else:
            effective[:, driven] = current.sum(axis=2).T
    return effective


def tiles(shape: tuple[int, int], tile_rows: int, tile_columns: int) -> list[tuple[slice, slice]]:
    """Return the (rows, columns) of every tile of an array, row by row of tiles; tiles at the far edges may be smaller.

    Raises
    ------
    UserError
        If a tile has no row or no column.
    """
    for name, value in (("tile_rows", tile_rows), ("tile_columns", tile_columns)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise UserError(f"crossbar: {name}: found {value}, allowed: a whole number of at least 1")
    rows, columns = (
        [slice(start, min(start + tile, total)) for start in range(0, total, tile)]
        for total, tile in zip(shape, (tile_rows, tile_columns), strict=True)
    )
    return [(row, column) for row in rows for column in columns]


def tiled_transfer(
    conductance_S: np.ndarray, tile_rows: int, tile_columns: int, *resistances: float, **named: float
) -> np.ndarray:
    """Return `transfer` of an array cut into tiles with lines, drivers and sense circuits of their own.

    The currents of tiles that share columns add behind the sense circuits.

    Parameters
    ----------
    conductance_S : ndarray, float64[n, m]
    tile_rows, tile_columns : int
        Largest size of a tile, see `tiles`.
    *resistances, **named
        As of `transfer`.

    Returns
    -------
    ndarray, float64[n, m]
        Effective conductance, S.

    Raises
    ------
    UserError
        As `transfer` and `tiles`.
    """
    conductance = _conductance(conductance_S)
    effective = np.empty_like(conductance)
    for tile in tiles(conductance.shape, tile_rows, tile_columns):
        effective[tile] = transfer(conductance[tile], *resistances, **named)
    return effective


def currents(
    conductance_S: np.ndarray,
    row_voltage_V: np.ndarray,
    wire_resistance_ohm: float = 0.0,
    driver_resistance_ohm: float = 0.0,
    sense_resistance_ohm: float = 0.0,
) -> Currents:
    """Return node voltages, currents and dissipated powers of an array that is being read.

    Parameters
    ----------
    conductance_S : ndarray, float64[n, m]
    row_voltage_V : ndarray, float64[n]
        Of the sources behind the driver resistances.
    wire_resistance_ohm, driver_resistance_ohm, sense_resistance_ohm : float
        As of `transfer`.

    Raises
    ------
    UserError
        As `transfer`, or if the voltages are not n finite numbers.
    """
    conductance = _conductance(conductance_S)
    voltage = np.asarray(row_voltage_V, dtype=np.float64)
    if voltage.shape != conductance.shape[:1] or not np.all(np.isfinite(voltage)):
        wanted = f"{len(conductance)} finite numbers"
        raise UserError(f"crossbar: row_voltage_V: found shape {voltage.shape} or not finite, allowed: {wanted}")
    wire, driver, sense = _resistances(wire_resistance_ohm, driver_resistance_ohm, sense_resistance_ohm)
    source = np.broadcast_to(voltage[:, None], conductance.shape)
    below, above = (shift[0] for shift in _Array(conductance, wire, driver, sense).shifts(source[None]))
    across = source - below - above
    current = conductance * across
    # a segment carries what the cells behind it take (row) or have given (column)
    row_wire, column_wire = np.cumsum(current[:, ::-1], axis=1), np.cumsum(current, axis=0)
    row, column = row_wire[:, -1], column_wire[-1]
    return Currents(
        row_node_V=source - below,
        column_node_V=above,
        cell_current_A=current,
        row_current_A=row,
        column_current_A=column,
        cell_power_W=current * across,
        wire_power_W=float(wire * (np.sum(row_wire**2) + np.sum(column_wire**2))),
        driver_power_W=float(driver * np.sum(row**2)),
        sense_power_W=float(sense * np.sum(column**2)),
    )


def write_voltages(
    conductance_S: np.ndarray,
    rows_selected: Sequence[int],
    columns_selected: Sequence[int],
    voltage_V: float,
    scheme: str,
    wire_resistance_ohm: float = 0.0,
    driver_resistance_ohm: float = 0.0,
    sense_resistance_ohm: float = 0.0,
) -> np.ndarray:
    """Return the voltage across every cell while the cells where selected rows and columns cross are written.

    Selected rows are driven to V, selected columns to 0; a negative V writes the other way. The rest depends on the
    scheme (without resistances; wires add what the currents of all cells drop on the shared lines):

    ========== =============== ================ ======================== ================================
    scheme     other rows      other columns    half-selected cells see  cells on no selected line see
    ========== =============== ================ ======================== ================================
    V/2        V/2             V/2              V/2                      0
    V/3        V/3             2V/3             V/3                      -V/3, against the write
    floating   float           float            what the network gives   what the network gives
    1T1R       transistors off float            0                        0
    ========== =============== ================ ======================== ================================

    In 1T1R only the cells of the selected rows conduct; the resistance of an open transistor belongs to the conductance
    of its cell. The conductances are those before the write: a cell that switches changes its neighbours' voltages.

    Parameters
    ----------
    conductance_S : ndarray, float64[n, m]
        Above 0 in the schemes with floating lines (floating, 1T1R).
    rows_selected, columns_selected : sequence of int
        At least one each, counted from 0.
    voltage_V : float
    scheme : str
        A key of `SCHEMES`.
    wire_resistance_ohm, driver_resistance_ohm, sense_resistance_ohm : float
        As of `transfer`.

    Returns
    -------
    ndarray, float64[n, m]
        V, positive from row to column; 0 across cells whose transistor is off. See `half_selected`.

    Raises
    ------
    UserError
        As `transfer`, and for an unknown scheme, an index outside the array or given twice, a voltage that is not
        finite, a conductance of 0 at a floating line.
    """
    if scheme not in SCHEMES:
        raise UserError(f"crossbar: scheme: found {scheme}, allowed: {', '.join(SCHEMES)}")
    if not np.isfinite(voltage_V):
        raise UserError(f"crossbar: voltage_V: found {voltage_V}, allowed: a finite number")
    floats = None in SCHEMES[scheme]
    conductance = _conductance(conductance_S, positive=floats)
    rows, columns = _masks(conductance.shape, rows_selected, columns_selected)
    if scheme == "1T1R":
        conductance = conductance * rows[:, None]
    other_row, other_column = SCHEMES[scheme]
    source = np.subtract.outer(
        np.where(rows, voltage_V, (other_row or 0) * voltage_V), np.where(columns, 0.0, (other_column or 0) * voltage_V)
    )
    array = _Array(
        conductance,
        *_resistances(wire_resistance_ohm, driver_resistance_ohm, sense_resistance_ohm),
        rows_held=rows | (other_row is not None),
        columns_held=columns | (other_column is not None),
    )
    below, above = array.shifts(source[None])
    across = source - below[0] - above[0]
    return across * rows[:, None] if scheme == "1T1R" else across


def half_selected(shape: tuple[int, int], rows_selected: Sequence[int], columns_selected: Sequence[int]) -> np.ndarray:
    """Return bool[n, m]: cells on a selected row or a selected column, but not on both."""
    return np.logical_xor.outer(*_masks(shape, rows_selected, columns_selected))


def read_cell(
    conductance_S: np.ndarray,
    row: int,
    column: int,
    unselected: str,
    wire_resistance_ohm: float = 0.0,
    driver_resistance_ohm: float = 0.0,
    sense_resistance_ohm: float = 0.0,
) -> float:
    """Return the conductance that a cell appears to have when it is read alone, S.

    Its row is at 1 V and its column at virtual ground. All other lines are grounded at their ends, or float: then
    current also takes every path row - other column - other row - column. Without resistances a uniform array of n x m
    cells of conductance G appears as ``G + G / (1/(m-1) + 1/((n-1)(m-1)) + 1/(n-1))``.

    Parameters
    ----------
    conductance_S : ndarray, float64[n, m]
        Above 0 if lines float.
    row, column : int
    unselected : str
        "grounded" or "floating".
    wire_resistance_ohm, driver_resistance_ohm, sense_resistance_ohm : float
        As of `transfer`.

    Raises
    ------
    UserError
        As `write_voltages`.
    """
    if unselected not in UNSELECTED:
        raise UserError(f"crossbar: unselected: found {unselected}, allowed: {', '.join(UNSELECTED)}")
    floats = unselected == "floating"
    conductance = _conductance(conductance_S, positive=floats)
    rows, columns = _masks(conductance.shape, [row], [column])
    resistances = _resistances(wire_resistance_ohm, driver_resistance_ohm, sense_resistance_ohm)
    array = _Array(conductance, *resistances, *((rows, columns) if floats else ()))
    source = np.repeat(rows[:, None], len(columns), axis=1).astype(np.float64)
    below, above = array.shifts(source[None])
    return float(conductance[:, column] @ (source - below[0] - above[0])[:, column])


def _conductance(conductance_S, positive: bool = False) -> np.ndarray:
    array = np.asarray(conductance_S, dtype=np.float64)
    if array.ndim != 2 or not array.size:
        raise UserError(f"crossbar: conductance_S: found shape {array.shape}, allowed: rows x columns, at least 1 x 1")
    bad = ~np.isfinite(array) | (array < 0) | (positive & (array == 0))
    if np.any(bad):
        i, j = np.argwhere(bad)[0]
        allowed = "more than 0 at floating lines" if positive else "at least 0"
        raise UserError(f"crossbar: conductance_S: found {array[i, j]} at ({i}, {j}), allowed: finite, {allowed}")
    return array


def _resistances(wire_ohm: float, driver_ohm: float, sense_ohm: float) -> tuple[float, float, float]:
    for name, value in (("wire", wire_ohm), ("driver", driver_ohm), ("sense", sense_ohm)):
        if not 0 <= value < np.inf:
            raise UserError(f"crossbar: {name}_resistance_ohm: found {value}, allowed: finite, at least 0")
    return float(wire_ohm), float(driver_ohm), float(sense_ohm)


def _masks(shape: tuple[int, int], rows: Sequence[int], columns: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    masks = []
    for name, total, chosen in (("rows", shape[0], rows), ("columns", shape[1], columns)):
        chosen = [int(index) for index in chosen]
        if not chosen or len(set(chosen)) < len(chosen) or not all(0 <= index < total for index in chosen):
            raise UserError(f"crossbar: selected {name}: found {chosen}, allowed: different ones of 0 to {total - 1}")
        masks.append(np.isin(np.arange(total), chosen))
    return masks[0], masks[1]
