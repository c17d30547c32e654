"""Kernel cards of devices that are given by a law and its parameters, without any counted write.

One module per kind of device (`REGISTRY`); each declares the keys of its part of the section as ``Options``.
A module has ``labels(own)``, the names of its states in ascending conductance; ``pulses(own)``, its pulses;
``kernel(own)``, float64[pulses, states, states]; ``VOLATILE``; ``LAW``, the formula in words with its source; and, if
it needs them, ``complete(own, where)``, which checks and derives, ``extras(own, pulses)``, further tables, and
``meta(own)``, further entries of ``card.json``. ``own`` is the part of the section under the kind's name.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from calibration.card import KernelCard
from calibration.sources.parametric import (
    gate,
    lattice,
    pbit,
    skyrmion,
    switching,
    telegraph,
)
from calibration.sources.parametric.config import Parametric
from calibration.sources.parametric.parts import assemble, prepared
from spinloom.errors import UserError

REGISTRY: dict[str, ModuleType] = {
    "lattice": lattice,
    "switching": switching,
    "telegraph": telegraph,
    "pbit": pbit,
    "skyrmion": skyrmion,
    "gate": gate,
}


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
    for other in REGISTRY:
        if (other in section) != (other == device):
            found = "nothing" if other == device else "a value"
            allowed = "its parameters" if other == device else f"none, because device is {device}"
            raise UserError(f"{where}: {other}: found {found}, allowed: {allowed}")
    return assemble(REGISTRY[device], prepared(section, where), seed, where, kind)
