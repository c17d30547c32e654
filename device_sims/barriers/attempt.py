"""How often a state tries: the rate's prefactor by Langer's theory.

Langer, Ann. Phys. 54, 258 (1969), for the Landau-Lifshitz-Gilbert equation at intermediate and high damping (Coffey,
Garanin and McCarthy, Adv. Chem. Phys. 117, 483 (2001); Fiedler et al., J. Appl. Phys. 111, 093917 (2012)):

    rate = kappa / (2 pi) sqrt(det H_minimum / abs(det H_saddle)) exp(-dE / kB T),

kappa the rate at which the one unstable motion of the saddle grows under the linearised equation with damping. A saddle
that can be turned about an axis of symmetry is a ring: the flat mode's factor sqrt(2 pi kB T) becomes the ring's length
(Braun, J. Appl. Phys. 76, 6310 (1994)); Brown's asymptote is the case of one moment.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.linalg import lapack
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigs, minres
from scipy.spatial.transform import Rotation

from device_sims.barriers.curvature import Curvature
from device_sims.barriers.landscape import Landscape
from device_sims.barriers.saddle import FLAT, Saddle
from device_sims.problem import BOLTZMANN

SMALL = 400  # rows up to which kappa comes from all eigenvalues
OVERLAP = 0.98  # of a soft mode with a turn about an axis
FREE = 0.1  # kB T: how much energies along a ring may differ


class Attempt(NamedTuple):
    """Prefactor of a rate; NaN, or a number to be doubted, for the reason given."""

    rate_per_s: float
    reason: str = ""


class Volume(NamedTuple):
    """What the harmonic theory needs of a stationary state."""

    log: float  # of the Hessian's determinant, absolute, without the modes that `rings` stand for
    negative: int
    rings: tuple[float, ...]  # lengths in the metric of `landscape`
    flat: int  # modes without slope that are no rings
    loose: int  # modes that heat turns by more than a radian somewhere, where the energy is no parabola any more


def volume(landscape: Landscape, here: Curvature, temperature_K: float) -> Volume:
    """Return determinant, rings and doubtful modes of a Hessian.

    The determinant comes from a Bunch-Kaufman factorisation of the whole matrix, the lowest modes from Lanczos' method.
    """
    values, vectors = here.lowest(6)
    kT = BOLTZMANN * temperature_K / landscape.unit_J
    matrix = here.matrix()
    rings, flat, loose = [], 0, 0
    for value, mode in zip(values, vectors.T):
        turn = np.sqrt((here.vector(mode) ** 2).sum(0)).max()
        if value < -FLAT or turn**2 * kT < value:
            continue
        length = ring_length(landscape, here, mode, value, kT)
        if np.isfinite(length):
            rings.append(length)
            matrix += (1 - value) * np.outer(mode, mode)
        else:
            flat, loose = flat + (value < FLAT), loose + 1
    log, negative = _factorised(matrix)
    return Volume(log, negative, tuple(rings), flat, loose)


def _factorised(matrix: np.ndarray) -> tuple[float, int]:
    """Return the logarithm of the absolute determinant of a symmetric matrix and how many eigenvalues are negative."""
    size = len(matrix)
    factors, pivots, _ = lapack.dsytrf(matrix, lower=1, overwrite_a=1, lwork=64 * size)
    diagonal, beside = np.diag(factors), np.append(np.diag(factors, -1), 0.0)
    log, negative, place = 0.0, 0, 0
    while place < size:
        if pivots[place] > 0:
            log += math.log(abs(diagonal[place]) + 1e-300)
            negative, place = negative + (diagonal[place] < 0), place + 1
        else:  # a block of two
            product = diagonal[place] * diagonal[place + 1] - beside[place] ** 2
            log += math.log(abs(product) + 1e-300)
            negative += 1 if product < 0 else 2 * (diagonal[place] < 0)
            place += 2
    return log, int(negative)


def growth(saddle: Saddle, alpha: np.ndarray) -> float:
    """Return kappa in units of gamma0 Ms0: the positive eigenvalue of the linearised equation at a saddle.

    Parameters
    ----------
    saddle : Saddle
        Of index 1.
    alpha : ndarray, float64[n]
        Gilbert damping of each magnetic cell.
    """
    here, n = saddle.curvature, len(alpha)

    def turned(x):  # m x, in the right-handed basis
        return np.concatenate([-x[n:], x[:n]])

    twice = np.concatenate([alpha, alpha])
    if here.size <= SMALL:
        bent = here.matrix()
        # dm/dtau = -(m x h + alpha m x (m x h)) / (1 + alpha^2) with h = -H x
        motion = (np.concatenate([-bent[n:], bent[:n]]) - twice[:, None] * bent) / (1 + twice**2)[:, None]
        return float(np.linalg.eigvals(motion).real.max())

    # H x = -s (J + alpha) x: of H^-1 (-(J + alpha)) 1/s is the only eigenvalue on the right, and among the largest
    def inverse(x):
        right = -(turned(np.ravel(x)) + twice * np.ravel(x))
        soft, modes = saddle.modes, saddle.vectors
        share = modes.T @ right
        rest = right - modes @ share
        found = minres(here.operator(), rest, rtol=1e-8, maxiter=3000)[0]
        return found - modes @ (modes.T @ found) + modes @ (share / soft)

    operator = LinearOperator((here.size, here.size), matvec=inverse, dtype=np.float64)
    start = saddle.vectors[:, 0]
    try:
        values = eigs(operator, k=1, which="LR", v0=start, tol=1e-5, ncv=20, maxiter=30, return_eigenvectors=False)
    except ArpackNoConvergence as partly:
        values = partly.eigenvalues
    values = np.asarray(values)
    return 1 / float(values.real.max()) if len(values) and values.real.max() > 0 else math.nan


def langer(minimum: Volume, saddle: Volume, kappa_per_s: float, kT: float) -> Attempt:
    """Return the prefactor of leaving a minimum over a saddle.

    Parameters
    ----------
    minimum, saddle : Volume
    kappa_per_s : float
    kT : float
        Over the unit of reduced energy.
    """
    for name, found, allowed in (("minimum", minimum, 0), ("saddle", saddle, 1)):
        if found.negative != allowed:
            return Attempt(math.nan, f"the {name} has {found.negative} modes that lead down, not {allowed}")
        if found.flat:
            return Attempt(math.nan, f"the {name} has {found.flat} modes without slope, which no well confines")
    if not kappa_per_s > 0:
        return Attempt(math.nan, "the unstable motion at the saddle was not found")
    log = (minimum.log - saddle.log) / 2 + math.log(kappa_per_s / (2 * math.pi))
    for sign, found in ((1, saddle), (-1, minimum)):
        log += sign * sum(math.log(length / math.sqrt(2 * math.pi * kT)) for length in found.rings)
    loose = minimum.loose + saddle.loose
    doubt = f"{loose} modes turn by more than a radian with heat: the harmonic theory may be off by a factor"
    return Attempt(math.exp(log), doubt if loose else "")


def ring_length(landscape: Landscape, here: Curvature, mode: np.ndarray, value: float, kT: float) -> float:
    """Return the length of the ring that a soft mode turns a state through; NaN if it is no turn, or not a free one.

    Looked for are turns of all moments about an axis, and of moments and positions together about z.

    Parameters
    ----------
    landscape : Landscape
    here : Curvature
    mode : ndarray, float64[2 n]
    value : float
        Its eigenvalue.
    kT : float
        Over the unit of reduced energy.
    """
    m = here.m
    candidates = []
    for axis in (*np.eye(3)[::-1], np.asarray(landscape.problem.material.axis)):
        change = abs(landscape.energy_J(_turned(m, axis)) - landscape.energy_J(m)) / landscape.unit_J
        if change < FREE * kT:
            candidates.append(np.cross(np.reshape(axis, (3, 1, 1, 1)), m, axis=0))
    candidates.append(_turned_about_z(landscape, m))
    for turn in candidates:
        generator = here.coordinates(turn)
        length = float(np.linalg.norm(generator))
        # along a ring of four or more equal wells energies differ by at most value length^2 / 8
        free = value * length**2 / 8 < FREE * kT
        if length > 0 and free and abs(float(generator @ mode)) > OVERLAP * length:
            return 2 * math.pi * length
    return math.nan


def _turned_about_z(landscape: Landscape, m: np.ndarray) -> np.ndarray:
    """Return the change of m per radian when moments and positions turn about z, around the middle of the material."""
    dx, dy, _ = landscape.problem.mesh.cell_m
    mask = landscape.mask
    _, y, x = np.meshgrid(*(np.arange(n, dtype=float) for n in mask.shape), indexing="ij")
    x, y = (x - x[mask].mean()) * dx, (y - y[mask].mean()) * dy
    along_x, along_y = (_slope(m, mask, axis) / d for axis, d in ((3, dx), (2, dy)))
    return np.cross(np.reshape([0.0, 0.0, 1.0], (3, 1, 1, 1)), m, axis=0) - (x * along_y - y * along_x)


def _slope(m: np.ndarray, mask: np.ndarray, axis: int) -> np.ndarray:
    """Return the difference quotient along an axis, in cells: central, or one-sided where a neighbour is missing."""
    total, count = np.zeros_like(m), np.zeros(mask.shape)
    a, b = [slice(None)] * 4, [slice(None)] * 4
    a[axis], b[axis] = slice(None, -1), slice(1, None)
    both = mask[tuple(a[1:])] & mask[tuple(b[1:])]
    step = np.where(both, m[tuple(b)] - m[tuple(a)], 0.0)
    for side in (a, b):
        total[tuple(side)] += step
        count[tuple(side[1:])] += both
    return total / np.maximum(count, 1)


def _turned(m: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """Return all moments turned by one radian about an axis."""
    return np.einsum("ij,j...->i...", Rotation.from_rotvec(axis / np.linalg.norm(axis)).as_matrix(), m)
