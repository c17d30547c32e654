"""aihwkit: the preset of a pulsed device that is nearest to the card, as a Python module and as JSON."""

from __future__ import annotations

import io
import json
from typing import Any, Literal

import numpy as np
import pandas as pd

from calibration.card import KernelCard
from calibration.exports import presets
from calibration.exports.exported import Exported, Loss
from calibration.exports.presets import Fit
from calibration.exports.steps import DOWN, UP, Directions, chosen, common_losses
from spinloom.declare import Whole, key
from spinloom.errors import UserError

CLASSES = {
    "constant": "ConstantStepDevice", "linear": "LinearStepDevice", "additive": "LinearStepDevice",
    "soft": "SoftBoundsDevice", "power": "PowStepDevice", "exponential": "ExpStepDevice",
    "piecewise": "PiecewiseStepDevice",
}  # fmt: skip
TOLD = ("spread within a state", "spread of devices' factors", "spread of devices' offsets")  # the preset has them
MOST_WRITE_NOISE = 1e-9  # of the range: less is none


class Options(Directions):
    """Options of aihwkit."""

    preset: Literal[
        "nearest", "constant", "linear", "additive", "soft", "power", "exponential", "piecewise"
    ] = key("Law of the step; nearest: the one with the least Bayesian information criterion.", "nearest")  # fmt: skip
    writes: Whole = key("Writes of a row where the card counts none; more allow a law more parameters.", 100, ge=1)


def make(card: KernelCard, options: Options) -> Exported:
    """Return ``aihwkit_device.py``, ``aihwkit_device.json`` and ``aihwkit_distance.csv``.

    Parameters
    ----------
    card : KernelCard
    options : Options

    Raises
    ------
    UserError
        If the device has two states, or as of `chosen`.
    """
    used = chosen(card, options, "aihwkit")
    if len(card.states) < 3:
        raise UserError("export as aihwkit: found two states, allowed: a device that pulses move in steps")
    conductance = card.states["conductance_S"].to_numpy()
    order = np.argsort(conductance, kind="stable")
    low, high = conductance[order[0]], conductance[order[-1]]
    weight = 2 * (conductance[order] - low) / (high - low) - 1
    kernel = card.kernel[list(used)][:, order][:, :, order]
    counts = _counts(card, used, options.writes)[:, order][:, :, order]
    if not counts.sum(axis=(1, 2)).all():
        raise UserError("export as aihwkit: transitions.csv: found a pulse without writes, allowed: one that was given")
    fits = [presets.fit(law, weight, counts) for law in presets.families(len(weight))]
    allowed = [one for one in fits if options.preset in ("nearest", one.law.name)]
    if not allowed:
        raise UserError("export as aihwkit: options.preset: found piecewise, allowed with so few states: another")
    best = min(allowed, key=lambda one: one.bic)
    keywords, losses = _keywords(best), [loss for loss in common_losses(card, used) if loss.quantity not in TOLD]
    noise = 2 * _rms(card, "conductance_sd_S") / (high - low)
    name = CLASSES[best.law.name]
    if noise > MOST_WRITE_NOISE:
        if name == "ConstantStepDevice":  # it has no write noise; a single knot is the same law
            name, keywords = "PiecewiseStepDevice", {**keywords, "piecewise_up": [1.0], "piecewise_down": [1.0]}
        keywords["write_noise_std"] = noise / keywords["dw_min"]
    spread, lost = _devices(card, used, best, weight, order)
    distances = presets.distances(best, weight, kernel)
    losses += lost + _misfit(distances, used, order, len(weight))
    content = {
        "format": "spinloom aihwkit device", "version": 1, "card": card.meta.name, "card_hash": card.hash,
        "device": name, "parameters": {**keywords, **spread},
        "conductance_S": {"weight_-1": float(low), "weight_1": float(high)},
        "pulses": {
            way: {"pulse": pulse, **{
                quantity: _known(card.pulses[quantity].iloc[pulse]) for quantity in ("voltage_V", "duration_s")
            }} for way, pulse in zip(("up", "down"), used, strict=True)
        },
        "laws": [_told(one, best, fits) for one in fits],
    }  # fmt: skip
    files = {
        "aihwkit_device.json": (json.dumps(content, indent=1, allow_nan=False) + "\n").encode(),
        "aihwkit_device.py": _module(content).encode(),
        "aihwkit_distance.csv": _table(distances, used, order, conductance),
    }
    return Exported(files, tuple(losses))


