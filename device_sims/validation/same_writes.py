"""The same writes by two engines, side by side: what the faster model costs."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from device_sims import engines
from device_sims.common import Simulations


def outcomes(section: Simulations, engine: str) -> pd.DataFrame:
    """Return the events of a section by the named engine: pulse, instance, replica and the family's row."""
    family = section.family
    family.check(section)
    batches = family.batches(section)
    rows = []
    for pulse in sorted({batch.pulse for batch in batches}):
        writes = [(b, n, p) for b in batches if b.pulse == pulse for n, p in enumerate(b.problems())]
        for (batch, number, problem), result in zip(writes, engines.run(engine, [problem for _, _, problem in writes])):
            names = {"pulse": pulse, "instance": batch.instance, "replica": number}
            rows.append({**names, **family.observe(batch, problem, result)[0]})
    return pd.DataFrame(rows)


def compare(section: Simulations, value: str, reference: str = "llg", model: str = "collective") -> pd.DataFrame:
    """Run all writes of a section by two engines and tabulate what they do.

    Parameters
    ----------
    section : Simulations
        Its own ``engine`` is not used.
    value : str
        The event column that a write is judged by: a number, or true and false.
    reference, model : str
        Engines; their random streams are of one name but drive different equations, so writes are not paired.

    Returns
    -------
    DataFrame
        One row per pulse (and start, where there are several): the family's ``AXES`` columns; ``writes`` and
        ``lost`` (without the value), ``mean`` and ``sd`` of the value, each with ``_ENGINE`` behind it; the means'
        ``difference`` (model minus reference) and its ``standard_error``; ``sd_ratio``.

    Raises
    ------
    UserError
        If an engine cannot run it.
    """
    family = section.family
    keys = ["pulse", *family.KEYS]
    parts = []
    for engine in (reference, model):
        groups = outcomes(section, engine).astype({value: float}).groupby(keys)[value]
        part = groups.agg(["size", "count", "mean", "std"])
        part["count"] = part["size"] - part["count"]
        parts.append(part.set_axis([f"{name}_{engine}" for name in ("writes", "lost", "mean", "sd")], axis=1))
    table = pd.concat(parts, axis=1)
    table["difference"] = table[f"mean_{model}"] - table[f"mean_{reference}"]
    table["standard_error"] = np.sqrt(
        sum(table[f"sd_{e}"] ** 2 / (table[f"writes_{e}"] - table[f"lost_{e}"]) for e in (reference, model))
    )
    table["sd_ratio"] = table[f"sd_{model}"] / table[f"sd_{reference}"].replace(0.0, math.nan)
    pulses = family.pulses(section)[["pulse", *family.AXES]]
    return pulses.merge(table.reset_index(), on="pulse")
