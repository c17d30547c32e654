"""What is to be searched on each device of a study.

A search is named by the hash of its problem at rest and its settings, as chunks of a sweep are: what changes neither
searches nothing again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from device_sims.barriers.settings import Settings
from device_sims.common import Barriers, Simulations
from device_sims.problem import MU0, Initial, Problem
from spinloom import files
from spinloom.errors import UserError

VERSION = "1"  # of the method: part of a search's name
END = 2  # wall widths that a path along a track keeps from its ends
SOFT_J_PER_M3 = 1e4  # least effective anisotropy that the width of a first wall is taken from
KINDS = ("wall", "uniform")  # of first states


@dataclass(frozen=True)
class Search:
    """What is searched on one device."""

    problem: Problem  # at rest
    starts: tuple[Initial, ...]  # along a track, or the states of a moment
    labels: tuple[str, ...]  # of those states; none along a track
    settings: Settings

    @property
    def name(self) -> str:
        """SHA-256 of all that the result depends on."""
        own = {**self.specification(), "problem": self.problem.identity(), "version": VERSION}
        return files.sha256_text(files.canonical_json(own))

    def specification(self) -> dict[str, Any]:
        """Return it as JSON values; see `specified`."""
        starts = [replace(self.problem, initial=one).to_dict()["initial"] for one in self.starts]
        settings = self.settings.dump()
        return {"problem": self.problem.to_dict(), "starts": starts, "labels": list(self.labels), "settings": settings}


def specified(content: Any, source: str | Path) -> Search:
    """Return the search of a specification; `UserError` if it is none."""
    try:
        problem = Problem.from_dict(content["problem"])
        starts = [Problem.from_dict({**content["problem"], "initial": one}).initial for one in content["starts"]]
        labels = tuple(map(str, content["labels"]))
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise UserError(
            f"{source}: found a file that does not describe a search for barriers ({type(error).__name__}: {error})"
        ) from None
    return Search(problem, tuple(starts), labels, Settings.parse(content["settings"], str(source), "settings"))


def searches(section: Simulations) -> list[Search]:
    """Return the searches of a study, one for each instance in order; none without ``device_sims.barriers``.

    Raises
    ------
    UserError
        If the family's writes begin with neither a wall nor a uniform state.
    """
    wanted = section.barriers
    if wanted is None:
        return []
    family = section.family
    settings = Settings(**{name: getattr(wanted, name) for name in Settings.model_fields})
    first: dict[int, Problem] = {}
    for batch in family.batches(section):
        first.setdefault(batch.instance, batch.problem)
    found = []
    for _, problem in sorted(first.items()):
        kind = problem.initial.kind if isinstance(problem, Problem) else "script"
        if kind not in KINDS:
            raise UserError(
                f"device_sims.barriers: found with device {section.device}, allowed: only with a device whose writes "
                "begin with a wall or a uniform state"
            )
        rest = _at_rest(problem)
        if kind == "wall":
            found.append(Search(rest, _along(rest, wanted), (), settings))
        else:
            labels = family.writes(section).states.labels
            both = tuple(Initial("uniform", (0.0, 0.0, z)) for z in (-1.0, 1.0))
            found.append(Search(rest, both, labels, settings))
    return found


def _at_rest(problem: Problem) -> Problem:
    """Return the problem with its first phase alone, and without what makes no difference to its energy."""
    start = Initial("uniform")
    phase = replace(problem.schedule[0], name="rest")
    return replace(problem, schedule=(phase,), initial=start, stream=(), temperature_K=0.0)


def _along(problem: Problem, wanted: Barriers) -> tuple[Initial, ...]:
    mesh, own = problem.mesh, problem.material
    effective = max(own.Ku_J_per_m3 - MU0 / 2 * own.Ms_A_per_m**2, SOFT_J_PER_M3)
    width = float(np.sqrt(own.A_J_per_m / effective))
    margin, length = END * width + mesh.cell_m[0], mesh.size_m[0]
    count = int((length - 2 * margin) / wanted.spacing_m) + 1
    azimuth = float(np.pi) if own.D_J_per_m2 > 0 else 0.0
    places = np.linspace(margin, length - margin, max(count, 3))
    return tuple(Initial("wall", position_m=float(x), width_m=width, azimuth_rad=azimuth) for x in places)
