"""A search with real stages: junctions of one moment and networks on small pictures, killed and taken up again."""

import time

import pytest

from spinloom import files
from tests.workflow.test_survival import kill
from tests.workflows import SMALL, Tree, changed
from workflow.design.tables import NAMES

DESIGN = {
    "variables": {
        "voltage": {"key": "device_sims.stt_mtj.pulses.voltages_V.1", "range": [1.6, 2.4]},
        "margin": {"key": "network.rule_options.margin", "range": [0.01, 1], "log": True},
    },
    "constraints": ["thermal_stability > 20"],
    "objectives": [{"quantity": "validation_accuracy"}, {"quantity": "training_energy_J_device"}],
    "points": 4,
    "generation": 2,
    "fidelities": {"short": {"network": {"epochs": 1}}},
    "final": {"points": 1},
}
STUDY = changed(SMALL, {"network.rule_options": {"margin": 0.1}, "network.baseline": None, "design": DESIGN})
COMMAND = ("python", "-m", "spinloom", "design", "study.yaml", "--cores")
FOLDER = "results/small/design"


@pytest.fixture(scope="module")
def sources(server, tmp_path_factory):
    tree = Tree.of_sources(tmp_path_factory.mktemp("search") / "tree", server)
    tree.configure({}, STUDY)
    return tree


@pytest.fixture(scope="module")
def whole(sources, tmp_path_factory):
    """Return a search that ran through, two jobs at once."""
    tree = sources.copied(tmp_path_factory.mktemp("whole") / "tree")
    done = tree.call(*COMMAND, "2")
    assert done.returncode == 0, done.stderr
    return tree, done


def tables(tree):
    return {name: (tree.path / FOLDER / f"{name}.csv").read_bytes() for name in NAMES}


@pytest.mark.long
def test_a_search_runs_to_its_page(whole):
    tree, done = whole
    assert "generation 2: 2 short, 2 full; 4 points in all" in done.stderr
    assert "Report: results/small/report.html" in done.stdout
    trials = files.read_table(tree.path / FOLDER / "trials.csv")
    assert len(trials) == 4 and trials["front"].any() and (trials["training_energy_J_device"] > 0).all()
    # a point is a whole study, with the values of its variables
    first = trials.iloc[0]
    config = files.read_json(tree.path / f"results/small/points/point={first['point']}/config/resolved.json")
    assert config["network"]["rule_options"]["margin"] == first["margin"]
    assert config["device_sims"]["stt_mtj"]["pulses"]["voltages_V"] == [1.5, first["voltage"]]
    final = files.read_table(tree.path / FOLDER / "final.csv")
    again = files.read_json(
        tree.path / f"results/small/points/point={final['fresh_point'].iloc[0]}/config/resolved.json"
    )
    assert again["seed"] != config["seed"] and 0 <= final["test_accuracy"].iloc[0] <= 1
    page = (tree.path / "results/small/report.html").read_text()
    for told in ("Searched against fresh", "parcoords", "The front", first["point"]):
        assert told in page


@pytest.mark.long
def test_simulations_are_shared_and_nothing_is_made_twice(whole):
    tree, _ = whole
    # one voltage of both fidelities, of the fresh seeds and of the study as it stands: 4 + 1 + 1 points, 2 directions
    # each; the other voltage is all points'
    chunks = list((tree.path / "results/small/device_sims/chunks").glob("*.events.parquet"))
    assert len(chunks) == 2 * (4 + 1 + 1) + 2 * 2
    before = {path: path.stat().st_mtime_ns for path in tree.path.glob("results/small/points/*/network/summary/*.csv")}
    kept = tables(tree)
    done = tree.call(*COMMAND, "1")
    assert done.returncode == 0 and tables(tree) == kept
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.long
def test_a_killed_search_goes_on_to_the_same_tables(whole, sources, tmp_path_factory):
    tree = sources.copied(tmp_path_factory.mktemp("killed") / "tree")
    process = tree.start(*COMMAND, "1")
    end = time.monotonic() + 900
    while not list(tree.path.glob("results/small/points/*/network/summary/SHA256SUMS")):
        assert process.poll() is None and time.monotonic() < end, process.communicate()
        time.sleep(0.2)
    kill(tree, process)
    assert not (tree.path / FOLDER / "trials.csv").exists()
    done = tree.call(*COMMAND, "1")
    assert done.returncode == 0, done.stderr
    assert tables(tree) == tables(whole[0])


def test_what_cannot_be_is_one_line(sources, tmp_path):
    tree = sources.copied(tmp_path / "tree")
    done = tree.snakemake()
    assert (
        done.returncode != 0 and "error: design: found a search, allowed: python -m spinloom design FILE" in done.stderr
    )
    for changes, message in (
        ({"design.variables.margin.key": "network.rule_options.mragin"}, "found unknown key 'mragin'"),
        ({"design.constraints": ["thermal_stability > 1e9"]}, "design.constraints: found no point among 2000"),
        ({"design.objectives": [{"quantity": "test_accuracy"}]}, "found test_accuracy, which is of the test images"),
    ):
        tree.configure(changes, STUDY)
        done = tree.call("python", "-m", "spinloom", "check", "study.yaml")
        lines = [line for line in done.stderr.splitlines() if line.startswith("error")]
        assert done.returncode == 2 and len(lines) == 1 and message in lines[0], done.stderr
