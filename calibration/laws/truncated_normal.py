"""Normal displacement between the ends of the coordinate.

    after = before + d      d ~ N(mu0 + mu1 (before - centre), sd^2)

``shift`` = mu0 and ``sd`` are in the unit of the coordinate, ``shift_slope`` = mu1 is a number: negative where a step
gets shorter the further the device has gone. For a device that was reset before the write, after ~ N(``mean``, sd^2).
With ``ends`` truncate the density is that of the normal distribution divided by its share within the ends (Johnson,
Kotz, Balakrishnan, Continuous Univariate Distributions 1, section 13.10.1); with clip, what would lie beyond an end is
found on it (Tobin, Econometrica 26, 24 (1958)).
"""

from __future__ import annotations

import numpy as np
from scipy import special

from calibration.laws.fitting.displacements import Displacements
from calibration.laws.fitting.scales import Parameter
from spinloom.errors import UserError

NAME = "truncated_normal"
KIND = "displacement"
AUTO = 1
SHIFT = (
    Parameter("shift", "identity"),
    Parameter("shift_slope", "identity", -10.0, 10.0),
    Parameter("sd", "log"),
    Parameter("centre", "identity"),
)
RESET = (Parameter("mean", "identity"), Parameter("sd", "log"))
HINT = "10 or more writes that differ and that the ends do not hold all"


def parameters_for(data: Displacements, fixed: dict, where: str) -> tuple[tuple[Parameter, ...], dict[str, float]]:
    """Return the parameters for these writes and the values of those held fixed.

    Raises
    ------
    UserError
        If ``fixed`` names a parameter that the law lacks, or all writes end at one value.
    """
    parameters = RESET if data.reset else SHIFT
    names = [parameter.name for parameter in parameters]
    unknown = set(fixed) - set(names)
    if unknown:
        raise UserError(f"{where}: law {NAME}: found parameter {sorted(unknown)[0]}, allowed: {', '.join(names)}")
    if not np.ptp(data.after) > 0:
        raise UserError(f"{where}: law {NAME}: found one value of after in all writes, allowed: values that differ")
    held = {} if data.reset else {"centre": (data.low + data.high) / 2}
    if not data.reset and np.ptp(data.before) < 1e-9 * (data.high - data.low):
        # one starting point tells no slope
        held |= {"centre": float(data.before[0]), "shift_slope": 0.0}
    return parameters, {**held, **{name: value for name, value in fixed.items() if value is not None}}


def parameters_of(parameters: dict[str, float]) -> tuple[Parameter, ...]:
    """Return the `Parameter` of each entry of a fit."""
    return RESET if "mean" in parameters else SHIFT


def centre_of(parameters: dict[str, float], before: np.ndarray) -> np.ndarray:
    """Return the mean of the untruncated distribution for each ``before``, float64[...]."""
    if "mean" in parameters:
        return np.full(np.shape(before), parameters["mean"], float)
    return before + parameters["shift"] + parameters["shift_slope"] * (before - parameters["centre"])


def log_share(low, high):
    """Return ln[Phi(high) - Phi(low)] without cancellation; low < high, infinite ones included."""
    # in the upper tail the difference of the mirrored tails keeps its digits
    swap = low > 0
    low, high = np.where(swap, -high, low), np.where(swap, -low, high)
    with np.errstate(divide="ignore", invalid="ignore"):
        top = special.log_ndtr(high)
        return top + np.log(-np.expm1(np.minimum(special.log_ndtr(low) - top, -1e-300)))


def log_density(parameters: dict[str, float], data: Displacements) -> np.ndarray:
    """Return ln f(after | before), float64[n], per unit of the coordinate; on a clipped end ln P."""
    sd, mean = parameters["sd"], centre_of(parameters, data.before)
    z, low, high = ((edge - mean) / sd for edge in (data.after, data.low, data.high))
    density = -0.5 * z**2 - np.log(sd) - 0.5 * np.log(2 * np.pi)
    if data.ends == "truncate":
        return density - log_share(low, high)
    return np.where(
        data.after <= data.low,
        special.log_ndtr(low),
        np.where(data.after >= data.high, special.log_ndtr(-high), density),
    )


def share_below(parameters: dict[str, float], data: Displacements, rng: np.random.Generator) -> np.ndarray:
    """Return F(after | before), float64[n]; on a clipped end a random part of its probability."""
    sd, mean = parameters["sd"], centre_of(parameters, data.before)
    z, low, high = ((edge - mean) / sd for edge in (data.after, data.low, data.high))
    if data.ends == "truncate":
        with np.errstate(invalid="ignore"):
            return np.clip(np.nan_to_num(np.exp(log_share(low, np.maximum(z, low)) - log_share(low, high))), 0, 1)
    part = rng.random(len(z))
    on_low, on_high = data.after <= data.low, data.after >= data.high
    upper = special.ndtr(high)
    return np.where(
        on_low, part * special.ndtr(low), np.where(on_high, upper + part * special.ndtr(-high), special.ndtr(z))
    )


def rows(
    parameters: dict[str, float],
    edges: np.ndarray,
    coordinate_centres: np.ndarray,
    bounds: tuple[float, float],
    ends: str = "truncate",
) -> np.ndarray:
    """Return the probabilities from the centre of each state to each state.

    Parameters
    ----------
    parameters : dict
        ``shift``, ``shift_slope``, ``centre``, ``sd``; or ``mean``, ``sd`` for a device that is reset.
    edges : ndarray, float64[S + 1]
        Edges of the states; the outermost states hold everything up to the bounds.
    coordinate_centres : ndarray, float64[S]
        Where a write from each state begins.
    bounds : tuple of float
        Ends of the coordinate.
    ends : {"truncate", "clip"}
        As in `Displacements`.

    Returns
    -------
    ndarray, float64[S, S]
        Exact integrals of the law, rows sum to 1.
    """
    outer = bounds if ends == "truncate" else (-np.inf, np.inf)
    edges = np.concatenate([[outer[0]], np.asarray(edges, float)[1:-1], [outer[1]]])
    mean = centre_of(parameters, np.asarray(coordinate_centres, float))[:, None]
    z = (edges - mean) / parameters["sd"]
    share = log_share(z[:, :-1], z[:, 1:])
    return special.softmax(share, axis=-1)


def starts(data: Displacements, held: dict[str, float]) -> list[dict[str, float]]:
    """Return first guesses: least squares, and wider ones for writes that the ends cut off."""
    if data.reset:
        guess = {"mean": data.after.mean(), "sd": data.after.std()}
        # the end that the writes crowd at may hide the middle of their distribution
        crowded = data.low if guess["mean"] < (data.low + data.high) / 2 else data.high
        return [guess, {"mean": crowded, "sd": 1.5 * guess["sd"]}]
    x = data.before - held["centre"]
    moved = data.after - data.before
    if "shift_slope" in held:
        slope, shift = held["shift_slope"], (moved - held["shift_slope"] * x).mean()
    else:
        slope, shift = np.polyfit(x, moved, 1)
    sd = max((moved - shift - slope * x).std(), 1e-6 * (data.high - data.low))
    return [
        {"shift": factor * shift, "shift_slope": slope / factor, "sd": wide * sd}
        for factor, wide in ((1.0, 1.0), (2.0, 1.5))
    ]
