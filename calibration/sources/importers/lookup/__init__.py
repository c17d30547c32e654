"""Published lookup tables of the change of the conductance under one pulse, one module for each layout of files.

A layout defines ``SHOWN``, its files in words, ``is_here(folder)``, and ``read(folder, device, scale) -> Found``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from calibration.sources.importers.lattice import Pieces


class Step(Protocol):
    """The change of the conductance under one pulse."""

    @property
    def ends_S(self) -> np.ndarray:
        """Lowest and highest conductance of the device, S, float64[2]."""
        ...

    @property
    def mean_change_S(self) -> float:
        """Mean change over the table's conductances, S."""
        ...

    def landing(self, conductance: float) -> Pieces:
        """Return the distribution of the conductance, S, after a pulse at ``conductance``, S."""
        ...


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
