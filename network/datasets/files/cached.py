"""Data sets that come as files: the user's (or a mirror's) become arrays once, and the arrays are kept.

A data set may come in several layouts. A layout with published hashes is always the same data; any other is named by
the hash of the files that were found. The cache holds one ``LAYOUT-HASH.npz`` for each, with a hash over the arrays.
"""

from __future__ import annotations

import hashlib
import stat
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import NamedTuple, Protocol

import numpy as np

from network.datasets import base
from network.datasets.base import Data
from network.datasets.files import archive
from network.datasets.files.sources import Mirror, NpmPackage
from spinloom.errors import UserError
from spinloom.files import atomic, canonical_json, sha256_file, sha256_text

FORMAT = 1  # goes up when the same files become other arrays: old entries of caches are then left alone
LIMIT = 1 << 29  # bytes; CIFAR-10 as PNG in a tar needs about 0.25e9, SVHN 0.25e9
ARRAYS = Data._fields[:4]


class Splits(NamedTuple):
    """What a layout decodes: the arrays of `Data` and what to add to the title (such as "JPEG")."""

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    variant: str = ""


class Layout(Protocol):
    """One way in which the files of a data set come."""

    @property
    def name(self) -> str:
        """Beginning of the name of the cache entry."""
        ...

    @property
    def wants(self) -> str:
        """The files, for people."""
        ...

    @property
    def folders(self) -> tuple[str, ...]:
        """Folders in which the files usually lie."""
        ...

    @property
    def archives(self) -> tuple[str, ...]:
        """Archives (.tar.gz) in which the files usually come."""
        ...

    @property
    def patterns(self) -> tuple[str, ...]:
        """Globs that find the files in a folder."""
        ...

    @property
    def offers(self) -> tuple[Mirror | NpmPackage, ...]:
        """Where the files may be had, in order of preference."""
        ...

    @property
    def hashes(self) -> tuple[tuple[str, str], ...]:
        """Key and hash of each published file; empty if no hashes are published."""
        ...

    @property
    def algorithm(self) -> str:
        """Algorithm of the published hashes."""
        ...

    def key(self, path: PurePath) -> str | None:
        """Return the layout's name for the file at ``path``, None if it is none of its files."""
        ...

    def decode(self, files: dict[str, bytes], where: str) -> Splits:
        """Return the arrays; `UserError` if the files make no sense."""
        ...


@dataclass(frozen=True)
class Published:
    """A layout of a few files, each known by its published hash; ``parse`` makes arrays of them."""

    name: str
    algorithm: str
    hashes: tuple[tuple[str, str], ...]
    parse: Callable[[dict[str, bytes], str], Splits]
    folders: tuple[str, ...] = ()
    archives: tuple[str, ...] = ()
    offers: tuple[Mirror | NpmPackage, ...] = ()

    @property
    def wants(self) -> str:
        """The names of the files, each of which may also be packed, and of the archives."""
        return ", ".join([*(f"{name}[.gz]" for name in dict(self.hashes)), *self.archives])

    @property
    def patterns(self) -> tuple[str, ...]:
        """The names of the files; of a packed and a raw one the raw one counts, which comes last."""
        return tuple(f"{name}{suffix}" for suffix in (".gz", "") for name in dict(self.hashes))

    def key(self, path: PurePath) -> str | None:
        """Return the file's name, without ``.gz``, if it is one of the published ones."""
        name = path.name.removesuffix(".gz")
        return name if name in dict(self.hashes) else None

    def decode(self, files: dict[str, bytes], where: str) -> Splits:
        """Check the hashes, then parse.

        Raises
        ------
        UserError
            If a file is missing or its hash is wrong.
        """
        if absent := [name for name, _ in self.hashes if name not in files]:
            raise UserError(f"{where}: found no {', '.join(absent)}, allowed: all files of the data set")
        for name, allowed in self.hashes:
            found = hashlib.new(self.algorithm, files[name], usedforsecurity=False).hexdigest()
            if found != allowed:
                raise UserError(f"{where}: {name}: {self.algorithm.upper()}: found {found}, allowed: {allowed}")
        return self.parse(files, where)


