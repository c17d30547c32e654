"""The half of `benchmarks/interchange.py` that a Python with aihwkit runs: an exported device, pulsed or trained.

    PYTHON benchmarks/interchange_peer.py DEVICE.py TASK.npz ANSWER.npz

Reads and writes arrays alone; what they are is told in `benchmarks/interchange.py`. One thread.
"""

from __future__ import annotations

import os
import runpy
import sys
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")

import numpy as np


def tile_of(configs: Any, tiles: Any, device: Any, inputs: int, outputs: int, slots: int, seed: int) -> Any:
    """Return devices with ideal reads and trains of ``slots`` stochastic pulses, or with 0 slots one pulse for all."""
    config = configs.SingleRPUConfig(device=device)
    config.forward.is_perfect = config.backward.is_perfect = True
    kind = configs.PulseType.STOCHASTIC if slots else configs.PulseType.DETERMINISTIC_IMPLICIT
    config.update = configs.UpdateParameters(
        pulse_type=kind, desired_bl=max(slots, 1), update_management=bool(slots), update_bl_management=False
    )
    device.construction_seed = seed
    return tiles.AnalogTile(outputs, inputs, config)


def pulsed(torch: Any, make: Any, task: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return weights after one pulse from each weight, float[2 directions, weights, devices]."""
    start, devices = torch.tensor(task["weight"], dtype=torch.float32), int(task["devices"])
    ends = []
    for sign in (-1.0, 1.0):
        tile = make(devices, len(start), 0, 1)
        tile.tile.set_weights(start[:, None].expand(-1, devices).contiguous())
        tile.tile.set_learning_rate(1.0)
        tile.tile.update(torch.ones(devices), sign * torch.ones(len(start)), False)
        ends.append(tile.tile.get_weights().numpy())
    return {"after": np.stack(ends)}


def trained(torch: Any, make: Any, task: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the test accuracy after each epoch, float[seeds, epochs], and the processor time of all."""
    x, y, test_x, test_y = (torch.tensor(task[name]) for name in ("x", "y", "test_x", "test_y"))
    layers, epochs = task["layers"].tolist(), int(task["epochs"])
    scales, rate = task["scales"].tolist(), float(task["learning_rate"])
    found = np.zeros((int(task["seeds"]), epochs))
    for seed in range(len(found)):
        torch.manual_seed(seed)
        tiles, biases = [], [torch.zeros(outputs) for outputs in layers[1:]]
        for number, (inputs, outputs) in enumerate(pairwise(layers)):
            tile = make(inputs, outputs, int(task["slots"]), 1 + seed * len(layers) + number)
            tile.tile.set_weights(float(task["initial_spread"]) * (2 * torch.rand(outputs, inputs) - 1))
            tile.tile.set_learning_rate(rate / scales[number])
            tiles.append(tile)

        def forward(values, tiles=tiles, biases=biases):
            seen = []
            for number, tile in enumerate(tiles):
                seen.append(values)
                values = scales[number] * tile.tile.forward(values, False, False, False, False) + biases[number]
                if number < len(tiles) - 1:
                    values = torch.sigmoid(values)
            return values, seen

        for epoch in range(epochs):
            for place in torch.randperm(len(x)).tolist():
                scores, seen = forward(x[place : place + 1])
                error = torch.softmax(scores, 1)
                error[0, y[place]] -= 1
                for number in reversed(range(len(tiles))):
                    back = scales[number] * tiles[number].tile.backward(error, False, False, False)
                    tiles[number].tile.update(seen[number], error, False)
                    biases[number] -= rate * error[0]
                    # of the sigmoid before; pictures have none, and nothing is below them
                    error = back * seen[number] * (1 - seen[number])
            found[seed, epoch] = (forward(test_x)[0].argmax(1) == test_y).float().mean()
    return {"accuracy": found}


def main() -> None:
    """Run the command line."""
    device, task_file, answer = sys.argv[1:]
    torch, tiles, configs = map(import_module, ("torch", "aihwkit.simulator.tiles", "aihwkit.simulator.configs"))
    torch.set_num_threads(1)
    with np.load(task_file) as stored:
        task = dict(stored)
    made = runpy.run_path(device)["DEVICE"]

    def make(inputs: int, outputs: int, slots: int, seed: int) -> Any:
        return tile_of(configs, tiles, made, inputs, outputs, slots, seed)

    found = (trained if "x" in task else pulsed)(torch, make, task)
    np.savez(Path(answer), **found)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
