"""mumax3 as a process: where it is, on which GPU it runs, how it is stopped, and what its last words mean."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from spinloom.errors import UserError

EXECUTABLE, LIMIT = "SPINLOOM_MUMAX3", "SPINLOOM_MUMAX3_LIMIT_S"  # environment variables
OLDEST = (3, 11)
INSTALL = "https://mumax.github.io/download.html; it needs an NVIDIA GPU and its driver"
POLL_S, MERCY_S, PROBE_S = 0.2, 5.0, 60.0

# what a line on stderr means; the first that fits any line is told
MEANINGS = (
    (r"error while loading shared libraries: (?P<it>[^\s:]+)", "cannot load {it}: no CUDA driver or library"),
    (
        r"CUDA_ERROR_OUT_OF_MEMORY|CURAND_STATUS_ALLOCATION_FAILED|CUFFT_ALLOC_FAILED",
        "out of GPU memory; use fewer cells",
    ),
    (r"(?P<it>CUDA_ERROR_NO_DEVICE|CUDA_ERROR_INVALID_DEVICE|no GPUs available)", "no usable NVIDIA GPU ({it})"),
    (r"^panic: NaN", "a quantity became NaN; reduce numerics.dt_s or numerics.tolerance"),
    (r"(?P<it>[Tt]ime step too small.*)", "{it}"),
    (r"(?P<it>script line .*)", "{it}"),
    (r"^panic: (?P<it>.*)", "panic: {it}"),
    (r"(?P<it>(CUDA_ERROR|CURAND|CUFFT)_\w+)", "{it}"),
    (r"\.go:\d+ ?(?P<it>.+)", "{it}"),
)


def executable() -> str:
    """Return mumax3's path.

    Raises
    ------
    UserError
        If there is none.
    """
    name = os.environ.get(EXECUTABLE) or "mumax3"
    path = shutil.which(name)
    if path is None:
        raise UserError(f"found no executable '{name}' on PATH (or {EXECUTABLE}); install it from {INSTALL}")
    return path


def probe() -> tuple[bool, str]:
    """Return whether mumax3 can run here, and what was found."""
    try:
        path = executable()
        with tempfile.TemporaryDirectory() as folder:  # without holding a GPU: that could take as long as a run
            code, out, err = call([path, "-test"], Path(folder), gpus()[0], PROBE_S)
    except UserError as error:
        return False, str(error)
    if code:
        return False, f"{path} -test: {reason(code, err)}; {INSTALL}"
    version = re.search(r"mumax (\d+)\.(\d+)", out)
    if version is None or tuple(map(int, version.groups())) < OLDEST:
        found = version.group(0) if version else "no version"
        return False, f"{path} -test: found {found}, needed mumax 3.11 or newer; {INSTALL}"
    told = [line.strip("/ ") for line in out.splitlines() if "mumax 3" in line or "GPU info" in line]
    return True, f"{path}: {', '.join(told)}"


def program_version() -> str:
    """Return what of the outside decides a result: mumax3's version.

    Raises
    ------
    UserError
        If it cannot run here.
    """
    usable, text = probe()
    if not usable:
        raise UserError(text)
    (version,) = re.findall(r"mumax \d+\.\d+\S*", text)[:1]
    return version


def version() -> tuple[int, int]:
    """Return the version of the mumax3 that is here, as (3, 12); the oldest that is supported if there is none."""
    try:
        major, minor = re.findall(r"mumax (\d+)\.(\d+)", program_version())[0]
    except UserError:  # whoever runs it is told
        return OLDEST
    return int(major), int(minor)


def gpus() -> list[str]:
    """Return the GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them.

    Raises
    ------
    UserError
        If that variable allows none.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        names = []
        for entry in visible.split(","):
            if not entry.strip() or entry.strip().startswith("-"):
                break  # CUDA too ignores what follows an entry that is none
            names.append(entry.strip())
        if not names:
            raise UserError(f"CUDA_VISIBLE_DEVICES: found '{visible}', allowed: at least one GPU")
        return names
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=PROBE_S).stdout
    except (OSError, subprocess.TimeoutExpired):
        listed = ""
    return [str(number) for number in range(sum(line.startswith("GPU ") for line in listed.splitlines()))] or ["0"]


@contextlib.contextmanager
def gpu(names: Sequence[str]) -> Iterator[str]:
    """Hold one of the named GPUs, waiting until one is free: no two processes of a user get the same at once."""
    while True:
        for name in names:
            spelt = re.sub(r"\W", "_", name)
            lock = open(Path(tempfile.gettempdir()) / f"spinloom-{os.getuid()}-gpu-{spelt}.lock", "w")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.close()
                continue
            with lock:  # closing it releases the GPU; the file stays, for others may be waiting on it
                yield name
            return
        time.sleep(POLL_S)


def call(command: Sequence[str], folder: Path, device: str, limit_s: float) -> tuple[int, str, str]:
    """Run a command in a folder, on one GPU, to its end.

    Returns
    -------
    int, str, str
        Exit code (negative: the signal that ended it), stdout and stderr; both are also files in the folder.

    Raises
    ------
    UserError
        If it cannot be started or takes longer than ``limit_s``. Whatever happens, its process group is ended.
    """
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": device}
    texts = [folder / "stdout.txt", folder / "stderr.txt"]
    with open(texts[0], "wb") as out, open(texts[1], "wb") as err, _asked_to_stop():
        try:
            child = subprocess.Popen(
                command, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment,
                start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise UserError(f"{command[0]}: cannot be started ({error.strerror})") from None
        try:
            code = child.wait(limit_s)
        except subprocess.TimeoutExpired:
            raise UserError(
                f"found a run that had not ended after {limit_s:g} s and was stopped, allowed: a longer time ({LIMIT})"
            ) from None
        finally:
            if child.returncode is None:
                _end(child)
    out, err = (path.read_text(encoding="utf-8", errors="replace") for path in texts)
    return code, out, err


def _end(child: subprocess.Popen) -> None:
    for kind, patience_s in ((signal.SIGTERM, MERCY_S), (signal.SIGKILL, None)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, kind)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(patience_s)
            break
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)  # what the leader has left behind


@contextlib.contextmanager
def _asked_to_stop() -> Iterator[None]:
    """Turn SIGTERM, with which a scheduler ends a job, into an exception, so that the child is ended too."""

    def stop(*_):
        raise SystemExit(128 + signal.SIGTERM)

    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


def reason(code: int, stderr: str) -> str:
    """Return in a line why a process failed."""
    said = re.split(r"^goroutine \d+ ", stderr, maxsplit=1, flags=re.M)[0]  # and then the stacks of a panicked program
    # what begins with // is no error, but may be a warning that names one
    lines = [line.strip() for line in said.splitlines() if line.strip() and not line.startswith("//")]
    for pattern, meaning in MEANINGS:
        for line in lines:
            if found := re.search(pattern, line):
                return f"{meaning.format(**found.groupdict())} (exit code {code})"
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"{lines[-1] if lines else 'nothing on stderr'} (exit code {code})"


def limit_s(evaluations: float, cells: int) -> float:
    """Return how long a run may take: what `LIMIT` says, or ten minutes and ten times what a slow GPU needs.

    Raises
    ------
    UserError
        If `LIMIT` is no positive number.
    """
    text = os.environ.get(LIMIT)
    if text is None:
        return 600 + evaluations * (1e-3 + 1e-8 * cells)
    try:
        value = float(text)
        if value > 0:
            return value
    except ValueError:
        pass
    raise UserError(f"{LIMIT}: found '{text}', allowed: a positive number of seconds")
