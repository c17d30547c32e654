"""Data sets by name: each module of this package is one, as is each entry point of the group ``spinloom.datasets``.

The module defines ``DATASET``, a `base.Dataset`. A module that also defines ``Options``, the section
``network.dataset_options``, has a class there, which makes the data set of the options, of what planning has found in
its files, and of the cache: see `own.kept.OwnData`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from network.datasets.base import Data, Dataset
from network.datasets.own.options import Found
from spinloom.errors import UserError
from spinloom.registry import Registry

__all__ = ["REGISTRY", "Data", "Dataset", "Found", "found", "get"]

WORDS = ("name", "title", "shape", "inputs", "classes", "train_count", "test_count", "ensure", "load", "digest")
REGISTRY = Registry(
    "network.dataset",
    __name__,
    words=tuple(f"DATASET.{word}" for word in WORDS),
    shared=("base", "files", "own"),
    named="DATASET.name",
)


def get(
    name: str,
    options: dict[str, Any] | None = None,
    found: Found | None = None,
    cache: str | Path = "~/.cache/spinloom",
) -> Dataset:
    """Return a data set.

    Parameters
    ----------
    name : str
    options : dict, optional
        ``network.dataset_options``.
    found : Found, optional
        What is in the files of a data set that has options; None: they are looked at.
    cache : str or Path
        Where such a look is kept.

    Raises
    ------
    UserError
        If there is no such data set, or an option is unknown or out of range.
    """
    module = REGISTRY.get(name)
    if hasattr(module, "Options"):
        own = module.Options.parse(options or {}, f"data set {name}", "network.dataset_options")
        return module.DATASET(own, found, Path(cache).expanduser())
    if options:
        raise UserError(f"network.dataset_options: found {', '.join(options)}, allowed: none for {name}")
    return module.DATASET


def found(section: dict[str, Any]) -> Found | None:
    """Return what the files hold that a network section names, None for a data set that has no options.

    Raises
    ------
    UserError
        If they are not there, or are no data set.
    """
    module = REGISTRY.get(section["dataset"])
    if not hasattr(module, "Options"):
        return None
    cache = (section.get("data") or {}).get("cache", "~/.cache/spinloom")
    return get(section["dataset"], section.get("dataset_options"), None, cache).found  # type: ignore[attr-defined]
