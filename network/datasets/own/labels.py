"""Labels of any kind -> classes 0, 1, 2, ...; whatever cannot be classes is refused."""

from __future__ import annotations

import numpy as np

from spinloom.errors import UserError
from spinloom.explain import LARGEST, short
from spinloom.streams import generator

MOST_CLASSES = 256  # a label is a byte
FEW = 10  # samples of a class
REGRESSION = "Spinloom trains classifiers, and regression is not among what it does"


def values(labels: np.ndarray, where: str) -> np.ndarray:
    """Return labels as whole numbers or as texts, [n].

    Raises
    ------
    UserError
        If one is missing, or they are numbers that count nothing.
    """
    if labels.dtype.kind in "biu":
        return labels.astype(np.int64)
    if labels.dtype.kind == "f":
        return _whole(labels, where)
    if labels.dtype.kind == "S":
        labels = np.char.decode(labels, "utf-8", "replace")
    texts = []
    for place, label in enumerate(labels.tolist()):
        if label is None or label != label or not str(label).strip():
            raise UserError(
                f"{where}: sample {place + 1}: found no label (None and NA are not labels), allowed: a class for each "
                "sample"
            )
        texts.append(str(label).strip())
    try:  # numbers that were read as texts
        return _whole(np.array(texts, dtype=np.float64), where)
    except ValueError:
        return np.array(texts)


def _whole(labels: np.ndarray, where: str) -> np.ndarray:
    if len(missing := np.flatnonzero(~np.isfinite(labels))):
        raise UserError(
            f"{where}: sample {missing[0] + 1}: found {labels[missing[0]]}, allowed: a class for each sample"
        )
    if len(large := np.flatnonzero(np.abs(labels) >= LARGEST)):
        raise UserError(
            f"{where}: sample {large[0] + 1}: found label {labels[large[0]]:g}, allowed: below 2^53, or words"
        )
    if len(broken := np.flatnonzero(labels != np.rint(labels))):
        raise UserError(
            f"{where}: labels: found {labels[broken[0]]:g}, so the labels look continuous, allowed: classes as whole "
            f"numbers or texts; {REGRESSION}"
        )
    return labels.astype(np.int64)


def classes(train: np.ndarray, test: np.ndarray | None, where: str) -> tuple[list[str], np.ndarray, np.ndarray | None]:
    """Return the names of the classes in order, and each sample's class, uint8[n]; labels are as of `values`.

    Raises
    ------
    UserError
        If there are less than two classes or too many, or the test samples have other classes.
    """
    if test is not None and (train.dtype.kind == "i") != (test.dtype.kind == "i"):
        train, test = train.astype(str), test.astype(str)  # some of the classes are named by numbers
    known, own = np.unique(train, return_inverse=True)
    if len(known) < 2:
        raise UserError(f"{where}: found one class, {short(str(known[0]))}, allowed: two or more")
    if train.dtype.kind == "i" and (len(known) > MOST_CLASSES or len(known) > max(len(train) / 2, 10)):
        raise UserError(
            f"{where}: labels: found {len(known)} different numbers in {len(train)} samples, so the labels look "
            f"continuous, allowed: up to {MOST_CLASSES} classes; {REGRESSION}"
        )
    if len(known) > MOST_CLASSES:
        raise UserError(f"{where}: found {len(known)} different labels, allowed: up to {MOST_CLASSES} classes")
    names = [str(name) for name in known]
    if test is None:
        return names, own.astype(np.uint8), None
    if strange := sorted(set(test.tolist()) - set(known.tolist())):
        raise UserError(
            f"{where}: test samples: found class {short(str(strange[0]))}, allowed: the classes of the training "
            f"samples: {short(', '.join(names))}"
        )
    return names, own.astype(np.uint8), np.searchsorted(known, test).astype(np.uint8)


def split(labels: np.ndarray, names: list[str], share: float, seed: int, where: str) -> np.ndarray:
    """Return which samples test, bool[n]: the share of each class, at least one and never all.

    What is drawn of a class depends on the seed, its name and its number of samples alone.

    Raises
    ------
    UserError
        If a class has one sample.
    """
    tests = np.zeros(len(labels), bool)
    for number, name in enumerate(names):
        places = np.flatnonzero(labels == number)
        if len(places) < 2:
            raise UserError(
                f"{where}: class {short(name)}: found 1 sample, allowed: 2 or more, because one trains and one tests"
            )
        count = min(max(round(share * len(places)), 1), len(places) - 1)
        order = generator(seed, "network", "test split", name).permutation(len(places))
        tests[places[order[:count]]] = True
    return tests


def doubts(train: np.ndarray, test: np.ndarray, names: list[str]) -> list[str]:
    """Return what is to be said of few training samples or no test samples of a class; both are uint8[n], classes."""
    found = []
    counts, tested = (np.bincount(labels, minlength=len(names)) for labels in (train, test))
    if few := [f"{short(name)} ({count})" for name, count in zip(names, counts) if count < FEW]:
        found.append(f"classes with less than {FEW} training samples: {short(', '.join(few))}")
    if untested := [short(name) for name, count in zip(names, tested) if not count]:
        found.append(f"classes without a test sample: {short(', '.join(untested))}")
    return found
