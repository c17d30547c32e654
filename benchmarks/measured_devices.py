"""How well the models of readings find the device behind them, and how often their 95 % intervals hold the truth.

    python benchmarks/measured_devices.py [--repetitions 500] [--readings 1500]
        [--steps constant] [--spreads constant] [--noises 0 1] [--levels 2] [--output measured_devices.csv]

Synthetic devices between 5 and 15 uS with hard ends: pulse trains of 45 up and 45 down. Errors are relative, medians of
their absolute values over the repetitions and three states in the middle of the range; ``counted`` is what plain
counting of the same readings gives there. Repetitions are drawn anew, and each is fitted anew.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))

from calibration.counting.writes import REST  # noqa: E402
from calibration.measurement import level_model, step_model  # noqa: E402
from calibration.measurement.segments import segments  # noqa: E402
from spinloom.command_line import run_cli  # noqa: E402
from spinloom.files import write_csv  # noqa: E402
from spinloom.streams import generator  # noqa: E402

LOW_S, HIGH_S, STEP_S, TRAIN = 5e-6, 15e-6, 0.3e-6, 45
MIDDLE_S = np.array([8e-6, 10e-6, 12e-6])
STEPS = ("constant", "saturating")
SPREADS = ("constant", "dependent")
NOISES = (0.0, 0.3, 1.0, 3.0)  # in steps
LEVELS = (2, 5)


def mean_step(kind: str, state: np.ndarray, way: int) -> np.ndarray:
    """Return the mean step from each state, S; ``way`` is 0 up, 1 down."""
    ahead = (HIGH_S - state if way == 0 else state - LOW_S) / (HIGH_S - LOW_S)
    return (-1) ** way * STEP_S * (np.ones_like(ahead) if kind == "constant" else 0.04 + 2 * ahead)


def spread(kind: str, state: np.ndarray) -> np.ndarray:
    """Return the standard deviation of a step from each state, S."""
    share = (state - LOW_S) / (HIGH_S - LOW_S)
    return STEP_S * (0.3 * np.ones_like(share) if kind == "constant" else 0.15 + 0.5 * share)


def analogue(kind: str, spread_kind: str, noise: float, readings: int, rng: np.random.Generator) -> pd.DataFrame:
    """Return readings of a device with continuous steps; ``noise`` is in steps."""
    ways = np.arange(readings) // TRAIN % 2
    state, states = np.array(LOW_S), [LOW_S]
    for way, normal in zip(ways.tolist(), rng.standard_normal(readings)):
        moved = state + mean_step(kind, state, way) + spread(spread_kind, state) * normal
        state = np.clip(moved, LOW_S, HIGH_S)
        states.append(float(state))
    value = np.array(states) + noise * STEP_S * rng.standard_normal(readings + 1)
    return pd.DataFrame({"series": 0, "instance": 0, "pulse": [REST, *ways], "value": value})


def counted(readings: pd.DataFrame, way: int) -> np.ndarray:
    """Return the mean difference of neighbouring readings about each state of `MIDDLE_S`, S."""
    value = readings["value"].to_numpy()
    step, own = np.diff(value), readings["pulse"].to_numpy()[1:] == way
    near = [own & (np.abs(value[:-1] - state) < 0.5e-6) for state in MIDDLE_S]
    return np.array([step[part].mean() if part.any() else np.nan for part in near])


def steps_case(kind: str, spread_kind: str, noise: float, repetitions: int, readings: int) -> dict[str, object]:
    """Return a row of the table for one kind of device."""
    truth_mean = np.stack([mean_step(kind, MIDDLE_S, way) for way in (0, 1)])
    truth_sd = np.stack([spread(spread_kind, MIDDLE_S)] * 2)
    errors, plain, held = {"mean": [], "sd": [], "noise": []}, [], {"mean": [], "sd": [], "noise": []}
    for number in range(repetitions):
        rng = generator(0, "measured devices", kind, spread_kind, noise, number)
        table = analogue(kind, spread_kind, noise, readings, rng)
        fit = step_model.fit(segments(table), LOW_S, HIGH_S, None, 400, rng)
        mean, sd = fit.steps.at(MIDDLE_S)
        draws = [draw.at(MIDDLE_S) for draw in fit.draws]
        for name, found, truth, drawn in (
            ("mean", mean, truth_mean, [draw[0] for draw in draws]),
            ("sd", sd, truth_sd, [draw[1] for draw in draws]),
        ):
            low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
            errors[name].append(np.abs(found / truth - 1))
            held[name].append((low <= truth) & (truth <= high))
        errors["noise"].append(np.abs(fit.steps.noise / STEP_S - noise) / (noise or 1.0))
        held["noise"].append(fit.noise_interval[0] <= noise * STEP_S <= fit.noise_interval[1])
        plain.append(np.abs(np.stack([counted(table, way) for way in (0, 1)]) / truth_mean - 1))
    return {
        "device": f"{kind} steps, {spread_kind} spread",
        "noise_steps": noise,
        "repetitions": repetitions,
        **{f"{name}_error": float(np.median(part)) for name, part in errors.items()},
        "counted_mean_error": float(np.nanmedian(plain)),
        **{f"{name}_coverage": float(np.mean(part)) for name, part in held.items()},
    }


def levels_case(levels: int, repetitions: int, readings: int) -> dict[str, object]:
    """Return a row of the table for a device with levels, read with a quarter of a level of noise."""
    errors, held, noises, right = [], [], [], []
    for number in range(repetitions):
        rng = generator(0, "measured levels", levels, number)
        kernel = rng.dirichlet(np.ones(levels), (2, levels))
        pulse, state, states = np.arange(readings) % 2, 0, [0]
        for way in pulse:
            state = int(rng.choice(levels, p=kernel[way, state]))
            states.append(state)
        value = 1e-5 + 1e-6 * np.array(states) + 0.25e-6 * rng.standard_normal(readings + 1)
        table = segments(pd.DataFrame({"series": 0, "instance": 0, "pulse": [REST, *pulse], "value": value}))
        right.append(levels in level_model.candidates(table))
        fit = level_model.fit(table, levels, None)
        total = fit.counts.sum(axis=-1, keepdims=True)
        error = fit.counts / np.maximum(total, 1e-9) - kernel
        se = np.sqrt(kernel * (1 - kernel) / np.maximum(total, 1e-9))
        errors.append(np.abs(error[(total > 20).repeat(levels, axis=-1)]))
        held.append((np.abs(error) < 1.96 * se)[(total > 20).repeat(levels, axis=-1)])
        noises.append(fit.noise_interval[0] <= 0.25e-6 <= fit.noise_interval[1])
    return {
        "device": f"{levels} levels",
        "noise_steps": 0.25,
        "repetitions": repetitions,
        "mean_error": float(np.median(np.concatenate(errors))),
        "mean_coverage": float(np.mean(np.concatenate(held))),
        "noise_coverage": float(np.mean(noises)),
        "levels_found": float(np.mean(right)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=500)
    parser.add_argument("--readings", type=int, default=1500)
    parser.add_argument("--steps", nargs="*", choices=STEPS, default=STEPS)
    parser.add_argument("--spreads", nargs="*", choices=SPREADS, default=SPREADS)
    parser.add_argument("--noises", nargs="*", type=float, default=NOISES, help="read noise, in steps")
    parser.add_argument("--levels", nargs="*", type=int, default=LEVELS)
    parser.add_argument("--output", default="measured_devices.csv")
    arguments = parser.parse_args()
    rows = []
    for kind, spread_kind, noise in itertools.product(arguments.steps, arguments.spreads, arguments.noises):
        rows.append(steps_case(kind, spread_kind, noise, arguments.repetitions, arguments.readings))
        print(rows[-1], flush=True)
    for levels in arguments.levels:
        rows.append(levels_case(levels, arguments.repetitions, arguments.readings))
        print(rows[-1], flush=True)
    write_csv(pd.DataFrame(rows), arguments.output)


if __name__ == "__main__":
    run_cli(main)
