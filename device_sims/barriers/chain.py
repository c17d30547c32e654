"""All wells along a path that goes through many states: a wall's along its track.

A wall is hardly held between wells, so that steepest descent takes a long time to find them. Here one band of images
covers the whole track: images relax across the path and keep their places along it, which is quick, and its energies
show wells and barriers. Newton's method then finds each of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from device_sims.barriers import attempt, guesses
from device_sims.barriers.attempt import Attempt
from device_sims.barriers.curvature import Curvatures
from device_sims.barriers.landscape import Landscape
from device_sims.barriers.path import Bands, Path
from device_sims.barriers.saddle import Saddle, refined
from device_sims.barriers.settings import Settings
from device_sims.barriers.tables import ten_year_temperature
from device_sims.problem import BOLTZMANN

FAR = 2.0  # images that a stationary state may lie away from where the band shows it


@dataclass(frozen=True)
class Point:
    """A minimum or maximum of the energy along the path."""

    m: np.ndarray  # float64[3, nz, ny, nx]
    energy: float  # over mu0 Ms0^2 V
    state: Saddle | None  # None: an end of the path, where nothing was refined
    note: str = ""


@dataclass(frozen=True)
class Chain:
    """Wells in the order of the path, and the barrier between each and the next."""

    landscape: Landscape
    path: Path
    wells: tuple[Point, ...]
    tops: tuple[Point, ...]
    attempts: tuple[tuple[Attempt, Attempt], ...]  # forth and back over each top
    notes: tuple[str, ...]

    def rows(self) -> list[dict]:
        """Return a row for each way over each top.

        Keys: ``well_from, well_to, barrier_J, attempts_per_s, ten_year_temperature_K, converged, note``.
        """
        rows = []
        for place, (top, tries) in enumerate(zip(self.tops, self.attempts)):
            for start, stop, own in ((place, place + 1, tries[0]), (place + 1, place, tries[1])):
                height = (top.energy - self.wells[start].energy) * self.landscape.unit_J
                notes = [*self.notes, self.wells[start].note, top.note, own.reason]
                rows.append(
                    {
                        "well_from": start,
                        "well_to": stop,
                        "barrier_J": height,
                        "attempts_per_s": own.rate_per_s,
                        "ten_year_temperature_K": ten_year_temperature(height, own.rate_per_s),
                        "converged": not (self.notes or self.wells[start].note or top.note),
                        "note": "; ".join(dict.fromkeys(filter(None, notes))),
                    }
                )
        return rows


def chain(landscape: Landscape, states: np.ndarray, settings: Settings) -> Chain:
    """Return the wells between the first and the last of some states.

    Parameters
    ----------
    landscape : Landscape
    states : ndarray, float[n, 3, nz, ny, nx]
        The path's first guess, in order. Its ends stay: an end that is lower than what follows counts as a well.
    settings : Settings
        ``start`` is not used; ``images`` at least.
    """
    bands, family = Bands(landscape), Curvatures(landscape)
    first = np.stack([guesses.normalised(np.asarray(m, np.float64), landscape.mask) for m in states])
    count = max(settings.images, len(first))
    path = bands.relaxed(
        guesses.resampled(first, bands.lengths(first), count), settings.tolerance, settings.steps, climbing=False
    )
    notes = []
    if not path.converged:
        notes.append(f"the band has not converged: {path.force:.2g} Ms is left, wanted {settings.tolerance:g}")
    well = settings.well_kT * BOLTZMANN * settings.temperature_K / landscape.unit_J
    places = extrema(path.energy, well)
    points = [_point(landscape, bands, family, path, place, number % 2 == 1) for number, place in enumerate(places)]
    wells, tops = points[::2], points[1::2]
    attempts = [(Attempt(math.nan), Attempt(math.nan))] * len(tops)
    if settings.attempt == "langer" and tops:
        attempts = _attempts(landscape, settings, wells, tops)
    return Chain(landscape, path, tuple(wells), tuple(tops), tuple(attempts), tuple(notes))


def extrema(energy: np.ndarray, depth: float) -> list[int]:
    """Return the places of minima and maxima in turn, from a minimum to a minimum, of which each is at least so deep.

    Parameters
    ----------
    energy : ndarray, float64[n]
    depth : float
        Least difference between neighbours in the list.

    Returns
    -------
    list of int
        Of odd length.
    """
    found, rising = [0], None
    for place in range(1, len(energy)):
        change = energy[place] - energy[found[-1]]
        if rising is None:
            # before the first turn: go down to the first minimum
            if change < 0:
                found[-1] = place
            elif change >= depth:
                found.append(place)
                rising = True
        elif (change > 0) == rising:
            found[-1] = place
        elif abs(change) >= depth:
            found.append(place)
            rising = not rising
    return found if len(found) % 2 else found[:-1]


def _point(landscape: Landscape, bands: Bands, family: Curvatures, path: Path, place: int, top: bool) -> Point:
    if place in (0, len(path.m) - 1):
        return Point(path.m[place], float(path.energy[place]), None)
    way = path.m[place + 1] - path.m[place - 1] if top else None
    found = refined(family, path.m[place], way)
    energy = landscape.energy_J(found.m) / landscape.unit_J
    spacing = path.length[-1] / (len(path.length) - 1)
    apart = bands.lengths(np.stack([path.m[place], found.m]))[-1] / spacing
    if found.converged and found.down == int(top) and apart < FAR:
        return Point(found.m, energy, found)
    what = "saddle" if top else "minimum"
    return Point(path.m[place], float(path.energy[place]), None, f"a {what} is only known from the band's images")


def _attempts(landscape: Landscape, settings: Settings, wells: list[Point], tops: list[Point]):
    if landscape.cells > settings.largest_cells:
        none = Attempt(math.nan, f"no attempt time for {landscape.cells} magnetic cells (largest_cells)")
        return [(none, none)] * len(tops)
    kelvin = settings.temperature_K
    kT = BOLTZMANN * kelvin / landscape.unit_J

    def volume(point: Point):
        return attempt.volume(landscape, point.state.curvature, kelvin) if point.state is not None else None

    bottoms = [volume(one) for one in wells]
    found = []
    for place, top in enumerate(tops):
        over = volume(top)
        kappa = attempt.growth(top.state, landscape.alpha) * landscape.unit_per_s if top.state is not None else 0.0
        both = []
        for below in bottoms[place : place + 2]:
            if over is None or below is None:
                both.append(Attempt(math.nan, "no attempt time at an end, or without minimum and saddle"))
            else:
                both.append(attempt.langer(below, over, kappa, kT))
        found.append((both[0], both[1]))
    return found
