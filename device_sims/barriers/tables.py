"""A barrier as rows of tables, and the temperature at which a state lasts ten years."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from device_sims.barriers.barrier import Barrier
from device_sims.problem import BOLTZMANN

TEN_YEARS_S = 10 * 365.25 * 24 * 3600.0


def ten_year_temperature(barrier_J: float, attempts_per_s: float) -> float:
    """Return the temperature at which a state is left once in ten years, K, by Arrhenius' law.

    Barrier and attempts are taken as they are at any temperature: no constant of the material changes with it.

    Parameters
    ----------
    barrier_J : float
    attempts_per_s : float
        Prefactor of the rate.

    Returns
    -------
    float
        0 if there is no barrier, NaN without attempts.
    """
    if not attempts_per_s > 0 or not math.isfinite(barrier_J):
        return math.nan
    tries = math.log(TEN_YEARS_S * attempts_per_s)
    return max(barrier_J, 0.0) / (BOLTZMANN * tries) if tries > 0 else math.nan


def directions(barrier: Barrier, temperature_K: float) -> pd.DataFrame:
    """Return a row for each of the two ways over a barrier.

    Parameters
    ----------
    barrier : Barrier
    temperature_K : float
        Of the rate, and of the barrier in kB T.

    Returns
    -------
    DataFrame
        ``state_from, state_to, barrier_J, barrier_kT, attempts_per_s, rate_per_s, ten_year_temperature_K,
        minima_between, images, converged, note``.
    """
    rows = []
    rates = barrier.rates_per_s(temperature_K)
    for start, stop, height, tries, rate in zip("ab", "ba", barrier.barriers_J, barrier.attempts, rates):
        rows.append(
            {
                "state_from": start,
                "state_to": stop,
                "barrier_J": float(height),
                "barrier_kT": float(height) / (BOLTZMANN * temperature_K),
                "attempts_per_s": tries.rate_per_s,
                "rate_per_s": rate,
                "ten_year_temperature_K": ten_year_temperature(float(height), tries.rate_per_s),
                "minima_between": barrier.between,
                "images": sum(len(leg.path.m) for leg in barrier.legs),
                "converged": barrier.converged,
                "note": "; ".join(barrier.notes),
            }
        )
    return pd.DataFrame(rows)


def path(barrier: Barrier) -> pd.DataFrame:
    """Return a row for each image of the path, and for each leg's saddle.

    Returns
    -------
    DataFrame
        ``leg, image`` (-1: the saddle), ``length`` (rad, along the path, per root of a cell of the material's Ms;
        absent at a saddle), ``energy_J`` (less that of state a), ``mx, my, mz``.
    """
    landscape, rows, before = barrier.landscape, [], 0.0
    zero = barrier.energies_J[0]
    for number, leg in enumerate(barrier.legs):
        for image, (m, energy, length) in enumerate(zip(leg.path.m, leg.path.energy, leg.path.length)):
            rows.append(_row(number, image, before + length, energy * landscape.unit_J - zero, m, landscape.mask))
        rows.append(_row(number, -1, math.nan, leg.energies_J[1] - zero, leg.saddle.m, landscape.mask))
        before += leg.path.length[-1]
    return pd.DataFrame(rows)


def _row(leg: int, image: int, length: float, energy_J: float, m: np.ndarray, mask: np.ndarray) -> dict:
    mean = m[:, mask].mean(1)
    own = {"leg": leg, "image": image, "length": float(length), "energy_J": float(energy_J)}
    return own | {name: float(value) for name, value in zip(("mx", "my", "mz"), mean)}
