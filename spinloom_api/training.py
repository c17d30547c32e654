"""One training in this process, without Snakemake."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from network.commands import train as job
from network.training import settings
from spinloom.errors import UserError
from spinloom.files import read_table
from spinloom_api.card import Card
from spinloom_api.shown import facts, with_units
from spinloom_api.study import Study

__all__ = ["Training", "train"]


class Training:
    """What a training left; made by `train`.

    Attributes
    ----------
    folder : Path
        Holds the tables of the run, and a checkpoint.
    """

    def __init__(self, folder: Path, kept: tempfile.TemporaryDirectory[str] | None):
        self.folder, self._kept = folder, kept

    def __repr__(self) -> str:
        """Return rule and accuracy."""
        return f"<training by {self.history['rule'].iloc[-1]}: test accuracy {self.accuracy:.2%}>"

    def _repr_html_(self) -> str:
        last = self.history.iloc[-1]
        return facts(
            f"Training: {last['variant']}",
            {
                "rule": last["rule"],
                "test accuracy": f"{last['test_accuracy']:.2%} after epoch {last['epoch']}",
                "validation accuracy": f"{last['validation_accuracy']:.2%}",
                "writes": f"{self.history['writes'].sum():,}",
                "folder": self.folder,
            },
        )

    @property
    def accuracy(self) -> float:
        """Test accuracy after the last epoch, 0 to 1."""
        return float(self.history["test_accuracy"].iloc[-1])

    @property
    def history(self) -> pd.DataFrame:
        """One row per epoch, 0 being the first programming; ``attrs["units"]`` has the units, as of all tables."""
        return self._table("history")

    @property
    def confusion(self) -> pd.DataFrame:
        """Test images by true and by predicted class."""
        return self._table("confusion")

    @property
    def evaluations(self) -> pd.DataFrame:
        """Further tests of the trained network."""
        return self._table("evaluations")

    @property
    def programming(self) -> pd.DataFrame:
        """Stages of closed-loop programming."""
        return self._table("programming")

    def _table(self, name: str) -> pd.DataFrame:
        return with_units(read_table(self.folder / f"{name}.csv"))


def train(
    card: Card | None,
    network: Mapping[str, Any] | Study,
    rule: str | None = None,
    *,
    seed: int | None = None,
    replicate: int = 0,
    folder: str | Path | None = None,
    **rule_options: Any,
) -> Training:
    """Train a network of a card's devices, to the bytes of a study's training of the same config, seed and replicate.

    Parameters
    ----------
    card : Card or None
        None for a rule that uses none.
    network : mapping or Study
        Keys of the config's section ``network`` (docs/config/network.md); of a study,
        what its first variant trains with. `Study.training` returns that of another variant.
    rule : str, optional
        Learning rule in place of the network's, whose options are then left out.
    seed : int, optional
        In place of the network's; without one 0.
    replicate : int
        Which of the trainings with this seed.
    folder : path, optional
        Of the run, which goes on there after an interruption. None: a temporary one, which goes with the result.
    **rule_options
        Options of the rule, over those of the network.

    Raises
    ------
    UserError
        If a key is missing, unknown or wrong, or the rule cannot use the devices.
    """
    section = network.training() if isinstance(network, Study) else dict(network)
    if section.get("variants"):
        raise UserError("network.variants: found some, allowed for one training: none (Study.training has one of them)")
    if rule is not None and rule != section.get("rule"):
        section |= {"rule": rule, "rule_options": {}, "variant": rule}
    section["rule_options"] = {**(section.get("rule_options") or {}), **rule_options}
    section["seed"] = section.get("seed", 0) if seed is None else seed
    config = settings.check(section, "network")
    kept = tempfile.TemporaryDirectory(prefix="spinloom-") if folder is None else None
    place = Path(kept.name if kept is not None else str(folder))
    job.train(config, replicate, place, card=None if card is None else card.content)
    return Training(place, kept)
