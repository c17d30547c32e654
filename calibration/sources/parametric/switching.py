"""A junction of two states, AP (0) and P (1), with a law of `calibration.laws` for each direction.

    P01 = P_up(V, t, T),   P10 = P_down(-V, t, T),   rows [[1 - P01, P01], [P10, 1 - P10]],

as every law counts the voltage positive in its own direction: the sign of the pulse selects which of the two can
happen, and what the other one does against the voltage is its law's answer there (a floor, or thermal activation over
a raised barrier), not set to zero. At most one switching per pulse: what goes back within the pulse is in the laws'
plateau.
"""

from __future__ import annotations

from itertools import product
from types import ModuleType
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from calibration import laws
from calibration.card import retention
from calibration.consequences import half_select
from calibration.laws.fitting import Fit
from calibration.sources.parametric.macrospin import Macrospin, derive
from calibration.sources.parametric.parts import binary, stated_law
from spinloom.declare import Real, Section, key
from spinloom.errors import UserError


class Law(Section):
    """Law of one direction."""

    name: Literal["neel_brown", "precessional", "logistic", "logistic_plateau"] = key("Name of the law (docs/laws.md).")
    parameters: dict[str, Real] | None = key(
        "Parameters of the law. Without them, they are computed from `macrospin`.", absent=True
    )


class Pulses(Section):
    """The pulses of the card: all combinations of these lists."""

    voltages_V: tuple[Annotated[Real, Field(ge=-100, le=100)], ...] = key(
        "Voltages with their sign. A positive voltage drives towards P, which is state 1.",
        min_length=1,
    )
    durations_s: tuple[Annotated[Real, Field(gt=0, le=1)], ...] = key("Lengths of the pulse.", min_length=1)
    temperatures_K: tuple[Annotated[Real, Field(gt=0, le=1500)], ...] = key(
        "Temperatures of the device.", (300.0,), min_length=1
    )


class Retention(Section):
    """Energy barriers at rest, and the temperatures for which rates of losing a state are computed."""

    thermal_stability: tuple[Annotated[Real, Field(ge=0, le=10000)], ...] | None = key(
        "Energy barriers divided by kB T, at `reference_temperature_K`: to leave state 0, and to leave state "
        "1. Without them, they are computed from `macrospin`.",
        absent=True,
        min_length=2,
        max_length=2,
    )
    reference_temperature_K: Real = key(
        "Temperature at which the barriers are given in units of kB T.", 300, gt=0, le=1500
    )
    attempt_time_s: Real = key("Attempt time tau0.", 1e-09, gt=0, le=1e-06)
    temperatures_K: tuple[Annotated[Real, Field(gt=0, le=1500)], ...] = key(
        "Temperatures for which rates are computed.",
        min_length=1,
    )


class Options(Section):
    """A device of two states, with a law of switching for each direction.

    A positive voltage drives from AP (0) to P (1), a negative one from P to AP.
    """

    channel: Literal["junction", "sot"] = key(
        "What the pulses act through: the junction itself, or a line with a spin-orbit torque.", "junction"
    )
    law_up: Law = key("Law of switching from AP to P.")
    law_down: Law = key("Law of switching from P to AP.")
    macrospin: Macrospin | None = key(
        "Constants from which barrier and critical voltage are computed (docs/cards/own.md).", absent=True
    )
    pulses: Pulses = key("The pulses of the card: all combinations of these lists.")
    half_select_fractions: tuple[Annotated[Real, Field(gt=0, lt=1)], ...] = key(
        "Parts of the voltage that cells beside the written one see. If the list is empty, nothing is "
        "computed for them.",
        (),
    )
    retention: Retention | None = key(
        "Energy barriers at rest, and the temperatures for which rates of losing a state are computed.", absent=True
    )


VOLATILE = False
LAW = "P01 by law_up at V, P10 by law_down at -V; formulas and sources in docs/laws.md"
# parameter that a law has but a list of constants cannot tell
_DERIVABLE = {
    "neel_brown": ("thermal_stability", "critical_voltage_V", "reference_temperature_K", "tau0_s"),
    "precessional": (
        "characteristic_time_s",
        "critical_voltage_V",
        "initial_angle_sd_rad",
        "reference_temperature_K",
    ),
}


def complete(own: Options, where: str) -> Options:
    """Return ``own`` with the parameters of both laws in place, derived from ``macrospin`` where absent.

    Raises
    ------
    UserError
        If a parameter is unknown, absent, or used outside of where its law holds.
    """
    derived = None if own.macrospin is None else derive(own.macrospin, where)
    whole: dict[str, Any] = {way: _law(own, way, derived, where) for way in ("law_up", "law_down")}
    if own.retention is not None and own.retention.thermal_stability is None:
        if derived is None:
            raise UserError(
                f"{where}: switching.retention: key 'thermal_stability' is missing, and there is no macrospin"
            )
        barriers = (derived["thermal_stability"],) * 2
        rest = {"thermal_stability": barriers, "reference_temperature_K": derived["reference_temperature_K"]}
        whole["retention"] = own.retention.model_copy(update=rest)
    return own.model_copy(update=whole)


