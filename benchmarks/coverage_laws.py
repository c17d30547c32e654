"""How often the 95 % intervals of fitted laws hold the truth: synthetic writes from known parameters, fitted again.

    python benchmarks/coverage_laws.py [--repetitions 500] [--laws neel_brown logistic ...] [--output coverage_laws.csv]

``interval`` is `calibration.laws.fitting.interval` (formed on the scale of the search), ``plain`` the estimate +- 1.96
standard errors, ``rows`` the intervals of the probabilities that the fit predicts, all of them together.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))

from calibration import laws  # noqa: E402
from calibration.consequences.interpolation import interpolate  # noqa: E402
from calibration.laws import fitting  # noqa: E402
from calibration.laws.fitting import Displacements  # noqa: E402
from spinloom.command_line import run_cli  # noqa: E402
from spinloom.errors import UserError  # noqa: E402
from spinloom.files import write_csv  # noqa: E402
from spinloom.streams import generator  # noqa: E402

WHERE = "synthetic writes"
TRACK_m = 600e-9


@dataclass(frozen=True)
class Case:
    """A law with true parameters, how writes come from it and which rows it is to predict."""

    law: str
    truth: dict[str, float]
    simulate: Callable[[np.random.Generator], Any]
    rows: Callable[[dict[str, float]], np.ndarray]
    options: dict[str, Any] = field(default_factory=dict)


def pulses(voltages_V, durations_s, temperatures_K=(300.0,), writes: int = 200) -> pd.DataFrame:
    """Return every combination, ``writes`` writes each."""
    grid = itertools.product(voltages_V, durations_s, temperatures_K)
    return pd.DataFrame(grid, columns=["voltage_V", "duration_s", "temperature_K"]).assign(writes=writes)


def _switching(name: str, truth: dict[str, float], table: pd.DataFrame, **options: Any) -> Case:
    law = laws.get(name)
    axes = [table[axis].to_numpy() for axis in law.AXES]
    chance = law.probability(truth, *axes)

    def rows(parameters: dict[str, float]) -> np.ndarray:
        p = law.probability(parameters, *axes)[(chance > 0.01) & (chance < 0.99)]
        return np.stack([1 - p, p], axis=-1)

    return Case(name, truth, lambda rng: table.assign(switched=rng.binomial(table["writes"], chance)), rows, options)


def _walls(truth: dict[str, float], ends: str, writes: int = 300) -> Case:
    law = laws.get("truncated_normal")
    edges = np.linspace(0, TRACK_m, 6)

    def simulate(rng: np.random.Generator) -> Displacements:
        before = np.full(writes, np.nan) if "mean" in truth else rng.uniform(0, TRACK_m, writes)
        mean = law.centre_of(truth, before)
        after = mean + truth["sd"] * rng.standard_normal(writes)
        if ends == "clip":
            return Displacements(before, np.clip(after, 0, TRACK_m), 0.0, TRACK_m, ends)
        while (outside := (after < 0) | (after > TRACK_m)).any():
            after[outside] = mean[outside] + truth["sd"] * rng.standard_normal(outside.sum())
        return Displacements(before, after, 0.0, TRACK_m, ends)

    def rows(parameters: dict[str, float]) -> np.ndarray:
        return law.rows(parameters, edges, (edges[1:] + edges[:-1]) / 2, (0.0, TRACK_m), ends)

    return Case("truncated_normal", truth, simulate, rows)


_neel_brown = {"thermal_stability": 20.0, "critical_voltage_V": 0.8, "tau0_s": 1e-9, "reference_temperature_K": 300.0}
CASES = {
    "neel_brown": _switching("neel_brown", _neel_brown, pulses(np.linspace(0.4, 0.7, 7), [1e-8, 1e-7, 1e-6])),
    "neel_brown, tau0 free": _switching(
        "neel_brown",
        _neel_brown,
        pulses(np.linspace(0.4, 0.7, 7), [1e-8, 1e-7, 1e-6], [250.0, 300.0, 400.0]),
        fixed={"tau0_s": None},
    ),
    "precessional": _switching(
        "precessional",
        {"characteristic_time_s": 1e-9, "critical_voltage_V": 0.5, "initial_angle_sd_rad": 0.1,
         "reference_temperature_K": 300.0},
        pulses(np.linspace(0.7, 1.2, 6), [1e-9, 2e-9, 4e-9, 8e-9]),
    ),
    "logistic": _switching(
        "logistic", {"threshold_voltage_V": 0.8958, "slope_per_V": 42.7}, pulses(np.linspace(0.8, 1.0, 11), [0.75e-9])
    ),
    "logistic_plateau": _switching(
        "logistic_plateau",
        {"threshold_voltage_V": 0.9, "slope_per_V": 42.7, "plateau": 0.8, "floor": 0.05},
        pulses(np.linspace(0.7, 1.1, 21), [0.75e-9]),
    ),
    "passing": _switching(
        "passing",
        {"threshold": 4.63168, "slope": 2.72741, "amplitude": 0.97813},
        pd.DataFrame({"drive": np.linspace(2.0, 7.0, 21), "writes": 200}),
    ),
    "truncated_normal, truncate": _walls(
        {"shift": 60e-9, "shift_slope": -0.2, "sd": 40e-9, "centre": TRACK_m / 2}, "truncate"
    ),
    "truncated_normal, clip": _walls({"shift": 60e-9, "shift_slope": -0.2, "sd": 40e-9, "centre": TRACK_m / 2}, "clip"),
    "truncated_normal, reset": _walls({"mean": 560e-9, "sd": 40e-9}, "truncate"),
    # parameters on a bound: the plateau is told by the last voltages only
    "logistic_plateau, near the bound": _switching(
        "logistic_plateau",
        {"threshold_voltage_V": 0.9, "slope_per_V": 42.7, "plateau": 0.985, "floor": 0.015},
        pulses(np.linspace(0.7, 1.1, 9), [0.75e-9], writes=50),
    ),
}  # fmt: skip


# numbers of voltages between which probabilities are interpolated
INTERPOLATION = {"interpolation, 13 voltages": 13, "interpolation, 7 voltages": 7, "interpolation, 4 voltages": 4}


def coverage(name: str, repetitions: int, seed: int = 1) -> pd.DataFrame:
    """Return the share of intervals that hold the truth, one row per fitted parameter and one for predicted rows.

    Parameters
    ----------
    name : str
        In `CASES`.
    repetitions : int
        Each on the stream (seed, "coverage", name, repetition).
    seed : int

    Returns
    -------
    DataFrame
        ``case``, ``quantity``, ``truth``, ``bias`` (mean estimate / truth - 1), ``interval`` (share of all fits),
        ``plain`` (share of those with a standard error), ``none`` (share without: on a bound), ``refused`` (share of
        fits refused), ``rejected`` (share of goodness-of-fit tests with p < 0.05), ``repetitions``.
    """
    case = CASES[name]
    fitted: list[fitting.Fit] = []
    row_hits: list[np.ndarray] = []
    true_rows = case.rows(case.truth)
    for repetition in range(repetitions):
        try:
            fit = fitting.fit(
                case.law, case.simulate(generator(seed, "coverage", name, repetition)), WHERE, **case.options
            )
        except UserError:
            continue
        fitted.append(fit)
        found = fitting.predict(fit, case.rows)
        row_hits.append((found.ci_low <= true_rows) & (true_rows <= found.ci_high))
    hits, bound = np.array(row_hits), np.array([bool(fit.conditions["on_bound"]) for fit in fitted])
    common = {
        "case": name,
        "refused": 1 - len(fitted) / repetitions,
        "rejected": np.mean([(fit.goodness["p_value"] or 1.0) < 0.05 for fit in fitted]),
        "repetitions": repetitions,
    }
    table = []
    for parameter, true in case.truth.items():
        told = [fit for fit in fitted if fit.standard_errors[parameter] is not None]
        if not told:
            continue
        ends = np.array([fitting.interval(fit, parameter) for fit in fitted])
        values = np.array([fit.parameters[parameter] for fit in told])
        errors = np.array([fit.standard_errors[parameter] for fit in told])
        table.append(
            {
                "quantity": parameter,
                "truth": true,
                "bias": values.mean() / true - 1 if true else np.nan,
                "interval": np.mean((ends[:, 0] <= true) & (true <= ends[:, 1])),
                "plain": np.mean(np.abs(values - true) <= 1.959964 * errors),
                "none": 1 - len(told) / len(fitted),
                **common,
            }
        )
    table.append({"quantity": "rows", "interval": hits.mean(), "none": 0.0, **common})
    table.append({"quantity": "worst row", "interval": hits.mean(axis=0).min(), "none": 0.0, **common})
    if bound.any():
        # of parameters and rows alike, ``none`` is the share of fits that the line leaves out
        table.append(
            {"quantity": "rows, on a bound", "interval": hits[bound].mean(), "none": 1 - bound.mean(), **common}
        )
    columns = ["case", "quantity", "truth", "bias", "interval", "plain", "none", "refused", "rejected", "repetitions"]
    return pd.DataFrame(table)[columns] if "plain" in table[0] else pd.DataFrame(table)


def interpolation_coverage(name: str, repetitions: int, seed: int = 1) -> pd.DataFrame:
    """Return the coverage of interpolated probabilities: counts at several voltages, asked midway between each two."""
    law = laws.get("neel_brown")
    known = pulses(np.linspace(0.4, 0.64, INTERPOLATION[name]), [1e-6])
    volts = known["voltage_V"].to_numpy()
    asked = known.iloc[:-1].assign(voltage_V=(volts[1:] + volts[:-1]) / 2)
    p, true = (law.probability(_neel_brown, t["voltage_V"].to_numpy(), 1e-6, 300.0) for t in (known, asked))
    fair = (true > 0.01) & (true < 0.99)
    hits = []
    for repetition in range(repetitions):
        switched = generator(seed, "coverage", name, repetition).binomial(known["writes"], p)
        row = np.stack([known["writes"] - switched, switched], axis=-1).astype(float)
        counts = np.repeat(row[:, None, :], 2, axis=1)
        found = interpolate(known, (counts + 0.5) / (counts.sum(-1, keepdims=True) + 1), counts, asked)
        hits.append(np.mean(((found.ci_low[:, 0, 1] <= true) & (true <= found.ci_high[:, 0, 1]))[fair]))
    return pd.DataFrame(
        [{"case": name, "quantity": "rows", "interval": np.mean(hits), "none": 0.0, "refused": 0.0,
          "repetitions": repetitions}]
    )  # fmt: skip


def main() -> None:
    """Print the table and write it as CSV."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=500)
    parser.add_argument("--laws", nargs="+", help="names of cases or of laws; all if left out")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    known = [*CASES, *INTERPOLATION]
    wanted = [name for name in known if not arguments.laws or {name, name.split(",")[0]} & set(arguments.laws)]
    if not wanted:
        raise UserError(f"--laws: found {' '.join(arguments.laws)}, allowed: {', '.join(known)}")
    parts = []
    for name in wanted:
        judge = interpolation_coverage if name in INTERPOLATION else coverage
        parts.append(judge(name, arguments.repetitions))
        print(parts[-1].to_string(index=False, float_format=lambda value: f"{value:.4g}"), flush=True)
    if arguments.output:
        write_csv(pd.concat(parts, ignore_index=True), arguments.output)


if __name__ == "__main__":
    run_cli(main)
