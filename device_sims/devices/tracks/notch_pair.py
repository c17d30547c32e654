"""Two notches of a straight track: what holds a wall between them, without roughness, grains and the track's length."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from device_sims.common import Simulations
from device_sims.devices import Batch
from device_sims.devices.tracks import wire
from device_sims.problem import Problem

END_M = 80e-9  # of the track, beyond the outermost pitches


class NotchPair(NamedTuple):
    """A problem, and the places of its two notches along the track, m."""

    problem: Problem
    first_m: float
    second_m: float


def straight(
    section: Simulations,
    batches: Callable[[Simulations], list[Batch]],
    centres_m: Callable[[Any], np.ndarray],
) -> NotchPair:
    """Return the first two notches of a family of notched tracks, alone in a straight track.

    Parameters
    ----------
    section : Simulations
        Its options have ``notches`` with ``count`` and ``pitch_m``, ``track``, ``roughness`` and ``grains``.
    batches, centres_m : callable
        Of the family: what it simulates, and the places of its notches, float64[notches], m.

    Raises
    ------
    UserError
        If there is no such track.
    """
    own = section.options
    notches = own.notches.model_copy(update={"count": 2})
    track = own.track.model_copy(update={"length_m": 2 * (notches.pitch_m + END_M)})
    plain = {"roughness": wire.Roughness(), "grains": wire.Grains(), "track": track, "notches": notches}
    options = own.model_copy(update=plain)
    sweep = section.sweep.model_copy(update={"instances": 1, "replicas_per_instance": 1})
    short = section.model_copy(update={section.device: options, "sweep": sweep})
    return NotchPair(batches(short)[0].problem, *map(float, centres_m(options)))
