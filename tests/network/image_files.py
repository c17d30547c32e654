"""Thirty pictures in every format in which CIFAR-10 comes, and CIFAR-10 with so few."""

import hashlib
import io
import struct
import tarfile
from dataclasses import replace

import numpy as np
from PIL import Image

from network.datasets import cifar10
from spinloom.streams import generator

TRAIN, TEST = [f"data_batch_{k}" for k in range(1, 6)], "test_batch"


def quiet(_):
    pass


def pictures():
    """Return 20 + 10 pictures, all ten classes in both, as uint8[n, 32, 32, 3] and uint8[n]."""
    random = generator(1, "pictures")
    images = {
        split: random.integers(0, 256, (n, 32, 32, 3), dtype=np.uint8) for split, n in (("train", 20), ("test", 10))
    }
    labels = {"train": np.tile(random.permutation(10), 2).astype(np.uint8), "test": np.arange(10, dtype=np.uint8)[::-1]}
    return images, labels


IMAGES, LABELS = pictures()


def text(raw: bytes) -> bytes:
    return b"T" + struct.pack("<i", len(raw)) + raw


def number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def python2_pickle(planes: np.ndarray, labels, kind: bytes = b"u1", shape=None) -> bytes:
    """Return a batch as Python 2 pickled it (protocol 2, byte strings, ``numpy.core``)."""
    rows, columns = shape or planes.shape
    dtype = (b"cnumpy\ndtype\n(" + text(kind) + b"K\x00K\x01tR(K\x03" + text(b"|") + b"NNN" + number(-1) + number(-1)
             + b"K\x00tb")  # fmt: skip
    array = (b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00t" + text(b"b") + b"tR(K\x01("
             + number(rows) + number(columns) + b"t" + dtype + b"\x89" + text(planes.tobytes()) + b"tb")  # fmt: skip
    return (b"\x80\x02}(" + text(b"batch_label") + text(b"training batch") + text(b"labels") + b"]("
            + b"".join(map(number, labels)) + b"e" + text(b"data") + array + b"u.")  # fmt: skip


def batches() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return planes and labels of the six batches."""
    planes = {split: images.transpose(0, 3, 1, 2).reshape(len(images), -1) for split, images in IMAGES.items()}
    found = {
        name: (planes["train"][4 * k : 4 * k + 4], LABELS["train"][4 * k : 4 * k + 4]) for k, name in enumerate(TRAIN)
    }
    return {**found, TEST: (planes["test"], LABELS["test"])}


def picture(values: np.ndarray, **how) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, **{"format": "PNG", **how})
    return stream.getvalue()


def files_of(kind: str) -> dict[str, bytes]:
    """Return path -> bytes of the pictures in one format."""
    if kind == "python":
        return {f"cifar-10-batches-py/{name}": python2_pickle(*pair) for name, pair in batches().items()}
    if kind == "binary":
        return {f"cifar-10-batches-bin/{name}.bin": np.c_[labels, planes].astype(np.uint8).tobytes()
                for name, (planes, labels) in batches().items()}  # fmt: skip
    return {f"{split}/{cifar10.CLASSES[LABELS[split][k]]}/{k:04d}.png": picture(IMAGES[split][k])
            for split in ("train", "test") for k in range(len(LABELS[split]))}  # fmt: skip


ARCHIVES = {"python": "cifar-10-python.tar.gz", "binary": "cifar-10-binary.tar.gz", "images": "cifar10_images.tar.gz"}


def pack(path, files: dict[str, bytes], *special: tarfile.TarInfo):
    with tarfile.open(path, "w:gz") as tar:
        for name, raw in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(raw)
            tar.addfile(info, io.BytesIO(raw))
        for info in special:
            tar.addfile(info, io.BytesIO(bytes(info.size)))


def put(folder, files: dict[str, bytes]):
    for name, raw in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(raw)


def small(python=None, binary=None, urls=(), **changes):
    """Return CIFAR-10 with 20 + 10 pictures and the hashes of the given files (else of those of `files_of`)."""

    def md5(files):
        return {name.split("/")[-1]: hashlib.md5(raw).hexdigest() for name, raw in files.items()}

    layouts = (cifar10.python_layout(md5(python or files_of("python"))),
               cifar10.binary_layout(md5(binary or files_of("binary")), *urls), cifar10.IMAGES)  # fmt: skip
    return replace(cifar10.DATASET, train_count=20, test_count=10, layouts=layouts, **changes)


def assert_pictures(data):
    for split, images, labels in (("train", data.train_images, data.train_labels), ("test", data[2], data[3])):
        np.testing.assert_array_equal(images.reshape(IMAGES[split].shape), IMAGES[split])
        np.testing.assert_array_equal(labels, LABELS[split])
    assert data.shape == (32, 32, 3) and data.classes == 10 and data.train_images.dtype == np.uint8
