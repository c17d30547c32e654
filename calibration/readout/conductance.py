"""What a device conducts and what a read of it costs: tunnel junctions, uniform or with a wall under them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from calibration.counting.writes import Writes
from calibration.sections import Readout


@dataclass(frozen=True)
class Junction:
    """A magnetic tunnel junction, part of whose free layer is parallel to the reference layer.

    The parts conduct side by side: ``G = G_P x + G_AP (1 - x)`` for a parallel share x, with ``G_P = area / RA`` and
    ``G_AP = G_P / (1 + TMR(V))``. The magnetoresistance falls with the voltage, ``TMR(V) = TMR / (1 + (V/V_h)^2)``,
    V_h being the voltage at which half of it is left (Zhang et al., IEEE Trans. Electron Devices 59, 819 (2012)).

    Parameters
    ----------
    area : float
        m^2.
    resistance_area : float
        Resistance-area product of the parallel junction, ohm m^2.
    tmr : float
        Tunnel magnetoresistance ratio (R_AP - R_P) / R_P at zero voltage, e.g. 1.5 for 150 %.
    half_voltage : float or None
        V_h, V; None if the ratio does not fall.
    """

    area: float
    resistance_area: float
    tmr: float
    half_voltage: float | None = None

    @property
    def parallel_S(self) -> float:
        """Conductance of the parallel state, S."""
        return self.area / self.resistance_area

    def antiparallel_S(self, voltage: float = 0.0) -> float:
        """Return the conductance of the antiparallel state at ``voltage`` (V), S."""
        ratio = self.tmr if self.half_voltage is None else self.tmr / (1 + (voltage / self.half_voltage) ** 2)
        return self.parallel_S / (1 + ratio)

    def conductance(self, parallel: np.ndarray, voltage: float = 0.0) -> np.ndarray:
        """Return G in S for parallel shares 0..1 (float64, any shape) at ``voltage`` (V)."""
        share = np.asarray(parallel, dtype=np.float64)
        return self.parallel_S * share + self.antiparallel_S(voltage) * (1 - share)


def readout_of(writes: Writes, readout: Readout) -> Readout:
    """Return the study's read-out with what is known of the reads of a measured device in its place."""
    own = {"read_voltage_V": writes.read_voltage_V, "read_duration_s": writes.read_duration_s}
    return readout.model_copy(update={name: value for name, value in own.items() if value is not None})


def assumed_of_reads(writes: Writes, readout: Readout, noise_S: float | np.ndarray | None) -> tuple[str, ...]:
    """Return a sentence for each quantity of a read that is the study's read-out's and not the device's.

    ``noise_S``, float or float64[states], is the standard deviation of a read if it is known, S.
    """
    told = []
    if writes.read_voltage_V is None:
        told.append(
            f"The read voltage is that of the study's read-out, {readout.read_voltage_V:g} V (option read_voltage_V)."
        )
    if writes.read_duration_s is None:
        told.append(
            f"The duration of a read is that of the study's read-out, {readout.read_duration_s:g} s (option "
            "read_duration_s)."
        )
    if noise_S is None:
        told.append(
            f"The read noise is that of the study's read-out, {readout.noise_fraction:g} of the conductance: the data "
            "do not tell it from the spread of writes (option read_noise_S)."
        )
    return tuple(told)


def read_table_of(conductance: np.ndarray, readout: Readout, noise_S: float | np.ndarray | None = None) -> pd.DataFrame:
    """Return what one read of each state costs and how noisy it is.

    Energy is V^2 G t of the junction alone; the noise is ``noise_fraction`` of the state's own conductance,
    if it is not known.

    Parameters
    ----------
    conductance : ndarray, float64[states]
        Mean conductance of each state, S.
    readout : Readout
    noise_S : float or None, or float64[states]
        Standard deviation of a read if it is known, S; of any state, or of each.

    Returns
    -------
    DataFrame
        `calibration.card.tables.READS`.
    """
    voltage, duration = readout.read_voltage_V, readout.read_duration_s
    return pd.DataFrame(
        {
            "state": np.arange(len(conductance)),
            "read_voltage_V": voltage,
            "energy_J": voltage**2 * conductance * duration,
            "latency_s": duration,
            "noise_sd_S": readout.noise_fraction * conductance if noise_S is None else noise_S,
        }
    )
