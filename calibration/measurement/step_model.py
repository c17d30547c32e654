"""State-space model of an analogue device: steps that depend on the conductance, read with noise.

    x' = clip(x + m_d(x) + s_d(x) e, low, high)        state after pulse d
    y  = x' + r(x') n                                   reading; e, n ~ N(0, 1)
    r(x)^2 = r0^2 + (c x)^2

r0 is the noise of the instrument, and c that of the device's own fluctuations, which are in proportion to its
conductance (1/f noise: Hooge, Phys. Lett. A 29, 139 (1969); of phase-change memory: Nandakumar et al., J. Appl. Phys.
124, 152135 (2018)). They are independent, so their variances add; a variance that is quadratic in the state also has a
closed mean in the filter. c is 0 unless `fit` is asked for it.

The mean step m and the logarithm of its spread s are piecewise linear in the state, for each pulse. ``low`` and
``high`` are hard ends, on which a step that would pass them stops. The likelihood of all readings follows from a
Gaussian assumed-density filter with three-point Gauss-Hermite prediction (Sarkka, Bayesian Filtering and Smoothing,
2013, sections 6.2 and 12.3); all parameters maximise it together with weak priors on how fast m and s vary. Their
covariance is the inverse of the second derivatives there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float64, Int64
from scipy.optimize import minimize

from calibration.counting.writes import REST
from calibration.measurement import surface
from calibration.measurement.optimum import CURVE, EFFORT, covariance, may_be_least, tied, upper_noise
from calibration.measurement.segments import Segments
from calibration.measurement.step_filter import SHORT, Frame, run_filter, smoothed, unpack
from calibration.measurement.surface import Blocks, Group

# sd of the priors of the second difference between knots: of m, as a share of the mean step, and of ln s
ROUGH_MEAN, ROUGH_LOG_SD = 0.2, 0.2
SLOPE = 0.7  # sd of the prior of the change of ln s over the range
POWER = (0.5, 0.5)  # mean and sd of the prior of the power of m in s
ALIKE = 0.4  # sd of the prior of ln s over the mean step between pulses
USUAL = (-0.7, 1.5)  # mean and sd of the prior of ln s over the mean step of pulses that are tied
ENDS = (0.0, 1.0)  # where hard ends are first looked for: from the outermost reading to the end of the range
FINE = 8  # points between knots at which the fitted functions are told
LANES = 40_000  # readings times parameters that are varied together
MOST = 20_000  # readings that parameters are fitted to; of more, every second, third, ... segment
SMALLEST = 1e-4  # of the range: a spread below it is 0 for all purposes
SILENT = 0.02  # of the shortest mean step: a read noise below it is 0 for all purposes
EDGE_SD = 0.2  # sd of the prior of a hard end about the outermost reading, in units of the range


@dataclass(frozen=True)
class Steps:
    """Parameters of the model, in S.

    Attributes
    ----------
    knots
        States at which the functions are given; they are constant beyond.
    mean, sd
        Mean and standard deviation of a step at each knot, by pulse.
    low, high
        Hard ends.
    noise
        Standard deviation of a reading at the conductance ``typical``.
    fraction
        What of it grows with the conductance, over the conductance: c of the model.
    typical
        Root mean square of the readings.
    """

    knots: Float64[np.ndarray, " knots"]
    mean: Float64[np.ndarray, "pulses knots"]
    sd: Float64[np.ndarray, "pulses knots"]
    low: float
    high: float
    noise: float
    fraction: float = 0.0
    typical: float = 0.0

    @property
    def floor(self) -> float:
        """The noise at zero conductance, S: r0 of the model."""
        return float(self.noise_at(np.zeros(1))[0])

    def noise_at(self, states: Float64[np.ndarray, " states"]) -> Float64[np.ndarray, " states"]:
        """Return the standard deviation of a reading of each state, S."""
        return np.sqrt(np.maximum(self.noise**2 + self.fraction**2 * (states**2 - self.typical**2), 0.0))

    def at(self, states: Float64[np.ndarray, " states"]) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and sd of an unclipped step from each state, float64[pulses, states] both."""
        mean = np.stack([np.interp(states, self.knots, own) for own in self.mean])
        return mean, np.exp(np.stack([np.interp(states, self.knots, np.log(own)) for own in self.sd]))