class Source(NamedTuple):
    """Files of a layout that the user has: one archive or single files by key."""

    layout: Layout
    place: Path  # the archive or the folder
    files: dict[str, Path]  # empty for an archive

    def identity(self) -> str:
        """Return a hash that names the content."""
        if self.layout.hashes:
            return sha256_text(canonical_json(dict(self.layout.hashes)))
        if not self.files:
            return sha256_file(self.place)
        # 60000 small files: a whole read is twice as fast as a hash in blocks
        found = {key: hashlib.sha256(path.read_bytes()).hexdigest() for key, path in self.files.items()}
        return sha256_text(canonical_json(found))

    def read(self, limit: int) -> dict[str, bytes]:
        """Return the bytes of every file of the layout by key; none may be twice in an archive.

        Raises
        ------
        UserError
            If an archive or a packed file holds more than ``limit`` bytes, or is damaged.
        """
        if self.files:
            return {key: archive.unpacked(path.read_bytes(), path, limit) for key, path in self.files.items()}
        files = {}
        for path, raw in archive.members_of(self.place, limit):
            key = self.layout.key(path)
            if key in files:
                raise UserError(
                    f"{self.place}: member {str(path)!r}: found {key} a second time, allowed: each file once"
                )
            if key is not None:
                files[key] = archive.unpacked(raw, path, limit)
        return files


