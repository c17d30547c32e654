"""The kernel card as a variant's rule takes it."""

from __future__ import annotations

from pathlib import Path

from network import rules
from network.synapse.device import NO_DEVICE, DeviceModel, read_card
from network.training.settings import Settings
from spinloom.errors import UserError


def read_device(card: Path | None, settings: Settings) -> DeviceModel:
    """Return the devices of a variant.

    Parameters
    ----------
    card : Path or None
        Directory of the kernel card; not read if the variant's rule uses none.
    settings : Settings

    Returns
    -------
    DeviceModel
        `NO_DEVICE` for a rule that uses no card, so that nothing of its run depends on one.

    Raises
    ------
    UserError
        If the rule needs a card and there is none, or it cannot serve as a synapse.
    """
    if not settings.uses_card:
        return NO_DEVICE
    if card is None:
        raise UserError(f"--card: found nothing, allowed for {settings.rule}: the directory of a kernel card")
    return read_card(card, settings.device, rules.get(settings.rule).scale)