@dataclass(frozen=True)
class Fit:
    """The most probable parameters and what is known of them.

    Attributes
    ----------
    steps
        The most probable parameters.
    draws
        Parameters drawn from their posterior, as many as were asked for.
    log_likelihood
        Of the readings, per S.
    parameters
        Number that was fitted; of pulses that are tied to each other, as many as the readings decide.
    noise_interval
        95 % interval of the read noise, S, from 0 where there may be none; NaN where the noise was given, or no draws
        were asked for.
    state, state_sd
        Smoothed state of each reading and its standard deviation, S; of the readings' segments.
    surprise
        Reading minus its prediction over the standard deviation of that; NaN for the first of a segment.
    model
        What `filtered` needs to run the model over other readings.
    unseen
        Whether the most probable read noise is none.
    """

    steps: Steps
    draws: list[Steps]
    log_likelihood: float
    parameters: float
    noise_interval: tuple[float, float]
    state: Float64[np.ndarray, "segments places"]
    state_sd: Float64[np.ndarray, "segments places"]
    surprise: Float64[np.ndarray, "segments places"]
    model: tuple[Any, ...]
    unseen: bool


def _objective(theta, pulse, value, factor, fixed_noise, frame: Frame, tied, knots: int):
    """Return minus the log posterior; ``fixed_noise`` NaN if the noise is fitted.

    ``tied`` is None, or the matrix of the prior that ties pulses to each other, and what takes the mean of each group.
    """
    theta = theta.at[-1].set(jnp.where(jnp.isnan(fixed_noise), theta[-1], fixed_noise))
    _, out = run_filter(theta, pulse, value, factor, frame, knots)
    mean, level, power, _, low, high, _ = unpack(theta, frame, knots)
    outer, scale = frame.outer, frame.scale
    prior = ((jnp.diff(mean, 2, axis=1) / (ROUGH_MEAN * scale[:, None])) ** 2).sum()
    prior += ((jnp.diff(level, 2, axis=1) / ROUGH_LOG_SD) ** 2).sum()
    prior += (((level[:, -1] - level[:, 0]) / SLOPE) ** 2).sum() + (((power - POWER[0]) / POWER[1]) ** 2).sum()
    relative = level.mean(axis=1) - jnp.log(scale)
    if tied is None:
        prior += (((relative - relative.mean()) / ALIKE) ** 2).sum()
    else:
        matrix, shares = tied
        alone = shares.sum(axis=0) == 0
        middle = (alone * relative).sum() / jnp.maximum(alone.sum(), 1)
        prior += (alone * ((relative - middle) / ALIKE) ** 2).sum() + theta @ matrix @ theta
        prior += (((shares @ relative - USUAL[0]) / USUAL[1]) ** 2).sum()
    prior += ((low - outer[0]) / EDGE_SD) ** 2 + ((high - outer[1]) / EDGE_SD) ** 2
    return -out[0].sum() + 0.5 * prior


_value_and_gradient = jax.jit(jax.value_and_grad(_objective), static_argnames="knots")
_slopes = jax.jit(
    lambda thetas, *data, knots: jax.vmap(lambda theta: jax.grad(_objective)(theta, *data, knots=knots))(thetas),
    static_argnames="knots",
)
_run = jax.jit(run_filter, static_argnames="knots")


