"""A search's result files, read once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from report.parts import text, words
from report.plots import axis, joules
from spinloom import files
from spinloom.errors import UserError
from spinloom.quantities import of, si

TABLES = ("trials", "fidelities", "hypervolume", "final", "noise", "sensitivities", "curves", "robustness")
STANDS = "as it stands"  # the study without what the search changes


@dataclass(frozen=True)
class Goal:
    """An objective: its column, whether large is good, whether it is a share, and its bounds."""

    name: str
    sign: int
    linear: bool
    at_least: float | None
    at_most: float | None

    @property
    def percent(self) -> bool:
        """Whether it is shown in per cent."""
        return "accuracy" in self.name

    @property
    def title(self) -> str:
        """What an axis is headed with."""
        return f"{words(self.name)} (%)" if self.percent else of(self.name).label if self.energy else words(self.name)

    @property
    def energy(self) -> bool:
        """Whether its unit is J."""
        return "_energy_J" in self.name

    def drawn(self, values: Any) -> np.ndarray:
        """Return values as a plot shows them, float64[n]."""
        return np.asarray(values, float) * (100 if self.percent else 1)

    def told(self, value: float, error: float = 0.0) -> str:
        """Return a value with its standard error, for people."""
        if not np.isfinite(value):
            return "–"
        sure = np.isfinite(error) and error > 0
        if self.percent:
            return f"{100 * value:.2f}{f' ± {100 * error:.2f}' if sure else ''} %"
        if self.energy:
            return si(value, "J") + (f" ± {si(error, 'J', 2)}" if sure else "")
        return text(float(value)) + (f" ± {text(float(error), 2)}" if sure else "")

    def axis(self, values: Any) -> dict[str, Any]:
        """Return its axis for ``values``, float64[n]."""
        if self.energy:
            return joules(words(self.name), values)
        own = np.asarray(values, float)
        own = own[np.isfinite(own) & (own > 0)]
        wide = not self.linear and len(own) and own.max() > 10 * own.min()
        return axis(self.title, **({"type": "log"} if wide else {}))


@dataclass(frozen=True)
class Found:
    """What a search left behind.

    Attributes
    ----------
    name : str
    about : dict
        ``design.json``.
    goals : list of Goal
    tables : dict of DataFrame
        By name (`TABLES`).
    hashes : dict of str
        SHA-256 of each, by file name.
    """

    name: str
    about: dict[str, Any]
    goals: list[Goal]
    tables: dict[str, pd.DataFrame]
    hashes: dict[str, str]

    @property
    def variables(self) -> list[str]:
        """Names of what was varied."""
        return list(self.about["design"]["variables"])

    @property
    def full(self) -> pd.DataFrame:
        """The points that were made as the study stands."""
        trials = self.tables["trials"]
        return trials[(trials["fidelity"] == self.about["levels"][-1]) & trials["failed"].isna()]


def read(folder: Path) -> Found:
    """Read a search.

    Parameters
    ----------
    folder : Path
        ``results/STUDY``.

    Raises
    ------
    UserError
        If a file that it must have is absent or damaged.
    """
    place = folder / "design"
    if not (place / "design.json").exists():
        raise UserError(f"{place}: found no design.json, allowed: the results of a search that has ended")
    about = files.read_json(place / "design.json")
    tables = {name: _table(place / f"{name}.csv") for name in TABLES}
    goals = [Goal(*(one[key] for key in ("name", "sign", "linear", "at_least", "at_most"))) for one in about["goals"]]
    hashes = {path.name: files.sha256_file(path) for path in sorted(place.glob("*.csv"))}
    return Found(about["study"], about, goals, tables, hashes)


def _table(path: Path) -> pd.DataFrame:
    """Return a table; one without rows may have no columns."""
    if path.exists() and not path.read_text(encoding="utf-8").strip():
        return pd.DataFrame()
    return files.read_table(path)
