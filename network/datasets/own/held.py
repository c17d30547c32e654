"""Which samples are held out of a training: of each class alike, or whole groups, such as all samples of a person."""

from __future__ import annotations

import numpy as np


def by_class(labels: np.ndarray, count: int, order: np.ndarray) -> np.ndarray:
    """Return which samples are held out, bool[n]: of each class its share of ``count``, rounded so that all add up.

    Parameters
    ----------
    labels : ndarray, uint8[n]
    count : int
        Samples to hold out, less than n.
    order : ndarray, int[n]
        All places in the order drawn; the first of each class are held out.
    """
    sizes = np.bincount(labels)
    wanted = sizes * (count / len(labels))
    quota = np.floor(wanted).astype(int)
    # what is left of the count goes to the largest remainders
    quota[np.argsort(quota - wanted, kind="stable")[: count - quota.sum()]] += 1
    drawn = labels[order]
    held = np.zeros(len(labels), bool)
    for number, most in enumerate(quota):
        held[order[drawn == number][:most]] = True
    return held


def by_group(labels: np.ndarray, groups: np.ndarray, share: float, order: np.ndarray) -> np.ndarray | None:
    """Return which samples are held out, bool[n]: whole groups, as near as they come to the share of each class.

    In the order drawn, a group is held out if that brings the number of samples of the classes nearer to the share.
    Each class keeps a sample outside. None: no group can be held out so.

    Parameters
    ----------
    labels : ndarray, uint8[n]
    groups : ndarray, int[n]
        Numbers of groups.
    share : float
    order : ndarray, int[groups]
        All numbers in the order drawn.
    """
    counts = np.zeros((len(order), int(labels.max()) + 1))
    np.add.at(counts, (groups, labels), 1)
    whole = counts.sum(axis=0)
    there, held, taken = whole > 0, np.zeros(len(whole)), []

    def off(chosen: np.ndarray) -> float:
        return float(((chosen - share * whole) ** 2).sum())

    able = [number for number in order if (whole - counts[number] > 0)[there].all()]
    for number in able:
        more = held + counts[number]
        if (whole - more > 0)[there].all() and off(more) < off(held):
            held, taken = more, [*taken, number]
    if not taken and able:  # all are larger than twice the share
        taken = [min(able, key=lambda number: off(counts[number]))]
    return np.isin(groups, taken) if taken else None
