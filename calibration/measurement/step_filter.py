"""Filter and smoother of the state-space model of `step_model`: its likelihood, and the states behind the readings."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy import stats

from calibration.counting.writes import REST

SHORT = 0.05  # of the mean step: below it, a shorter step has no smaller spread


def _hat(x, knots):
    """Return the weights of the knots (equally spaced over 0..1) in a piecewise linear function at x, [..., knots]."""
    place = jnp.clip(x, 0.0, 1.0) * (knots - 1)
    return jnp.clip(1 - jnp.abs(place[..., None] - jnp.arange(knots)), 0.0, 1.0)


class Frame(NamedTuple):
    """What parameters are counted in, and where the conductance is zero; over the range of the states.

    Attributes
    ----------
    outer
        Lowest and highest reading.
    scale
        Length of a typical step of each pulse.
    zero, typical
        Place of the conductance 0, and distance from there to the readings' root mean square.
    """

    outer: Any
    scale: Any
    zero: Any
    typical: Any


class Parameters(NamedTuple):
    """Parameters by name: by pulse and knot, by pulse, and single ones."""

    mean: Any
    level: Any  # the smooth part of ln s
    power: Any  # of m in s
    angle: Any  # r0 = r cos(angle) at all conductances, and c = r sin(angle) at the typical one
    low: Any
    high: Any
    log_noise: Any  # ln r


def unpack(theta, frame: Frame, knots: int) -> Parameters:
    """Return the parameters by name.

    Steps count in units of their scale, ends in units of the longest scale: all parameters then vary by about as much.
    """
    scale = frame.scale
    pulses = len(scale)
    size = pulses * knots
    mean = theta[:size].reshape(pulses, knots) * scale[:, None]
    level = theta[size : 2 * size].reshape(pulses, knots)
    low, high = frame.outer + scale.max() * theta[-3:-1]
    return Parameters(mean, level, theta[2 * size : 2 * size + pulses], theta[-4], low, high, theta[-1])


def log_spread(mean, level, power, scale):
    """Return ln s where the mean step is ``mean`` and the smooth part of ln s is ``level``; all by pulse."""
    return level + power * 0.5 * jnp.log((mean / scale) ** 2 + SHORT**2)


def _clipped(mean, sd, low, high):
    """Return mean and variance of a normal variable of which what lies beyond low and high is moved to these."""
    a, b = (low - mean) / sd, (high - mean) / sd
    below, above = stats.norm.cdf(a), stats.norm.cdf(-b)
    pa, pb = stats.norm.pdf(a), stats.norm.pdf(b)
    inside = 1 - below - above
    first = below * a + above * b + pa - pb  # of (u - mean) / sd
    # a * pa and b * pb vanish at infinite ends
    second = below * a**2 + above * b**2 + inside + a * pa - b * pb
    return mean + sd * first, sd**2 * jnp.maximum(second - first**2, 1e-12)


NODES, WEIGHTS = np.array([-(3**0.5), 0.0, 3**0.5]), np.array([1, 4, 1]) / 6


def run_filter(theta, pulse, value, factor, frame: Frame, knots: int):
    """Return log densities, predicted and filtered moments, and surprises; [places, segments]."""
    mean_k, level_k, power, angle, low, high, log_noise = unpack(theta, frame, knots)
    scale, first = frame.scale, value[0]

    def noise(mu, var):
        # the mean of r^2 over a state with these moments
        share = jnp.sin(angle) ** 2
        return jnp.exp(2 * log_noise) * (1 - share + share * ((mu - frame.zero) ** 2 + var) / frame.typical**2)

    def place(carry, reading):
        mu, var = carry
        own, y = reading
        nodes = mu[:, None] + jnp.sqrt(var)[:, None] * NODES  # [segments, nodes]
        hat = _hat(nodes, knots)
        which = jnp.maximum(own, 0)
        step = jnp.einsum("snk,sk->sn", hat, mean_k[which])
        level = jnp.einsum("snk,sk->sn", hat, level_k[which])
        sd = jnp.exp(log_spread(step, level, power[which][:, None], scale[which][:, None]))
        to, spread = _clipped(nodes + factor[:, None] * step, sd, low, high)
        moved = to @ WEIGHTS
        wide = (spread + (to - moved[:, None]) ** 2) @ WEIGHTS
        cross = ((nodes - mu[:, None]) * (to - moved[:, None])) @ WEIGHTS
        rests = own == REST
        predicted = jnp.where(rests, mu, moved)
        spread_of = jnp.where(rests, var, wide)
        covariance = jnp.where(rests, var, cross)
        seen = jnp.isfinite(y)
        total = spread_of + noise(predicted, spread_of)
        off = jnp.where(seen, jnp.where(seen, y, 0.0) - predicted, 0.0)
        gain = jnp.where(seen, spread_of / total, 0.0)
        density = jnp.where(seen, -0.5 * (off**2 / total + jnp.log(2 * jnp.pi * total)), 0.0)
        after, left = predicted + gain * off, spread_of * (1 - gain)
        out = (density, predicted, spread_of, covariance, after, left, jnp.where(seen, off / jnp.sqrt(total), jnp.nan))
        return (after, left), out

    start = (first, noise(first, 0.0))
    _, out = jax.lax.scan(place, start, (pulse[1:], value[1:]))
    return start, out


def smoothed(start, moments) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and variance of each state given all readings of its segment, [places, segments].

    Rauch-Tung-Striebel smoother with the filter's cross-covariances (Sarkka 2013, section 10.2).
    """
    predicted, spread, cross, after, left = moments
    mean, variance = [after[-1]], [left[-1]]
    for place in range(len(predicted) - 1, -1, -1):
        before, own = (after[place - 1], left[place - 1]) if place else start
        gain = cross[place] / np.maximum(spread[place], 1e-300)
        mean.append(before + gain * (mean[-1] - predicted[place]))
        variance.append(own + gain**2 * (variance[-1] - spread[place]))
    return np.stack(mean[::-1]), np.stack(variance[::-1])
