"""What a study may say of a search: what is varied, what must hold, what is wanted, and what it may take."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self
from urllib.parse import parse_qs, urlsplit

from pydantic import AfterValidator, Field, model_validator

from spinloom.declare import Flag, Real, Section, Whole, key

FULL = "full"  # the fidelity of the study as it stands
NARROW = 1e-4  # of the larger end: in a narrower range the digits of a value tell few values apart
FINE = 1e-9  # of the larger end: finer steps are lost in the digits of a value
# columns of the tables, in which each variable has one too
COLUMNS = (
    "number", "generation", "point", "fidelity", "within_bounds", "front", "failed", "fresh_point", "test_accuracy",
    "test_accuracy_sd", "seeds",
)  # fmt: skip
Expression = Annotated[str, Field(min_length=1, max_length=300)]
KeyPath = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*$", max_length=200)]
Url = Annotated[str, Field(min_length=1, max_length=500)]
Label = Annotated[str, Field(pattern="^[A-Za-z][A-Za-z0-9_]*$", max_length=30)]


def _rising(pair: tuple[float, float] | None) -> tuple[float, float] | None:
    if pair is not None and not pair[0] < pair[1]:
        raise ValueError(f"found [{pair[0]:g}, {pair[1]:g}], allowed: two numbers, the second larger than the first")
    if pair is not None and pair[1] - pair[0] < NARROW * max(map(abs, pair)):
        raise ValueError(f"found [{pair[0]:.9g}, {pair[1]:.9g}], allowed: ends that differ by {NARROW:g} of the larger")
    return pair


def _without_password(url: str | None) -> str | None:
    """Refuse a URL with a password, which would be kept with the results; the error does not show it."""
    parts = urlsplit(url or "")
    if parts.password or any("pass" in name.lower() or name.lower() == "pwd" for name in parse_qs(parts.query)):
        raise ValueError("found a password, allowed: a URL without one; the driver reads it from its own file")
    return url


class Variable(Section):
    """A key of the config that is varied: in a range, or among choices."""

    range: Annotated[tuple[Real, Real] | None, AfterValidator(_rising)] = key("Smallest and largest value.", None)
    log: Flag = key("With true, the sampler works with the logarithm of the value.", False)
    whole: Flag = key("With true, only whole numbers are tried.", False)
    step: Real | None = key(
        "Distance from one value to the next, beginning at the smallest. With null, any value is tried.", None, gt=0
    )
    choices: tuple[Any, ...] | None = key(
        "The values to try, of any kind, in place of a range.", None, min_length=2, max_length=100
    )
    when: Expression | None = key(
        "Condition under which the key is varied. If it does not hold, the key keeps its value. With null, it "
        "is always varied.",
        None,
    )
    key: KeyPath = key("Key of the config. Give the entry of a list by its number from 0, as in `pulses.voltages_V.0`.")

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.range is None) == (self.choices is None):
            raise ValueError("found both range and choices, or neither, allowed: exactly one of the two")
        if self.choices is not None and (self.log or self.whole or self.step):
            raise ValueError("found log, whole or step with choices, allowed: only with a range")
        if self.range is None:
            return self
        low, high = self.range
        if self.log and low <= 0:
            raise ValueError(f"found {low:g} with log, allowed: a range above 0")
        if self.log and self.step:
            raise ValueError("found both log and step, allowed: one of the two")
        if self.whole and any(value is not None and value % 1 for value in (low, high, self.step)):
            raise ValueError("found a fraction in a range with whole, allowed: whole numbers as ends and step")
        if self.step and not FINE * max(abs(low), abs(high)) <= self.step <= high - low:
            least = FINE * max(abs(low), abs(high))
            raise ValueError(f"found step {self.step:g}, allowed: {least:g} to the range, {high - low:g}")
        return self


class Objective(Section):
    """A quantity of the tables that is to be large or small."""

    quantity: str = key("Quantity to optimise (docs/design.md lists them).", max_length=80)
    variant: str | None = key("Variant whose value counts. With null, the first.", None)
    goal: Literal["maximise", "minimise"] | None = key(
        "Whether the quantity should be large or small. With null, accuracies, lifetimes, retention, barriers "
        "and operations per joule should be large, and all others small.",
        None,
    )
    at_least: Real | None = key(
        "Lower bound. Points within all bounds beat the others. With null, there is no such bound.", None
    )
    at_most: Real | None = key(
        "Upper bound. Points within all bounds beat the others. With null, there is no such bound.", None
    )


class Final(Section):
    """Points of the front that are run again with another seed and new devices, and tested."""

    points: Whole = key("Number of points that are run again, spread along the front. 0 means none.", 4, ge=0, le=50)
    seeds: Whole | None = key("Number of trainings of each. With null, `network.seeds`.", None, ge=1, le=10000)


class Design(Section):
    """A search for good values of keys, run by `python -m spinloom design` (docs/design.md)."""

    variables: dict[Label, Variable] = key(
        "Keys to vary, by the names that tables and expressions use (docs/design.md).", min_length=1
    )
    ties: dict[KeyPath, Expression] = key(
        "Keys that follow from others: each gets the value of an expression of variables, keys and derived quantities.",
        dict,
    )
    constraints: tuple[Expression, ...] = key(
        "Expressions that must be true. Points that break one do not run.", (), max_length=50
    )
    objectives: tuple[Objective, ...] = key("One to three quantities to optimise.", min_length=1, max_length=3)
    points: Whole | None = key("Number of points to try. With null, as many as fit into `hours`.", None, ge=2, le=2000)
    hours: Real | None = key(
        "After this many hours of runs no new generation begins. Runs before an interruption count. With "
        "null, there is no limit.",
        None,
        gt=0,
        le=10000,
    )
    sampler: Literal["tpe", "nsga2", "gp", "random"] = key(
        "How Optuna chooses the points: by its tree of Parzen estimators (`tpe`), by a genetic algorithm "
        "(`nsga2`), by Gaussian processes (`gp`, which needs PyTorch), or at random.",
        "tpe",
    )
    generation: Whole = key("Number of points that are chosen together and run at once.", 8, ge=2, le=500)
    fidelities: dict[Annotated[str, Field(pattern="^[a-z][a-z0-9_]{0,19}$")], dict[str, Any]] = key(
        "Cheaper forms of the study by name, the cheapest first. Each is a change of the config. All points "
        "run in the first, promising ones in the next, and at last in the full study.",
        dict,
        max_length=3,
    )
    final: Final = key("Points of the front that are run again with another seed and new devices, and tested.", Final)
    tolerance: Real = key(
        "Part by which a variable may be off, for the robustness of the chosen point.", 0.05, gt=0, le=0.5
    )
    storage: Annotated[Url | None, AfterValidator(_without_password)] = key(
        "URL of the database in which Optuna keeps the search, for optuna-dashboard. With null, "
        "`design/optuna.db` in the results.",
        None,
    )

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if self.points is None and self.hours is None:
            raise ValueError("found neither points nor hours, allowed: one or both")
        if FULL in self.fidelities:
            raise ValueError(
                f"found a fidelity named {FULL}, allowed: another name, because {FULL} is the study without changes"
            )
        names = [(one.quantity, one.variant) for one in self.objectives]
        if len(set(names)) < len(names):
            raise ValueError("found an objective a second time, allowed: each once")
        return self
