"""A device with many levels and two pulses, one up and one down: memristors, phase change, ECRAM.

**Mean step.** With g = (G - Gmin)/(Gmax - Gmin) and N pulses from end to end

    dG_up(g)   =  c (Gmax - Gmin) (1 - kappa g),
    dG_down(g) = -c (Gmax - Gmin) (1 - kappa (1 - g)),      c = (1 - (1 - kappa)^(1/N)) / kappa   (1/N for kappa = 0).

kappa = 0 is a linear device, kappa -> 1 the soft-bounds device of Gokmen and Vlasov (Front. Neurosci. 10, 333 (2016)).
In between the N steps add up to the exponential curve of Chen, Peng and Yu (IEEE TCAD 37, 3067 (2018)),
G_n = B (1 - exp(-n/A)) + Gmin, B = (Gmax - Gmin)/kappa, with A = -N / ln(1 - kappa). Up and down have their own kappa
and N: the asymmetry.

**Spread.** dG ~ N(dG(g), (s dG0)^2), dG0 = (Gmax - Gmin)/(levels - 1): for a linear device with N = levels - 1 the rule
of Babu and Rajendran, arXiv 1711.03640.

**Landing.** The levels are all that the device can hold, so a normal step, m and s in units of dG0, must land on one:

- ``moments``: each end point of N(m, v) is split between its two neighbours in proportion to nearness. That keeps the
  mean and adds the variance E[f(1 - f)] (f: fractional part), so v is chosen such that the sum is s^2. The sum grows
  with v at the rate of the wrapped normal density of the end point at a level, which is positive, and is frac(m)(1 -
  frac(m)) at v = 0, so there is exactly one such v if s^2 is at least that; no device with levels can do with less, and
  where less is asked v is 0. Mean and spread of a step are then those of the law, on any lattice.
- ``nearest``: each end point goes to the nearest level, P(level) is the normal's mass in its cell. A step of less than
  half a spacing and little spread then never happens, and the spread is right for large s or whole m only.

What lands beyond the ends stays at the ends.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy import special

from spinloom.declare import Real, Section, Whole, key


class Up(Section):
    """The pulse that raises the conductance."""

    pulses: Real | None = key(
        "Number of pulses from one end to the other, apart from noise. Without it, the number of levels less 1.",
        absent=True,
        ge=1,
        le=1000000.0,
    )
    nonlinearity: Real = key(
        "Part kappa by which the step has shrunk at the far end. 0 is linear, and near 1 it is soft bounds "
        "(docs/cards/own.md).",
        0,
        ge=0,
        lt=1,
    )
    step_scale: Real = key("Factor on the mean step and on its spread.", 1, gt=0, le=1000)
    voltage_V: Real = key("Voltage of the pulse. A positive voltage raises the conductance.", gt=0, le=100)
    duration_s: Real = key("Length of the pulse.", gt=0, le=1)


class Down(Up):
    """The pulse that lowers the conductance."""

    voltage_V: Real = key("Voltage of the pulse. A negative voltage lowers the conductance.", ge=-100, lt=0)


class Options(Section):
    """A device of many levels, with one pulse up and one pulse down."""

    levels: Whole = key("Number of levels.", ge=2, le=1024)
    cycle_relative_sd: Real = key(
        "Standard deviation of a step from pulse to pulse, relative to the spacing of the levels.",
        ge=0,
        le=20,
    )
    landing: Literal["moments", "nearest"] = key(
        "How a step ends on a level. `moments` keeps mean and standard deviation of the step. `nearest` "
        "rounds to the nearest level.",
        "moments",
    )
    temperature_K: Real = key("Temperature of the device.", 300, ge=0, le=1500)
    up: Up = key("The pulse that raises the conductance.")
    down: Down = key("The pulse that lowers the conductance.")


VOLATILE = False
LAW = (
    "step c R (1 - kappa g) up, -c R (1 - kappa (1 - g)) down, normal with sd s R/(levels - 1), R = Gmax - Gmin; "
    "Chen et al., IEEE TCAD 37, 3067 (2018); Gokmen and Vlasov, Front. Neurosci. 10, 333 (2016)"
)
_LEAST_SD = 1e-100  # levels; a normal that is a point


def labels(own: Options) -> list[str]:
    """Return the names of the states."""
    return [f"level {level}" for level in range(own.levels)]


def pulses(own: Options) -> pd.DataFrame:
    """Return the pulse up and the pulse down."""
    return pd.DataFrame(
        {
            "channel": ["up", "down"],
            "voltage_V": [own.up.voltage_V, own.down.voltage_V],
            "duration_s": [own.up.duration_s, own.down.duration_s],
            "polarity": [1, -1],
            "temperature_K": own.temperature_K,
        }
    )


def mean_steps(own: Options) -> np.ndarray:
    """Return the law's mean step up and down from each level, float64[2, levels], in spacings of the levels."""
    last = own.levels - 1
    way = np.linspace(0, 1, own.levels)
    steps = []
    for pulse, sign, gone in ((own.up, 1, way), (own.down, -1, 1 - way)):
        kappa, number = pulse.nonlinearity, last if pulse.pulses is None else pulse.pulses
        first = -math.expm1(math.log1p(-kappa) / number) / kappa if kappa else 1 / number
        steps.append(sign * pulse.step_scale * last * first * (1 - kappa * gone))
    return np.stack(steps)


