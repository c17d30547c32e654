"""Tables and entries of a card that tell how measured devices differ (`devices`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Int64

from calibration.counting.spread import Spread
from calibration.measurement.devices import Devices, Effect, draws
from calibration.measurement.step_model import Fit, Steps

DRAWS, FEWEST = 400, 10  # of parameters over all devices, and of each
NORMAL = 1.96


@dataclass(frozen=True)
class Population:
    """How the devices of a card differ.

    Attributes
    ----------
    by_instance
        `calibration.card.tables.BY_INSTANCE`.
    offsets
        ``instance``, ``offset`` and ``offset_se`` (S), as of `calibration.counting.spread.device_offsets`.
    meta
        Entries of ``measurement`` in ``card.json``.
    """

    by_instance: pd.DataFrame
    offsets: pd.DataFrame
    meta: dict[str, Any]


def population(
    devices: Devices,
    instances: tuple[int, ...],
    fit: Fit,
    rows: Callable[[Steps], np.ndarray],
    counts: Int64[np.ndarray, "devices pulses states states"],
    states: np.ndarray,
    rng: np.random.Generator,
) -> Population:
    """Return what a card says of its devices.

    Parameters
    ----------
    devices : Devices
    instances : tuple of int
        Number of each.
    fit : Fit
        Of a typical device.
    rows : callable
        Steps -> float64[pulses, states, states].
    counts : int64[devices, pulses, states, states]
        Writes of each.
    states : ndarray, float64[writes]
        States before the writes, S, over which the spread of a write is averaged.
    rng : Generator
        For intervals.
    """
    number = max(FEWEST, DRAWS // len(instances))
    drawn = draws(devices.factor, number, rng)
    tables = []
    for place, instance in enumerate(instances):
        own = rows(_with(fit.steps, devices.factor.shrunk[place]))
        chosen = fit.draws[:: max(1, len(fit.draws) // number)][:number]
        wide = NORMAL * np.std([rows(_with(one, u)) for one, u in zip(chosen, drawn[:, place])], axis=0)
        pulse, start, stop = np.indices(own.shape)
        tables.append(
            pd.DataFrame(
                {
                    "instance": instance,
                    "pulse": pulse.ravel(),
                    "state_from": start.ravel(),
                    "state_to": stop.ravel(),
                    "count": counts[place].ravel(),
                    "probability": own.ravel(),
                    "ci_low": np.clip(own - wide, 0, None).ravel(),
                    "ci_high": np.clip(own + wide, None, 1).ravel(),
                }
            )
        )
    factor, offset = devices.factor, devices.offset
    one = {
        "instance": list(instances),
        "step_factor": np.exp(factor.shrunk).tolist(),
        "step_factor_sd": (np.exp(factor.shrunk) * factor.unsure).tolist(),
        "offset_S": offset.shrunk.tolist(),
        "offset_sd_S": offset.unsure.tolist(),
    }
    meta = {
        "devices": [dict(zip(one, row)) for row in zip(*one.values())],
        "step_factor_sd": factor.sd,
        "step_factor_interval": list(factor.interval),
        "offset_sd_S": offset.sd,
        "offset_interval_S": list(offset.interval),
    }
    offsets = pd.DataFrame({"instance": list(instances), "offset": offset.value, "offset_se": offset.error})
    return Population(pd.concat(tables, ignore_index=True), offsets, meta)


def _with(steps: Steps, log_factor: float) -> Steps:
    return replace(steps, mean=steps.mean * np.exp(log_factor))


def spread(fit: Fit, states: np.ndarray, offset: Effect | None) -> Spread:
    """Return how far writes from these states, float64[writes], scatter about their mean step, and devices differ.

    ``offset`` is that of the devices' conductances; None where the readings do not support that they differ.
    """
    size, *drawn = (float(np.sqrt(np.mean(own.at(states)[1] ** 2))) for own in (fit.steps, *fit.draws))
    low, high = np.quantile(drawn, [0.025, 0.975])
    cycle = {
        "cycle_to_cycle_sd": size,
        "cycle_to_cycle_se": float(np.std(drawn)),
        "cycle_to_cycle_low": float(min(low, size)),
        "cycle_to_cycle_high": float(max(high, size)),
    }
    if offset is None:
        return Spread(**cycle)
    return Spread(
        **cycle,
        device_to_device_sd=offset.sd,
        device_to_device_se=(offset.interval[1] - offset.interval[0]) / (2 * NORMAL),
        device_to_device_low=offset.interval[0],
        device_to_device_high=offset.interval[1],
    )
