"""From a section of a config to the card of a parametric device."""

from __future__ import annotations

from calibration.card import KernelCard
from calibration.sources.parametric import REGISTRY
from calibration.sources.parametric.common import Common
from calibration.sources.parametric.parts import assemble, prepared
from spinloom.errors import UserError


def make(section: Common, seed: int, where: str, kind: str = "parametric") -> KernelCard:
    """Return the card of a parametric device.

    Parameters
    ----------
    section : Parametric
    seed : int
        Of the study; names the stream from which a population of devices is drawn.
    where : str
        File of the section; begins the errors.
    kind : {"parametric", "library"}
        ``source.kind`` of the card.

    Returns
    -------
    KernelCard
        ``count`` and ``effective_count`` are 0 and ``basis`` is ``law`` throughout; [ci_low, ci_high] is the
        probability itself, because a law without data states no uncertainty.

    Raises
    ------
    UserError
        If its numbers do not make a device.
    """
    device = section.device
    for other in REGISTRY.names():
        if other != device and getattr(section, other) is not None:
            raise UserError(f"{where}: {other}: found a value, allowed: none, because device is {device}")
    if getattr(section, device) is None:
        raise UserError(f"{where}: {device}: found nothing, allowed: its parameters")
    return assemble(REGISTRY.get(device), prepared(section, where), seed, where, kind)
