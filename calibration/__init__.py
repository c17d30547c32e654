"""Stage 2: write events of a device -> its kernel card, the only thing that a trainer sees of it.

Figures are not imported here, so that reading a card needs no plotting library.
"""

from calibration.build import build_card
from calibration.card import SCHEMA_VERSION, KernelCard
from calibration.conductance import Junction
from calibration.derived import conductance_steps, distinguishable_levels
from calibration.energy import gate_energy, line_energy
from calibration.estimator import (
    Spread,
    count_transitions,
    device_offsets,
    posterior,
    random_effects,
    stationary,
)
from calibration.states import assign_states, state_edges

__all__ = [
    "SCHEMA_VERSION",
    "Junction",
    "KernelCard",
    "Spread",
    "assign_states",
    "build_card",
    "conductance_steps",
    "count_transitions",
    "device_offsets",
    "distinguishable_levels",
    "gate_energy",
    "line_energy",
    "posterior",
    "random_effects",
    "state_edges",
    "stationary",
]
