"""Device families: a config section becomes problems, and trajectories become rows of tables.

Each module of this package is a family, as is each entry point of the group ``spinloom.devices``. It defines

* ``check(section)``: what a schema cannot check; raises `UserError` naming the first key that cannot be;
* ``pulses(section) -> DataFrame``: one row per pulse, columns ``PULSE_COLUMNS``;
* ``batches(section) -> list[Batch]``: what to simulate, ordered by pulse and instance;
* ``observe(batch, problem, result) -> (dict, dict)``: a row of ``EVENT_COLUMNS`` (without energies, which are common
  to all) and the arrays over time of ``TRAJECTORY_COLUMNS`` for one trajectory;
* ``summarise(section, pulses, events) -> DataFrame``: the family's figures per pulse, columns ``SUMMARY_COLUMNS``;
* ``describe(section) -> dict``: what the read-out needs to know of the device.

``*_COLUMNS`` are dicts from a column's name to its pandera column, in order; ``AXES`` names the columns of pulses
that tell them apart, ``KEYS`` the event columns that tell batches of one pulse and instance apart. ``section`` is the
config's ``device_sims`` part plus the study's ``seed``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import ModuleType

from device_sims.problem import Problem
from spinloom.errors import UserError
from spinloom.registry import Registry

WORDS = (
    *("check", "pulses", "batches", "observe", "summarise", "describe", "AXES", "KEYS"),
    *("PULSE_COLUMNS", "EVENT_COLUMNS", "TRAJECTORY_COLUMNS", "SUMMARY_COLUMNS"),
)
REGISTRY = Registry("device_sims.device", __name__, WORDS, shared=("mtj", "options", "wire"))


@dataclass(frozen=True)
class Batch:
    """Repetitions of one pulse on one device instance: the problem that simulates it, and how often.

    The repetitions differ in their random stream alone, which is the problem's with the replica's number behind it.
    ``keys`` are the values of the family's ``KEYS``; replicas are numbered from ``first``.
    """

    pulse: int
    instance: int
    problem: Problem
    replicas: int
    keys: dict[str, float] = field(default_factory=dict)
    first: int = 0

    def problems(self) -> list[Problem]:
        """Return the problem of each replica."""
        numbers = range(self.first, self.first + self.replicas)
        return [replace(self.problem, stream=(*self.problem.stream, number)) for number in numbers]

    def blocks(self, size: int | None) -> list[Batch]:
        """Return the batch cut after every ``size`` replicas, or whole."""
        if size is None:
            return [self]
        starts = range(0, self.replicas, size)
        return [replace(self, first=first, replicas=min(size, self.replicas - first)) for first in starts]


def family(section: dict) -> ModuleType:
    """Return the module of the section's device family.

    Raises
    ------
    UserError
        If there is no such family, or its part of the section is missing.
    """
    name = section["device"]
    module = REGISTRY.get(name)
    if name not in section:
        raise UserError(f"device_sims.{name}: this section is missing; device_sims.device asks for it")
    return module
