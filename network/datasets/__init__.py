"""Data sets by name: each module of this package is one, as is each entry point of the group ``spinloom.datasets``.

The module defines ``DATASET``, a `base.Dataset`.
"""

from __future__ import annotations

from network.datasets.base import Data, Dataset
from spinloom.registry import Registry

__all__ = ["REGISTRY", "Data", "Dataset", "get"]

WORDS = ("name", "title", "shape", "inputs", "classes", "train_count", "test_count", "ensure", "load", "digest")
REGISTRY = Registry(
    "network.dataset",
    __name__,
    words=tuple(f"DATASET.{word}" for word in WORDS),
    shared=("base", "files"),
    named="DATASET.name",
)


def get(name: str) -> Dataset:
    """Return the data set called ``name``; `UserError` if there is none."""
    return REGISTRY.get(name).DATASET
