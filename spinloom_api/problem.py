"""Micromagnetic problems in Python: one problem file, its trajectory and its snapshots."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from threadpoolctl import threadpool_limits

from device_sims.problem import Problem as Content
from device_sims.problem import ovf, problem_file
from device_sims.single import run as single
from spinloom.errors import UserError
from spinloom.files import read_table
from spinloom.quantities import of, si
from spinloom_api.shown import facts, with_units

__all__ = ["Problem", "Run", "problem", "run"]


class Problem:
    """What is simulated: a checked problem file; made by `problem`.

    Attributes
    ----------
    content : device_sims.problem.Problem
        Mesh, material, schedule and the rest, in SI units.
    """

    def __init__(self, source: str | Path | dict[str, Any]):
        self._source = source
        self.content: Content = problem_file.load(source)[0]

    def __repr__(self) -> str:
        """Return the file and the sizes."""
        cells = " x ".join(map(str, self._cells))
        return f"<problem {problem_file.called(self._source)}: {cells} cells, {si(self.content.duration_s, 's')}>"

    def _repr_html_(self) -> str:
        given, material = self.content, self.content.material
        size = (f"{edge * 1e9:.4g}" for edge in given.mesh.size_m)
        return facts(
            f"Problem: {problem_file.called(self._source)}",
            {
                "size": f"{' x '.join(size)} nm",
                "cells": " x ".join(map(str, self._cells)),
                "shape": given.geometry.kind,
                "Ms": si(material.Ms_A_per_m, "A/m"),
                "temperature": f"{given.temperature_K:g} K",
                "schedule": ", ".join(f"{phase.name} ({si(phase.duration_s, 's')})" for phase in given.schedule),
                "SHA-256": given.hash()[:16],
            },
        )

    @property
    def _cells(self) -> tuple[int, ...]:
        return tuple(reversed(self.content.mesh.shape))

    def run(
        self,
        engine: str = "llg",
        *,
        replicas: int | None = None,
        seed: int | None = None,
        folder: str | Path | None = None,
    ) -> Run:
        """Simulate the problem as ``python -m device_sims run`` does.

        Parameters
        ----------
        engine : str
            As ``python -m device_sims engines`` lists them.
        replicas : int, optional
            Repetitions with a thermal noise of their own.
        seed : int, optional
            In place of the problem's.
        folder : path, optional
            Of the run's files; the same call goes on in it. None: a temporary one, which goes with the result.

        Raises
        ------
        UserError
            If the engine cannot run the problem, or the folder holds something else.
        """
        kept = tempfile.TemporaryDirectory(prefix="spinloom-") if folder is None else None
        place = Path(kept.name if kept is not None else str(folder))
        # a matrix product may depend on the number of threads, and a table must not
        with threadpool_limits(1):
            single.run(self._source, engine, place, replicas, seed)
        return Run(place, replicas, kept)


class Run:
    """What a run of a problem left; made by `Problem.run`.

    Attributes
    ----------
    folder : Path
        Holds the files (docs/problem_file.md).
    """

    def __init__(self, folder: Path, replicas: int | None, kept: tempfile.TemporaryDirectory[str] | None):
        self.folder, self._kept = folder, kept
        self._places = [folder] if replicas is None else [folder / f"replica_{one:06d}" for one in range(replicas)]

    def __repr__(self) -> str:
        """Return where it is and how large."""
        return f"<run in {self.folder}: {len(self._places)} replicas, {len(self._snapshots(0, 'm'))} snapshots each>"

    def _repr_html_(self) -> str:
        return facts(
            "Run of a problem",
            {
                "folder": self.folder,
                "replicas": len(self._places),
                "snapshots of each": len(self._snapshots(0, "m")),
                "columns": ", ".join(map(str, self.table.columns)),
                "notes": "; ".join(self.notes) or None,
            },
        )

    @property
    def notes(self) -> list[str]:
        """What the engine had to say of the first replica."""
        path = self._places[0] / "notes.txt"
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

    @property
    def table(self) -> pd.DataFrame:
        """``table.csv``, with a column ``replica`` before the others; ``attrs["units"]`` has the units."""
        tables = [read_table(place / "table.csv") for place in self._places]
        numbered = [table.assign(replica=number) for number, table in enumerate(tables)]
        whole = pd.concat(numbered, ignore_index=True)
        return with_units(whole[["replica", *(name for name in whole if name != "replica")]])

    @property
    def trajectory(self) -> xr.Dataset:
        """The table as a Dataset: one variable per column over ``replica`` and ``record``, with units.

        ``t_s`` (s) is a coordinate. It is float64[replica, record], because a condition may end a phase at another time
        in each replica; records that a replica lacks are NaN.
        """
        table = self.table
        table["record"] = table.groupby("replica").cumcount()
        found = xr.Dataset.from_dataframe(table.set_index(["replica", "record"])).set_coords("t_s")
        for name in found.variables:
            found[name].attrs = {"units": of(str(name)).si, "long_name": of(str(name)).label}
        return found

    @property
    def magnetisation(self) -> xr.DataArray:
        """All snapshots, float64[replica, snapshot, component, z, y, x], 0 outside of the magnet.

        x, y and z are centres of cells (m); ``t_s`` (s) is float64[replica, snapshot]. A problem writes snapshots if
        its ``outputs`` ask for them (``ovf``).

        Raises
        ------
        UserError
            If there are none, or not equally many in each replica.
        """
        paths = [self._snapshots(number, "m") for number in range(len(self._places))]
        if not paths[0] or len({len(own) for own in paths}) > 1:
            raise UserError(
                f"{self.folder}: found {', '.join(str(len(own)) for own in paths)} snapshots, allowed: one or more, as "
                "many in each replica (outputs.ovf, outputs.ovf_interval_s of the problem)"
            )
        fields = [[ovf.read(path) for path in own] for own in paths]
        first = fields[0][0]
        sizes = first.values.shape[1:]
        axes = {
            axis: float(first.header.get(f"{axis}min", 0)) + (np.arange(size) + 0.5) * edge
            for axis, size, edge in zip("zyx", sizes, reversed(first.cell_m))
        }
        found = xr.DataArray(
            np.array([[field.values for field in own] for own in fields]),
            dims=("replica", "snapshot", "component", "z", "y", "x"),
            coords={"component": ["x", "y", "z"], **axes},
            name="m",
            attrs={"units": "1", "long_name": "magnetisation"},
        )
        times = [[field.time_s for field in own] for own in fields]
        found = found.assign_coords(t_s=(("replica", "snapshot"), np.array(times)))
        for name in ("x", "y", "z"):
            found[name].attrs["units"] = "m"
        found["t_s"].attrs["units"] = "s"
        return found

    def field(self, snapshot: int = -1, *, name: str = "m", replica: int = 0) -> Any:
        """Return a snapshot as a `discretisedfield.Field`.

        Parameters
        ----------
        snapshot : int
            Number in time; -1 is the last.
        name : str
            ``m``, or ``B_NAME`` (T) with a field of the problem's ``outputs.fields``.
        replica : int

        Returns
        -------
        discretisedfield.Field

        Raises
        ------
        UserError
            If there is no such snapshot, or discretisedfield is not installed.
        """
        try:
            import discretisedfield  # pyright: ignore[reportMissingImports]: an extra
        except ImportError:
            raise UserError("discretisedfield: found no such package; pip install discretisedfield") from None
        if not 0 <= replica < len(self._places):
            raise UserError(f"replica: found {replica}, allowed: 0 to {len(self._places) - 1}")
        paths = self._snapshots(replica, name)
        if not -len(paths) <= snapshot < len(paths):
            raise UserError(f"snapshot: found {snapshot}, allowed: a number of one of the {len(paths)} files of {name}")
        return discretisedfield.Field.from_file(str(paths[snapshot]))

    def _snapshots(self, replica: int, name: str) -> list[Path]:
        return sorted(self._places[replica].glob(f"{name}[0-9]*.ovf"))


def problem(source: str | Path | Mapping[str, Any]) -> Problem:
    """Return a problem.

    Parameters
    ----------
    source : path or mapping
        A problem file (docs/problem_file.md), or what such a file holds; files that a mapping names are relative to the
        current folder.

    Raises
    ------
    UserError
        One line with the file, the key, what was found and what is allowed.
    """
    return Problem(dict(source) if isinstance(source, Mapping) else source)


def run(source: str | Path | Mapping[str, Any], engine: str = "llg", **options: Any) -> Run:
    """Simulate a problem: ``problem(source).run(engine, **options)``; errors as of `Problem.run`."""
    return problem(source).run(engine, **options)
