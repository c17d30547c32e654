"""Searches without Snakemake: a stage that knows its front stands in for all stages."""

import pytest

from benchmarks.design import KEYS, Known, Stage
from workflow.design import objectives
from workflow.design.chooser import Chooser
from workflow.design.search import Search

WANTED = [{"quantity": "validation_accuracy"}, {"quantity": "training_energy_J_device"}]


def layer(seed=1, **design):
    """Return a config of three variables that stand for those of a ZDT problem."""
    ranges = {f"x{place}": {"key": key, "range": [1e-6, 1]} for place, key in enumerate(KEYS[:3])}
    given = {"variables": ranges, "objectives": WANTED, "points": 24, **design}
    source = {"kind": "library", "name": "sot_mtj_80nm_a"}
    return {"study": "zdt", "seed": seed, "calibration": {"source": source}, "design": given}


@pytest.fixture(scope="session")
def search():
    """Return a search, not begun."""

    def made(stage=None, seed=1, **design):
        space = Known("config.yaml", layer(seed, **design))
        goals = objectives.goals(space.design, ["v"])
        chooser = Chooser(space, goals, "zdt", seed)
        return Search(space, goals, chooser, stage or Stage(1, 3), lambda line: None)

    return made