def _moments(pulse, value, pulses: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Return mean steps, spreads and read noise from the first differences and their correlation.

    Reading noise leaves the mean difference alone, adds 2 r^2 to its variance, and correlates neighbouring differences
    by -r^2.
    """
    step = np.diff(value, axis=0)
    own = pulse[1:]

    def average(values: np.ndarray) -> np.ndarray:
        known = [values[(own == number) & np.isfinite(values)] for number in range(pulses)]
        return np.array([part.mean() if len(part) else 0.0 for part in known])

    mean = average(step)
    left = step - np.where(own == REST, 0.0, mean[np.maximum(own, 0)])
    # of second differences, in which a mean step that changes slowly cancels: var = 2 s^2 + 6 r^2, cov = -s^2 - 4 r^2
    same = (own[1:] == own[:-1]) & (own[1:] != REST)
    second = np.where(same, np.diff(step, axis=0), np.nan)
    pair = second[1:] * second[:-1]
    noise2 = max(-np.nanmean(pair) - np.nanmean(second**2) / 2, 0.0) if np.isfinite(pair).any() else 0.0
    variance = average(left**2)
    sd = np.sqrt(np.maximum(variance - 2 * noise2, 0.05 * variance + SMALLEST**2))
    return mean, sd, np.sqrt(noise2 + 0.01 * variance.mean())


def knots_for(writes: Int64[np.ndarray, " pulses"]) -> int:
    """Return the number of knots that so many writes of each pulse carry."""
    return int(np.clip(2 + np.log10(max(writes.min(), 1)) * 1.5, 3, 9))


class _Posterior:
    """Minus the log posterior and its slope, as functions of parameters in numpy's arrays."""

    def __init__(self, *data: Any, knots: int):
        self.data, self.knots, self.tied = data, knots, None

    def __call__(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        found, slope = _value_and_gradient(jnp.asarray(theta), *self.data, self.tied, knots=self.knots)
        return float(found), np.asarray(slope)

    def curvature(self, theta: np.ndarray) -> np.ndarray:
        """Return all second derivatives; of many parameters, a batch at a time is several times faster."""
        lanes, shifts = max(LANES // self.data[1].size, 1), CURVE * np.eye(len(theta))
        rows = []
        for part in np.array_split(shifts, -(-len(theta) // lanes)):
            moved = np.resize(part, (lanes, len(theta)))  # of one shape, for which alone it is compiled
            up, down = (_slopes(theta + way * moved, *self.data, self.tied, knots=self.knots) for way in (1, -1))
            rows.append(np.asarray(up - down)[: len(part)] / (2 * CURVE))
        curved = np.concatenate(rows)
        return (curved + curved.T) / 2


def fit(
    table: Segments,
    low: float,
    high: float,
    noise: float | None,
    draws: int,
    rng: np.random.Generator,
    grows: bool = False,
    near: Fit | None = None,
    groups: tuple[Group, ...] = (),
) -> Fit:
    """Fit the model.

    Parameters
    ----------
    table : Segments
    low, high : float
        Range of the states, S: knots are spread over it.
    noise : float or None
        Read noise, S, if it is known.
    draws : int
        Parameters to draw from the posterior.
    rng : Generator
    grows : bool
        Whether the noise may grow with the conductance; not if it is known.
    near : Fit or None
        Of the same readings and range, to begin from.
    groups : tuple of Group
        Pulses whose steps are smooth functions of voltage, width and the like, as far as the readings say so.

    Returns
    -------
    Fit
    """
    size, grows = high - low, grows and noise is None
    pulse, value = table.pulse.T, (table.value.T - low) / size
    pulses = len(table.pulses)
    knots = knots_for(table.writes())
    mean, sd, guess = _moments(pulse, value, pulses)
    for group in groups:
        own = group.members
        count = table.writes()[own]
        sd[own] = np.exp(surface.smoothed(group, np.log(sd[own]), 0.5 / np.maximum(count - 1, 0.5))[0])
        mean[own] = surface.smoothed(group, mean[own], (sd[own] ** 2 + 2 * guess**2) / count)[0]
    outer = np.array([np.nanmin(value), np.nanmax(value)])
    # a pulse without effect has a scale, too
    scale = np.maximum(np.abs(mean), 0.2 * sd) + SMALLEST
    for group in groups:
        scale[group.members] = np.sqrt(np.mean(scale[group.members] ** 2))
    silent = max(SILENT * scale.min(), 1e-6)
    fixed = np.nan if noise is None else np.log(max(noise / size, silent))
    begin = np.concatenate(
        [np.repeat(mean / scale, knots), np.log(np.repeat(np.maximum(sd, 2 * SMALLEST), knots)), np.zeros(pulses),
         [grows * np.pi / 4, 0.0, 0.0, np.log(max(guess, 2 * silent))]]
    )  # fmt: skip
    if noise is not None:
        begin[-1] = fixed
    rooms = [(-50.0, 50.0)] * (pulses * knots) + [(np.log(SMALLEST), 1.0)] * (pulses * knots)
    rooms += [(-3.0, 3.0)] * pulses
    wide = 0.3 / scale.max()
    rooms += [(-np.pi, np.pi) if grows else (0.0, 0.0), (-wide, wide), (-wide, wide), (np.log(silent), 0.0)]
    typical = float(np.sqrt(np.nanmean(table.value**2)))
    with jax.enable_x64(True):
        few = slice(None, None, 1 + pulse.size // (MOST // 4 if groups or not draws else MOST))
        data = (
            jnp.asarray(pulse[:, few]),
            jnp.asarray(value[:, few]),
            jnp.asarray(table.factor[few]),
            jnp.asarray(fixed),
            Frame(jnp.asarray(outer), jnp.asarray(scale), jnp.asarray(-low / size), jnp.asarray(typical / size)),
        )
        both = _Posterior(*data, knots=knots)
        # the hard ends have two modes: beyond all readings, where they do nothing, and where the states end
        starts = []
        for inward in ENDS if draws else ENDS[:1]:
            begin[-3:-1] = np.clip(inward * (np.array([0.0, 1.0]) - outer) / scale.max(), -wide, wide)
            if near is not None:
                begin = np.where(np.arange(len(begin)) == len(begin) - 4, begin, near.model[0])
            starts.append(begin.copy())
        if groups:
            blocks = Blocks.first(groups, scale, mean, knots)
            theta, doubt, parameters = tied(both, starts, rooms, blocks, draws > 0, rng)
        else:
            tried = [minimize(both, one, jac=True, method="L-BFGS-B", bounds=rooms, options=EFFORT) for one in starts]
            theta = min(tried, key=lambda result: result.fun).x
            doubt = covariance(both, theta, rooms, noise is not None) if draws else np.full((len(theta),) * 2, np.nan)
            parameters = len(theta) - 1 + grows - (noise is not None)
        unseen = noise is None and bool(theta[-1] <= np.log(silent) + 1e-6)
        possible = unseen or (noise is None and draws > 0 and may_be_least(both, theta, rooms))
        most = upper_noise(both, theta, rooms) if possible and draws else np.nan
        whole = (jnp.asarray(part) for part in (theta, pulse, value, table.factor))
        start, out = _run(*whole, data[-1], knots=knots)
        density, *moments, surprise = (np.asarray(part) for part in out)
        state, variance = smoothed(tuple(np.asarray(part) for part in start), moments)
    drawn = rng.multivariate_normal(theta, doubt, draws, method="cholesky") if draws else np.empty((0, len(theta)))
    drawn = np.clip(drawn, *np.array(rooms).T)
    width = 1.96 * np.sqrt(doubt[-1, -1])
    low_noise, high_noise = (float(size * np.exp(theta[-1] + sign * width)) for sign in (-1, 1))
    interval = (0.0, float(size * most)) if possible else (low_noise, high_noise)
    seen = int(np.isfinite(table.value).sum())
    return Fit(
        _steps(theta, low, size, data[-1], knots),
        [_steps(one, low, size, data[-1], knots) for one in drawn],
        float(density.sum()) - (seen - len(table.value)) * np.log(size),
        parameters,
        interval if noise is None else (np.nan, np.nan),
        low + size * state.T,
        size * np.sqrt(np.maximum(variance, 0)).T,
        np.concatenate([np.full((1, surprise.shape[1]), np.nan), surprise]).T,
        (theta, data[-1], knots, low, size),
        unseen,
    )


def filtered(fit: Fit, table: Segments) -> Float64[np.ndarray, "segments places"]:
    """Return the surprises of other readings of the same devices under the fitted model."""
    theta, frame, knots, low, size = fit.model
    with jax.enable_x64(True):
        data = (jnp.asarray(part) for part in (theta, table.pulse.T, (table.value.T - low) / size, table.factor))
        _, out = _run(*data, frame, knots=knots)
        surprise = np.asarray(out[-1])
    return np.concatenate([np.full((1, surprise.shape[1]), np.nan), surprise]).T


def grown(fit: Fit, states: Float64[np.ndarray, " states"], tail: float) -> dict[str, Any]:
    """Return what ``card.json`` says of a noise that grows.

    Parameters
    ----------
    fit : Fit
    states : float64[states]
        Of the card, S.
    tail : float
        Probability that intervals leave out at each end.
    """

    def interval(values: list[float]) -> list[float]:
        return np.quantile(values, [tail, 1 - tail]).tolist()

    low, high = np.quantile([draw.noise_at(states) for draw in fit.draws], [tail, 1 - tail], axis=0)
    own = fit.steps.noise_at(states)
    return {
        "noise_floor_S": fit.steps.floor,
        "noise_floor_interval_S": interval([draw.floor for draw in fit.draws]),
        "noise_fraction": fit.steps.fraction,
        "noise_fraction_interval": interval([draw.fraction for draw in fit.draws]),
        "noise_low_S": np.minimum(low, own).tolist(),
        "noise_high_S": np.maximum(high, own).tolist(),
    }


def _steps(theta: np.ndarray, low: float, size: float, frame: Frame, knots: int) -> Steps:
    frame = Frame(*map(np.asarray, frame))
    mean, level, power, angle, below, above, log_noise = map(np.asarray, unpack(theta, frame, knots))
    # ln s is not linear between the model's knots where the mean step changes
    fine = np.linspace(0, knots - 1, FINE * (knots - 1) + 1)
    mean, level = (np.stack([np.interp(fine, np.arange(knots), own) for own in part]) for part in (mean, level))
    sd = np.exp(level + power[:, None] * 0.5 * np.log((mean / frame.scale[:, None]) ** 2 + SHORT**2))
    return Steps(
        low + size * fine / (knots - 1),
        size * mean,
        size * sd,
        float(low + size * below),
        float(low + size * above),
        float(size * np.exp(log_noise)),
        float(np.exp(log_noise) * np.abs(np.sin(angle)) / frame.typical),
        float(size * frame.typical),
    )
