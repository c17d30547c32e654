"""Where OOMMF is, which version it is, and how it is started.

Looked for as ubermag does: ``OOMMFTCL`` (path of ``oommf.tcl``), then ``oommf`` on PATH, then docker's image. Its host
server and its archiver stay behind as daemons that hold standard output open: whatever starts OOMMF gives it a file,
never a pipe, and ends the whole process group.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from spinloom.errors import UserError

IMAGE = "oommf/oommf:20b0"  # the one that ubermag takes
IMAGE_TCL = "/usr/local/oommf/oommf/oommf.tcl"
LOOKED_FOR = f"OOMMF by OOMMFTCL, as 'oommf' on PATH and as docker image {IMAGE}"
INSTALL = "install it with 'conda install -c conda-forge oommf', or build it and set OOMMFTCL to its oommf.tcl"
PACKAGES = ("oommfc", "micromagneticmodel", "discretisedfield", "ubermagtable")
# The thermal evolvers of 2.1a0 never set whether a second normal number is left over (gaus2_isset): what the memory
# held before decides whether the noise is shifted by one. With these, glibc hands out zeros, and a seed is a noise.
MEMORY = {"MALLOC_PERTURB_": "255", "GLIBC_TUNABLES": "glibc.malloc.perturb=255:glibc.malloc.tcache_count=0"}
START_LIMIT_S = 60
PROBE_LIMIT_S = 120
KEPT_CHARACTERS = 300  # of OOMMF's own message in ours


@dataclass(frozen=True)
class Program:
    """A way to start OOMMF: what precedes its arguments, in words, and whether each start is a container's."""

    command: tuple[str, ...]
    text: str
    container: bool = False

    def argv(self, arguments: Sequence[str], folder: Path) -> list[str]:
        """Return the command line that runs in ``folder``."""
        if not self.container:
            return [*self.command, *arguments]
        mount = ["-v", f"{folder}:/io", "-w", "/io", *(f"--env={name}={value}" for name, value in MEMORY.items())]
        return [self.command[0], "run", "--rm", "--init", *mount, *self.command[1:], *arguments]


def find() -> Program | None:
    """Return the first way to start OOMMF that is there; nothing is started but docker, to ask for its image.

    Raises
    ------
    UserError
        If OOMMFTCL names no file: what the user points at is not replaced by something else.
    """
    tcl = os.environ.get("OOMMFTCL")
    if tcl:
        if not Path(tcl).is_file():
            raise UserError(f"OOMMFTCL: found {tcl}, allowed: the path of OOMMF's oommf.tcl, or not set")
        return Program(("tclsh", str(Path(tcl).absolute())), tcl)
    if executable := shutil.which("oommf"):
        return Program((executable,), executable)
    if docker := shutil.which("docker"):
        asked = subprocess.run([docker, "image", "inspect", IMAGE], capture_output=True, check=False)
        if asked.returncode == 0:
            return Program((docker, IMAGE, "tclsh", IMAGE_TCL), f"docker image {IMAGE}", container=True)
    return None


def probe() -> tuple[bool, str]:
    """Return whether the engine can run here, and what was found, or was looked for and how to install it."""
    try:
        return True, f"OOMMF {oommf_version()} at {found().text}, oommfc {metadata.version('oommfc')}"
    except UserError as error:
        return False, str(error)


def program_version() -> str:
    """Return what of the outside decides a result: the versions of OOMMF and of oommfc.

    Raises
    ------
    UserError
        If the engine cannot run here.
    """
    return f"OOMMF {oommf_version()}, oommfc {metadata.version('oommfc')}"


def oommf_version() -> str:
    """Return OOMMF's version, such as ``2.1a0``.

    Raises
    ------
    UserError
        If it is not there, does not start, or ubermag is missing.
    """
    for package in PACKAGES:
        try:
            metadata.version(package)
        except metadata.PackageNotFoundError:
            raise UserError(
                f"looked for the Python package {package}: 'pip install oommfc' brings it, and OOMMF is a program of "
                f"its own; {INSTALL}"
            ) from None
    return _version(found())


def found() -> Program:
    """Return `find`'s answer, or raise a `UserError` that says what was looked for and how to install it."""
    program = find()
    if program is None:
        raise UserError(f"looked for {LOOKED_FOR}; {INSTALL}")
    return program


