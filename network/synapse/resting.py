"""What becomes of a stored network: rest, with and without refresh.

A device that is left alone hops between its states with the card's rates Q (calibration.retention), so that after t it
is where ``R(t) = exp(Q t)`` leads. A *refresh* looks, every ``tau`` seconds, at the state that each device is in, and
writes those that have left the state s they were put into: with the pulse that most likely leads from where they are to
s, again and again up to ``attempts`` times, looking each time. For a device put into s one attempt is the kernel

    W_s[a, :] = T[k(a, s), a, :]    for a != s,      W_s[s, :] = e_s,      k(a, s) = argmax_k T[k, a, s],

and a period of rest and refresh is ``C_s = R(tau) W_s^attempts``. The network is looked at when ``n = ceil(t/tau) - 1``
refreshes are behind it and the rest of t has gone by since the last: where a device put into s is then is row s of
``C_s^n R(t - n tau)``. This is exact, without a simulation of perhaps millions of periods. Which state each device was
put into is kept in digital memory, and a device that is back in its state has its former conductance within the state.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.linalg import expm

from calibration.card import retention_rates
from spinloom.errors import UserError

OFTEN = 1e3  # hops from one state up to which the matrix exponential is taken as it is


class Held(NamedTuple):
    """What a device goes through, by the state that it was put into."""

    kernel: np.ndarray  # float64[S, S], where it is in the end; rows sum to 1
    writes: np.ndarray  # float64[S, K], expected pulses of its refreshes


def rates(table: pd.DataFrame | None, temperature_K: float, states: int, where: str) -> np.ndarray:
    """Return Q at a temperature, float64[S, S] in 1/s, rows sum to 0; between the card's by Arrhenius' law.

    Raises
    ------
    UserError
        Naming the key ``where`` if the card has no rates, or none for this temperature.
    """
    if table is None:
        raise UserError(f"{where}: found a rest, allowed: null, because the card has no retention.csv")
    known = np.unique(table["temperature_K"])
    if not known[0] <= temperature_K <= known[-1]:
        raise UserError(
            f"{where}.temperature_K: found {temperature_K:g}, allowed: {known[0]:g} to {known[-1]:g}, the temperatures "
            "of the card (calibration.retention.temperatures_K)"
        )
    found = retention_rates(table, temperature_K, where)
    hops = np.zeros((states, states))
    hops[: len(found), : len(found)] = found  # the last states may be left by nobody
    return hops


def rest(rate: np.ndarray, duration_s: float) -> np.ndarray:
    """Return ``exp(Q t)``, float64[S, S], rows sum to 1.

    Where a device hops very often in t, it is a power of two of a short time's kernel: the rows are made to sum to 1
    at each squaring, because their rounding errors double with it.
    """
    hops = float(-np.diag(rate).min()) * float(duration_s)
    squarings = math.ceil(math.log2(hops / OFTEN)) if hops > OFTEN else 0
    kernel = expm(rate * (float(duration_s) / 2**squarings))
    for _ in range(squarings):
        kernel = _stochastic(kernel)
        kernel = kernel @ kernel
    return _stochastic(kernel)


def _stochastic(kernel: np.ndarray) -> np.ndarray:
    kernel = np.clip(kernel, 0, None)
    return kernel / kernel.sum(axis=1, keepdims=True)


def hold(
    rate: np.ndarray, transition: np.ndarray, hold_s: float, refresh_interval_s: float | None, attempts: int
) -> Held:
    """Return what becomes of devices that are kept for a while.

    Parameters
    ----------
    rate : ndarray, float64[S, S]
        Q, 1/s.
    transition : ndarray, float64[K, S, S]
        Kernels of the pulses.
    hold_s : float
        Time from the last write of the training to the look, s.
    refresh_interval_s : float or None
        Time between refreshes, s; None: never.
    attempts : int
        Most pulses that a device gets in one refresh.

    Returns
    -------
    Held
    """
    pulses, count, _ = transition.shape
    writes = np.zeros((count, pulses))
    if refresh_interval_s is None or refresh_interval_s >= hold_s:
        return Held(rest(rate, hold_s), writes)
    # the tolerance keeps a hold of 3 intervals from becoming one of 4 by rounding
    periods = math.ceil(hold_s / refresh_interval_s * (1 - 1e-12)) - 1
    aged, last = rest(rate, refresh_interval_s), rest(rate, hold_s - periods * refresh_interval_s)
    kernel = np.zeros((count, count))
    for target in range(count):
        chosen = transition[:, :, target].argmax(axis=0)  # [S]
        attempt = transition[chosen, np.arange(count)]
        attempt[target] = np.eye(count)[target]
        # linear in the distribution: the state, and behind it the pulses given so far
        step = np.zeros((count + pulses, count + pulses))
        step[:count, :count] = attempt
        step[np.arange(count), count + chosen] = np.arange(count) != target
        step[count:, count:] = np.eye(pulses)
        period = np.eye(count + pulses)
        period[:count, :count] = aged
        period = np.linalg.matrix_power(period @ np.linalg.matrix_power(step, attempts), periods)
        end = period[target, :count] @ last
        kernel[target], writes[target] = end / end.sum(), period[target, count:]
    return Held(kernel, writes)
