"""A study's results folder: what the workflow writes there itself, one run at a time, and nothing lost by a failed one.

The lock is the kernel's and ends with the process that holds it, however that ends: there is no stale one to remove.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from spinloom import files
from spinloom.errors import UserError
from spinloom.run_lock import JOBS, RUN, VARIABLE

LOCK, PREVIOUS = ".lock", "previous"
BEFORE = Path("config/before")  # what the last run was given, of the files that dry runs have changed since
COMPUTED = ("chunks", "config", "logs", PREVIOUS)  # no results, or named by their content
BUSY = (errno.EACCES, errno.EAGAIN)


class Folder:
    """The results folder of a study, taken by this process unless another one has it.

    Parameters
    ----------
    path : path
        ``results/STUDY``; made if it is not there.

    Raises
    ------
    UserError
        If it is a link or holds one to another folder, so that results would be written elsewhere.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self._texts: dict[Path, str] = {}
        for place in (self.path, *_folders(self.path)):
            if place.is_symlink():
                raise UserError(
                    f"{place}: found a link to {os.readlink(place)}, allowed: a folder (only {self.path.parent} itself "
                    "may be a link to another disk)"
                )
        self._lock, self._refused = -1, ""  # no file yet
        self._mine = self._take()

    def _take(self) -> bool:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            if self._lock < 0:
                self._lock = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
            fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, RUN)
        except OSError as error:
            self._refused = f"{self.path}: cannot be written to ({error.strerror})"
            if self._lock >= 0 and error.errno in BUSY:
                who = os.pread(self._lock, 200, 0).decode(errors="replace").strip() or "unknown"
                self._refused = (
                    f"{self.path}: found another run at work in it ({who}), allowed: one run at a time; wait for it"
                )
            return False
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
        return True

    def keep(self, name: str, text: str, at: str | Path = "") -> str:
        """Write ``text`` to ``AT/config/NAME.json`` unless it holds it already: a change of time is a change.

        What the last run was given is set aside until the next one starts, and comes back, with its time, if the text
        is that one again: Snakemake without its memory knows times alone.

        Returns the path. The jobs of another run in this folder read such files, so none is changed under them:
        `UserError` then.
        """
        path = self.path / at / "config" / f"{name}.json"
        self._texts[path] = text
        if not _holds(path, text):
            if not self._mine:
                raise UserError(self._refused)
            given = self._aside(path)
            if _holds(given, text):
                given.replace(path)
            else:
                if path.exists() and not given.exists():
                    given.parent.mkdir(parents=True, exist_ok=True)
                    path.replace(given)
                files.write_text(text, path)
        return str(path)

    def given(self, path: str | Path) -> str | None:
        """Return what the last run was given as a file of `keep`; None if it is the same now, or there was no run."""
        aside = self._aside(Path(path))
        return aside.read_text(encoding="utf-8") if aside.exists() else None

    def _aside(self, path: Path) -> Path:
        return self.path / BEFORE / path.relative_to(self.path)

    def keep_once(self, name: str, content: Callable[[], Any]) -> None:
        """Write ``content()`` as ``config/NAME.json`` unless the file is there: one whose name tells what it holds.

        Raises
        ------
        UserError
            If another run is at work in the folder, or nothing can be written.
        """
        path = self.path / "config" / f"{name}.json"
        if not path.exists():
            if not self._mine:
                raise UserError(self._refused)
            files.write_json(content(), path)

    def claim(self) -> None:
        """Take the folder, to change what lies in it.

        Raises
        ------
        UserError
            If another run, or a job that a killed one has left behind, is at work; or if nothing can be written.
        """
        self._mine = self._mine or self._take()
        if not self._mine:
            raise UserError(self._refused)
        try:
            fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, JOBS)
            fcntl.lockf(self._lock, fcntl.LOCK_UN, 1, JOBS)
        except OSError as error:
            if error.errno in BUSY:
                raise UserError(
                    f"{self.path}: found a job of an earlier run still at work in this folder, allowed: none; wait "
                    "until it ends"
                ) from None

    def start(self) -> None:
        """Make ready for a run: refuse a second one, clear what a killed one left half written, keep what was there.

        Raises
        ------
        UserError
            As of `claim`, or if another run has changed what is in ``config/``.
        """
        self.claim()
        for path, text in self._texts.items():
            if not _holds(path, text):
                raise UserError(
                    f"{path}: found that another run changed it, allowed: what this run wrote; start this run again"
                )
        os.environ[VARIABLE] = str((self.path / LOCK).resolve())
        shutil.rmtree(self.path / BEFORE, ignore_errors=True)
        for left in [*self.path.rglob(f"{files.TEMPORARY}*")]:
            shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)
        self._link_results()

    def _link_results(self) -> None:
        # hard links: no space, and a file that a job replaces is replaced here only
        kept = self.path / PREVIOUS
        if kept.exists() or not (self.path / "datapackage.json").exists():
            return
        unfinished = self.path / f"{files.TEMPORARY}{PREVIOUS}"
        try:
            for path in _results(self.path):
                target = unfinished / path.relative_to(self.path)
                target.parent.mkdir(parents=True, exist_ok=True)
                os.link(path, target)
            unfinished.rename(kept)
        except OSError as error:
            shutil.rmtree(unfinished, ignore_errors=True)
            if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK):  # a disk without links keeps nothing
                raise UserError(f"{self.path}: cannot be written to ({error.strerror})") from None

    def finish(self) -> None:
        """Let go of the earlier results if each has its successor."""
        kept = self.path / PREVIOUS
        if all((self.path / path.relative_to(kept)).exists() for path in _results(kept)):
            shutil.rmtree(kept, ignore_errors=True)

    def fail(self) -> None:
        """Say where the earlier results are."""
        kept = self.path / PREVIOUS
        if kept.exists():
            print(f"The results from before this run are in {kept} until a run succeeds.", file=sys.stderr)


def _holds(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text


def _folders(path: Path) -> Iterable[Path]:
    return (Path(place) / name for place, names, _ in os.walk(path) for name in names)


def _results(path: Path) -> list[Path]:
    """Return the files of a study that a run may replace."""
    found = []
    for place, names, own in os.walk(path):
        names[:] = [name for name in names if name not in COMPUTED]
        found += [Path(place) / name for name in own if not name.startswith(".") and name != "checkpoint.npz"]
    return found
