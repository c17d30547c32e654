"""Quantities that follow from the constants of a device, for the expressions of a search."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from device_sims.devices import REGISTRY
from device_sims.devices.junctions import mtj
from device_sims.problem import MU0
from spinloom.errors import UserError


def _effective(material: dict[str, Any]) -> float:
    return material["Ku_J_per_m3"] - MU0 * material["Ms_A_per_m"] ** 2 / 2


def _stability(family: str, section: dict[str, Any]) -> float:
    options = REGISTRY.get(family).Options
    if not issubclass(options, mtj.Options):
        raise KeyError(family)
    return mtj.stability(options.parse(section, "design", f"device_sims.{family}"))


# name -> (what it is, how it follows from family and section)
DERIVED: dict[str, tuple[str, Callable[[str, dict[str, Any]], float]]] = {
    "K_eff_J_per_m3": (
        "effective anisotropy of a thin film at zero voltage, Ku - mu0 Ms^2/2",
        lambda family, own: _effective(own["material"]),
    ),
    "D_critical_J_per_m2": (
        "interfacial DMI at which walls cost nothing, 4 sqrt(A K_eff)/pi (Rohart and Thiaville, PRB 88, 184422, eq. 8)",
        lambda family, own: 4 * math.sqrt(own["material"]["A_J_per_m"] * _effective(own["material"])) / math.pi,
    ),
    "exchange_length_m": (
        "exchange length, sqrt(2 A/(mu0 Ms^2))",
        lambda family, own: math.sqrt(2 * own["material"]["A_J_per_m"] / MU0) / own["material"]["Ms_A_per_m"],
    ),
    "wall_width_m": (
        "width parameter of a wall, sqrt(A/K_eff)",
        lambda family, own: math.sqrt(own["material"]["A_J_per_m"] / _effective(own["material"])),
    ),
    "thermal_stability": ("barrier of a junction's disc as one moment over k_B T", _stability),
}


def value(name: str, config: dict[str, Any]) -> float:
    """Return a derived quantity of the device that a config simulates; SI units, of each as `DERIVED` says.

    Raises
    ------
    UserError
        If the device has no such constants, or does not come from a simulation.
    ValueError
        If they give it no value, as a negative K_eff gives no wall.
    """
    family = config["device_sims"]["device"]
    if config["calibration"]["source"]["kind"] != "simulation":
        raise UserError(f"design: found {name}, allowed: in a study whose device is simulated")
    try:
        return DERIVED[name][1](family, config["device_sims"][family])
    except (KeyError, TypeError):
        raise UserError(f"design: found {name}, allowed: of a device that has these constants, not {family}") from None
