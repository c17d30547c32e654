"""The kernel card as a variant's rule takes it."""

from __future__ import annotations

from pathlib import Path

from calibration.card import KernelCard
from network import rules
from network.synapse.device import NO_DEVICE, DeviceModel
from network.training.settings import Settings
from spinloom.errors import UserError


def read_device(card: KernelCard | Path | None, settings: Settings) -> DeviceModel:
    """Return the devices of a variant.

    Parameters
    ----------
    card : KernelCard, Path or None
        The kernel card, or its directory; not read if the variant's rule uses none.
    settings : Settings

    Returns
    -------
    DeviceModel
        `NO_DEVICE` for a rule that uses no card, so that nothing of its run depends on one.

    Raises
    ------
    UserError
        If the rule needs a card and there is none, its devices are of no kind that the rule can use, or it cannot serve
        as a synapse.
    """
    if not settings.uses_card:
        return NO_DEVICE
    if card is None:
        raise UserError(f"--card: found nothing, allowed for {settings.rule}: the directory of a kernel card")
    whole = card if isinstance(card, KernelCard) else KernelCard.read(card)
    device = DeviceModel.from_card(whole, settings.device, rules.get(settings.rule).scaled_by(settings.options))
    suits(whole, settings, f"card {whole.meta.name}" if card is whole else f"{card}/card.json")
    return device


def suits(card: KernelCard, settings: Settings, where: str) -> None:
    """Refuse a rule that cannot use the card's devices: the network would not learn, and nothing would say why.

    Parameters
    ----------
    card : KernelCard
    settings : Settings
    where : str
        What to call the card; begins the error.

    Raises
    ------
    UserError
        Names the kinds that were found and the rules that can use them.
    """
    if not settings.uses_card or not (allowed := rules.get(settings.rule).usable(settings.options)):
        return
    if "sample" in (card.meta.source.model_extra or {}):
        return  # a draw from a card's posterior is a device of that card's kind
    found = card.kinds(settings.device.pulses)
    if set(found).isdisjoint(allowed):
        able = [
            name if name != settings.rule else f"{name} with other options"
            for name in rules.REGISTRY.own()
            if not set(found).isdisjoint(rules.get(name).kinds)
        ]
        raise UserError(
            f"{where}: kind: found {' and '.join(found)}, allowed for {settings.rule}: {' or '.join(allowed)}; rules "
            f"that can use this card (network.rule): {', '.join(able)}"
        )
