"""What the rules ask of a study: files by the plan, and none for what a job does not use."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from spinloom.run_lock import VARIABLE
from tests.workflows import PARTS, ROOT, SMALL, changed
from workflow.study.folder import LOCK
from workflow.study.jobs import Study
from workflow.study.tasks import CARD, CARD_FILES, RUN_FILES, Tasks, at

SAMPLED = {"network.card_samples": 2, "network.chips": 2, "network.seeds_per_chip": 3, "network.seeds": 2}
LIBRARY = {"calibration.source": {"kind": "library", "name": "sot_mtj_80nm_a"}, "calibration.states.method": "edges"}


class Wildcards(SimpleNamespace):
    """Wildcards as Snakemake hands them to an input function."""

    def items(self):
        return vars(self).items()


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Return the function that opens the small study with changes, in a folder of its own."""
    for part in (*PARTS, "results/README.md"):
        (tmp_path / part).parent.mkdir(exist_ok=True)
        (tmp_path / part).symlink_to(ROOT / part)
    monkeypatch.chdir(tmp_path)
    return lambda changes=None: Study(changed(SMALL, changes or {}))


def small(**wildcards):
    return Wildcards(study="small", **wildcards)


def test_a_path_takes_the_wildcards_of_its_job():
    assert at("results/{study}/x_{sample}")(small(sample="3")) == "results/small/x_3"


def test_a_study_that_simulates_and_one_that_does_not(study):
    one = study()
    tables = [f"results/small/device_sims/{name}" for name in ("events.parquet", "pulses.csv", "device.json")]
    assert one.writes(small()) == tables and one.writes_option(small()) == "--device-sims results/small/device_sims"
    assert one.every(["results/{study}/a", "b"], lambda facts: facts.simulates)(None) == ["results/small/a", "b"]
    other = study(LIBRARY)
    assert other.writes(small()) == [] and other.writes_option(small()) == "" and not other.chunks
    assert other.every(["results/{study}/a"], lambda facts: facts.simulates)(None) == []
    assert other.made(lambda facts: facts.trains, ["results/{study}/a"])(small()) == ["results/small/a"]
    assert other.made(lambda facts: facts.simulates, ["results/{study}/a"])(small()) == []


def test_barriers_are_searched_once_for_each_device(study):
    plain = study()
    assert plain.barriers(small()) == [] and plain.barriers_option(small()) == ""
    asked = {"device_sims.barriers": {"attempt": "none"}}
    one = study(asked)
    names = one.studies["small"].wells
    assert len(set(names)) == one.config["device_sims"]["sweep"]["instances"]
    for name in names:
        assert (Path("results/small/config/wells") / f"{name}.json").exists()
        assert one.wells_code(Wildcards(search=name)) == one.studies["small"].code["wells"]
    table = "results/small/device_sims/barriers.csv"
    assert one.barriers(small()) == [table] and one.barriers_option(small()) == f"--barriers {table}"
    # the sweep does not know of them, and they not of the sweep
    assert "barriers" not in json.loads(Path("results/small/config/device_sims.json").read_text())
    assert list(one.chunks) == list(plain.chunks)
    more = study(asked | {"device_sims.sweep.replicas_per_instance": 3})
    assert more.studies["small"].wells == names
    assert study(LIBRARY | asked).barriers(small()) == []


def test_only_rules_that_use_the_card_are_given_it(study):
    digital = {"a": {"rule": "straight_through", "rule_options": {"levels": 3}}, "b": {"rule": "straight_through"}}
    one = study({"network.variants": {"on_card": None, **digital}, "network.rule_options": {}})
    for variant, uses in (("on_card", True), ("a", False), ("b", True), ("float_baseline", False)):
        files = [f"results/small/calibration/card/{name}" for name in CARD_FILES]
        assert one.card(CARD)(small(variant=variant)) == (files if uses else []), variant
        option = "--card results/small/calibration/card" if uses else ""
        assert one.card_option(CARD)(small(variant=variant)) == option, variant