def _told(one: Fit, best: Fit, fits: list[Fit]) -> dict[str, Any]:
    return {
        "law": one.law.name, "knots": one.law.knots, "parameters": len(one.values),
        "log_likelihood": one.log_likelihood, "bic_above_best": one.bic - min(each.bic for each in fits),
        "chosen": one is best,
    }  # fmt: skip


def _known(value: Any) -> float | None:
    return None if np.isnan(value) else float(value)


def _rms(card: KernelCard, column: str) -> float:
    """Return the root mean square of a column of the states, S."""
    return float(np.sqrt(card.states["occupancy"].to_numpy() @ card.states[column].to_numpy() ** 2))


def _counts(card: KernelCard, used: tuple[int, int], writes: int) -> np.ndarray:
    """Return how often each of two pulses led from each state to each, float64[2, states, states].

    Counts where the card has them, otherwise its probabilities times the row's writes; rows that nobody wrote are 0.
    """
    shape = card.kernel.shape
    count, basis = (card.transitions[name].to_numpy().reshape(shape)[list(used)] for name in ("count", "basis"))
    counted, assumed = (basis[..., 0] == name for name in ("counts", "assumed"))
    rows = count.sum(axis=-1)
    # a card of a law has no counts at all
    rows = np.where(rows.sum(axis=-1, keepdims=True) > 0, rows, writes)
    weighed = card.kernel[list(used)] * rows[..., None]
    return np.where(counted[..., None], count, weighed) * ~assumed[..., None]


def _keywords(fitted: Fit) -> dict[str, Any]:
    """Return the parameters of the preset without spreads between devices, by aihwkit's names."""
    values, kind = fitted.values, fitted.law.name
    ends: dict[str, Any] = {"w_min": -1.0, "w_max": 1.0}
    if kind == "piecewise":
        up, down = np.exp(values[:-1]).reshape(2, -1)
        dw_min = float(np.mean([up, down]))
        nodes = {"piecewise_up": (up / dw_min).tolist(), "piecewise_down": (down / dw_min).tolist()}
        return {"dw_min": dw_min, "up_down": 0.0, "dw_min_std": fitted.spread, **ends, **nodes}
    up, down = np.exp(values[:2])
    shape = values[2:-1].tolist()
    found = {"dw_min": float(max(up, down)), "up_down": _bias(up, down), "dw_min_std": fitted.spread, **ends}
    if kind in ("linear", "additive"):
        found |= {"gamma_up": shape[0], "gamma_down": shape[1], "gamma_up_dtod": 0.0, "gamma_down_dtod": 0.0}
        found |= {"allow_increasing": True, "mult_noise": kind == "linear"}
    elif kind == "soft":
        found["mult_noise"] = True
    elif kind == "power":
        found |= {"pow_gamma": max(shape), "pow_up_down": _bias(*shape), "pow_gamma_dtod": 0.0, "pow_up_down_dtod": 0.0}
    elif kind == "exponential":
        found |= dict(zip(("A_up", "A_down", "gamma_up", "gamma_down"), shape, strict=True)) | {"a": 1.0, "b": 0.0}
    return found


def _bias(up: float, down: float) -> float:
    """Return aihwkit's asymmetry of two sizes, of which the larger is its nominal one.

    Its source takes the larger share away from the smaller direction only, other than the formula in its documentation.
    """
    return float(up / down - 1 if up < down else 1 - down / up if up > 0 else 0.0)


