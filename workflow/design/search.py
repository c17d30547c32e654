"""The search: generations of points, from the cheapest fidelity to the study as it stands.

A generation is asked for as a whole, made as a whole and told as a whole, so the points depend on the seed alone and
not on which of them ends first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from spinloom import streams
from spinloom.errors import UserError
from workflow.design import fidelities, fronts
from workflow.design.chooser import Asked, Chooser
from workflow.design.config import FULL
from workflow.design.objectives import Goal, Measured
from workflow.design.space import Space, Values, label

VARY = 6  # different points after which an objective must have varied


class Maker(Protocol):
    """What makes points and measures them: `workflow.design.runs.Runs`, or a stage that a test puts in its place."""

    def spent_s(self, labels: Iterable[str]) -> float:
        """Return how long runs had taken when these points, or the last new ones of them, were first asked for."""
        ...

    def make(self, points: dict[str, dict[str, Any]]) -> None:
        """Make points: what each changes of the study, by its label."""
        ...

    def measured(self, label: str) -> list[Measured] | str:
        """Return the objectives of a point that was made, or why it has none."""
        ...


@dataclass
class Trial:
    """A point that was tried.

    Attributes
    ----------
    number, generation : int
    values : dict
        Of the variables that take part.
    labels : dict of str
        Of its study at each fidelity that it was made with.
    measured : dict of list of Measured
        The objectives at each fidelity that it was made with.
    told : list of float
        What Optuna was told, in the units of the tables: the objectives at full fidelity, or what the highest one that
        was reached says of them. Empty if it failed.
    reason : str
        Why it failed.
    """

    number: int
    generation: int
    values: Values
    labels: dict[str, str] = field(default_factory=dict)
    measured: dict[str, list[Measured]] = field(default_factory=dict)
    told: list[float] = field(default_factory=list)
    reason: str = ""

    @property
    def full(self) -> bool:
        """Whether it was made as the study stands."""
        return FULL in self.measured


class Search:
    """A search under way.

    Parameters
    ----------
    space : Space
    goals : list of Goal
    chooser : Chooser
    maker : Maker
    say : callable
        Gets one line per generation.
    """

    def __init__(
        self, space: Space, goals: list[Goal], chooser: Chooser, maker: Maker, say: Callable[[str], None] = print
    ):
        self.space, self.goals, self.chooser, self.maker, self.say = space, goals, chooser, maker, say
        self.trials: list[Trial] = []

    def run(self, after: Callable[[], None] = lambda: None) -> list[Trial]:
        """Search until the budget is spent; ``after`` is called after each generation.

        Raises
        ------
        UserError
            If an objective never varies, no point has it, or the points cannot be made.
        """
        design = self.space.design
        for generation in range(design.points or 10**6):
            size = min(design.generation, (design.points or 10**6) - len(self.trials))
            asked = [self.chooser.ask() for _ in range(size)]
            if not asked or (self.trials and self._spent(asked)):
                break
            self._generation(generation, asked)
            after()
        return self.trials

    def _spent(self, asked: list[Asked]) -> bool:
        """Return whether the hours were over when these points were first asked for, in this run or an earlier one."""
        hours = self.space.design.hours
        if hours is None:
            return False
        labels = [label(self.space.changes(one.values, self.space.levels[0])) for one in asked]
        return self.maker.spent_s(labels) >= 3600 * hours

    def next(self) -> dict[str, dict[str, Any]]:
        """Return the points of the first generation at the fidelity that they begin with, by their labels."""
        asked = [
            self.chooser.ask() for _ in range(min(self.space.design.generation, self.space.design.points or 10**6))
        ]
        wanted = [self.space.changes(one.values, self.space.levels[0]) for one in asked]
        return {label(changes): changes for changes in wanted}

    def _generation(self, generation: int, asked: list[Asked]) -> None:
        batch = [Trial(len(self.trials) + place, generation, one.values) for place, one in enumerate(asked)]
        alive, counts = batch, []
        for place, level in enumerate(self.space.levels):
            if place:
                alive = self._promoted(alive, self.space.levels[place - 1], level, generation)
            self._make(alive, level)
            alive = [trial for trial in alive if not trial.reason]
            counts.append(f"{len(alive)} {level}")
        for trial, one in zip(batch, asked, strict=True):
            self._tell(trial, one)
        self.trials += batch
        self._check()
        failed = sum(bool(trial.reason) for trial in batch)
        told = f", {failed} failed ({next(trial.reason for trial in batch if trial.reason)})" if failed else ""
        self.say(f"generation {generation + 1}: {', '.join(counts)}{told}; {len(self.trials)} points in all")

    def _make(self, trials: list[Trial], level: str) -> None:
        wanted = {}
        for trial in trials:
            changes = self.space.changes(trial.values, level)
            trial.labels[level] = label(changes)
            wanted[trial.labels[level]] = changes
        self.maker.make(wanted)
        for trial in trials:
            found = self.maker.measured(trial.labels[level])
            if isinstance(found, str):
                trial.reason = found
            else:
                trial.measured[level] = found

    def _promoted(self, alive: list[Trial], cheap: str, dear: str, generation: int) -> list[Trial]:
        """Return the trials of a generation that go on from one fidelity to the next, and one by chance beside them."""
        if not alive:
            return []
        share = fidelities.share(self.seen(cheap, dear)[0], self.seen(cheap, dear)[1])
        count = math.ceil(share * len(alive))
        chosen = fronts.promising(self.scaled([trial.measured[cheap] for trial in alive]), count)
        if left := sorted(set(range(len(alive))) - set(chosen)):
            # or the correlation would be known of the promising alone
            chosen.append(
                left[
                    streams.generator(self.space.base["seed"], "design", "promoted", dear, generation).integers(
                        len(left)
                    )
                ]
            )
        return [alive[place] for place in sorted(chosen)]

    def seen(self, cheap: str, dear: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the scaled objectives of the trials made at two fidelities, float64[trials, objectives] each."""
        both = [trial for trial in self.trials if cheap in trial.measured and dear in trial.measured]
        return self.scaled([one.measured[cheap] for one in both]), self.scaled([one.measured[dear] for one in both])

    def scaled(self, rows: list[list[Measured]]) -> np.ndarray:
        """Return objectives as they are compared, float64[rows, objectives]."""
        values = [[float(goal.scaled(one.mean)) for goal, one in zip(self.goals, row, strict=True)] for row in rows]
        return np.array(values).reshape(len(rows), len(self.goals))

    def _tell(self, trial: Trial, one: Asked) -> None:
        reached = [level for level in self.space.levels if level in trial.measured]
        if trial.reason or not reached:
            self.chooser.tell(one.number, None, "")
            return
        level = reached[-1]
        own = self.scaled([trial.measured[level]])[0]
        if level != FULL:
            cheap, dear = self.seen(level, FULL)
            own = [fidelities.predicted(cheap[:, i], dear[:, i], value) for i, value in enumerate(own)]
        trial.told = [
            mean.mean if level == FULL else float(goal.unscaled(value))
            for goal, mean, value in zip(self.goals, trial.measured[level], own, strict=True)
        ]
        self.chooser.tell(one.number, trial.told, trial.labels[level])

    def _check(self) -> None:
        """Refuse objectives that no point has, or that all points have alike.

        Raises
        ------
        UserError
            Naming the objective.
        """
        told = [trial for trial in self.trials if trial.told]
        different = len({trial.labels[self.space.levels[0]] for trial in told})
        if not told and len(self.trials) >= min(VARY, self.space.design.generation):
            raise UserError(
                f"design: found no point of {len(self.trials)} that could be simulated, the last because of: "
                f"{self.trials[-1].reason}"
            )
        if different < VARY:
            return
        for number, goal in enumerate(self.goals):
            values = {trial.told[number] for trial in told}
            if len(values) == 1:
                raise UserError(
                    f"design.objectives.{number}.quantity: found {goal.name} = {values.pop():.6g} in all {len(told)} "
                    "points, "
                    "allowed: a quantity that the variables change"
                )

    def front(self) -> list[Trial]:
        """Return the trials made at full fidelity that keep all bounds and that no other of these beats."""
        able = [trial for trial in self.trials if trial.full and self.kept(trial)]
        if not able:
            return []
        rank = fronts.ranks(self.scaled([trial.measured[FULL] for trial in able]))
        best, seen = [], set()
        for trial, one in zip(able, rank, strict=True):
            if one == 0 and trial.labels[FULL] not in seen:
                best.append(trial)
                seen.add(trial.labels[FULL])
        return best

    def kept(self, trial: Trial) -> bool:
        """Return whether a trial made at full fidelity keeps all bounds."""
        return all(goal.violation(one.mean) <= 0 for goal, one in zip(self.goals, trial.measured[FULL], strict=True))
