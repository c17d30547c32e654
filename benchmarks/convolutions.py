"""What a training step of a convolutional network costs on one thread, and what its products cost.

    python -m benchmarks.convolutions [--rule NAME] [--windows 262144 ...] [--layers 32x32x3 32C5ps2 ... 10]
    python -m benchmarks.convolutions --products

The first prints processor time of a step with windows cut for so many values at once (`network.model.layers.WINDOWS`)
and for the whole batch; they take turns. The second prints the speed of the three products of a convolution, in
float32 and in bfloat16 with float32 sums. Pictures and labels are random, the junction is the library's.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
os.environ["NPROC"] = "1"

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402

from calibration.sources import library  # noqa: E402
from network import rules  # noqa: E402
from network.datasets import Data  # noqa: E402
from network.model import layers  # noqa: E402
from network.synapse.device import DeviceModel  # noqa: E402
from network.training.settings import check  # noqa: E402
from network.training.trainer import Trainer  # noqa: E402
from spinloom.command_line import run_cli  # noqa: E402
from spinloom.streams import generator  # noqa: E402

CARD = "gt_stt_mtj_28nm"
LAYERS = ["32x32x3", "32C5ps2", "64C3p", "MP2", "128C3p", "MP2", "256", "10"]  # configs/mtj_ternary_cifar10.yaml
PIXELS = 32 * 32 * 3
WHOLE = 2**40  # values: more than any batch has
# rows, inputs and columns of a product: a few images of the second and third layer, and of the first
SHAPES = ((8192, 288, 64), (4096, 576, 128), (16384, 75, 32))


def trainer(arguments: argparse.Namespace) -> Trainer:
    """Return a training of two steps an epoch on random pictures."""
    random = generator(0, "benchmark", "pictures")

    def draw(count: int):
        return random.integers(0, 256, (count, PIXELS), "uint8"), random.integers(0, 10, count, "uint8")

    section = check({
        "dataset": "cifar10", "layers": arguments.layers, "activation": "ternary", "input": {"range": "signed"},
        "rule": arguments.rule, "seed": 1, "validation_images": 100, "epochs": 100, "batch_size": arguments.batch_size,
        "optimizer": {"name": "adam", "learning_rate": 0.3},
    })  # fmt: skip
    rule = rules.get(arguments.rule)
    device = DeviceModel.from_card(library.card(CARD), section.device, rule.scaled_by(section.options))
    return Trainer(section, device, 0, Data(*draw(2 * arguments.batch_size + 100), *draw(100), 10, (32, 32, 3)))


def steps(arguments: argparse.Namespace) -> None:
    """Print the time of a step for each way to cut windows."""
    trainers, states, times = {}, {}, {}
    for count in (WHOLE, *arguments.windows):
        layers.WINDOWS = count  # read while the epoch is traced, which is done once
        trainers[count], times[count] = trainer(arguments), []
        states[count], _ = trainers[count].start()
        states[count], _ = jax.block_until_ready(trainers[count].epoch(states[count], 1))
    for number in range(2, 2 + arguments.repeats):
        for count, one in trainers.items():
            begin = time.process_time()
            states[count], _ = jax.block_until_ready(one.epoch(states[count], number))
            times[count].append((time.process_time() - begin) / one.machine.steps)
    whole = statistics.median(times[WHOLE])
    for count, found in times.items():
        name = "the whole batch" if count == WHOLE else f"{count} values"
        step_s = statistics.median(found)
        print(f"{arguments.rule}, windows of {name} at once: {1e3 * step_s:.0f} ms a step, ratio {step_s / whole:.2f}")


def products(repeats: int) -> None:
    """Print the speed of the forward product and of the two of the backward pass."""
    ways = {
        "forward": lambda x, weight, error: (x, weight),
        "weights": lambda x, weight, error: (x.T, error),
        "inputs": lambda x, weight, error: (error, weight.T),
    }
    for rows, inputs, outputs in SHAPES:
        work = 2 * rows * inputs * outputs
        for kind in (jnp.float32, jnp.bfloat16):
            keys = jax.random.split(jax.random.key(0), 3)
            given = [
                jax.random.normal(key, shape).astype(kind)
                for key, shape in zip(keys, ((rows, inputs), (inputs, outputs), (rows, outputs)), strict=True)
            ]
            told = []
            for name, way in ways.items():
                speed = work / _fastest(
                    lambda *a, way=way: jnp.matmul(*way(*a), preferred_element_type="f4"), given, repeats
                )
                told.append(f"{name} {speed / 1e9:.0f}")
            print(f"{rows} x {inputs} x {outputs}, {kind.__name__}: {', '.join(told)} GFLOP/s")


def _fastest(function: Callable, given: list[jax.Array], repeats: int) -> float:
    compiled, found = jax.jit(function), []
    jax.block_until_ready(compiled(*given))
    for _ in range(repeats):
        begin = time.process_time()
        jax.block_until_ready(compiled(*given))
        found.append(time.process_time() - begin)
    return min(found)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rule", default="float_baseline", choices=rules.REGISTRY.names())
    parser.add_argument("--layers", nargs="+", default=LAYERS)
    parser.add_argument("--batch-size", type=int, default=500)
    parser.add_argument("--windows", type=int, nargs="+", default=[layers.WINDOWS])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--products", action="store_true", help="the speed of the products instead")
    arguments = parser.parse_args()
    if arguments.products:
        products(arguments.repeats)
    else:
        steps(arguments)


if __name__ == "__main__":
    run_cli(main)
