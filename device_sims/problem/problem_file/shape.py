"""`mesh` and `geometry` of a problem file: the box, its cells, and where there is magnetic material."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from device_sims.problem import parts
from device_sims.problem.problem_file.common import check_kind, data_file, given_of
from spinloom.declare import Real, Section, Whole, key
from spinloom.errors import UserError

MAX_CELLS = 2**22  # beyond it a slip of the keyboard


# the keys that each kind of shape uses, and those that it cannot do without
KINDS = {
    "box": ((), ()),
    "disc": (("size_m",), ()),
    "ellipse": (("size_m",), ()),
    "rectangle": (("size_m",), ()),
    "strip": (("width_m", "roughness", "notches"), ("width_m",)),
    "file": (("file",), ("file",)),
}


class Mesh(Section):
    """The box and its cells; give the number of cells or the size."""

    cell_m: tuple[Annotated[Real, Field(ge=1e-12, le=1e-05)], ...] = key(
        "Cell edges along x, y, z.",
        min_length=3,
        max_length=3,
    )
    cells: tuple[Annotated[Whole, Field(ge=1, le=65536)], ...] | None = key(
        "Number of cells along x, y, z.",
        absent=True,
        min_length=3,
        max_length=3,
    )
    size_m: tuple[Annotated[Real, Field(gt=0, le=0.01)], ...] | None = key(
        "Edges of the box, whole cells long.",
        absent=True,
        min_length=3,
        max_length=3,
    )


class Roughness(Section):
    """Line-edge roughness of the strip."""

    rms_m: Real = key("Root mean square displacement of each edge.", gt=0, le=1e-06)
    correlation_length_m: Real = key("Correlation length along the edge.", 2e-08, gt=0, le=1e-05)
    instance: Whole = key("Number of the fabricated device.", 0, ge=0)


class Notches(Section):
    """Triangular notches in both edges of the strip."""

    positions_m: tuple[Annotated[Real, Field(ge=0, le=0.01)], ...] = key("Centres.", min_length=1, max_length=10000)
    depth_m: Real = key("Depth from each edge.", gt=0, le=1e-06)
    width_m: Real = key("Width at the edge.", gt=0, le=1e-05)


class Geometry(Section):
    """Where there is magnetic material."""

    kind: Literal["box", "disc", "ellipse", "rectangle", "strip", "file"] = key(
        "Shape, in the middle of the box.",
        "box",
    )
    size_m: tuple[Annotated[Real, Field(gt=0, le=0.01)], ...] | None = key(
        "Axes or sides along x and y (disc: the diameter, twice); as large as the box if left out.",
        absent=True,
        min_length=2,
        max_length=2,
    )
    width_m: Real | None = key("Width of the strip.", absent=True, gt=0, le=0.01)
    roughness: Roughness | None = key("Line-edge roughness of the strip.", absent=True)
    notches: Notches | None = key("Triangular notches in both edges of the strip.", absent=True)
    file: str | None = key(
        "Image (dark is material, first row is largest y) or OVF file (first component not zero is material).",
        absent=True,
        min_length=1,
    )


def mesh_of(given: Mesh) -> parts.Mesh:
    """Return the mesh; `UserError` if cells and size do not make one."""
    if (given.cells is None) == (given.size_m is None):
        found = "neither" if given.cells is None else "both"
        raise UserError(f"mesh: found {found} of cells and size_m, allowed: one of them")
    cell = given.cell_m
    counts = given.cells
    if counts is None:
        exact = [size / edge for size, edge in zip(given.size_m or (), cell)]
        counts = [round(number) for number in exact]
        if any(count < 1 or abs(number - count) > 1e-6 * count for number, count in zip(exact, counts)):
            found = list(given.size_m or ())
            raise UserError(f"mesh.size_m: found {found}, allowed: whole multiples of mesh.cell_m = {cell}")
    if math.prod(counts) > MAX_CELLS:
        raise UserError(f"mesh: found {math.prod(counts)} cells, allowed: at most {MAX_CELLS}")
    return parts.Mesh(counts[0], counts[1], (cell[0], cell[1], cell[2]), counts[2])


def geometry_of(given: Geometry, seed: int, folder: Path) -> parts.Geometry:
    """Return the shape; `UserError` if its keys do not fit its kind or a file cannot be read."""
    check_kind(given.kind, given_of(given), "geometry", KINDS)
    size, rough, notches = given.size_m, given.roughness, given.notches
    if given.kind == "disc" and size and size[0] != size[1]:
        raise UserError(f"geometry.size_m: found {list(size)}, allowed: the diameter of the disc, twice")
    return parts.Geometry(
        given.kind,
        given.width_m,
        parts.Roughness(rough.rms_m, rough.correlation_length_m, seed, rough.instance) if rough else None,
        notches.positions_m if notches else (),
        notches.depth_m if notches else 0.0,
        notches.width_m if notches else 0.0,
        (size[0], size[1]) if size else None,
        data_file(given.file, "geometry.file", folder) if given.file is not None else None,
    )
