"""Engine ``collective``: from a problem to the numbers that its two equations of motion need."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple, NoReturn

import numpy as np

from device_sims.engines import refuse_terms
from device_sims.engines.collective import tables as tables
from device_sims.problem import (
    BOLTZMANN,
    ELEMENTARY_CHARGE,
    HBAR,
    MU0,
    Drive,
    Phase,
    Problem,
    demands,
    material,
    waveform,
)
from spinloom.errors import UserError


class Lane(NamedTuple):
    """Numbers of one replica in one phase; with a leading axis of lanes once stacked."""

    tables: np.ndarray  # [points, 7] of `tables.Track`
    drives: np.ndarray  # [6, 5]: Ku factor, torque field a, applied field H (3), u; each a waveform's five numbers
    S: np.ndarray  # [3] J/m2
    k: np.ndarray  # [3] J/m3


class Constants(NamedTuple):
    """What the replicas of a chunk share."""

    s: float
    alpha: float
    A: float
    D: float
    M: float  # mu0 Ms, T
    field_like: float
    p: tuple[float, float, float]
    beta: float
    kT: float
    spacing: float  # of the tables, m
    length: float
    one_domain: float  # stray-field energy, J


class Prepared(NamedTuple):
    """A problem's track and its lane in each phase."""

    mask: np.ndarray
    lanes: dict[str, Lane]


def _refuse(key: str, found, allowed: str) -> NoReturn:
    raise UserError(f"collective: {key}: found {found}, allowed: {allowed}")


def prepare(problem: Problem) -> Prepared:
    """Return a problem's tables; problems that differ in their stream alone share them.

    Raises
    ------
    UserError
        Naming the first thing that the model cannot represent.
    """
    return _prepare(replace(problem, stream=()))


@lru_cache(maxsize=256)
def _prepare(problem: Problem) -> Prepared:
    m, initial, mesh = problem.material, problem.initial, problem.mesh
    demands.refuse(problem, "the collective engine")
    if problem.geometry.kind not in ("box", "strip"):
        _refuse("geometry.kind", f"'{problem.geometry.kind}'", "box, strip")
    if problem.geometry.beyond_mx is not None:
        _refuse("geometry.beyond_mx", problem.geometry.beyond_mx, "none, because its domains are up and down")
    if problem.geometry.edge_smoothing:
        _refuse("geometry.edge_smoothing", problem.geometry.edge_smoothing, "0")
    if any("axis" in region.changes for region in problem.regions):
        _refuse("regions", "an axis", "the material's")
    if tuple(m.axis) != (0.0, 0.0, 1.0) or m.Ku2_J_per_m3:
        _refuse("material", f"axis {m.axis}, Ku2 {m.Ku2_J_per_m3:g}", "axis (0, 0, 1), Ku2 0")
    refuse_terms(problem, "collective")
    if m.slonczewski_lambda != 1:
        _refuse("material.slonczewski_lambda", f"{m.slonczewski_lambda:g}", "1")
    if initial.kind != "wall" or initial.tilt_rad or initial.relax_tolerance is not None:
        _refuse(
            "initial",
            f"kind '{initial.kind}', tilt {initial.tilt_rad:g}, relax {initial.relax_tolerance}",
            "an upright wall, not relaxed",
        )
    if initial.inside:
        _refuse("initial.inside", f"{len(initial.inside)} states", "none")
    if not 0 < initial.position_m < mesh.size_m[0]:
        _refuse("initial.position_m", f"{initial.position_m:g}", f"between 0 and {mesh.size_m[0]:g}")
    mask = material.mask(problem)
    cells = material.constants(problem, mask)
    for name, value in cells.items():
        if name != "Ku_J_per_m3" and not np.isscalar(value):
            _refuse(name, "a value that differs from cell to cell", "the same everywhere (only Ku may differ)")
    return Prepared(mask, _lanes(problem, mask, cells["Ku_J_per_m3"]))


def _row(problem: Problem) -> tuple[int, tuple[float, float, float]]:
    """Return the number and the edges of the slices that stand for the track in magnetostatics."""
    mesh, shape = problem.mesh, problem.geometry
    width = shape.width_m if shape.kind == "strip" and shape.width_m is not None else mesh.size_m[1]
    return mesh.nx * tables.SLICES_PER_CELL, (mesh.cell_m[0] / tables.SLICES_PER_CELL, width, mesh.size_m[2])


