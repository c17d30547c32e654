"""One GPU for each job where a machine has several.

Jobs of a sweep are processes of their own, and each would take the first GPU. Whoever starts claims the first that
nobody has claimed, by a lock on a file that ends with the process, whatever ends it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import IO

_held: list[IO] = []  # open as long as the process lives: closing one would give up the claim


def visible() -> list[str]:
    """Return the GPUs that this process may use, as CUDA names them; none if there are none, or JAX is told to."""
    platforms = os.environ.get("JAX_PLATFORMS", "")
    if platforms and not {"cuda", "gpu"} & set(platforms.split(",")):
        return []
    told = os.environ.get("CUDA_VISIBLE_DEVICES")
    if told is not None:
        return [name for name in told.split(",") if name]
    if shutil.which("nvidia-smi") is None:
        return []
    query = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    done = subprocess.run(query, capture_output=True, text=True, check=False)
    return done.stdout.split() if done.returncode == 0 else []


def claim() -> str | None:
    """Let this process use one GPU of several; before JAX starts.

    Returns
    -------
    str or None
        Its name; None if there is at most one, or each is claimed: then they are shared as JAX shares them.
    """
    devices = visible()
    if len(devices) < 2:
        return None
    for name in devices:
        stream = open(Path(tempfile.gettempdir()) / f"spinloom-gpu-{os.getuid()}-{name.replace('/', '_')}.lock", "w")
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            stream.close()
            continue
        _held.append(stream)
        os.environ["CUDA_VISIBLE_DEVICES"] = name
        return name
    return None
