"""The honest end: the front made again with fresh seeds and devices, and only then tested on the test images.

The best of many measured points is in part the luckiest (winner's curse). Points that are made again are lucky no
longer, and the difference is told. The study as it stands is made beside them: it is what the search has to beat.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from spinloom import streams
from spinloom.config import overlay
from workflow.design import fronts, objectives
from workflow.design.config import FULL
from workflow.design.objectives import Measured
from workflow.design.runs import Runs
from workflow.design.search import Search, Trial
from workflow.design.space import label


@dataclass(frozen=True)
class Fresh:
    """A point of the front that was made again, or the study as it stands.

    Attributes
    ----------
    trial : Trial or None
        None for the study as it stands.
    label : str
        Of the point that was made again.
    measured : list of Measured
        The objectives.
    tested : Measured
        Accuracy on the test images, of the first objective's variant.
    reason : str
        Why it could not be made; then all else is empty.
    """

    trial: Trial | None
    label: str
    measured: list[Measured]
    tested: Measured
    reason: str = ""


def fresh_seed(seed: int) -> int:
    """Return the seed of all that is made again."""
    low, high = streams.digest(seed, "design", "fresh")[:2]
    return (int(high) << 21 ^ int(low)) % 2**53


def made_again(search: Search, runs: Runs) -> list[Fresh]:
    """Make points of the front again, spread along it, at full fidelity with fresh seeds and devices.

    The last one is the study as it stands, without what the search changes.

    Raises
    ------
    UserError
        As of `Runs.make`.
    """
    final = search.space.design.final
    front = search.front()
    if not final.points or not front:
        return []
    places = fronts.spread(search.scaled([one.measured[FULL] for one in front]), final.points)
    chosen: list[Trial | None] = [*(front[place] for place in places), None]
    other: dict[str, Any] = {"seed": fresh_seed(search.space.base["seed"])}
    if final.seeds is not None:
        other["network"] = {"seeds": final.seeds}
    wanted = [overlay(search.space.changes(one.values), other) if one else other for one in chosen]
    runs.make({label(changes): changes for changes in wanted})
    found, nothing = [], Measured(math.nan)
    for trial, changes in zip(chosen, wanted, strict=True):
        name = label(changes)
        measured = runs.measured(name)
        if isinstance(measured, str):
            found.append(Fresh(trial, name, [], nothing, measured))
        else:
            found.append(Fresh(trial, name, measured, objectives.tested(runs.study(name), search.goals[0])))
    return found
