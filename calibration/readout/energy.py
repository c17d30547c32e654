"""Energy of one write by mechanism, from circuit quantities.

The write energy is what the drivers spend, not what the magnet stores: Joule heat of the spin-orbit-torque line and of
the junction, the charge of the gate, the reset pulse before, the clock that moves a wall by a field. Drivers,
converters and wires are the network stage's.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.constants import epsilon_0

from spinloom.quantities import DRIVES

MECHANISMS = ("sot", "junction", "gate", "reset")


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


def gate_energy(voltage, relative_permittivity: float, area: float, thickness: float):
    """Return what the supply delivers to charge the gate and loses until it is discharged, C V^2, J.

    C = eps0 eps_r A / d is a plate capacitor. Half of C V^2 is lost while charging and the stored half while
    discharging.

    Parameters
    ----------
    voltage : float or ndarray
        V.
    relative_permittivity, area, thickness : float
        eps_r, A (m^2) and d (m) of the gate dielectric: the barrier (VCMA) or the piezoelectric (strain).
    """
    return epsilon_0 * relative_permittivity * area / thickness * np.square(voltage)


def junction_energy(voltage, duration, conductance):
    """Return the Joule heat of a voltage pulse across a junction, V^2 t G, J; arguments in V, s, S."""
    return np.square(voltage) * duration * conductance


def pulse_table(
    pulses: pd.DataFrame, parts: dict, latency: pd.Series | float, sd: np.ndarray | float = 0.0
) -> pd.DataFrame:
    """Return the card's pulses: ``pulses`` with the energy and latency of one write.

    Parameters
    ----------
    pulses : DataFrame
        Columns of `calibration.card.tables.PULSES` up to ``temperature_K``; drives that a device does not have may
        lack.
    parts : dict of float or float64[pulses]
        Mean energy by mechanism (`MECHANISMS`, and ``clock``, which has no column of its own), J.
    latency, sd : float or float64[pulses]
        Time of one write, s; standard deviation of its energy between writes, J.

    Returns
    -------
    DataFrame
        `calibration.card.tables.PULSES`.
    """
    table = pulses.assign(**{name: np.nan for name in DRIVES if name not in pulses})
    table = table.assign(energy_mean_J=sum(parts.values()) + np.zeros(len(pulses)), energy_sd_J=sd)
    return table.assign(**{f"energy_{name}_J": parts.get(name, np.nan) for name in MECHANISMS}, latency_s=latency)
