"""Energy barriers between states of a micromagnetic problem, and how fast heat carries a device over them.

`barrier.between` is the way in: two states in, minima, saddle, barriers both ways and attempt times out.
"""

from device_sims.barriers.barrier import Barrier, between
from device_sims.barriers.landscape import Landscape
from device_sims.barriers.settings import Settings

__all__ = ["Barrier", "Landscape", "Settings", "between"]
