"""What every data set offers, whatever its files look like."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from spinloom.errors import UserError
from spinloom.files import canonical_json


class Data(NamedTuple):
    """A data set in memory. The pixels of an image are in the order row, column, channel (channel fastest).

    Images of a data set of the user's may be float32, with values of 0 to 1, where uint8 has 0 to 255.
    """

    train_images: np.ndarray  # uint8[n, rows * columns * channels]
    train_labels: np.ndarray  # uint8[n]
    test_images: np.ndarray  # uint8[m, rows * columns * channels]
    test_labels: np.ndarray  # uint8[m]
    classes: int
    shape: tuple[int, int, int]  # rows, columns, channels
    train_groups: np.ndarray | None = None  # int32[n], of samples that train or validate together; None: each alone


class Dataset(Protocol):
    """A data set by name. All members but the last three are known without any file."""

    @property
    def name(self) -> str:
        """Name in the config and of the folder in the cache."""
        ...

    @property
    def title(self) -> str:
        """Name for people; the manifest's title may say more (which version of the images was found)."""
        ...

    @property
    def shape(self) -> tuple[int, int, int]:
        """Rows, columns, channels of an image."""
        ...

    @property
    def inputs(self) -> int:
        """Values per image: rows * columns * channels."""
        ...

    @property
    def classes(self) -> int:
        """Number of classes; labels are 0 to classes - 1."""
        ...

    @property
    def train_count(self) -> int | None:
        """Number of training images; None if only the files tell."""
        ...

    @property
    def test_count(self) -> int | None:
        """Number of test images; None if only the files tell."""
        ...

    def ensure(self, cache: Path, folder: Path | None, say: Callable[[str], None]) -> dict:
        """Make sure that checked data are in ``cache`` and return the manifest (see `describe`).

        ``folder`` is where the user put the files (None: nowhere); ``say`` gets one line per event. Raises `UserError`
        if the data cannot be had or are not what they should be.
        """
        ...

    def load(self, cache: Path, folder: Path | None = None) -> Data:
        """Return the data from ``cache``; `UserError` if they are absent or damaged."""
        ...

    def digest(self, cache: Path, folder: Path | None = None) -> str:
        """Return a SHA-256 (hexadecimal) that names the data that `load` returns."""
        ...


def pixels(shape: tuple[int, ...]) -> int:
    """Return the number of values in an image of ``shape``."""
    return int(np.prod(shape))


def check(data: Data, where: str, counts: tuple[int | None, int | None] = (None, None)) -> Data:
    """Return ``data`` if images, labels, classes and ``counts`` (of training and test images) fit together.

    Raises
    ------
    UserError
        Otherwise, naming ``where``.
    """
    splits = (("train", data.train_images, data.train_labels), ("test", data.test_images, data.test_labels))
    for (split, images, labels), count in zip(splits, counts, strict=True):
        if images.dtype not in (np.uint8, np.float32) or images.ndim != 2 or images.shape[1] != pixels(data.shape):
            raise UserError(
                f"{where}: {split} images: found {images.dtype}{list(images.shape)}, allowed: uint8 or float32[n, "
                f"{pixels(data.shape)}]"
            )
        if images.dtype == np.float32 and images.size and not (images.min() >= 0 and images.max() <= 1):
            raise UserError(f"{where}: {split} images: found {images.min()} to {images.max()}, allowed: 0 to 1")
        if labels.dtype != np.uint8 or labels.shape != images.shape[:1] or labels.max(initial=0) >= data.classes:
            raise UserError(
                f"{where}: {split} labels: found {labels.dtype}{list(labels.shape)} up to {labels.max(initial=0)}, "
                f"allowed: uint8[{len(images)}] up to {data.classes - 1}"
            )
        if count is not None and len(images) != count:
            raise UserError(f"{where}: {split} images: found {len(images)}, allowed: {count}")
    return data


def content_hash(data: Data) -> str:
    """Return the SHA-256 (hexadecimal) of the arrays, their counts, shape and number of classes."""
    head = [data.classes, list(data.shape), len(data.train_labels), len(data.test_labels)]
    if data.train_images.dtype != np.uint8:
        head.append(str(data.train_images.dtype))
    if data.train_groups is not None:
        head.append("groups")
    name = hashlib.sha256(canonical_json(head).encode())
    for values in (*data[:4], *(() if data.train_groups is None else (data.train_groups,))):
        name.update(np.ascontiguousarray(values).data)
    return name.hexdigest()


def describe(dataset: Dataset, data: Data, digest: str, **more) -> dict:
    """Return the manifest: the same on every machine that has the same data, whoever delivered them.

    Keys: dataset, title, shape, classes, train_images, test_images (numbers), train_class_counts, test_class_counts,
    digest (see `Dataset.digest`) and ``more``.
    """

    def counts(labels: np.ndarray) -> list[int]:
        return np.bincount(labels, minlength=data.classes).tolist()

    return {
        "dataset": dataset.name,
        "title": dataset.title,
        "shape": list(data.shape),
        "classes": data.classes,
        "train_images": len(data.train_labels),
        "test_images": len(data.test_labels),
        "train_class_counts": counts(data.train_labels),
        "test_class_counts": counts(data.test_labels),
        "digest": digest,
        **more,
    }


class Made(ABC):
    """Base of a data set that needs no file of the user's: its facts are attributes of the class, `load` makes it."""

    name: str
    title: str
    shape: tuple[int, int, int]
    classes: int
    train_count: int
    test_count: int

    @property
    def inputs(self) -> int:
        """Values per image."""
        return pixels(self.shape)

    @abstractmethod
    def load(self, cache: Path, folder: Path | None = None) -> Data:
        """Return the data, the same each time; neither ``cache`` nor ``folder`` is needed."""

    def ensure(self, cache: Path, folder: Path | None, say: Callable[[str], None]) -> dict:
        """Return the manifest; there is nothing to fetch. `UserError` if the data are not what the class says."""
        say(f"{self.name}: needs no files")
        data = check(self.load(cache, folder), self.name, (self.train_count, self.test_count))
        return describe(self, data, content_hash(data))

    def digest(self, cache: Path, folder: Path | None = None) -> str:
        """Return the SHA-256 of the arrays."""
        return content_hash(self.load(cache, folder))