def step_sd(own: Options) -> np.ndarray:
    """Return the law's spread of a step up and down, float64[2], in spacings of the levels."""
    return own.cycle_relative_sd * np.array([own.up.step_scale, own.down.step_scale])


def kernel(own: Options) -> np.ndarray:
    """Return the transition probabilities, float64[2, levels, levels]."""
    return np.stack([rows(mean, sd, own.landing) for mean, sd in zip(mean_steps(own), step_sd(own))])


def meta(own: Options) -> dict[str, Any]:
    """Return how many rows have more spread than asked, because levels cannot have less."""
    fraction = mean_steps(own) % 1
    short = step_sd(own)[:, None] ** 2 < fraction * (1 - fraction) - 1e-12
    wider = int(short.sum()) if own.landing == "moments" else None
    return {"lattice": {"landing": own.landing, "rows_wider_than_asked": wider}}


def rows(mean: np.ndarray, sd: float, landing: str) -> np.ndarray:
    """Return the probabilities to go from each level to each.

    Parameters
    ----------
    mean : ndarray, float64[levels]
        Mean step from each level, in spacings.
    sd : float
        Its spread, in spacings.
    landing : {"moments", "nearest"}

    Returns
    -------
    ndarray, float64[levels, levels]
        Rows sum to 1.
    """
    levels = len(mean)
    # beyond 9 sd a normal has 1e-19 left
    reach = math.ceil(np.abs(mean).max() + 9 * sd) + 2
    step = np.arange(-reach, reach + 1)
    share = _split(mean, sd, step) if landing == "moments" else _nearest(mean, sd, step)
    share /= share.sum(axis=1, keepdims=True)
    start = np.arange(levels)[:, None]
    target = np.clip(start + step, 0, levels - 1)
    table = np.zeros((levels, levels))
    np.add.at(table, (np.broadcast_to(start, target.shape), target), share)
    return table / table.sum(axis=1, keepdims=True)


def _nearest(mean: np.ndarray, sd: float, step: np.ndarray) -> np.ndarray:
    edge = (np.append(step, step[-1] + 1) - 0.5 - mean[:, None]) / max(sd, _LEAST_SD)
    return np.diff(special.ndtr(edge), axis=1)


def _split(mean: np.ndarray, sd: float, step: np.ndarray) -> np.ndarray:
    fraction = mean % 1

    def excess(own_sd: np.ndarray, part: np.ndarray) -> np.ndarray:
        # the shares depend on the fraction of the mean alone, apart from a shift
        near = np.arange(-math.ceil(9 * sd) - 2, math.ceil(9 * sd) + 4)
        share = _hat(part.ravel(), own_sd.ravel(), near)
        second = (share * (near - part.reshape(-1, 1)) ** 2).sum(axis=1)
        return second.reshape(part.shape) - sd**2

    possible = sd**2 > fraction * (1 - fraction)
    own_sd = np.full(len(mean), _LEAST_SD)
    # the variance that splitting adds is not negative, so the spread wanted is an upper bound
    bracket = (np.full(possible.sum(), _LEAST_SD), np.full(possible.sum(), sd * (1 + 1e-9)))
    if possible.any():
        from scipy.optimize import elementwise  # imported here: a plan of other devices need not pay for it

        found = elementwise.find_root(excess, bracket, args=(fraction[possible],), tolerances={"xatol": 1e-15})
        own_sd[possible] = np.where(found.success, found.x, own_sd[possible])
    return _hat(mean, own_sd, step)


def _hat(mean: np.ndarray, sd: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Return E[max(0, 1 - |x - step|)] for x ~ N(mean, sd^2), float64[means, steps].

    It is the second difference of E[max(0, k - x)] = (k - m) Phi(z) + sd phi(z), z = (k - m)/sd.
    """
    knots = np.arange(step[0] - 1, step[-1] + 2)
    away = knots - mean[:, None]
    z = away / sd[:, None]
    ramp = away * special.ndtr(z) + sd[:, None] * np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    # far up the ramp the difference of large numbers leaves rounding errors of either sign
    return np.clip(np.diff(ramp, n=2, axis=1), 0.0, None)
