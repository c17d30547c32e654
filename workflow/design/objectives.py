"""What a search can want: quantities of a study's tables, of one variant, by mean and spread over seeds, or derived.

Test images are not among them: a search that looked at them would overstate what it found.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from spinloom.errors import UserError
from spinloom.files import read_json, read_table
from spinloom.quantities import LEVELS, OWN, PHASES
from workflow.design import derived
from workflow.design.config import Design, Objective


class Measured(NamedTuple):
    """A quantity of one variant: mean and standard deviation over ``n`` seeds (NaN where there is none).

    ``card_sd`` is the part of its uncertainty that comes from a card of few writes, if network.card_samples tell it.
    """

    mean: float
    sd: float = math.nan
    n: int = 1
    card_sd: float = 0.0

    @property
    def seeds_error(self) -> float:
        """Standard error of the mean over seeds; 0 where there is no spread."""
        return self.sd / math.sqrt(self.n) if self.n > 1 and self.sd > 0 else 0.0

    @property
    def error(self) -> float:
        """Standard error of the mean over seeds and cards."""
        return math.hypot(self.seeds_error, self.card_sd)


ENERGIES = {f"{phase}_energy_J_{level}": (phase, level) for phase in PHASES for level in LEVELS}
SUMMARY = (
    "validation_accuracy", "writes_per_sample", "training_writes_per_sample", "most_writes_on_a_device",
    "memory_bits_per_synapse", "devices",
)  # fmt: skip
SYSTEM = {  # of the whole chip
    "training_time_s": ("training", "time_s"), "inference_time_s": ("inference", "time_s"),
    "area_m2": ("inference", "area_m2"), "inference_operations_per_J": ("inference", "operations_per_J"),
}  # fmt: skip
OTHER = ("lifetime_years", "retention_s")
WRITES = "training_write_energy_J"  # of the devices' energy in training, which mostly is that of reading
BARRIERS = ("thermal_stability", "wall_barrier_kT")
QUANTITIES = (*SUMMARY, *ENERGIES, WRITES, *SYSTEM, *OTHER, *derived.DERIVED)
MAXIMISED = ("validation_accuracy", "inference_operations_per_J", *OTHER, *BARRIERS)
# all others are compared by their logarithm, where they are above 0
LINEAR = ("validation_accuracy", *BARRIERS)
TESTED = ("test_accuracy", "accuracy_below_float")


@dataclass(frozen=True)
class Goal:
    """An objective, checked.

    Attributes
    ----------
    name : str
        Of columns: the quantity, with the variant's name where the study says one.
    sign : int
        1 if it is maximised, -1 if it is minimised.
    """

    name: str
    quantity: str
    variant: str
    sign: int
    at_least: float | None
    at_most: float | None

    def scaled(self, value: float | np.ndarray) -> np.ndarray:
        """Return values, float[...], as they are compared: the larger the better, most as logarithms to the base 10."""
        values = np.asarray(value, float)
        if self.quantity not in LINEAR:
            # no write, no energy: better than all that spend some, by a decade below the least double of use
            values = np.log10(np.maximum(values, 1e-30))
        return self.sign * values

    def error(self, measured: Measured) -> float:
        """Return the standard error of a measured quantity in units of `scaled`."""
        if self.quantity in LINEAR:
            return measured.error
        return measured.error / (measured.mean * math.log(10)) if measured.mean > 0 else 0.0

    def unscaled(self, value: float | np.ndarray) -> np.ndarray:
        """Return what `scaled` was given, float[...]."""
        values = self.sign * np.asarray(value, float)
        return values if self.quantity in LINEAR else 10.0**values

    def violation(self, value: float) -> float:
        """Return by how much a bound is missed, in units of `scaled`; 0 or less if it is kept."""
        own, missed = float(self.scaled(value)), [-math.inf]
        for bound, side in ((self.at_least, 1), (self.at_most, -1)):
            if bound is not None:
                missed.append(side * self.sign * (float(self.scaled(bound)) - own))
        return max(missed)

    @property
    def scale(self) -> str:
        """What `scaled` returns, in words."""
        return f"{'-' * (self.sign < 0)}{'' if self.quantity in LINEAR else 'log10 '}{self.name}"

    @property
    def bounded(self) -> bool:
        """Whether it has a bound."""
        return self.at_least is not None or self.at_most is not None


def goals(design: Design, variants: list[str]) -> list[Goal]:
    """Return the objectives of a search.

    Parameters
    ----------
    design : Design
    variants : list of str
        Of the study, the first being what an objective without a variant means.

    Raises
    ------
    UserError
        If there is no such quantity or variant.
    """
    return [_goal(number, one, variants) for number, one in enumerate(design.objectives)]


def _goal(number: int, one: Objective, variants: list[str]) -> Goal:
    where = f"design.objectives.{number}"
    if one.quantity in TESTED:
        raise UserError(
            f"{where}.quantity: found {one.quantity}, which is of the test images, allowed: validation_accuracy, "
            "because the test images are used once, at the end, for the points that were found"
        )
    if one.quantity not in QUANTITIES:
        raise UserError(f"{where}.quantity: found {one.quantity}, allowed: {', '.join(QUANTITIES)}")
    if one.variant not in (None, *variants):
        raise UserError(f"{where}.variant: found {one.variant}, allowed: {', '.join(variants)}")
    goal = one.goal or ("maximise" if one.quantity in MAXIMISED else "minimise")
    name = one.quantity if one.variant is None else f"{one.quantity}_{one.variant}"
    sign = 1 if goal == "maximise" else -1
    return Goal(name, one.quantity, one.variant or variants[0], sign, one.at_least, one.at_most)


def measure(study: Path, goal: Goal) -> Measured:
    """Return what a finished study has of an objective; one that its tables do not hold is NaN."""
    tables = study / "network" / "summary"
    if goal.quantity in derived.DERIVED:
        return _measured(derived.value(goal.quantity, read_json(study / "config" / "resolved.json")))
    if goal.quantity in SUMMARY:
        row = last(tables, goal.variant)
        mean = row.get(f"{goal.quantity}_mean", row.get(goal.quantity))
        return _measured(mean, row.get(f"{goal.quantity}_sd"), row["seeds"], _card_sd(tables, goal))
    if goal.quantity == "retention_s":
        return _measured(_retention_s(study / "calibration" / "card"))
    if goal.quantity == "lifetime_years":
        found = _rows(read_table(tables / "lifetime.csv"), variant=goal.variant, cause="learning")
        # without writes there is no end
        worst = found[0]["lifetime_years_worst"] if found else math.nan
        return _measured(1e12 if found and pd.isna(worst) else worst)
    if goal.quantity == WRITES:
        terms = read_table(tables / "energy.csv")
        row = next(iter(_rows(terms, variant=goal.variant, phase="training", level="device", term="writes")), {})
        return _spent(row, tables, goal)
    phase, level = ENERGIES.get(goal.quantity, (SYSTEM.get(goal.quantity, ("", ""))[0], "system"))
    costs = read_table(tables / "costs.csv")
    row = next(iter(_rows(costs, variant=goal.variant, phase=phase, level=level, chip=OWN)), {})
    if goal.quantity in ENERGIES:
        return _spent(row, tables, goal)
    return _measured(row.get(SYSTEM[goal.quantity][1]))


def _spent(row: dict, tables: Path, goal: Goal) -> Measured:
    mean = row.get("energy_J_mean")
    # floats spend nothing on devices, and are no answer to which device
    mean, n = mean if mean and mean > 0 else math.nan, last(tables, goal.variant)["seeds"]
    return _measured(mean, row.get("energy_J_sd"), n, _card_sd(tables, goal))


def tested(study: Path, goal: Goal) -> Measured:
    """Return the accuracy on test images of an objective's variant in a finished study."""
    row = last(study / "network" / "summary", goal.variant)
    return _measured(row["test_accuracy_mean"], row["test_accuracy_sd"], row["seeds"])


