"""The algebra of shapes: which points, or which cells, a `Shape` holds, by its kind.

* box: all;
* rectangle, cuboid: sides ``size_m``, of two and of three entries;
* disc, ellipse, ellipsoid: axes ``size_m``; disc and ellipse go through all layers;
* polygon: inside the closed line through ``points_m`` (even-odd rule);
* range: ``from <= coordinate < to`` along each axis that ``ranges_m`` limits;
* layers: layers of cells ``from <= k < to``, 0 at the bottom;
* strip: a track along x, with rough edges and notches;
* file: dark pixels, or those of ``colours``, of an image stretched over the box; or the cells of an OVF file that are
  not zero, or have one of ``values``;
* union, intersection, difference of ``operands``; the last is the first without the others.

A shape is scaled, turned, repeated and moved in this order, about the middle of the box, then inverted. A point on the
outline of a rectangle or an ellipse is outside.
"""

from __future__ import annotations

import io
from functools import lru_cache, reduce
from typing import Literal, get_args

import numpy as np

from device_sims.problem import ovf
from device_sims.problem.parts import DataFile, Geometry, Mesh, Roughness, Shape
from spinloom import streams
from spinloom.errors import UserError

Kind = Literal[
    "box",
    "rectangle",
    "cuboid",
    "disc",
    "ellipse",
    "ellipsoid",
    "polygon",
    "range",
    "layers",
    "strip",
    "file",
    "union",
    "intersection",
    "difference",
]
KINDS = get_args(Kind)
OUTLINE = 1 - 1e-9  # the rounding of a centre that lies on the outline must not decide
COLOUR_DISTANCE = 16 / 255  # in red, green and blue, up to which a pixel has a colour

Point = tuple[np.ndarray, np.ndarray, np.ndarray]  # x, y, z from the middle of the box, m, that broadcast together


def cells(shape: Shape, mesh: Mesh) -> np.ndarray:
    """Return the cells whose centre lies in a shape, ``bool[nz, ny, nx]``.

    Raises
    ------
    UserError
        If the kind is unknown, a strip is cut through, or a file cannot be used.
    """
    return np.broadcast_to(_holds(shape, mesh, _points(mesh, (0.0, 0.0, 0.0))), mesh.shape).copy()


def part(shape: Shape, mesh: Mesh, samples: int) -> np.ndarray:
    """Return the part of each cell that lies in a shape, ``float64[nz, ny, nx]``, counted at ``samples``^3 points.

    Raises
    ------
    UserError
        As of `cells`.
    """
    offsets = (np.arange(samples) + 0.5) / samples - 0.5
    total = np.zeros(mesh.shape)
    for x in offsets:
        for y in offsets:
            for z in offsets:
                total += _holds(shape, mesh, _points(mesh, (x, y, z)))
    return total / samples**3


def _points(mesh: Mesh, offset: tuple[float, float, float]) -> Point:
    """Return a point of every cell, ``offset`` cell edges from its centre."""
    counts = (mesh.nx, mesh.ny, mesh.nz)
    x, y, z = ((np.arange(n) + 0.5 + o - n / 2) * edge for n, o, edge in zip(counts, offset, mesh.cell_m))
    return x[None, None, :], y[None, :, None], z[:, None, None]


def _holds(shape: Shape, mesh: Mesh, at: Point) -> np.ndarray:
    """Return whether points lie in a shape, by taking them back to where the shape stood before it was moved."""
    if any(shape.translate_m):
        at = _map(lambda c, move: c - move, at, shape.translate_m)
    if any(shape.repeat_m):
        at = _map(lambda c, period: c - period * np.floor(c / period + 0.5) if period else c, at, shape.repeat_m)
    if shape.rotate_rad:
        at = _turned(at, shape.rotate_axis, -shape.rotate_rad)
    if tuple(shape.scale) != (1.0, 1.0, 1.0):
        at = _map(lambda c, factor: c / factor, at, shape.scale)
    inside = _before_moves(shape, mesh, at)
    return ~inside if shape.invert else inside


def _map(function, at: Point, values: tuple[float, ...]) -> Point:
    x, y, z = (function(c, value) for c, value in zip(at, values))
    return x, y, z


def _turned(at: Point, axis: str, angle_rad: float) -> Point:
    first = ("xyz".index(axis) + 1) % 3
    second = (first + 1) % 3
    a, b, turned = at[first], at[second], list(at)
    turned[first] = np.cos(angle_rad) * a - np.sin(angle_rad) * b
    turned[second] = np.sin(angle_rad) * a + np.cos(angle_rad) * b
    return turned[0], turned[1], turned[2]


