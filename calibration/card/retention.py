"""How long a device keeps its state without a pulse, and at which temperature.

The table holds rates of a Markov process in continuous time, at a few temperatures. Between them the logarithm of each
rate is linear in 1/T (Arrhenius: exact for rate = exp(-E/(k_B T))/tau0); outside of them nothing is said.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from calibration.card.tables import RETENTION, conform
from spinloom.errors import UserError

YEAR_S = 365.25 * 24 * 3600


def table(generators: np.ndarray, temperatures_K: Sequence[float], where: str = "retention") -> pd.DataFrame:
    """Return generators as a table.

    Parameters
    ----------
    generators : ndarray, float64[temperatures, states, states]
        Rates from state to state, 1/s; the diagonal is not looked at.
    temperatures_K : sequence of float
        Each once.

    Returns
    -------
    DataFrame
        `calibration.card.tables.RETENTION`, without the diagonal.

    Raises
    ------
    UserError
        If a rate is negative or not finite, or a temperature occurs twice.
    """
    for temperature in (known := [float(given) for given in temperatures_K]):
        if known.count(temperature) > 1:
            raise UserError(
                f"{where}.temperatures_K: found {temperature:g} more than once, allowed: each temperature once"
            )
    generators = np.asarray(generators, dtype=np.float64)
    index, start, stop = np.indices(generators.shape).reshape(3, -1)
    rates = pd.DataFrame(
        {
            "temperature_K": np.asarray(temperatures_K, dtype=np.float64)[index],
            "state_from": start,
            "state_to": stop,
            "rate_per_s": generators.ravel(),
        }
    )
    return conform(rates[start != stop].reset_index(drop=True), RETENTION, where)


def binary(
    thermal_stability: Sequence[float],
    reference_temperature_K: float,
    temperatures_K: Sequence[float],
    attempt_time_s: float = 1e-9,
) -> pd.DataFrame:
    """Return the table of a device of two states: rate = exp(-Delta T_ref/T)/tau0.

    Parameters
    ----------
    thermal_stability : sequence of two floats
        Barriers of leaving state 0 and 1 over k_B T_ref.
    reference_temperature_K : float
        T_ref, K.
    temperatures_K : sequence of float
        T, K.
    attempt_time_s : float
        tau0, s.
    """
    temperature = np.asarray(temperatures_K, dtype=np.float64)
    rates = np.exp(-np.outer(reference_temperature_K / temperature, thermal_stability)) / attempt_time_s
    generators = np.zeros((len(temperature), 2, 2))
    generators[:, 0, 1], generators[:, 1, 0] = rates.T
    return table(generators, temperatures_K)


def generator(table: pd.DataFrame, temperature_K: float, where: str = "retention.csv") -> np.ndarray:
    """Return the generator at a temperature, float64[states, states], 1/s; rows sum to 0.

    Raises
    ------
    UserError
        If the temperature is outside of the table's, or a rate is 0 at one of the two neighbours only.
    """
    known = np.unique(table["temperature_K"])
    if not known[0] <= temperature_K <= known[-1]:
        raise UserError(
            f"{where}: temperature_K: found {temperature_K:g}, allowed: {known[0]:g} to {known[-1]:g}, "
            "the temperatures of the table"
        )
    states = int(table[["state_from", "state_to"]].to_numpy().max()) + 1
    rates = np.zeros((len(known), states, states))
    at = np.searchsorted(known, table["temperature_K"])
    rates[at, table["state_from"], table["state_to"]] = table["rate_per_s"]
    upper = int(np.searchsorted(known, temperature_K))
    if known[upper] == temperature_K:
        rate = rates[upper].copy()
    else:
        cold, hot = rates[upper - 1], rates[upper]
        mixed = np.argwhere((cold > 0) != (hot > 0))
        if len(mixed):
            start, stop = mixed[0]
            raise UserError(
                f"{where}: rate_per_s: found 0 from state {start} to {stop} at one of {known[upper - 1]:g} and "
                f"{known[upper]:g} K, allowed: 0 at both or at none"
            )
        ends = 1 / known[upper - 1], 1 / known[upper]
        share = (ends[0] - 1 / temperature_K) / (ends[0] - ends[1])
        with np.errstate(divide="ignore", invalid="ignore"):
            rate = np.where(cold > 0, np.exp((1 - share) * np.log(cold) + share * np.log(hot)), 0.0)
    np.fill_diagonal(rate, 0.0)
    return rate - np.diag(rate.sum(axis=1))
