"""How fast a training step is: device rule against the float step of the same network, on one thread.

    python benchmarks/network.py --card results/card [--steps 300] [--repeats 5]

Prints medians over the repeats; the two rules take turns, so that a change of the machine's load hits both.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from pathlib import Path

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
os.environ["NPROC"] = "1"
sys.path.insert(0, str(Path(__file__).parents[1]))

import jax  # noqa: E402
import numpy as np  # noqa: E402

from network.datasets import Data  # noqa: E402
from network.device import read_card  # noqa: E402
from network.settings import Settings  # noqa: E402
from network.train import Trainer  # noqa: E402
from spinloom.errors import run_cli  # noqa: E402

LAYERS = [784, 128, 128, 128, 10]
BATCH = 100


def measure() -> None:
    """Time epochs of random images of the size of MNIST; the time of a step does not depend on their content much."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--card", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()

    random = np.random.default_rng(0)
    images = arguments.steps * BATCH + 100
    data = Data(
        random.integers(0, 256, (images, LAYERS[0]), np.uint8), random.integers(0, 10, images, np.uint8),
        random.integers(0, 256, (100, LAYERS[0]), np.uint8), random.integers(0, 10, 100, np.uint8), 10,
    )  # fmt: skip
    settings = Settings("mnist", LAYERS, "accumulate_quantise_program", seed=1, validation_images=100, batch_size=BATCH)
    device = read_card(arguments.card)
    names = ("float_baseline", "accumulate_quantise_program")
    trainers = {name: Trainer(settings, device, name, 0, data) for name in names}
    states, times = {}, {name: [] for name in names}
    for name, trainer in trainers.items():
        begin = time.perf_counter()
        state, _ = trainer.start()
        states[name], _ = jax.block_until_ready(trainer.epoch(state, 1))
        print(f"{name}: first epoch with compilation {time.perf_counter() - begin:.1f} s")
    for number in range(2, 2 + arguments.repeats):
        for name, trainer in trainers.items():
            begin = time.perf_counter()
            states[name], _ = jax.block_until_ready(trainer.epoch(states[name], number))
            times[name].append((time.perf_counter() - begin) / trainer.steps)
    median = {name: statistics.median(values) for name, values in times.items()}
    for name, value in median.items():
        print(f"{name}: {value * 1e3:.2f} ms per step, {BATCH / value:.0f} images/s")
    print(f"ratio to the float step: {median[names[1]] / median[names[0]]:.2f}")


if __name__ == "__main__":
    run_cli(measure)