def _lanes(problem: Problem, mask: np.ndarray, Ku: float | np.ndarray) -> dict[str, Lane]:
    m, (dx, dy, dz), demag = problem.material, problem.mesh.cell_m, problem.numerics.demag
    columns, row = mask.sum((0, 1)), _row(problem)
    torque = HBAR * m.spin_hall_angle / (2 * ELEMENTARY_CHARGE * MU0 * m.Ms_A_per_m * problem.mesh.size_m[2])
    ends = tables.domain_energy(*row, m.Ms_A_per_m)[1] * demag
    lanes = {}
    for phase in problem.schedule:
        column_Ku = (Ku * _region_factor(problem, phase) * mask).sum((0, 1)) / columns
        factor = waveform(phase.Ku_factor)
        middle = float(np.average(column_Ku, weights=columns)) * (factor.start + factor.stop) / 2
        # twelve digits, so that rounding does not make two devices of one
        wall = tables.magnetostatics(*row, m.Ms_A_per_m * demag, m.A_J_per_m, float(f"{middle:.12g}"))
        drives = np.array(
            [
                _numbers(phase.Ku_factor),
                _numbers(phase.current_density_A_per_m2, torque),
                *(_numbers(component, 1 / MU0) for component in phase.field_T),
                _numbers(phase.zhang_li_u_m_per_s),
            ]
        )
        # the least that K can be at any angle, place and time
        peak = np.abs(drives[:, :2]).max(1) + np.abs(drives[:, 2])
        in_plane = math.hypot(*peak[2:4]) + abs(m.field_like_ratio) * math.hypot(*m.polarisation[:2]) * peak[1]
        least_Ku = column_Ku.min() * (min(factor.start, factor.stop) - abs(factor.amplitude))
        least = -1.0 if wall is None else least_Ku + wall.k[2] + min(wall.k[:2])
        if wall is None or least - math.pi / 2 * MU0 * m.Ms_A_per_m * in_plane <= 0:
            _refuse(
                f"phase '{phase.name}'",
                f"Ku down to {least_Ku:.4g} J/m3 under {MU0 * in_plane:.3g} T in the plane",
                "more anisotropy than the stray field and the field in the plane take away",
            )
        track = tables.track(columns * dy * dz, column_Ku, dx, wall.width_m, ends)
        lanes[phase.name] = Lane(np.stack(track, axis=1), drives, np.array(wall.S), np.array(wall.k))
    return lanes


def _numbers(drive: Drive, unit: float = 1.0) -> tuple[float, ...]:
    w = waveform(drive)
    return w.start * unit, w.stop * unit, w.amplitude * unit, w.frequency_Hz, w.phase_rad


def _region_factor(problem: Problem, phase: Phase) -> np.ndarray:
    factor = np.ones(problem.mesh.shape)
    for name, drive in phase.region_Ku_factors:
        w = waveform(drive)
        if w.start != w.stop or w.amplitude:
            _refuse(f"phase '{phase.name}', region '{name}'", "a waveform", "a number")
        inside = [material.region_mask(problem.mesh, region) for region in problem.regions if region.name == name]
        if not inside:
            _refuse(f"phase '{phase.name}'", f"region '{name}'", ", ".join(r.name for r in problem.regions) or "none")
        for here in inside:
            factor[here] *= w.start
    return factor


def constants(problem: Problem) -> Constants:
    """Return what a chunk's problems, of which this is one, share."""
    m = problem.material
    return Constants(
        s=1.0 if problem.initial.up_left else -1.0,
        alpha=m.alpha,
        A=m.A_J_per_m,
        D=m.D_J_per_m2,
        M=MU0 * m.Ms_A_per_m,
        field_like=m.field_like_ratio,
        p=m.polarisation,
        beta=m.zhang_li_beta,
        kT=BOLTZMANN * problem.temperature_K,
        spacing=problem.mesh.cell_m[0] / tables.POINTS_PER_CELL,
        length=problem.mesh.size_m[0],
        one_domain=tables.domain_energy(*_row(problem), m.Ms_A_per_m)[0] * problem.numerics.demag,
    )
