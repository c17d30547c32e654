"""What a machine must have before anything of Spinloom runs, said in one line where each command begins.

Nothing is imported here but Python's own modules, and a job does not depend on this module (`spinloom.sources`).
"""

from __future__ import annotations

import sys
from importlib.util import find_spec

# the dependencies of pyproject.toml, by the names that are imported
PACKAGES = (
    "PIL", "grimp", "jax", "jaxtyping", "jinja2", "lark", "matplotlib", "numpy", "openpyxl", "optax", "optuna",
    "pandas", "pandera", "plotly", "pooch", "pyarrow", "pydantic", "rich", "safetensors", "scipy", "sklearn",
    "snakemake", "threadpoolctl", "xarray", "yaml",
)  # fmt: skip


def check() -> None:
    """End the program with one line if the system, Python or a package is not there.

    Raises
    ------
    SystemExit
        With that line.
    """
    if find_spec("fcntl") is None:
        raise SystemExit("error: Spinloom runs on Linux and macOS, whose locks on files it needs; on Windows, use WSL")
    if sys.version_info < (3, 11):  # noqa: UP036  (an older one gets as far as here)
        found = ".".join(map(str, sys.version_info[:3]))
        raise SystemExit(f"error: {sys.executable} is Python {found}, allowed: 3.11 or newer")
    if missing := [name for name in PACKAGES if not find_spec(name)]:
        told = f"{missing[0]} and {len(missing) - 1} more packages that" if missing[1:] else f"{missing[0]}, which"
        raise SystemExit(
            f"error: {sys.executable} lacks {told} Spinloom needs; in a clone, call `make run` once, then "
            "`source .venv/bin/activate`; elsewhere, `pip install -r requirements.txt`"
        )
