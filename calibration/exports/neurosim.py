"""NeuroSim: the parameters of a cell with exponential steps, as a table and as settings by its own names."""

from __future__ import annotations

import csv
import io
from typing import NamedTuple

import numpy as np
from scipy.optimize import least_squares

from calibration.card import KernelCard
from calibration.exports.exported import Exported, Loss
from calibration.exports.steps import DOWN, UP, Directions, chosen, common_losses
from spinloom.declare import Real, Whole, key
from spinloom.errors import UserError

STRAIGHT = 1e3  # of A: the curve differs from a line by less than 1e-3 of the range


class Options(Directions):
    """Options of neurosim."""

    reached: Real = key("Share of the range after which a train of pulses is at its end.", 0.98, gt=0.5, lt=1)
    most_pulses: Whole = key("Longest train.", 10_000, ge=2, le=1_000_000)


class Curve(NamedTuple):
    """The mean conductance along a train of pulses in one direction, and the fitted law."""

    mean_S: np.ndarray  # float64[pulses + 1]
    shape: float  # A over the number of pulses
    error: float  # rms of the fit over the range


def make(card: KernelCard, options: Options) -> Exported:
    """Return ``neurosim_cell.csv`` and ``neurosim_cell.txt``.

    The law is that of Chen, Peng and Yu, IEEE Trans. Computer-Aided Design 37, 3067 (2018): after P of P_max pulses up
    G = B (1 - exp(-P / A)) + G_min, with B = (G_max - G_min) / (1 - exp(-P_max / A)); pulses down mirror it. It is
    fitted to the mean conductance along trains from the lowest and from the highest state.

    Parameters
    ----------
    card : KernelCard
    options : Options

    Raises
    ------
    UserError
        If a train does not get to its end.
    """
    used = chosen(card, options, "neurosim")
    conductance, losses = card.states["conductance_S"].to_numpy(), common_losses(card, used)
    curves = [train(card.kernel[pulse], conductance, way, options, pulse) for way, pulse in enumerate(used)]
    low = max(curves[UP].mean_S[0], curves[DOWN].mean_S[-1])
    high = min(curves[DOWN].mean_S[0], curves[UP].mean_S[-1])
    span = high - low
    rows: list[tuple[str, float, str, str]] = [
        ("maxConductance", high, "S", "mean end of a train of pulses up, or start of one down"),
        ("minConductance", low, "S", "mean end of a train of pulses down, or start of one up"),
    ]
    for name, curve, pulse in zip(("LTP", "LTD"), curves, used, strict=True):
        told = card.pulses.iloc[pulse]
        rows += [
            (f"maxNumLevel{name}", len(curve.mean_S) - 1, "1", f"pulses to {options.reached:g} of the range"),
            (f"A_{name}", curve.shape, "of P_max", "A of the law over the number of pulses; negative: the other bend"),
            (f"writeVoltage{name}", float(told["voltage_V"]), "V", f"pulse {pulse} of the card"),
            (f"writePulseWidth{name}", float(told["duration_s"]), "s", f"pulse {pulse} of the card"),
        ]
        losses.append(Loss(f"fit of {name}", curve.error, "of the range", "rms of the law along the train", pulse))
    row = np.concatenate([card.kernel[pulse] for pulse in used])
    mean = row @ conductance
    variance = (row * (conductance - mean[:, None]) ** 2).sum(axis=-1)
    step_sd = np.sqrt(np.tile(card.states["occupancy"], 2) / 2 @ variance)
    rows += [
        ("sigmaCtoC", float(step_sd / span), "of the range", "rms sd of a step over states and both pulses"),
        ("sigmaDtoD", float(card.population["conductance_factor"].std(ddof=0)), "1",
         "sd of the devices' conductance factors; the program's own is of the nonlinearity"),
        ("readVoltage", float(card.reads["read_voltage_V"].mean()), "V", "mean over states"),
        ("readPulseWidth", float(card.reads["latency_s"].mean()), "s", "mean over states"),
        ("sigmaReadNoise", float(card.reads["noise_sd_S"].mean() / span), "of the range", "sd of a read"),
    ]  # fmt: skip
    # what the spread of steps is where they are largest and smallest, beside the one number for all
    apart = np.sqrt(np.asarray(variance, float))
    meaning = "largest less smallest sd of a step by state and pulse, for which one number stands"
    losses.append(Loss("spread of sigmaCtoC", float((apart.max() - apart.min()) / span), "of the range", meaning))
    return Exported({"neurosim_cell.csv": _csv(rows), "neurosim_cell.txt": _settings(rows)}, tuple(losses))


