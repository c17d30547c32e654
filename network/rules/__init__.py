"""Learning rules by name: each module of this package is one, as is each entry point of the group ``spinloom.rules``.

The module defines ``Options``, the section ``network.rule_options`` of a study with the rule, and ``RULE``, a subclass
of `base.Rule`. Names are known without JAX, which the rules' modules import.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

from spinloom.declare import Section
from spinloom.registry import Registry

if TYPE_CHECKING:
    from network.rules.base import Rule


class Devices(Enum):
    """How a rule uses devices."""

    IN_PLACE = "in place"  # they hold the weights: read and programmed while training
    DEPLOYED = "deployed"  # they are programmed with the trained weights
    CLOCKED = "clocked"  # they hold nothing: a read is a pulse, and a look at what it left
    NONE = "none"  # weights are numbers in digital memory


REGISTRY = Registry(
    "network.rule",
    __name__,
    words=("Options", "RULE.name", "RULE.init", "RULE.weights", "RULE.propose"),
    shared=("base",),
    named="RULE.name",
)


def get(name: str) -> type[Rule]:
    """Return the rule called ``name``; `UserError` if there is none."""
    return REGISTRY.get(name).RULE


def options(name: str, content: dict[str, Any]) -> Section:
    """Return the options of a rule, checked and completed; `UserError` if one is unknown or out of range."""
    return REGISTRY.get(name).Options.parse(content, f"rule {name}", "network.rule_options")
