"""Plug-ins made up for a test: a module put together from its words, or an installed package."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from types import ModuleType
from typing import Any

import pytest

from spinloom.registry import Registry


def add(patch: pytest.MonkeyPatch, registry: Registry, name: str, **words: Any) -> ModuleType:
    """Put a plug-in that defines ``words`` into a registry, and return its module."""
    module = ModuleType(f"plug_in_{name}")
    vars(module).update(words)
    patch.setitem(sys.modules, module.__name__, module)
    found, entry = registry._found, EntryPoint(name, module.__name__, registry.group)
    patch.setattr(registry, "_found", lambda: {**found(), name: entry})
    return module