def _devices(
    card: KernelCard, used: tuple[int, int], fitted: Fit, weight: np.ndarray, order: np.ndarray
) -> tuple[dict[str, float], list[Loss]]:
    """Return spreads between devices by aihwkit's names, and what they leave out."""
    conductance = card.states["conductance_S"].to_numpy()
    low, high = conductance.min(), conductance.max()
    factor, offset = (card.population[name].to_numpy() for name in ("conductance_factor", "conductance_offset_S"))
    factor, offset = np.nan_to_num(factor, nan=1.0), np.nan_to_num(offset)
    ends = [2 * (factor * end + offset - low) / (high - low) - 1 for end in (low, high)]
    steps, losses = np.repeat(factor[:, None], 2, axis=1), []  # a factor stretches the steps with the range
    table = card.extras.get("by_instance")
    if table is not None:
        devices = table["instance"].nunique()
        if len(table) == devices * card.kernel.size:
            own = table["probability"].to_numpy().reshape(devices, *card.kernel.shape)[:, list(used)]
            step = conductance - conductance[:, None]
            mean = np.einsum("dkst,st,s->dk", own, step, card.states["occupancy"].to_numpy())
            steps = mean / mean.mean(axis=0) * (factor[:, None] if len(factor) == devices else 1.0)
    scales = np.abs(fitted.moments(weight)[0]).mean(axis=1)
    steps = steps * scales / scales.max()  # aihwkit's spreads are of its nominal step, that of the larger direction

    def sd(values: np.ndarray) -> float:
        return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0

    spread = {
        "dw_min_dtod": sd(steps.mean(axis=1)), "up_down_dtod": sd((steps[:, UP] - steps[:, DOWN]) / 2),
        "w_min_dtod": sd(ends[0]), "w_max_dtod": sd(ends[1]),
    }  # fmt: skip
    if min(spread["w_min_dtod"], spread["w_max_dtod"]) > 1e-12:
        meaning = "correlation of the devices' lower and upper ends, which aihwkit draws one by one"
        losses.append(Loss("correlation of the ends", float(np.corrcoef(*ends)[0, 1]), "1", meaning))
    return spread, losses


def _misfit(found: dict[str, np.ndarray], used: tuple[int, int], order: np.ndarray, states: int) -> list[Loss]:
    """Return how far the preset is from the card."""
    meaning = "the preset knows no levels: it moves continuously"
    losses = [Loss("spacing of states", 1 / (states - 1), "of the range", meaning)]
    for way, pulse in enumerate(used):
        distance, variation = found["wasserstein"][way], found["total_variation"][way]
        worst = int(distance.argmax())
        size = np.abs(found["mean_card"][way]).mean()
        off = {
            name: float(np.sqrt(np.mean((found[f"{name}_law"][way] - found[f"{name}_card"][way]) ** 2)) / size)
            for name in ("mean", "sd")
        }
        losses += [
            Loss("mean step", off["mean"], "of a step", "rms over states of preset less card", pulse),
            Loss("sd of a step", off["sd"], "of a step", "rms over states of preset less card", pulse),
            Loss("distance of the kernels", float(distance.mean()), "of the range", "Wasserstein, mean", pulse),
            Loss("distance of the kernels", float(distance[worst]), "of the range", "Wasserstein, worst", pulse,
                 int(order[worst])),
            Loss("total variation", float(variation.mean()), "1", "preset put into the nearest state; mean", pulse),
        ]  # fmt: skip
    return losses


def _table(found: dict[str, np.ndarray], used: tuple[int, int], order: np.ndarray, conductance: np.ndarray) -> bytes:
    """Return the distances by conductance and direction as CSV."""
    columns = {
        "direction": np.repeat(["up", "down"], len(order)), "pulse": np.repeat(np.array(used), len(order)),
        "state": np.tile(order, 2), "conductance_S": np.tile(conductance[order], 2),
    }  # fmt: skip
    table = pd.DataFrame({**columns, **{name: values.ravel() for name, values in found.items()}})
    text = io.StringIO()
    table.to_csv(text, index=False, float_format="%.6g", lineterminator="\n")
    return text.getvalue().encode()


def _module(content: dict[str, Any]) -> str:
    """Return the Python module."""
    device, ends = content["device"], content["conductance_S"]
    parameters = "".join(f"    {name}={value!r},\n" for name, value in content["parameters"].items())
    return f'''"""The kernel card {content["card"]!r} as a device of aihwkit.

A weight of -1 is {ends["weight_-1"]:.6g} S, one of 1 is {ends["weight_1"]:.6g} S.
Made by Spinloom; aihwkit_distance.csv beside this file says how far the two are apart.
"""

from aihwkit.simulator.configs import {device}, SingleRPUConfig

DEVICE = {device}(
{parameters})
RPU_CONFIG = SingleRPUConfig(device=DEVICE)


def conductance_S(weight):
    """Return the conductance of a weight from -1 to 1, in S."""
    return {ends["weight_-1"]!r} + (weight + 1) / 2 * {ends["weight_1"] - ends["weight_-1"]!r}
'''
