"""What is read off a texture of m: topological charge, skyrmions, vortex cores, the kind of a wall.

Arrays over cells are ``[nz, ny, nx]``, positions m from the box's corner; not a number where there is none.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import scipy

from device_sims.problem import observables
from device_sims.problem.parts import Mesh

COMPONENTS = "xyz"
NEEL, BLOCH, TRANSVERSE, VORTEX, ANTIVORTEX = "neel", "bloch", "transverse", "vortex", "antivortex"


def topological_charge(m: np.ndarray, mask: np.ndarray) -> float:
    """Return the topological charge of a layer, the mean over the layers that hold cells.

    The solid angles of the two triangles of each four cells, over 4 pi (Berg and Luescher, Nucl. Phys. B 190, 412
    (1981)): a whole number for a texture that is uniform at its edge, however coarse the cells are.

    Parameters
    ----------
    m : float[3, nz, ny, nx]
        Unit vectors, zero outside the mask.
    mask : bool[nz, ny, nx]
    """
    m, layers = np.asarray(m, np.float64), mask.any(axis=(1, 2))
    corners = [m[..., :-1, :-1], m[..., :-1, 1:], m[..., 1:, 1:], m[..., 1:, :-1]]
    inside = [mask[:, :-1, :-1], mask[:, :-1, 1:], mask[:, 1:, 1:], mask[:, 1:, :-1]]
    total = 0.0
    for a, b, c in ((0, 1, 2), (0, 2, 3)):
        whole = inside[a] & inside[b] & inside[c]
        total += float(_solid_angle(corners[a], corners[b], corners[c])[whole].sum())
    return total / (4 * math.pi * max(int(layers.sum()), 1))


def _solid_angle(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Return the signed solid angle of three unit vectors (van Oosterom and Strackee, 1983)."""
    triple = (a * np.cross(b, c, axis=0)).sum(0)
    products = ((a * b).sum(0), (b * c).sum(0), (c * a).sum(0))
    return 2 * np.arctan2(triple, 1 + products[0] + products[1] + products[2])


class Skyrmion(NamedTuple):
    """Where a skyrmion is, and the radius of the disc with its reversed area."""

    x_m: float
    y_m: float
    radius_m: float


def skyrmion(m: np.ndarray, mask: np.ndarray, mesh: Mesh) -> Skyrmion:
    """Return the largest connected region whose mz is opposite to that of most cells.

    A cell counts by how far its mz, clipped at +-0.5, is reversed, so thermal fluctuations in core and background
    have no weight. Not a number if no cell is reversed.

    Parameters
    ----------
    m : float[3, nz, ny, nx]
    mask : bool[nz, ny, nx]
    mesh : Mesh
    """
    flat = mask.any(0)
    mz = (np.asarray(m[2], np.float64) * mask).sum(0) / np.maximum(mask.sum(0), 1)
    mz = mz * (1.0 if mz[flat].sum() >= 0 else -1.0)
    labels, count = scipy.ndimage.label((mz < 0) & flat)
    if not count:
        return Skyrmion(math.nan, math.nan, math.nan)
    largest = labels == np.bincount(labels.ravel())[1:].argmax() + 1
    # the half of its wall that lies outside mz = 0
    largest = scipy.ndimage.binary_dilation(largest, iterations=-1, mask=(mz < observables.SATURATION) & flat)
    reversed_part = np.where(largest, (1 - np.clip(mz / observables.SATURATION, -1, 1)) / 2, 0.0)
    x, y = _centres(mesh)
    area = reversed_part.sum()
    return Skyrmion(
        float((reversed_part * x).sum() / area),
        float((reversed_part * y).sum() / area),
        float(np.sqrt(area * mesh.cell_m[0] * mesh.cell_m[1] / np.pi)),
    )


class Core(NamedTuple):
    """Where a vortex core is, and mz of the cell nearest to it."""

    x_m: float
    y_m: float
    mz: float


def core(m: np.ndarray, mask: np.ndarray, mesh: Mesh) -> Core:
    """Return where abs(mz) is largest, between cells by a parabola through a cell and its neighbours.

    Not a number if it is nowhere above 0.5.

    Parameters
    ----------
    m : float[3, nz, ny, nx]
    mask : bool[nz, ny, nx]
    mesh : Mesh
    """
    mz = (np.asarray(m[2], np.float64) * mask).sum(0) / np.maximum(mask.sum(0), 1)
    j, i = np.unravel_index(np.abs(mz).argmax(), mz.shape)
    size = np.abs(mz)
    if size[j, i] <= observables.SATURATION:
        return Core(math.nan, math.nan, math.nan)

    def between(index: int, line: np.ndarray) -> float:
        if not 0 < index < len(line) - 1:
            return 0.0
        low, top, high = line[index - 1 : index + 2]
        curvature = low - 2 * top + high
        return float((low - high) / (2 * curvature)) if curvature < 0 else 0.0

    x, y = i + 0.5 + between(int(i), size[j]), j + 0.5 + between(int(j), size[:, i])
    return Core(float(x * mesh.cell_m[0]), float(y * mesh.cell_m[1]), float(mz[j, i]))


def wall_kind(m: np.ndarray, mask: np.ndarray, component: int) -> str:
    """Return the kind of a track's single wall between domains of one component of m, '' if there is not one wall.

    Between domains along x, head to head or tail to tail, it is a ``vortex`` or ``antivortex`` wall if the direction of
    m in the plane winds around it, else ``transverse``. Otherwise it is a ``neel`` wall if m in it is rather along x
    than along the third direction, else a ``bloch`` wall.

    Parameters
    ----------
    m : float[3, nz, ny, nx]
    mask : bool[nz, ny, nx]
    component : int
        0, 1 or 2.
    """
    if observables.wall_state(m[component], mask, up_left=None) != observables.SINGLE:
        return ""
    if component == 0:
        turns = winding(m, mask)
        return TRANSVERSE if not turns else VORTEX if turns > 0 else ANTIVORTEX
    third = 3 - component  # of y and z the one that is not the domains'
    between = mask & (np.abs(m[component]) < observables.SATURATION)
    along, across = (abs(float(np.asarray(m[c], np.float64)[between].sum())) for c in (0, third))
    return NEEL if along > across else BLOCH


def winding(m: np.ndarray, mask: np.ndarray) -> int:
    """Return the number of turns of m in the plane, vortices less antivortices; ``m`` as of `wall_kind`."""
    flat = np.asarray(mask.any(0))
    angle = np.arctan2(*((np.asarray(m[c], np.float64) * mask).sum(0) for c in (1, 0)))
    corners = [angle[:-1, :-1], angle[:-1, 1:], angle[1:, 1:], angle[1:, :-1]]
    whole = flat[:-1, :-1] & flat[:-1, 1:] & flat[1:, 1:] & flat[1:, :-1]
    turns = np.zeros(whole.shape)
    for first, second in zip(corners, (*corners[1:], corners[0])):
        turns += (second - first + np.pi) % (2 * np.pi) - np.pi
    return round(float(turns[whole].sum()) / (2 * np.pi))


def _centres(mesh: Mesh) -> tuple[np.ndarray, np.ndarray]:
    x = (np.arange(mesh.nx) + 0.5) * mesh.cell_m[0]
    y = ((np.arange(mesh.ny) + 0.5) * mesh.cell_m[1])[:, None]
    return x, y