def last(tables: Path, variant: str) -> dict:
    """Return the row of ``summary.csv`` of a variant after its last epoch.

    Raises
    ------
    UserError
        If there is none.
    """
    found = _rows(read_table(tables / "summary.csv"), variant=variant, selection="last")
    if not found:
        raise UserError(f"{tables / 'summary.csv'}: found no variant {variant}, allowed: a table with this variant")
    return found[0]


def _rows(table: pd.DataFrame, **names: str) -> list[dict]:
    for column, name in names.items():
        table = table[table[column] == name]
    return table.to_dict("records")


def _measured(mean: float | None, sd: float | None = None, n: int = 1, card_sd: float = 0.0) -> Measured:
    mean, sd = (math.nan if value is None or pd.isna(value) else float(value) for value in (mean, sd))
    return Measured(mean, sd, int(n), card_sd)


def _card_sd(tables: Path, goal: Goal) -> float:
    """Return the sd of a quantity over cards that the same writes allow; 0 if no such cards were trained on.

    The spread of the validation accuracy is taken for that of the test accuracy, of which no value is used.
    """
    path = tables / "uncertainty.csv"
    if not path.exists():
        return 0.0
    name = "test_accuracy" if goal.quantity == "validation_accuracy" else goal.quantity
    found = _rows(read_table(path), variant=goal.variant, quantity=name)
    return float(found[0]["sd_card"]) if found else 0.0


def _retention_s(card: Path) -> float:
    """Return the mean time that the least stable state lasts at the highest temperature of a card's rates, s."""
    path = card / "retention.csv"
    if not path.exists():
        return math.nan
    table = read_table(path)
    hottest = table[table["temperature_K"] == table["temperature_K"].max()]
    rate = hottest.groupby("state_from")["rate_per_s"].sum().max()
    return 1 / rate if rate > 0 else math.inf
