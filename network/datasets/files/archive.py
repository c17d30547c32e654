"""Reading files and tar archives that may be damaged or hostile: in memory, bounded, refusing what could do harm."""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePath, PurePosixPath

from spinloom.errors import UserError

CHUNK = 1 << 20
# what tarfile and gzip let out when bytes make no sense (RecursionError: a chain of long-name headers)
DAMAGE = (tarfile.TarError, OSError, EOFError, zlib.error, ValueError, OverflowError, RecursionError)


class _Bounded(io.RawIOBase):
    """A stream that yields at most ``limit`` bytes in all, so that no header can ask for more memory than that."""

    def __init__(self, stream: io.BufferedIOBase, limit: int, where: str):
        self.stream, self.limit, self.where, self.total = stream, limit, where, 0

    def read(self, size: int = -1) -> bytes:
        block = self.stream.read(size)
        self.total += len(block)
        if self.total > self.limit:
            raise UserError(
                f"{self.where}: length: found more than {self.limit} bytes unpacked, allowed: at most {self.limit}"
            )
        return block


def members(stream: io.BufferedIOBase, where: str, limit: int) -> Iterator[tuple[PurePosixPath, bytes]]:
    """Yield the path and the bytes of every file in an (uncompressed) tar stream. Nothing is written anywhere.

    Parameters
    ----------
    stream : io.BufferedIOBase
        The tar; it is read once, from where it is.
    where : str
        Its name for error messages.
    limit : int
        Largest number of bytes of the whole stream.

    Raises
    ------
    UserError
        If the archive is damaged or larger than ``limit``, or holds a link, a device, a sparse file, an absolute path
        or a path with "..".
    """
    bounded = _Bounded(stream, limit, where)
    try:
        with tarfile.open(fileobj=bounded, mode="r|") as archive:
            for member in archive:
                path = PurePosixPath(member.name)
                if path.is_absolute() or ".." in path.parts:
                    raise UserError(
                        f"{where}: member {member.name!r}: found a path that leads out of the archive, allowed: paths "
                        "inside it"
                    )
                if member.isdir():
                    continue
                if not member.isreg() or member.issparse():
                    raise UserError(
                        f"{where}: member {member.name!r}: found a link or a special file, allowed: plain files and "
                        "folders"
                    )
                with archive.extractfile(member) or io.BytesIO() as content:
                    yield path, content.read()
        while bounded.read(CHUNK):  # to the end, where gzip keeps its checksum
            pass
    except DAMAGE as error:
        raise UserError(f"{where}: not a readable archive ({error})") from None


def unpacked(raw: bytes, path: PurePath, limit: int) -> bytes:
    """Return the bytes of the file at ``path``, decompressed if its name ends in ``.gz``.

    Raises
    ------
    UserError
        If they are no whole gzip file, or more than ``limit``.
    """
    if path.suffix != ".gz":
        return raw
    try:
        found = gzip.GzipFile(fileobj=io.BytesIO(raw)).read(limit + 1)
    except DAMAGE as error:
        raise UserError(f"{path}: not a whole gzip file ({error})") from None
    if len(found) > limit:
        raise UserError(f"{path}: length: found more than {limit} bytes, allowed: at most {limit}")
    return found


def members_of(path: Path, limit: int) -> Iterator[tuple[PurePosixPath, bytes]]:
    """Yield the files of a ``.tar.gz`` on disk; errors as of `members`, and if it cannot be read."""
    try:
        with gzip.open(path) as stream:
            yield from members(stream, str(path), limit)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
