"""How well the models of readings find the device behind them, and how often their 95 % intervals hold the truth.

    python benchmarks/measured_devices.py [--cases "two levels" gaps ...] [--repetitions 500] [--readings 600]
        [--output measured_devices.csv]

Each case is a kind of synthetic device (`CASES`). Every repetition draws readings anew and fits them anew. The cases
take turns by `BLOCK` repetitions, and the table is written again after each, so a run can be ended when it has enough.

Devices with steps lie between 5 and 15 uS with hard ends and get trains of 45 pulses up and 45 down. Errors are
relative: medians of their absolute values over the repetitions and three states in the middle of the range. Devices
with levels have them 1 uS apart, and probabilities that are drawn anew; errors are absolute, of rows with more than 20
writes. ``counted`` is what plain counting of the same readings gives.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))

from calibration.counting.estimator import count_transitions, posterior  # noqa: E402
from calibration.counting.writes import REST  # noqa: E402
from calibration.measurement import level_model, level_rows, step_model  # noqa: E402
from calibration.measurement.clean import drift_at_rest  # noqa: E402
from calibration.measurement.devices import separated  # noqa: E402
from calibration.measurement.estimate import without_rests  # noqa: E402
from calibration.measurement.segments import segments  # noqa: E402
from calibration.sections import Posterior  # noqa: E402
from spinloom.command_line import run_cli  # noqa: E402
from spinloom.files import write_csv  # noqa: E402
from spinloom.streams import generator  # noqa: E402

BLOCK = 20
LOW_S, HIGH_S, STEP_S, TRAIN = 5e-6, 15e-6, 0.3e-6, 45
LEVEL_S, APART_S = 1e-5, 1e-6
MIDDLE_S = np.array([8e-6, 10e-6, 12e-6])
ENOUGH = 20  # writes of a row of which probabilities are compared


@dataclass(frozen=True)
class Steps:
    """A device with continuous steps; what counts in steps is in units of `STEP_S`."""

    steps: str = "saturating"
    spread: str = "dependent"
    noise: float = 1.0  # steps
    rests: int = 0  # readings at rest after each train
    drift: float = 0.0  # steps, from one reading at rest to the next
    gaps: float = 0.0  # share of the readings that are missing
    devices: int = 1
    apart: float = 0.0  # relative sd of the devices' steps

    def mean(self, state: np.ndarray, way: int) -> np.ndarray:
        """Return the mean step from each state, S; ``way`` is 0 up, 1 down."""
        ahead = (HIGH_S - state if way == 0 else state - LOW_S) / (HIGH_S - LOW_S)
        return (-1) ** way * STEP_S * (np.ones_like(ahead) if self.steps == "linear" else 0.04 + 2 * ahead)

    def sd(self, state: np.ndarray) -> np.ndarray:
        """Return the standard deviation of a step from each state, S."""
        share = (state - LOW_S) / (HIGH_S - LOW_S)
        return STEP_S * (0.3 * np.ones_like(share) if self.spread == "constant" else 0.15 + 0.5 * share)

    def readings(self, number: int, factors: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
        """Return about ``number`` readings of devices whose steps are longer by ``factors``."""
        tables = []
        for device, factor in enumerate(factors):
            train = [*[0] * TRAIN, *[REST] * self.rests, *[1] * TRAIN, *[REST] * self.rests]
            ways = np.resize(train, number // len(factors))
            state, states = np.array(LOW_S), [LOW_S]
            for way, normal in zip(ways.tolist(), rng.standard_normal(len(ways))):
                moved = self.drift * STEP_S
                if way != REST:
                    moved = factor * self.mean(state, way) + self.sd(state) * normal
                state = np.clip(state + moved, LOW_S, HIGH_S)
                states.append(float(state))
            value = np.array(states) + self.noise * STEP_S * rng.standard_normal(len(states))
            value[1:][rng.random(len(ways)) < self.gaps] = np.nan
            table = {"series": device, "instance": device, "pulse": [REST, *ways], "value": value}
            tables.append(pd.DataFrame(table))
        return pd.concat(tables, ignore_index=True)

    def once(self, number: int, rng: np.random.Generator) -> dict[str, float]:
        """Return errors and held truths of one repetition."""
        factors = 1 + self.apart * rng.standard_normal(self.devices)
        readings = self.readings(number, factors, rng)
        typical = np.exp(np.log(factors).mean())
        truth = np.stack([typical * self.mean(MIDDLE_S, way) for way in (0, 1)])
        truth_sd = np.stack([self.sd(MIDDLE_S)] * 2)
        table = segments(readings)
        drifts = drift_at_rest(table) is not None
        if drifts:
            table = without_rests(table, readings)
        if self.devices > 1:
            _, apart = separated(table, step_model.fit(table, LOW_S, HIGH_S, None, 0, rng), None, rng)
            table = table if apart is None else apart.typical(table)
        fit = step_model.fit(table, LOW_S, HIGH_S, None, 400, rng)
        found, drawn = fit.steps.at(MIDDLE_S), [draw.at(MIDDLE_S) for draw in fit.draws]
        plain = np.stack([counted(readings, way) for way in (0, 1)], axis=1)
        out = {}
        for index, (name, own) in enumerate((("mean", truth), ("spread", truth_sd))):
            low, high = np.quantile([draw[index] for draw in drawn], [0.025, 0.975], axis=0)
            out |= {
                f"{name}_error": float(np.median(np.abs(found[index] / own - 1))),
                f"counted_{name}_error": float(np.nanmedian(np.abs(plain[index] / own - 1))),
                f"{name}_coverage": float(np.mean((low <= own) & (own <= high))),
            }
        out["noise_error"] = abs(fit.steps.noise / STEP_S - self.noise) / (self.noise or 1.0)
        low, high = fit.noise_interval
        out["noise_coverage"] = float(low <= self.noise * STEP_S <= high)
        if self.rests:
            out["drift_told"] = float(drifts)
        return out


def counted(readings: pd.DataFrame, way: int) -> np.ndarray:
    """Return mean and sd of the differences of neighbouring readings about each state of `MIDDLE_S`, S [2, states]."""
    value, series = readings["value"].to_numpy(), readings["series"].to_numpy()
    step, own = np.diff(value), (readings["pulse"].to_numpy()[1:] == way) & (np.diff(series) == 0)
    near = [step[own & (np.abs(value[:-1] - state) < 0.5e-6)] for state in MIDDLE_S]
    return np.array(
        [[np.nanmean(part), np.nanstd(part)] if np.isfinite(part).any() else [np.nan] * 2 for part in near]
    ).T


@dataclass(frozen=True)
class Levels:
    """A device with levels; pulses of two kinds alternate."""

    levels: int
    noise: float = 0.25  # distances of levels
    gaps: float = 0.0  # share of the readings that are missing

    def once(self, number: int, rng: np.random.Generator) -> dict[str, float]:
        """Return errors and held truths of one repetition."""
        size = self.levels
        truth = rng.dirichlet(np.ones(size), (2, size))
        pulse, state, states = np.arange(number) % 2, 0, [0]
        for way in pulse:
            state = int(rng.choice(size, p=truth[way, state]))
            states.append(state)
        value = LEVEL_S + APART_S * (np.array(states) + self.noise * rng.standard_normal(number + 1))
        value[1:][rng.random(number) < self.gaps] = np.nan
        table = segments(pd.DataFrame({"series": 0, "instance": 0, "pulse": [REST, *pulse], "value": value}))
        fit = level_model.fit(table, size, None)
        rows, ends = level_rows.estimated(fit, table, 2, Posterior(), rng)
        nearest = np.clip(np.rint((value - LEVEL_S) / APART_S), 0, size - 1)
        whole = np.isfinite(nearest[1:] + nearest[:-1])
        before, after = (nearest[part][whole].astype(np.int64) for part in (np.s_[:-1], np.s_[1:]))
        counts = count_transitions(pulse[whole], before, after, 2, size)
        plain, low, high = posterior(counts, 1 / size, 0.95)
        enough = (rows.counts.sum(axis=-1) > ENOUGH)[..., None].repeat(size, axis=-1)
        noise = self.noise * APART_S
        return {
            "probability_error": float(np.median(np.abs(rows.probability - truth)[enough])),
            "counted_probability_error": float(np.median(np.abs(plain - truth)[enough])),
            "probability_coverage": float(np.mean(((rows.ci_low <= truth) & (truth <= rows.ci_high))[enough])),
            "counted_probability_coverage": float(np.mean(((low <= truth) & (truth <= high))[enough])),
            "noise_error": abs(fit.noise / noise - 1),
            "noise_coverage": float(ends[0] <= noise <= ends[1]),
            "levels_found": float(size in level_model.candidates(table)),
        }


CASES: dict[str, Steps | Levels] = {
    "two levels": Levels(2),
    "five levels": Levels(5),
    "two levels, noise 0.1": Levels(2, 0.1),
    "two levels, noise 0.4": Levels(2, 0.4),
    "five levels, gaps": Levels(5, gaps=0.1),
    **{
        f"{steps} steps, {spread} spread, noise {noise:g}": Steps(steps, spread, noise)
        for steps, spread, noise in product(("linear", "saturating"), ("constant", "dependent"), (0.0, 0.3, 1.0, 3.0))
    },
    "drift at rest": Steps(rests=15, drift=-0.3),
    "gaps": Steps(gaps=0.1),
    "three devices": Steps(devices=3, apart=0.2),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="*", choices=CASES, default=list(CASES), metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--repetitions", type=int, default=500)
    parser.add_argument("--readings", type=int, default=600)
    parser.add_argument("--output", default="measured_devices.csv")
    arguments = parser.parse_args()
    results: dict[str, list[dict[str, float]]] = {name: [] for name in arguments.cases}
    for begin in range(0, arguments.repetitions, BLOCK):
        for name, own in results.items():
            for number in range(begin, min(begin + BLOCK, arguments.repetitions)):
                own.append(CASES[name].once(arguments.readings, generator(0, "measured devices", name, number)))
            write_csv(summary(results), arguments.output)
        print(summary(results).to_string(), flush=True)


def summary(results: dict[str, list[dict[str, float]]]) -> pd.DataFrame:
    """Return a row for each case that has repetitions: median errors, mean coverage."""
    rows = []
    for name, own in results.items():
        row: dict[str, object] = {"case": name, "repetitions": len(own)}
        for key in own[0] if own else ():
            values = [one[key] for one in own]
            row[key] = float(np.median(values) if key.endswith("error") else np.mean(values))
        rows.append(row)
    return pd.DataFrame([row for row in rows if row["repetitions"]])


if __name__ == "__main__":
    run_cli(main)
