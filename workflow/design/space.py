"""The space that is searched: from values of the variables to a study, and whether that study can be at all."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import numpy as np

from spinloom.config import lay_over, overlay, stack
from spinloom.errors import UserError
from spinloom.explain import short
from spinloom.files import canonical_json, sha256_text
from workflow.design import derived, expressions
from workflow.design.config import FULL, Design, Variable
from workflow.study import config as study_config
from workflow.study.planning import Planner

DIGITS = 6  # of a value
DRAWS = 2000  # looked at to see whether the constraints leave anything
PLANNED = 20  # of these that are planned as studies
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

    def __init__(self, path: str, layer: dict[str, Any]):
        self.path = path
        self.whole = study_config.laid_over(path, layer)
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
            expressions.parse(text, f"design.constraints.{number}")
            for number, text in enumerate(self.design.constraints)
        ]
        self.conditions = {
            name: expressions.parse(one.when, f"design.variables.{name}.when")
            for name, one in self.design.variables.items()
            if one.when is not None
        }
        self._check()

    def _check(self) -> None:
        keys = [*(one.key for one in self.variables.values()), *self.ties]
        if repeated := [key for key in keys if keys.count(key) > 1]:
            raise UserError(f"design: found the key {repeated[0]} twice, allowed: each key in one variable or tie")
        for name, one in self.variables.items():
            where = f"design.variables.{name}"
            _parent(self.base, one.key, where)
            for value in one.choices or one.range or ():
                value = int(value) if one.whole else value
                changed = lay_over(self.base, nested(self.base, {one.key: value}))
                try:
                    study_config.resolve(changed, where)
                except UserError as error:
                    raise UserError(str(error)) from None
        for expression in (*self.ties.values(), *self.constraints, *self.conditions.values()):
            for name in expression.names:
                self._known(name, expression.where)
        for key in self.ties:
            _parent(self.base, key, "design.ties")
        for name, changes in self.design.fidelities.items():
            wrong = [key for key in changes if key in ("study", "design", "scan", "extends")]
            if wrong:
                raise UserError(f"design.fidelities.{name}: found {wrong[0]}, allowed: changes of the stages and seed")
            try:
                study_config.resolve(lay_over(self.base, changes), f"design.fidelities.{name}")
            except UserError as error:
                raise UserError(str(error)) from None

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
                "config, "
                f"or one of {', '.join(derived.DERIVED)}"
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
        config, lookup = self._config(values), self._lookup(values, self._config(values))
        set_ = {self.variables[name].key: value for name, value in values.items()}
        set_ |= {key: expression.value(lookup) for key, expression in self.ties.items()}
        own = nested(config, set_)
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
        kept = []
        for _ in range(DRAWS):
            values = self.drawn(random)
            if why := self.broken(values):
                broken[why] = broken.get(why, 0) + 1
            else:
                kept.append(values)
            if len(kept) >= 10 * PLANNED:
                break
        if not kept:
            first = max(broken, key=lambda why: broken[why])
            raise UserError(
                f"design.constraints: found no point among {DRAWS} that fulfils them ({broken[first]} violate "
                f"{short(first)}), allowed: constraints that some values of the variables fulfil"
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
    """Return a value as the config holds it: whole, or of `DIGITS` digits, within the range."""
    assert one.range is not None
    if one.whole:
        return int(min(max(round(value), one.range[0]), one.range[1]))
    return min(max(float(f"{value:.{DIGITS}g}"), one.range[0]), one.range[1])


def _unit(one: Variable, value: Any) -> float:
    if one.choices is not None:
        return (one.choices.index(value) + 0.5) / len(one.choices)
    assert one.range is not None
    low, high = one.range
    return math.log(value / low) / math.log(high / low) if one.log else (value - low) / (high - low)


def at(config: Any, key: str) -> Any:
    """Return the value under a dotted key; entries of a list by their number.

    Raises
    ------
    KeyError
        If it is not there.
    """
    for part in key.split("."):
        if isinstance(config, dict) and part in config:
            config = config[part]
        elif isinstance(config, (list, tuple)) and part.isdecimal() and int(part) < len(config):
            config = config[int(part)]
        else:
            raise KeyError(key)
    return config


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
    if key.split(".")[0] not in ("seed", "device_sims", "calibration", "network"):
        raise UserError(f"{where}: found the key {short(key)}, allowed: keys of device_sims, calibration and network")


def nested(config: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """Return values by dotted key as a mapping of mappings; a list is given whole, its other entries as they are."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        _set(found, config, key.split("."), value)
    return found


def _set(place: dict[str, Any], below: Any, parts: list[str], value: Any) -> None:
    first, *rest = parts
    under = below.get(first) if isinstance(below, dict) else None
    if not rest:
        place[first] = value
    elif isinstance(under, (list, tuple)):
        place.setdefault(first, _copied(under))
        entries = place[first]
        for part in rest[:-1]:
            entries = entries[int(part) if isinstance(entries, list) else part]
        entries[int(rest[-1]) if isinstance(entries, list) else rest[-1]] = value
    else:
        _set(place.setdefault(first, {}), under, rest, value)


def _copied(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_copied(one) for one in value]
    return {key: _copied(one) for key, one in value.items()} if isinstance(value, dict) else value
