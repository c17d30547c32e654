"""The barrier between two states: minima, path, saddle, what lies in between, and how often heat tries.

The path's highest image is refined to the saddle by Newton's method. From the saddle the energy is followed down on
both sides: a minimum that is reached there and is neither state lies between them, and the path is cut there. The
barrier from a state is the highest saddle's energy less its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import jax
import numpy as np

from device_sims.barriers import attempt, guesses, saddle
from device_sims.barriers.attempt import Attempt
from device_sims.barriers.curvature import Curvatures
from device_sims.barriers.landscape import Landscape
from device_sims.barriers.path import Bands, Path
from device_sims.barriers.saddle import Saddle
from device_sims.barriers.settings import Settings
from device_sims.barriers.sphere import angles, moved, tangent
from device_sims.problem import BOLTZMANN, Problem
from spinloom.errors import UserError

SAME = 0.1  # rad: minima whose cells all differ by less are one
COARSE = 5.0  # times the tolerance, before an image climbs
KICK = 0.1  # rad, of the largest turn that pushes a path off a saddle of more than one way down
KICKS = 3
CUTS = 8  # of a path at most


@dataclass(frozen=True)
class Leg:
    """A path between two minima without a further one in between that was seen, with its saddle."""

    path: Path
    saddle: Saddle
    energies_J: tuple[float, float, float]  # of the first minimum, the saddle and the second minimum
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Barrier:
    """What lies between two states, ``a`` and ``b``.

    States are ``float64[3, nz, ny, nx]``. ``notes`` say in a line each what was not found, or not well; a barrier with
    ``converged`` False is no more than a guess.
    """

    landscape: Landscape
    a: np.ndarray
    b: np.ndarray
    legs: tuple[Leg, ...]
    converged: bool
    notes: tuple[str, ...]
    attempts: tuple[Attempt, Attempt] = field(default=(Attempt(math.nan), Attempt(math.nan)))  # from a, from b

    @cached_property
    def highest(self) -> Leg:
        """The leg with the highest saddle."""
        return max(self.legs, key=lambda leg: leg.energies_J[1])

    @property
    def energies_J(self) -> tuple[float, float, float]:
        """Energies of a, of the highest saddle and of b."""
        return self.legs[0].energies_J[0], self.highest.energies_J[1], self.legs[-1].energies_J[2]

    @property
    def barriers_J(self) -> tuple[float, float]:
        """Barriers from a to b and from b to a."""
        a, top, b = self.energies_J
        return top - a, top - b

    @property
    def between(self) -> int:
        """Number of further minima on the path."""
        return len(self.legs) - 1

    def rates_per_s(self, temperature_K: float) -> tuple[float, float]:
        """Return the rates from a to b and from b to a; NaN without an attempt time."""
        kT = BOLTZMANN * temperature_K
        a, b = (one.rate_per_s * math.exp(-barrier / kT) for one, barrier in zip(self.attempts, self.barriers_J))
        return a, b


def between(
    problem: Problem,
    a: np.ndarray,
    b: np.ndarray,
    settings: Settings | None = None,
    phase: str | None = None,
    guess: np.ndarray | None = None,
    landscape: Landscape | None = None,
) -> Barrier:
    """Return the barrier between the minima below two states.

    Parameters
    ----------
    problem : Problem
        Its schedule's drives act; its temperature does not.
    a, b : ndarray, float[3, nz, ny, nx]
        Relaxed first.
    settings : Settings, optional
    phase : str, optional
        Name of the phase whose drives act; default: the first.
    guess : ndarray, float[n, 3, nz, ny, nx], optional
        A first path, such as the records of a trajectory or a wall moved over; default: as ``settings.start`` says.
    landscape : Landscape, optional
        Of this problem and phase, if there is one already.

    Returns
    -------
    Barrier

    Raises
    ------
    UserError
        If both states relax to one minimum, no first guess fits; as of `Landscape` and `Landscape.minimum`.
    """
    settings = settings or Settings()
    landscape = landscape or Landscape(problem, phase)
    a, b = landscape.minimum(a, "state a"), landscape.minimum(b, "state b")
    if _same(a, b):
        raise UserError(
            "states: found two states that relax to the same minimum, allowed: two states with a barrier between them"
        )
    search = _Search(landscape, settings)
    found = [search.legs(path, CUTS) for path in _guesses(landscape, a, b, settings, guess, search.bands)]
    legs = min(found, key=lambda legs: (not _sound(legs), max(leg.energies_J[1] for leg in legs)))
    notes = [note for leg in legs for note in leg.notes]
    barrier = Barrier(landscape, a, b, tuple(legs), _sound(legs), tuple(dict.fromkeys(notes)))
    return _with_attempts(barrier, settings) if settings.attempt == "langer" else barrier


def _sound(legs: list[Leg]) -> bool:
    return not any(leg.notes for leg in legs)


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    with jax.enable_x64(True):
        return float(np.asarray(angles(a, b)).max()) < SAME


def _guesses(landscape, a, b, settings, guess, bands) -> list[np.ndarray]:
    if guess is not None:
        inner = [guesses.normalised(np.asarray(m, np.float64), landscape.mask) for m in guess]
        path = np.stack([a, *inner, b])
        return [guesses.resampled(path, bands.lengths(path), settings.images)]
    paths = []
    if settings.start != "rotation":
        wall = guesses.wall(landscape.problem, landscape.mask, a, b, settings.images)
        if wall is not None:
            paths.append(guesses.resampled(wall, bands.lengths(wall), settings.images))
        elif settings.start == "wall":
            raise UserError(
                "start: found wall, but the two states are neither two walls nor two opposite domains, allowed: "
                "rotation"
            )
    # between two walls a rotation is a bad guess: it reverses the domain in between at once
    if settings.start == "rotation" or not paths or _opposite(a, b):
        paths.append(guesses.rotation(a, b, settings.images))
    return paths


def _opposite(a: np.ndarray, b: np.ndarray) -> bool:
    cells = np.abs(a).sum(0) > 0
    return float((a * b).sum(0)[cells].mean()) < -0.5


class _Search:
    """Paths and saddles of one landscape."""

    def __init__(self, landscape: Landscape, settings: Settings):
        self.landscape, self.settings = landscape, settings
        self.bands, self.curvatures = Bands(landscape), Curvatures(landscape)
        self.well = settings.well_kT * BOLTZMANN * settings.temperature_K / landscape.unit_J

    def legs(self, guess: np.ndarray, cuts: int) -> list[Leg]:
        """Return the legs of the path that a first guess relaxes to."""
        path, notes = self._path(guess)
        for place in self._wells(path.energy) if cuts else ():
            middle = self.landscape.minimum(path.m[place], "a minimum on the path")
            if not (_same(middle, path.m[0]) or _same(middle, path.m[-1])):
                return self._cut(path, place, middle, middle, cuts)
        top, found = self._top(path)
        for _ in range(KICKS):
            if found.down < 2:
                break
            path, notes = self._path(self._kicked(path, found))
            top, found = self._top(path)
        notes = [*notes, *self._doubts(path, top, found)]
        if not notes and cuts:
            before, after = self._feet(path, top, found)
            if self._is_foreign(path, before, after, found):
                return self._cut(path, top, before, after, cuts, found)
        return [self._leg(path, found, notes)]

    def _top(self, path: Path) -> tuple[int, Saddle]:
        """Return the place of the highest image inside a path and the saddle near it."""
        top = 1 + int(np.argmax(path.energy[1:-1]))
        return top, saddle.refined(self.curvatures, path.m[top], path.m[top + 1] - path.m[top - 1])

    def _leg(self, path: Path, found: Saddle, notes: list[str]) -> Leg:
        unit = self.landscape.unit_J
        top = self.landscape.energy_J(found.m)
        return Leg(path, found, (path.energy[0] * unit, top, path.energy[-1] * unit), tuple(notes))

    def _path(self, guess: np.ndarray) -> tuple[Path, list[str]]:
        settings = self.settings
        coarse = self.bands.relaxed(guess, COARSE * settings.tolerance, settings.steps // 2, climbing=False)
        path = self.bands.relaxed(coarse.m, settings.tolerance, settings.steps // 2, climbing=True)
        if path.converged:
            return path, []
        left = (
            f"after {settings.steps} steps {path.force:.2g} Ms across the path is left, wanted {settings.tolerance:g}"
        )
        # the saddle does not depend on the rest of the path, and is looked at below
        return path, [] if path.force < 10 * settings.tolerance else [f"the path has not converged: {left}"]

    def _wells(self, energy: np.ndarray) -> list[int]:
        """Return the places of minima inside the path that are deep enough, the deepest first."""
        places = []
        for place in range(1, len(energy) - 1):
            if energy[place] <= energy[place - 1] and energy[place] < energy[place + 1]:
                depth = min(energy[:place].max(), energy[place + 1 :].max()) - energy[place]
                if depth > self.well:
                    places.append((depth, place))
        return [place for _, place in sorted(places, reverse=True)]

    def _kicked(self, path: Path, found: Saddle) -> np.ndarray:
        push = found.curvature.vector(found.vectors[:, 1])
        push *= KICK / np.sqrt((push**2).sum(0)).max()
        shares = np.sin(np.pi * path.length / path.length[-1])
        with jax.enable_x64(True):
            pushed = [np.asarray(moved(m, tangent(share * push, m))) for m, share in zip(path.m, shares)]
        return np.stack([path.m[0], *pushed[1:-1], path.m[-1]])

    def _doubts(self, path: Path, top: int, found: Saddle) -> list[str]:
        if not found.converged:
            return [f"the saddle has not converged: {found.force:.2g} Ms is left, wanted {saddle.TOLERANCE:g}"]
        if found.down != 1:
            return [f"the stationary state on the path has {found.down} directions that lead down, a saddle has 1"]
        spacing = path.length[-1] / (len(path.length) - 1)
        apart = self.bands.lengths(np.stack([path.m[top], found.m]))[-1]
        if apart > 3 * spacing:
            return [f"the saddle lies {apart / spacing:.1f} images away from the path's top: use more images or steps"]
        return []

    def _feet(self, path: Path, top: int, found: Saddle) -> tuple[np.ndarray, np.ndarray]:
        """Return the minima below a saddle, that on the path's first side before the other."""
        way = found.curvature.vector(found.vectors[:, 0])
        if float((way * (path.m[top + 1] - path.m[top - 1]) * np.asarray(self.landscape.weight)).sum()) < 0:
            way = -way
        way *= KICK / np.sqrt((way**2).sum(0)).max()
        with jax.enable_x64(True):
            sides = [np.asarray(moved(found.m, sign * way)) for sign in (-1, 1)]
        before, after = (self.landscape.minimum(m, "a minimum below the saddle") for m in sides)
        return before, after

    def _is_foreign(self, path: Path, before: np.ndarray, after: np.ndarray, found: Saddle) -> bool:
        """Return whether a minimum below a saddle is another than the path's end there, and deep enough."""
        if _same(before, after):
            return False
        top, (low, high) = self.bands.energies(found.m[None])[0], self.bands.energies(np.stack([before, after]))
        first, last = top - low > self.well, top - high > self.well
        return (first and not _same(before, path.m[0])) or (last and not _same(after, path.m[-1]))

    def _cut(self, path: Path, place: int, before, after, cuts: int, found: Saddle | None = None) -> list[Leg]:
        """Return the legs up to ``before``, over ``found`` if there is one, and from ``after`` on."""
        legs = []
        if not _same(before, path.m[0]):
            legs += self.legs(self._piece([*path.m[: place + (found is None)], before]), cuts // 2)
        if found is not None:
            way = self._piece([before, found.m, after])
            middle, notes = self._path(way)
            legs.append(self._leg(middle, found, notes))
        if not _same(after, path.m[-1]):
            legs += self.legs(self._piece([after, *path.m[place + (found is not None) :]]), cuts // 2)
        return legs

    def _piece(self, states: list[np.ndarray]) -> np.ndarray:
        return guesses.resampled(states, self.bands.lengths(np.stack(states)), self.settings.images)


def _with_attempts(barrier: Barrier, settings: Settings) -> Barrier:
    landscape, top = barrier.landscape, barrier.highest.saddle
    if landscape.cells > settings.largest_cells:
        reason = f"{landscape.cells} magnetic cells, of which Langer's determinants are not computed (largest_cells)"
        attempts = Attempt(math.nan, reason), Attempt(math.nan, reason)
    elif not top.converged or top.down != 1:
        attempts = Attempt(math.nan, "no saddle was found"), Attempt(math.nan, "no saddle was found")
    else:
        family, kelvin = top.curvature.family, settings.temperature_K
        over = attempt.volume(landscape, top.curvature, kelvin)
        kappa = attempt.growth(top, landscape.alpha) * landscape.unit_per_s
        ends = [attempt.volume(landscape, family.at(m), kelvin) for m in (barrier.a, barrier.b)]
        a, b = (attempt.langer(end, over, kappa, BOLTZMANN * kelvin / landscape.unit_J) for end in ends)
        attempts = (a, b)
    notes = [f"attempt time: {one.reason}" for one in attempts if one.reason]
    return Barrier(
        landscape, barrier.a, barrier.b, barrier.legs, barrier.converged,
        (*barrier.notes, *dict.fromkeys(notes)), attempts,
    )  # fmt: skip
