"""What all stages have to say of a study's config before anything runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from calibration import sources
from device_sims import devices, sweep
from network import settings
from spinloom import config as study_config


@dataclass(frozen=True)
class Plan:
    """What a study will do.

    Attributes
    ----------
    chunks : list of Chunk
        What stage 1 simulates; none if the card comes from elsewhere.
    simulates, trains : bool
        Whether stages 1 and 3 have a part in it.
    card_inputs : list of str
        Files of the user's that the card is made from.
    """

    chunks: list[sweep.Chunk]
    simulates: bool
    trains: bool
    card_inputs: list[str]


def plan(config: dict[str, Any]) -> Plan:
    """Check a config, complete as `spinloom.config.resolve` leaves it, by all stages.

    Raises
    ------
    UserError
        Naming the first key that cannot be.
    """
    device, calibration = (study_config.section(config, stage) for stage in ("device_sims", "calibration"))
    simulates = calibration["source"]["kind"] == "simulation"
    chunks = sweep.plan_checked(device) if simulates else []
    pulses = len(devices.family(device).pulses(device)) if simulates else 0
    sources.check(calibration, device["device"], pulses)
    if config["network"] is not None:
        settings.check(study_config.section(config, "network"))
    return Plan(chunks, simulates, config["network"] is not None, sources.inputs(calibration))
