"""Energy barriers between states of a micromagnetic problem, and how fast heat carries a device over them.

`between` is the way in: two states in, minima, saddle, barriers both ways and attempt times out. The names are
imported when they are first used: a study's config needs `settings` alone, without JAX.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from device_sims.barriers.barrier import Barrier, between
    from device_sims.barriers.landscape import Landscape
    from device_sims.barriers.settings import Settings

__all__ = ["Barrier", "Landscape", "Settings", "between"]
PLACES = {"Barrier": "barrier", "Landscape": "landscape", "Settings": "settings", "between": "barrier"}


def __getattr__(name: str) -> Any:
    if name not in PLACES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"{__name__}.{PLACES[name]}"), name)