@lru_cache(maxsize=8)
def _version(program: Program) -> str:
    try:
        with tempfile.TemporaryDirectory(prefix="oommf-") as folder:
            code, text = _finish(program, ["+version"], Path(folder), PROBE_LIMIT_S)
    except OSError as error:
        raise UserError(f"OOMMF at {program.text} does not start: {error.filename}: {error.strerror}") from None
    if "as root" in text:
        raise UserError(
            f"OOMMF at {program.text} refuses to run as root; start Spinloom as another user, for instance with "
            "'runuser -u NAME -- snakemake ...'"
        )
    version = re.search(r"oommf(?:\.tcl)? +(\d+\.\d+\w*)", text, re.IGNORECASE)
    if code or not version:
        raise UserError(f"OOMMF at {program.text} does not start: {_last_words(text)}")
    return version[1]


@lru_cache(maxsize=64)
def has_class(name: str) -> bool:
    """Return whether this OOMMF was built with an extension, by asking for an object of that class."""
    program = found()
    with tempfile.TemporaryDirectory(prefix="oommf-") as folder, server(program) as at:
        (Path(folder) / "probe.mif").write_text(f"# MIF 2.2\nSpecify {name}:probe {{}}\n")
        _, text = at.boxsi(Path(folder) / "probe.mif", PROBE_LIMIT_S)
    return "Unrecognized Specify Block" not in text


@dataclass(frozen=True)
class Server:
    """OOMMF's host server of this process, and the group that all of its processes belong to."""

    program: Program
    environment: dict[str, str]
    group: int

    def boxsi(self, mif: Path, limit_s: float | None = None) -> tuple[int, str]:
        """Run a MIF file in its folder, in one thread; return the exit code and what OOMMF said."""
        if self.program.container:
            mif.parent.chmod(0o777)  # whoever it is in there writes here
        # one thread: sums over cells depend on how many there are
        arguments = ["boxsi", "+fg", mif.name, "-exitondone", "1", "-threads", "1"]
        return _finish(self.program, arguments, mif.parent, limit_s, self.environment, self.group)


@contextmanager
def server(program: Program) -> Iterator[Server]:
    """Yield a host server on a port of its own, so that runs side by side do not meet; end all of it afterwards.

    Raises
    ------
    UserError
        If the server does not start.
    """
    if program.container:
        yield Server(program, dict(os.environ), 0)
        return
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="oommf-"))
        said = Path(folder) / "port"
        with said.open("wb") as stdout:
            starter = subprocess.Popen(
                program.argv(["launchhost", "0"], Path(folder)),
                stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.STDOUT, cwd=folder, process_group=0,
            )  # fmt: skip
        try:
            stack.enter_context(_stoppable())
            deadline = time.monotonic() + START_LIMIT_S
            while not (port := said.read_text(errors="replace").strip()).isdecimal():
                if starter.poll() or time.monotonic() > deadline:
                    raise UserError(f"oommf: its host server does not start: {_last_words(port)}")
                time.sleep(0.02)
            yield Server(program, {**os.environ, **MEMORY, "OOMMF_HOSTPORT": port}, starter.pid)
        finally:
            _end(starter.pid)
            starter.wait()


@contextmanager
def _stoppable() -> Iterator[None]:
    """Let SIGTERM, with which schedulers stop a job, leave by way of ``finally`` as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number, frame):
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _finish(program, arguments, folder, limit_s, environment=None, group=0) -> tuple[int, str]:
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            program.argv(arguments, folder),
            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, cwd=folder, env=environment,
            process_group=group,
        )  # fmt: skip
        try:
            code = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            raise UserError(f"oommf: no answer within {limit_s:g} s of '{' '.join(arguments)}'") from None
        finally:
            if process.poll() is None:
                if program.container:  # its client passes this on, and cannot pass on a kill
                    process.terminate()
                else:
                    _end(group or process.pid)
                process.wait()
        log.seek(0)
        return code, log.read().decode(errors="replace")


def _end(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass


def run_script(path: Path) -> Path:
    """Run a MIF file where it lies and return its folder, which holds what it wrote.

    Raises
    ------
    UserError
        If OOMMF is not there or fails.
    """
    with server(found()) as at:
        code, text = at.boxsi(path)
    if code:
        raise UserError(f"oommf: {fault(text)}")
    return path.parent


def fault(text: str) -> str:
    """Return the first error in what boxsi said, as one line; it says each several times, in several wrappings."""
    blocks = re.split(r"^\[[\d:]+\] |^\*\*\* |^(?=ERROR)|See log file", text, flags=re.MULTILINE)
    for block in blocks:
        if "error" in block.lower():
            return " ".join(block.split('Error thrown from inside "Oxs_Director')[0].split())[:KEPT_CHARACTERS]
    return _last_words(text)


def _last_words(text: str) -> str:
    """Return the end of OOMMF's message as one line."""
    return " ".join(text.split())[-KEPT_CHARACTERS:] or "it says nothing"
