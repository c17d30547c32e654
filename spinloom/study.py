"""What all stages have to say of a study's config before anything runs."""

from __future__ import annotations

from typing import Any

from calibration import states
from device_sims import devices, sweep
from network import settings
from spinloom import config as study_config


def plan(config: dict[str, Any]) -> tuple[list[sweep.Chunk], bool]:
    """Check a config, complete as `spinloom.config.resolve` leaves it, by all stages.

    Returns
    -------
    chunks : list of Chunk
        What stage 1 will simulate.
    has_card : bool
        Whether the device family has a kernel card, so that there are later stages.

    Raises
    ------
    UserError
        Naming the first key that cannot be.
    """
    device = study_config.section(config, "device_sims")
    chunks = sweep.plan_checked(device)
    has_card = device["device"] in states.FAMILIES
    if has_card:
        states.check_count(config["calibration"], len(devices.family(device).pulses(device)))
    settings.check(study_config.section(config, "network"))
    return chunks, has_card
