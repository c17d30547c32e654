"""Devices of one kind that differ: by a factor of their mean steps, and by an offset of their conductance.

Device i has the state x + o_i where a typical one has x, and its mean step is exp(u_i) m_d(x):

    u_i ~ N(0, t_u^2),    o_i ~ N(0, t_o^2)

Given the steps, the likelihoods of the devices are independent. Each is taken for normal about its maximum (Laplace),
which gives estimates with standard errors; from these, t follows by restricted maximum likelihood, and the devices'
values by shrinkage to the mean (empirical Bayes: Morris, J. Am. Stat. Assoc. 78, 47 (1983)). Steps and devices are
found in turn. A t is above 0 where the Bayesian information criterion takes its parameter.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Float64

from calibration.measurement.segments import Segments
from calibration.measurement.step_filter import run_filter
from calibration.measurement.step_model import MOST, Fit, fit
from calibration.measurement.surface import Group

IN_TURN = 2  # times that steps and differences are found again
WIDE = np.array([1.0, 0.3])  # sd of u and, in units of the range, of o, that keep what no reading tells finite
ROUNDS = 6  # of Newton's method
FURTHEST = np.array([0.3, 0.05])  # that it goes in one of them
STEP = 1e-4  # of finite differences
GRID = 600  # standard deviations that are tried
FALL = 1.92  # of ln L, at which the 95 % interval ends


@dataclass(frozen=True)
class Effect:
    """One quantity in which devices differ.

    Attributes
    ----------
    sd
        Between devices; 0 if the readings do not support that they differ.
    interval
        95 % interval of it.
    value, error
        Of each device about the mean of all, as its own readings say, and the standard error.
    """

    sd: float
    interval: tuple[float, float]
    value: Float64[np.ndarray, " devices"]
    error: Float64[np.ndarray, " devices"]

    @property
    def shrunk(self) -> Float64[np.ndarray, " devices"]:
        """What to expect of each device, given its readings and the others."""
        return self.value * self.sd**2 / (self.sd**2 + self.error**2) if self.sd else np.zeros(len(self.value))

    @property
    def unsure(self) -> Float64[np.ndarray, " devices"]:
        """Standard deviation of a device's value about `shrunk`."""
        return self.sd * self.error / np.sqrt(self.sd**2 + self.error**2) if self.sd else np.zeros(len(self.value))

    def times(self, unit: float) -> Effect:
        """Return the effect in another unit."""
        low, high = self.interval
        return Effect(self.sd * unit, (low * unit, high * unit), self.value * unit, self.error * unit)


@dataclass(frozen=True)
class Devices:
    """How devices differ: ``factor`` has ln of the mean steps, ``offset`` the conductances, S."""

    factor: Effect
    offset: Effect

    def __bool__(self) -> bool:
        return self.factor.sd > 0 or self.offset.sd > 0

    def typical(self, table: Segments) -> Segments:
        """Return readings less their device's offset, and with its factor: of typical devices."""
        value = table.value - self.offset.shrunk[table.device][:, None]
        return replace(table, value=value, factor=np.exp(self.factor.shrunk[table.device]))

    @property
    def told(self) -> str:
        """What the user should know."""
        parts = []
        if self.factor.sd:
            told = (100 * self.factor.sd, *(100 * end for end in self.factor.interval))
            parts.append("in their mean steps by {:.2g} % (95 % {:.2g} to {:.2g} %)".format(*told))
        if self.offset.sd:
            told = (self.offset.sd, *self.offset.interval)
            parts.append("in their conductance by {:.2g} S (95 % {:.2g} to {:.2g} S)".format(*told))
        return (
            f"the {len(self.factor.value)} devices differ {' and '.join(parts)}, standard deviations; rows are those "
            "of a typical device, and by_instance.csv and population.csv have each one's, shrunk to it"
        )


def separated(
    table: Segments, steps: Fit, noise: float | None, rng: np.random.Generator, groups: tuple[Group, ...] = ()
) -> tuple[Fit, Devices | None]:
    """Return the steps of a typical device, and how the devices differ; None if the readings do not support it.

    Parameters
    ----------
    table : Segments
    steps : Fit
        Of all devices as if they were one.
    noise : float or None
        Read noise, S, if it is known.
    rng : Generator
    groups : tuple of Group
        As of `calibration.measurement.step_model.fit`.
    """
    found = differences(steps, table) if len(table.devices) > 1 else None
    low, size = steps.model[-2:]
    for _ in range(IN_TURN):
        if not found:
            return steps, None
        steps = fit(found.typical(table), low, low + size, noise, 0, rng, steps.steps.fraction > 0, groups=groups)
        found = differences(steps, table, found)
    return steps, found or None


