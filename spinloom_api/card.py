"""Kernel cards in Python: read, taken from the library, made of measured data; sampled, drawn, exported."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from calibration import exports
from calibration.card import KernelCard, Meta
from calibration.config import Stage
from calibration.consequences.derive import with_derived
from calibration.sources import build, importers
from calibration.sources import library as recipes
from calibration.tools import figures, make_card
from calibration.tools.sample import sample as drawn
from spinloom.errors import UserError
from spinloom.files import write_csv
from spinloom.quantities import pulse_names, si
from spinloom.streams import generator
from spinloom_api.shown import facts, with_units

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Card", "from_writes", "import_", "library", "read"]


class Card:
    """A device: its states, its pulses, and what each pulse makes of each state.

    Made by `read`, `library`, `from_writes` and `import_`. Cards with the same tables are equal.

    Attributes
    ----------
    content : KernelCard
        The card as the stages see it.
    notes : tuple of str
        What an import had to say.
    """

    def __init__(self, content: KernelCard, notes: Sequence[str] = ()):
        self.content, self.notes = content, tuple(notes)

    def __repr__(self) -> str:
        """Return name, sizes and digest."""
        return f"<card {self.meta.name}: {len(self.states)} states, {len(self.pulses)} pulses, {self.hash[:12]}>"

    def __eq__(self, other: object) -> bool:
        """Return whether the other is a card of the same tables."""
        return isinstance(other, Card) and other.hash == self.hash

    def __hash__(self) -> int:
        """Return a hash of the tables' digest."""
        return hash(self.hash)

    def _repr_html_(self) -> str:
        conductance, energy = self.states["conductance_S"], self.pulses["energy_mean_J"]
        names = pulse_names(self.pulses)
        return facts(
            f"Kernel card: {self.meta.name}",
            {
                "states": f"{len(self.states)}, {si(conductance.min(), 'S')} to {si(conductance.max(), 'S')}",
                "pulses": f"{len(names)}: {'; '.join(names[:8])}" + ("; ..." if len(names) > 8 else ""),
                "can be used as": ", ".join(self.content.kinds()),
                "writes behind it": f"{self.meta.events:,}",
                "energy of a write": None if energy.isna().any() else si(energy.mean(), "J") + ", mean over pulses",
                "devices": len(self.population),
                "assumed": "; ".join(self.meta.assumed) or None,
                "warnings": "; ".join(self.meta.warnings) or None,
                "notes": "; ".join(self.notes) or None,
                "SHA-256": self.hash[:16],
            },
        )

    @property
    def meta(self) -> Meta:
        """Content of ``card.json``."""
        return self.content.meta

    @property
    def hash(self) -> str:
        """SHA-256 of the tables."""
        return self.content.hash

    @property
    def states(self) -> pd.DataFrame:
        """One row per state, in ascending position; ``attrs["units"]`` has the units, as of all tables."""
        return with_units(self.content.states)

    @property
    def pulses(self) -> pd.DataFrame:
        """One row per pulse."""
        return with_units(self.content.pulses)

    @property
    def transitions(self) -> pd.DataFrame:
        """One row per pulse, state before and state after: probability, interval, count."""
        return with_units(self.content.transitions)

    @property
    def population(self) -> pd.DataFrame:
        """One row per device."""
        return with_units(self.content.population)

    @property
    def reads(self) -> pd.DataFrame:
        """One row per state: noise and energy of a read."""
        return with_units(self.content.reads)

    @property
    def kernel(self) -> np.ndarray:
        """P(state after), float64[pulses, states before, states after]."""
        return self.content.kernel

    def sample(
        self, state: int | Sequence[int] | np.ndarray, pulse: int, size: int | None = None, *, seed: int = 0
    ) -> np.ndarray:
        """Draw states after a pulse, each draw independent of the others.

        Parameters
        ----------
        state : int or array of int
            Before the pulse, of any shape.
        pulse : int
            Its number.
        size : int, optional
            How many draws from one state.
        seed : int
            Names the stream, with the card's hash and the pulse: give each pulse of a train a seed of its own.

        Returns
        -------
        int64[size], or of the shape of ``state``

        Raises
        ------
        UserError
            If there is no such pulse or state.
        """
        states, pulses = len(self.content.states), len(self.content.pulses)
        before = np.asarray(state)
        if not isinstance(pulse, (int, np.integer)) or not 0 <= pulse < pulses:
            raise UserError(f"pulse: found {pulse}, allowed: whole numbers from 0 to {pulses - 1}")
        if before.size and (before.dtype.kind not in "iu" or before.min() < 0 or before.max() >= states):
            raise UserError(f"state: found {state}, allowed: whole numbers from 0 to {states - 1}")
        if size is not None:
            if before.ndim:
                raise UserError(f"size: found {size} with an array of states, allowed: with one state")
            before = np.full(size, before)
        chance = generator(seed, "states after a pulse", self.hash, int(pulse)).random(before.shape)
        edges = np.cumsum(self.kernel[pulse], axis=-1)[before.astype(np.int64)][..., :-1]  # the last has the rest
        return (chance[..., None] >= edges).sum(axis=-1)

    def posterior(self, number: int = 0, *, seed: int = 0) -> Card:
        """Return draw ``number`` from the card's posterior, as ``python -m calibration sample`` does.

        Raises
        ------
        UserError
            If the number is negative.
        """
        return Card(with_derived(drawn(self.content, seed, number)).validate())

    def plot(self) -> Figure:
        """Return the figure of what each pulse does.

        Of two states it is P(switch) against the drive, with intervals and fitted laws; of more, the mean step of each
        pulse against the conductance before (µS), with its standard deviation.
        """
        from matplotlib import pyplot

        pyplot.get_backend()  # with a notebook's backend, this lets the notebook show figures
        return figures.writes_by_pulse(self.content, None)

    def write(self, folder: str | Path) -> None:
        """Write the card into a folder; `UserError` if that cannot be."""
        self.content.write(folder)

    def export(self, format: str, folder: str | Path, **options: Any) -> pd.DataFrame:
        """Write the card as files of another program, as ``python -m calibration export`` does.

        Parameters
        ----------
        format : str
            As ``crosssim``; docs/exports.md has all.
        folder : path
        **options
            Of the format.

        Returns
        -------
        DataFrame
            What the files do not say of the card, or say otherwise, in numbers; empty if nothing.

        Raises
        ------
        UserError
            If the format cannot hold the device, or an option is wrong.
        """
        made = exports.export(self.content, format.replace("-", "_"), options)
        exports.write(made, Path(folder))
        return made.table()