def test_runs_of_all_seeds_and_those_on_draws_of_the_card(study):
    one = study(SAMPLED)
    names = ("accumulate_quantise_program_0", "accumulate_quantise_program_1", "float_baseline_0", "float_baseline_1")
    assert one.runs("small") == [f"results/small/network/runs/{name}" for name in names]
    assert len(one.run_files("small")) == 4 * len(RUN_FILES)
    sampled = one.sampled(small())
    assert len(sampled) == len(set(sampled)) == 2 * 2 * 3 * len(RUN_FILES)
    assert "results/small/network/sampled/accumulate_quantise_program_1_1_2/meter.json" in sampled
    assert one.sampled_cards(small())[-1] == "results/small/calibration/samples/1/card.json"


def test_each_job_has_the_digests_of_its_own_sources(study):
    one = study()

    def code(path):
        return set(json.loads(Path(path).read_text())["files"])

    train = code(one.code("train_{variant}")(small(variant="float_baseline")))
    assert "network/rules/float_baseline.py" in train and "network/rules/bop.py" not in train
    chunk = next(iter(one.chunks))
    assert "device_sims/devices/stt_mtj.py" in code(one.chunk_code(Wildcards(chunk=chunk)))
    assert "report/page/page.css" in code(one.of_any("report"))
    specification = json.loads((one.root / "config" / "chunks" / f"{chunk}.json").read_text())
    assert specification["chunk_hash"] == chunk and len(specification["batches"]) == 1


def test_a_run_looks_for_the_data_that_it_trains_on_unless_a_job_does(study, monkeypatch):
    monkeypatch.setenv(VARIABLE, "")  # which the run sets for its jobs
    one, asked = study(), []
    monkeypatch.setattr("network.training.data.load", lambda *place: asked.append((place[0].name, place[-1])))

    def start(*rules, touch=False):
        jobs = [SimpleNamespace(rule=SimpleNamespace(name=rule), wildcards_dict={"study": "small"}) for rule in rules]
        settings = SimpleNamespace(forceall=False)
        one.start(SimpleNamespace(touch=touch, dag_settings=settings, dag=SimpleNamespace(needrun_jobs=lambda: jobs)))

    start("card", "summarise")
    start("data", "train")
    start("train", touch=True)
    assert not asked
    start("card", "train", "train_sampled")
    assert asked == [("digits", "results/small/network/data.json")]


def test_a_job_on_another_machine_knows_what_its_run_planned(study, monkeypatch):
    assert Tasks.of_run() is None  # of a command that no run started
    scan = {"axes": [{"key": "calibration.readout.TMR", "values": [1.0, 1.1]}]}
    one = study({**SAMPLED, "scan": scan})
    monkeypatch.setenv(VARIABLE, str((one.root / LOCK).resolve()))
    found = Tasks.of_run()
    assert vars(found) == {name: getattr(one, name) for name in vars(found)} and found.text() == one.text()
    assert found.is_scan and found.root == one.root and list(found.studies) == list(one.plans)


def test_it_finds_out_without_importing_a_stage():
    slow = ("pydantic", "yaml", "numpy", "jax", "grimp", "device_sims.config", "network.config", "calibration.config")
    code = "from spinloom.deferred import defer; defer('pandas', 'pyarrow'); import workflow.study.tasks, sys;"
    code += f"print([name for name in {slow} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_points_of_a_scan_share_chunks_and_digests(study):
    scan = {"axes": [{"key": "calibration.readout.TMR", "values": [1.0, 1.1]}]}
    one = study({"scan": scan})
    assert list(one.plans) == ["small/points/TMR=1", "small/points/TMR=1.1"] and len(one.chunks) == 4
    assert one.every(["results/{study}/a"])(None) == [f"results/{name}/a" for name in one.plans]
    first, second = (one.code("card")(Wildcards(study=name)) for name in one.plans)
    assert first == second and json.loads(Path(one.labels).read_text())["TMR=1"] == {"TMR": "1"}
