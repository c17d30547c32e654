"""Which cells are magnetic: boxes, discs and strips with rough edges and notches."""

from __future__ import annotations

import numpy as np

from device_sims.problem import Geometry, Mesh, Roughness
from spinloom import streams
from spinloom.errors import UserError


def rough_edge(roughness: Roughness, side: str, nx: int, dx: float) -> np.ndarray:
    """Return an edge's displacement at each column, ``float64[nx]``, m.

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
    """Return the magnetic cells as ``bool[ny, nx]``: those whose centre lies strictly inside the shape.

    Raises
    ------
    UserError
        If the shape is unknown or leaves no connected track.
    """
    x = (np.arange(mesh.nx) + 0.5) * mesh.cell_m[0]
    y = (np.arange(mesh.ny) + 0.5 - mesh.ny / 2) * mesh.cell_m[1]
    if geometry.kind == "box":
        return np.ones((mesh.ny, mesh.nx), bool)
    if geometry.kind == "disc":
        radius = min(mesh.nx * mesh.cell_m[0], mesh.ny * mesh.cell_m[1]) / 2
        return (x[None, :] - mesh.nx * mesh.cell_m[0] / 2) ** 2 + y[:, None] ** 2 < radius**2
    if geometry.kind != "strip":
        raise UserError(f"geometry.kind: found '{geometry.kind}', allowed: box, disc, strip")

    top = np.full(mesh.nx, geometry.width_m / 2)
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
            f"geometry: edge roughness or notches cut a strip of width {geometry.width_m:g} m through; "
            "allowed: roughness.rms_m and notches.depth_m well below half the width"
        )
    return inside
