"""A counter of skyrmions: ``places`` sites, each of which is free or holds one.

During a pulse every free site is filled at the rate b and every skyrmion vanishes at the rate d, independently, so the
number n of skyrmions is a birth-death process with rates (N - n) b and n d, and the kernel of a pulse is expm(Q t). As
the sites are independent, n after the pulse is the sum of two binomial numbers, which is how the tests check it.
The conductance is linear in n, as measured: Song et al., Nature Electronics 3, 148 (2020).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import linalg

from calibration.sources.parametric.parts import pulse_table
from spinloom.declare import Real, Section, Whole, key


class Pulse(Section):
    """One kind of pulse."""

    birth_per_s: Real = key("Rate at which each free place is filled during the pulse.", ge=0, le=1000000000000.0)
    death_per_s: Real = key("Rate at which each skyrmion vanishes during the pulse.", ge=0, le=1000000000000.0)
    voltage_V: Real = key("Voltage of the pulse.", ge=-100, le=100)
    duration_s: Real = key("Length of the pulse.", gt=0, le=1)


class Options(Section):
    """A counter of skyrmions. Its state is their number."""

    places: Whole = key("Largest number of skyrmions.", ge=1, le=126)
    temperature_K: Real = key("Temperature of the device.", 300, ge=0, le=1500)
    create: Pulse = key("The pulse that creates skyrmions.")
    annihilate: Pulse = key("The pulse that annihilates skyrmions.")


VOLATILE = False
LAW = "birth-death, rates (N - n) b and n d, kernel expm(Q t); Song et al., Nature Electronics 3, 148 (2020)"


def labels(own: Options) -> list[str]:
    """Return the names of the states: the numbers of skyrmions."""
    return [f"{number} skyrmions" for number in range(own.places + 1)]


def pulses(own: Options) -> pd.DataFrame:
    """Return the creating and the annihilating pulse."""
    both = own.create, own.annihilate
    voltages, durations = [pulse.voltage_V for pulse in both], [pulse.duration_s for pulse in both]
    return pulse_table(["create", "annihilate"], voltages, durations, own.temperature_K)


def kernel(own: Options) -> np.ndarray:
    """Return the transition probabilities, float64[2, places + 1, places + 1]."""
    number = np.arange(own.places + 1)
    matrices = []
    for pulse in (own.create, own.annihilate):
        up, down = (own.places - number) * pulse.birth_per_s, number * pulse.death_per_s
        generator = np.diag(up[:-1], 1) + np.diag(down[1:], -1) - np.diag(up + down)
        # expm leaves rounding errors of either sign
        matrix = np.clip(linalg.expm(generator * pulse.duration_s), 0.0, None)
        matrices.append(matrix / matrix.sum(axis=1, keepdims=True))
    return np.stack(matrices)
