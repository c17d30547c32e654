"""`outputs` of a problem file: what is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from device_sims.problem import material, parts
from device_sims.problem.problem import Problem, identity_of
from device_sims.problem.problem_file.common import given_of
from device_sims.problem.problem_file.shape import Shape
from device_sims.problem.readings import columns
from device_sims.problem.readings.columns import Column
from spinloom.declare import Flag, Real, Section, Whole, key
from spinloom.errors import UserError

BASE = ("t_s", "mx", "my", "mz", "wall_position_m")  # names that every table has, and energies


class ColumnKeys(Section):
    """Further columns of the table."""

    kind: Literal["wall_position", "wall_kind", "topological_charge", "skyrmion", "core", "mean"] = key(
        "What to read off the magnetisation."
    )
    component: Literal["x", "y", "z"] | None = key(
        "Of m, by which the domains beside a wall are told; z if left out.", absent=True
    )
    region: str | None = key("Look at the cells of the region of this name alone.", absent=True, min_length=1)
    shape: Shape | None = key("Look at the cells in this shape alone.", absent=True)
    name: str = key("Appended to the names of the columns; the region's if left out.", "", pattern="^[A-Za-z0-9_]*$")


class Crop(Section):
    """The part of the box that OVF files hold; all of it along a direction that is left out."""

    x_m: tuple[Real, ...] | None = key(
        "From (included) and to (excluded), of cell centres, from the box's corner.",
        absent=True,
        min_length=2,
        max_length=2,
    )
    y_m: tuple[Real, ...] | None = key("The same along y.", absent=True, min_length=2, max_length=2)
    layers: tuple[Whole, ...] | None = key(
        "Layers of cells from (included) to (excluded), 0 at the bottom.", absent=True, min_length=2, max_length=2
    )


class OutputKeys(Section):
    """What is written."""

    record_interval_s: Real = key("Time between rows of table.csv.", gt=0)
    columns: tuple[ColumnKeys, ...] = key("Further columns of table.csv.", (), max_length=100)
    ovf: Literal["none", "final", "each record"] = key("Which states are written as OVF files.", "none")
    ovf_interval_s: Real | None = key(
        "In place of `ovf`: time between OVF files, taken from the first record at or after it.",
        None,
        gt=0,
    )
    ovf_format: Literal["text", "binary4", "binary8"] = key("Numbers in OVF files.", "binary4")
    fields: tuple[Literal["effective", "stray", "exchange", "dmi", "anisotropy", "zeeman"], ...] = key(
        "Fields, in T, that are written beside each state.", (), max_length=6
    )
    crop: Crop = key("The part of the box that OVF files hold.", Crop)
    drives: Flag | None = key(
        "Whether table.csv has columns for the drives; if left out, where a phase relaxes.", absent=True
    )


@dataclass(frozen=True)
class Outputs:
    """What is written of a trajectory besides its table: see `OutputKeys`.

    ``crop`` are the first and the end of the cells along x, y and z, None for all of the box.
    """

    ovf: str
    ovf_interval_s: float | None
    ovf_format: str
    columns: tuple[Column, ...] = ()
    fields: tuple[str, ...] = ()
    crop: tuple[tuple[int, int], ...] | None = None
    drives: bool = False

    def snapshots(self, t_s: np.ndarray) -> list[int]:
        """Return the records to write as OVF files, given the time of each, float64[records]."""
        if self.ovf_interval_s is None:
            return {"none": [], "final": [len(t_s) - 1], "each record": list(range(len(t_s)))}[self.ovf]
        # the number of the interval that a record lies in; times are sums of steps, hence the tolerance
        number = np.floor(np.asarray(t_s) / self.ovf_interval_s + 1e-6)
        return [0, *(np.flatnonzero(np.diff(number) > 0) + 1).tolist()]

    def identity(self) -> dict[str, Any]:
        """Return what a run's files depend on, without what the first outputs did not have and is not asked for."""
        known = {"ovf": self.ovf, "ovf_format": self.ovf_format, "ovf_interval_s": self.ovf_interval_s}
        more = {"columns": self.columns, "fields": self.fields, "crop": self.crop, "drives": self.drives}
        return known | {name: identity_of(value) for name, value in more.items() if value}


def outputs_of(given: OutputKeys, problem: Problem, shape_of: Callable[[Shape, str], parts.Shape]) -> Outputs:
    """Return what is written; `UserError` if its keys do not agree with each other or with the problem."""
    interval, record = given.ovf_interval_s, given.record_interval_s
    if interval is not None and given.ovf != "none":
        raise UserError("outputs: found both ovf and ovf_interval_s, allowed: one of the two")
    if interval is not None and interval < record * (1 - 1e-6):
        raise UserError(f"outputs.ovf_interval_s: found {interval:g}, allowed: at least record_interval_s = {record:g}")
    for name, asked in (("fields", given.fields), ("crop", given_of(given.crop))):
        if asked and interval is None and given.ovf == "none":
            raise UserError(f"outputs.{name}: found with ovf none, allowed: only if OVF files are written")
    own = _columns(given.columns, problem, shape_of)
    relaxes = any(phase.relax_tolerance is not None for phase in problem.schedule)
    drives = relaxes if given.drives is None else given.drives
    return Outputs(given.ovf, interval, given.ovf_format, own, given.fields, _crop(given.crop, problem.mesh), drives)


def _columns(
    given: tuple[ColumnKeys, ...], problem: Problem, shape_of: Callable[[Shape, str], parts.Shape]
) -> tuple[Column, ...]:
    found, taken = [], {*BASE}
    for number, one in enumerate(given):
        where = f"outputs.columns.{number}"
        if one.component is not None and one.kind not in ("wall_position", "wall_kind"):
            raise UserError(
                f"{where}.component: found with kind {one.kind}, allowed: only with kind wall_position or wall_kind"
            )
        if one.region is not None and one.shape is not None:
            raise UserError(f"{where}: found both region and shape, allowed: one of the two")
        shape = shape_of(one.shape, f"{where}.shape") if one.shape is not None else None
        column = Column(one.kind, one.component or "z", one.region or "", shape, one.name)
        twice = sorted(taken.intersection(column.names))
        if twice:
            raise UserError(f"{where}: found a second column named '{twice[0]}', allowed: another name")
        taken.update(column.names)
        try:
            columns.cells(problem, column, material.mask(problem))
        except UserError as error:
            raise UserError(f"{where}: {error}") from None
        found.append(column)
    return tuple(found)


def _crop(given: Crop, mesh: parts.Mesh) -> tuple[tuple[int, int], ...] | None:
    said = given_of(given)
    if not said:
        return None
    limits = []
    for name, count, edge in (("x_m", mesh.nx, mesh.cell_m[0]), ("y_m", mesh.ny, mesh.cell_m[1])):
        centres = (np.arange(count) + 0.5) * edge
        low, high = said.get(name, (0.0, count * edge))
        limits.append(np.flatnonzero((low <= centres) & (centres < high)))
    low, high = said.get("layers", (0, mesh.nz))
    limits.append(np.arange(mesh.nz)[low:high])
    for name, inside in zip(("x_m", "y_m", "layers"), limits):
        if not len(inside):
            raise UserError(
                f"outputs.crop.{name}: found {list(said[name])}, which contains no cell, allowed: a range with one "
                "cell or more"
            )
    return tuple((int(inside[0]), int(inside[-1]) + 1) for inside in limits)
