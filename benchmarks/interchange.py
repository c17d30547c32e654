"""A card here and its export in aihwkit: steps by conductance, and the same network trained with both.

    python benchmarks/interchange.py --aihwkit PYTHON [--cards NAME ...] [--epochs 10] [--seeds 5] [--devices 4000]

PYTHON is one that has aihwkit. Both train on the digits with `stochastic_coincidence`: one image at a time, ideal
reads, digital biases and errors, sigmoids, the same columns and learning rate, update management.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from scipy import stats  # noqa: E402

from calibration import exports  # noqa: E402
from calibration.card import KernelCard  # noqa: E402
from calibration.tools.make_card import card_of  # noqa: E402
from network import rules  # noqa: E402
from network.datasets import digits  # noqa: E402
from network.synapse.device import DeviceModel  # noqa: E402
from network.training.settings import check  # noqa: E402
from network.training.trainer import Trainer  # noqa: E402
from spinloom.command_line import run_cli  # noqa: E402

CARDS = ["memristor_32_levels", "ecram_101_levels", "pcmo_26_levels", "skyrmion_counter"]
RULE, SLOTS, SPREAD = "stochastic_coincidence", 10, 0.5
NORMALS = 32768  # that aihwkit draws from on a CPU (its rng.h)
FALSE_ALARM = 1e-3  # of the test of one card's steps


def ask(python: str, folder: Path, task: dict) -> dict[str, np.ndarray]:
    """Return what `benchmarks/interchange_peer.py` answers."""
    np.savez(folder / "task.npz", **task)
    program = [python, str(Path(__file__).with_name("interchange_peer.py")), str(folder / "aihwkit_device.py")]
    files = [str(folder / name) for name in ("task.npz", "answer.npz")]
    done = subprocess.run([*program, *files], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    with np.load(folder / "answer.npz") as found:
        return dict(found)


def steps(folder: Path, python: str, devices: int) -> str:
    """Return how measured steps of the export differ from its law and from the card."""
    table = pd.read_csv(folder / "aihwkit_distance.csv")
    states = len(table) // 2
    low, high = table["conductance_S"].iloc[[0, states - 1]]
    weight = 2 * (table["conductance_S"].to_numpy()[:states] - low) / (high - low) - 1
    after = ask(python, folder, {"weight": weight, "devices": devices})["after"]
    step = (after - weight[:, None]).reshape(2 * states, devices)
    mean, sd = step.mean(axis=1), step.std(axis=1)
    size = table["mean_card"].abs().mean()
    # where the law hardly moves there is no spread to measure by
    moves = (table["sd_law"] > 0.05 * size).to_numpy()
    # the tile draws from a list of NORMALS numbers, whose mean is itself off
    error = table["sd_law"] * (1 / devices + 1 / NORMALS) ** 0.5
    score = ((mean - table["mean_law"]) / error)[moves]
    chance = stats.chi2.sf((score**2).sum(), moves.sum())
    rms = {
        f"{name} {of}": float(np.sqrt(np.mean((found - table[f"{name}_{of}"]) ** 2))) / size
        for name, found in (("mean", mean), ("sd", sd)) for of in ("law", "card")
    }  # fmt: skip
    told = ", ".join(f"{name} {value:.1%}" for name, value in rms.items())
    verdict = "agree" if chance > FALSE_ALARM else "DISAGREE"
    test = f"chi2 {(score**2).sum():.0f} of {moves.sum()}, p {chance:.3g}"
    return f"rms over a step: {told}; {test}: law and tile {verdict}"


def ours(card: KernelCard, arguments: argparse.Namespace, data) -> tuple[np.ndarray, list[float]]:
    """Return test accuracies here, float[seeds, epochs], and the column value of weight 1 for each array."""
    section = {
        "dataset": "digits", "layers": arguments.layers, "rule": RULE, "seed": 1, "validation_images": 1,
        "epochs": arguments.epochs, "batch_size": 1, "normalisation": "none", "activation": "sigmoid",
        "weight_range": arguments.weight_range, "optimizer": {"name": "sgd", "learning_rate": arguments.learning_rate},
        "rule_options": {"slots": SLOTS, "initial_spread": SPREAD, "mean_step": "both"},
    }  # fmt: skip
    settings = check(section)
    device = DeviceModel.from_card(card, scale=rules.get(RULE).scale)
    found = np.zeros((arguments.seeds, arguments.epochs))
    for seed in range(arguments.seeds):
        trainer = Trainer(settings, device, seed, data)
        state, _ = trainer.start()
        for number in range(arguments.epochs):
            state, _ = trainer.epoch(state, number + 1)
            (confusion,), _ = trainer.evaluator.evaluate(state, number + 1)
            found[seed, number] = np.trace(confusion) / confusion.sum()
    return found, [layer.scale for layer in settings.architecture().layers]


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--aihwkit", required=True, help="Python of an environment that has aihwkit")
    parser.add_argument("--cards", nargs="+", default=CARDS, help="names of the library, or folders")
    parser.add_argument("--layers", type=int, nargs="+", default=[64, 32, 10])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--devices", type=int, default=4000, help="pulsed in each state and direction")
    parser.add_argument("--learning-rate", type=float, default=0.05)
    parser.add_argument("--weight-range", type=float, default=5.0)
    arguments = parser.parse_args()
    data = digits.DATASET.load(Path())
    pictures = {"x": data.train_images, "test_x": data.test_images}
    shared = {name: (images / 255).reshape(len(images), -1).astype("float32") for name, images in pictures.items()}
    shared |= {"y": data.train_labels.astype("int64"), "test_y": data.test_labels.astype("int64")}
    for name in arguments.cards:
        card = card_of(name)
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            exports.write(exports.export(card, "aihwkit"), folder)
            print(f"{name}: {steps(folder, arguments.aihwkit, arguments.devices)}", flush=True)
            here, scales = ours(card, arguments, data)
            there = ask(arguments.aihwkit, folder, {
                **shared, "layers": arguments.layers, "epochs": arguments.epochs, "seeds": arguments.seeds,
                "slots": SLOTS, "initial_spread": SPREAD, "learning_rate": arguments.learning_rate, "scales": scales,
            })["accuracy"]  # fmt: skip
        for place, found in (("here", here), ("aihwkit", there)):
            last = found[:, -1]
            told = f"{last.mean():.2%} +- {last.std(ddof=1):.2%} (first epoch {found[:, 0].mean():.2%})"
            print(f"  {place}: {told}", flush=True)


if __name__ == "__main__":
    run_cli(main)
