"""Data sets by name. A new data set is one file with a ``DATASET`` and one line here."""

from __future__ import annotations

from network.datasets.base import Data, Dataset
from network.datasets.cifar10 import DATASET as CIFAR10
from network.datasets.digits import DATASET as DIGITS
from network.datasets.fashion_mnist import DATASET as FASHION_MNIST
from network.datasets.mnist import DATASET as MNIST
from network.datasets.svhn import DATASET as SVHN
from spinloom.errors import UserError

REGISTRY: dict[str, Dataset] = {
    "mnist": MNIST,
    "fashion_mnist": FASHION_MNIST,
    "digits": DIGITS,
    "cifar10": CIFAR10,
    "svhn": SVHN,
}

__all__ = ["REGISTRY", "Data", "Dataset", "get"]


def get(name: str) -> Dataset:
    """Return the data set called ``name``; `UserError` if there is none."""
    if name not in list(REGISTRY):
        raise UserError(f"network.dataset: found {name!r}, allowed {', '.join(REGISTRY)}")
    return REGISTRY[name]
