"""ubermag's systems and problems, both ways: a `micromagneticmodel.System` as a problem file, and back.

Needs discretisedfield and micromagneticmodel. Signs: ubermag's D of ``Cnv_z`` is minus ours; its Slonczewski current is
that of one layer of cells, ours that of the film; its H is in A/m, ours is B = mu0 H.
"""

# ubermag's annotations do not know the attributes that its classes get by decorators
# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false, reportGeneralTypeIssues=false

from __future__ import annotations

from pathlib import Path
from typing import Any

import discretisedfield as df  # pyright: ignore[reportMissingImports]: ubermag is the user's own
import micromagneticmodel as mm  # pyright: ignore[reportMissingImports]: as above
import numpy as np
import yaml

from device_sims.engines.oommf.model import trajectory
from device_sims.problem import GAMMA0, MU0, Problem, material, ovf, problem_file
from device_sims.problem.initial import initial_magnetisation
from spinloom.errors import UserError

GAMMA_ERROR = 1e-3  # relative: every problem has one gamma0


def system_of(problem: Problem) -> mm.System:
    """Return a problem as ubermag's system: what stands still of it, in its first state.

    Raises
    ------
    UserError
        If a drive changes in time, or a term is one that ubermag has no word for.
    """
    mask = material.mask(problem)
    model = trajectory(problem, mask, initial_magnetisation(problem, mask))
    if model.procedures or model.lines:
        said = ", ".join(model.lines) or "a drive that changes in time"
        raise UserError(f"schedule: found {said}, allowed for ubermag: constant drives, and no negative anisotropy")
    return model.system


