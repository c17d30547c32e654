"""Filter and smoother of the state-space model of `step_model`: its likelihood, and the states behind the readings."""

from __future__ import annotations

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


def unpack(theta, outer, scale, knots: int):
    """Return m, the smooth part of ln s, the power of m in s, both ends and the logarithm of the noise.

    Steps count in units of ``scale``, ends in units of the longest scale: all parameters then vary by about as much.
    """
    pulses = len(scale)
    size = pulses * knots
    mean = theta[:size].reshape(pulses, knots) * scale[:, None]
    level = theta[size : 2 * size].reshape(pulses, knots)
    ends = outer + scale.max() * theta[-3:-1]
    return mean, level, theta[2 * size : 2 * size + pulses], ends[0], ends[1], theta[-1]


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


def run_filter(theta, pulse, value, outer, scale, knots: int):
    """Return log densities, predicted and filtered moments, and surprises; [places, segments]."""
    mean_k, level_k, power, low, high, log_noise = unpack(theta, outer, scale, knots)
    noise = jnp.exp(2 * log_noise)
    first = value[0]

    def place(carry, reading):
        mu, var = carry
        own, y = reading
        nodes = mu[:, None] + jnp.sqrt(var)[:, None] * NODES  # [segments, nodes]
        hat = _hat(nodes, knots)
        which = jnp.maximum(own, 0)
        step = jnp.einsum("snk,sk->sn", hat, mean_k[which])
        level = jnp.einsum("snk,sk->sn", hat, level_k[which])
        sd = jnp.exp(log_spread(step, level, power[which][:, None], scale[which][:, None]))
        to, spread = _clipped(nodes + step, sd, low, high)
        moved = to @ WEIGHTS
        wide = (spread + (to - moved[:, None]) ** 2) @ WEIGHTS
        cross = ((nodes - mu[:, None]) * (to - moved[:, None])) @ WEIGHTS
        rests = own == REST
        predicted = jnp.where(rests, mu, moved)
        spread_of = jnp.where(rests, var, wide)
        covariance = jnp.where(rests, var, cross)
        seen = jnp.isfinite(y)
        total = spread_of + noise
        off = jnp.where(seen, jnp.where(seen, y, 0.0) - predicted, 0.0)
        gain = jnp.where(seen, spread_of / total, 0.0)
        density = jnp.where(seen, -0.5 * (off**2 / total + jnp.log(2 * jnp.pi * total)), 0.0)
        after, left = predicted + gain * off, spread_of * (1 - gain)
        out = (density, predicted, spread_of, covariance, after, left, jnp.where(seen, off / jnp.sqrt(total), jnp.nan))
        return (after, left), out

    start = (first, jnp.full_like(first, noise))
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
