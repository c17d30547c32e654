"""A data set of the user's: its files are read once, and their samples are kept in the cache by hash.

Planning a study asks for shape, classes and hash; jobs get them with their section (`options.Found`) and read the
cache. A look is kept by name, size and time of the files, so that planning again reads nothing. Arrays are kept by the
hash of the files and all that decides what becomes of them.
"""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from network.datasets import base
from network.datasets.base import Data
from network.datasets.own.options import Found, Own
from network.datasets.own.samples import Prepared, Samples, prepare
from spinloom.errors import UserError
from spinloom.files import atomic, canonical_json, read_json, sha256_text, write_json

FORMAT = 3  # goes up when the same files become other arrays
MOST_B = 4_000_000_000  # of a file
MOST_LISTED = 10  # files by name; more are a folder
ARRAYS = Data._fields[:4]
GROUPS = "train_groups"  # empty: there are none


class Files:
    """The files of a data set, each read once and hashed as it was read."""

    def __init__(self):
        self.sha256: dict[Path, str] = {}

    def read(self, path: Path) -> bytes:
        """Return the content of a file.

        Raises
        ------
        UserError
            If it is not there, too large or cannot be read.
        """
        try:
            if (size_B := path.stat().st_size) > MOST_B:
                raise UserError(
                    f"{path}: found {size_B / 1e9:.1f} GB, allowed: at most {MOST_B / 1e9:g} GB, because samples are "
                    "kept in memory"
                )
            raw = path.read_bytes()
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror})") from None
        self.sha256[path] = hashlib.sha256(raw).hexdigest()
        return raw


