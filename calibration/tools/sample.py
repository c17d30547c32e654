"""A draw from the posterior of a whole card: what the device may be, given how little was measured of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from calibration.card import KernelCard
from calibration.card.meta import Law
from calibration.card.tables import EVIDENCE
from calibration.counting import kernel_rows
from calibration.counting.estimator import stationary
from calibration.laws import fitting
from calibration.laws.fitting import Fit
from spinloom.errors import UserError
from spinloom.streams import generator

DRAWN = ("counts", "readings", "borrowed", "interpolated")  # bases of rows that the effective counts speak for


def sample(card: KernelCard, seed: int, number: int) -> KernelCard:
    """Return one draw from the posterior of ``card``; the draws of all ``number`` are independent.

    - Rows of basis counts: Dirichlet of the row's probabilities times (N + K a) for N effective counts, K states and
      the card's pseudocount a, which is Dirichlet(effective_count + a); one draw per pulse if rows repeat. Rows of
      basis interpolated, readings and borrowed: the same without a, because their effective counts hold the prior
      already.
    - Rows of basis law: `calibration.laws.fitting.draw` varies the parameters of the chosen laws, which give their rows
      again.
    - States: the variance within is scaled inverse chi-square, (n - 1) s^2 / chi^2, and the mean conductance normal
      with that variance over n (flat prior on the mean and the log of the sd; Gelman et al., Bayesian Data Analysis,
      section 3.2), so that the mean alone has Student's distribution. It stays within the state's own interval, where
      the card tells that in conductance: its edges, or those of position and the junction's line between its two
      conductances (`meta.junction`). Bins of a lattice conduct what they do by definition and stay.
    - Energies: normal with sd / sqrt(n) for the n writes of the pulse; its parts keep their shares.
    - Devices' offsets and the sds of ``spread``: normal with their standard errors. Conductance and position of one
      device share the draw, because they are one error.

    Conductances and energies are kept positive by truncation. Whatever the card states no uncertainty for stays as it
    is, and is listed in ``meta.source.sample.fixed``.

    Parameters
    ----------
    card : KernelCard
    seed : int
        Of the study; the stream is (seed, "card sample", card.hash, number).
    number : int
        Of the draw, at least 0.

    Returns
    -------
    KernelCard
        Valid if ``card`` is (`KernelCard.write` checks it), with the same counts and pulses. ``ci_low`` and ``ci_high``
        are the probability itself, since a draw has no uncertainty. Occupancy is computed again; ``meta.derived``,
        which would contradict the tables, is left out; ``meta.source.sample`` has seed, number, hash of the card, and
        what was varied.

    Raises
    ------
    UserError
        If ``number`` is negative, or an entry of ``meta.laws`` is no fit.
    """
    if number < 0:
        raise UserError(f"card sample: number: found {number}, allowed: 0 or more")
    of = card.hash
    notes: dict[str, list[str]] = {"varied": [], "fixed": []}

    def stream(what: str) -> np.random.Generator:
        return generator(seed, "card sample", of, number, what)

    transitions, laws = _rows(card, stream, notes)
    states = _states(card, stream("states"), notes)
    pulses = _pulses(card, stream("pulses"), notes)
    population, spreads = _population(card, stream("population"), notes)
    shape = (len(pulses), len(states), len(states))
    states["occupancy"] = stationary(transitions["probability"].to_numpy().reshape(shape))
    # a draw is not what the writes say, so it is not compared with them
    extras = {name: table for name, table in card.extras.items() if name not in EVIDENCE}
    notes["fixed"] += ["reads", *sorted(extras)]
    source = card.meta.source.model_copy(update={"sample": {"seed": seed, "number": number, "of": of, **notes}})
    changes = {"laws": laws, **spreads} if "laws" in card.meta.model_fields_set else spreads
    meta = card.meta.model_copy(update={**changes, "source": source, "derived": None, "check": None})
    return KernelCard(states, pulses, transitions, population, card.reads.copy(), meta, extras)


def _note(notes: dict[str, list[str]], what: str, varied: np.ndarray) -> None:
    """Write down whether all, some or none of ``what`` was varied."""
    number, total = int(np.sum(varied)), int(np.size(varied))
    if number:
        notes["varied"].append(what if number == total else f"{what} ({number} of {total})")
    if number < total:
        notes["fixed"].append(what if number == 0 else f"{what} ({total - number} of {total})")


def _rows(
    card: KernelCard, stream: Callable[[str], np.random.Generator], notes: dict
) -> tuple[pd.DataFrame, tuple[Law, ...]]:
    table, states = card.transitions.copy(), len(card.states)
    kernel, pseudocount = card.kernel.copy(), card.meta.posterior.pseudocount or 0.0
    basis = table["basis"].to_numpy().reshape(kernel.shape)[..., 0]
    total = table["effective_count"].to_numpy().reshape(kernel.shape).sum(axis=-1)
    total = total + np.where(basis == "counts", states * pseudocount, 0.0)
    drawn = np.isin(basis, DRAWN) & (total > 0)
    rng = stream("transitions")
    for pulse, start in np.argwhere(drawn):
        if card.rows_repeat and start > 0:
            kernel[pulse, start] = kernel[pulse, 0]
            continue
        # a probability of 0 stays 0: its Dirichlet component has no mass
        possible = kernel[pulse, start] > 0
        kernel[pulse, start, possible] = rng.dirichlet(kernel[pulse, start, possible] * total[pulse, start])
    _note(notes, "rows from counts", drawn[np.isin(basis, DRAWN)])

    of_law = basis == "law"
    evaluated = np.zeros_like(of_law)
    laws = list(card.meta.laws)
    for place, law in enumerate(laws if of_law.any() else []):
        fit = Fit.from_dict(law.dump())
        told = any(error is not None for error in fit.standard_errors.values()) or fit.conditions.get("bound_limits")
        if not (fit.conditions.get("chosen") and told):
            continue
        drawn_parameters = fitting.draw(fit, stream(f"law {place}"))
        laws[place] = law.model_copy(update={"parameters": drawn_parameters})
        places, rows = kernel_rows.law_rows(fit, card.pulses, np.array(card.meta.states.edges))
        for own, row in zip(places, rows(drawn_parameters)):
            if of_law[own]:
                kernel[own], evaluated[own] = row, True
    _note(notes, "rows from laws", evaluated[of_law])
    for name in ("given", "assumed"):
        _note(notes, f"rows {name}", np.zeros(int((basis == name).sum())))
    table["probability"] = table["ci_low"] = table["ci_high"] = (kernel / kernel.sum(axis=-1, keepdims=True)).ravel()
    return table, tuple(laws)


def _positive_normal(
    mean: np.ndarray,
    sd: np.ndarray,
    rng: np.random.Generator,
    low: np.ndarray | float = 0.0,
    high: np.ndarray | float = np.inf,
) -> np.ndarray:
    """Return normal deviates cut off at ``low`` and ``high``; where ``sd`` is 0, the mean.

    One uniform deviate for each entry.
    """
    share = rng.uniform(size=len(mean))
    spread = np.where(sd > 0, sd, 1.0)
    with np.errstate(over="ignore"):
        drawn = stats.truncnorm.ppf(share, (low - mean) / spread, (high - mean) / spread, loc=mean, scale=spread)
    return np.where(sd > 0, drawn, mean)


def _intervals(card: KernelCard) -> tuple[np.ndarray, np.ndarray]:
    """Return the lowest and highest conductance of each state, as far as the card tells, float64[states], S."""
    told, size = card.meta.states, len(card.states)
    edges, line = told.edges, card.meta.junction
    low, high = np.zeros(size), np.full(size, np.inf)
    if edges and told.coordinate == "conductance_S":
        # the outermost states also hold what lies beyond
        low[1:], high[:-1] = edges[1:-1], edges[1:-1]
    elif edges and told.coordinate == "position_m" and line is not None and line.track_length_m:
        share = np.array(edges) / line.track_length_m
        at = line.antiparallel_S + share * (line.parallel_S - line.antiparallel_S)
        low, high = np.minimum(at[:-1], at[1:]), np.maximum(at[:-1], at[1:])
    # a mean that lies outside is of a line that is not the state's
    inside = (card.states["conductance_S"] >= low) & (card.states["conductance_S"] <= high)
    return np.where(inside, low, 0.0), np.where(inside, high, np.inf)


def _states(card: KernelCard, rng: np.random.Generator, notes: dict) -> pd.DataFrame:
    table = card.states.copy()
    mean, sd, count = (table[name].to_numpy(float) for name in ("conductance_S", "conductance_sd_S", "count"))
    drawn = (count >= 2) & (sd > 0) & (card.meta.states.method != "lattice")
    free = np.where(drawn, count - 1, 1.0)
    sigma = np.where(drawn, sd * np.sqrt(free / rng.chisquare(free)), sd)
    error = np.where(drawn, sigma / np.sqrt(np.maximum(count, 1)), 0.0)
    table["conductance_S"] = _positive_normal(mean, error, rng, *_intervals(card))
    table["conductance_sd_S"] = sigma
    _note(notes, "conductances of states", drawn)
    return table


def _pulses(card: KernelCard, rng: np.random.Generator, notes: dict) -> pd.DataFrame:
    table, shape = card.pulses.copy(), card.kernel.shape
    counts = card.transitions["count"].to_numpy().reshape(shape)
    writes = (counts[:, 0] if card.rows_repeat else counts.sum(axis=1)).sum(axis=-1)
    mean, sd = table["energy_mean_J"].to_numpy(float), table["energy_sd_J"].to_numpy(float)
    drawn = (writes > 0) & (sd > 0) & (mean > 0)
    energy = _positive_normal(mean, np.where(drawn, sd / np.sqrt(np.maximum(writes, 1)), 0.0), rng)
    ratio = np.divide(energy, mean, out=np.ones_like(mean), where=mean > 0)
    for column in [name for name in map(str, table) if name.startswith("energy_") and name != "energy_sd_J"]:
        table[column] = table[column] * ratio
    _note(notes, "energies of writes", drawn)
    return table


def _population(card: KernelCard, rng: np.random.Generator, notes: dict) -> tuple[pd.DataFrame, dict[str, Any]]:
    table = card.population.copy()
    deviate = rng.standard_normal(len(table))
    for quantity in ("conductance_offset", "position_offset"):
        offset, error = (f"{quantity}_{part}" for part in (("S", "se_S") if quantity[0] == "c" else ("m", "se_m")))
        drawn = table[offset].notna() & (table[error] > 0)
        table[offset] += np.where(drawn, table[error] * deviate, 0.0)
        if table[offset].notna().any():
            _note(notes, f"devices' {quantity.replace('_', ' ')}s", drawn.to_numpy())
    spreads = {}
    for name in ("spread", "spread_position"):
        told = getattr(card.meta, name)
        if told is None:  # between states by nature
            continue
        spread = spreads[name] = dict(told)
        for sd in sorted(key for key in spread if "_sd" in key):
            error = spread.get(sd.replace("_sd", "_se"))
            if spread[sd] is not None and error:
                spread[sd] = float(_positive_normal(np.array([spread[sd]]), np.array([error]), rng)[0])
                notes["varied"].append(f"{name}.{sd}")
    return table, spreads
