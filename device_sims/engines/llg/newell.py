"""Demagnetising tensor of rectangular cells.

Newell, Williams and Dunlop, J. Geophys. Res. 98, 9551 (1993): the tensor between two equal boxes is a second
difference, in each direction, of two closed functions f (diagonal) and g (off-diagonal). Computed in extended
precision, because that difference cancels about twelve digits for cells that are far apart.
"""

from __future__ import annotations

import numpy as np

_REAL = np.longdouble


def _ratio(a, b):
    return np.divide(a, b, out=np.zeros(np.broadcast(a, b).shape, _REAL), where=b != 0)


def _f(x, y, z):
    x, y, z = np.abs(x), np.abs(y), np.abs(z)
    r = np.sqrt(x * x + y * y + z * z)
    return (
        y / 2 * (z * z - x * x) * np.arcsinh(_ratio(y, np.sqrt(x * x + z * z)))
        + z / 2 * (y * y - x * x) * np.arcsinh(_ratio(z, np.sqrt(x * x + y * y)))
        - x * y * z * np.arctan(_ratio(y * z, x * r))
        + (2 * x * x - y * y - z * z) * r / 6
    )


def _g(x, y, z):
    z = np.abs(z)
    r = np.sqrt(x * x + y * y + z * z)
    return (
        x * y * z * np.arcsinh(_ratio(z, np.sqrt(x * x + y * y)))
        + y / 6 * (3 * z * z - y * y) * np.arcsinh(_ratio(x, np.sqrt(y * y + z * z)))
        + x / 6 * (3 * z * z - x * x) * np.arcsinh(_ratio(y, np.sqrt(x * x + z * z)))
        - z**3 / 6 * np.arctan(_ratio(x * y, z * r))
        - z * y * y / 2 * np.arctan(_ratio(x * z, y * r))
        - z * x * x / 2 * np.arctan(_ratio(y * z, x * r))
        - x * y * r / 3
    )


def _second_difference(function, x, y, z, cell):
    dx, dy, dz = (_REAL(c) for c in cell)
    weights = {-1: -1, 0: 2, 1: -1}
    total = np.zeros(np.broadcast(x, y, z).shape, _REAL)
    for i, wi in weights.items():
        for j, wj in weights.items():
            for k, wk in weights.items():
                total = total + wi * wj * wk * function(x + i * dx, y + j * dy, z + k * dz)
    return total / (4 * _REAL(np.pi) * dx * dy * dz)


def tensor(nx: int, ny: int, cell: tuple[float, float, float]) -> dict[str, np.ndarray]:
    """Return the tensor between a cell and one ``(j, i)`` cells away, in one layer.

    Parameters
    ----------
    nx, ny : int
        Number of displacements along x and y, from 0.
    cell : tuple of float
        Cell edges, in any unit.

    Returns
    -------
    dict
        ``xx yy zz xy`` as ``float64[ny, nx]``; H = -N M. ``xz`` and ``yz`` vanish within a layer, and the parts
        at negative displacements follow by symmetry: all even but ``xy``, odd in x and in y.
    """
    scale = min(cell)
    cell = tuple(c / scale for c in cell)
    x = np.arange(nx, dtype=_REAL)[None, :] * _REAL(cell[0])
    y = np.arange(ny, dtype=_REAL)[:, None] * _REAL(cell[1])
    z = np.zeros((1, 1), _REAL)
    dx, dy, dz = cell
    parts = {
        "xx": _second_difference(_f, x, y, z, (dx, dy, dz)),
        "yy": _second_difference(lambda a, b, c: _f(b, a, c), x, y, z, cell),
        "zz": _second_difference(lambda a, b, c: _f(c, b, a), x, y, z, cell),
        "xy": _second_difference(_g, x, y, z, cell),
    }
    return {name: part.astype(np.float64) for name, part in parts.items()}