class OwnData(ABC):
    """Base of a data set of the user's; a subclass says how its files are read.

    Parameters
    ----------
    options : Own
    found : Found, optional
        What the files hold, as planning has found; None: they are looked at when it is asked for.
    cache : Path
        Where looks and arrays are kept if nothing is said with a call.
    """

    Options: ClassVar[type[Own]]
    name: str

    def __init__(self, options: Own, found: Found | None, cache: Path):
        self.options, self._found, self._cache = options, found, cache

    @abstractmethod
    def read(self, files: Files) -> tuple[Samples, Samples | None]:
        """Return the training samples and, if they have a file of their own, those of the test."""

    def paths(self) -> list[Path]:
        """Return all files that `read` reads."""
        return self.options.paths()

    @property
    def found(self) -> Found:
        """What the files hold."""
        if self._found is None:
            self._found = self.look(self._cache)
        return self._found

    @property
    def title(self) -> str:
        """Files and hash."""
        return self.found.title

    @property
    def shape(self) -> tuple[int, int, int]:
        """Rows, columns, channels."""
        return self.found.shape

    @property
    def inputs(self) -> int:
        """Values per sample."""
        return base.pixels(self.shape)

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.found.class_names)

    @property
    def train_count(self) -> int:
        """Number of training samples."""
        return self.found.train_count

    @property
    def test_count(self) -> int:
        """Number of test samples."""
        return self.found.test_count

    def look(self, cache: Path) -> Found:
        """Return what the files hold; they are read unless they are those of an earlier look.

        Raises
        ------
        UserError
            If a file is not there or is no data set.
        """
        paths = self.paths()
        try:
            seen = [(str(path.resolve()), (now := path.stat()).st_size, now.st_mtime_ns) for path in paths]
        except OSError as error:
            raise UserError(
                f"network.dataset_options: found {error.filename}, which cannot be read ({error.strerror}), allowed: "
                "an existing file; a relative path starts at the folder of the config file that has it"
            ) from None
        known = sha256_text(canonical_json([FORMAT, self.name, self.options.dump(), seen]))[:32]
        note = cache / self.name / f"look-{known}.json"
        if note.exists():
            try:
                return Found.parse(read_json(note), str(note))
            except UserError:  # of another version, or damaged
                pass
        found = self._read(cache)
        write_json(found.dump(), note)
        return found

    def _read(self, cache: Path) -> Found:
        """Read the files, keep their arrays, and return what they hold."""
        files = Files()
        made = prepare(*self.read(files), self.options)
        found = self._told(files.sha256, made)
        base.check(made.data, found.title)
        arrays = dict(zip(ARRAYS, made.data[:4], strict=True))
        arrays[GROUPS] = made.data.train_groups if made.data.train_groups is not None else np.zeros(0, np.int32)
        with atomic(self._entry(cache, found)) as temporary:
            digest = np.array(base.content_hash(made.data))
            np.savez(
                temporary, allow_pickle=False, digest=digest, found=np.array(canonical_json(found.dump())), **arrays
            )
        return found

    def _told(self, sha256: dict[Path, str], made: Prepared) -> Found:
        top = os.path.commonpath([path.absolute().parent for path in sha256])
        files = {os.path.relpath(path, top): value for path, value in sorted(sha256.items())}
        given = self.options.named()
        if len(given) > 1:  # the same files trade places: other samples
            whole = sha256_text(
                canonical_json([{key: os.path.relpath(path, top) for key, path in given.items()}, files])
            )
        else:
            whole = next(iter(files.values())) if len(files) == 1 else sha256_text(canonical_json(files))
        samples = [given[key] for key in ("file", "test_file") if key in given]
        named = " and ".join(os.path.relpath(path, top) if path in sha256 else path.name for path in samples)
        if len(files) > MOST_LISTED:
            files = {named: whole}
        data = made.data
        return Found(
            title=f"{named} (SHA-256 {whole[:12]})", sha256=whole, files=files,
            shape=data.shape, class_names=tuple(made.names), train_count=len(data.train_labels),
            test_count=len(data.test_labels), value_bits=8 if data.train_images.dtype == np.uint8 else 32,
            warnings=tuple(made.warnings), notes=tuple(made.notes),
        )  # fmt: skip

    def _entry(self, cache: Path, found: Found) -> Path:
        known = sha256_text(canonical_json([FORMAT, self.options.told(), found.sha256]))[:32]
        return cache / self.name / f"{known}.npz"

    def ensure(self, cache: Path, folder: Path | None, say: Callable[[str], None]) -> dict:
        """Make sure that the arrays are in ``cache`` and describe them; ``folder`` has no part in it.

        Raises
        ------
        UserError
            If the files are gone, or no longer those that the study was planned with.
        """
        found = self.found
        try:
            data, digest = self._stored(cache)
            say(f"{self.name}: {found.title} is in the cache")
        except UserError:
            say(f"{self.name}: reading {found.title}")
            if (now := self._read(cache)).sha256 != found.sha256:
                raise UserError(
                    f"{found.title}: found that it changed after the study was planned (SHA-256 {now.sha256[:12]}), "
                    "allowed: unchanged files; run the study again to train with the new ones"
                ) from None
            data, digest = self._stored(cache)
        for line in (*found.notes, *(f"warning: {line}" for line in found.warnings)):
            say(f"{self.name}: {line}")
        files = [{"name": name, "sha256": value} for name, value in found.files.items()]
        told = {"class_names": list(found.class_names), "warnings": list(found.warnings), "notes": list(found.notes)}
        return base.describe(self, data, digest, sha256=found.sha256, files=files, options=self.options.told(), **told)

    def _arrays(self, cache: Path, *names: str) -> list[Any]:
        path = self._entry(cache, self.found)
        if not path.is_file():
            raise UserError(f"{path}: not in the cache; run 'python -m network data' first")
        try:
            with np.load(path, allow_pickle=False) as stored:
                return [stored[name] for name in names]
        except Exception as error:  # a damaged zip of damaged arrays can fail in any way
            raise UserError(f"{path}: damaged ({error}); delete it") from None

    def _stored(self, cache: Path) -> tuple[Data, str]:
        a, b, c, d, groups, digest = self._arrays(cache, *ARRAYS, GROUPS, "digest")
        where = str(self._entry(cache, self.found))
        data = Data(a, b, c, d, self.classes, self.shape, groups if len(groups) else None)
        data = base.check(data, where, (self.train_count, self.test_count))
        if (now := base.content_hash(data)) != str(digest):
            raise UserError(f"{where}: SHA-256 of the arrays: found {now}, allowed: {digest}; delete it")
        return data, str(digest)

    def load(self, cache: Path, folder: Path | None = None) -> Data:
        """Return the arrays from ``cache``; `UserError` if they are absent or damaged."""
        return self._stored(cache)[0]

    def digest(self, cache: Path, folder: Path | None = None) -> str:
        """Return the SHA-256 (hexadecimal) of the arrays that `load` returns."""
        return str(self._arrays(cache, "digest")[0])
