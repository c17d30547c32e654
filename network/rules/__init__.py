"""Learning rules by name: each module of this package is one, as is each entry point of the group ``spinloom.rules``.

The module defines ``RULE``, a subclass of `base.Rule`. Names are known without JAX, which the rules' modules import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spinloom.registry import Registry

if TYPE_CHECKING:
    from network.rules.base import Rule

REGISTRY = Registry(
    "network.rule",
    __name__,
    words=("RULE.name", "RULE.init", "RULE.weights", "RULE.propose"),
    shared=("base",),
    named="RULE.name",
)


def get(name: str) -> type[Rule]:
    """Return the rule called ``name``; `UserError` if there is none."""
    return REGISTRY.get(name).RULE
