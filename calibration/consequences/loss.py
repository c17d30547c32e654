"""Rates of losing a state at rest, from the barriers between the wells of simulated devices.

A device hops between its wells w with ``k = f exp(-E / kB T)``, E and f of the device stage's table. What a card's
state s does follows from the wells in it, which are in equilibrium among each other:

    Q[s, r] = sum over w in s of p(w | s) sum over v in r of k[w, v],    p(v) / p(w) = k[w, v] / k[v, w].

A state in which a device has no well is no state of rest: it goes to the state of the nearest well within an attempt
time. The card's rates are means over the devices.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pandera.pandas as pa

from calibration.card import KernelCard, retention
from calibration.card.tables import at_least_0, conform, index, number
from calibration.sections import Retention
from spinloom.errors import UserError
from spinloom.files import read_table

BOLTZMANN = 1.380649e-23  # J/K
SHORT_S = 1.0  # a mean time in a state below which a device holds nothing
BARRIERS = pa.DataFrameSchema(
    {
        "instance": index(),
        "well_from": index(),
        "well_to": index(),
        "label_from": pa.Column(nullable=True),
        "label_to": pa.Column(nullable=True),
        "position_from_m": number(nullable=True),
        "position_to_m": number(nullable=True),
        "barrier_J": number(),
        "attempts_per_s": at_least_0(nullable=True),
        "converged": pa.Column(bool),
    },
    unique=["instance", "well_from", "well_to"],
)


def rates(card: KernelCard, path: str | Path, options: Retention) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return the table of retention of a card, and what to tell of it.

    Parameters
    ----------
    card : KernelCard
        Of simulated devices, with positions or labels of its states.
    path : str or Path
        The device stage's table of barriers.
    options : Retention
        Temperatures, K, and the attempt time, s, where the table has none.

    Returns
    -------
    DataFrame
        `calibration.card.tables.RETENTION`.
    tuple of str
        Warnings.

    Raises
    ------
    UserError
        If the table is unfit, or a well lies in no state of the card.
    """
    table = conform(read_table(path), BARRIERS, path)
    states = {side: _states(card, table, side, path) for side in ("from", "to")}
    table = table.assign(**{f"state_{side}": found for side, found in states.items()})
    tries = table["attempts_per_s"].fillna(1 / options.attempt_time_s).to_numpy()
    count, empty = len(card.states), set()
    generators = np.zeros((len(options.temperatures_K), count, count))
    devices = table["instance"].unique()
    for place, temperature in enumerate(options.temperatures_K):
        hops = tries * np.exp(-np.maximum(table["barrier_J"].to_numpy(), 0.0) / (BOLTZMANN * temperature))
        for device in devices:
            own = (table["instance"] == device).to_numpy()
            found, without = _lumped(table[own], hops[own], count, 1 / options.attempt_time_s)
            generators[place] += found / len(devices)
            empty |= without
    made = retention.table(generators, options.temperatures_K)
    return made, tuple(_told(table, options, generators, sorted(empty)))


def _states(card: KernelCard, table: pd.DataFrame, side: str, path: str | Path) -> np.ndarray:
    """Return the state of the well at one side of each barrier, int64[rows]."""
    positions = table[f"position_{side}_m"].to_numpy()
    if np.isfinite(positions).all():
        low, high = (card.states[name].to_numpy(float) for name in ("position_low_m", "position_high_m"))
        if not (np.isfinite(low) & np.isfinite(high)).all():
            raise UserError(f"{path}: found wells at positions, allowed with states of positions")
        order = np.argsort(low)
        return order[np.clip(np.searchsorted(low[order], positions, side="right") - 1, 0, len(low) - 1)]
    known = {str(label): place for place, label in enumerate(card.states["label"])}
    labels = table[f"label_{side}"].astype(str)
    unknown = sorted(set(labels) - set(known))
    if unknown:
        raise UserError(f"{path}: label_{side}: found '{unknown[0]}', allowed: {', '.join(known)}, the card's states")
    return labels.map(known).to_numpy()


def _lumped(table: pd.DataFrame, hops: np.ndarray, count: int, fastest: float) -> tuple[np.ndarray, set[int]]:
    """Return the rates between states of one device, float64[states, states], and the states without a well."""
    start, stop = table["well_from"].to_numpy(), table["well_to"].to_numpy()
    state = dict(zip(start, table["state_from"])) | dict(zip(stop, table["state_to"]))
    wells = sorted(state)
    rate = {(one, other): hop for one, other, hop in zip(start, stop, hops) if one != other}
    share = {wells[0]: 0.0}  # logarithm, along the chain
    for one, other in zip(wells, wells[1:]):
        forth, back = rate[one, other], rate[other, one]
        share[other] = share[one] + np.log(max(forth, 1e-300)) - np.log(max(back, 1e-300))
    generator = np.zeros((count, count))
    occupied = sorted(set(state.values()))
    for own in occupied:
        inside = [well for well in wells if state[well] == own]
        logs = np.array([share[well] for well in inside])
        weights = np.exp(logs - logs.max())
        for well, weight in zip(inside, weights / weights.sum()):
            for (one, other), hop in rate.items():
                if one == well and state[other] != own:
                    generator[own, state[other]] += weight * hop
    without = set(range(count)) - set(occupied)
    for own in without:
        generator[own, min(occupied, key=lambda one: (abs(one - own), one))] = fastest
    return generator, without


def _told(table: pd.DataFrame, options: Retention, generators: np.ndarray, empty: list[int]) -> list[str]:
    told, table = [], table[table["well_from"] != table["well_to"]]
    if (bad := int((~table["converged"]).sum())) > 0:
        told.append(f"retention: {bad} of {len(table)} barriers have not converged (barriers.csv says why)")
    if (unknown := int(table["attempts_per_s"].isna().sum())) > 0:
        told.append(
            f"retention: {unknown} of {len(table)} barriers have no attempt time of their own and use "
            f"retention.attempt_time_s = {options.attempt_time_s:g}"
        )
    if empty:
        told.append(
            f"retention: states {', '.join(map(str, empty))} have no well on some devices, which leave them within "
            "retention.attempt_time_s"
        )
    coldest = int(np.argmin(options.temperatures_K))
    leaving = generators[coldest].sum(axis=1)
    if (worst := float(leaving.max())) > 1 / SHORT_S:
        told.append(
            f"no retention: at {options.temperatures_K[coldest]:g} K state {int(leaving.argmax())} is left after "
            f"{1 / worst:.2g} s on average"
        )
    return told
