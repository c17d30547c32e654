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
    log: Flag = key("The range is divided by its logarithm.", False)
    whole: Flag = key("Whole numbers alone.", False)
    step: Real | None = key("Distance of the values from the smallest on; null: any value.", None, gt=0)
    choices: tuple[Any, ...] | None = key("Or the values themselves, of any kind.", None, min_length=2, max_length=100)
    when: Expression | None = key(
        "Condition under which it is varied; else the key stays as it is. null: always.", None
    )
    key: KeyPath = key("Key of the config; entries of a list by their number, from 0, as in pulses.voltages_V.0.")

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

    quantity: str = key("One of the quantities in docs/design.md.", max_length=80)
    variant: str | None = key("The variant that it is read of; null: the first.", None)
    goal: Literal["maximise", "minimise"] | None = key(
        "null: accuracies, lifetimes, retention, barriers and operations per joule are maximised, all else is "
        "minimised.",
        None,
    )
    at_least: Real | None = key("Points below are beaten by all that are not; null: no such bound.", None)
    at_most: Real | None = key("Points above are beaten by all that are not; null: no such bound.", None)


class Final(Section):
    """The front is made again at full fidelity with fresh seeds and devices, and tested."""

    points: Whole = key("Points of the front that are made again, spread along it; 0: none.", 4, ge=0, le=50)
    seeds: Whole | None = key("Trainings of each; null: as network.seeds.", None, ge=1, le=10000)


class Design(Section):
    """A search for good values of keys, run by `python -m spinloom design` (docs/design.md)."""

    variables: dict[Label, Variable] = key("What is varied, by the name in tables and expressions.", min_length=1)
    ties: dict[KeyPath, Expression] = key(
        "Keys that follow: each takes the value of an expression of variables, keys and derived quantities.", dict
    )
    constraints: tuple[Expression, ...] = key(
        "Expressions that must be true of each point; of others nothing runs.", (), max_length=50
    )
    objectives: tuple[Objective, ...] = key("What is wanted, one to three quantities.", min_length=1, max_length=3)
    points: Whole | None = key("Points to try; null: as many as `hours` allow.", None, ge=2, le=2000)
    hours: Real | None = key(
        "No generation begins after so many hours of runs, those before an interruption included; null: no limit.",
        None,
        gt=0,
        le=10000,
    )
    sampler: Literal["tpe", "nsga2", "random"] = key(
        "Who chooses the points: Optuna's tree of Parzen estimators, genetic algorithm, or chance.", "tpe"
    )
    generation: Whole = key("Points that are chosen together and run at once.", 8, ge=2, le=500)
    fidelities: dict[Annotated[str, Field(pattern="^[a-z][a-z0-9_]{0,19}$")], dict[str, Any]] = key(
        "Cheaper forms of the study, the cheapest first: changes of the config by name. All points are made with the "
        "first, the promising ones with the next, and at last with the study as it stands.",
        dict,
        max_length=3,
    )
    final: Final = key("The front is made again at full fidelity with fresh seeds and devices, and tested.", Final)
    tolerance: Real = key("Share by which a variable may be off, for the robustness of the front.", 0.05, gt=0, le=0.5)
    storage: Annotated[Url | None, AfterValidator(_without_password)] = key(
        "Where Optuna keeps the study, for optuna-dashboard: URL of a database; null: design/optuna.db in the results.",
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
