"""What of a variant can be tuned, and in which range: its learning rate, its batch, options that its rule names."""

from __future__ import annotations

from typing import Any, NamedTuple

from network import rules
from spinloom.errors import UserError

RATE, BATCH = "learning_rate", "batch_size"
FACTOR = {RATE: 30.0, BATCH: 4.0}  # to both sides of what the config says
SECTIONS = ("optimizer", BATCH, "rule_options")  # of a variant's section, in which tuned keys are


class Range(NamedTuple):
    """Ends of a range that is divided by its logarithm, and whether its values are whole."""

    low: float
    high: float
    whole: bool = False


def ranges(settings: Any) -> dict[str, Range]:
    """Return the ranges of what is tuned, by name, of a variant's `network.training.settings.Settings`.

    Raises
    ------
    UserError
        If `network.tune.keys` names what cannot be tuned.
    """
    rule = rules.get(settings.rule)
    assert settings.tune is not None
    known = {RATE: _about(settings.optimizer.learning_rate, RATE, 1000.0)}
    if not rule.outer:
        images = settings.training_images or max((settings.data_set.train_count or 10**9) // 2, 1)
        images = min(images, settings.tune.training_images or images)  # a batch is no larger than a short training
        known[BATCH] = _about(settings.batch_size, BATCH, float(images), whole=True)
        known[BATCH] = known[BATCH]._replace(low=max(known[BATCH].low, 2))
    own = {name: Range(*ends) for name, ends in rule.tunable.items()}
    known |= own
    wanted = settings.tune.keys
    if wanted is None:
        return {name: known[name] for name in (RATE, *own)}
    # a key of another variant's rule is passed over: float weights have no margin
    every = {RATE, BATCH, *(name for each in rules.REGISTRY.own() for name in rules.get(each).tunable)}
    if wrong := [name for name in wanted if name not in {*known, *every}]:
        raise UserError(f"network.tune.keys: found {wrong[0]}, allowed: {', '.join(sorted({*known, *every}))}")
    return {name: known[name] for name in wanted if name in known}


def _about(value: float, name: str, most: float, whole: bool = False) -> Range:
    return Range(max(value / FACTOR[name], 1e-9), min(value * FACTOR[name], most), whole)


def given(settings: Any, names: list[str]) -> dict[str, float]:
    """Return what a variant's settings say of tuned keys."""
    options = settings.options.dump()
    own = {RATE: settings.optimizer.learning_rate, BATCH: settings.batch_size}
    return {name: own[name] if name in own else options[name] for name in names}


def changed(section: dict[str, Any], values: dict[str, float]) -> dict[str, Any]:
    """Return a variant's section with tuned values in it."""
    section = {**section, "optimizer": {**section.get("optimizer", {})}}
    section["rule_options"] = {**section.get("rule_options", {})}
    for name, value in values.items():
        place = {RATE: section["optimizer"], BATCH: section}.get(name, section["rule_options"])
        place[name] = value
    return section
