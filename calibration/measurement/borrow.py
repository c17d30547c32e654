"""Sparse rows of a kernel borrow strength from their neighbours and from a fitted step.

A row with a few writes over many states is drowned by a prior of half a write in each. Its prior is therefore centred
on what the other rows say, and its weight is that which makes the counts most probable (parametric empirical Bayes;
Efron and Morris, J. Am. Stat. Assoc. 68, 117 (1973); Dirichlet-multinomial likelihood, Minka, Estimating a Dirichlet
distribution, 2000):

    n_i ~ Multinomial(p_i),   p_i ~ Dirichlet(c q_i),   q_i = a f_i + (1 - a - u) b_i + u / K

f_i is the row of a normal step whose mean and spread are smooth functions of the state (`step_model`), b_i the
displacements counted in the rows around i, without its own, under a Gaussian window. c, a, u and the window's width
maximise the likelihood, for each pulse.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int64
from scipy import optimize, special

from calibration.counting.estimator import Rows
from calibration.counting.writes import REST, Writes
from calibration.measurement import kernel, step_model, surface
from calibration.measurement.segments import segments
from calibration.sections import Posterior
from spinloom.streams import generator

FITTED = (0.0, 0.5, 0.9, 1.0)  # shares of the fitted step in the prior, of what is left beside the uniform part
WIDTHS = (1.0, 2.0, 4.0, 8.0)  # of the window, in states
UNIFORM = (1e-4, 1e-3, 1e-2, 1e-1)
MOST = 8000  # writes that the step is fitted to
BESIDE = 2  # states over which a measured device's rows may lend themselves to one that nobody wrote
DRAWS = 60  # of its parameters, for intervals
NEVER = 1e-9  # a probability that is 0 for all purposes, and writes of it
WEIGHT = (-2.0, 12.0)  # range of ln c


def borrowed(writes: Writes, rows: Rows, edges: Float[np.ndarray, " edges"], options: Posterior, seed: int) -> Rows:
    """Return the rows with a prior of what the other rows say.

    Parameters
    ----------
    writes : Writes
        Each write begins with a reset, or has ``before``.
    rows : Rows
        Counted writes.
    edges : float[states + 1]
        Of the states, in the coordinate.
    options : Posterior
    seed : int
        Of the study.
    """
    reset = writes.flags["reset_before_write"]
    # after a reset only the first row was counted, and it stands for all
    counts, effective = (part[:, : 1 if reset else None] for part in (rows.counts, rows.effective))
    fitted, doubt = (_fitted_resets if reset else _fitted_rows)(writes, edges, len(counts), seed)
    pseudo, unsure = (np.stack(part) for part in zip(*(prior(*own) for own in zip(effective, fitted, doubt))))
    alpha = effective + pseudo
    total = alpha.sum(axis=-1, keepdims=True)
    mean = alpha / total
    # beside the row's own writes, what is not known of the centre of its prior, by its weight
    share = pseudo.sum(axis=-1, keepdims=True) / total
    free = np.maximum(mean * (1 - mean), NEVER)
    worth = np.maximum(1 / (1 / (1 + total) + share**2 * unsure / free) - 1, NEVER)
    tail = (1 - options.interval) / 2
    low, high = (
        special.betaincinv(np.maximum(worth * mean, NEVER), np.maximum(worth * (1 - mean), NEVER), share)
        for share in (tail, 1 - tail)
    )
    written = counts.sum(axis=-1, keepdims=True)
    # no number of writes can exclude that a probability is 0, or 1
    low = np.where((counts == 0) & (written > 0), 0.0, low)
    high = np.where((counts == written) & (written > 0), 1.0, high)
    # of a Dirichlet distribution with the variance of all cells together
    known = free.sum(axis=-1, keepdims=True) / (free / (1 + worth)).sum(axis=-1, keepdims=True) - 1
    parts = known * mean, mean, np.minimum(low, mean), np.maximum(high, mean)
    return Rows(rows.counts, *(np.broadcast_to(part, rows.counts.shape) for part in parts))


def beside_written(rows: Rows) -> Bool[np.ndarray, "pulses states"]:
    """Return which rows nobody wrote, though a row at most `BESIDE` states away was written with the same pulse."""
    written = rows.counts.sum(axis=-1) > 0
    near = np.abs(np.subtract.outer(np.arange(written.shape[1]), np.arange(written.shape[1]))) <= BESIDE
    return ~written & (written @ near)


def _fitted_rows(writes: Writes, edges: np.ndarray, pulses: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of the fitted step and the variance of their probabilities, float64[pulses, states, states].

    Steps of neighbouring pulses support each other as far as the writes say so (`surface`).
    """
    rng = generator(seed, "borrowed rows", writes.name)
    events = writes.events
    if len(events) > MOST:
        events = events.iloc[np.sort(rng.permutation(len(events))[:MOST])]
    count = len(events)
    pairs = pd.DataFrame(
        {
            "series": np.repeat(np.arange(count), 2),
            "instance": 0,
            "pulse": np.stack([np.full(count, REST), events["pulse"]], axis=1).ravel(),
            "value": events[["before", "after"]].to_numpy().ravel(),
        }
    )
    table = segments(pairs)
    groups = surface.groups(writes.pulses, table.pulses, table.writes())
    fit = step_model.fit(table, *writes.bounds, 0.0, DRAWS, rng, groups=groups)
    size = len(edges) - 1
    rows, doubt = np.full((pulses, size, size), 1 / size), np.ones((pulses, size, size))
    rows[list(table.pulses)] = kernel.in_intervals(fit.steps, edges)
    doubt[list(table.pulses)] = np.var([kernel.in_intervals(draw, edges) for draw in fit.draws], axis=0)
    return rows, doubt


