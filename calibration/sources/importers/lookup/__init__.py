"""Published lookup tables of the change of the conductance under one pulse, one module for each layout of files.

A layout defines ``SHOWN``, its files in words, ``is_here(folder)``, and ``read(folder, device, scale) -> Found``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from calibration.sources.importers.lookup.lattice import Pieces


@dataclass(frozen=True)
class Step(ABC):
    """The change of the conductance under one pulse.

    Attributes
    ----------
    conductance_S : ndarray, float64[n]
        Where it is told; strictly increasing.
    """

    conductance_S: np.ndarray

    @property
    @abstractmethod
    def ends_S(self) -> np.ndarray:
        """Lowest and highest conductance of the device, S, float64[2]."""

    @abstractmethod
    def change(self, conductance: float) -> Pieces:
        """Return the distribution of the change, S, at a conductance between the ends, S."""

    @property
    def mean_change_S(self) -> float:
        """Mean change over the conductances where it is told, S."""
        return float(np.mean([self.change(conductance).mean for conductance in self.conductance_S]))

    def landing(self, conductance: float) -> Pieces:
        """Return the distribution of the conductance, S, after a pulse.

        Parameters
        ----------
        conductance : float
            S. Outside of the device's conductances it stands at their nearer end.

        Returns
        -------
        Pieces
            What would leave the device's conductances stays at their end.
        """
        conductance = float(np.clip(conductance, *self.ends_S))
        step = self.change(conductance)
        return Pieces(conductance + step.low, conductance + step.high, step.weight).clipped(*self.ends_S)


@dataclass(frozen=True)
class Device:
    """The tables of one device.

    Attributes
    ----------
    up, down : Step
        With the same ``ends_S``.
    names : tuple of str
        Files that tell the steps up and down.
    files : tuple of Path
        All its files.
    """

    up: Step
    down: Step
    names: tuple[str, str]
    files: tuple[Path, ...]


@dataclass(frozen=True)
class Found:
    """What a folder holds.

    Attributes
    ----------
    devices : dict of str to Device
        By label, in order.
    rows : int
        Number of values read.
    notes : tuple of str
        What the user should know, one line each.
    """

    devices: dict[str, Device]
    rows: int
    notes: tuple[str, ...]
