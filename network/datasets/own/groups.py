"""Groups of samples of which none is on both sides of a split: all of a person, of a wafer, of a day."""

from __future__ import annotations

import numpy as np

from network.datasets.own.held import by_group
from spinloom.errors import UserError
from spinloom.streams import generator

FAR = 0.5  # of the share that was asked for, from which on a note says so


def texts(values: np.ndarray, where: str) -> np.ndarray:
    """Return names of groups as texts, [n].

    Raises
    ------
    UserError
        If a sample has none.
    """
    found = []
    for place, value in enumerate(values.tolist()):
        if value is None or value != value or not str(value).strip():
            raise UserError(f"{where}: sample {place + 1}: found no group, allowed: one for each sample")
        whole = isinstance(value, float) and value.is_integer()
        found.append(str(int(value)) if whole else str(value).strip())
    return np.array(found)


def numbers(groups: np.ndarray) -> np.ndarray:
    """Return the groups, texts [n], as numbers from 0 in the order of their names, int32[n]."""
    return np.unique(groups, return_inverse=True)[1].astype(np.int32)


def split(labels: np.ndarray, groups: np.ndarray, share: float, seed: int, where: str) -> np.ndarray:
    """Return which samples test, bool[n]: whole groups (`held.by_group`), drawn by the seed.

    Raises
    ------
    UserError
        If there are less than three groups, or none can test because a class would have nobody to train with.
    """
    count = int(groups.max()) + 1
    if count < 3:
        raise UserError(
            f"{where}: group: found {count} groups, allowed: 3 or more groups, one each to train, to validate and to "
            "test"
        )
    order = generator(seed, "network", "test split", "groups").permutation(count)
    held = by_group(labels, groups, share, order)
    if held is None:
        raise UserError(
            f"{where}: group: found that each group has all samples of some class, so none can be the test samples, "
            "allowed: groups that share their classes"
        )
    return held


def told(groups: np.ndarray, tests: np.ndarray, share: float) -> str:
    """Return what is to be said of a split by groups; ``groups`` int32[n], ``tests`` bool[n]."""
    found, asked = float(tests.mean()), f", {100 * share:.3g} % were asked for"
    each = f"{len(np.unique(groups[tests]))} of {len(np.unique(groups))} groups test"
    return f"{each}, {100 * found:.3g} % of the samples{asked if abs(found - share) > FAR * share else ''}"


def on_both_sides(train: np.ndarray | None, test: np.ndarray | None) -> list[str]:
    """Return what is to be said of groups, texts [n], that train and test."""
    if train is None or test is None or not (both := sorted(set(train.tolist()) & set(test.tolist()))):
        return []
    return [f"groups that train and test: {len(both)} ({both[0]}{', ...' if len(both) > 1 else ''})"]


def validates(labels: np.ndarray, groups: np.ndarray, where: str) -> np.ndarray:
    """Return the groups of the training samples, numbered from 0, int32[n], if one of them can validate.

    Raises
    ------
    UserError
        If none can, because a class would have nobody to train with.
    """
    own = np.unique(groups, return_inverse=True)[1].astype(np.int32)
    if by_group(labels, own, 0.1, np.arange(own.max() + 1)) is None:
        raise UserError(
            f"{where}: group: found that each group of the training samples has all of their samples of some class, so "
            "none can validate, allowed: classes that occur in three groups or more"
        )
    return own
