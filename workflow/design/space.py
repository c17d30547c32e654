"""The space that is searched: from values of the variables to a study, and whether that study can be at all."""

from __future__ import annotations

import keyword
import math
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import combinations, product
from typing import Any

import numpy as np

from spinloom.config import lay_over, overlay, stack
from spinloom.dotted import at, nested, overlap
from spinloom.errors import UserError
from spinloom.explain import leaves, short
from spinloom.files import canonical_json, sha256_text
from spinloom.stages import STAGES
from workflow.design import derived, expressions
from workflow.design.config import COLUMNS, FULL, Design, Variable
from workflow.study import config as study_config
from workflow.study.planning import Planner, decisive

DIGITS, STEP_DIGITS = 6, 12  # of a value, and of one in steps, which may have to divide a length
DRAWS = 2000  # looked at to see whether the constraints leave anything
PLANNED = 20  # of these that are planned as studies
TRIED = 5  # points at which a variable may be without effect
LABEL = 12  # digits of a point's hash

Values = dict[str, Any]


class Space:
    """What a search varies.

    Parameters
    ----------
    path : str
        config.yaml.
    layer : dict
        What is laid over it, with a section ``design``.
    source : str
        What errors call it; by default ``path``.

    Attributes
    ----------
    design : Design
    base : dict
        The study as it stands, complete.
    own : dict
        The layer without the search.

    Raises
    ------
    UserError
        If a variable, tie or constraint names what is not there.
    """

    def __init__(self, path: str, layer: dict[str, Any], source: str = ""):
        self.whole = study_config.laid_over(path, layer, source)
        if self.whole.get("design") is None:
            raise UserError("design: found none, allowed: a config with a section `design` (docs/design.md)")
        if self.whole["network"] is None or self.whole["scan"] is not None:
            raise UserError(
                "design: found a study without a network, or with a scan, allowed: a study with a network and without "
                "a scan"
            )
        self.design = Design.parse(self.whole["design"], "config", "design")
        self.base = {key: value for key, value in self.whole.items() if key != "design"}
        self.stacked = stack(path, {key: value for key, value in layer.items() if key != "design"})
        self.own = {key: value for key, value in layer.items() if key != "design"}
        self.planner = Planner()
        self.ties = {key: expressions.parse(text, f"design.ties.{key}") for key, text in self.design.ties.items()}
        self.constraints = [
            expressions.parse(text, f"design.constraints.{number}", condition=True)
            for number, text in enumerate(self.design.constraints)
        ]
        self.conditions = {
            name: expressions.parse(one.when, f"design.variables.{name}.when", condition=True)
            for name, one in self.design.variables.items()
            if one.when is not None
        }
        self._check()

    def _check(self) -> None:
        keys = [*(one.key for one in self.variables.values()), *self.ties]
        for one, other in combinations(keys, 2):
            if overlap(one, other):
                raise UserError(f"design: found {one} and {other}, allowed: each key in one variable or tie")
        for name, one in self.variables.items():
            self._check_variable(name, one)
        for expression in (*self.ties.values(), *self.constraints, *self.conditions.values()):
            for name in expression.names:
                self._known(name, expression.where)
            for name, text in expression.texts:
                choices = self.variables[name].choices if name in self.variables else None
                if choices is not None and text not in choices:
                    allowed = ", ".join(map(short, choices))
                    raise UserError(f"{expression.where}: found {name} compared with {short(text)}, allowed: {allowed}")
        for place, (key, expression) in enumerate(self.ties.items()):
            _parent(self.base, key, "design.ties")
            self._not_before(expression, [], list(self.ties)[place:])
        for name, condition in self.conditions.items():
            place = list(self.variables).index(name)
            self._not_before(condition, list(self.variables)[place:], list(self.ties))
        self._check_fidelities(keys)

    def _check_variable(self, name: str, one: Variable) -> None:
        where = f"design.variables.{name}"
        columns = (goal.quantity for goal in self.design.objectives)
        taken = (*COLUMNS, *derived.DERIVED, *expressions.CONSTANTS, *expressions.FUNCTIONS)
        if name in taken or keyword.iskeyword(name) or any(f"{name}_".startswith(f"{own}_") for own in columns):
            raise UserError(f"{where}: found a name that tables or expressions use, allowed: another name")
        _parent(self.base, one.key, where)
        found: dict[str, Any] = {}
        for value in one.choices or one.range or ():
            changed = lay_over(self.base, nested(self.base, {one.key: int(value) if one.whole else value}))
            text = canonical_json(study_config.resolve(changed, where))
            if text in found:
                raise UserError(
                    f"{where}.choices: found {short(value)}, which gives the same study as {short(found[text])}, "
                    "allowed: each choice once"
                )
            found[text] = value

    def _not_before(self, expression: expressions.Expression, variables: list[str], ties: list[str]) -> None:
        """Refuse an expression that names what is given a value only after it."""
        keys = [*(self.variables[name].key for name in variables), *ties]
        for name in expression.names:
            if name in variables or any(overlap(name, key) for key in keys):
                raise UserError(
                    f"{expression.where}: found {short(name)}, which has no value yet, allowed: what variables and "
                    "ties before this one set; ties come after all variables"
                )

    def _check_fidelities(self, keys: list[str]) -> None:
        """Refuse fidelities that change nothing, or what a variable or a tie sets."""
        found = {FULL: canonical_json(self.base)}
        for name, changes in self.design.fidelities.items():
            where = f"design.fidelities.{name}"
            wrong = [key for key in changes if key in ("study", "design", "scan", "extends")]
            if wrong or changes.get("network", {}) is None:
                raise UserError(f"{where}: found {(*wrong, 'no network')[0]}, allowed: changes of the stages and seed")
            for key, one in product([key for key, _ in leaves(changes)], keys):
                if overlap(one, key):
                    raise UserError(f"{where}: found {key}, which variables or ties set ({one}), allowed: other keys")
            text = canonical_json(study_config.resolve(lay_over(self.base, changes), where))
            if same := next((other for other in found if found[other] == text), None):
                raise UserError(f"{where}: found the same study as {same}, allowed: a cheaper form of it")
            found[name] = text

    def check_effects(self, variants: list[str | None], random: np.random.Generator) -> None:
        """Refuse a variable that changes nothing of what variants (as of `decisive`) follow from, at a few points.

        Raises
        ------
        UserError
            Naming the variable.
        """
        tried = dict.fromkeys(self.variables, 0)
        for _ in range(DRAWS):
            values = self.drawn(random)
            for name in [name for name in self.active(values) if name in tried]:
                one = self.variables[name]
                try:
                    several = {
                        decisive(self.config(self.changes({**values, name: value})), variants)
                        for value in one.choices or (_value(one, 0), _value(one, 1))
                    }
                except UserError:  # one that cannot be
                    continue
                tried[name] += 1
                if len(several) > 1:
                    tried.pop(name)
                elif tried[name] == TRIED:
                    raise UserError(
                        f"design.variables.{name}.key: found {one.key}, which changes nothing that the objectives "
                        "follow from, allowed: a key that this study uses"
                    )
            if not tried:
                return

    @property
    def variables(self) -> dict[str, Variable]:
        """What is varied, by name."""
        return self.design.variables

    @property
    def levels(self) -> list[str]:
        """Fidelities, the cheapest first, the study as it stands last."""
        return [*self.design.fidelities, FULL]

    @property
    def stands(self) -> Values:
        """The values in the study as it stands, of the variables that it has."""
        found: Values = {}
        for name, one in self.variables.items():
            with suppress(KeyError):
                found[name] = at(self.base, one.key)
        return found

    def _known(self, name: str, where: str) -> None:
        if name in self.variables or name in derived.DERIVED:
            return
        try:
            at(self.base, name)
        except KeyError:
            raise UserError(
                f"{where}: found {short(name)}, allowed: a variable ({', '.join(self.variables)}), a key of the "
                f"config, or one of {', '.join(derived.DERIVED)}"
            ) from None

    def active(self, values: Values) -> Values:
        """Return the values that take part: without those whose condition does not hold.

        A condition sees the values of the variables before it, and the study as it stands.
        """
        found: Values = {}
        for name in self.variables:
            if name not in self.conditions or self.conditions[name].holds(self._lookup(found, self._config(found))):
                found[name] = values[name]
        return found

    def changes(self, values: Values, level: str = FULL) -> dict[str, Any]:
        """Return what a point changes of the study, ties and fidelity included.

        Raises
        ------
        UserError
            If a tie has no value.
        """
        values = self.active(values)
        config = self._config(values)
        set_ = {self.variables[name].key: value for name, value in values.items()}
        for key, expression in self.ties.items():  # each sees those before it
            set_[key] = expression.value(self._lookup(values, lay_over(config, nested(config, set_))))
        own = nested(config, set_)
        lookup = self._lookup(values, lay_over(config, own))
        for key, expression in self.ties.items():
            if expression.names & derived.DERIVED.keys() and expression.value(lookup) != set_[key]:
                raise UserError(
                    f"{expression.where}: found {short(expression.text)}, which a later tie changes, allowed: ties in "
                    "an order in which none does"
                )
        return overlay(own, self.design.fidelities[level]) if level != FULL else own

    def _config(self, values: Values) -> dict[str, Any]:
        return lay_over(self.base, nested(self.base, {self.variables[name].key: v for name, v in values.items()}))

    def _lookup(self, values: Values, config: dict[str, Any]) -> Callable[[str], Any]:
        def lookup(name: str) -> Any:
            if name in values:
                return values[name]
            if name in derived.DERIVED:
                return derived.value(name, config)
            try:
                return at(config, self.variables[name].key if name in self.variables else name)
            except KeyError:
                raise UserError(
                    f"design: found {name}, which the study of this point does not have, allowed: names that all "
                    "points have"
                ) from None

        return lookup

    def config(self, changes: dict[str, Any]) -> dict[str, Any]:
        """Return the complete config of a point; `UserError` if it cannot be."""
        base, own = self.stacked
        return study_config.stacked(base, [own, changes], "point")

    def broken(self, values: Values) -> str:
        """Return the first constraint that does not hold of a point; empty if all do."""
        values = self.active(values)
        try:
            config = lay_over(self.base, self.changes(values))
        except UserError as error:
            return str(error)
        lookup = self._lookup(values, config)
        return next((one.text for one in self.constraints if not one.holds(lookup)), "")

    def refused(self, values: Values) -> str:
        """Return why a point cannot be, a constraint or what a stage says of it; empty if it can."""
        if broken := self.broken(values):
            return broken
        for level in self.levels:
            try:
                self.planner.plan(self.config(self.changes(values, level)))
            except UserError as error:
                return str(error)
        return ""

    def check_feasible(self, random: np.random.Generator) -> float:
        """Return the share of random points that the constraints allow.

        Raises
        ------
        UserError
            If there is none among `DRAWS`, or the stages refuse all that were planned.
        """
        broken: dict[str, int] = {}
        kept, active = [], set[str]()
        for _ in range(DRAWS):
            values = self.drawn(random)
            if why := self.broken(values):
                broken[why] = broken.get(why, 0) + 1
            else:
                kept.append(values)
                active |= self.active(values).keys()
            if len(kept) >= 10 * PLANNED and active == self.variables.keys():
                break
        if not kept:
            first = max(broken, key=lambda why: broken[why])
            raise UserError(
                f"design.constraints: found no point among {DRAWS} that fulfils them ({broken[first]} violate {first})"
                ", allowed: constraints that some values of the variables fulfil"
            )
        for name in self.conditions.keys() - active:
            raise UserError(
                f"{self.conditions[name].where}: found {self.conditions[name].text}, which holds at none of "
                f"{len(kept)} points that keep the constraints, allowed: a condition that holds at some"
            )
        why = ""
        for values in kept[:PLANNED]:
            if not (why := self.refused(values)):
                return len(kept) / (len(kept) + sum(broken.values()))
        raise UserError(
            f"design.variables: found no point among {PLANNED} that can be simulated, the last because of: {why}"
        )

    def drawn(self, random: np.random.Generator) -> Values:
        """Return values by chance, uniform in their ranges."""
        return self.values(random.random(len(self.variables)))

    def values(self, unit: Iterable[float]) -> Values:
        """Return the values at a point of the unit cube, float[variables]."""
        return {name: _value(one, u) for (name, one), u in zip(self.variables.items(), unit, strict=True)}

    def unit(self, values: Values) -> np.ndarray:
        """Return the point of the unit cube of values, float64[variables]; 0.5 for those that take no part."""
        return np.array([_unit(one, values[name]) if name in values else 0.5 for name, one in self.variables.items()])