def read(folder: str | Path) -> Card:
    """Return the card in a folder; `UserError` if there is none, or it breaks the contract."""
    return Card(KernelCard.read(folder))


@overload
def library() -> list[str]: ...


@overload
def library(name: str) -> Card: ...


def library(name: str | None = None) -> Card | list[str]:
    """Return a card of the library, or the names of all (docs/cards.md).

    Raises
    ------
    UserError
        If there is none of that name.
    """
    if name is None:
        return recipes.names()
    recipes.recipe(name)  # which refuses a name that is none
    return Card(make_card.card_of(name))


def import_(
    file: str | Path,
    format: str | None = None,
    *,
    calibration: Mapping[str, Any] | None = None,
    **options: Any,
) -> Card:
    """Return the card of a measured device, as ``python -m calibration import`` makes it.

    Parameters
    ----------
    file : path
        File or folder (docs/import.md).
    format : str, optional
        How it is laid out; None: as it looks.
    calibration : mapping, optional
        Keys of the config's section ``calibration``, over those of config.yaml with states found by themselves
        (``{"states": {"method": "auto"}}``).
    **options
        Of the format.

    Raises
    ------
    UserError
        Names the file, the row and the column, or the option.
    """
    own = make_card.section(None).dump()
    own["source"] |= {"kind": "import", "file": str(file), "format": format, "options": options}
    own["states"] = {"method": "auto", "misread": own["states"]["misread"]}
    for name, value in (calibration or {}).items():
        both = isinstance(value, Mapping) and isinstance(own.get(name), dict)
        own[name] = {**own[name], **value} if both else value
    # a matrix product may depend on the number of threads, and a card must not
    with threadpool_limits(1):
        made, imported = build.make(Stage.parse(own, "calibration"), "calibration", None)
    said = imported.notes if imported is not None else ()
    dropped = len(imported.report) if imported is not None else 0
    left_out = (f"{dropped} values or rows of the file left out",) if dropped else ()
    return Card(made, (*said, *left_out))


def from_writes(
    writes: pd.DataFrame, format: str = "events", *, calibration: Mapping[str, Any] | None = None, **options: Any
) -> Card:
    """Return the card of a table of writes in memory.

    Parameters
    ----------
    writes : DataFrame
        One row per write, with columns as the format reads them in a file (docs/import.md).
    format : str
        Of `import_`.
    calibration : mapping, optional
        As of `import_`.
    **options
        Of the format.

    Raises
    ------
    UserError
        Names the column or the row.
    """
    importers.REGISTRY.get(format)
    with tempfile.TemporaryDirectory(prefix="spinloom-") as folder:
        path = Path(folder) / "writes.csv"
        write_csv(writes, path)
        return import_(path, format, calibration=calibration, **options)