def train(kernel: np.ndarray, conductance: np.ndarray, way: int, options: Options, pulse: int) -> Curve:
    """Return the mean conductance along a train from the end that it leaves, and the fitted law.

    Parameters
    ----------
    kernel : ndarray, float64[states, states]
        Of the pulse.
    conductance : ndarray, float64[states]
        S.
    way : int
        `UP` or `DOWN`.
    options : Options
    pulse : int
        Its number, for errors.

    Raises
    ------
    UserError
        If the train is longer than `Options.most_pulses`, or of one pulse.
    """
    at = np.zeros(len(conductance))
    at[0 if way == UP else -1] = 1.0
    mean, goal = [float(at @ conductance)], _limit(kernel, at) @ conductance
    while abs(mean[-1] - goal) > (1 - options.reached) * abs(mean[0] - goal):
        if len(mean) > options.most_pulses:
            raise UserError(
                f"export as neurosim: pulse {pulse}: found {options.most_pulses} pulses that do not reach "
                f"{options.reached:g} of the range, allowed: fewer (options most_pulses, reached)"
            )
        at = at @ kernel
        mean.append(float(at @ conductance))
    curve = np.array(mean)
    if len(curve) < 3:
        raise UserError(
            f"export as neurosim: pulse {pulse}: found a single pulse that goes through {options.reached:g} of the "
            "range, allowed: a device of several levels"
        )
    share = (curve - curve[0]) / (curve[-1] - curve[0])
    pulses = np.arange(len(curve)) / (len(curve) - 1)
    # 1/A, as the straight line lies at 0
    found = least_squares(lambda bend: law(pulses, bend[0]) - share, [1.0], bounds=(-50, 50))
    bend = float(found.x[0])
    error = float(np.sqrt(np.mean(found.fun**2)))
    return Curve(curve, float(np.clip(1 / bend if bend else np.inf, -STRAIGHT, STRAIGHT)), error)


def law(pulses: np.ndarray, bend: float) -> np.ndarray:
    """Return the share of the range after a share of the train, float64[n].

    Parameters
    ----------
    pulses : ndarray, float64[n]
        Share of the train, 0 to 1.
    bend : float
        P_max / A.
    """
    if abs(bend) < 1e-6:  # to first order: the quotient below is 0 over 0
        return pulses * (1 + bend / 2 * (1 - pulses))
    return np.expm1(-bend * pulses) / np.expm1(-bend)


def _limit(kernel: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Return the distribution after very many pulses."""
    for _ in range(64):  # 2^64 of them
        kernel = kernel @ kernel
        kernel /= kernel.sum(axis=-1, keepdims=True)
    return at @ kernel


def _csv(rows: list[tuple[str, float, str, str]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("parameter", "value", "unit", "meaning"))
    for name, value, unit, told in rows:
        writer.writerow((name, "" if np.isnan(value) else repr(float(value)), unit, told))
    return text.getvalue().encode()


def _settings(rows: list[tuple[str, float, str, str]]) -> bytes:
    lines = [
        f"{name} = {'unknown' if np.isnan(value) else f'{value:.6g}'};  // {unit}; {told}"
        for name, value, unit, told in rows
    ]
    return "".join(f"{line}\n" for line in lines).encode()
