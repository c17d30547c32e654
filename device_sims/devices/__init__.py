"""Device families: a section of the config becomes problems, and trajectories become rows of tables.

Each module of this package is a family, as is each entry point of the group ``spinloom.devices``. It defines

* ``Options``: the declaration (`spinloom.declare.Section`) of its section in the config;
* ``check(section)``: what a declaration cannot check; raises `UserError` naming the first key that cannot be;
* ``pulses(section) -> DataFrame``: one row per pulse, columns ``PULSE_COLUMNS``;
* ``batches(section) -> list[Batch]``: what to simulate, ordered by pulse and instance;
* ``observe(batch, problem, result) -> (dict, dict)``: a row of ``EVENT_COLUMNS`` (without energies, which are common
  to all) and the arrays over time of ``TRAJECTORY_COLUMNS`` for one trajectory;
* ``summarise(section, pulses, events) -> DataFrame``: the family's figures per pulse, columns ``SUMMARY_COLUMNS``;
* ``describe(section) -> dict``: what there is to know of the device, for people;
* ``writes(section) -> spinloom.write_events.Writes``: what the calibration makes of the events.

and, where a reduced engine is a model of its body,

* ``BODY``: "wall", one domain wall in a track, or "moment", one magnetic moment,

and, where a wall rests in notches,

* ``two_notches(section) -> device_sims.devices.tracks.notch_pair.NotchPair``: between which a search asks for the
  barrier.

``*_COLUMNS`` are dicts from a column's name to its pandera column, in order; ``AXES`` names the columns of pulses
that tell them apart, ``KEYS`` the event columns that tell batches of one pulse and instance apart. ``section`` is a
`device_sims.common.Simulations`, whose ``options`` are those of the family.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from spinloom.registry import Registry

WORDS = (
    *("Options", "check", "pulses", "batches", "observe", "summarise", "describe", "writes"),
    *("AXES", "KEYS", "PULSE_COLUMNS", "EVENT_COLUMNS", "TRAJECTORY_COLUMNS", "SUMMARY_COLUMNS"),
)
REGISTRY = Registry("device_sims.device", __name__, WORDS, shared=("junctions", "planning", "tracks"))


@dataclass(frozen=True)
class Batch:
    """Repetitions of one pulse on one device instance: the problem that simulates it, and how often.

    The repetitions differ in their random stream alone, which is the problem's with the replica's number behind it.
    ``keys`` are the values of the family's ``KEYS``; replicas are numbered from ``first``.
    """

    pulse: int
    instance: int
    problem: Any  # a `Problem`, or a `Scripted` of the family that is a script
    replicas: int
    keys: dict[str, float] = field(default_factory=dict)
    first: int = 0

    def problems(self) -> list[Any]:
        """Return the problem of each replica."""
        numbers = range(self.first, self.first + self.replicas)
        return [replace(self.problem, stream=(*self.problem.stream, number)) for number in numbers]

    def blocks(self, size: int | None) -> list[Batch]:
        """Return the batch cut after every ``size`` replicas, or whole."""
        if size is None:
            return [self]
        starts = range(0, self.replicas, size)
        return [replace(self, first=first, replicas=min(size, self.replicas - first)) for first in starts]
