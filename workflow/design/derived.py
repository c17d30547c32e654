"""Quantities that follow from the constants of a device, for the expressions of a search."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from device_sims.config import Stage
from device_sims.devices import REGISTRY
from device_sims.devices.junctions import mtj
from device_sims.devices.tracks.notch_pair import NotchPair
from device_sims.engines.collective import pinning
from device_sims.problem import BOLTZMANN, MU0
from spinloom.errors import UserError
from workflow.study import config as study_config


def _effective(material: dict[str, Any]) -> float:
    return material["Ku_J_per_m3"] - MU0 * material["Ms_A_per_m"] ** 2 / 2


def _stability(config: dict[str, Any]) -> float:
    stage = config["device_sims"]
    family = stage["device"]
    options = REGISTRY.get(family).Options
    if not issubclass(options, mtj.Options):
        raise KeyError(family)
    return mtj.stability(options.parse(stage[family], "design", f"device_sims.{family}"))


def _wall_barrier(config: dict[str, Any]) -> float:
    """Return the barrier between the first two notches of a short straight track over k_B T; errors as of `Stage`."""
    name = config["device_sims"]["device"]
    two_notches = getattr(REGISTRY.get(name), "two_notches", None)
    if two_notches is None:
        raise KeyError(name)
    section = Stage.parse(study_config.section(config, "device_sims"), "design")
    pair: NotchPair = two_notches(section)
    found = pinning.pinning(pair.problem)
    reach = (pair.second_m - pair.first_m) / 4
    well = found.energy_J[abs(found.place_m - pair.first_m) < reach].min()
    top = found.energy_J[(found.place_m > pair.first_m) & (found.place_m < pair.second_m)].max()
    return float(top - well) / (BOLTZMANN * section.options.temperature_K)


def _film(formula: Callable[[dict[str, Any]], float]) -> Callable[[dict[str, Any]], float]:
    """Return a formula of a material as one of a config."""
    return lambda config: formula(config["device_sims"][config["device_sims"]["device"]]["material"])


# name -> (what it is, how it follows from a config)
DERIVED: dict[str, tuple[str, Callable[[dict[str, Any]], float]]] = {
    "K_eff_J_per_m3": (
        "effective anisotropy of a thin film at zero voltage, Ku - mu0 Ms^2/2",
        _film(_effective),
    ),
    "D_critical_J_per_m2": (
        "interfacial DMI at which walls cost nothing, 4 sqrt(A K_eff)/pi (Rohart and Thiaville, PRB 88, 184422, eq. 8)",
        _film(lambda own: 4 * math.sqrt(own["A_J_per_m"] * _effective(own)) / math.pi),
    ),
    "exchange_length_m": (
        "exchange length, sqrt(2 A/(mu0 Ms^2))",
        _film(lambda own: math.sqrt(2 * own["A_J_per_m"] / MU0) / own["Ms_A_per_m"]),
    ),
    "wall_width_m": (
        "width parameter of a wall, sqrt(A/K_eff)",
        _film(lambda own: math.sqrt(own["A_J_per_m"] / _effective(own))),
    ),
    "thermal_stability": ("barrier of a junction's disc as one moment over k_B T", _stability),
    "wall_barrier_kT": (
        "barrier between two notches of a straight track by the 1-D model over k_B T; a quarter to a third above "
        "micromagnetics, whose wall bends",
        _wall_barrier,
    ),
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
        return DERIVED[name][1](config)
    except (KeyError, TypeError):
        raise UserError(f"design: found {name}, allowed: of a device that has these constants, not {family}") from None
