"""Resistive crossbars with wires: what a column reads.

Row i is driven at its left end through ``driver_resistance_ohm``; column j ends at the bottom in a virtual ground
behind ``sense_resistance_ohm``. A cell of conductance G_ij joins row node (i, j) to column node (i, j). Every cell
brings one segment of ``wire_resistance_ohm`` to its row, on the driver's side, and one to its column, on the sense
side: the current of cell (i, j) crosses j + 1 row segments and n - i column segments.

Kirchhoff's law is not solved for the node voltages but for how far each node is off the voltage of its line's source:
below it on rows, above it on columns. Such a shift is the sum of the drop in the resistance at the line's end, common
to the line, and of the drop in the wire up to the node. With x these drops, P the matrix that adds them up for each
cell, D the Laplacian of the wires and V_ij the difference of the voltages of the two sources,

    (D + P^T diag(G) P) x = P^T diag(G) V,        voltage across the cells = V - P x.

Errors are then a few roundings of the largest conductance, however small the wire resistance r; node voltages would
lose a factor 1/(r G). A resistance of zero has no unknown, so zeros are exact and need no small substitute. The matrix
is symmetric and positive definite: one sparse factorisation serves all right-hand sides (SuperLU; X. S. Li, ACM TOMS
31, 302 (2005)).

Voltages are positive from row to column; resistances and conductances are at least 0.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from spinloom.errors import UserError

CHUNK = 64  # right-hand sides solved at once: bounds the memory of large arrays without tiles


class _Array:
    """A factorised array."""

    def __init__(self, conductance_S, wire_ohm, driver_ohm, sense_ohm):
        n, m = self.shape = conductance_S.shape
        cell = np.arange(n * m).reshape(n, m)
        self.rows, row_wires = _lines(cell, wire_ohm, driver_ohm)
        self.columns, column_wires = _lines(cell[::-1].T, wire_ohm, sense_ohm)  # connected at the bottom
        both = sparse.hstack([self.rows, self.columns], format="csr")
        self.load = sparse.csr_array(both.T @ sparse.diags_array(conductance_S.ravel()))
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
        below = np.asarray(self.rows @ drops[:own])
        above = np.asarray(self.columns @ drops[own:])
        return below.T.reshape(k, *self.shape), above.T.reshape(k, *self.shape)


def _lines(cells: np.ndarray, wire_ohm: float, end_ohm: float):
    """Return (drops to cells, Laplacian of the wires in S) of parallel lines, both sparse.

    ``cells`` (int[lines, length]) numbers the cells along each line from its connected end. Drops: of the ends if they
    have a resistance, then, with wire resistance, of the wire up to every cell in the order of their numbers.
    """
    ends = np.arange(len(cells) if end_ohm > 0 else 0)
    place = (cells[ends].ravel(), np.repeat(np.arange(ends.size), cells.shape[1]))
    common = sparse.coo_array((np.ones(place[0].size), place), shape=(cells.size, ends.size))
    end = sparse.diags_array(np.full(ends.size, 1 / end_ohm if end_ohm > 0 else 0.0))
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


def _conductance(conductance_S) -> np.ndarray:
    array = np.asarray(conductance_S, dtype=np.float64)
    if array.ndim != 2 or not array.size:
        raise UserError(f"crossbar: conductance_S: found shape {array.shape}, allowed: rows x columns, 1 x 1 or larger")
    bad = ~np.isfinite(array) | (array < 0)
    if np.any(bad):
        i, j = np.argwhere(bad)[0]
        raise UserError(f"crossbar: conductance_S: found {array[i, j]} at ({i}, {j}), allowed: finite, at least 0")
    return array


def _resistances(wire_ohm: float, driver_ohm: float, sense_ohm: float) -> tuple[float, float, float]:
    for name, value in (("wire", wire_ohm), ("driver", driver_ohm), ("sense", sense_ohm)):
        if not 0 <= value < np.inf:
            raise UserError(f"crossbar: {name}_resistance_ohm: found {value}, allowed: finite, at least 0")
    return float(wire_ohm), float(driver_ohm), float(sense_ohm)
