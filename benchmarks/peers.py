"""How fast aihwkit trains the same network: run by a Python that has it, as `benchmarks/network.py --aihwkit` does.

    PYTHON benchmarks/peers.py --layers 784 256 10 --batch-size 128 [--steps 100] [--repeats 5]

Prints the median of processor time per step in seconds, on one thread. Devices are of its kind ConstantStep with 16
steps over their range; input and output are its default, noisy and quantised; sigmoids and no normalisation. It gives
the pulses of each image, where a rule with a float accumulator writes once for a batch.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from importlib import import_module
from itertools import pairwise

os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
INK = 0.19  # of the pixels, as in `benchmarks/network.py`


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, nargs="+", default=[784, 256, 10])
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--learning-rate", type=float, default=0.1)
    options = parser.parse_args()
    torch, nn, optim, configs = map(
        import_module, ("torch", "aihwkit.nn", "aihwkit.optim", "aihwkit.simulator.configs")
    )
    torch.set_num_threads(1)
    torch.manual_seed(0)
    device = configs.SingleRPUConfig(device=configs.ConstantStepDevice(dw_min=2 / 15))
    parts = []
    for inputs, outputs in pairwise(options.layers):
        parts += [nn.AnalogLinear(inputs, outputs, bias=False, rpu_config=device), torch.nn.Sigmoid()]
    network = nn.AnalogSequential(*parts[:-1])
    optimizer = optim.AnalogSGD(network.parameters(), lr=options.learning_rate)
    optimizer.regroup_param_groups(network)
    loss, size = torch.nn.CrossEntropyLoss(), (options.steps, options.batch_size, options.layers[0])
    images = torch.randint(1, 256, size) * (torch.rand(size) < INK) / 255
    labels = torch.randint(0, options.layers[-1], size[:2])
    times = []
    for _ in range(options.repeats):
        begin = time.process_time()
        for x, y in zip(images, labels, strict=True):
            optimizer.zero_grad()
            loss(network(x), y).backward()
            optimizer.step()
        times.append((time.process_time() - begin) / options.steps)
    print(statistics.median(times))


if __name__ == "__main__":
    main()
