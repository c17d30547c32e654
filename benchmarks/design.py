"""How well a search finds a known front, against points by chance: ZDT problems in place of a study's stages.

    python -m benchmarks.design [--points 80] [--seeds 10] [--sampler tpe ...] [--variables 4] [--problems 1]

The problems are ZDT1, 2 and 3 (Zitzler, Deb and Thiele, Evol. Comput. 8, 173 (2000)): f1 is told as an accuracy of
1 - f1, f2 as an energy of 10^f2 J, so what is compared is the problem itself. Points by chance are three times as many.
The hypervolume is that within (1.1, 11). Prints both means and in how many seeds the search wins.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable
from typing import Any

import numpy as np

from workflow.design import fronts, objectives
from workflow.design.chooser import Chooser
from workflow.design.objectives import Measured
from workflow.design.search import Search
from workflow.design.space import Space, Values, at

REFERENCE = np.array([-1.1, -11.0])
# any keys will do that no stage refuses between 0 and 1
KEYS = (
    "network.device.stuck_fraction", "network.rule_options.margin", "network.weight_range",
    "network.lifetime.samples_per_s", "network.converters.adc_full_scale", "network.converters.dac_full_scale",
    "network.array.driver_resistance_ohm", "network.array.sense_resistance_ohm",
)  # fmt: skip
LOW = 1e-6  # some keys are above 0


def zdt(number: int, x: np.ndarray) -> tuple[float, float]:
    """Return both objectives, which are small where they are good; ``x`` is float[variables] from 0 to 1."""
    f1, g = float(x[0]), 1 + 9 * float(np.mean(x[1:]))
    share = f1 / g
    if number == 1:
        return f1, g * (1 - share**0.5)
    if number == 2:
        return f1, g * (1 - share**2)
    return f1, g * (1 - share**0.5 - share * np.sin(10 * np.pi * f1))


class Stage:
    """Makes points of a problem at once."""

    def __init__(self, number: int, variables: int):
        self.number, self.keys = number, KEYS[:variables]
        self.points: dict[str, np.ndarray] = {}

    def spent_s(self, labels: Iterable[str]) -> float:
        """Return how long points took (`workflow.design.search.Maker`)."""
        return 0.0

    def make(self, points: dict[str, dict[str, Any]]) -> None:
        """Make points (`workflow.design.search.Maker`)."""
        for label, changes in points.items():
            self.points[label] = np.array([at(changes, key) for key in self.keys])

    def measured(self, label: str) -> list[Measured] | str:
        """Return the objectives of a point."""
        f1, f2 = zdt(self.number, self.points[label])
        return [Measured(1 - f1), Measured(10.0**f2)]


class Known(Space):
    """A space whose points all can be, so that no stage is asked."""

    def refused(self, values: Values) -> str:
        """Return which constraint a point breaks."""
        return self.broken(values)


def searched(number: int, sampler: str, points: int, seed: int, variables: int) -> Search:
    """Return a search that has ended."""
    ranges = {f"x{place}": {"key": key, "range": [LOW, 1]} for place, key in enumerate(KEYS[:variables])}
    wanted = [{"quantity": "validation_accuracy"}, {"quantity": "training_energy_J_device"}]
    design = {"variables": ranges, "objectives": wanted, "points": points, "sampler": sampler}
    layer = {"study": "zdt", "seed": seed, "design": design}
    layer["calibration"] = {"source": {"kind": "library", "name": "sot_mtj_80nm_a"}}
    space = Known("config.yaml", layer)
    goals = objectives.goals(space.design, ["v"])
    search = Search(space, goals, Chooser(space, goals, "zdt", seed), Stage(number, variables), lambda line: None)
    search.run()
    return search


def volume(search: Search) -> float:
    """Return the hypervolume of a search's points."""
    return fronts.hypervolume(search.scaled([trial.measured["full"] for trial in search.trials]) - [1, 0], REFERENCE)


def by_chance(number: int, points: int, seed: int, variables: int) -> float:
    """Return the hypervolume of points by chance."""
    x = np.random.default_rng(seed).random((points, variables))
    return fronts.hypervolume(-np.array([zdt(number, row) for row in x]), REFERENCE)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.design", description=__doc__)
    parser.add_argument("--points", type=int, default=80, help="of a search (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--variables", type=int, default=4, help=f"2 to {len(KEYS)} (default: %(default)s)")
    parser.add_argument("--sampler", nargs="+", default=["tpe", "nsga2"])
    parser.add_argument("--problems", type=int, nargs="+", default=[1, 2, 3], choices=(1, 2, 3))
    told = parser.parse_args()
    for number in told.problems:
        chance = [by_chance(number, 3 * told.points, seed, told.variables) for seed in range(told.seeds)]
        for sampler in told.sampler:
            start_s = time.process_time()
            own = [volume(searched(number, sampler, told.points, seed, told.variables)) for seed in range(told.seeds)]
            took_s = time.process_time() - start_s
            wins = sum(a > b for a, b in zip(own, chance, strict=True))
            print(
                f"ZDT{number}, {told.variables} variables, {sampler}: {np.mean(own):.3f} after {told.points} points, "
                "chance "
                f"{np.mean(chance):.3f} after {3 * told.points}; better in {wins} of {told.seeds} seeds; "
                f"{took_s / told.seeds:.1f} s of a processor a search",
                flush=True,
            )


if __name__ == "__main__":
    main()
