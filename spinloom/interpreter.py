"""The Python that runs, for what it starts: Snakemake, and jobs, which are commands of ``python``."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def snakemake(*words: str) -> list[str]:
    """Return the command that runs the Snakemake of this interpreter, which need not be on the PATH."""
    return [sys.executable, "-m", "snakemake", *words]


def lead_path() -> None:
    """Let ``python`` be this one in all that this process starts, also where its environment is not activated."""
    own, path = str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)
    if path.split(os.pathsep)[0] != own:
        os.environ["PATH"] = os.pathsep.join([own, path])
