"""From the probability that is wanted to the pulse that gives it, and the dead zone in between.

A pulse whose duration is taken proportional to the wanted probability does almost nothing below the dead zone, the
largest duration that switches with at most 1 % (``least``): small gradients are then ignored altogether. `pulse_for`
removes it by the law's inverse t(p).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import optimize

from calibration import laws
from calibration.card import KernelCard
from calibration.card.tables import INVERSE, conform
from calibration.laws import Fit
from spinloom.errors import UserError

MODES = ("none", "offset", "full")
PROBABILITIES = (0.01, 0.02, 0.05, *np.round(np.arange(0.1, 0.95, 0.1), 1).tolist(), 0.95, 0.98, 0.99)
OTHER_DRIVES = ["current_density_A_per_m2", "field_T", "zhang_li_u_m_per_s"]
EXACT = ("law", "given")  # bases of rows that nobody counted: their probability is no estimate
GRID = 400  # durations at which a probability that need not be monotone is searched for its rise


def probability_of(
    fit: Fit, duration_s, voltage_V: float | None = None, temperature_K: float = 300.0, states: tuple[int, int] = (0, 1)
) -> np.ndarray:
    """Return the probability that a pulse of ``duration_s`` switches, float64 of the shape of ``duration_s``.

    ``states``: for a chain law, from and to.
    """
    law = laws.get(fit.law)
    if law.KIND == "switching":
        return law.probability(fit.parameters, voltage_V, np.asarray(duration_s, float), temperature_K)
    flat = [law.matrix(fit.parameters, one)[states] for one in np.ravel(duration_s)]
    return np.reshape(flat, np.shape(duration_s))


def duration_for(
    fit: Fit,
    probability,
    voltage_V: float | None = None,
    temperature_K: float = 300.0,
    states: tuple[int, int] = (0, 1),
    where: str = "inverse",
) -> np.ndarray:
    """Return the shortest pulse that switches with ``probability``.

    Exact for ``neel_brown``, t = -tau ln(1 - p), and ``precessional``,
    t = t_D ln[(pi / 2) / (sqrt(2) theta_sigma erfinv(1 - p))]; otherwise Brent's method on the rise of P(t).

    Parameters
    ----------
    fit : Fit
        Of a law that depends on the duration.
    probability : float or ndarray, float64
    voltage_V, temperature_K : float
        Of the pulse; not used by chain laws, which hold for one drive.
    states : tuple of int
        For a chain law, from and to.
    where : str
        Begins the error.

    Returns
    -------
    ndarray, float64, s
        0 where no pulse is needed, NaN where no duration gives the probability.

    Raises
    ------
    UserError
        If a probability is outside 0..1 or the law does not depend on the duration.
    """
    wanted = np.asarray(probability, float)
    if not np.all((wanted >= 0) & (wanted <= 1)):
        raise UserError(
            f"{where}: probability: found {wanted[~((wanted >= 0) & (wanted <= 1))].flat[0]}, allowed: 0..1"
        )
    law = laws.get(fit.law)
    if hasattr(law, "duration"):
        return np.asarray(law.duration(fit.parameters, wanted, voltage_V, temperature_K), float)
    if law.KIND != "chain" or law.WHOLE:
        raise UserError(f"{where}: law: found {fit.law}, allowed: neel_brown, precessional, ctmc, birth_death")
    rate = np.abs(np.diag(law.rates(fit.parameters))).max()
    times = np.geomspace(1e-9 / rate, 1e4 / rate, GRID)
    seen = probability_of(fit, times, states=states)
    # only up to the maximum: beyond it the same probability comes at a longer pulse
    top = int(np.argmax(seen))

    def one(p: float) -> float:
        if states[0] != states[1] and p == 0:
            return 0.0
        if not seen[0] <= p <= seen[top]:
            return np.nan
        upper = int(np.argmax(seen[: top + 1] >= p))
        if upper == 0:
            return float(times[0])
        found = optimize.brentq(
            lambda x: float(probability_of(fit, np.exp(x), states=states)) - p,
            *np.log(times[[upper - 1, upper]]), xtol=1e-15, rtol=1e-14,
        )  # fmt: skip
        return float(np.exp(found))

    return np.vectorize(one, otypes=[float])(wanted)


def voltage_for(fit: Fit, probability, where: str = "inverse") -> np.ndarray:
    """Return the voltage (``passing``: the drive) that switches with ``probability`` by a law of the voltage alone.

    NaN outside of what the law reaches (floor, plateau).

    Raises
    ------
    UserError
        If the law is another.
    """
    law = laws.get(fit.law)
    inverse = getattr(law, "voltage", None) or getattr(law, "drive", None)
    if inverse is None:
        raise UserError(f"{where}: law: found {fit.law}, allowed: logistic, logistic_plateau, passing")
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(inverse(fit.parameters, np.asarray(probability, float)))


def dead_zone(
    fit: Fit, voltage_V: float | None = None, temperature_K: float = 300.0, least: float = 0.01, **kind: Any
) -> float:
    """Return the largest duration that switches with a probability of at most ``least``, s.

    0 if even the shortest pulse does more, NaN if no duration reaches ``least``. ``kind`` as in `duration_for`.
    """
    return float(duration_for(fit, least, voltage_V, temperature_K, **kind))


def pulse_for(
    fit: Fit,
    wanted,
    longest_s: float,
    voltage_V: float,
    temperature_K: float = 300.0,
    mode: str = "full",
    least: float = 0.01,
) -> np.ndarray:
    """Return the pulse that stands for a wanted probability, with or without pre-distortion.

    Parameters
    ----------
    fit : Fit
    wanted : float or ndarray, float64
        In 0..1.
    longest_s : float
        Pulse that stands for 1, s.
    voltage_V, temperature_K : float
    mode : {"none", "offset", "full"}
        ``none``: t = p t_longest. ``offset``: t = t_dead + p (t_longest - t_dead) for p > 0. ``full``: t(p), at most
        t_longest.
    least : float
        Probability that ends the dead zone.

    Raises
    ------
    UserError
        If the mode is unknown.
    """
    wanted = np.asarray(wanted, float)
    if mode not in MODES:
        raise UserError(f"predistortion: found {mode!r}, allowed: {', '.join(MODES)}")
    if mode == "none":
        return wanted * longest_s
    if mode == "offset":
        start = dead_zone(fit, voltage_V, temperature_K, least)
        return np.where(wanted > 0, start + wanted * (longest_s - start), 0.0)
    # p = 1 asks for an endless pulse, and a probability that is out of reach for the longest there is
    exact = np.nan_to_num(duration_for(fit, wanted, voltage_V, temperature_K), nan=longest_s, posinf=longest_s)
    return np.where(wanted > 0, np.minimum(exact, longest_s), 0.0)


class Counted:
    """Monotone P(t) through counted pulses: isotonic regression, then straight lines over ln t.

    Parameters
    ----------
    duration_s, probability, weight : ndarray, float64[n]
        Pulses of one voltage and temperature with different durations; ``weight`` their numbers of writes.
    """

    def __init__(self, duration_s, probability, weight):
        order = np.argsort(duration_s)
        self._log_t = np.log(np.asarray(duration_s, float)[order])
        weight = np.maximum(np.asarray(weight, float)[order], 1e-9)
        self._p = optimize.isotonic_regression(np.asarray(probability, float)[order], weights=weight).x

    @property
    def rise(self) -> float:
        """How much the probability grows from the shortest to the longest pulse."""
        return float(self._p[-1] - self._p[0])

    def probability(self, duration_s) -> np.ndarray:
        """Return P(t); NaN outside of the counted durations."""
        return np.interp(np.log(duration_s), self._log_t, self._p, left=np.nan, right=np.nan)

    def duration(self, probability) -> np.ndarray:
        """Return the shortest t with P(t) = p, s; NaN outside of the counted probabilities."""
        # of a flat piece only its beginning counts: it is the shortest pulse
        first = np.concatenate([[True], np.diff(self._p) > 0])
        ends = np.concatenate([np.flatnonzero(first)[1:] - 1, [len(first) - 1]])
        p, log_t = [], []
        for begin, end in zip(np.flatnonzero(first), ends):
            p.append(self._p[begin])
            log_t.append((self._log_t[begin], self._log_t[end]))
        wanted = np.asarray(probability, float)
        out = np.full(wanted.shape, np.nan)
        for k in range(len(p)):
            out = np.where(wanted == p[k], np.exp(log_t[k][0]), out)
            if k:
                # only inside: between two plateaus almost alike the line is so steep that it overflows elsewhere
                inside = (wanted > p[k - 1]) & (wanted < p[k])
                share = (wanted[inside] - p[k - 1]) / (p[k] - p[k - 1])
                out[inside] = np.exp(log_t[k - 1][1] + share * (log_t[k][0] - log_t[k - 1][1]))
        return out


def inverse_table(
    fit: Fit,
    state_from: int,
    state_to: int,
    voltages_V,
    temperatures_K=(300.0,),
    probabilities=PROBABILITIES,
    where: str = "inverse",
) -> pd.DataFrame:
    """Return the pulses for a grid of probabilities.

    Parameters
    ----------
    fit : Fit
    state_from, state_to : int
        States that the law switches between.
    voltages_V, temperatures_K, probabilities : sequence of float

    Returns
    -------
    DataFrame
        `calibration.card.tables.INVERSE`; ``duration_s`` empty where no finite pulse gives the probability.
    """
    blocks = [
        _block(state_from, state_to, voltage, temperature, probabilities,
               duration_for(fit, np.asarray(probabilities), voltage, temperature, (state_from, state_to), where))
        for voltage in voltages_V for temperature in temperatures_K
    ]  # fmt: skip
    return conform(pd.concat(blocks, ignore_index=True), INVERSE, where)


def inverse_of_card(card: KernelCard, probabilities=PROBABILITIES, where: str = "card") -> pd.DataFrame | None:
    """Return `inverse_table` of a card's own pulses, between their durations only.

    For every change of state, voltage and temperature with pulses of two or more durations whose probabilities grow
    with the duration, and not by chance: the interval of a longer pulse lies above that of a shorter one, and none lies
    below (rows by a law or as given are exact; a precessional probability goes up and down and has no inverse). If
    pulses of two directions (or channels) share a voltage, the one that makes the change counts: that with the larger
    rise.

    Pulses are compared that differ in their duration alone. The table knows pulses by their voltage, so those without
    one have no inverse, nor have those whose voltage comes with several current densities or fields. None if nothing
    is left.
    """
    pulses = card.pulses.dropna(subset="voltage_V")
    shape = card.kernel.shape
    columns = {name: card.transitions[name].to_numpy().reshape(shape) for name in ("effective_count", "basis")}
    effective, exact = columns["effective_count"].sum(axis=-1), np.isin(columns["basis"], EXACT)
    low, high = (
        np.where(exact, card.kernel, card.transitions[name].to_numpy(float).reshape(shape))
        for name in ("ci_low", "ci_high")
    )
    best: dict[tuple, tuple[float, pd.DataFrame]] = {}
    for (voltage, temperature, *_), group in pulses.groupby(["voltage_V", "temperature_K", "channel", "polarity"]):
        group = group.sort_values("duration_s")
        rows = group["pulse"].to_numpy()
        durations = group["duration_s"].to_numpy()
        several = len(group.drop_duplicates(OTHER_DRIVES)) > 1
        if several or len(np.unique(durations)) < max(2, len(durations)):
            continue
        for start, end in np.argwhere(~np.eye(len(card.states), dtype=bool)):
            least = np.fmin.accumulate(high[rows, start, end])
            most = np.fmax.accumulate(low[rows, start, end])
            rises = (low[rows[1:], start, end] > least[:-1]).any()
            falls = (high[rows[1:], start, end] < most[:-1]).any()
            if falls or not rises:
                continue
            law = Counted(durations, card.kernel[rows, start, end], effective[rows, start])
            key = (start, end, voltage, temperature)
            if law.rise > best.get(key, (0.0, None))[0]:
                found = law.duration(np.asarray(probabilities))
                best[key] = (law.rise, _block(start, end, voltage, temperature, probabilities, found))
    if not best:
        return None
    return conform(pd.concat([block for _, block in best.values()], ignore_index=True), INVERSE, where)


def _block(state_from, state_to, voltage, temperature, probabilities, durations) -> pd.DataFrame:
    durations = np.asarray(durations, float)
    return pd.DataFrame(
        {
            "state_from": np.int64(state_from),
            "state_to": np.int64(state_to),
            "voltage_V": float(voltage),
            "temperature_K": float(temperature),
            "probability": np.asarray(probabilities, float),
            "duration_s": np.where(np.isfinite(durations), durations, np.nan),
        }
    )
