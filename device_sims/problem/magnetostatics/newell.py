"""Demagnetising tensor of rectangular cells.

Newell, Williams and Dunlop, J. Geophys. Res. 98, 9551 (1993): the tensor between two equal boxes is a second
difference, in each direction, of two closed functions f (diagonal) and g (off-diagonal). Computed in extended
precision, because that difference cancels about twelve digits for cells that are far apart.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from device_sims.problem.parts import Mesh

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
    real = x.dtype.type
    nodes = [(-np.sqrt(real(2) / 5), real(5) / 24), (real(0), real(7) / 12), (np.sqrt(real(2) / 5), real(5) / 24)]
    volume = real(cell[0]) * real(cell[1]) * real(cell[2])
    total = np.zeros(np.broadcast(x, y, z).shape, real)
    for i, wi in nodes:
        for j, wj in nodes:
            for k, wk in nodes:
                r = (x + i * cell[0], y + j * cell[1], z + k * cell[2])
                square = r[0] ** 2 + r[1] ** 2 + r[2] ** 2
                total = total + wi * wj * wk * (square * (a == b) - 3 * r[a] * r[b]) / square ** real(2.5)
    return total * volume / (4 * real(np.pi))


def between(
    nx: int, ny: int, edges: tuple[float, float], inner: tuple[float, float], outer: tuple[float, float]
) -> np.ndarray:
    """Return the mean normal field in a box of another one that is magnetised along the normal: H per M.

    Newell's difference with two intervals of any length along z: ``F(t1 - s0) - F(t1 - s1) - F(t0 - s0) + F(t0 - s1)``
    of the target's faces t and the source's s, where boxes of one thickness have a second difference.

    Parameters
    ----------
    nx, ny : int
        Number of displacements along x and y, from 0.
    edges : tuple of float
        Edges of both boxes along x and y, in any unit.
    inner, outer : tuple of float
        Lower and upper face of the box in which the field is, and of the magnetised one, in the same unit.

    Returns
    -------
    float64[ny, nx]
    """
    scale = min(*edges, inner[1] - inner[0], outer[1] - outer[0])
    dx, dy = (_REAL(edge / scale) for edge in edges)
    (t0, t1), (s0, s1) = ([_REAL(face / scale) for face in pair] for pair in (inner, outer))
    x, y = (np.arange(nx, dtype=_REAL) * dx)[None, :], (np.arange(ny, dtype=_REAL) * dy)[:, None]
    weights = {-1: -1, 0: 2, 1: -1}
    total = np.zeros((ny, nx), _REAL)
    for i, wi in weights.items():
        for j, wj in weights.items():
            for z, sign in ((t1 - s0, 1), (t1 - s1, -1), (t0 - s0, -1), (t0 - s1, 1)):
                total += sign * wi * wj * _f(z + 0 * x + 0 * y, y + j * dy + 0 * x, x + i * dx + 0 * y)
    return (total / (4 * _REAL(np.pi) * dx * dy * (t1 - t0))).astype(np.float64)


FAR = 24  # in longest cell edges; both forms agree there to about 1e-8


def tensor(
    nx: int, ny: int, cell: tuple[float, float, float], nz: int = 1, far_real: type = _REAL
) -> dict[str, np.ndarray]:
    """Return the tensor between a cell and one ``(k, j, i)`` cells away.

    Parameters
    ----------
    nx, ny, nz : int
        Number of displacements along x, y and z, from 0.
    cell : tuple of float
        Cell edges, in any unit.
    far_real : type
        Floating-point type of what is far apart, where nothing cancels: float64 is ten times faster.

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
        part[far] = _far(name, x[far].astype(far_real), y[far].astype(far_real), z[far].astype(far_real), edges)
        parts[name] = part.astype(np.float64)
    return parts


@lru_cache(maxsize=8)
def repeated(mesh: Mesh) -> dict[str, np.ndarray]:
    """Return the tensor of a mesh that is periodic along x, y or both, as `tensor` does; arrays are shared.

    It is summed over the cells ``(j + p ny, i + q nx)`` that are less than n box lengths away along a direction of n
    repetitions: the range of mumax3's kernel, the same on both sides of each cell. Along such a direction the
    displacements go once around, ``[nz, ny, nx]`` in all; along the others they start from 0.
    """
    counts = [max(1, n) * size for n, size in zip(mesh.periodic, (mesh.nx, mesh.ny))]
    parts = tensor(counts[0], counts[1], mesh.cell_m, mesh.nz, np.float64)
    for name, part in parts.items():
        for direction, axis in (("x", 2), ("y", 1)):
            if not mesh.wraps[axis]:
                continue
            size = mesh.shape[axis]
            parity = -1 if direction in name and name[0] != name[1] else 1
            # d, d + N, d + 2 N, ... and, mirrored, N - d, 2 N - d, ...; the cell itself once
            origin = part.take([0], axis)
            one_way = part.reshape(*part.shape[:axis], -1, size, *part.shape[axis + 1 :]).sum(axis)
            part = one_way + parity * np.roll(np.flip(one_way, axis), 1, axis)
            part[(slice(None),) * axis + (slice(0, 1),)] -= parity * origin
        parts[name] = part
    return parts


def face_field(nx: int, ny: int, nz: int, cell: tuple[float, float, float]) -> np.ndarray:
    """Return the mean field in cells of a face of charge density 1: H per M.

    A box that is magnetised along x is two charged faces, so Newell's second difference along x is that of two first
    differences, each the field of one face.

    Parameters
    ----------
    nx, ny, nz : int
        Number of cells along x, from the face on, and of displacements along y and z, from 0.
    cell : tuple of float
        Cell edges, in any unit.

    Returns
    -------
    float64[3, nz, ny, nx]
        Of the face at the low-x side of cell 0. The y and z components are odd in y and in z, all else is even.
    """
    scale = min(cell)
    edges = [_REAL(c / scale) for c in cell]
    x, y, z = (np.arange(n, dtype=_REAL) * edge for n, edge in zip((nx, ny, nz), edges))
    x, y, z = x[None, None, :], y[None, :, None], z[:, None, None]
    weights = {-1: -1, 0: 2, 1: -1}
    found = []
    for function in (_f, _g, lambda a, b, c: _g(a, c, b)):
        total = np.zeros((nz, ny, nx), _REAL)
        for j, wj in weights.items():
            for k, wk in weights.items():
                at = y + j * edges[1], z + k * edges[2]
                total += wj * wk * (function(x, *at) - function(x + edges[0], *at))
        found.append(total / (4 * _REAL(np.pi) * edges[0] * edges[1] * edges[2]))
    return np.stack(found).astype(np.float64)
