"""SVHN, cropped digits: 73257 + 26032 house numbers, 32 x 32, RGB, 8 bit (Netzer et al., NIPS workshop 2011).

The files are MATLAB's: X is uint8[32, 32, 3, n], y is [n, 1] from 1 to 10, where 10 means the digit 0. The 531131
easier images of ``extra_32x32.mat`` are not used.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from network.datasets.files.cached import CachedDataset, Published, Splits
from network.datasets.files.sources import Mirror
from spinloom.errors import UserError

SHAPE = (32, 32, 3)
CLASSES = 10


def read_mat(raw: bytes, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Return images ``uint8[n, 3072]`` and labels ``uint8[n]`` (the digits) of one file.

    Raises
    ------
    UserError
        If it is no MATLAB file, or X and y are not as described above.
    """
    from scipy.io import loadmat  # imported here: no other data set has to pay for it

    try:
        stream: Any = io.BytesIO(raw)  # read like a file, but the stubs ask for a path
        found = loadmat(stream, variable_names=("X", "y"))
    except Exception as error:  # the reader lets out nearly everything
        raise UserError(f"{where}: not a readable MATLAB file ({error})") from None
    images, labels = (np.asarray(found.get(name)) for name in ("X", "y"))
    if images.dtype != np.uint8 or images.shape[:3] != SHAPE or images.ndim != 4:
        raise UserError(f"{where}: X: found {images.dtype}{list(images.shape)}, allowed: uint8{[*SHAPE, 'n']}")
    count = images.shape[3]
    if labels.dtype.kind not in "ui" or labels.shape != (count, 1):
        raise UserError(f"{where}: y: found {labels.dtype}{list(labels.shape)}, allowed: uint8[{count}, 1]")
    if count and not (labels.min() >= 1 and labels.max() <= CLASSES):
        raise UserError(f"{where}: y: found {labels.min()} to {labels.max()}, allowed: 1 to {CLASSES}")
    return images.transpose(3, 0, 1, 2).reshape(count, -1), (labels[:, 0] % CLASSES).astype(np.uint8)


def parse(files: dict[str, bytes], where: str) -> Splits:
    """Return the arrays of both files."""
    arrays = []
    for name in ("train_32x32.mat", "test_32x32.mat"):
        arrays += read_mat(files.pop(name), f"{where}: {name}")
    return Splits(*arrays)


def layout(sha256: dict[str, str], mirror: str) -> Published:
    """Return the layout of the two files with these hashes, which lie below the address ``mirror``."""
    offer = Mirror(tuple(f"{mirror}/{name}" for name in sha256))
    return Published("matlab-files", "sha256", tuple(sha256.items()), parse, offers=(offer,))


DATASET = CachedDataset(
    name="svhn",
    title="SVHN cropped house numbers",
    shape=SHAPE,
    classes=CLASSES,
    train_count=73257,
    test_count=26032,
    layouts=(
        layout(
            {
                "train_32x32.mat": "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8",
                "test_32x32.mat": "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b",
            },
            # the mirror has no https; the hashes make up for it
            "http://ufldl.stanford.edu/housenumbers",
        ),
    ),
)  # fmt: skip
