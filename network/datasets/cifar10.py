"""CIFAR-10: 50000 + 10000 photographs in ten classes, 32 x 32, RGB, 8 bit (Krizhevsky 2009, technical report).

Layouts: the official batches for Python and for C, each file known by its MD5 (of what is in the archives with the
published MD5 c58f30108f718f92721af3b95e74349a and c32a1d4ab5d03f1284b67883e8d87530), and folders of pictures. JPEG
loses a little: the manifest's title says which was used.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from network.datasets.files.cached import CachedDataset, Published, Splits
from network.datasets.files.image_folder import ImageFolder
from network.datasets.files.sources import Mirror
from network.datasets.files.unpickle import arrays_and_values
from spinloom.errors import UserError

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SHAPE = (32, 32, 3)
PLANES = 32 * 32 * 3  # bytes of an image: all red values, all green, all blue, each row by row


def python_batch(raw: bytes, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Return planes ``uint8[n, 3072]`` and labels ``uint8[n]`` of a batch for Python; `UserError` if it is none."""
    batch = arrays_and_values(raw, where)
    planes, labels = batch.get(b"data"), batch.get(b"labels")
    if not isinstance(planes, np.ndarray) or planes.ndim != 2 or planes.shape[1] != PLANES:
        found = list(planes.shape) if isinstance(planes, np.ndarray) else type(planes).__name__
        raise UserError(f"{where}: data: found {found}, allowed: [n, {PLANES}]")
    if not isinstance(labels, list) or not all(type(k) is int and 0 <= k < len(CLASSES) for k in labels):
        raise UserError(
            f"{where}: labels: found values of another kind, allowed: a list of whole numbers from 0 to "
            f"{len(CLASSES) - 1}"
        )
    return planes, np.array(labels, dtype=np.uint8)


def binary_batch(raw: bytes, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Return planes ``uint8[n, 3072]`` and labels ``uint8[n]`` of a batch for C: n times one label, then its planes.

    Raises
    ------
    UserError
        If the bytes are not a whole number of images.
    """
    if len(raw) % (1 + PLANES):
        raise UserError(f"{where}: length: found {len(raw)} bytes, allowed: a multiple of {1 + PLANES}")
    rows = np.frombuffer(raw, dtype=np.uint8).reshape(-1, 1 + PLANES)
    return rows[:, 1:], rows[:, 0]


def parser(batch: Callable, test_name: str) -> Callable[[dict[str, bytes], str], Splits]:
    """Return a function that makes arrays of all batches; those but ``test_name`` are for training, sorted by name."""

    def parse(files: dict[str, bytes], where: str) -> Splits:
        arrays = []
        for names in (sorted(set(files) - {test_name}), [test_name]):
            pairs = [batch(files.pop(name), f"{where}: {name}") for name in names]  # pop: 0.2 GB need not be kept twice
            planes, labels = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
            arrays += [planes.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1).reshape(len(planes), PLANES), labels]
        return Splits(*arrays)

    return parse


def python_layout(md5: dict[str, str]) -> Published:
    """Return the layout of the batches for Python whose files have these hashes."""
    return Published("python-batches", "md5", tuple(md5.items()), parser(python_batch, "test_batch"),
                     ("cifar-10-batches-py",), ("cifar-10-python.tar.gz",))  # fmt: skip


def binary_layout(md5: dict[str, str], *urls: str) -> Published:
    """Return the layout of the batches for C whose files have these hashes, and whose archive is at these addresses."""
    return Published("binary-batches", "md5", tuple(md5.items()), parser(binary_batch, "test_batch.bin"),
                     ("cifar-10-batches-bin",), ("cifar-10-binary.tar.gz",),
                     tuple(Mirror((url,)) for url in urls))  # fmt: skip


IMAGES = ImageFolder(CLASSES, SHAPE, ("cifar10_images.tar.gz",))

DATASET = CachedDataset(
    name="cifar10",
    title="CIFAR-10",
    shape=SHAPE,
    classes=len(CLASSES),
    train_count=50000,
    test_count=10000,
    layouts=(
        python_layout({
            "data_batch_1": "c99cafc152244af753f735de768cd75f",
            "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
            "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
            "data_batch_4": "634d18415352ddfa80567beed471001a",
            "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
            "test_batch": "40351d587109b95175f43aff81a1287e",
        }),
        binary_layout(
            {
                "data_batch_1.bin": "5dd7e06a14cb22eb9f671a540d1b7c25",
                "data_batch_2.bin": "5ea93a67294ea407fff1d09f752e9692",
                "data_batch_3.bin": "942cd6a4bcdd0dd3c604fbe906cb4421",
                "data_batch_4.bin": "ae636b3ba5c66a11e91e8cb52e771fcb",
                "data_batch_5.bin": "53f37980c15c3d472c316c40844f3f0d",
                "test_batch.bin": "803d5f7f4d78ea53de84dbe85f74fb6d",
            },
            "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",  # no pickles
        ),
        IMAGES,
    ),
)  # fmt: skip
