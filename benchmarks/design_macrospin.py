"""How well a search does on a real device, against three times as many points by chance: one macrospin junction.

    python -m benchmarks.design_macrospin [--points 40] [--seeds 10] [--sampler tpe ...]

Which junction of a thermal stability of at least 40 is written most surely, and by the least energy? The junction is
that of configs/which_pair.yaml; diameter, anisotropy, damping, voltage and length of the pulse vary. Each point is 256
simulated writes in each direction, in this process. In place of an accuracy stands the probability to switch, in place
of a training's energy that of a write, each of the direction in which it is worse. The hypervolume is that of
probability and decades of energy, above the worst of both that any point has. Prints the means over seeds and in how
many of them the search wins.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from device_sims.config import Stage
from device_sims.sweep import chunk, sweep
from spinloom import compiled, config
from spinloom.files import read_table
from workflow.design import fronts, objectives
from workflow.design.chooser import Chooser
from workflow.design.objectives import Measured
from workflow.design.search import Search
from workflow.design.space import Space
from workflow.study import config as study_config

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / "workflow/configs/which_pair.yaml"
JUNCTION = "device_sims.stt_mtj"
SMALL = {
    "device_sims": {
        "stt_mtj": {"pulses": {"durations_s": [1e-9]}},
        "sweep": {"replicas_per_instance": 256},
    }
}
DESIGN = {
    "variables": {
        "diameter_m": {"key": f"{JUNCTION}.layer.diameter_m", "range": [3e-8, 5e-8], "step": 5e-9},
        "Ku_J_per_m3": {"key": f"{JUNCTION}.material.Ku_J_per_m3", "range": [8.9e5, 1.0e6]},
        "alpha": {"key": f"{JUNCTION}.material.alpha", "range": [0.005, 0.05], "log": True},
        "voltage_V": {"key": f"{JUNCTION}.pulses.voltages_V.0", "range": [0.2, 1.6]},
        "duration_s": {"key": f"{JUNCTION}.pulses.durations_s.0", "range": [5e-10, 1e-8], "step": 1e-10},
    },
    "constraints": ["thermal_stability >= 40"],
    "objectives": [{"quantity": "validation_accuracy"}, {"quantity": "training_write_energy_J"}],
}


class Writes:
    """Makes points by stage 1 alone.

    Parameters
    ----------
    space : Space
    folder : Path
        Gets their tables.
    """

    def __init__(self, space: Space, folder: Path):
        self.space, self.folder = space, folder
        self.found: dict[str, list[Measured]] = {}

    def spent_s(self, labels: Iterable[str]) -> float:
        """Return how long points took (`workflow.design.search.Maker`)."""
        return 0.0

    def make(self, points: dict[str, dict[str, Any]]) -> None:
        """Make points (`workflow.design.search.Maker`)."""
        for label, changes in points.items():
            if label not in self.found:
                self.found[label] = self._made(self.space.config(changes), self.folder / label)

    def _made(self, whole: dict[str, Any], folder: Path) -> list[Measured]:
        for one in self.space.planner.plan(whole).chunks:
            chunk.run(one, folder / "chunks")
        section = Stage.parse(study_config.section(whole, "device_sims"), "point")
        sweep.collect(section, folder / "chunks", folder)
        summary = read_table(folder / "summary.csv")
        return [
            Measured(float(summary["probability"].min())),
            Measured(float(summary["write_energy_mean_J"].max())),
        ]

    def measured(self, label: str) -> list[Measured]:
        """Return the objectives of a point."""
        return self.found[label]


def searched(sampler: str, points: int, seed: int) -> np.ndarray:
    """Return the objectives of a search's points as they are compared, float64[points, 2]."""
    layer = config.overlay(config.layer([str(CONFIG)]).content, SMALL)
    layer["design"] = {**DESIGN, "points": points, "sampler": sampler}
    layer["seed"] = seed
    space = Space(str(ROOT / "config.yaml"), layer)
    goals = objectives.goals(space.design, ["v"])
    with TemporaryDirectory() as folder:
        maker = Writes(space, Path(folder))
        search = Search(space, goals, Chooser(space, goals, "macrospin", seed), maker, lambda line: None)
        search.run()
    return search.scaled([trial.measured["full"] for trial in search.trials])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.design_macrospin", description=__doc__)
    parser.add_argument("--points", type=int, default=40, help="of a search (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--sampler", nargs="+", default=["tpe", "nsga2"])
    told = parser.parse_args()
    compiled.set_up()
    begin_s = time.process_time()
    chance = [searched("random", 3 * told.points, seed) for seed in range(told.seeds)]
    each_s = (time.process_time() - begin_s) / (3 * told.points * told.seeds)
    print(f"points by chance: {each_s:.2f} s of a processor each", flush=True)
    own = {name: [searched(name, told.points, seed) for seed in range(told.seeds)] for name in told.sampler}
    worst = np.concatenate([*chance, *(one for found in own.values() for one in found)]).min(axis=0)
    by_chance = np.array([fronts.hypervolume(points, worst) for points in chance])
    for name, found in own.items():
        ruled = np.array([fronts.hypervolume(points, worst) for points in found])
        print(
            f"{name}: {ruled.mean():.3f} after {told.points} points, chance {by_chance.mean():.3f} after "
            f"{3 * told.points}; better in {(ruled > by_chance).sum()} of {told.seeds} seeds"
        )
        print("by seed:", " ".join(f"{a:.3f}/{b:.3f}" for a, b in zip(ruled, by_chance, strict=True)))


if __name__ == "__main__":
    main()
