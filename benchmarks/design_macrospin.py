"""How well a search does on a real device, against three times as many points by chance: pairs of macrospin junctions.

    python -m benchmarks.design_macrospin [--points 24] [--seeds 10] [--sampler tpe]

The device, its variables and its constraints are those of configs/which_pair.yaml; a network of one layer learns the
digits with it. Each point is simulated, calibrated and trained, in this process. The hypervolume is that of validation
accuracy (in 0.1) and the devices' energy in training (in decades), above the worst of both that any point has. Prints
the means over seeds and in how many of them the search wins.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from calibration.tools import make_card
from device_sims.config import Stage
from device_sims.sweep import chunk, sweep
from network.commands import train
from spinloom import compiled, config
from spinloom.errors import UserError
from spinloom.files import read_table, write_json
from workflow.design import fronts, objectives
from workflow.design.chooser import Chooser
from workflow.design.objectives import Measured
from workflow.design.search import Search
from workflow.design.space import Space
from workflow.study import config as study_config

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / "workflow/configs/which_pair.yaml"
SMALL = {
    "device_sims": {"sweep": {"replicas_per_instance": 128}},
    "network": {
        "dataset": "digits", "layers": [64, 10], "validation_images": 400, "training_images": None, "epochs": 2,
        "seeds": 1,
    },
}  # fmt: skip
BATCH = {"key": "network.batch_size", "range": [10, 200], "log": True, "whole": True}
WANTED = [{"quantity": "validation_accuracy"}, {"quantity": "training_energy_J_device"}]
UNIT = np.array([0.1, 1.0])  # of the hypervolume's sides


class Stages:
    """Makes points by all three stages, one after the other.

    Parameters
    ----------
    space : Space
    folder : Path
        Gets their tables.
    """

    def __init__(self, space: Space, folder: Path):
        self.space, self.folder = space, folder
        self.found: dict[str, list[Measured] | str] = {}

    def spent_s(self, labels: Iterable[str]) -> float:
        """Return how long points took (`workflow.design.search.Maker`)."""
        return 0.0

    def make(self, points: dict[str, dict[str, Any]]) -> None:
        """Make points (`workflow.design.search.Maker`)."""
        for label, changes in points.items():
            if label not in self.found:
                try:
                    self.found[label] = self._made(changes, self.folder / label)
                except UserError as error:
                    self.found[label] = str(error)

    def _made(self, changes: dict[str, Any], folder: Path) -> list[Measured]:
        full = self.space.config(changes)
        plan = self.space.planner.plan(full)
        for one in plan.chunks:
            chunk.run(one, folder / "chunks")
        sweep.collect(Stage.parse(study_config.section(full, "device_sims"), "point"), folder / "chunks", folder)
        write_json(study_config.section(full, "calibration"), folder / "calibration.json")
        own, log = make_card.section(str(folder / "calibration.json")), str(folder / "card.log")
        make_card.make(own, "point", str(folder / "card"), str(folder), log=log)
        train.train(plan.trained[0], 0, folder / "run", folder / "card", log=folder / "train.log")
        history = read_table(folder / "run" / "history.csv")
        spent_J = float(history.loc[history["epoch"] > 0, "write_energy_J"].sum())
        return [Measured(float(history["validation_accuracy"].iloc[-1])), Measured(spent_J)]

    def measured(self, label: str) -> list[Measured] | str:
        """Return the objectives of a point."""
        return self.found[label]


def searched(sampler: str, points: int, seed: int, folder: Path) -> np.ndarray:
    """Return the scaled objectives of a search's points, float64[points, 2]; those that failed are left out."""
    layer = config.layer([str(CONFIG)]).content
    layer = config.overlay(layer, SMALL)
    variables = {**layer["design"]["variables"], "batch": BATCH}
    kept = {key: layer["design"][key] for key in ("ties", "constraints", "generation")}
    layer["design"] = {**kept, "variables": variables, "objectives": WANTED, "points": points, "sampler": sampler}
    layer["seed"] = seed
    space = Space(str(ROOT / "config.yaml"), layer)
    goals = objectives.goals(space.design, ["reduced"])
    search = Search(space, goals, Chooser(space, goals, "macrospin", seed), Stages(space, folder), lambda line: None)
    search.run()
    return search.scaled([trial.measured["full"] for trial in search.trials if trial.full])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.design_macrospin", description=__doc__)
    parser.add_argument("--points", type=int, default=24, help="of a search (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--sampler", default="tpe")
    told = parser.parse_args()
    compiled.set_up()
    own, chance = [], []
    for seed in range(told.seeds):
        begin_s = time.monotonic()
        with TemporaryDirectory() as folder:
            own.append(searched(told.sampler, told.points, seed, Path(folder)))
        with TemporaryDirectory() as folder:
            chance.append(searched("random", 3 * told.points, seed, Path(folder)))
        print(
            f"seed {seed}: {len(own[-1])} and {len(chance[-1])} points in {time.monotonic() - begin_s:.0f} s",
            flush=True,
        )
    worst = np.concatenate([*own, *chance]).min(axis=0)
    ruled = np.array([[fronts.hypervolume(one / UNIT, worst / UNIT) for one in points] for points in (own, chance)])
    print(
        f"{told.sampler}: {ruled[0].mean():.3f} after {told.points} points, chance {ruled[1].mean():.3f} after "
        f"{3 * told.points}; better in {(ruled[0] > ruled[1]).sum()} of {told.seeds} seeds"
    )
    print("by seed:", " ".join(f"{a:.3f}/{b:.3f}" for a, b in ruled.T))


if __name__ == "__main__":
    main()
