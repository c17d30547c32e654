"""Which cells are magnetic, and which part of each: the `Geometry` as a shape."""

from __future__ import annotations

import numpy as np

from device_sims.problem import shapes
from device_sims.problem.parts import Geometry, Mesh, Shape
from spinloom.errors import UserError

KINDS = ("box", "disc", "ellipse", "rectangle", "strip", "file", "shape")


def mask(geometry: Geometry, mesh: Mesh) -> np.ndarray:
    """Return the magnetic cells as ``bool[nz, ny, nx]``: those whose centre lies strictly inside the shape.

    With edge smoothing, those of which any part does.

    Raises
    ------
    UserError
        If the shape is unknown, does not fit into the box, or leaves no cell or no connected track; or if its file
        cannot be used.
    """
    if geometry.kind == "box":
        return np.ones(mesh.shape, bool)
    inside = part(geometry, mesh) > 0 if geometry.edge_smoothing else shapes.cells(as_shape(geometry, mesh), mesh)
    if geometry.kind == "strip" and not inside.any(axis=(0, 1)).all():
        raise UserError(
            f"geometry: found roughness or notches that cut through the strip of width {geometry.width_m:g} m, "
            "allowed: roughness.rms_m and notches.depth_m well below half the width"
        )
    if not inside.any():
        raise UserError(
            "geometry: found a shape that contains the centre of no cell, allowed: at least one magnetic cell"
        )
    return inside


def part(geometry: Geometry, mesh: Mesh) -> np.ndarray:
    """Return the part of each cell that is material, ``float64[nz, ny, nx]``; errors as of `mask`."""
    return shapes.part(as_shape(geometry, mesh), mesh, geometry.edge_smoothing)


def as_shape(geometry: Geometry, mesh: Mesh) -> Shape:
    """Return the geometry in the words of `shapes`.

    Raises
    ------
    UserError
        If it is of no kind, or larger than the box.
    """
    if geometry.kind == "shape" and geometry.shape is not None:
        return geometry.shape
    if geometry.kind == "strip" and geometry.width_m is not None:
        return Shape("strip", strip=geometry)
    if geometry.kind == "file" and geometry.file is not None:
        return Shape("file", file=geometry.file)
    if geometry.kind == "box":
        return Shape("box")
    if geometry.kind not in ("disc", "ellipse", "rectangle"):
        needs = "strip needs width_m, file needs file, shape needs shape"
        raise UserError(f"geometry.kind: found '{geometry.kind}', allowed: {', '.join(KINDS)} ({needs})")
    a, b = size = geometry.size_m or mesh.size_m[:2]
    if max(size[0] - mesh.size_m[0], size[1] - mesh.size_m[1]) > 1e-6 * min(mesh.cell_m):
        raise UserError(f"geometry.size_m: found {a:g} x {b:g}, allowed: at most the box, {mesh.size_m[:2]}")
    if geometry.kind == "disc":
        a = b = a if geometry.size_m else min(size)
    return Shape(geometry.kind, (a, b))