def problem_file_of(
    system: mm.System,
    folder: str | Path,
    *,
    duration_s: float,
    record_interval_s: float,
    dt_s: float = 1e-13,
    seed: int = 0,
) -> Path:
    """Write a system as a problem file, with OVF files beside it, and return its path.

    Parameters
    ----------
    system : micromagneticmodel.System
        With a magnetisation on a mesh, and an energy.
    folder : path
        New or existing directory for ``problem.yaml``, ``m.ovf`` and maps.
    duration_s, record_interval_s, dt_s : float
        Of the run, of the rows of its table, and its time step: what a system does not say.
    seed : int
        Of the thermal noise.

    Raises
    ------
    UserError
        If the system has what a problem has not: it is named.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    writer = _Writer(system, folder)
    content: dict[str, Any] = {"seed": seed, **writer.content()}
    content["schedule"] = [{"name": "run", "duration_s": duration_s, **writer.drives}]
    thermal = bool(content.get("temperature_K"))
    content["numerics"] = {"integrator": "heun" if thermal else "dopri5", "dt_s": dt_s, "demag": writer.demag}
    content["outputs"] = {"record_interval_s": record_interval_s}
    path = folder / "problem.yaml"
    text = yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=110)
    path.write_text(f"# ubermag's system '{system.name}'\n{text}", encoding="utf-8")
    problem_file.load(path)
    return path


class _Writer:
    def __init__(self, system: mm.System, folder: Path):
        self.system, self.folder = system, folder
        self.mesh, self.demag = system.m.mesh, False
        self.drives: dict[str, Any] = {}
        self.maps: dict[str, str] = {}
        self.material: dict[str, Any] = {}
        self.cell_m = tuple(float(edge) for edge in self.mesh.cell)

    def content(self) -> dict[str, Any]:
        counts = [int(n) for n in self.mesh.n]
        mesh: dict[str, Any] = {"cell_m": list(self.cell_m), "cells": counts}
        if periodic := set(str(self.mesh.bc)) & set("xyz"):
            raise UserError(f"mesh.bc: found '{''.join(sorted(periodic))}', allowed: a mesh that is not periodic")
        values = _array(self.system.m)
        ms = np.sqrt((values**2).sum(0))
        inside = ms > 0
        if not inside.any():
            raise UserError(f"system '{self.system.name}': found m = 0 everywhere, allowed: a magnetisation")
        self._constant("Ms_A_per_m", ms, inside)
        found: dict[str, Any] = {"mesh": mesh}
        if not inside.all():
            found["geometry"] = {"kind": "file", "file": self._file("shape.ovf", inside.astype(float))}
        for term in self.system.energy:
            self._energy(term, inside)
        alpha = None
        for term in self.system.dynamics:
            alpha = term.alpha if isinstance(term, mm.Damping) else alpha
            self._dynamics(term)
        self._constant("alpha", 0.0 if alpha is None else alpha, inside)
        self.material.setdefault("A_J_per_m", 0.0)
        found["material"] = {**self.material, **({"maps": self.maps} if self.maps else {})}
        if self.system.T:
            found["temperature_K"] = float(self.system.T)
        m = np.where(inside, values / np.where(inside, ms, 1), 0.0)
        found["initial"] = {"kind": "file", "file": self._file("m.ovf", m)}
        return found

    def _file(self, name: str, values: np.ndarray) -> str:
        ovf.write(self.folder / name, values, self.cell_m, format="binary8", name=Path(name).stem)
        return name

    def _constant(self, name: str, value: Any, inside: np.ndarray, factor: float = 1.0) -> None:
        """Take over a constant: a number, or a map of its cells."""
        if isinstance(value, dict):
            raise UserError(f"{name}: found values by subregion, allowed: a number or a field")
        cells = (
            _array(value)[0] if isinstance(value, df.Field) else np.broadcast_to(np.asarray(value, float), inside.shape)
        )
        own = np.unique(cells[inside])
        self.material[name] = factor * float(own[-1])
        if len(own) > 1:
            self.maps[name] = self._file(f"{name}.ovf", factor * np.where(inside, cells, own[-1]))

    def _energy(self, term: Any, inside: np.ndarray) -> None:
        if isinstance(term, mm.Exchange):
            self._constant("A_J_per_m", term.A, inside)
        elif isinstance(term, mm.Demag):
            self.demag = True
        elif isinstance(term, mm.Zeeman):
            self._zeeman(term)
        elif isinstance(term, mm.DMI):
            self._dmi(term, inside)
        elif isinstance(term, mm.UniaxialAnisotropy):
            self._anisotropy(term, inside)
        elif isinstance(term, mm.CubicAnisotropy):
            self._constant("Kc1_J_per_m3", term.K, inside)
            self.material["cubic_axes"] = [_direction(term.u1, "u1"), _direction(term.u2, "u2")]
        else:
            raise UserError(f"energy: found {type(term).__name__}, for which a problem file has no term")

    def _zeeman(self, term: Any) -> None:
        if any(isinstance(getattr(term, name, None), kind) for name, kind in (("func", str), ("wave", str))):
            raise UserError("energy: found a Zeeman term that changes in time, allowed: a constant field")
        own = _direction(term.H, "H")
        before = self.drives.get("field_T", [0.0, 0.0, 0.0])
        self.drives["field_T"] = [b + MU0 * h for b, h in zip(before, own)]

    def _dmi(self, term: Any, inside: np.ndarray) -> None:
        names = {"Cnv_z": ("D_J_per_m2", -1.0), "Cnv": ("D_J_per_m2", -1.0), "T": ("Dbulk_J_per_m2", 1.0)}
        if term.crystalclass not in names:
            raise UserError(f"energy: found DMI of class {term.crystalclass}, allowed: {', '.join(names)}")
        name, sign = names[term.crystalclass]
        self._constant(name, term.D, inside, sign)

    def _anisotropy(self, term: Any, inside: np.ndarray) -> None:
        axis = _direction(term.u, "u")
        if not _said(term, "K2"):
            self._uniaxial(term.K, axis, inside)
            return
        if "Ku2_J_per_m3" in self.material or isinstance(term.K2, df.Field):
            raise UserError("energy: found a K2 that differs from place to place, or two of them, allowed: one number")
        # ubermag's -K1 c^2 - K2 c^4 of the cosine c is Ku sin^2 + Ku2 sin^4 with Ku = K1 + 2 K2 and Ku2 = -K2
        self.material |= {"Ku2_J_per_m3": -float(term.K2), "axis": axis}
        first = term.K1 if _said(term, "K1") else 0.0
        if isinstance(first, df.Field):
            raise UserError(
                "energy: found a K1 that differs from place to place together with a K2, allowed: one number"
            )
        if ku := float(first) + 2 * float(term.K2):
            self._uniaxial(ku, axis, inside)

    def _uniaxial(self, strength: Any, axis: list[float], inside: np.ndarray) -> None:
        """Take over Ku sin^2: as the first anisotropy, or as the second one if that has another axis."""
        if "Ku_J_per_m3" not in self.material and self.material.get("axis", axis) == axis:
            self.material["axis"] = axis
            self._constant("Ku_J_per_m3", strength, inside)
        elif "second_Ku_J_per_m3" not in self.material and isinstance(strength, (int, float)):
            self.material |= {"second_Ku_J_per_m3": float(strength), "second_axis": axis}
        else:
            raise UserError(
                "energy: found a third uniaxial anisotropy, allowed: at most two, of which the second is uniform"
            )

    def _dynamics(self, term: Any) -> None:
        if isinstance(term, mm.Precession):
            if abs(term.gamma0 / GAMMA0 - 1) > GAMMA_ERROR:
                raise UserError(f"dynamics: found gamma0 = {term.gamma0:g}, allowed: {GAMMA0:g} m/(A s)")
        elif isinstance(term, mm.ZhangLi):
            self.drives["zhang_li_u_m_per_s"] = _steady(term, "u")
            self.material["zhang_li_beta"] = float(term.beta)
        elif isinstance(term, mm.Slonczewski):
            layers = int(self.mesh.n[2])
            self.drives["current_density_A_per_m2"] = _steady(term, "J") * layers
            self.material |= {
                "spin_hall_angle": float(term.P),
                "polarisation": _direction(term.mp, "mp"),
                "slonczewski_lambda": float(term.Lambda),
                "field_like_ratio": 2 * float(term.eps_prime) / float(term.P),
            }
        elif not isinstance(term, mm.Damping):
            raise UserError(f"dynamics: found {type(term).__name__}, for which a problem file has no term")


def _array(field: Any) -> np.ndarray:
    """Return a field's values, float64[components, nz, ny, nx]."""
    return np.moveaxis(np.asarray(field.array, float), 3, 0).transpose(0, 3, 2, 1)


def _said(term: Any, name: str) -> bool:
    """Return whether a term has a number or a field under a name; ubermag leaves a descriptor where it has not."""
    return isinstance(getattr(term, name, None), (int, float, df.Field))


def _steady(term: Any, name: str) -> float:
    value = getattr(term, name)
    if not isinstance(value, (int, float)) or isinstance(getattr(term, "func", None), str) or _scripted(term):
        what = f"{type(term).__name__}.{name}"
        raise UserError(f"dynamics: found {what} that is a field or changes in time, allowed: a number")
    return float(value)


def _scripted(term: Any) -> bool:
    return isinstance(getattr(term, "tcl_strings", None), dict) and bool(term.tcl_strings)


def _direction(value: Any, name: str) -> list[float]:
    if isinstance(value, (df.Field, dict)):
        raise UserError(f"{name}: found a vector that differs from place to place, allowed: one vector")
    return [float(c) for c in value]