def _before_moves(shape: Shape, mesh: Mesh, at: Point) -> np.ndarray:
    kind = shape.kind
    if kind == "box":
        return np.ones((1, 1, 1), bool)
    if kind in ("rectangle", "cuboid"):
        return reduce(np.logical_and, [np.abs(c) < 1 for c in _reduced(at, shape.size_m)])
    if kind in ("disc", "ellipse", "ellipsoid"):
        return reduce(np.add, [c**2 for c in _reduced(at, shape.size_m)]) < 1
    if kind == "range":
        return reduce(np.logical_and, _within(shape, mesh, at), np.ones((1, 1, 1), bool))
    if kind == "layers":
        layer = np.round(at[2] / mesh.cell_m[2] + mesh.nz / 2 - 0.5, 6)
        return (layer >= shape.layers[0] - 0.5) & (layer < shape.layers[1] - 0.5)
    if kind == "polygon":
        return _polygon(shape.points_m, at[0] + mesh.size_m[0] / 2, at[1] + mesh.size_m[1] / 2)
    if kind == "strip" and shape.strip is not None:
        return _strip(shape.strip, mesh, at)
    if kind == "file" and shape.file is not None:
        return _from_file(shape.file, shape.values, shape.colours, mesh, at)
    if kind in ("union", "intersection", "difference") and shape.operands:
        first, *others = (_holds(one, mesh, at) for one in shape.operands)
        if kind == "union":
            return reduce(np.logical_or, others, first)
        return reduce(np.logical_and, others if kind == "intersection" else [~one for one in others], first)
    raise UserError(f"shape: found kind '{kind}', allowed: {', '.join(KINDS)}, each with its own keys")


def _reduced(at: Point, size_m: tuple[float, ...]) -> list[np.ndarray]:
    """Return coordinates in halves of the size."""
    return [2 * c / (axis * OUTLINE) for c, axis in zip(at, size_m)]


def _within(shape: Shape, mesh: Mesh, at: Point) -> list[np.ndarray]:
    found = []
    for c, limits, edge, size in zip(at, shape.ranges_m, mesh.cell_m, mesh.size_m):
        if limits is not None:
            low, high = (limit - size / 2 - 1e-6 * edge for limit in limits)  # a centre on a limit lies above it
            found.append((low <= c) & (c < high))
    return found


