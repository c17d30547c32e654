"""Learning rules by name: each module of this package is one, as is each entry point of the group ``spinloom.rules``.

The module defines ``Options``, the section ``network.rule_options`` of a study with the rule, and ``RULE``, a subclass
of `base.Rule`. Names are known without JAX, which the rules' modules import.
"""

from __future__ import annotations

from typing import Any

from spinloom.declare import Section
from spinloom.registry import Registry

REGISTRY = Registry(
    "network.rule",
    __name__,
    words=("Options", "RULE.name", "RULE.init", "RULE.weights", "RULE.propose"),
    shared=("base", "capabilities"),
    named="RULE.name",
)


def get(name: str) -> type[Any]:
    """Return the rule called ``name``, a subclass of `base.Rule`; `UserError` if there is none."""
    return REGISTRY.get(name).RULE


def options(name: str, content: dict[str, Any]) -> Section:
    """Return the options of a rule, checked and completed; `UserError` if one is unknown or out of range."""
    return REGISTRY.get(name).Options.parse(content, f"rule {name}", "network.rule_options")
