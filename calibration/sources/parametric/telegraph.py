"""A superparamagnetic junction: a two-state Markov process in continuous time.

Rates of leaving state 0 and 1 under a voltage V (Neel-Brown, with the barrier tilted by the voltage):

    r01 = exp[-D (1 - V/V_c0)] / tau0,   r10 = exp[-D (1 + V/V_c0)] / tau0,   D = Delta T_ref / T.

Over a time t, with r = r01 + r10 and pi1 = r01 / r = 1 / (1 + exp(-2 D V/V_c0)),

    P01 = pi1 (1 - exp(-r t)),   P10 = (1 - pi1) (1 - exp(-r t)),

so that T(t1 + t2) = T(t1) T(t2) exactly. Rippard et al., Phys. Rev. B 84, 064439 (2011).
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
import pandas as pd
from pydantic import Field
from scipy import special

from calibration.sources.parametric.parts import binary, pulse_table
from spinloom.declare import Real, Section, key
from spinloom.errors import UserError


class Options(Section):
    """A junction that flips by itself. A voltage favours one of its two states."""

    thermal_stability: Real = key("Energy barrier divided by kB T, at `reference_temperature_K`.", ge=0, le=500)
    critical_voltage_V: Real = key("Critical voltage V_c0 at which the barrier is gone.", gt=0, le=100)
    attempt_time_s: Real = key("Attempt time tau0.", 1e-09, gt=0, le=1e-06)
    reference_temperature_K: Real = key(
        "Temperature at which the barrier is given in units of kB T.", 300, gt=0, le=1500
    )
    temperature_K: Real = key("Temperature of the device.", 300, gt=0, le=1500)
    voltages_V: tuple[Annotated[Real, Field(ge=-100, le=100)], ...] = key(
        "Voltages, smaller in size than V_c0. A positive voltage favours state 1.",
        min_length=1,
    )
    durations_s: tuple[Annotated[Real, Field(gt=0, le=10000000000.0)], ...] = key(
        "Times between two looks at the state.",
        min_length=1,
    )


VOLATILE = True
LAW = "rates exp[-Delta (T_ref/T) (1 -+ V/V_c0)]/tau0; Rippard et al., Phys. Rev. B 84, 064439 (2011)"


def labels(own: Options) -> list[str]:
    """Return the names of the states."""
    return ["AP", "P"]


def complete(own: Options, where: str) -> Options:
    """Return ``own`` if the rates hold for all of its voltages.

    Raises
    ------
    UserError
        If a voltage removes the barrier.
    """
    beyond = [voltage for voltage in own.voltages_V if abs(voltage) >= own.critical_voltage_V]
    if beyond:
        raise UserError(
            f"{where}: telegraph.voltages_V: found {beyond[0]:g}, allowed: less than critical_voltage_V "
            f"{own.critical_voltage_V:g} in size, where the barrier vanishes"
        )
    return own


def pulses(own: Options) -> pd.DataFrame:
    """Return all combinations of voltage and time."""
    voltage, duration = (axis.ravel() for axis in np.meshgrid(own.voltages_V, own.durations_s, indexing="ij"))
    return pulse_table("junction", voltage, duration, own.temperature_K)


def rates(own: Options, voltage_V: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rates of leaving state 0 and state 1, 1/s, of the shape of ``voltage_V``."""
    barrier = own.thermal_stability * own.reference_temperature_K / own.temperature_K
    tilt = np.asarray(voltage_V) / own.critical_voltage_V
    up, down = (np.exp(-barrier * (1 - sign * tilt)) / own.attempt_time_s for sign in (1, -1))
    return up, down


def kernel(own: Options) -> np.ndarray:
    """Return the transition probabilities, float64[pulses, 2, 2]."""
    plan = pulses(own)
    up, down = rates(own, plan["voltage_V"].to_numpy())
    # the quotient of the rates, which are both tiny for a high barrier, from the difference of their exponents
    share = special.expit(np.log(up) - np.log(down))
    moved = -np.expm1(-(up + down) * plan["duration_s"].to_numpy())
    return binary(share * moved, (1 - share) * moved)
