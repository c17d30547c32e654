"""Bits that a reader tells of normal levels, beside the information that they hold, and coverage of the intervals.

    python benchmarks/coverage_levels.py [--repetitions 200]

Levels of sd 1, a share of 0.3 of it the device's, on 8 devices with 8 writes of each level.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

sys.path.insert(0, str(Path(__file__).parents[1]))

from calibration.consequences.levels import Levels, distance, interval, scores  # noqa: E402
from spinloom.command_line import run_cli  # noqa: E402
from spinloom.streams import generator  # noqa: E402

DEVICES, REPLICAS, DEVICE_SHARE = 8, 8, 0.3


def normal_levels(step: float, number: int = 5, seed: int = 1, devices: int = DEVICES) -> Levels:
    """Return levels ``step`` apart with sd 1, of which ``DEVICE_SHARE`` is the device's."""
    level, device, _ = np.indices((number, devices, REPLICAS)).reshape(3, -1)
    rng = generator(seed, "levels", step)
    own = rng.normal(0, DEVICE_SHARE, devices)[device]
    return Levels(level, device, level * step + own + rng.normal(0, np.sqrt(1 - DEVICE_SHARE**2), level.size))


def information(step: float, number: int = 5) -> float:
    """Return the mutual information of normal levels of sd 1, ``step`` apart, with their position, bits."""
    x = np.linspace(-9, (number - 1) * step + 9, 40_001)
    density = stats.norm.pdf(x, step * np.arange(number)[:, None])
    share = density / density.sum(axis=0)
    integrand = np.where(density > 0, density * np.log2(np.maximum(number * share, 1e-300)), 0).mean(axis=0)
    return float(np.trapezoid(integrand, x))


def main() -> None:
    """Print a row per distance of the levels."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=200)
    rows = []
    for step in (0.0, 0.5, 1.0, 1.7, 3.0, 6.0):
        draws = [normal_levels(step, seed=seed) for seed in range(parser.parse_args().repetitions)]
        bits = np.array([scores(one)[0] for one in draws])
        told = np.array([interval(one, lambda some: scores(some)[0]) for one in draws])
        apart = np.array([interval(one, lambda some: distance(some, 2)) for one in draws])
        rows.append(
            {
                "distance": step,
                "information": information(step),
                "bits": bits.mean(),
                "sd": bits.std(ddof=1),
                # what the reader tells on average, which is what the interval is of
                "bits covered": np.mean((told[:, 0] <= bits.mean()) & (bits.mean() <= told[:, 1])),
                "distance covered": np.mean((apart[:, 0] <= step) & (step <= apart[:, 1])),
            }
        )
    print(pd.DataFrame(rows).to_string(index=False, float_format=lambda value: f"{value:.3f}"))


if __name__ == "__main__":
    run_cli(main)