def _law(own: Options, way: str, derived: dict[str, float] | None, where: str) -> Law:
    """Return one of the two laws with all of its parameters."""
    name, given = getattr(own, way).name, getattr(own, way).parameters
    law, where = laws.get(name), f"{where}: switching.{way}.parameters"
    known = {parameter.name for parameter in law.PARAMETERS}
    if given is None:
        if derived is None or name not in _DERIVABLE:
            raise UserError(
                f"{where}: found nothing, allowed: a value for each of {', '.join(sorted(known))}; or macrospin, with "
                f"law {' or '.join(_DERIVABLE)}"
            )
        given = {parameter: derived[parameter] for parameter in _DERIVABLE[name]}
    if unknown := given.keys() - known:
        raise UserError(f"{where}: found '{sorted(unknown)[0]}', allowed: {', '.join(sorted(known))}")
    optional = {"tau0_s", "reference_temperature_K", "floor", "plateau"}
    if missing := known - optional - given.keys():
        raise UserError(f"{where}: key '{sorted(missing)[0]}' is missing")
    _in_range(law, given, where)
    if name == "logistic_plateau" and given.get("floor", 0.0) >= given.get("plateau", 1.0):
        raise UserError(
            f"{where}.floor: found {given.get('floor', 0.0):g}, allowed: less than plateau "
            f"{given.get('plateau', 1.0):g}"
        )
    highest = max(abs(voltage) for voltage in own.pulses.voltages_V)
    if name == "neel_brown" and highest >= given["critical_voltage_V"]:
        raise UserError(
            f"{where.split(': switching')[0]}: switching.pulses.voltages_V: found {highest:g}, allowed: less than the "
            f"critical voltage {given['critical_voltage_V']:g} in size, where the barrier of neel_brown vanishes"
        )
    return Law(name=name, parameters=given)


def _in_range(law: ModuleType, given: dict[str, float], where: str) -> None:
    for parameter in law.PARAMETERS:
        value = given.get(parameter.name)
        if value is not None and parameter.kind == "log" and value <= 0:
            raise UserError(f"{where}.{parameter.name}: found {value:g}, allowed: more than 0")
        if value is not None and parameter.kind == "logit" and not 0 <= value <= 1:
            raise UserError(f"{where}.{parameter.name}: found {value:g}, allowed: 0..1")


def labels(own: Options) -> list[str]:
    """Return the names of the states."""
    return ["AP", "P"]


def pulses(own: Options) -> pd.DataFrame:
    """Return all combinations of voltage, duration and temperature."""
    axes = own.pulses
    combinations = product(axes.voltages_V, axes.durations_s, axes.temperatures_K)
    table = pd.DataFrame(combinations, columns=["voltage_V", "duration_s", "temperature_K"])
    return table.assign(channel=own.channel, polarity=np.sign(table["voltage_V"]).astype(np.int64))


def rows(own: Options, voltage_V, duration_s, temperature_K) -> np.ndarray:
    """Return the transition probabilities of pulses, float64[n, 2, 2], of arrays float64[n]."""
    up, down = (
        laws.get(law.name).probability(law.parameters, sign * voltage_V, duration_s, temperature_K)
        for law, sign in ((own.law_up, 1), (own.law_down, -1))
    )
    return binary(up, down)


def kernel(own: Options) -> np.ndarray:
    """Return the transition probabilities, float64[pulses, 2, 2]."""
    plan = pulses(own)
    return rows(own, *(plan[axis].to_numpy() for axis in ("voltage_V", "duration_s", "temperature_K")))


def extras(own: Options, plan: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the tables ``half_select`` and ``retention``, where asked for."""
    tables = {}
    if own.half_select_fractions:
        tables["half_select"] = half_select.table(half_select.law_rows(fits(own)), plan, own.half_select_fractions)
    if (rest := own.retention) is not None:
        tables["retention"] = retention.binary(
            rest.thermal_stability or (), rest.reference_temperature_K, rest.temperatures_K, rest.attempt_time_s
        )
    return tables


def fits(own: Options) -> list[Fit]:
    """Return both laws as fits without data (`parts.stated_law`)."""
    polarity = pulses(own)["polarity"]
    return [
        stated_law(
            law.name,
            law.parameters or {},
            np.flatnonzero(polarity == stop - start).tolist(),
            start,
            polarity=stop - start,
        )
        for law, (start, stop) in ((own.law_up, (0, 1)), (own.law_down, (1, 0)))
    ]


def meta(own: Options) -> dict[str, Any]:
    """Return the laws for ``card.json``, and the barrier if there is one and the same for both directions."""
    entries: dict[str, Any] = {"laws": [fit.to_dict() for fit in fits(own)]}
    if own.macrospin is not None:
        derived = derive(own.macrospin, "switching")
        entries["barrier"] = {
            "thermal_stability": derived["thermal_stability"],
            "critical_voltage_V": dict.fromkeys(("P_to_AP", "AP_to_P"), derived["critical_voltage_V"]),
            "temperature_K": own.macrospin.temperature_K,
        }
    return entries
