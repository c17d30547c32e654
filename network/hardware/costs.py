"""Energy, time, area, power and throughput of runs and of their digital rivals, as tables."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from network.hardware.areas import blocks
from network.hardware.constants import CONSTANTS
from network.hardware.rivals import rivals
from network.hardware.run import Run
from network.hardware.term import Drafted, Factor, Term, given
from network.hardware.terms import terms
from spinloom.quantities import COST_PHASES, LEVELS, OWN, PHASES

COLUMNS = [
    "variant", "rule", "chip", "phase", "level", "energy_J_mean", "energy_J_sd", "time_s", "area_m2", "power_W",
    "samples_per_s", "operations_per_s", "operations_per_J", "operations_per_s_per_m2", "epoch_time_s", "lacks",
]  # fmt: skip
SENSITIVITY = [
    "variant", "rule", "phase", "quantity", "constant", "value", "low", "high", "total", "total_at_low",
    "total_at_high", "source",
]  # fmt: skip
LEAST_MOVE = 1e-3  # of a total; numbers that move it by less are left out of the sensitivities


class Total(NamedTuple):
    """Energy and time of a phase up to a level."""

    energy_J: float
    time_s: float


def totals(found: list[Term]) -> dict[tuple[str, str], Total]:
    """Return the sums by (phase, level), cumulative: "array" holds "device", "system" holds both."""
    sums: dict[tuple[str, str], Total] = {}
    for phase in COST_PHASES:
        energy = time = 0.0
        for level in LEVELS:
            own = [term for term in found if (term.phase, term.level) == (phase, level)]
            energy += sum(term.energy_J for term in own)
            time += sum(term.time_s for term in own)
            sums[phase, level] = Total(energy, time)
    return sums


def statement(run: Run) -> list[Term]:
    """Return the terms of one run, then their totals as terms, then the programming energy per presentation."""
    found = terms(run)
    lacks = f"without: {run.lacks}" if run.lacks else ""
    sums = [
        Term(
            phase, level, "total",
            Drafted(
                lacks if level != "device" else "",
                (Factor("sum of the terms of this level and those below", total.energy_J),), None, total.time_s,
            ),
        )
        for (phase, level), total in totals(found).items()
    ]  # fmt: skip
    return [*found, *sums, *([programming(run)] if run.meter.writes and run.meter.samples else [])]


def programming(run: Run) -> Term:
    """Return the "energy per inference" of Misba et al. (arXiv 2111.07284), which no total holds.

    It is the energy of all programming events of a training, divided by the number of presentations of a sample. It
    holds neither reads, converters nor memory.
    """
    samples = given("samples", run.meter.samples)
    draft = Drafted(
        "definition of 'energy per inference' in arXiv 2111.07284: first programming and training",
        (given("E_written", run.written_J),), samples,
    )  # fmt: skip
    return Term("training", "device", "programming per presentation", draft)


def energy_table(runs: list[Run]) -> pd.DataFrame:
    """Return every term, total and the programming energy per presentation of the runs (seeds) of one variant.

    Inputs shown are those of the first seed; energies are mean and sd over seeds, J per sample, of the first
    programming J of the whole chip.
    """
    rows = []
    for same in zip(*(statement(run) for run in runs), strict=True):
        term, values = same[0], pd.Series([one.energy_J for one in same])
        rows.append({
            **_whose(runs[0]), "phase": term.phase, "level": term.level, "term": term.name,
            "energy_J_mean": values.mean(), "energy_J_sd": values.std(ddof=1),
            "time_s": float(np.mean([one.time_s for one in same])), "formula": term.formula, "inputs": term.inputs,
            "time_told": term.draft.time_told, "assumption": term.assumption,
        })  # fmt: skip
    return pd.DataFrame(rows)


def rivals_table(run: Run) -> pd.DataFrame:
    """Return the terms of the digital rivals of a run at inference, in the columns of `energy_table`, with ``chip``."""
    rows = []
    for name, rival in rivals(run).items():
        table = energy_table([rival])
        rows.append(table[table["phase"] == "inference"].assign(chip=name))
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame()


def area_table(run: Run) -> pd.DataFrame:
    """Return the area of each block of a run's chip and of its rivals'."""
    rows = []
    for name, one in {OWN: run, **rivals(run)}.items():
        for phase in PHASES if name == OWN else ("inference",):
            rows += [
                {
                    **_whose(run), "chip": name, "phase": phase, "level": block.level, "block": block.name,
                    "number": block.number, "area_of_each_m2": block.each_m2, "area_m2": block.area_m2,
                    "assumption": block.assumption,
                }
                for block in blocks(one, phase)
            ]  # fmt: skip
    return pd.DataFrame(rows)


def cost_table(runs: list[Run]) -> pd.DataFrame:
    """Return energy, time, area, power and throughput of one variant's runs and of its rivals, `COLUMNS`.

    Levels are cumulative. An operation is a multiplication or an addition: two for each weight and use, forward in
    inference; forward, backward and for the gradient in training. Power is the mean while the chip is busy.
    """
    m, rows = runs[0].meter, []
    operations = {"inference": 2 * m.products, "training": 2 * (2 * m.products + m.back_products)}
    for name, first in {OWN: runs[0], **rivals(runs[0])}.items():
        sums = [totals(terms(run)) for run in (runs if name == OWN else [first])]
        phases = COST_PHASES if name == OWN and first.meter.writes else PHASES if name == OWN else ("inference",)
        for phase in phases:
            areas, area = blocks(first, "training" if phase != "inference" else phase), 0.0
            for level in LEVELS:
                area += sum(block.area_m2 for block in areas if block.level == level)
                energy = pd.Series([one[phase, level].energy_J for one in sums])
                time = float(np.mean([one[phase, level].time_s for one in sums]))
                done = operations.get(phase, math.nan)
                mean = energy.mean()
                rate = done / time if time > 0 else math.nan
                rows.append({
                    **_whose(first), "chip": name, "phase": phase, "level": level, "energy_J_mean": mean,
                    "energy_J_sd": energy.std(ddof=1), "time_s": time, "area_m2": area,
                    "power_W": mean / time if time > 0 else math.nan,
                    "samples_per_s": 1 / time if time > 0 and phase in PHASES else math.nan,
                    "operations_per_s": rate, "operations_per_J": done / mean if mean > 0 else math.nan,
                    "operations_per_s_per_m2": rate / area if area > 0 else math.nan,
                    "epoch_time_s": time * m.samples / m.epochs if phase == "training" and m.epochs else math.nan,
                    "lacks": first.lacks if level != "device" and first.lacks else None,
                })  # fmt: skip
    return pd.DataFrame(rows, columns=COLUMNS)


def sensitivity_table(run: Run) -> pd.DataFrame:
    """Return how far each published number moves the totals between the ends of its range, the furthest first.

    Numbers that the config or the preset sets to a value of its own are moved by the same factors.
    """
    quantities = _quantities(run)
    rows = []
    for name, constant in CONSTANTS.items():
        value = run.hardware.constant(name)
        if value == 0:
            continue
        ends = [_quantities(_with(run, name, value * factor)) for factor in (constant.low, constant.high)]
        for (phase, quantity), total in quantities.items():
            low, high = (end[phase, quantity] for end in ends)
            if not max(abs(low - total), abs(high - total)) > LEAST_MOVE * abs(total):
                continue
            rows.append({
                **_whose(run), "phase": phase, "quantity": quantity, "constant": name, "value": value,
                "low": value * constant.low, "high": value * constant.high, "total": total, "total_at_low": low,
                "total_at_high": high, "source": constant.source,
            })  # fmt: skip
    table = pd.DataFrame(rows, columns=SENSITIVITY)
    swing = (table["total_at_high"] - table["total_at_low"]).abs() / table["total"]
    place = table["quantity"].map({"energy_J": 0, "time_s": 1, "area_m2": 2})
    return (
        table.assign(place=place, swing=-swing)
        .sort_values(["phase", "place", "swing", "constant"], kind="stable")
        .drop(columns=["place", "swing"])
        .reset_index(drop=True)
    )


def _with(run: Run, name: str, value: float) -> Run:
    hardware = run.hardware.model_copy(update={"constants": {**run.hardware.constants, name: value}})
    return replace(run, hardware=hardware)


def _quantities(run: Run) -> dict[tuple[str, str], float]:
    found = {}
    for (phase, level), total in totals(terms(run)).items():
        if level == LEVELS[-1] and phase in PHASES:
            found[phase, "energy_J"], found[phase, "time_s"] = total
    found["inference", "area_m2"] = sum(block.area_m2 for block in blocks(run, "inference"))
    return found


def _whose(run: Run) -> dict[str, str]:
    return {"variant": run.meter.variant, "rule": run.meter.rule}
