"""Which cells are magnetic: simple shapes, strips with rough edges and notches, images and OVF files."""

from __future__ import annotations

import io

import numpy as np

from device_sims.problem import ovf
from device_sims.problem.parts import DataFile, Geometry, Mesh, Roughness
from spinloom import streams
from spinloom.errors import UserError

KINDS = ("box", "disc", "ellipse", "rectangle", "strip", "file")


def rough_edge(roughness: Roughness, side: str, nx: int, dx: float) -> np.ndarray:
    """Return an edge's displacement at each column of length ``dx`` (m), ``float64[nx]``, m.

    A stationary Ornstein-Uhlenbeck process sampled exactly at the cell pitch:
    ``e[i+1] = r e[i] + rms sqrt(1 - r^2) N(0, 1)``, ``r = exp(-dx / correlation length)``.
    """
    rng = streams.generator(roughness.seed, "edge roughness", side, roughness.instance)
    normal = rng.standard_normal(nx)
    r = np.exp(-dx / roughness.correlation_length_m)
    edge = np.empty(nx)
    edge[0] = normal[0]
    for i in range(1, nx):
        edge[i] = r * edge[i - 1] + np.sqrt(1 - r * r) * normal[i]
    return roughness.rms_m * edge


def mask(geometry: Geometry, mesh: Mesh) -> np.ndarray:
    """Return the magnetic cells as ``bool[nz, ny, nx]``: those whose centre lies strictly inside the shape.

    All layers are alike, unless an OVF file says otherwise.

    Raises
    ------
    UserError
        If the shape is unknown, does not fit into the box, or leaves no cell or no connected track; or if its file
        cannot be used.
    """
    if geometry.kind == "box":
        return np.ones(mesh.shape, bool)
    if geometry.kind == "file" and geometry.file is not None:
        inside = _from_file(geometry.file, mesh)
    elif geometry.kind == "strip" and geometry.width_m is not None:
        inside = _strip(geometry, mesh, geometry.width_m)
    elif geometry.kind in ("disc", "ellipse", "rectangle"):
        inside = _centred(geometry, mesh)
    else:
        needs = "strip needs width_m, file needs file"
        raise UserError(f"geometry.kind: found '{geometry.kind}', allowed: {', '.join(KINDS)} ({needs})")
    if not inside.any():
        raise UserError("geometry: the shape holds the centre of no cell; allowed: at least one magnetic cell")
    return np.broadcast_to(inside, mesh.shape).copy()


def _coordinates(mesh: Mesh) -> tuple[np.ndarray, np.ndarray]:
    """Return x and y of the cell centres, ``float64[nx]`` and ``float64[ny]``, from the middle of the box, m."""
    x, y = ((np.arange(n) + 0.5 - n / 2) * edge for n, edge in zip((mesh.nx, mesh.ny), mesh.cell_m))
    return x, y


def _centred(geometry: Geometry, mesh: Mesh) -> np.ndarray:
    a, b = size = geometry.size_m or mesh.size_m[:2]
    if max(size[0] - mesh.size_m[0], size[1] - mesh.size_m[1]) > 1e-6 * min(mesh.cell_m):
        raise UserError(f"geometry.size_m: found {a:g} x {b:g}, allowed: at most the box, {mesh.size_m[:2]}")
    if geometry.kind == "disc":
        a = b = a if geometry.size_m else min(size)
    # the rounding of a centre that lies on the edge must not decide
    x, y = (2 * c / (axis * (1 - 1e-9)) for c, axis in zip(_coordinates(mesh), (a, b)))
    if geometry.kind == "rectangle":
        return (np.abs(x)[None, :] < 1) & (np.abs(y)[:, None] < 1)
    return x[None, :] ** 2 + y[:, None] ** 2 < 1


def _strip(geometry: Geometry, mesh: Mesh, width_m: float) -> np.ndarray:
    x = (np.arange(mesh.nx) + 0.5) * mesh.cell_m[0]
    y = _coordinates(mesh)[1]
    top = np.full(mesh.nx, width_m / 2)
    bottom = -top
    if geometry.roughness is not None:
        top = top + rough_edge(geometry.roughness, "top", mesh.nx, mesh.cell_m[0])
        bottom = bottom + rough_edge(geometry.roughness, "bottom", mesh.nx, mesh.cell_m[0])
    for position in geometry.notch_positions_m:
        # triangular notches cut from both edges
        depth = geometry.notch_depth_m * np.clip(1 - np.abs(x - position) / (geometry.notch_width_m / 2), 0, 1)
        top, bottom = top - depth, bottom + depth
    inside = (y[:, None] < top[None, :]) & (y[:, None] > bottom[None, :])
    if not inside.any(axis=0).all():
        raise UserError(
            f"geometry: edge roughness or notches cut a strip of width {width_m:g} m through; "
            "allowed: roughness.rms_m and notches.depth_m well below half the width"
        )
    return inside


def _from_file(file: DataFile, mesh: Mesh) -> np.ndarray:
    content = ovf.contents(file)
    if content[:16].lstrip(b"# ").lower().startswith(b"oommf"):
        components = ovf.parse(content, file.path).values.shape[0]
        return ovf.on_mesh(file, mesh, components)[0] != 0
    brightness = _brightness(content, file.path)
    # the pixel under each cell's centre; the image's first row is the largest y
    sizes = zip(mesh.shape[1:], brightness.shape)
    row, column = (((np.arange(cells) + 0.5) * pixels / cells).astype(int) for cells, pixels in sizes)
    return brightness[row[::-1, None], column[None, :]] < 0.5


def _brightness(content: bytes, name: str) -> np.ndarray:
    """Return an image's brightness (ITU-R BT.601) over white, ``float[rows, columns]``, 0 to 1."""
    from matplotlib.image import imread  # imported here: shapes without an image need no matplotlib

    try:
        image = imread(io.BytesIO(content), format="png" if content[1:4] == b"PNG" else "other")
    except (OSError, ValueError, SyntaxError) as error:
        raise UserError(f"{name}: neither an image nor an OVF file ({error})") from None
    if image.dtype.kind != "f":
        image = image / np.iinfo(image.dtype).max
    if image.ndim == 2:
        return image
    colours, alpha = (image[..., :-1], image[..., -1]) if image.shape[-1] in (2, 4) else (image, 1.0)
    grey = colours @ np.array([0.299, 0.587, 0.114]) if colours.shape[-1] == 3 else colours[..., 0]
    return 1 - alpha * (1 - grey)