def differences(steps: Fit, table: Segments, before: Devices | None = None) -> Devices:
    """Return how the devices of a table differ, given the steps of a typical one.

    Parameters
    ----------
    steps : Fit
    table : Segments
        As it was read.
    before : Devices or None
        What ``steps`` already take into account; only what differs there is looked for.
    """
    theta, frame, knots, low, size = steps.model
    count = len(table.devices)
    few = _some(table)
    own, pulse, value = table.device[few], table.pulse[few].T, (table.value[few].T - low) / size
    at, free = np.zeros((count, 2)), np.ones(2, dtype=bool)
    if before is not None:
        at = np.stack([before.factor.shrunk, before.offset.shrunk / size], axis=1)
        free = np.array([before.factor.sd > 0, before.offset.sd > 0])
    with jax.enable_x64(True):
        data = (jnp.asarray(theta), jnp.asarray(pulse), jnp.asarray(value), frame)

        def slope(at: np.ndarray) -> np.ndarray:
            parts = _slope(*(jnp.asarray(part[own]) for part in at.T), *data, knots=knots)
            return np.stack([np.bincount(own, np.asarray(part), minlength=count) for part in parts], axis=1)

        prior = np.diag(1 / WIDE[free] ** 2)
        curved, known = np.zeros((count, 2, 2)), np.zeros((count, *prior.shape))
        for _ in range(ROUNDS):
            for axis, step in enumerate(np.eye(2) * STEP):
                curved[:, axis] = (slope(at + step) - slope(at - step)) / (2 * STEP)
            curved = (curved + curved.transpose(0, 2, 1)) / 2
            # where the likelihood is not concave, the width of the prior alone
            values, vectors = np.linalg.eigh(curved[:, free][:, :, free])
            known = (vectors * np.maximum(values, 0)[:, None]) @ vectors.transpose(0, 2, 1)
            wanted = slope(at)[:, free] + at[:, free] @ prior
            moved = np.linalg.solve(known + prior, wanted[..., None])[..., 0]
            at[:, free] -= np.clip(moved, -FURTHEST[free], FURTHEST[free])
    error = np.full((count, 2), np.inf)
    error[:, free] = np.sqrt(np.diagonal(np.linalg.inv(known + prior), axis1=1, axis2=2))
    readings = int(np.isfinite(value).sum())
    factor, offset = (_effect(at[:, axis], error[:, axis], readings) for axis in (0, 1))
    return Devices(factor, offset.times(size))


def _some(table: Segments) -> np.ndarray:
    """Return segments of every device, as many as parameters are fitted to."""
    each = max(1, MOST // (table.value.shape[1] * len(table.devices)))
    parts = [np.flatnonzero(table.device == number) for number in range(len(table.devices))]
    return np.sort(np.concatenate([part[:: max(1, -(-len(part) // each))] for part in parts]))


def _minus_log(factor, offset, theta, pulse, value, frame, knots: int):
    _, out = run_filter(theta, pulse, value - offset, jnp.exp(factor), frame, knots)
    return -out[0].sum()


_slope = jax.jit(jax.grad(_minus_log, argnums=(0, 1)), static_argnames="knots")


def _effect(value: np.ndarray, error: np.ndarray, readings: int) -> Effect:
    """Return what differs: estimates of each device with standard errors -> their spread, if it is supported."""
    none = Effect(0.0, (0.0, 0.0), np.zeros(len(value)), np.full(len(value), np.nan))
    if len(value) < 2 or not np.isfinite(error).all():
        return none
    tried = np.append(0.0, np.geomspace(1e-2 * error.min(), 10 * (np.ptp(value) + error.max()), GRID))
    variance = tried[:, None] ** 2 + error**2
    total = (1 / variance).sum(axis=1)
    mean = (value / variance).sum(axis=1) / total
    log = -0.5 * (np.log(variance).sum(axis=1) + np.log(total) + ((value - mean[:, None]) ** 2 / variance).sum(axis=1))
    best = int(log.argmax())
    if 2 * (log[best] - log[0]) <= np.log(readings):
        return none
    held = tried[log > log[best] - FALL]
    return Effect(float(tried[best]), (float(held[0]), float(held[-1])), value - mean[best], error)


def draws(effect: Effect, number: int, rng: np.random.Generator) -> Float[np.ndarray, "draws devices"]:
    """Return values of each device, drawn from what is known of them."""
    return effect.shrunk + effect.unsure * rng.standard_normal((number, len(effect.value)))
