"""`mesh` of a problem file: the box and its cells."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field

from device_sims.problem import parts
from spinloom.declare import Real, Section, Whole, key
from spinloom.errors import UserError

MAX_CELLS = 2**22  # beyond it a slip of the keyboard
MAX_REPEATED = 2**25  # cells whose stray field is summed, which takes minutes


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
    periodic: tuple[Annotated[Whole, Field(ge=0, le=1000)], ...] = key(
        "Repetitions along x and y, as in mumax3's SetPBC; 0 where the box ends.", (0, 0), min_length=2, max_length=2
    )


def mesh_of(given: Mesh) -> parts.Mesh:
    """Return the mesh; `UserError` if cells and size do not make one."""
    if (given.cells is None) == (given.size_m is None):
        found = "neither" if given.cells is None else "both"
        raise UserError(f"mesh: found {found} of cells and size_m, allowed: exactly one of the two")
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
    periodic = given.periodic[0], given.periodic[1]
    repeated = math.prod(count * max(1, n) for count, n in zip(counts, (*periodic, 1)))
    if repeated > MAX_REPEATED:
        raise UserError(
            f"mesh.periodic: found {repeated} cells if all repetitions are counted, allowed: at most {MAX_REPEATED}"
        )
    return parts.Mesh(counts[0], counts[1], (cell[0], cell[1], cell[2]), counts[2], periodic)
