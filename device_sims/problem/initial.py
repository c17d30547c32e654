"""The magnetisation at t = 0."""

from __future__ import annotations

import math

import numpy as np

from device_sims.problem import material, ovf, shapes
from device_sims.problem.parts import Initial, Inside, Mesh
from device_sims.problem.problem import Problem
from spinloom import streams
from spinloom.errors import UserError


def initial_magnetisation(problem: Problem, mask: np.ndarray) -> np.ndarray:
    """Return the initial unit magnetisation, zero outside the mask; the solver relaxes it if the problem asks so.

    Parameters
    ----------
    problem : Problem
    mask : bool[nz, ny, nx]

    Returns
    -------
    float64[3, nz, ny, nx]

    Raises
    ------
    UserError
        If the kind is unknown, a direction is zero, a state's shape or region holds no cell, or the file does not fit
        or is zero in a magnetic cell.
    """
    initial = problem.initial
    m = _state(problem, initial, "initial.kind")
    for number, inside in enumerate(initial.inside):
        where = f"initial.inside.{number}"
        cells = _cells(problem, inside, where)
        m[:, cells] = _state(problem, inside.state, f"{where}.kind", number)[:, cells]
    m *= mask
    norm = np.sqrt((m * m).sum(0))
    if (norm[mask] == 0).any():
        source = f"{initial.file.path}: found" if initial.file is not None else "initial.direction: found"
        raise UserError(f"{source} a zero vector in a magnetic cell; allowed: vectors of any other length")
    return m / np.where(norm > 0, norm, 1)


def _cells(problem: Problem, inside: Inside, where: str) -> np.ndarray:
    if inside.shape is not None:
        cells = shapes.cells(inside.shape, problem.mesh)
    else:
        named = [region for region in problem.regions if region.name == inside.region]
        if not named:
            known = ", ".join(region.name for region in problem.regions if region.name) or "none has a name"
            raise UserError(f"{where}.region: found '{inside.region}', allowed: the name of a region ({known})")
        cells = material.region_mask(problem.mesh, named[0])
    if not cells.any():
        raise UserError(f"{where}: found a region that contains the centre of no cell, allowed: at least one cell")
    return cells


def _state(problem: Problem, initial: Initial, where: str, number: int | None = None) -> np.ndarray:
    """Return a state in every cell of the box, of any length; ``number`` is that of a state inside the first."""
    mesh = problem.mesh
    if initial.kind == "file" and initial.file is not None:
        return ovf.on_mesh(initial.file, mesh, 3).copy()
    if initial.kind == "random":
        # uniform on the sphere, as the direction of three normal numbers is
        rng = streams.generator(*problem.stream, "random start", *(() if number is None else (number,)))
        return rng.standard_normal((3, *mesh.shape))
    if initial.kind not in FORMULAS:
        allowed = ", ".join((*FORMULAS, "random", "file"))
        raise UserError(f"{where}: found '{initial.kind}', allowed: {allowed} (file needs file)")
    m = np.zeros((3, *mesh.shape))
    for component, values in zip(m, FORMULAS[initial.kind](initial, mesh)):
        component[:] = values
    return m


def _uniform(initial: Initial, mesh: Mesh):
    return initial.direction


def _along(initial: Initial, mesh: Mesh) -> tuple[np.ndarray, np.ndarray]:
    """Return the distance from a wall in its widths and its hyperbolic secant, ``float64[ny, nx]``."""
    x = (np.arange(mesh.nx) + 0.5) * mesh.cell_m[0]
    y = ((np.arange(mesh.ny) + 0.5 - mesh.ny / 2) * mesh.cell_m[1])[:, None]
    u = ((x - initial.position_m) * np.cos(initial.tilt_rad) - y * np.sin(initial.tilt_rad)) / initial.width_m
    return u, 1 / np.cosh(np.clip(u, -700, 700))  # cosh overflows at 710


