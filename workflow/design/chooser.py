"""Which points are tried next: Optuna asks, each trial with a random stream of its own.

The study lies in memory and is made again whenever a search goes on: asked in the same order and told the same values,
it chooses the same points. What `keep` writes is for people and for optuna-dashboard.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from spinloom import streams
from spinloom.errors import UserError
from workflow.design.config import Variable
from workflow.design.objectives import Goal
from workflow.design.space import DRAWS, Space, Values, rounded

if TYPE_CHECKING:
    import optuna

MOST_REFUSED = 300  # points in a row that cannot be
GUIDED = 20  # of these are Optuna's, which does not learn what is refused; the others are drawn
GAUSSIAN = "gp"  # asks for a point that cannot be again and again, so the next is the closest that can be
MEMORY = ("sqlite://", "sqlite:///", "sqlite:///:memory:")  # URLs of a database that ends with the process
WRITER = "results"  # attribute of a kept study: the folder of the search that wrote it


class Asked(NamedTuple):
    """A point that was chosen: its trial's number at Optuna, and the values of the variables that take part."""

    number: int
    values: Values


def check(sampler: str) -> None:
    """See that a sampler is installed.

    Raises
    ------
    UserError
        If it is not.
    """
    if sampler == GAUSSIAN and find_spec("torch") is None:
        raise UserError(
            f"design.sampler: found {GAUSSIAN}, which needs PyTorch, allowed: the same after `pip install torch`, or "
            "tpe, nsga2, random"
        )


