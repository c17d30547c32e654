"""Ready cards as recipes: sections of `calibration.sources.parametric` with the origin of every number.

See docs/cards.md.
"""

from __future__ import annotations

from pathlib import Path

from calibration.card import KernelCard
from calibration.sources.parametric.cards import make
from calibration.sources.parametric.common import Common, Population
from calibration.sources.parametric.config import Parametric
from spinloom.config import read
from spinloom.errors import UserError

FOLDER = Path(__file__).parent


def names() -> list[str]:
    """Return the names of the recipes, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def recipe(name: str, where: str = "library: name", population: Population | None = None) -> Common:
    """Return a recipe with its defaults filled in.

    Parameters
    ----------
    name : str
        One of `names`.
    where : str
        File and key that ask for it; begin the error.
    population : Population or None
        Spread between devices, instead of the recipe's own.

    Raises
    ------
    UserError
        If there is none of that name.
    """
    if name not in names():
        raise UserError(f"{where}: found '{name}', allowed: {', '.join(names())}")
    path = FOLDER / f"{name}.yaml"
    section = read(path)
    if population is not None:
        section |= {
            "population": population.dump(),
            "provenance": section["provenance"] | {"population": "assumed: the study's own"},
        }
    return Parametric.parse(section, path.name)


def card(name: str, seed: int = 0, population: Population | None = None) -> KernelCard:
    """Return a ready card.

    Parameters
    ----------
    name : str
        One of `names`.
    seed : int
        Names the stream of the population's draws.
    population : Population or None
        Spread between devices, instead of the recipe's own.

    Raises
    ------
    UserError
        If there is none of that name, or its devices cannot differ so.
    """
    where = f"{name}.yaml" if population is None else "calibration.source"
    return make(recipe(name, population=population), seed, where, kind="library")
