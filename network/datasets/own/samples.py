"""Samples as a file holds them -> a data set: checked, split, scaled, with what is doubtful about it."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np

from network.datasets.base import Data
from network.datasets.own import groups as grouped
from network.datasets.own import labels as labelled
from network.datasets.own.options import Own
from network.datasets.own.scaling import scaled, within
from spinloom.errors import UserError

MOST_VALUES = 100_000_000  # of all samples; as float32 a training holds them twice in memory
UNIT = 10  # times as wide are values of the same kind hardly, unless their unit is another
FEW = 10  # test samples: less may be of one class
CLIPPED = 0.01  # share of test values outside of the training values from which on it is doubtful


class Samples(NamedTuple):
    """Samples of one file.

    ``features`` are numbers [n, ...], ``labels`` anything [n]; ``columns`` name the features of a table. ``groups`` are
    texts [n], the same of samples that must not be on both sides of a split.
    """

    where: str
    features: np.ndarray
    labels: np.ndarray
    columns: list[str] | None = None
    groups: np.ndarray | None = None


class Prepared(NamedTuple):
    """A data set, the names of its classes, what is doubtful about it, and what was done to its values."""

    data: Data
    names: list[str]
    warnings: list[str]
    notes: list[str]


def size(count: int, each: int, where: str) -> None:
    """Raise a `UserError` if ``count`` samples of ``each`` values are more than memory is meant to hold."""
    if count * each > MOST_VALUES:
        raise UserError(
            f"{where}: found {count} samples of {each} values, allowed: at most {MOST_VALUES:,} values in all, because "
            "samples are kept in memory; take fewer samples or features"
        )


def _checked(samples: Samples) -> None:
    features, where = samples.features, samples.where
    if features.ndim and not len(features):
        raise UserError(f"{where}: found no sample, allowed: two or more of each class")
    if features.dtype.kind not in "biuf":
        raise UserError(f"{where}: found features of type {features.dtype}, allowed: numbers")
    if features.ndim < 2 or features.ndim > 4 or not features[0].size:
        raise UserError(
            f"{where}: found features of shape {list(features.shape)}, allowed: [samples, features], [samples, rows, "
            "columns], [samples, channels, time] or [samples, rows, columns, channels]"
        )
    if samples.labels.ndim != 1 or len(samples.labels) != len(features):
        raise UserError(
            f"{where}: found {len(features)} samples and labels of shape {list(samples.labels.shape)}, allowed: one "
            "label for each sample"
        )
    size(len(features), features[0].size, where)
    if features.dtype.kind == "f":
        finite = np.isfinite(features)
        if not finite.all():
            place = np.unravel_index(int(np.argmin(finite)), features.shape)
            at = samples.columns[place[1]] if samples.columns is not None else list(map(int, place[1:]))
            raise UserError(
                f"{where}: sample {place[0] + 1}, feature {at}: found {features[place]}, allowed: finite numbers; fill "
                f"or leave out what is missing ({int(finite.size - finite.sum())} values)"
            )


def _layout(features: np.ndarray, options: Own, where: str) -> tuple[int, int, int]:
    """Return rows, columns and channels of a sample."""
    shape = features.shape[1:]
    if options.picture is not None:
        if np.prod(options.picture) != np.prod(shape):
            raise UserError(
                f"{where}: picture: found {list(options.picture)}, allowed: sizes whose product is "
                f"{int(np.prod(shape))}, the number of values of a sample"
            )
        return options.picture
    if len(shape) == 3 and shape[0] in (1, 3) and shape[2] > 4:
        raise UserError(
            f"{where}: found pictures of shape {list(shape)}, where the channels seem to come first, allowed: rows, "
            "columns, channels (in numpy: transpose(0, 2, 3, 1)); if this is that order, state it with picture: "
            f"{list(shape)}"
        )
    return (1, *shape, 1) if len(shape) == 1 else (*shape, 1) if len(shape) == 2 else shape  # type: ignore[return-value]


def prepare(train: Samples, test: Samples | None, options: Own) -> Prepared:
    """Return the data set that samples make.

    Parameters
    ----------
    train : Samples
    test : Samples or None
        None: a share of ``train``.
    options : Own

    Raises
    ------
    UserError
        If labels are no classes, values are missing or infinite, the samples of the test are of another kind, or no
        feature says anything.
    """
    where = train.where
    for samples in (train, *((test,) if test is not None else ())):
        _checked(samples)
    if train.features.dtype == bool:  # has neither mean nor range
        train = train._replace(features=train.features.astype(np.float32))
    own, notes, both = labelled.values(train.labels, where), [], []
    groups = None if train.groups is None else grouped.numbers(train.groups)
    if test is None:
        names, numbers, _ = labelled.classes(own, None, where)
        if groups is None:
            tests = labelled.split(numbers, names, options.test_share, options.split_seed, where)
        else:
            tests = grouped.split(numbers, groups, options.test_share, options.split_seed, where)
            notes.append(grouped.told(groups, tests, options.test_share))
            groups = groups[~tests]
        features, given = train.features[~tests], train.features[tests]
        numbers, tested = numbers[~tests], numbers[tests]
    else:
        if test.features.shape[1:] != train.features.shape[1:]:
            raise UserError(
                f"{test.where}: found samples of shape {list(test.features.shape[1:])}, allowed: "
                f"{list(train.features.shape[1:])}, as in {where}"
            )
        if test.columns != train.columns:
            raise UserError(
                f"{test.where}: found other columns than in {where}, allowed: the same columns in the same order"
            )
        names, numbers, tested = labelled.classes(own, labelled.values(test.labels, test.where), where)
        features, given = train.features, test.features
        both = grouped.on_both_sides(train.groups, test.groups)
    assert tested is not None
    shape = _layout(features, options, where)
    if (features == features[0]).all():
        raise UserError(f"{where}: found training samples that are all alike, allowed: features that differ")
    if groups is not None:
        groups = grouped.validates(numbers, groups, where)
    warnings = labelled.doubts(numbers, tested, names) + both
    if test is not None:
        warnings += _unlike(features, given)
    warnings += _telling(features, numbers, train.columns)
    if twice := _twice(features, given):
        warnings.append(f"{twice} of {len(given)} test samples are training samples too")
    made, tested_values, done = _scaled(features, given, options, where, warnings)
    made, tested_values = made.reshape(len(made), -1), tested_values.reshape(len(given), -1)
    data = Data(made, numbers, tested_values, tested, len(names), shape, groups)
    return Prepared(data, names, warnings, [*notes, *done])


def _unlike(train: np.ndarray, test: np.ndarray) -> list[str]:
    """Return what is to be said of test samples of another unit than the training samples; all [n, ...]."""
    spreads = [float(np.std(values, dtype=np.float64)) for values in (train, test)]
    if len(test) < FEW or UNIT * min(spreads) > max(spreads):
        return []
    return [
        f"the test values spread {spreads[1] / spreads[0]:.2g} times as much as the training values; see whether "
        "both have the same unit"
    ]


def _telling(features: np.ndarray, numbers: np.ndarray, columns: list[str] | None) -> list[str]:
    """Return what is to be said of features [n, features] of one value in each class, which may be copies of labels."""
    if features.ndim > 2:
        return []
    groups = [features[numbers == number] for number in np.unique(numbers)]
    low, high = (np.array([pick(group, axis=0) for group in groups]) for pick in (np.min, np.max))
    places = np.flatnonzero((low == high).all(axis=0) & (low != low[0]).any(axis=0))
    return [
        f"feature {place + 1 if columns is None else columns[place]} tells the class: it has one value in each "
        "class; if it is a copy of the label, leave it out"
        for place in places[:1]
    ]


def _scaled(
    train: np.ndarray, test: np.ndarray, options: Own, where: str, warnings: list[str]
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return both as uint8, or as float32 in 0 to 1, and what was done; what is doubtful joins ``warnings``."""
    bytes_ = train.dtype == np.uint8 and test.dtype == np.uint8
    method = options.scaling or ("none" if bytes_ or options.limits else "min_max")
    if method == "none":
        if bytes_ and options.limits in (None, (0, 255)):
            return train, test, []
        limits = options.limits or (0.0, 1.0)
        return within(train, limits, where), within(test, limits, f"{where}: the test samples"), []
    flat = train.ndim == 2 and options.picture is None
    by = options.scale_by or ("feature" if flat else "all")
    if by == "channel" and options.picture is not None:
        train, test = (values.reshape(len(values), *options.picture) for values in (train, test))
    found = scaled(train, test, method, by, options.z_limit, where)
    notes = [f"scaled by {method.replace('_', '-')} of the training values, {by} by {by}" if by != "all" else
             f"scaled by {method.replace('_', '-')} of all training values"]  # fmt: skip
    if found.constant:
        notes.append(f"{found.constant} of {found.features} features do not change in training")
    if found.clipped:
        notes.append(
            f"{100 * found.clipped:.3g} % of the test values lie outside of the training values and are clipped"
        )
    if found.clipped > CLIPPED:
        warnings.append(notes.pop())
    return found.train, found.test, notes


def _twice(train: np.ndarray, test: np.ndarray) -> int:
    """Return how many samples of the test are, value by value, samples of the training."""

    def hashed(values: np.ndarray) -> list[bytes]:
        values = np.ascontiguousarray(values.reshape(len(values), -1))
        return [hashlib.blake2b(row.data, digest_size=16).digest() for row in values]

    if train.dtype != test.dtype:
        train, test = train.astype(np.float64), test.astype(np.float64)
    known = set(hashed(train))
    return sum(row in known for row in hashed(test))
