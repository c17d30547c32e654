"""Data sets by name. A new data set is one file with a ``DATASET`` and one line here."""

from __future__ import annotations

from network.datasets.fashion_mnist import DATASET as FASHION_MNIST
from network.datasets.idx import Data, IdxDataset
from network.datasets.mnist import DATASET as MNIST
from spinloom.errors import UserError

REGISTRY: dict[str, IdxDataset] = {"mnist": MNIST, "fashion_mnist": FASHION_MNIST}

__all__ = ["REGISTRY", "Data", "get"]


def get(name: str) -> IdxDataset:
    """Return the data set called ``name``; `UserError` if there is none."""
    if name not in REGISTRY:
        raise UserError(f"network.dataset: found {name!r}, allowed {', '.join(REGISTRY)}")
    return REGISTRY[name]
