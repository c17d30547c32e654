"""Cards as lookup tables in CrossSim 2.0: what its own reader and update make of them, against the card by chi-square.

    python benchmarks/interchange_crosssim.py --crosssim CHECKOUT [--python PYTHON] [--devices 20000] [--cards NAME ...]

CHECKOUT is https://github.com/sandialabs/cross-sim at the tag v2.0, the last with lookup tables. PYTHON is one that
has NumPy, SciPy and setuptools below 81 (the program needs its `pkg_resources`).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np  # noqa: E402
from scipy import stats  # noqa: E402

from calibration import exports  # noqa: E402
from calibration.exports.crosssim import NAMES  # noqa: E402
from calibration.exports.steps import Directions, chosen, own_kernels, own_states  # noqa: E402
from calibration.tools.make_card import card_of  # noqa: E402
from spinloom.command_line import run_cli  # noqa: E402

CARDS = ["memristor_32_levels", "pcmo_26_levels", "ecram_101_levels", "skyrmion_counter"]
FEWEST = 5.0  # expected devices of an outcome below which it is counted with another one
LEAST = 1e-8  # probability below which the table does not have an outcome


def counted(kernel: np.ndarray, landed: np.ndarray) -> tuple[float, int, int]:
    """Return chi-square and its degrees of freedom of one pulse, and how many devices are where the card has none.

    Parameters
    ----------
    kernel : ndarray, float64[states, states]
        Of the card.
    landed : ndarray, int[states, devices]
        State after the pulse, by the state before.
    """
    total, freedom, excluded = 0.0, 0, 0
    for probability, after in zip(kernel, landed, strict=True):
        seen, expected = np.bincount(after, minlength=len(kernel)).astype(float), probability * len(after)
        excluded += int(seen[probability < LEAST].sum())
        order = np.argsort(-expected)
        seen, expected = seen[order], expected[order]
        groups = max(int((expected >= FEWEST).sum()), 1)
        # rare outcomes count with the rarest of the others
        starts = np.arange(groups)
        seen, expected = np.add.reduceat(seen, starts), np.add.reduceat(expected, starts)
        total += float(((seen - expected) ** 2 / expected).sum())
        freedom += groups - 1
    return total, freedom, excluded


def compare(name: str, arguments: argparse.Namespace, folder: Path) -> str:
    """Return how one card's pulses come out of the program."""
    card = card_of(name)
    exports.write(exports.export(card, "crosssim"), folder)
    pulses = list(chosen(card, Directions(), "crosssim"))
    devices = own_kernels(card)
    own = card.kernel[pulses] if devices is None else devices[0][pulses]
    states = own_states(own) if devices is not None else slice(0, own.shape[1])
    label = "" if devices is None else "0"
    program = [arguments.python, str(Path(__file__).with_name("interchange_crosssim_peer.py")), arguments.crosssim]
    files = [str(folder / f"{way}{label}.txt") for way in NAMES]
    numbers = [str(folder / "answer.npz"), str(arguments.devices), str(arguments.seed)]
    begun = time.perf_counter()
    done = subprocess.run([*program, *files, *numbers], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{name}: {done.stderr}")
    with np.load(folder / "answer.npz") as found:
        after, conductance = found["after_S"], found["conductance_S"]
    nearest = np.abs(after[..., None] - conductance).argmin(axis=-1)
    off = np.abs(after - conductance[nearest]) / np.diff(conductance).min()
    between = float((off > 1e-3).mean())  # a draw within a jump from one outcome to the next
    told = [counted(own[way, states, states], nearest[way]) for way in range(2)]
    total, freedom, excluded = (sum(values) for values in zip(*told, strict=True))
    chance = stats.chi2.sf(total, freedom)
    verdict = "agree" if chance > 1e-3 else "DISAGREE"
    return (
        f"{name}: {len(conductance)} states, {2 * len(conductance) * arguments.devices} writes, chi2 {total:.0f} of "
        f"{freedom}, p {chance:.3g}: {verdict}; where the card has none {excluded}, between two states {between:.2g}; "
        f"{time.perf_counter() - begun:.0f} s"
    )


def main() -> None:
    """Compare the cards."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--crosssim", required=True)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--cards", nargs="+", default=CARDS)
    parser.add_argument("--devices", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    for name in arguments.cards:
        with tempfile.TemporaryDirectory() as folder:
            print(compare(name, arguments, Path(folder)), flush=True)


if __name__ == "__main__":
    run_cli(main)
