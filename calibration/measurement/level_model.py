"""Hidden Markov model of a device with few levels, read with noise.

Level k has the conductance g_k; pulse d leads from level i to level j with the probability P_d(j | i); a reading is
g_k + r n, n ~ N(0, 1). All are found by expectation maximisation over whole series of readings (Baum, Petrie, Soules,
Weiss, Ann. Math. Stat. 41, 164 (1970); with transitions that depend on an input, Bengio and Frasconi, IEEE Trans.
Neural Netw. 7, 1231 (1996)).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64, Int64
from scipy import signal

from calibration.measurement.segments import Segments
from spinloom.errors import UserError

MOST = 24  # levels that are looked for
ROUNDS, TRIAL = 300, 40  # of the maximisation; to choose the number of levels
TOLERANCE = 1e-6  # of the log-likelihood, between two rounds
FREE = (0.02, 0.98)  # a probability beyond takes no parameter: it might as well be 0 or 1
LEAST = 1e-6  # of the range: a noise below it is 0 for all purposes
PRIOR = 1e-3  # pseudo-writes, which keep a probability from becoming exactly 0 before the levels are settled


@dataclass(frozen=True)
class Levels:
    """The fitted model.

    Attributes
    ----------
    level
        Conductance of each level, ascending, S.
    noise
        Standard deviation of a reading, S.
    counts
        Expected number of writes by pulse, level before, level after.
    log_likelihood
        Of the readings but the first of each segment, per S.
    parameters
        Number that the readings settled; a given noise is none.
    held
        Expected number of readings at each level.
    state
        Most probable level of the device at each reading.
    free
        The same number of levels with the noise that suits these best; None unless a noise was given.
    """

    level: Float64[np.ndarray, " levels"]
    noise: float
    counts: Float64[np.ndarray, "pulses levels levels"]
    log_likelihood: float
    parameters: int
    held: Float64[np.ndarray, " levels"]
    state: Int64[np.ndarray, "segments places"]
    free: Levels | None = None


def candidates(table: Segments) -> list[int]:
    """Return the numbers of levels that the heaps of the readings suggest, ascending."""
    values = table.value[np.isfinite(table.value)]
    low, high = np.quantile(values, [0.002, 0.998])
    size, found = high - low, set()
    grid = np.linspace(low - 0.1 * size, high + 0.1 * size, 1201)
    heaps = np.histogram(values, np.append(grid, 2 * grid[-1] - grid[-2]))[0].astype(float)
    for width in np.geomspace(0.1, 0.005, 12):
        kernel = np.exp(-0.5 * (np.arange(-600, 601) / (1000 * width)) ** 2)
        density = signal.fftconvolve(heaps, kernel, mode="same")
        peaks = signal.find_peaks(density, prominence=0.03 * density.max())[0]
        found.add(len(peaks))
    return sorted(number for number in found if 2 <= number <= MOST)


def fit(table: Segments, levels: int, noise: float | None, rounds: int = ROUNDS) -> Levels:
    """Fit the model with a given number of levels.

    Parameters
    ----------
    table : Segments
    levels : int
        At least 2.
    noise : float or None
        Read noise, S, if it is known.
    rounds : int
        Most rounds of the maximisation.

    Raises
    ------
    UserError
        If the readings do not hold that many different values.
    """
    values = table.value[np.isfinite(table.value)]
    if len(np.unique(values)) < levels:
        raise UserError(
            f"states.count: found {levels} levels, allowed: at most {len(np.unique(values))}, the different readings"
        )
    low, high = np.quantile(values, [0.002, 0.998])
    guesses = (np.quantile(values, (np.arange(levels) + 0.5) / levels), np.linspace(low, high, levels))
    size = high - low
    best = max((_fit(table, guess, size, None, rounds) for guess in guesses), key=lambda fit: fit.log_likelihood)
    if noise is None:
        return best
    # a noise that is held from the start keeps levels that begin far from theirs where they are
    return replace(_fit(table, best.level, size, max(noise, LEAST * size), rounds), free=best)


def _fit(table: Segments, level: np.ndarray, size: float, given: float | None, rounds: int) -> Levels:
    pulses, count = len(table.pulses), len(level)
    distance = np.abs(np.subtract.outer(np.arange(count), np.arange(count)))
    kernel = np.tile(0.5**distance, (pulses, 1, 1))
    kernel /= kernel.sum(axis=-1, keepdims=True)
    first = np.full(count, 1 / count)
    noise = size / (3 * count) if given is None else given
    held, pairs, last, conditional = _expect(table, level, noise, kernel, first)
    seen = np.isfinite(table.value)
    values = np.where(seen, table.value, 0.0)[..., None]
    for _ in range(rounds):
        weight = held * seen[..., None]
        own = weight.sum(axis=(0, 1))
        level = np.where(own > 1e-9, (weight * values).sum(axis=(0, 1)) / np.maximum(own, 1e-9), level)
        if given is None:
            noise = max(np.sqrt((weight * (values - level) ** 2).sum() / seen.sum()), LEAST * size)
        kernel = pairs + PRIOR / count
        kernel /= kernel.sum(axis=-1, keepdims=True)
        first = held[:, 0].mean(axis=0) + 1e-6
        first /= first.sum()
        held, pairs, total, conditional = _expect(table, level, noise, kernel, first)
        if 0 <= total - last < TOLERANCE * max(abs(total), 1.0):
            break
        last = total
    order = np.argsort(level, kind="stable")
    shares = pairs / np.maximum(pairs.sum(axis=-1, keepdims=True), 1e-9)
    free = ((shares > FREE[0]) & (shares < FREE[1])).sum(axis=-1)
    return Levels(
        level[order],
        float(noise),
        pairs[:, order][:, :, order],
        float(conditional),
        int(np.maximum(free - 1, 0).sum()) + count + (given is None),
        (held * np.isfinite(table.value)[..., None]).sum(axis=(0, 1))[order],
        np.argsort(order)[held.argmax(axis=-1)],
    )


def _expect(table: Segments, level, noise: float, kernel, first):
    """Return the probabilities of the levels [segments, places, levels], expected writes, and log-likelihoods.

    The second log-likelihood leaves out the first reading of each segment.
    """
    seen = np.isfinite(table.value)
    off = np.where(seen, table.value, 0.0)[..., None] - level
    density = np.where(seen[..., None], -0.5 * (off / noise) ** 2 - np.log(noise * np.sqrt(2 * np.pi)), 0.0)
    top = density.max(axis=-1, keepdims=True)
    shape = np.exp(density - top)
    steps = np.concatenate([kernel, np.eye(len(level))[None]])  # the last is REST
    places = table.pulse.shape[1]
    forward, scale = np.empty_like(shape), np.empty(table.pulse.shape)
    state = first * shape[:, 0]
    for place in range(places):
        if place:
            state = (forward[:, place - 1, None] @ steps[table.pulse[:, place]])[:, 0] * shape[:, place]
        scale[:, place] = state.sum(axis=-1)
        forward[:, place] = state / np.maximum(scale[:, place, None], 1e-300)
    backward, ahead = np.ones_like(shape), np.empty_like(shape)
    for place in range(places - 1, 0, -1):
        ahead[:, place] = backward[:, place] * shape[:, place] / np.maximum(scale[:, place, None], 1e-300)
        backward[:, place - 1] = (steps[table.pulse[:, place]] @ ahead[:, place, :, None])[..., 0]
    own = [table.pulse[:, 1:] == pulse for pulse in range(len(kernel))]
    pairs = kernel * np.stack([forward[:, :-1][written].T @ ahead[:, 1:][written] for written in own])
    logs = np.log(np.maximum(scale, 1e-300)) + top[..., 0]
    return forward * backward, pairs, logs.sum(), logs[:, 1:].sum()
