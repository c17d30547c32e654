"""Do the calibration's 95 % intervals hold? ``python -m benchmarks.calibration [--help]``.

Each case is a device with a known truth that is measured anew in each repetition; the table tells how often the
estimator's interval held the truth. For rows of probabilities: averaged over all cells, over cells with a true
probability in 0.02..0.98, and of the worst cell, whose truth is given. ``events`` and ``instances`` are the poolings
of posterior.pooling. Every random number is from a named stream, so the table is the same on every machine.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
from rich.table import Table
from scipy import stats

from calibration.counting.estimator import transition_rows
from calibration.counting.spread import probability_spread, random_effects
from calibration.sections import Posterior
from spinloom import files, streams
from spinloom.progress import table_console

MASS = 0.95
SEED = 20260101
Case = Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]]  # -> held bool[cells], truth float64[cells]

# truths of rows: a sure write, a spread one, small probabilities, many states
ROWS = {
    "2 states, 0.5": [0.5, 0.5],
    "2 states, 0.9": [0.9, 0.1],
    "2 states, 0.99": [0.99, 0.01],
    "5 states, spread": [0.1, 0.2, 0.4, 0.2, 0.1],
    "5 states, sure": [0.001, 0.009, 0.98, 0.009, 0.001],
    "5 states, impossible": [0.0, 0.3, 0.7, 0.0, 0.0],
    "32 states, bell of sd 3": list(np.diff(stats.norm.cdf(np.arange(-16, 17) / 3)) / (1 - 2 * stats.norm.sf(16 / 3))),
    "32 states, 5 reached": [0.0] * 13 + [0.1, 0.2, 0.4, 0.2, 0.1] + [0.0] * 14,
}


def _rows(truth: np.ndarray, counts: np.ndarray, pooling: str, pseudocount: float) -> np.ndarray:
    """Return bool[rows, states] for counts int64[rows, devices, states]."""
    rows, _, states = counts.shape
    row, device, state = np.repeat(np.indices(counts.shape).reshape(3, -1), counts.ravel(), axis=1)
    options = Posterior.model_validate({"pseudocount": pseudocount, "interval": MASS, "pooling": pooling})
    found = transition_rows(row, np.zeros_like(row), state, device, rows, states, options, "benchmark")
    return (found.ci_low[:, 0] <= truth) & (truth <= found.ci_high[:, 0])


def alike(truth: list[float], writes: int, pseudocount: float = 0.5) -> Case:
    """Devices are alike; one row of independent writes."""

    def case(rng):
        counts = rng.multinomial(writes, truth)[None, None]
        return _rows(np.array(truth), counts, "events", pseudocount)[0], np.array(truth)

    return case


def walls(device_sd: float, cycle_sd: float, devices: int, writes: int, pooling: str) -> Case:
    """Walls written by 5 pulses to 5 states 100 nm wide; a device displaces all of its walls alike."""
    means, edges = 100e-9 * np.arange(1, 6) + 7e-9, 100e-9 * np.arange(1.5, 5.5)
    shares = stats.norm.cdf(np.concatenate([[-np.inf], edges, [np.inf]]), means[:, None], np.hypot(device_sd, cycle_sd))
    truth = np.diff(shares, axis=1)

    def case(rng):
        x = (
            means[:, None, None]
            + rng.normal(0, device_sd, (devices, 1))
            + rng.normal(0, cycle_sd, (5, devices, writes))
        )
        counts = (np.searchsorted(edges, x)[..., None] == np.arange(5)).sum(axis=2)
        return _rows(truth, counts, pooling, 0.5).ravel(), truth.ravel()

    return case


def switches(mean: float, correlation: float, devices: int, writes: int, pooling: str) -> Case:
    """Binary devices whose probabilities are beta distributed."""
    size, truth = 1 / correlation - 1, np.array([1 - mean, mean])

    def case(rng):
        hits = rng.binomial(writes, rng.beta(mean * size, (1 - mean) * size, devices))
        return _rows(truth, np.stack([writes - hits, hits], axis=-1)[None], pooling, 0.5)[0], truth

    return case


def spreads(which: str, cells: int, devices: int, writes: int, device_sd: float, interaction: float = 0.0) -> Case:
    """Interval of the cycle-to-cycle sd (1) or of the device-to-device sd; ``interaction`` differs by cell."""
    truth = 1.0 if which == "cycle" else float(np.hypot(device_sd, interaction))
    cell, device, _ = np.indices((cells, devices, writes)).reshape(3, -1)

    def case(rng):
        offset = rng.normal(0, device_sd, devices) + rng.normal(0, interaction, (cells, devices))
        found = random_effects(cell + offset[cell, device] + rng.normal(size=cell.size), cell, device, MASS)
        name = f"{which}_to_{which}"
        return np.array([getattr(found, f"{name}_low") <= truth <= getattr(found, f"{name}_high")]), np.array([truth])

    return case


def unequal(cells: int, sizes: list[int], device_sd: float) -> Case:
    """Interval of the device-to-device sd if devices were written ``sizes`` times; the cycle-to-cycle sd is 1."""
    size = np.tile(sizes, (cells, 1))
    cell, device = (np.repeat(index.ravel(), size.ravel()) for index in np.indices(size.shape))

    def case(rng):
        x = cell + rng.normal(0, device_sd, len(sizes))[device] + rng.normal(size=cell.size)
        found = random_effects(x, cell, device, MASS)
        low, high = found.device_to_device_low or 0.0, found.device_to_device_high or 0.0
        return np.array([low <= device_sd <= high]), np.array([device_sd])

    return case


def probabilities(mean: float, correlation: float, devices: int, writes: int) -> Case:
    """Interval of the between-device sd of a switching probability."""
    size, truth = 1 / correlation - 1, np.sqrt(correlation * mean * (1 - mean))

    def case(rng):
        hits = rng.binomial(writes, rng.beta(mean * size, (1 - mean) * size, devices))
        low, high = probability_spread(hits, np.full(devices, writes), MASS).interval or (0.0, 0.0)
        return np.array([low <= truth <= high]), np.array([truth])

    return case


def cases() -> dict[tuple[str, str], Case]:
    """Return the cases by estimator and name."""
    found: dict[tuple[str, str], Case] = {}
    for name, truth in ROWS.items():
        for writes in (8, 32, 128):
            found["row, events", f"{name}, {writes} writes"] = alike(truth, writes)
    for name in ("5 states, spread", "5 states, sure", "32 states, bell of sd 3", "32 states, 5 reached"):
        for writes in (8, 32, 128):
            inverse = 1 / len(ROWS[name])
            found["row, events, a = 1/K", f"{name}, {writes} writes"] = alike(ROWS[name], writes, inverse)
    for pooling in ("events", "instances"):
        for device, cycle, devices, writes in (
            (0.0, 50e-9, 8, 4), (20e-9, 40e-9, 8, 4), (40e-9, 40e-9, 8, 4), (40e-9, 40e-9, 8, 20),
            (40e-9, 30e-9, 20, 10),
        ):  # fmt: skip
            name = f"walls, sd {device * 1e9:g} and {cycle * 1e9:g} nm, {devices} devices x {writes}"
            found[f"row, {pooling}", name] = walls(device, cycle, devices, writes, pooling)
        for mean, correlation, devices, writes in (
            (0.5, 0.1, 8, 20), (0.5, 0.1, 8, 100), (0.2, 0.2, 20, 20), (0.05, 0.1, 20, 20),
            (0.9, 0.3, 8, 20), (0.9, 0.3, 40, 20), (0.5, 0.2, 4, 20),
        ):  # fmt: skip
            name = f"switch, p {mean:g}, rho {correlation:g}, {devices} devices x {writes}"
            found[f"row, {pooling}", name] = switches(mean, correlation, devices, writes, pooling)
    for which in ("cycle", "device"):
        for cells, devices, writes, sd, more in (
            (1, 8, 4, 0.5, 0.0), (5, 8, 4, 0.0, 0.0), (5, 8, 4, 0.4, 0.0), (5, 8, 4, 2.0, 0.0),
            (25, 8, 4, 0.4, 0.0), (5, 40, 10, 0.4, 0.0), (5, 8, 4, 0.3, 0.3),
        ):  # fmt: skip
            name = f"{cells} cells, {devices} devices x {writes}, device sd {sd:g}" + (
                f" + {more:g} by cell" if more else ""
            )
            found[f"{which} sd", name] = spreads(which, cells, devices, writes, sd, more)
    for cells, (low, high), devices in ((3, (2, 40), 10), (1, (2, 40), 10), (3, (2, 11), 10), (3, (2, 40), 40)):
        sizes = np.round(np.geomspace(low, high, devices)).astype(int).tolist()
        for sd in (0.0, 0.2, 0.5, 2.0):
            name = f"{cells} cells, {devices} devices x {low}..{high}, device sd {sd:g}"
            found["device sd, unequal", name] = unequal(cells, sizes, sd)
    for sd in (0.0, 0.2, 0.5, 2.0):
        found["device sd, unequal", f"3 cells, 10 devices, 9 x 2 and 40, device sd {sd:g}"] = unequal(
            3, [2] * 9 + [40], sd
        )
    for mean, correlation, devices, writes in (
        (0.5, 0.1, 8, 20), (0.5, 0.01, 20, 20), (0.25, 0.1, 20, 20), (0.1, 0.1, 8, 40),
        (0.1, 0.1, 40, 40), (0.1, 0.3, 40, 20),
    ):  # fmt: skip
        name = f"p {mean:g}, rho {correlation:g}, {devices} devices x {writes}"
        found["probability sd", name] = probabilities(mean, correlation, devices, writes)
    return found


def measure(estimator: str, name: str, case: Case, repeats: int) -> dict:
    """Return the coverage of one case."""
    runs = [case(streams.generator(SEED, "coverage", estimator, name, number)) for number in range(repeats)]
    held, truth = np.array([run[0] for run in runs]), runs[0][1]
    each = held.mean(axis=0)
    middle = (truth > 0.02) & (truth < 0.98) if estimator.startswith("row") else np.ones(len(truth), dtype=bool)
    worst = int(each.argmin())
    return {
        "estimator": estimator,
        "case": name,
        "repeats": repeats,
        "coverage": float(each.mean()),
        "standard_error": float(held.mean(axis=1).std(ddof=1) / np.sqrt(repeats)),
        "coverage_middle": float(each[middle].mean()) if middle.any() else np.nan,
        "worst": float(each[worst]),
        "worst_truth": float(truth[worst]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=2000)
    parser.add_argument("--only", default="", help="estimators whose name begins with this")
    parser.add_argument("--csv", help="write the table there too")
    arguments = parser.parse_args()
    start = time.perf_counter()
    chosen = {key: case for key, case in cases().items() if key[0].startswith(arguments.only)}
    frame = pd.DataFrame([measure(*key, case, arguments.repeats) for key, case in chosen.items()])
    table = Table(*(column.replace("_", " ") for column in map(str, frame)))
    for row in frame.itertuples(index=False):
        table.add_row(*(f"{value:.3f}" if isinstance(value, float) else str(value) for value in row))
    console = table_console()
    console.print(table)
    console.print(f"{time.perf_counter() - start:.0f} s")
    if arguments.csv:
        files.write_csv(frame, arguments.csv)


if __name__ == "__main__":
    main()