@dataclass(frozen=True)
class CachedDataset:
    """A data set in one of several layouts, in order of preference."""

    name: str
    title: str
    shape: tuple[int, int, int]
    classes: int
    train_count: int | None
    test_count: int | None
    layouts: tuple[Layout, ...]
    limit: int = LIMIT  # bytes of all files, unpacked

    @property
    def inputs(self) -> int:
        """Values per image."""
        return base.pixels(self.shape)

    def _entry(self, cache: Path, layout: Layout, identity: str) -> Path:
        name = sha256_text(canonical_json([FORMAT, list(self.shape), self.classes, identity]))[:32]
        return cache / self.name / f"{layout.name}-{name}.npz"

    def _cached(self, cache: Path, folder: Path | None) -> tuple[Layout, Path]:
        """Return the layout and the cache entry that belong to ``folder``; the entry need not be there.

        Without a folder the published data are meant. They also are if nothing else could be in the folder; then it
        may be gone.
        """
        published = [layout for layout in self.layouts if layout.hashes]
        if folder is not None and len(published) < len(self.layouts):
            source = self._locate(folder)
            return source.layout, self._entry(cache, source.layout, source.identity())
        entries = [(layout, self._entry(cache, layout, Source(layout, cache, {}).identity())) for layout in published]
        return next((pair for pair in entries if pair[1].is_file()), entries[0])

    def _locate(self, folder: Path) -> Source:
        """Return what lies at ``folder``: an archive, or a folder with files of a layout or with its archive."""
        if folder.is_file():
            return Source(self._layout_of(folder), folder, {})
        if not folder.is_dir():
            raise UserError(
                f"network.data.folder: found {folder}, which does not exist, allowed: a folder or a .tar.gz archive"
            )
        for layout in self.layouts:
            for place in (folder, *(folder / name for name in layout.folders)):
                files, total = {}, 0
                for path in (path for pattern in layout.patterns for path in place.glob(pattern)):
                    if (key := layout.key(path)) is not None and stat.S_ISREG((found := path.stat()).st_mode):
                        files[key], total = path, total + found.st_size
                if total > self.limit:
                    raise UserError(f"{place}: length: found {total} bytes, allowed: at most {self.limit}")
                if files:
                    return Source(layout, place, files)
            for name in layout.archives:
                if (folder / name).is_file():
                    return Source(self._layout_of(folder / name), folder / name, {})
        raise UserError(f"network.data.folder: {folder}: found no files of {self.name}, allowed: {self._wants()}")

    def _layout_of(self, path: Path) -> Layout:
        for member, _ in archive.members_of(path, self.limit):
            for layout in self.layouts:
                if layout.key(member) is not None:
                    return layout
        raise UserError(f"{path}: found no files of {self.name}, allowed: {self._wants()}")

    def _wants(self) -> str:
        return "; or ".join(layout.wants for layout in self.layouts)

    def ensure(self, cache: Path, folder: Path | None, say: Callable[[str], None]) -> dict:
        """Make sure that the decoded arrays are in ``cache`` and describe them.

        Parameters
        ----------
        cache : Path
            Folder of decoded data.
        folder : Path or None
            Folder with the files in one of the layouts, or a ``.tar.gz`` of them; None: the published files, from the
            cache or a mirror.
        say : callable
            Gets one line per event.

        Returns
        -------
        dict
            See `base.describe`; further "layout" and "files" (published names and hashes, if there are).

        Raises
        ------
        UserError
            If the files cannot be had, are damaged or hostile, or are not the published ones.
        """
        try:
            layout, entry = self._cached(cache, folder)
            data, variant, digest = self._read(entry)
            say(f"{self.name}: the cache has the decoded {layout.name}")
        except UserError:
            layout, entry = self._from_network(cache, say) if folder is None else self._from_folder(cache, folder, say)
            data, variant, digest = self._read(entry)
        files = [{"name": name, layout.algorithm: value} for name, value in layout.hashes]
        manifest = base.describe(self, data, digest, layout=layout.name, files=files)
        return {**manifest, "title": f"{self.title} ({variant})"} if variant else manifest

    def _from_folder(self, cache: Path, folder: Path, say: Callable[[str], None]) -> tuple[Layout, Path]:
        source = self._locate(folder)
        entry = self._entry(cache, source.layout, source.identity())
        say(f"{self.name}: decoding the {source.layout.name} in {source.place}, once")
        self._store(source.layout.decode(source.read(self.limit), str(source.place)), entry, str(source.place))
        return source.layout, entry

    def _from_network(self, cache: Path, say: Callable[[str], None]) -> tuple[Layout, Path]:
        try:  # the files themselves may lie in the cache, as earlier versions kept those of MNIST
            return self._from_folder(cache, cache / self.name, say)
        except UserError:
            pass
        for offer in (offer for layout in self.layouts for offer in layout.offers):
            with tempfile.TemporaryDirectory() as folder:
                try:
                    return self._from_folder(cache, offer.fetch(Path(folder), self.limit, say), say)
                except UserError as reason:  # bad files at one place are no reason to give up
                    say(f"{self.name}: {offer} brought no usable files: {reason}")
        raise UserError(
            f"network.dataset: {self.name} is not in the cache {cache} and could not be downloaded; put its files into "
            f"a folder and set network.data.folder to that folder: {self._wants()}"
        )

    def _store(self, splits: Splits, entry: Path, where: str) -> None:
        data = Data(*splits[:4], self.classes, self.shape)
        base.check(data, where, (self.train_count, self.test_count))
        arrays = dict(zip(ARRAYS, data[:4], strict=True))
        arrays |= {"variant": np.array(splits.variant), "digest": np.array(base.content_hash(data))}
        with atomic(entry) as temporary:
            np.savez(temporary, allow_pickle=False, **arrays)

    def _stored(self, entry: Path, *names: str) -> list[np.ndarray]:
        """Return arrays of a cache entry."""
        if not entry.is_file():
            raise UserError(f"{entry}: not in the cache; run 'python -m network data' first")
        try:
            with np.load(entry, allow_pickle=False) as stored:
                return [stored[name] for name in names]
        except Exception as error:  # a damaged zip of damaged arrays can fail in any way
            raise UserError(f"{entry}: damaged ({error}); run 'python -m network data' again") from None

    def _read(self, entry: Path) -> tuple[Data, str, str]:
        """Return the arrays, the variant and the digest in a cache entry."""
        a, b, c, d, variant, digest = self._stored(entry, *ARRAYS, "variant", "digest")
        data = base.check(Data(a, b, c, d, self.classes, self.shape), str(entry), (self.train_count, self.test_count))
        if (found := base.content_hash(data)) != str(digest):
            raise UserError(f"{entry}: SHA-256 of the arrays: found {found}, allowed: {digest}")
        return data, str(variant), str(digest)

    def load(self, cache: Path, folder: Path | None = None) -> Data:
        """Read the decoded arrays from ``cache``.

        Raises
        ------
        UserError
            If they are absent or damaged, or ``folder`` holds no files of the data set.
        """
        return self._read(self._cached(cache, folder)[1])[0]

    def digest(self, cache: Path, folder: Path | None = None) -> str:
        """Return the SHA-256 (hexadecimal) of the arrays that `load` returns; errors as of `load`."""
        return str(self._stored(self._cached(cache, folder)[1], "digest")[0])
