"""How a process uses XLA: on one thread, and with programs that an earlier process compiled.

Must be told before JAX is imported, which reads the environment then. A program that was kept is the machine code that
the compiler made, so a result is the same with and without. ``JAX_ENABLE_COMPILATION_CACHE=0`` switches the cache off,
``JAX_COMPILATION_CACHE_DIR`` puts it elsewhere.
"""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from contextlib import suppress
from pathlib import Path

# A matrix product that is split over several threads may round differently on another number of cores. One thread a
# process also lets a workflow run one job per core.
ONE_THREAD = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
FOLDER = "~/.cache/spinloom/compiled"
MOST_BYTES = 500_000_000  # of programs that are kept; beyond, those go that were not used for longest
FASTEST_S = 0.1  # what compiles faster is not kept: reading it takes as long


def set_up() -> None:
    """Set what JAX is told by its environment, as far as the user has not."""
    own = os.environ.get("XLA_FLAGS", "")
    if ONE_THREAD not in own:
        os.environ["XLA_FLAGS"] = f"{own} {ONE_THREAD}".strip()
    os.environ["NPROC"] = "1"
    if "JAX_COMPILATION_CACHE_DIR" in os.environ or "jax" in sys.modules:
        return
    folder = Path(FOLDER).expanduser() / processor()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return  # without a home that can be written to, each process compiles
    if not os.access(folder, os.W_OK):
        return
    prune(folder, MOST_BYTES)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder)
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", str(FASTEST_S))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


def processor() -> str:
    """Return a name of this type of processor: machine code of one may not run on another that shares the folder."""
    told = [platform.machine(), platform.processor()]
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        told += [line for line in dict.fromkeys(lines) if line.startswith(("model name", "flags", "Features"))]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]


def prune(folder: Path, most_bytes: int) -> None:
    """Remove the programs that were not used for longest until those left have at most ``most_bytes``."""
    found = []
    for entry in os.scandir(folder):
        with suppress(OSError):  # another process has removed it
            status = entry.stat()
            found.append((max(status.st_atime, status.st_mtime), status.st_size, entry.path))
    excess = sum(size for _, size, _ in found) - most_bytes
    for _, size, path in sorted(found):
        if excess <= 0:
            break
        with suppress(OSError):
            os.remove(path)
        excess -= size
