"""Laws fitted to counted writes by maximum likelihood, compared, drawn from, and turned into probabilities.

The writes are a table for laws of the kind ``switching`` (see `switching`), and `Displacements` for those of the kind
``displacement``.
"""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np

from calibration import laws
from calibration.laws.fitting import displacements, switching
from calibration.laws.fitting.displacements import Displacements
from calibration.laws.fitting.likelihood import Fit
from calibration.laws.fitting.prediction import Prediction, draw, interval, predict
from spinloom.errors import UserError
from spinloom.streams import generator

KINDS: dict[str, ModuleType] = {"switching": switching, "displacement": displacements}
CRITERIA = ("aic", "held_out")

__all__ = [
    "CRITERIA",
    "KINDS",
    "Displacements",
    "Fit",
    "Prediction",
    "choose",
    "draw",
    "fit",
    "interval",
    "log_likelihood",
    "predict",
]


def fit(name: str, data: Any, where: str, **options: Any) -> Fit:
    """Fit a law by maximum likelihood.

    Parameters
    ----------
    name : str
        A law of the registry.
    data : DataFrame or Displacements
        Counted writes: a table (see `laws.switching`) or the class of the law's kind.
    where : str
        File that errors name.
    **options
        Of the law. All take ``fixed``, a dict of parameters held at a value (None: set free).

    Raises
    ------
    UserError
        If there is no such law, the data are impossible or they do not tell a parameter.
    """
    law = laws.get(name, where)
    return KINDS[law.KIND].fit(law, data, where, **options)


def log_likelihood(name: str, parameters: dict[str, float], data: Any, where: str = "data") -> float:
    """Return the log-likelihood of ``data`` under a law with given parameters; terms without parameters left out."""
    law = laws.get(name, where)
    return KINDS[law.KIND].log_likelihood(law, parameters, data, where)


def choose(
    names: list[str],
    data: Any,
    criterion: str = "aic",
    where: str = "data",
    seed: int = 0,
    folds: int = 5,
    options: dict[str, dict[str, Any]] | None = None,
) -> list[Fit]:
    """Fit several laws of one kind to the same writes and return the fits, best first.

    Parameters
    ----------
    names : list of str
        Laws of one kind.
    data
        As in `fit`.
    criterion : {"aic", "held_out"}
        Smallest AIC (Akaike, IEEE Trans. Autom. Control 19, 716 (1974)), or largest log-likelihood of held-out writes:
        the writes are split at random into ``folds`` parts, each is judged by the fit to the others.
    where : str
        File that errors name.
    seed : int
        Of the stream (seed, "law folds") that splits the writes; the same split for all laws.
    folds : int
        At least 2.
    options : dict
        Law -> options of `fit`.

    Raises
    ------
    UserError
        If the laws are of different kinds or the criterion is unknown, or if no law can be fitted: then the error of
        the first. A law that these writes do not tell is left out of the list.
    """
    kinds = {laws.get(name, where).KIND for name in names}
    if len(kinds) != 1:
        raise UserError(f"{where}: laws: found kinds {', '.join(sorted(kinds)) or 'none'}, allowed: laws of one kind")
    if criterion not in CRITERIA:
        raise UserError(f"{where}: criterion: found {criterion!r}, allowed: {', '.join(CRITERIA)}")
    if folds < 2:
        raise UserError(f"{where}: folds: found {folds}, allowed: 2 or more")
    parts = []
    if criterion == "held_out":
        parts = KINDS[kinds.pop()].split(data, folds, generator(seed, "law folds"))
    fits, errors = [], []
    for name in names:
        chosen = (options or {}).get(name, {})
        try:
            found = fit(name, data, where, **chosen)
            if parts:
                held_out = sum(
                    log_likelihood(name, fit(name, rest, where, **chosen).parameters, part, where)
                    for rest, part in parts
                )
                found = replace(found, held_out_log_likelihood=float(held_out))
            fits.append(found)
        except UserError as error:
            errors.append(error)
    if not fits:
        raise errors[0]
    # a law with fewer parameters wins a tie
    size = {one.law: int(np.count_nonzero([e is not None for e in one.standard_errors.values()])) for one in fits}
    return sorted(fits, key=lambda one: (-(one.held_out_log_likelihood or 0.0) if parts else one.aic, size[one.law]))
