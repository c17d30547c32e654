"""Minimum-energy paths by the geodesic nudged-elastic-band method.

Bessarab, Uzdin and Jonsson, Comput. Phys. Commun. 196, 335 (2015): images are pulled down by the gradient at right
angles to the path and held apart by springs along it. Tangents are those of Henkelman and Jonsson (J. Chem. Phys.
113, 9978 (2000)), with their climbing image (113, 9901). Images move by FIRE (Bitzek et al., PRL 97, 170201 (2006)),
each with a step of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from device_sims.barriers.landscape import Landscape
from device_sims.barriers.sphere import distance, inner, moved, tangent

SPRING = 1.0  # in units of mu0 Ms0^2 V: like the curvatures of anisotropy
LARGEST_TURN = 0.1  # rad a step
AT_ONCE = 50  # steps between two looks at the path


class Band(NamedTuple):
    """Images with what moves them; arrays over images first."""

    m: jax.Array  # [n, 3, nz, ny, nx]
    speed: jax.Array  # the same shape
    step: jax.Array  # [n]
    mixing: jax.Array  # [n]
    downhill: jax.Array  # int[n], steps since the last uphill one


class Path(NamedTuple):
    """A path and how well it is known."""

    m: np.ndarray  # float64[n, 3, nz, ny, nx]
    energy: np.ndarray  # float64[n], over mu0 Ms0^2 V
    length: np.ndarray  # float64[n], along the path from its start
    force: float  # largest field across the path that a cell of an inner image feels, over Ms0
    steps: int
    converged: bool


class Bands:
    """Finds paths in one landscape; compiled once for each number of images."""

    def __init__(self, landscape: Landscape):
        self.landscape = landscape
        self.weight = landscape.weight
        self.largest_step = 0.5 / np.sqrt(landscape.stiffness + 4 * SPRING)
        self._advance = jax.jit(self._steps)
        self._energies = jax.jit(partial(jax.lax.map, landscape.energy))

    def energies(self, m: np.ndarray) -> np.ndarray:
        """Return the energy of each image, float64[n], over mu0 Ms0^2 V."""
        with jax.enable_x64(True):
            return np.asarray(self._energies(jnp.asarray(m)))

    def lengths(self, m: np.ndarray) -> np.ndarray:
        """Return the distance of each image from the first along the path, float64[n]."""
        with jax.enable_x64(True):
            between = distance(jnp.asarray(m[1:]), jnp.asarray(m[:-1]), self.weight)
        return np.concatenate([[0.0], np.cumsum(np.asarray(between))])

    def relaxed(
        self,
        m: np.ndarray,
        tolerance: float,
        steps: int,
        climbing: bool,
        told: Callable[[int, float], None] | None = None,
    ) -> Path:
        """Return the path that a first guess relaxes to; its ends stay.

        Parameters
        ----------
        m : ndarray, float64[n, 3, nz, ny, nx]
        tolerance : float
            Largest field across the path at the end, over Ms0.
        steps : int
            At most so many.
        climbing : bool
            The highest inner image climbs to the saddle instead of being held by springs.
        told : callable, optional
            Called with the steps done and the largest field.
        """
        with jax.enable_x64(True):
            count = len(m)
            start = jnp.full(count, self.largest_step / 4)
            images = jnp.asarray(m)
            band = Band(images, 0 * images, start, jnp.full(count, 0.1), jnp.zeros(count, int))
            done, force = 0, np.inf
            while done < steps:
                now = min(AT_ONCE, steps - done)
                band, largest = self._advance(band, now, climbing)
                done, force = done + now, float(largest)
                if told is not None:
                    told(done, force)
                if not np.isfinite(force) or force <= tolerance:
                    break
            found = np.asarray(band.m)
        return Path(found, self.energies(found), self.lengths(found), force, done, bool(force <= tolerance))

    def _forces(self, m, climbing):
        """Return what moves each image, and its part across the path; the first and last rows are 0."""
        energy = jax.lax.map(self.landscape.energy, m)
        force = jax.lax.map(self.landscape.force, m[1:-1])
        before, here, after = energy[:-2], energy[1:-1], energy[2:]
        inside = m[1:-1]
        ahead, behind = tangent(m[2:] - inside, inside), tangent(inside - m[:-2], inside)
        up, down = jnp.abs(after - here), jnp.abs(before - here)
        most, least = jnp.maximum(up, down), jnp.minimum(up, down)
        rises, falls = (after > here) & (here > before), (after < here) & (here < before)
        higher = after > before
        forward = jnp.where(rises, 1.0, jnp.where(falls, 0.0, jnp.where(higher, most, least)))
        backward = jnp.where(rises, 0.0, jnp.where(falls, 1.0, jnp.where(higher, least, most)))
        wide = (slice(None), *(None,) * 4)
        tau = forward[wide] * ahead + backward[wide] * behind
        norm = jnp.sqrt(inner(tau, tau, self.weight))
        tau = tau / jnp.where(norm > 0, norm, 1.0)[wide]
        along = inner(force, tau, self.weight)
        across = force - along[wide] * tau
        spacing = distance(m[1:], m[:-1], self.weight)
        spring = SPRING * (spacing[1:] - spacing[:-1])
        top = climbing & (jnp.arange(len(here)) == jnp.argmax(here))
        along = jnp.where(top, -along, spring)
        none = jnp.zeros_like(m[:1])
        drive = jnp.concatenate([none, across + along[wide] * tau, none])
        # what is left to do: the climbing image has to lose the force along the path as well
        left = jnp.where(top[wide], across + along[wide] * tau, across)
        return drive, jnp.sqrt((left**2).sum(1)).max()

    def _steps(self, band: Band, count, climbing):
        def body(_, carry):
            band, _ = carry
            force, largest = self._forces(band.m, climbing)
            return self._fire(band, force), largest

        return jax.lax.fori_loop(0, count, body, (band, jnp.asarray(jnp.inf)))

    def _fire(self, band: Band, force) -> Band:
        wide = (slice(None), *(None,) * 4)
        power = inner(force, band.speed, self.weight)
        falls = power >= 0
        size = jnp.sqrt(inner(force, force, self.weight))
        swift = jnp.sqrt(inner(band.speed, band.speed, self.weight))
        mixed = (1 - band.mixing)[wide] * band.speed + (band.mixing * swift / jnp.where(size > 0, size, 1.0))[
            wide
        ] * force
        speed = jnp.where(falls[wide], mixed, 0.0)
        downhill = jnp.where(falls, band.downhill + 1, 0)
        faster = downhill > 5
        step = jnp.where(
            falls, jnp.where(faster, jnp.minimum(band.step * 1.1, self.largest_step * 2), band.step), band.step / 2
        )
        mixing = jnp.where(falls, jnp.where(faster, band.mixing * 0.99, band.mixing), 0.1)
        speed = speed + step[wide] * force
        turn = step[wide] * speed
        largest = jnp.sqrt((turn**2).sum(1).max((1, 2, 3)))
        shorter = jnp.minimum(1.0, LARGEST_TURN / jnp.where(largest > 0, largest, 1.0))[wide]
        m = moved(band.m, turn * shorter)
        return Band(m, tangent(speed * shorter, m), step, mixing, downhill)
