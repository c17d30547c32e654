"""Plug-ins made up for a test."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from importlib.metadata import EntryPoint
from types import SimpleNamespace
from typing import Any

import pytest

from network import datasets
from spinloom.registry import Registry


def add(patch: pytest.MonkeyPatch, registry: Registry, name: str, module: Any) -> Any:
    """Put a module, or what has the words of one, into a registry; None is a module that cannot be imported."""
    if module is not None:
        module.__spec__ = ModuleSpec(f"plug_in_{name}", None, origin=__file__)
    patch.setitem(sys.modules, f"plug_in_{name}", module)
    found, entry = registry._found, EntryPoint(name, f"plug_in_{name}", registry.group)
    patch.setattr(registry, "_found", lambda: [*(one for one in found() if one.name != name), entry])
    return module


def add_dataset(patch: pytest.MonkeyPatch, dataset: datasets.Dataset) -> None:
    """Put a data set into the registry, by its name."""
    add(patch, datasets.REGISTRY, dataset.name, SimpleNamespace(DATASET=dataset))