def _wall(initial: Initial, mesh: Mesh):
    u, sech = _along(initial, mesh)
    phi = initial.azimuth_rad
    return np.cos(phi) * sech, np.sin(phi) * sech, np.tanh(-u if initial.up_left else u)


def _two_domains(initial: Initial, mesh: Mesh):
    """Return ``left (1 - tanh u)/2 + right (1 + tanh u)/2 + wall sech u``.

    For opposite domains and a wall at right angles to them this is the profile of a wall.
    """
    left, wall, right = initial.directions or ((0.0, 0.0, 0.0),) * 3
    u, sech = _along(initial, mesh)
    far = (1 + np.tanh(u)) / 2
    return tuple(a * (1 - far) + b * far + c * sech for a, b, c in zip(left, right, wall))


def _polar(initial: Initial, mesh: Mesh, x_m: float | None = None):
    """Return x, y and r from the centre, m."""
    middle = mesh.size_m[0] / 2 if x_m is None else x_m, mesh.size_m[1] / 2
    # from the middle of the box: a centre there must be exact
    dx, dy = (c - size / 2 for c, size in zip(initial.center_m or middle, mesh.size_m))
    x = (np.arange(mesh.nx) + 0.5 - mesh.nx / 2) * mesh.cell_m[0] - dx
    y = ((np.arange(mesh.ny) + 0.5 - mesh.ny / 2) * mesh.cell_m[1] - dy)[:, None]
    return x, y, np.hypot(x, y)


def _vortex(initial: Initial, mesh: Mesh, x_m: float | None = None):
    """Return ``(-c y/r, c x/r, 1.5 exp(-r^2 / (2 radius^2)))``, the start of mumax3's ``vortex``.

    Where r = 0 it is along z; the core relaxes within some ps.
    """
    x, y, r = _polar(initial, mesh, x_m)
    r_safe, radius = np.where(r > 0, r, 1), initial.radius_m or mesh.cell_m[0]
    core = 1.5 * np.exp(-(r**2) / (2 * radius**2))
    return -initial.circulation * y / r_safe, initial.circulation * x / r_safe, core if initial.core_up else -core


def _vortex_wall(initial: Initial, mesh: Mesh):
    """Return a vortex within half of ``width_m`` of the position, and the domains' directions beyond."""
    left, _, right = initial.directions or ((0.0, 0.0, 0.0),) * 3
    x = (np.arange(mesh.nx) + 0.5) * mesh.cell_m[0] - initial.position_m
    within = np.abs(x) < initial.width_m / 2
    vortex = _vortex(initial, mesh, initial.position_m)
    return tuple(np.where(within, v, np.where(x < 0, a, b)) for v, a, b in zip(vortex, left, right))


def _skyrmion(initial: Initial, mesh: Mesh):
    """Return ``(sin t cos f, sin t sin f, cos t)`` with ``f = vorticity phi + helicity``.

    ``tan(t/2) = sinh(radius/width) / sinh(r/width)`` is a wall of ``width`` around the core, with mz = 0 at the
    radius (Braun, Phys. Rev. B 50, 16485 (1994)). The core is down, or all of mz has the other sign.
    """
    x, y, r = _polar(initial, mesh)
    angle = initial.vorticity * np.arctan2(y, x) + initial.helicity_rad
    radius, width = initial.radius_m or 0.0, initial.width_m
    # sinh(a)/sinh(b) without overflow
    a, b = radius / width, np.minimum(r / width, 700.0)
    ratio = np.exp(np.minimum(a - b, 700.0)) * math.expm1(-2 * a) / np.minimum(np.expm1(-2 * b), -1e-300)
    theta = 2 * np.arctan(ratio)
    up = -1.0 if initial.core_up else 1.0
    return np.sin(theta) * np.cos(angle), np.sin(theta) * np.sin(angle), up * np.cos(theta)


FORMULAS = {
    "uniform": _uniform,
    "wall": _wall,
    "two_domains": _two_domains,
    "vortex": _vortex,
    "vortex_wall": _vortex_wall,
    "skyrmion": _skyrmion,
}