def label(changes: dict[str, Any]) -> str:
    """Return the name of a point: what it changes decides it, so that nothing is made twice."""
    return sha256_text(canonical_json(changes))[:LABEL]


def _value(one: Variable, unit: float) -> Any:
    unit = min(max(float(unit), 0.0), 1.0)
    if one.choices is not None:
        return one.choices[min(int(unit * len(one.choices)), len(one.choices) - 1)]
    assert one.range is not None
    low, high = one.range
    if one.step or (one.whole and not one.log):
        step = one.step or 1.0
        count = math.floor((high - low) / step + 1e-9) + 1
        return rounded(one, low + step * min(int(unit * count), count - 1))
    value = low * (high / low) ** unit if one.log else low + unit * (high - low)
    return rounded(one, value)


def rounded(one: Variable, value: float) -> Any:
    """Return a value as the config holds it: whole, or of so many digits, within the range."""
    assert one.range is not None
    if one.whole:
        return int(min(max(round(value), one.range[0]), one.range[1]))
    digits = STEP_DIGITS if one.step else DIGITS
    return min(max(float(f"{value:.{digits}g}"), one.range[0]), one.range[1])


def _unit(one: Variable, value: Any) -> float:
    if one.choices is not None:
        return (one.choices.index(value) + 0.5) / len(one.choices)
    assert one.range is not None
    low, high = one.range
    return math.log(value / low) / math.log(high / low) if one.log else (value - low) / (high - low)


def _parent(config: dict[str, Any], key: str, where: str) -> None:
    """Check that a key could be set: all above it is there, and of a list the entry itself.

    Raises
    ------
    UserError
        If it is not, or the key is one of the search itself.
    """
    above, _, last = key.rpartition(".")
    try:
        place = at(config, above) if above else config
        if isinstance(place, list) and not (last.isdecimal() and int(last) < len(place)):
            raise KeyError(key)
        if not isinstance(place, (dict, list)):
            raise KeyError(key)
    except KeyError:
        raise UserError(
            f"{where}: found the key {short(key)}, which the study does not have, allowed: a key of the study"
        ) from None
    if key.split(".")[0] not in STAGES:  # of all seeds the luckiest would be found
        raise UserError(f"{where}: found the key {short(key)}, allowed: keys of device_sims, calibration and network")
