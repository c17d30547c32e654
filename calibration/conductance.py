"""Wall position -> conductance of the tunnel junction above the track."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from calibration.tables import entry


@dataclass(frozen=True)
class Junction:
    """A magnetic tunnel junction whose free layer is the whole track.

    The part of the track behind the wall, 0..x, is parallel to the reference layer and conducts well; the part
    ahead of it, x..L, is antiparallel. The two parts conduct side by side, so

        G(x) = G_P x/L + G_AP (1 - x/L),   G_P = w L / RA,   G_AP = G_P / (1 + TMR).

    Parameters
    ----------
    length, width : float
        Of the track, m.
    resistance_area : float
        Resistance-area product of the parallel junction, ohm m^2.
    tmr : float
        Tunnel magnetoresistance ratio (R_AP - R_P) / R_P, e.g. 1.5 for 150 %.
    """

    length: float
    width: float
    resistance_area: float
    tmr: float

    @classmethod
    def from_files(cls, device: Any, device_path: str, config: Any, config_path: str) -> Junction:
        """Take the geometry from the device file and the materials from ``readout`` of the config."""
        return cls(
            length=entry(device, "track_length_m", device_path, least=0),
            width=entry(device, "track_width_m", device_path, least=0),
            resistance_area=entry(config, "readout.RA_ohm_m2", config_path, least=0),
            tmr=entry(config, "readout.TMR", config_path, least=0),
        )

    @property
    def parallel_S(self) -> float:
        """Conductance with the wall at the far end, S."""
        return self.width * self.length / self.resistance_area

    @property
    def antiparallel_S(self) -> float:
        """Conductance with the wall at the start, S."""
        return self.parallel_S / (1 + self.tmr)

    @property
    def slope_S_per_m(self) -> float:
        """dG/dx, S/m; the same everywhere."""
        return (self.parallel_S - self.antiparallel_S) / self.length

    def conductance(self, position: np.ndarray) -> np.ndarray:
        """Return G(x) in S for wall positions in m (float64, any shape)."""
        share = np.asarray(position) / self.length
        return self.parallel_S * share + self.antiparallel_S * (1 - share)


def read_table_of(conductance: np.ndarray, config: Any, where: str) -> pd.DataFrame:
    """Return what one read of each state costs and how noisy it is.

    Energy is V^2 G t of the junction alone; the noise is ``noise_fraction`` of the state's own conductance.

    Parameters
    ----------
    conductance : ndarray, float64[states]
        Mean conductance of each state, S.
    config : dict
        Calibration config; uses ``readout``.
    where : str
        Name of the config file, for errors.

    Returns
    -------
    DataFrame
        `calibration.tables.READS`.
    """
    voltage = entry(config, "readout.read_voltage_V", where)
    duration = entry(config, "readout.read_duration_s", where, least=0)
    noise = entry(config, "readout.noise_fraction", where)
    return pd.DataFrame(
        {
            "state": np.arange(len(conductance)),
            "read_voltage_V": voltage,
            "energy_J": voltage**2 * conductance * duration,
            "latency_s": duration,
            "noise_sd_S": noise * conductance,
        }
    )
