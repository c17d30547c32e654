"""Device families: a config section becomes problems.

A family is a module with ``check(section)``, ``pulses(section) -> DataFrame``, ``events(section) -> list[Event]`` and
``describe(section) -> dict``. ``section`` is the config's ``device_sims`` part plus the study's ``seed``.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

from device_sims.problem import Problem
from spinloom.errors import UserError

REGISTRY = {"domain_wall": "device_sims.devices.domain_wall"}


@dataclass(frozen=True)
class Event:
    """One write event: which pulse, on which device instance, which repetition, and the problem that simulates it."""

    pulse: int
    instance: int
    replica: int
    problem: Problem


def family(section: dict) -> ModuleType:
    """Return the module of the section's device family.

    Raises
    ------
    UserError
        If there is no such family.
    """
    name = section["device"]
    if name not in REGISTRY:
        raise UserError(f"device_sims.device: found '{name}', allowed: {', '.join(REGISTRY)}")
    return import_module(REGISTRY[name])
