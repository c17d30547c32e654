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

from network.training.settings import variants
from spinloom.errors import UserError
from spinloom.files import read_json, read_table
from spinloom.quantities import LEVELS, OWN, PHASES
from workflow.design import derived
from workflow.design.config import Design, Objective
from workflow.study.planning import Plan


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
DEVICES = [name for name, (_, level) in ENERGIES.items() if level != "system"]  # which a network in floats has not
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
    first : bool
        The objective names no variant: that of a point is its first, whose name is that of its rule.
    """

    name: str
    quantity: str
    variant: str
    sign: int
    at_least: float | None
    at_most: float | None
    first: bool = False

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


def goals(design: Design, named: list[str]) -> list[Goal]:
    """Return the objectives of a search.

    Parameters
    ----------
    design : Design
    named : list of str
        Variants of the study, the first being what an objective without a variant means.

    Raises
    ------
    UserError
        If there is no such quantity or variant.
    """
    found = [_goal(number, one, named) for number, one in enumerate(design.objectives)]
    for number, goal in enumerate(found):
        if any((goal.quantity, goal.variant) == (other.quantity, other.variant) for other in found[:number]):
            raise UserError(
                f"design.objectives.{number}: found {goal.quantity} of {goal.variant} twice, allowed: each once"
            )
    return found


def check(goals: list[Goal], plan: Plan) -> None:
    """Check, before anything runs, that a study has what is wanted.

    Parameters
    ----------
    goals : list of Goal
    plan : Plan
        Of the study as it stands.

    Raises
    ------
    UserError
        Naming the objective that no table will hold.
    """
    calibration, trained = plan.config["calibration"], {one.variant: one for one in plan.trained}
    for number, goal in enumerate(goals):
        where, one = f"design.objectives.{number}.quantity: found {goal.quantity}", trained[goal.variant]
        if goal.quantity in derived.DERIVED:
            try:
                derived.value(goal.quantity, plan.config)
            except UserError as error:
                raise UserError(f"design.objectives.{number}.quantity: {str(error).removeprefix('design: ')}") from None
            except (ArithmeticError, ValueError):  # of the study as it stands alone, perhaps
                pass
        if goal.quantity == "retention_s" and calibration["source"]["kind"] != "card":
            if not calibration["retention"]["temperatures_K"]:
                raise UserError(f"{where}, allowed: with temperatures in calibration.retention.temperatures_K")
        if not one.uses_card and (goal.quantity == "lifetime_years" or goal.quantity in (*DEVICES, WRITES)):
            raise UserError(
                f"{where} of {goal.variant}, allowed: of a variant that has devices, which rule {one.rule} has not"
            )


def _goal(number: int, one: Objective, named: list[str]) -> Goal:
    where = f"design.objectives.{number}"
    if one.quantity in TESTED:
        raise UserError(
            f"{where}.quantity: found {one.quantity}, which is of the test images, allowed: validation_accuracy, "
            "because the test images are used once, at the end, for the points that were found"
        )
    if one.quantity not in QUANTITIES:
        raise UserError(f"{where}.quantity: found {one.quantity}, allowed: {', '.join(QUANTITIES)}")
    if one.variant not in (None, *named):
        raise UserError(f"{where}.variant: found {one.variant}, allowed: {', '.join(named)}")
    goal = one.goal or ("maximise" if one.quantity in MAXIMISED else "minimise")
    _check_bounds(where, one)
    name = one.quantity if one.variant is None else f"{one.quantity}_{one.variant}"
    sign = 1 if goal == "maximise" else -1
    return Goal(name, one.quantity, one.variant or named[0], sign, one.at_least, one.at_most, one.variant is None)


def _check_bounds(where: str, one: Objective) -> None:
    accuracy = one.quantity == "validation_accuracy"
    for name, value in (("at_least", one.at_least), ("at_most", one.at_most)):
        if value is not None and accuracy and not 0 <= value <= 1:
            raise UserError(f"{where}.{name}: found {value:g}, allowed: a share from 0 to 1")
        if value is not None and one.quantity not in LINEAR and value <= 0:
            raise UserError(f"{where}.{name}: found {value:g}, allowed: more than 0")
    if one.at_least is not None and one.at_most is not None and one.at_least > one.at_most:
        raise UserError(f"{where}.at_least: found {one.at_least:g}, allowed: at most at_most, {one.at_most:g}")


def measure(study: Path, goal: Goal) -> Measured:
    """Return what a finished study has of an objective; one that its tables do not hold is NaN."""
    tables, variant = study / "network" / "summary", _variant(study, goal)
    if goal.quantity in derived.DERIVED:
        try:
            return _measured(derived.value(goal.quantity, read_json(study / "config" / "resolved.json")))
        except (UserError, ArithmeticError, ValueError):  # of a device that has none, as a film in the plane
            return _measured(None)
    if goal.quantity in SUMMARY:
        row = last(tables, variant)
        mean = row.get(f"{goal.quantity}_mean", row.get(goal.quantity))
        return _measured(mean, row.get(f"{goal.quantity}_sd"), row["seeds"], _card_sd(tables, goal, variant))
    if goal.quantity == "retention_s":
        return _measured(_retention_s(study / "calibration" / "card"))
    if goal.quantity == "lifetime_years":
        found = _rows(read_table(tables / "lifetime.csv"), variant=variant, cause="learning")
        # without writes there is no end
        worst = found[0]["lifetime_years_worst"] if found else math.nan
        return _measured(1e12 if found and pd.isna(worst) else worst)
    if goal.quantity == WRITES:
        terms = read_table(tables / "energy.csv")
        row = next(iter(_rows(terms, variant=variant, phase="training", level="device", term="writes")), {})
        return _spent(row, tables, goal, variant)
    phase, level = ENERGIES.get(goal.quantity, (SYSTEM.get(goal.quantity, ("", ""))[0], "system"))
    costs = read_table(tables / "costs.csv")
    row = next(iter(_rows(costs, variant=variant, phase=phase, level=level, chip=OWN)), {})
    if goal.quantity in ENERGIES:
        return _spent(row, tables, goal, variant)
    return _measured(row.get(SYSTEM[goal.quantity][1]))


def _spent(row: dict, tables: Path, goal: Goal, variant: str) -> Measured:
    mean = row.get("energy_J_mean")
    # floats spend nothing on devices, and are no answer to which device
    mean, n = mean if mean and mean > 0 else math.nan, last(tables, variant)["seeds"]
    return _measured(mean, row.get("energy_J_sd"), n, _card_sd(tables, goal, variant))


def tested(study: Path, goal: Goal) -> Measured:
    """Return the accuracy on test images of an objective's variant in a finished study."""
    row = last(study / "network" / "summary", _variant(study, goal))
    return _measured(row["test_accuracy_mean"], row["test_accuracy_sd"], row["seeds"])


def _variant(study: Path, goal: Goal) -> str:
    """Return the variant that an objective is of in a finished study."""
    network = read_json(study / "config" / "resolved.json").get("network") if goal.first else None
    return next(iter(variants(network))) if network else goal.variant


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


def _card_sd(tables: Path, goal: Goal, variant: str) -> float:
    """Return the sd of a quantity over cards that the same writes allow; 0 if no such cards were trained on.

    The spread of the validation accuracy is taken for that of the test accuracy, of which no value is used.
    """
    path = tables / "uncertainty.csv"
    if not path.exists():
        return 0.0
    name = "test_accuracy" if goal.quantity == "validation_accuracy" else goal.quantity
    found = _rows(read_table(path), variant=variant, quantity=name)
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
