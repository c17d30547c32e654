"""First guesses of a path between two states."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from device_sims.barriers.sphere import between
from device_sims.problem import Problem
from device_sims.problem.observables import SINGLE, wall_position, wall_state


def rotation(a: np.ndarray, b: np.ndarray, images: int) -> np.ndarray:
    """Return states on the shortest arcs of all cells, float64[images, 3, nz, ny, nx], both ends included."""
    return np.stack([between(a, b, share) for share in np.linspace(0, 1, images)])


def wall(problem: Problem, mask: np.ndarray, a: np.ndarray, b: np.ndarray, images: int) -> np.ndarray | None:
    """Return a path on which one wall moves along x, float64[images, 3, nz, ny, nx].

    From a wall to a wall the first is moved over and blends into the second. From one domain to the opposite one a wall
    is swept through. None if the states are neither.

    Parameters
    ----------
    problem : Problem
    mask : ndarray, bool[nz, ny, nx]
    a, b : ndarray, float64[3, nz, ny, nx]
    images : int
        Both ends included.
    """
    shares = np.linspace(0, 1, images)
    dx = problem.mesh.cell_m[0]
    for axis in (2, 0, 1):
        if all(wall_state(m[axis], mask, up_left=None) == SINGLE for m in (a, b)):
            first, last = (float(wall_position(m[axis], mask, dx, up_left=None)) for m in (a, b))
            columns = (last - first) / dx
            path = []
            for share in shares:
                forth, back = shifted(a, mask, columns * share), shifted(b, mask, -columns * (1 - share))
                path.append(normalised((1 - share) * forth + share * back, mask))
            path[0], path[-1] = a, b
            return np.stack(path)
    means = [m[:, mask].mean(1) for m in (a, b)]
    if np.linalg.norm(means[0]) > 0.8 and means[0] @ means[1] < -0.8 * np.linalg.norm(means[0]) * np.linalg.norm(
        means[1]
    ):
        return _swept(problem, mask, a, b, shares)
    return None


def _swept(problem: Problem, mask: np.ndarray, a: np.ndarray, b: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return a wall that enters at one side and leaves at the other, with the DMI's sense of turning along x."""
    occupied = np.flatnonzero(mask.any((0, 1)))
    dx, values = problem.mesh.cell_m[0], problem.material
    stiff = max(abs(values.Ku_J_per_m3), 1e4)
    width = min(max((values.A_J_per_m / stiff) ** 0.5, 2 * dx), 0.25 * (occupied[-1] - occupied[0] + 1) * dx + dx)
    x = (np.arange(mask.shape[-1]) + 0.5) * dx
    begin, end = (occupied[0] * dx - 3 * width, (occupied[-1] + 1) * dx + 3 * width)
    # between a (ahead) and b (behind) m turns through x, the way that the DMI lets it
    across = np.array([1.0 if values.D_J_per_m2 <= 0 else -1.0, 0.0, 0.0])
    mean = a[:, mask].mean(1)
    if abs(mean[0]) > 0.5 * np.linalg.norm(mean):
        across = np.array([0.0, 1.0, 0.0])
    elif mean[2] > 0:  # the right side is up: the left domain is down
        across = -across
    path = [a]
    for share in shares[1:-1]:
        u = (x - (begin + share * (end - begin))) / width
        behind = (1 - np.tanh(u)) / 2
        sech = 1 / np.cosh(np.clip(u, -50, 50))
        path.append(normalised(a * (1 - behind) + b * behind + across[:, None, None, None] * sech, mask))
    return np.stack([*path, b])


def resampled(states: Sequence[np.ndarray] | np.ndarray, lengths: np.ndarray, images: int) -> np.ndarray:
    """Return states evenly spaced along a path.

    Parameters
    ----------
    states : ndarray, float64[n, 3, nz, ny, nx]
        Of the path.
    lengths : ndarray, float64[n]
        Their distances from the first along the path, of any unit.
    images : int
        How many states are asked for, both ends included.

    Returns
    -------
    ndarray, float64[images, 3, nz, ny, nx]
    """
    path = []
    for place in np.linspace(0, lengths[-1], images):
        index = int(np.clip(np.searchsorted(lengths, place) - 1, 0, len(lengths) - 2))
        gap = lengths[index + 1] - lengths[index]
        path.append(between(states[index], states[index + 1], (place - lengths[index]) / gap if gap else 0.0))
    path[0], path[-1] = states[0], states[-1]
    return np.stack(path)


def shifted(m: np.ndarray, mask: np.ndarray, columns: float) -> np.ndarray:
    """Return a state, float64[3, nz, ny, nx], moved along x by a number of columns, whole or not.

    What enters is the state of the end.
    A cell that was empty where m came from takes the mean of its column there.
    """
    filled = np.where(mask, m, 0.0)
    column = filled.sum((1, 2))
    norm = np.sqrt((column**2).sum(0))
    known = np.flatnonzero(norm > 0)
    nearest = known[np.abs(np.arange(m.shape[-1])[:, None] - known).argmin(1)]
    mean = (column / np.where(norm > 0, norm, 1.0))[:, nearest]
    full = np.where(mask, m, mean[:, None, None, :])
    place = np.clip(np.arange(m.shape[-1]) - columns, 0, m.shape[-1] - 1)
    low = np.floor(place).astype(int)
    high = np.minimum(low + 1, m.shape[-1] - 1)
    return normalised((1 - (place - low)) * full[..., low] + (place - low) * full[..., high], mask)


def normalised(m: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return unit vectors in the mask and 0 outside, float64[3, nz, ny, nx]; where vectors cancel it is z."""
    norm = np.sqrt((m**2).sum(0))
    lost = mask & (norm < 1e-9)
    m = np.where(lost, np.reshape([0.0, 0.0, 1.0], (3, 1, 1, 1)), m)
    return np.where(mask, m / np.where(lost | (norm < 1e-9), 1.0, norm), 0.0)
