"""Cards as NeuroSim's cells: trains and single pulses of its own source, compiled with the exported settings.

    python benchmarks/interchange_neurosim.py --neurosim CHECKOUT [--devices 2000] [--cards NAME ...]

CHECKOUT is https://github.com/neurosim/MLP_NeuroSim_V3.0. The settings replace those of `RealDevice` in a copy of its
`Cell.cpp`; nothing else of it is changed. Needs g++.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

from calibration import exports  # noqa: E402
from calibration.exports.neurosim import WAYS  # noqa: E402
from calibration.exports.steps import Directions, chosen  # noqa: E402
from calibration.tools.make_card import card_of  # noqa: E402
from spinloom.command_line import run_cli  # noqa: E402

CARDS = ["memristor_32_levels", "pcmo_26_levels", "ecram_101_levels", "skyrmion_counter"]
CELL = "RealDevice::RealDevice(int x, int y)"
SOURCES = ("Cell.cpp", "formula.cpp", "Param.cpp")


def build(checkout: Path, settings: str, folder: Path) -> Path:
    """Return the program of cells with these settings."""
    shutil.copytree(checkout, folder / "source", ignore=shutil.ignore_patterns(".git", "*.o", "*.zip"))
    path = folder / "source" / "Cell.cpp"
    text = path.read_text()
    start = text.index(CELL)
    end = text.index("\n}", start)
    cell = text[start:end]
    for name, value in re.findall(r"^(\w+) = (.*?);", settings, re.MULTILINE):
        cell, found = re.subn(rf"(\n\s*{name} = ).*?;", rf"\g<1>{value};", cell, count=1)
        if not found:
            sys.exit(f"{path}: the cell has no {name}")
    path.write_text(text[:start] + cell + text[end:])
    driver = Path(__file__).with_suffix(".cpp")
    sources = [str(folder / "source" / name) for name in SOURCES]
    flags = ["-O2", "-std=c++11", "-w", f"-I{folder / 'source'}"]
    program = folder / "cells"
    subprocess.run(["g++", *flags, str(driver), *sources, "-o", str(program)], check=True)
    return program


def ask(program: Path, *arguments: object, given: str = "") -> np.ndarray:
    """Return the numbers that the program prints, float64[lines, numbers]."""
    done = subprocess.run([program, *map(str, arguments)], input=given, capture_output=True, text=True, check=True)
    return np.array([line.split() for line in done.stdout.splitlines()], float)


def compare(name: str, arguments: argparse.Namespace, folder: Path) -> None:
    """Print how trains and steps of one card's cell differ from the card, and what the export says of it."""
    card = card_of(name)
    made = exports.export(card, "neurosim")
    exports.write(made, folder / "export")
    rows = pd.read_csv(folder / "export" / "neurosim_cell.csv").set_index("parameter")["value"]
    told = made.table()
    program = build(Path(arguments.neurosim), (folder / "export" / "neurosim_cell.txt").read_text(), folder)
    conductance = card.states["conductance_S"].to_numpy()
    low, high = rows["minConductance"], rows["maxConductance"]
    for way, pulse in zip(WAYS, chosen(card, Directions(), "neurosim"), strict=True):
        pulses = int(rows[f"maxNumLevel{way}"])
        at = np.zeros(len(conductance))
        at[0 if way == "LTP" else -1] = 1.0
        ours = []
        for _ in range(pulses + 1):
            ours.append(float(at @ conductance))
            at = at @ card.kernel[pulse]
        theirs = ask(program, "train", way, pulses, arguments.devices)[:, 0]
        off = (theirs - np.array(ours)) / (high - low)
        inside = (conductance >= low) & (conductance <= high)
        given = "\n".join(f"{value:.17g}" for value in conductance[inside])
        landed = np.sort(ask(program, "step", way, arguments.devices, given=given), axis=1)
        middle = (np.arange(arguments.devices) + 0.5) / arguments.devices
        kernel = card.kernel[pulse][inside]
        wanted = np.stack([conductance[np.searchsorted(np.cumsum(row)[:-1], middle)] for row in kernel])
        apart = np.abs(landed - wanted).mean(axis=1) / (high - low)
        occupancy = card.states["occupancy"].to_numpy()[inside]
        said = told[told["pulse"] == pulse].set_index("quantity")["value"]
        print(
            f"{name} {way}: {pulses} pulses; train off by rms {np.sqrt(np.mean(off**2)):.2%} of the range, at most "
            f"{np.abs(off).max():.2%} (its law, told: rms {said[f'fit of {way}']:.2%}); steps of {inside.sum()} states "
            f"{apart @ occupancy / occupancy.sum():.2%} apart (told: {said['distance of steps'].iloc[0]:.2%} of all)",
            flush=True,
        )


def main() -> None:
    """Compare the cards."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--neurosim", required=True)
    parser.add_argument("--cards", nargs="+", default=CARDS)
    parser.add_argument("--devices", type=int, default=2000)
    arguments = parser.parse_args()
    for name in arguments.cards:
        with tempfile.TemporaryDirectory() as folder:
            compare(name, arguments, Path(folder))


if __name__ == "__main__":
    run_cli(main)
