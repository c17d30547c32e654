"""Common ground of the three stages: errors, atomic files, random streams, progress, config.

Nothing here knows what a magnet, a table or a network is. ``import spinloom as sl`` reaches the package `spinloom_api`,
which does, when one of its names is first used (docs/python.md).
"""

from importlib import import_module
from typing import Any

from spinloom import needs

API = ("UserError", "card", "problem", "run", "study", "train")

needs.check()


def __getattr__(name: str) -> Any:
    """Return a name of the Python API, whose packages take a second to import."""
    if name not in API:
        raise AttributeError(f"module 'spinloom' has no attribute '{name}'")
    return getattr(import_module("spinloom_api"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *API})
