"""Shapes in a problem file, alone and combined; `geometry` is one, and each region may have one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from device_sims.problem import parts
from device_sims.problem.problem_file.common import check_kind, data_file, given_of
from device_sims.problem.shapes import Kind
from spinloom.declare import Flag, Real, Section, Whole, key
from spinloom.errors import UserError

# the keys that each kind of shape uses, and those that it cannot do without
KINDS = {
    "box": ((), ()),
    "rectangle": (("size_m",), ()),
    "cuboid": (("size_m",), ("size_m",)),
    "disc": (("size_m",), ()),
    "ellipse": (("size_m",), ()),
    "ellipsoid": (("size_m",), ("size_m",)),
    "polygon": (("points_m",), ("points_m",)),
    "range": (("x_m", "y_m", "z_m"), ()),
    "layers": (("layers",), ("layers",)),
    "strip": (("width_m", "roughness", "notches"), ("width_m",)),
    "file": (("file", "values", "colours", "interpolate"), ("file",)),
    "union": (("of",), ("of",)),
    "intersection": (("of",), ("of",)),
    "difference": (("of",), ("of",)),
}
MOVES = ("scale", "rotate_rad", "rotate_axis", "repeat_m", "translate_m", "center_m", "invert")
PLAIN = ("box", "rectangle", "disc", "ellipse", "strip", "file")  # kinds of `parts.Geometry`

Length = Annotated[Real, Field(gt=0, le=0.01)]
Place = Annotated[Real, Field(ge=-0.01, le=0.01)]


class Roughness(Section):
    """Line-edge roughness of the strip."""

    rms_m: Real = key("Root mean square displacement of each edge.", gt=0, le=1e-06)
    correlation_length_m: Real = key("Correlation length along the edge.", 2e-08, gt=0, le=1e-05)
    instance: Whole = key("Number of the fabricated device.", 0, ge=0)


class Notches(Section):
    """Notches in both edges of the strip."""

    positions_m: tuple[Annotated[Real, Field(ge=0, le=0.01)], ...] = key("Centres.", min_length=1, max_length=10000)
    depth_m: Real = key("Depth from each edge.", gt=0, le=1e-06)
    width_m: Real = key("Width at the edge.", gt=0, le=1e-05)
    profile: Literal["triangular", "rounded"] = key("Their outline; rounded is a raised cosine.", "triangular")


class Shape(Section):
    """A shape; docs/problem_file/geometry.md says which keys each kind uses."""

    kind: Kind = key("Kind of shape; in the middle of the box if nothing moves it.")
    size_m: tuple[Length, ...] | None = key(
        "Axes or sides along x and y (disc: the diameter, twice), of cuboid and ellipsoid along z too; as large as the "
        "box if left out.",
        absent=True,
        min_length=2,
        max_length=3,
    )
    points_m: tuple[tuple[Place, Place], ...] | None = key(
        "Corners [x, y] of the polygon in order, from the box's corner.", absent=True, min_length=3, max_length=10000
    )
    x_m: tuple[Place, ...] | None = key(
        "Of a range: from (included) and to (excluded), from the box's corner.",
        absent=True,
        min_length=2,
        max_length=2,
    )
    y_m: tuple[Place, ...] | None = key("The same along y.", absent=True, min_length=2, max_length=2)
    z_m: tuple[Place, ...] | None = key("The same along z.", absent=True, min_length=2, max_length=2)
    layers: tuple[Whole, ...] | None = key(
        "Layers of cells from (included) and to (excluded), 0 at the bottom.", absent=True, min_length=2, max_length=2
    )
    width_m: Real | None = key("Width of the strip.", absent=True, gt=0, le=0.01)
    roughness: Roughness | None = key("Line-edge roughness of the strip.", absent=True)
    notches: Notches | None = key("Notches in both edges of the strip.", absent=True)
    file: str | None = key(
        "Image (dark is material, first row is largest y) or OVF file (what is not zero is material).",
        absent=True,
        min_length=1,
    )
    values: tuple[Real, ...] | None = key(
        "Of an OVF file of one component: the values that belong to the shape.", absent=True, min_length=1
    )
    colours: tuple[Annotated[str, Field(pattern="^#[0-9a-fA-F]{6}$")], ...] | None = key(
        'Of an image: the colours that belong to the shape, as "#ff0000".', absent=True, min_length=1
    )
    interpolate: Flag | None = key("Stretch an OVF file of other cells over the box.", absent=True)
    of: tuple[Shape, ...] | None = key(
        "Shapes to unite, to intersect, or to take from the first.", absent=True, min_length=1, max_length=10000
    )
    scale: tuple[Annotated[Real, Field(gt=0, le=1e6)], ...] | None = key(
        "First move: factors along x, y, z, about the middle of the box.", absent=True, min_length=3, max_length=3
    )
    rotate_rad: Real | None = key(
        "Second move: rotation about the middle of the box, counterclockwise.", absent=True, ge=-100, le=100
    )
    rotate_axis: Literal["x", "y", "z"] | None = key("Axis of the rotation; z if left out.", absent=True)
    repeat_m: tuple[Annotated[Real, Field(ge=0, le=0.01)], ...] | None = key(
        "Third move: repetition with these periods along x, y, z without end; 0: none.",
        absent=True,
        min_length=3,
        max_length=3,
    )
    translate_m: tuple[Place, ...] | None = key(
        "Last move: by how much along x, y and z.", absent=True, min_length=2, max_length=3
    )
    center_m: tuple[Place, ...] | None = key(
        "In place of translate_m: where what stood in the middle of the box is put, from the box's corner.",
        absent=True,
        min_length=2,
        max_length=3,
    )
    invert: Flag | None = key("Everything but the shape.", absent=True)


class Geometry(Shape):
    """Where there is magnetic material."""

    kind: Kind = key("Shape, in the middle of the box if nothing moves it.", "box")
    edge_smoothing: Whole = key(
        "Give a cell the part of its material that lies inside the shape, counted at n^3 points; 0: whole cells.",
        0,
        ge=0,
        le=8,
    )
    beyond_mx: tuple[Annotated[Real, Field(ge=-1, le=1)], ...] | None = key(
        "mx of the track beyond the left and the right end of the box, which removes the charges of its end faces.",
        absent=True,
        min_length=2,
        max_length=2,
    )


def shape_of(given: Shape, where: str, mesh: parts.Mesh, seed: int, folder: Path) -> parts.Shape:
    """Return a shape; `UserError` if its keys do not fit its kind or a file cannot be read."""
    said = _checked(given, where, mesh)
    own: dict[str, Any] = {
        name: tuple(said[name])
        for name in ("size_m", "points_m", "layers", "values", "colours", "scale", "repeat_m")
        if name in said
    }
    own |= {name: said[name] for name in ("rotate_rad", "rotate_axis", "invert") if name in said}
    flat = mesh.size_m[:2]
    if given.kind in ("rectangle", "ellipse", "disc") and "size_m" not in said:
        own["size_m"] = (min(flat),) * 2 if given.kind == "disc" else flat
    if given.kind == "range":
        own["ranges_m"] = tuple(tuple(said[name]) if name in said else None for name in ("x_m", "y_m", "z_m"))
    if given.kind == "strip":
        own["strip"] = _strip_of(given, seed)
    if given.file is not None:
        own["file"] = data_file(given.file, f"{where}.file", folder, bool(given.interpolate))
    if given.of is not None:
        own["operands"] = tuple(shape_of(one, f"{where}.of.{i}", mesh, seed, folder) for i, one in enumerate(given.of))
    if given.translate_m is not None:
        own["translate_m"] = (*given.translate_m, 0.0)[:3]
    if given.center_m is not None:
        middle = [size / 2 for size in mesh.size_m]
        own["translate_m"] = tuple(c - m for c, m in zip((*given.center_m, middle[2])[:3], middle))
    return parts.Shape(given.kind, **own)


def _checked(given: Shape, where: str, mesh: parts.Mesh) -> dict[str, Any]:
    """Return what a shape says; `UserError` if its keys do not agree."""
    said = {name: value for name, value in given_of(given).items() if name not in ("edge_smoothing", "beyond_mx")}
    check_kind(given.kind, said, where, KINDS)
    size, solid = given.size_m, given.kind in ("cuboid", "ellipsoid")
    if size and len(size) != (3 if solid else 2):
        raise UserError(f"{where}.size_m: found {list(size)}, allowed with {given.kind}: {3 if solid else 2} lengths")
    if given.kind == "disc" and size and size[0] != size[1]:
        raise UserError(f"{where}.size_m: found {list(size)}, allowed: two equal lengths, the diameter of the disc")
    if given.kind == "range" and not {"x_m", "y_m", "z_m"} & said.keys():
        raise UserError(f"{where}: found a range without limits, allowed: one or more of x_m, y_m, z_m")
    for name in ("x_m", "y_m", "z_m", "layers"):
        if name in said and not said[name][0] < said[name][1]:
            raise UserError(f"{where}.{name}: found {list(said[name])}, allowed: a first value below the second")
    if given.center_m is not None and given.translate_m is not None:
        raise UserError(f"{where}: found both translate_m and center_m, allowed: one of the two")
    if given.rotate_axis is not None and given.rotate_rad is None:
        raise UserError(f"{where}.rotate_axis: found without rotate_rad, allowed: both")
    return said


def _strip_of(given: Shape, seed: int) -> parts.Geometry:
    rough, notches = given.roughness, given.notches
    return parts.Geometry(
        "strip",
        given.width_m,
        parts.Roughness(rough.rms_m, rough.correlation_length_m, seed, rough.instance) if rough else None,
        notches.positions_m if notches else (),
        notches.depth_m if notches else 0.0,
        notches.width_m if notches else 0.0,
        notch_profile=notches.profile if notches else "triangular",
    )


def geometry_of(given: Geometry, mesh: parts.Mesh, seed: int, folder: Path) -> parts.Geometry:
    """Return where there is material; `UserError` if its keys do not fit its kind or a file cannot be read."""
    beyond = (given.beyond_mx[0], given.beyond_mx[1]) if given.beyond_mx is not None else None
    options: dict[str, Any] = {"edge_smoothing": given.edge_smoothing, "beyond_mx": beyond}
    said = _checked(given, "geometry", mesh)
    # what a geometry could always be keeps its identity
    if given.kind not in PLAIN or {*MOVES, "values", "colours"} & said.keys():
        shape = shape_of(given, "geometry", mesh, seed, folder)
        return parts.Geometry("shape", shape=shape, **options)
    if given.kind == "strip":
        return replace(_strip_of(given, seed), **options)
    size = given.size_m
    file = None
    if given.file is not None:
        file = data_file(given.file, "geometry.file", folder, bool(given.interpolate))
    return parts.Geometry(given.kind, size_m=(size[0], size[1]) if size else None, file=file, **options)
