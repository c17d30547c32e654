"""What all stages have to say of a study's config before anything runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from calibration.sources import build
from device_sims import devices
from device_sims.sweep import sweep
from network.results import systems
from network.training import settings
from spinloom import config as study_config


@dataclass(frozen=True)
class Plan:
    """What a study will do.

    Attributes
    ----------
    config : dict
        Complete.
    chunks : list of Chunk
        What stage 1 simulates; none if the card comes from elsewhere.
    simulates, trains : bool
        Whether stages 1 and 3 have a part in it.
    card_inputs : list of str
        Files of the user's that the card is made from.
    sections : dict of dict
        What the jobs of stage 3 see of the config, by file name (see `network.training.settings.parts`).
    variants, variants_with_card : list of str
        What stage 3 trains, the baseline last; of these, the ones that use the card.
    """

    config: dict[str, Any]
    chunks: list[sweep.Chunk]
    simulates: bool
    trains: bool
    card_inputs: list[str]
    sections: dict[str, dict[str, Any]]
    variants: list[str]
    variants_with_card: list[str]

    @property
    def network(self) -> dict[str, Any]:
        """The section of stage 3."""
        return self.config["network"]


def plan(config: dict[str, Any]) -> Plan:
    """Check a config, complete as `workflow.study.config.resolve` leaves it, by all stages.

    Raises
    ------
    UserError
        Naming the first key that cannot be.
    """
    device, calibration = (study_config.section(config, stage) for stage in ("device_sims", "calibration"))
    simulates = calibration["source"]["kind"] == "simulation"
    chunks = sweep.plan_checked(device) if simulates else []
    pulses = len(devices.family(device).pulses(device)) if simulates else 0
    build.check(calibration, device["device"], pulses)
    trains, parts, variants, own = config["network"] is not None, {}, [], []
    if trains:
        network = study_config.section(config, "network")
        found = settings.check_all(network)
        variants = [one.variant for one in found]
        own = [one.variant for one in found if one.rule != settings.BASELINE]
        parts = settings.parts(network)
    systems.check(config.get("system"), variants)
    return Plan(config, chunks, simulates, trains, build.inputs(calibration), parts, variants, own)
