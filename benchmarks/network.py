"""How fast a training step is: a rule against the float step of the same network, on one thread.

    python benchmarks/network.py --card results/default/calibration/card [--rule NAME] [--batch-size 100 128]
        [--aihwkit PYTHON]

Prints medians of CPU time over the repeats; the two rules take turns, so that a change of the machine's load hits both.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
os.environ["NPROC"] = "1"
sys.path.insert(0, str(Path(__file__).parents[1]))

import jax  # noqa: E402

from calibration.card import KernelCard  # noqa: E402
from network import rules  # noqa: E402
from network.datasets import Data  # noqa: E402
from network.synapse.device import DeviceModel  # noqa: E402
from network.training.settings import BASELINE, check  # noqa: E402
from network.training.trainer import Trainer  # noqa: E402
from spinloom.command_line import run_cli  # noqa: E402
from spinloom.streams import generator  # noqa: E402

PIXELS = 784
INK = 0.19  # of MNIST's pixels; pulses of single images go to no others
HELD = 100  # validation images; not used


def pictures(count: int) -> Data:
    """Return ``count`` training images of the size of MNIST, in which as many pixels are not 0."""
    random = generator(0, "benchmark", "pictures")

    def draw(n):
        images = random.integers(1, 256, (n, PIXELS), "uint8") * (random.random((n, PIXELS)) < INK)
        return images.astype("uint8"), random.integers(0, 10, n, "uint8")

    return Data(*draw(count + HELD), *draw(HELD), 10, (28, 28, 1))


def measure(arguments: argparse.Namespace, batch: int) -> None:
    """Print the speed at one batch size."""
    data, trainers, states = pictures(arguments.steps * batch), {}, {}
    card = KernelCard.read(arguments.card)
    for name in (BASELINE, arguments.rule):
        section = {
            "dataset": "mnist", "layers": arguments.layers, "rule": name, "seed": 1, "validation_images": HELD,
            "epochs": 10, "batch_size": batch, "normalisation": "batch" if batch > 1 else "none",
            "rule_options": arguments.options if name == arguments.rule else {},
        }  # fmt: skip
        device = DeviceModel.from_card(card, scale=rules.get(name).scale)
        trainers[name] = Trainer(check(section), device, 0, data)
        begin = time.perf_counter()
        states[name], _ = trainers[name].start()
        states[name], _ = jax.block_until_ready(trainers[name].epoch(states[name], 1))
        print(f"batch {batch}, {name}: first epoch with compilation {time.perf_counter() - begin:.1f} s")
    times = {name: [] for name in trainers}
    for number in range(2, 2 + arguments.repeats):
        for name, trainer in trainers.items():
            begin = time.process_time()
            states[name], _ = jax.block_until_ready(trainer.epoch(states[name], number))
            times[name].append((time.process_time() - begin) / trainer.machine.steps)
    median = {name: statistics.median(values) for name, values in times.items()}
    for name, step_s in median.items():
        print(f"batch {batch}, {name}: {step_s * 1e3:.2f} ms per step, {batch / step_s:.0f} images/s")
    print(f"batch {batch}, ratio to the float step: {median[arguments.rule] / median[BASELINE]:.2f}")
    if arguments.aihwkit:
        step_s = peer(arguments, batch)
        print(f"batch {batch}, aihwkit: {step_s * 1e3:.2f} ms per step, {batch / step_s:.0f} images/s")
        print(f"batch {batch}, times as fast as aihwkit: {step_s / median[arguments.rule]:.2f}")


def peer(arguments: argparse.Namespace, batch: int) -> float:
    """Return the seconds of aihwkit's step, of the same network and batch (`benchmarks/peers.py`)."""
    program = [arguments.aihwkit, str(Path(__file__).with_name("peers.py")), "--layers", *map(str, arguments.layers)]
    steps = ["--batch-size", str(batch), "--steps", str(min(arguments.steps, 100))]
    return float(subprocess.run([*program, *steps], check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--card", type=Path, required=True)
    parser.add_argument("--rule", default="accumulate_quantise_program", choices=rules.REGISTRY.names())
    parser.add_argument("--options", type=json.loads, default={}, help="options of the rule, as JSON")
    parser.add_argument("--layers", type=int, nargs="+", default=[PIXELS, 256, 10])
    parser.add_argument("--batch-size", type=int, nargs="+", default=[100, 128])
    parser.add_argument("--aihwkit", help="Python of an environment that has aihwkit: compare with it too")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    for batch in arguments.batch_size:
        measure(arguments, batch)


if __name__ == "__main__":
    run_cli(main)