class Chooser:
    """A study of Optuna.

    Parameters
    ----------
    space : Space
    goals : list of Goal
    name : str
        Of the study.
    seed : int
    """

    def __init__(self, space: Space, goals: list[Goal], name: str, seed: int):
        import optuna  # half a second that no other command needs

        check(space.design.sampler)
        if space.design.sampler == GAUSSIAN:
            import torch  # pyright: ignore[reportMissingImports]

            torch.set_num_threads(1)  # sums depend on how many share them
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.optuna, self.space, self.goals, self.name, self.seed = optuna, space, goals, name, seed
        self.study = optuna.create_study(
            study_name=name, directions=[optuna.study.StudyDirection.MAXIMIZE] * len(goals)
        )
        self.ranges = {name: _distribution(optuna, one) for name, one in space.variables.items()}
        self.trials: dict[int, optuna.Trial] = {}
        self.refused = 0

    def ask(self) -> Asked:
        """Return the next point that can be.

        Raises
        ------
        UserError
            If none is found that can be.
        """
        why, values = "", {}
        gaussian = self.space.design.sampler == GAUSSIAN
        for refused in range(MOST_REFUSED):
            if refused >= (1 if gaussian else GUIDED):
                near = values if gaussian and refused == 1 else None
                self.study.enqueue_trial(self._drawn(len(self.study.trials), near))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of what is experimental at Optuna
                self.study.sampler = self._sampler(len(self.study.trials))
                trial = self.study.ask(self.ranges)
            values = {name: self._value(name, trial.params[name]) for name in self.ranges}
            if not (why := self.space.refused(values)):
                self.trials[trial.number] = trial
                return Asked(trial.number, self.space.active(values))
            self.refused += 1
            self.study.tell(trial, state=self.optuna.trial.TrialState.FAIL)
        raise UserError(
            f"design: found {MOST_REFUSED} points in a row that cannot be simulated, the last because of: {why}; "
            "allowed: ranges and constraints that leave possible devices"
        )

    def tell(self, number: int, values: list[float] | None, label: str) -> None:
        """Tell what came out of a point, in the units of the tables; None if it failed."""
        trial = self.trials.pop(number)
        trial.set_user_attr("point", label)
        if values is None:
            self.study.tell(trial, state=self.optuna.trial.TrialState.FAIL)
            return
        pairs = list(zip(self.goals, values, strict=True))
        if any(goal.bounded for goal in self.goals):
            trial.set_user_attr("violations", [goal.violation(value) for goal, value in pairs if goal.bounded])
        self.study.tell(trial, [float(goal.scaled(value)) for goal, value in pairs])

    def reach(self, storage: str | None, folder: Path) -> None:
        """See that the study can be written, before anything runs; errors as of `keep`."""
        with self._storage(storage, folder) as kept:
            self._own(kept, storage, folder)

    def keep(self, storage: str | None, folder: Path) -> None:
        """Write the study where optuna-dashboard finds it; what this search wrote before is replaced.

        Raises
        ------
        UserError
            If the database cannot be written to, or has a study of this name that another search wrote.
        """
        with self._storage(storage, folder) as kept:
            if self._own(kept, storage, folder):
                self.optuna.delete_study(study_name=self.name, storage=kept)
            study = self.optuna.create_study(study_name=self.name, directions=self.study.directions, storage=kept)
            study.set_user_attr(WRITER, str(folder.resolve()))
            study.set_metric_names([goal.scale for goal in self.goals])
            study.add_trials([trial for trial in self.study.trials if trial.state.is_finished()])

    def _own(self, kept: optuna.storages.RDBStorage, storage: str | None, folder: Path) -> bool:
        """Return whether a database has this search's study; `UserError` if that is somebody else's."""
        found = [one for one in self.optuna.get_all_study_summaries(kept) if one.study_name == self.name]
        if storage is not None and any(one.user_attrs.get(WRITER) != str(folder.resolve()) for one in found):
            raise UserError(
                f"found a study {self.name} that the search in {folder} did not write, allowed: another database, or "
                "another name of the study"
            )
        return bool(found)

    @contextmanager
    def _storage(self, storage: str | None, folder: Path) -> Iterator[optuna.storages.RDBStorage]:
        from sqlalchemy.engine import make_url

        folder.mkdir(parents=True, exist_ok=True)
        own = folder / "optuna.db"
        url = storage or f"sqlite:///{own}"
        try:
            shown = make_url(url).render_as_string()  # without the password
        except Exception:
            shown = "found no URL of a database, allowed: as sqlite:///PATH or postgresql://HOST/NAME"
        if shown in MEMORY:
            raise UserError(f"design.storage: found {shown}, which keeps nothing, allowed: as sqlite:///PATH")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield self.optuna.storages.RDBStorage(url)
        except Exception as error:  # whatever the database's driver raises
            why = next(iter(str(error).splitlines()), type(error).__name__)
            if storage is None and own.exists():
                raise UserError(
                    f"{own}: found a database that cannot be used ({why}), allowed: none; delete it, the search writes "
                    "it again"
                ) from None
            raise UserError(f"design.storage: {shown}: {why}") from None

    def _value(self, name: str, value: Any) -> Any:
        one = self.space.variables[name]
        return one.choices[value] if one.choices is not None else rounded(one, value)

    def _drawn(self, number: int, near: Values | None) -> dict[str, Any]:
        """Return a point by chance that keeps the constraints, as Optuna holds it: a choice is its number.

        With ``near``, it is the closest to that point, in the unit cube of the variables, of all that were drawn.
        """
        random = streams.generator(self.seed, "design", "drawn", number)
        drawn = (self.space.drawn(random) for _ in range(DRAWS))
        able = (values for values in drawn if not self.space.broken(values))
        if near is None:
            found = next(able, None)
        else:
            place = self.space.unit(near)
            found = min(able, key=lambda values: np.linalg.norm(self.space.unit(values) - place), default=None)
        found = found or self.space.drawn(random)
        choices = {name: one.choices for name, one in self.space.variables.items() if one.choices is not None}
        return {name: choices[name].index(value) if name in choices else value for name, value in found.items()}

    def _sampler(self, number: int) -> optuna.samplers.BaseSampler:
        seed = int(streams.digest(self.seed, "design", "choice", number)[0])
        samplers, generation = self.optuna.samplers, self.space.design.generation
        bounds = {"constraints_func": _violations} if any(goal.bounded for goal in self.goals) else {}
        match self.space.design.sampler:
            case "nsga2":
                return samplers.NSGAIISampler(population_size=generation, seed=seed, **bounds)
            case "random":
                return samplers.RandomSampler(seed=seed)
            case "gp":
                return samplers.GPSampler(n_startup_trials=generation, seed=seed, **bounds)
            case _:
                return samplers.TPESampler(
                    n_startup_trials=2 * generation, constant_liar=True, multivariate=False, seed=seed, **bounds
                )


def _violations(trial: optuna.trial.FrozenTrial) -> list[float]:
    return trial.user_attrs["violations"]


def _distribution(optuna: Any, one: Variable) -> Any:
    if one.choices is not None:
        return optuna.distributions.CategoricalDistribution(list(range(len(one.choices))))
    assert one.range is not None
    low, high = one.range
    if one.whole:
        step = int(one.step or 1)
        high = int(low) + step * ((int(high) - int(low)) // step)
        return optuna.distributions.IntDistribution(int(low), high, log=one.log, step=step)
    if one.step:
        # Optuna divides the decimal numbers, and warns if anything is left over
        high = float(f"{low + one.step * int((high - low) / one.step + 1e-9):.12g}")
    return optuna.distributions.FloatDistribution(low, high, log=one.log, step=one.step)
