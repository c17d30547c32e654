"""From a section of a config to the card of a parametric device."""

from __future__ import annotations

from typing import Any

from calibration.card import KernelCard
from calibration.sources.parametric import REGISTRY
from calibration.sources.parametric.config import Parametric
from calibration.sources.parametric.parts import assemble, prepared
from spinloom.errors import UserError


def make(section: dict[str, Any], seed: int, where: str, kind: str = "parametric") -> KernelCard:
    """Return the card of a parametric device.

    Parameters
    ----------
    section : dict
        As `Parametric` declares it; defaults may be absent.
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
        If the section breaks its schema, or its numbers do not make a device.
    """
    section = Parametric.parse(section, where).dump()
    device = section["device"]
    for other in sorted(REGISTRY.names(), key=lambda name: name == device):
        if (other in section) != (other == device):
            found = "nothing" if other == device else "a value"
            allowed = "its parameters" if other == device else f"none, because device is {device}"
            raise UserError(f"{where}: {other}: found {found}, allowed: {allowed}")
    return assemble(REGISTRY.get(device), prepared(section, where), seed, where, kind)
