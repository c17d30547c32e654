"""Energy and latency of one write, from circuit quantities.

The write energy is what the drivers spend, not what the magnet stores: Joule heat of the spin-orbit-torque line,
the charge of the gate, and the reset pulse before. It is the same for every write with the same pulse, so its
standard deviation is 0; cards of measured devices may carry another.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.constants import epsilon_0

from calibration.tables import entry


def line_energy(current_density, duration, resistivity: float, width: float, thickness: float, length: float):
    """Return the Joule heat of a current pulse in a straight line, J.

    E = I^2 R t with I = J w d and R = rho L / (w d), hence E = J^2 rho (w d L) t.

    Parameters
    ----------
    current_density : float or ndarray
        J, A/m^2; its sign does not matter.
    duration : float or ndarray
        t, s.
    resistivity, width, thickness, length : float
        rho (ohm m), w, d, L (m) of the heavy-metal line.
    """
    return np.square(current_density) * resistivity * (width * thickness * length) * duration


def gate_energy(voltage, relative_permittivity: float, width: float, length: float, thickness: float):
    """Return what the supply delivers to charge the gate and loses until it is discharged, C V^2, J.

    C = eps0 eps_r w L / d is a plate capacitor over the whole track. Half of C V^2 is lost while charging and
    the stored half while discharging.

    Parameters
    ----------
    voltage : float or ndarray
        V.
    relative_permittivity, width, length, thickness : float
        eps_r, w, L and d (m) of the gate dielectric.
    """
    return epsilon_0 * relative_permittivity * width * length / thickness * np.square(voltage)


def pulse_table(plan: pd.DataFrame, device: Any, device_path: str, config: Any, config_path: str) -> pd.DataFrame:
    """Return the card's pulses: the plan of the device stage with the energy and latency of one write.

    Latency is reset + pulse + settling. The reset's energy and time count only if the device is reset before
    each write. Polarity is the direction of the current, the quantity that pushes the wall.

    Parameters
    ----------
    plan : DataFrame
        `calibration.tables.PULSE_PLAN`.
    device, config : dict
        Device file (track geometry, ``gate_dielectric_thickness_m``, ``reset_before_write``) and calibration config
        (``write_energy``).
    device_path, config_path : str
        Their names, for errors.

    Returns
    -------
    DataFrame
        `calibration.tables.PULSES`.
    """
    length = entry(device, "track_length_m", device_path, least=0)
    width = entry(device, "track_width_m", device_path, least=0)
    reset = entry(device, "reset_before_write", device_path, bool)

    def material(key: str, least: float | None = 0) -> float:
        return entry(config, f"write_energy.{key}", config_path, least=least)

    thickness = entry(device, "gate_dielectric_thickness_m", device_path, least=0)
    line = (material("resistivity_ohm_m"), width, material("heavy_metal_thickness_m"), length)
    gate = (material("gate_relative_permittivity"), width, length, thickness)
    reset_time = material("reset_duration_s", least=None) if reset else 0.0
    reset_energy = line_energy(material("reset_current_density_A_per_m2", least=None), reset_time, *line)

    sot = line_energy(plan["current_density_A_per_m2"], plan["duration_s"], *line)
    charge = gate_energy(plan["voltage_V"], *gate)
    return pd.DataFrame(
        {
            "pulse": plan["pulse"],
            "channel": plan["channel"],
            "voltage_V": plan["voltage_V"],
            "current_density_A_per_m2": plan["current_density_A_per_m2"],
            "duration_s": plan["duration_s"],
            "polarity": np.sign(plan["current_density_A_per_m2"]).astype("int64"),
            "temperature_K": plan["temperature_K"],
            "energy_mean_J": sot + charge + reset_energy,
            "energy_sd_J": 0.0,
            "energy_sot_J": sot,
            "energy_gate_J": charge,
            "energy_reset_J": float(reset_energy),
            "latency_s": reset_time + plan["duration_s"] + plan["settle_s"],
        }
    )
