"""Rows of a card from a fitted hidden Markov model: their prior, and what the readings leave open.

The expected writes of the model are no counted ones, because a reading does not tell the level for sure. Of the
information that counts would hold, the share that is missing is the variance of the estimates between possible
histories of the device, over all their variance (Louis, J. R. Stat. Soc. B 44, 226 (1982)). Histories and parameters
are drawn in turn from their posterior (data augmentation, Tanner and Wong, J. Am. Stat. Assoc. 82, 528 (1987)), the
histories by forward filtering and backward sampling (Scott, J. Am. Stat. Assoc. 97, 337 (2002)).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int64
from scipy import special

from calibration.counting.estimator import Rows
from calibration.counting.writes import REST
from calibration.measurement import borrow
from calibration.measurement.level_model import Levels
from calibration.measurement.segments import Segments
from calibration.sections import Posterior

CHAINS, ROUNDS, BURN = 60, 8, 3  # of draws; the first rounds still know where they began
MOST = 4000  # readings that are drawn for; of more, every second, third, ... segment
ALIKE = 4  # levels from which on rows are compared: fewer do not tell how alike they are
LEAST = 0.02  # share of the information that is known, at least


def estimated(
    fit: Levels, table: Segments, pulses: int, options: Posterior, rng: np.random.Generator
) -> tuple[Rows, tuple[float, float]]:
    """Return the rows between levels and the 95 % interval of the noise, S.

    A row's prior is worth ``options.pseudocount`` for each of two states, or the same for more together, so that few
    writes to many levels are not drowned. It is shared as the other rows of the pulse say, by step in levels
    (`calibration.measurement.borrow`), which is what a row is that nobody wrote. Intervals are those of an even prior:
    how alike the rows are is a guess.

    Parameters
    ----------
    fit : Levels
    table : Segments
        That it was fitted to.
    pulses : int
        Of the card; those that `table` does not have are rows that nobody wrote.
    options : Posterior
    rng : Generator

    Returns
    -------
    Rows
        Counts are expected writes, rounded.
    tuple of float
        NaN where the noise was given.
    """
    size = len(fit.level)
    counts = np.zeros((pulses, size, size))
    own = list(table.pulses)
    counts[own] = fit.counts
    weight = 2 * options.pseudocount
    known, known_noise = _known(fit, table, weight / size, rng)
    share_known = np.ones_like(counts)
    share_known[own] = known
    total = counts.sum(axis=-1, keepdims=True) + weight
    mean, even = (counts + weight * _centre(counts, options)) / total, (counts + weight / size) / total
    worth = np.maximum((1 + total) * share_known - 1, borrow.NEVER)
    tail = (1 - options.interval) / 2
    low, high = (special.betaincinv(worth * even, worth * (1 - even), share) for share in (tail, 1 - tail))
    whole = np.rint(counts).astype(np.int64)
    written = whole.sum(axis=-1, keepdims=True)
    # no number of writes can exclude that a probability is 0, or 1
    low = np.where((whole == 0) & (written > 0), 0.0, low)
    high = np.where((whole == written) & (written > 0), 1.0, high)
    # of a Dirichlet distribution with the variance of all cells together
    free = even * (1 - even)
    known = free.sum(axis=-1, keepdims=True) / (free / share_known).sum(axis=-1, keepdims=True)
    together = np.maximum((1 + total) * known - 1, borrow.NEVER)
    rows = Rows(whole, together * mean, mean, np.minimum(low, mean), np.maximum(high, mean))
    if fit.free is not None:
        return rows, (np.nan, np.nan)
    # the information of n readings about ln r is 2 n; what is not known of the levels takes one reading each
    readings = max(int(np.isfinite(table.value).sum()) - size, 1)
    width = 1.96 / np.sqrt(2 * readings * known_noise)
    return rows, (float(fit.noise * np.exp(-width)), float(fit.noise * np.exp(width)))


def _centre(counts: np.ndarray, options: Posterior) -> np.ndarray:
    """Return the shares of the prior by pulse, level before and level after."""
    size = counts.shape[1]
    shares = np.full(counts.shape, 1 / size)
    if not (size >= ALIKE if options.borrow is None else options.borrow):
        return shares
    for pulse, writes in enumerate(counts):
        if (np.rint(writes).sum(axis=-1) > 0).sum() > 1:
            pseudo, _ = borrow.prior(writes, np.zeros_like(writes), np.zeros_like(writes), (0.0,))
            shares[pulse] = pseudo / pseudo.sum(axis=-1, keepdims=True)
    return shares


def _known(fit: Levels, table: Segments, prior: float, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Return the known share of the information about each probability [pulses, levels, levels] and about ln r."""
    few = slice(None, None, 1 + int(np.isfinite(table.value).sum()) // MOST)
    pulse, value = table.pulse[few], table.value[few]
    size, readings = len(fit.level), int(np.isfinite(value).sum())
    level, noise = np.tile(fit.level, (CHAINS, 1)), np.full(CHAINS, fit.noise)
    alpha = fit.counts + prior
    kernel = np.tile(alpha / alpha.sum(axis=-1, keepdims=True), (CHAINS, 1, 1, 1))
    first = (fit.held + 1) / (fit.held + 1).sum()
    means, within, squares = [], [], []
    for number in range(ROUNDS):
        state = _histories(pulse, value, level, noise, kernel, first, rng)
        alpha = _writes(pulse, state, size, len(fit.counts)) + prior
        total = alpha.sum(axis=-1, keepdims=True)
        mean, held, left = _scatter(value, state, size)
        if number >= BURN:
            means.append(alpha / total)
            within.append(means[-1] * (1 - means[-1]) / (1 + total))
            squares.append(np.log(left) / 2)
        drawn = rng.standard_gamma(alpha) + 1e-300
        kernel = drawn / drawn.sum(axis=-1, keepdims=True)
        if fit.free is None:
            noise = np.sqrt(left / rng.chisquare(max(readings - size, 1), CHAINS))
        about = mean + noise[:, None] / np.sqrt(np.maximum(held, 1)) * rng.standard_normal(level.shape)
        level = np.where(held > 0, about, level)
    complete, between = np.mean(within, axis=(0, 1)), np.var(means, axis=(0, 1))
    exact = 1 / (2 * max(readings - size, 1))
    return np.maximum(complete / np.maximum(complete + between, 1e-300), LEAST), float(
        exact / (exact + np.var(squares))
    )


def _histories(pulse, value, level, noise, kernel, first, rng) -> Int64[np.ndarray, "chains segments places"]:
    """Draw the level of the device at each place of each segment, for each chain's parameters."""
    seen = np.isfinite(value)
    off = (np.where(seen, value, 0.0)[..., None] - level[:, None, None]) / noise[:, None, None, None]
    density = np.where(seen[..., None], -0.5 * off**2, 0.0)
    shape = np.exp(density - density.max(axis=-1, keepdims=True))
    rest = np.broadcast_to(np.eye(level.shape[1]), (len(level), 1, *kernel.shape[2:]))
    steps = np.concatenate([kernel, rest], axis=1)  # the last is REST
    forward = np.empty_like(shape)
    ahead = np.broadcast_to(first, shape[:, :, 0].shape)
    for place in range(pulse.shape[1]):
        if place:
            ahead = (forward[:, :, place - 1, None] @ steps[:, pulse[:, place]])[:, :, 0]
        joint = ahead * shape[:, :, place]
        forward[:, :, place] = joint / np.maximum(joint.sum(axis=-1, keepdims=True), 1e-300)
    state = np.empty(shape.shape[:3], dtype=np.int64)
    chain = np.arange(len(level))[:, None]
    weight = forward[:, :, -1]
    for place in range(pulse.shape[1] - 1, -1, -1):
        if place < pulse.shape[1] - 1:
            weight = forward[:, :, place] * steps[chain, pulse[:, place + 1], :, state[:, :, place + 1]]
        chance = np.cumsum(weight, axis=-1)
        threshold = rng.random(chance.shape[:2])[..., None] * chance[..., -1:]
        state[:, :, place] = (threshold > chance[..., :-1]).sum(axis=-1)
    return state


def _writes(pulse, state, size: int, pulses: int) -> Float64[np.ndarray, "chains pulses levels levels"]:
    chains = len(state)
    index = (np.arange(chains)[:, None, None] * pulses + pulse[:, 1:]) * size + state[..., :-1]
    index = (index * size + state[..., 1:])[:, pulse[:, 1:] != REST]
    shape = (chains, pulses, size, size)
    return np.bincount(index.ravel(), minlength=chains * pulses * size**2).reshape(shape).astype(np.float64)


def _scatter(value, state, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean and number of readings by chain and level, and by chain the squared distances from the means."""
    seen, chains = np.isfinite(value), len(state)
    index = (np.arange(chains)[:, None] * size + state[:, seen]).ravel()
    read = np.tile(value[seen], chains)
    held = np.bincount(index, minlength=chains * size)
    mean = np.bincount(index, read, chains * size) / np.maximum(held, 1)
    left = ((read - mean[index]) ** 2).reshape(chains, -1).sum(axis=1)
    return mean.reshape(chains, size), held.reshape(chains, size), left
