"""What every source of writes hands to `calibration.counting.assemble`, whether it simulated or measured them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from spinloom import write_events

REST = -1  # in place of a pulse: the device was read again, or for the first time, and not written


@dataclass(frozen=True)
class Writes:
    """Writes to devices of one kind, and what it takes to make states and costs of them.

    Attributes
    ----------
    name : str
        Of the card.
    events : DataFrame
        One row per write, columns ``pulse`` int64, ``instance`` int64 (the device), ``replica`` int64 (the
        repetition), ``before`` float64 (NaN if the device was reset before the write), ``after`` float64; both in
        the unit of ``coordinate``. If writes were prepared in some way besides the pulse (a start position of a sweep),
        ``prepared`` int64 tells them apart: only those with the same pulse and preparation are repetitions. If equal
        writes share a row, ``count`` int64 is their number.
    pulses : DataFrame
        `calibration.card.tables.PULSES`, with energies and latency.
    coordinate : str
        What a device's condition is told in: ``position_m``, ``conductance_S`` or ``level`` (a number per state of a
        device that has states by nature).
    bounds : tuple of float
        Lowest and highest value of the coordinate that a device can have; outermost edges of the states.
    conductance : callable
        Coordinate -> conductance at the read voltage, S; float64 arrays of any shape.
    flags : dict
        ``volatile``, ``reset_before_write``, ``destructive_read``: bool.
    source : dict
        Goes to ``card.json``; has ``kind`` (simulated, measured, parametric).
    where : str
        File that errors name.
    lost : int
        Writes left out because their outcome is not of the device's states.
    edges : ndarray or None
        float64[K + 1], edges of states by nature, in the coordinate; None where the calibration chooses them.
    wells : tuple of float
        Where the device rests by design, rising, in the coordinate; empty: anywhere.
    labels : tuple of str
        Names of states by nature; empty otherwise.
    missing : str
        What a row without any write means: ``error``, or ``stay`` where the source knows that the device stays.
    laws : tuple of str
        Switching laws that ``auto`` tries, where the sign of the drive is the pulse's polarity; empty: the
        coordinate and the pulses tell which.
    meta : dict
        Further entries of ``card.json``.
    readings : DataFrame or None
        What was read of measured devices, noise included; None where ``events`` hold the states themselves. One row
        per reading, those of a series together and in the order of the measurement: ``series`` int64 (between two of
        its readings nothing happened but the pulse), ``instance`` int64, ``pulse`` int64 (applied since the reading
        before; `REST` if none was), ``value`` float64 in the unit of ``coordinate`` (NaN where the pulse was applied
        and the reading is missing).
    read_voltage_V, read_duration_s : float or None
        Of a read; None where only the study's read-out tells.
    assumed : tuple of str
        What is not known of the device, and what was assumed instead; a sentence each.
    read_noise_S : float or None
        Standard deviation of a reading where it is known; None: it is estimated.
    """

    name: str
    events: pd.DataFrame
    pulses: pd.DataFrame
    coordinate: str
    bounds: tuple[float, float]
    conductance: Callable[[np.ndarray], np.ndarray]
    flags: dict[str, bool]
    source: dict[str, Any]
    where: str
    lost: int = 0
    edges: np.ndarray | None = None
    wells: tuple[float, ...] = ()
    labels: tuple[str, ...] = ()
    missing: str = "error"
    laws: tuple[str, ...] = ()
    meta: dict[str, Any] = field(default_factory=dict)
    readings: pd.DataFrame | None = None
    read_voltage_V: float | None = None
    read_duration_s: float | None = None
    assumed: tuple[str, ...] = ()
    read_noise_S: float | None = None

    @property
    def count(self) -> np.ndarray:
        """Number of writes of each row of ``events``, int64[rows]."""
        return self.events["count"].to_numpy() if "count" in self.events else np.ones(len(self.events), dtype=np.int64)


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """Simulated writes as who simulated them tells them, before a calibration section makes `Writes` of them.

    Attributes
    ----------
    name : str
        Of the card.
    source : dict
        ``source`` of the card, with ``kind`` simulated: who simulated, and the hashes of what.
    events_file : Path
        Where the events were read; begins errors.
    means : spinloom.write_events.Writes
        What the events mean.
    pulses, events : DataFrame
        With the columns that ``means`` names.
    destructive_read : bool
        Reading changes the state.
    assumed : tuple of str
        What is not known of the device; a sentence each.
    meta : dict
        Further entries of ``card.json``.
    """

    name: str
    source: dict[str, Any]
    events_file: Path
    means: write_events.Writes
    pulses: pd.DataFrame
    events: pd.DataFrame
    destructive_read: bool = False
    assumed: tuple[str, ...] = ()
    meta: dict[str, Any] = field(default_factory=dict)
