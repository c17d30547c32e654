"""How long the devices last: writes of learning and of refresh against an endurance.

A device that takes ``N`` writes while ``S`` samples are presented, ``r`` of them a second, takes ``r N/S`` writes a
second, and with an endurance of ``E`` writes it is worn out after ``E S / (r N)``. The first to go is the one most
written; with wear levelling (which would have to move weights about) all would last as long as the mean. Learning is
taken to go on as the study's training went, first epochs included: on-line learning of something new again and again.
Refreshes are those of `network.synapse.resting`; the device with the most is one in the state that needs most.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from network.config import Lifetime
from network.results.meter import Meter

YEAR_S = 365.25 * 86400
COLUMNS = [
    "variant", "rule", "seeds", "cause", "temperature_K", "refresh_interval_s", "endurance_writes", "samples_per_s",
    "writes_per_s_worst", "writes_per_s_mean", "lifetime_years_worst", "lifetime_years_mean",
]  # fmt: skip


def lifetime_table(meters: list[Meter], evaluations: pd.DataFrame, assumed: Lifetime) -> pd.DataFrame:
    """Return how long the devices of each variant last: a row for learning and one for each kind of refresh.

    Parameters
    ----------
    meters : list of Meter
        Of all runs.
    evaluations : DataFrame
        Of all runs, as `network.results.run_tables.evaluation_table` makes them.
    assumed : Lifetime

    Returns
    -------
    DataFrame
        `COLUMNS`. Writes of the worst device are the most over all seeds; a cause without writes has no end: its
        years are left empty.
    """
    c, rows = dict(assumed), []
    for variant in dict.fromkeys(meter.variant for meter in meters):
        mine = [meter for meter in meters if meter.variant == variant]
        head = {"variant": variant, "rule": mine[0].rule, "seeds": len(mine), **c}
        if mine[0].uses_device:
            worst = max(max(m.most_writes_on_a_device, default=0) / m.samples for m in mine)
            mean = float(np.mean([m.writes / m.devices / m.samples for m in mine]))
            rows.append(
                {**head, "cause": "learning", **_rates(c, worst * c["samples_per_s"], mean * c["samples_per_s"])}
            )
        held = evaluations[(evaluations["variant"] == variant) & evaluations["refresh_interval_s"].notna()]
        for (temperature, interval), own in held.groupby(["temperature_K", "refresh_interval_s"], sort=False):
            own = own[own["value"] == own["value"].max()]  # over the longest hold a start is forgotten
            worst = (own["refresh_writes_of_worst_state"] / own["value"]).max()
            mean = (own["refresh_writes_per_device"] / own["value"]).mean()
            told = {"cause": "refresh", "temperature_K": temperature, "refresh_interval_s": interval}
            rows.append({**head, **told, **_rates(c, float(worst), float(mean))})
    return pd.DataFrame(rows).reindex(columns=COLUMNS)


def _rates(c: dict[str, float], worst: float, mean: float) -> dict[str, float | None]:
    def years(rate: float) -> float | None:
        return c["endurance_writes"] / rate / YEAR_S if rate > 0 else None

    return {
        "writes_per_s_worst": worst, "writes_per_s_mean": mean,
        "lifetime_years_worst": years(worst), "lifetime_years_mean": years(mean),
    }  # fmt: skip