def _polygon(points_m: tuple[tuple[float, float], ...], x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return whether an odd number of sides lies to the right of each point."""
    inside = np.zeros(np.broadcast(x, y).shape, bool)
    for (x0, y0), (x1, y1) in zip(points_m, (*points_m[1:], points_m[0])):
        if y0 != y1:
            crosses = (y0 <= y) != (y1 <= y)
            inside ^= crosses & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
    return inside


# -- strips --------------------------------------------------------------------------------------------------------
def rough_edge(roughness: Roughness, side: str, nx: int, dx: float, first: int = 0) -> np.ndarray:
    """Return an edge's displacement at ``nx`` columns of length ``dx`` (m) from the ``first`` on, ``float64[nx]``, m.

    A stationary Ornstein-Uhlenbeck process sampled exactly at the cell pitch:
    ``e[i+1] = r e[i] + rms sqrt(1 - r^2) N(0, 1)``, ``r = exp(-dx / correlation length)``. What precedes column 0
    is the process continued backwards with a stream of its own, so a column has one displacement for any ``first``.
    """
    if first > 0:
        return rough_edge(roughness, side, first + nx, dx)[first:]
    if first < 0:
        known = rough_edge(roughness, side, max(first + nx, 1), dx)
        rng = streams.generator(roughness.seed, "edge roughness", side, roughness.instance, "before the track")
        r, before = np.exp(-dx / roughness.correlation_length_m), [known[0] / (roughness.rms_m or 1.0)]
        for normal in rng.standard_normal(-first):
            before.append(r * before[-1] + np.sqrt(1 - r * r) * normal)
        return np.concatenate([roughness.rms_m * np.array(before[:0:-1]), known])[:nx]
    rng = streams.generator(roughness.seed, "edge roughness", side, roughness.instance)
    normal = rng.standard_normal(nx)
    r = np.exp(-dx / roughness.correlation_length_m)
    edge = np.empty(nx)
    edge[0] = normal[0]
    for i in range(1, nx):
        edge[i] = r * edge[i - 1] + np.sqrt(1 - r * r) * normal[i]
    return roughness.rms_m * edge


@lru_cache(maxsize=64)
def _edges(strip: Geometry, nx: int, dx: float) -> tuple[np.ndarray, np.ndarray]:
    """Return y of the upper and the lower edge at the middle of each column, m from the strip's axis."""
    x = (strip.first_column + np.arange(nx) + 0.5) * dx
    top = np.full(nx, (strip.width_m or 0.0) / 2)
    bottom = -top
    if strip.roughness is not None:
        top = top + rough_edge(strip.roughness, "top", nx, dx, strip.first_column)
        bottom = bottom + rough_edge(strip.roughness, "bottom", nx, dx, strip.first_column)
    for position in strip.notch_positions_m:
        # cut from both edges
        depth = strip.notch_depth_m * _notch(np.abs(x - position) / (strip.notch_width_m / 2), strip.notch_profile)
        top, bottom = top - depth, bottom + depth
    return top, bottom


def _notch(away: np.ndarray, profile: str) -> np.ndarray:
    """Return a notch's depth over its deepest; ``away`` is the distance from its centre over half of its width."""
    inside = np.clip(1 - away, 0, 1)
    return inside if profile == "triangular" else np.sin(np.pi / 2 * inside) ** 2


def _strip(strip: Geometry, mesh: Mesh, at: Point) -> np.ndarray:
    top, bottom = _edges(strip, mesh.nx, mesh.cell_m[0])
    columns = np.arange(mesh.nx)
    column = np.round(at[0] / mesh.cell_m[0] + mesh.nx / 2 - 0.5, 6)  # whole at the centres of cells
    return (at[1] < np.interp(column, columns, top)) & (at[1] > np.interp(column, columns, bottom))


# -- files ---------------------------------------------------------------------------------------------------------
def _from_file(
    file: DataFile, values: tuple[float, ...], colours: tuple[str, ...], mesh: Mesh, at: Point
) -> np.ndarray:
    fractions = [c / size + 0.5 for c, size in zip(at, mesh.size_m)]
    field = _field(file, mesh)
    if field is not None:
        if colours:
            raise UserError(
                f"{file.path}: found an OVF file together with the key colours, allowed: an image, or the key values"
            )
        if values and len(field) > 1:
            raise UserError(f"{file.path}: found {len(field)} components for values, allowed: one")
        material = np.isin(field[0], values) if values else (field != 0).any(0)
    else:
        if values:
            raise UserError(
                f"{file.path}: found an image together with the key values, allowed: an OVF file, or the key colours"
            )
        material = _pixels(file, colours)[None]
        fractions[1] = 1 - fractions[1]  # an image's first row is the largest y
    index, inside = [], np.ones((1, 1, 1), bool)
    for axis, (fraction, count) in enumerate(zip(reversed(fractions), material.shape)):
        # the pixel that the point lies in; beyond the box there is nothing, but an image goes through all layers
        inside = inside if axis == 0 and count == 1 else inside & (fraction > 0) & (fraction < 1)
        index.append(np.clip(np.round(fraction * count, 9).astype(int), 0, count - 1))
    return material[tuple(np.broadcast_arrays(*index))] & inside


@lru_cache(maxsize=4)  # many regions may look at one file
def _field(file: DataFile, mesh: Mesh) -> np.ndarray | None:
    """Return the values of an OVF file, None if it is none."""
    return ovf.on_mesh(file, mesh, None, nearest=True) if ovf.is_ovf(ovf.contents(file)) else None


def _pixels(file: DataFile, colours: tuple[str, ...]) -> np.ndarray:
    """Return an image's dark pixels over white, or those of any of the colours, ``bool[rows, columns]``."""
    rgb, alpha = _image(file)
    if not colours:
        # brightness after ITU-R BT.601
        grey = rgb @ np.array([0.299, 0.587, 0.114]) if rgb.shape[-1] == 3 else rgb[..., 0]
        return 1 - alpha * (1 - grey) < 0.5
    over_white = 1 - np.asarray(alpha)[..., None] * (1 - rgb)
    wanted = [np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255 for colour in colours]
    near = [(np.abs(over_white - one) <= COLOUR_DISTANCE).all(-1) for one in wanted]
    return reduce(np.logical_or, near, np.zeros(rgb.shape[:2], bool))


@lru_cache(maxsize=4)
def _image(file: DataFile) -> tuple[np.ndarray, np.ndarray | float]:
    """Return an image as ``float[rows, columns, 1 or 3]``, 0 to 1, and its opacity, ``float[rows, columns]`` or 1."""
    from matplotlib.image import imread  # imported here: shapes without an image need no matplotlib

    content = ovf.contents(file)
    try:
        image = imread(io.BytesIO(content), format="png" if content[1:4] == b"PNG" else "other")
    except (OSError, ValueError, SyntaxError) as error:
        raise UserError(f"{file.path}: found neither an image nor an OVF file ({error})") from None
    if image.dtype.kind != "f":
        image = image / np.iinfo(image.dtype).max
    image = image[..., None] if image.ndim == 2 else image
    return (image[..., :-1], image[..., -1]) if image.shape[-1] in (2, 4) else (image, 1.0)
