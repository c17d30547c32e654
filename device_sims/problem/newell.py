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


def _far(component, x, y, z, cell):
    """Return a component between cells many cell edges apart, as the mean of the dipole tensor.

    The difference of two points, one in each of two equal intervals of length d, has a triangular distribution, whose
    three-point Gauss rule (nodes 0 and +-sqrt(2/5) d, weights 7/12 and 5/24) is exact to the fifth power: the relative
    error is of order (d/r)^6, where Newell's difference cancels ever more digits.
    """
    a, b = ("xyz".index(axis) for axis in component)
    nodes = [(-np.sqrt(_REAL(2) / 5), _REAL(5) / 24), (_REAL(0), _REAL(7) / 12), (np.sqrt(_REAL(2) / 5), _REAL(5) / 24)]
    volume = _REAL(cell[0]) * _REAL(cell[1]) * _REAL(cell[2])
    total = np.zeros(np.broadcast(x, y, z).shape, _REAL)
    for i, wi in nodes:
        for j, wj in nodes:
            for k, wk in nodes:
                r = (x + i * cell[0], y + j * cell[1], z + k * cell[2])
                square = r[0] ** 2 + r[1] ** 2 + r[2] ** 2
                total = total + wi * wj * wk * (square * (a == b) - 3 * r[a] * r[b]) / square ** _REAL(2.5)
    return total * volume / (4 * _REAL(np.pi))


FAR = 24  # in longest cell edges; both forms agree there to about 1e-8


def tensor(nx: int, ny: int, cell: tuple[float, float, float], nz: int = 1) -> dict[str, np.ndarray]:
    """Return the tensor between a cell and one ``(k, j, i)`` cells away.

    Parameters
    ----------
    nx, ny, nz : int
        Number of displacements along x, y and z, from 0.
    cell : tuple of float
        Cell edges, in any unit.

    Returns
    -------
    dict
        ``xx yy zz xy xz yz`` as ``float64[nz, ny, nx]``; H = -N M. The parts at negative displacements follow by
        symmetry: an off-diagonal component is odd in each of its two directions, all else is even.
    """
    scale = min(cell)
    edges = [c / scale for c in cell]
    x = (np.arange(nx, dtype=_REAL) * _REAL(edges[0]))[None, None, :]
    y = (np.arange(ny, dtype=_REAL) * _REAL(edges[1]))[None, :, None]
    z = (np.arange(nz, dtype=_REAL) * _REAL(edges[2]))[:, None, None]
    near = {
        "xx": _f,
        "yy": lambda a, b, c: _f(b, a, c),
        "zz": lambda a, b, c: _f(c, b, a),
        "xy": _g,
        "xz": lambda a, b, c: _g(a, c, b),
        "yz": lambda a, b, c: _g(b, c, a),
    }
    far = np.sqrt(x * x + y * y + z * z) > FAR * max(edges)
    x, y, z = (np.broadcast_to(c, far.shape) for c in (x, y, z))
    parts = {}
    for name, function in near.items():
        part = np.empty(far.shape, _REAL)
        part[~far] = _second_difference(function, x[~far], y[~far], z[~far], edges)
        part[far] = _far(name, x[far], y[far], z[far], edges)
        parts[name] = part.astype(np.float64)
    return parts
