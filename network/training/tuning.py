"""Tuning: short trainings of one variant, judged by validation images, before it is trained in earnest.

The first trial is the variant as the config says; so is what is found, unless another one was better. Then Optuna
chooses (its tree of Parzen estimators, half of the trials by chance). Every variant has as many trials, the float
baseline too. No seed of the study's takes part, and no test image counts.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import pandas as pd

from network.training import settings, tunable
from network.training.settings import Settings
from network.training.tunable import Range
from spinloom import streams
from spinloom.errors import UserError

REPLICATE = 9999  # of the short trainings
DIGITS = 4  # of a tuned value
COLUMNS = ["variant", "rule", "trial", "key", "value", "validation_accuracy", "failed", "chosen"]


def tune(section: dict[str, Any], train: Callable[[Settings], float]) -> tuple[dict[str, Any], pd.DataFrame]:
    """Return a variant's section with what was found, without ``tune``, and a table of all that was tried.

    Parameters
    ----------
    section : dict
        Of one variant, as `settings.parts` leaves it.
    train : callable
        Trains with settings and returns the accuracy on validation images after the last epoch.

    Returns
    -------
    section : dict
    table : DataFrame
        `COLUMNS`, a row for each trial and tuned key.

    Raises
    ------
    UserError
        If no trial can be trained to its end.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    whole = settings.check(section)
    assert whole.tune is not None
    found = tunable.ranges(whole)
    bare = {key: value for key, value in section.items() if key != "tune"}
    short = {"epochs": whole.tune.epochs, "training_images": _images(whole)}
    spaces = {name: _distribution(optuna, one) for name, one in found.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is experimental at Optuna
        sampler = optuna.samplers.TPESampler(
            n_startup_trials=max(whole.tune.trials // 2, 1),
            seed=int(streams.digest(whole.seed, "network", "tuning", whole.variant)[0]),
        )
    study = optuna.create_study(direction="maximize", sampler=sampler)
    first = tunable.given(whole, list(found))
    study.enqueue_trial({name: min(max(first[name], one.low), one.high) for name, one in found.items()})
    tried: list[tuple[dict[str, float], float, str]] = []
    for _ in range(whole.tune.trials):
        trial = study.ask(spaces)
        values = first if not tried else _rounded(found, trial.params)
        accuracy, reason = math.nan, ""
        try:
            accuracy = train(settings.check(tunable.changed({**bare, **short}, values)))
            study.tell(trial, accuracy)
        except UserError as error:  # a learning rate too large, or an option that another one does not allow
            reason = str(error)
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        tried.append((values, accuracy, reason))
    if all(reason for _, _, reason in tried):
        raise UserError(
            f"network.tune: found none of {len(tried)} trials that could be trained, the last because of: "
            f"{tried[-1][2]}"
        )
    best = max(range(len(tried)), key=lambda number: (not tried[number][2], tried[number][1], -number))
    rows = [
        dict(zip(COLUMNS, (whole.variant, whole.rule, number, name, value, accuracy, reason or None, number == best)))
        for number, (values, accuracy, reason) in enumerate(tried)
        for name, value in values.items()
    ]
    return tunable.changed(bare, tried[best][0]), pd.DataFrame(rows, columns=COLUMNS)


def _images(whole: Settings) -> int | None:
    """Return how many images a short training has: those of `network.tune`, if the training has more."""
    assert whole.tune is not None
    most, wanted = whole.learned, whole.tune.training_images
    return wanted if wanted is not None and (most is None or wanted < most) else whole.training_images


def _distribution(optuna: Any, one: Range) -> Any:
    if one.whole:
        return optuna.distributions.IntDistribution(int(one.low), int(one.high), log=True)
    return optuna.distributions.FloatDistribution(one.low, one.high, log=True)


def _rounded(found: dict[str, Range], values: dict[str, float]) -> dict[str, float]:
    return {
        name: int(values[name]) if one.whole else min(max(float(f"{values[name]:.{DIGITS}g}"), one.low), one.high)
        for name, one in found.items()
    }
