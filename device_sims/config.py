"""What a study may say of its simulations: the keys of every study, and a section for each device family."""

from __future__ import annotations

from device_sims.common import Common, Simulations
from device_sims.devices import REGISTRY
from spinloom.declare import compose, options_of

FAMILIES = options_of(REGISTRY)
DeviceSims = compose("DeviceSims", Common, FAMILIES)
Stage = compose("Stage", Simulations, FAMILIES)