def _fitted_resets(writes: Writes, edges: np.ndarray, pulses: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the same for devices that are reset before a write: [pulses, 1, states], normal about the pulse's mean."""
    rng = generator(seed, "borrowed rows", writes.name)
    size = len(edges) - 1
    rows, doubt = np.full((pulses, 1, size), 1 / size), np.ones((pulses, 1, size))
    pulse_of, after = (writes.events[name].to_numpy() for name in ("pulse", "after"))
    own_of = {int(pulse): after[pulse_of == pulse] for pulse in np.unique(pulse_of)}
    own_of = {pulse: own for pulse, own in own_of.items() if len(own) > 2 and np.ptp(own) > 0}
    count = np.array([len(own) for own in own_of.values()])
    centre, width = (
        np.array([part(own) for own in own_of.values()]) for part in (np.mean, lambda own: own.std(ddof=1))
    )
    error, spread_error = width / np.sqrt(count), 1 / np.sqrt(2 * count)
    for group in surface.groups(writes.pulses, tuple(own_of), count):
        own = group.members
        log_width, doubt_of = surface.smoothed(group, np.log(width[own]), 0.5 / (count[own] - 1))
        width[own], spread_error[own] = np.exp(log_width), np.sqrt(np.diag(doubt_of))
        centre[own], doubt_of = surface.smoothed(group, centre[own], width[own] ** 2 / count[own])
        error[own] = np.sqrt(np.diag(doubt_of))
    for place, pulse in enumerate(own_of):
        mean = centre[place] + np.append(0, rng.standard_normal(DRAWS)) * error[place]
        sd = width[place] * np.exp(np.append(0, rng.standard_normal(DRAWS)) * spread_error[place])
        share = special.ndtr((edges[1:-1] - mean[:, None]) / sd[:, None])
        ends = np.zeros((len(mean), 1))
        drawn = np.diff(np.concatenate([ends, share, ends + 1], axis=1), axis=1)
        rows[pulse, 0], doubt[pulse, 0] = drawn[0], drawn[1:].var(axis=0)
    return rows, doubt


def prior(
    counts: Float[np.ndarray, "rows states"],
    fitted: Float[np.ndarray, "rows states"],
    doubt: Float[np.ndarray, "rows states"],
    shares: tuple[float, ...] = FITTED,
) -> tuple[Float[np.ndarray, "rows states"], Float[np.ndarray, "rows states"]]:
    """Return c q, the pseudo-writes of each row and state after, and the variance of q, for one pulse.

    Parameters
    ----------
    counts : float[rows, states]
        Writes.
    fitted, doubt : float[rows, states]
        Rows of a fitted step and their variance.
    shares : tuple of float
        Of the fitted step in q that are tried, of what is left beside the uniform part.
    """
    size = counts.shape[1]
    best = (np.inf, counts, doubt)
    shares = shares if len(counts) > 1 else (1.0,)  # one row has no neighbours
    around = {width: _neighbours(counts, width) for width in WIDTHS} if len(counts) > 1 else {WIDTHS[0]: (0.0, 0.0)}
    for share, width, even in product(shares, WIDTHS, UNIFORM):
        if share == 1.0 and width != WIDTHS[0]:
            continue
        near, variance = around[width]
        centre = (1 - even) * (share * fitted + (1 - share) * near) + even / size

        def cost(log_weight: float, centre: np.ndarray = centre) -> float:
            return -_log_likelihood(counts, np.exp(log_weight) * centre)

        found = optimize.minimize_scalar(cost, bounds=WEIGHT, method="bounded", options={"xatol": 0.05})
        if found.fun < best[0]:
            unsure = (1 - even) ** 2 * (share**2 * doubt + (1 - share) ** 2 * variance)
            best = (found.fun, np.exp(found.x) * centre, unsure)
    return best[1:]


def _log_likelihood(counts: np.ndarray, alpha: np.ndarray) -> float:
    weight, written = alpha.sum(axis=1), counts.sum(axis=1)
    rows = special.gammaln(weight) - special.gammaln(weight + written)
    cells = np.where(counts > 0, special.gammaln(alpha + counts) - special.gammaln(alpha), 0.0)
    return float(rows.sum() + cells.sum())


def _neighbours(counts: np.ndarray, width: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the displacements of the rows around each row, laid from its own state, and their variance.

    Ends hold what passes them.
    """
    size = len(counts)
    places = np.arange(size)
    window = np.exp(-0.5 * (np.subtract.outer(places, places) / width) ** 2)
    np.fill_diagonal(window, 0.0)
    moved: Int64[np.ndarray, "places states"] = np.arange(-size + 1, size)[:, None] + places
    # displacement -size + 1 .. size - 1 of each row's writes
    by_step = np.zeros((size, 2 * size - 1))
    for start in places:
        by_step[start, size - 1 - start : 2 * size - 1 - start] = counts[start]
    shared = window @ by_step
    out = np.zeros((size, size))
    for place in range(2 * size - 1):
        np.add.at(out, (places, np.clip(moved[place], 0, size - 1)), shared[:, place])
    total = out.sum(axis=1, keepdims=True)
    near = np.where(total > 0, out / np.maximum(total, 1e-300), 1 / size)
    # writes that a weighted sum of counts is worth (Kish)
    worth = total**2 / np.maximum(window**2 @ counts.sum(axis=1)[:, None], 1e-300)
    return near, near * (1 - near) / (1 + worth)
