"""The workflow as a user calls it: what runs, what does not, and how errors look. Nothing is simulated here.

Dry runs in a copy of the tree, so that the checkout's own results are not touched.
"""

from pathlib import Path

import pytest
import yaml

from calibration.sources import library
from spinloom.errors import UserError
from tests.calibration.conftest import changed
from tests.dictionary import documented
from tests.workflows import Tree, planned
from workflow.study import config, planning

ROOT = Path(__file__).parents[2]
DEVICE = library.recipe("sot_mtj_80nm_a").dump()
CARD = {"card": 1, "card_figures": 1, "data_package": 1, "report_html": 1, "all": 1}


@pytest.fixture(scope="module")
def sources(server, tmp_path_factory):
    return Tree.of_sources(tmp_path_factory.mktemp("workflow") / "tree", server)


@pytest.fixture(scope="module")
def tree(sources):
    return sources.path


@pytest.fixture(scope="module")
def snakemake(sources):
    return lambda *arguments: sources.call("snakemake", *arguments)


@pytest.fixture(scope="module")
def jobs(snakemake):
    """How often each rule would run."""
    return lambda *arguments: planned(snakemake("-n", *arguments))


def test_default_study_plans_all_stages(jobs):
    assert jobs() == {
        "simulate": 10, "collect": 1, "picture": 5, "card": 1, "card_figures": 1, "data": 1, "train": 6,
        "summarise": 1, "data_package": 1, "report_html": 1, "all": 1,
    }  # fmt: skip


def test_overlays_are_laid_over_the_default(jobs):
    planned = jobs("--configfile", "configs/smoke.yaml")
    assert planned["simulate"] == 3 and planned["train"] == 4


@pytest.mark.parametrize("name, chunks", [("stt_mtj", 60), ("vcma_mtj", 48), ("notched_wire", 8)])
def test_a_study_may_end_with_its_card(jobs, name, chunks):
    planned = jobs("--configfile", f"configs/{name}.yaml")
    assert planned == {"simulate": chunks, "collect": 1, **CARD}


def finish(tree, snakemake, *arguments):
    """Let a study look as if it had run."""
    listed = snakemake("--summary", *arguments).stdout
    missing = [line.split("\t")[0] for line in listed.splitlines() if "\tmissing\t" in line]
    for path in map(tree.joinpath, missing):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert snakemake("--touch", *arguments).returncode == 0


@pytest.mark.long
def test_a_change_of_one_variant_repeats_its_trainings_alone(tree, snakemake, jobs):
    def arguments(network=None, **more):
        content = {"study": "many", "calibration": {"source": {"kind": "library", "name": "sot_mtj_80nm_a"}}, **more}
        content["network"] = {"seeds": 2, "variants": {"a": None, "b": {"epochs": 2}}, **(network or {})}
        (tree / "many.yaml").write_text(yaml.safe_dump(content))
        return "--configfile", "many.yaml"

    system = {"name": "x", "paper": "y", "published": [{"quantity": "test_accuracy", "value": 0.9}]}
    finish(tree, snakemake, *arguments(system=system))
    later = {"system": {**system, "published": []}}
    assert jobs(*arguments(**later)) == {"systems": 1, "report_html": 1, "data_package": 1, "all": 1}
    # the data are not looked at again, and a constant of the energies trains nothing
    after = {"summarise": 1, "systems": 1, "report_html": 1, "data_package": 1, "all": 1}
    constant = {"hardware": {"constants": {"adc_J_per_step": 0.0}}}
    assert jobs(*arguments(constant, **later)) == after
    changed = {**constant, "variants": {"a": None, "b": {"epochs": 3}}}
    assert jobs(*arguments(changed, **later)) == {"train": 2, **after}


@pytest.mark.long
def test_a_scan_is_its_points_studies(tree, jobs):
    """Two numbers of states of one sweep, two learning rates: cards of two kinds, chunks that all share."""
    scan = {
        "study": "many_points",
        "scan": {
            "axes": [
                {"key": "calibration.posterior.pseudocount", "values": [0.5, 1.0]},
                {"name": "rate", "points": {"low": {"network": {"optimizer": {"learning_rate": 1e-4}}}, "high": None}},
            ]
        },
    }
    (tree / "scan.yaml").write_text(yaml.safe_dump(scan))
    arguments = ("--configfile", "scan.yaml")
    assert jobs(*arguments) == {
        "simulate": 10, "collect": 4, "card": 4, "data": 4, "train": 24, "summarise": 4, "scan": 1,
        "scan_report": 1, "scan_package": 1, "all": 1,
    }  # fmt: skip
    assert jobs("calibration", *arguments) == {
        "simulate": 10, "collect": 4, "card": 4, "card_figures": 4, "calibration": 1,
    }  # fmt: skip
    page = "results/many_points/points/pseudocount=1,rate=low/report.html"
    assert jobs(page, *arguments)["train"] == 6


@pytest.mark.long
def test_a_scans_page_and_package_follow_their_sources_alone(tree, snakemake, jobs):
    axis = {"key": "network.epochs", "values": [1, 2]}
    source = {"source": {"kind": "library", "name": "sot_mtj_80nm_a"}}
    content = {"study": "paged", "calibration": source, "network": {"seeds": 1}, "scan": {"axes": [axis]}}
    (tree / "paged.yaml").write_text(yaml.safe_dump(content))
    arguments = ("--configfile", "paged.yaml")
    finish(tree, snakemake, *arguments)
    for name, line in (("report/scan_figures.py", "ANOTHER = 1"), ("results/README.md", "Another line.")):
        (tree / name).write_text(f"{(tree / name).read_text()}\n{line}\n")
    assert jobs(*arguments) == {"scan_report": 1, "scan_package": 1, "all": 1}


def test_a_study_may_begin_with_its_card(tree, jobs):
    source = {"kind": "library", "name": "sot_mtj_80nm_a"}
    planned = jobs("--configfile", overlay(tree, "calibration.source", source, "ready"))
    assert planned == {**CARD, "data": 1, "train": 6, "summarise": 1}


@pytest.mark.long
def test_a_change_of_the_card_repeats_the_card_and_what_follows(tree, snakemake, jobs):
    small = {"study": "done", "device_sims": {"sweep": {"instances": 1, "replicas_per_instance": 1}}}
    small["network"] = {"seeds": 1, "baseline": None}

    def arguments(**calibration):
        (tree / "done.yaml").write_text(yaml.safe_dump({**small, "calibration": calibration}))
        return "--configfile", "done.yaml"

    finish(tree, snakemake, *arguments())
    later = {**CARD, "train": 1, "summarise": 1}
    # were the study not done, this would also simulate
    assert jobs(*arguments(readout={"TMR": 1.0})) == later
    assert jobs(*arguments(kernel={"form": "law"})) == later


def test_float_baseline_alone_can_be_the_rule(tree, jobs):
    assert jobs("--configfile", overlay(tree, "network.rule", "float_baseline", "baseline"))["train"] == 3


@pytest.mark.parametrize(
    "changes, simulates, trains",
    [
        ({}, True, True),
        ({"network": None}, True, False),
        ({"calibration.source.kind": "library", "calibration.source.name": "sot_mtj_80nm_a"}, False, True),
        ({"calibration.source.kind": "library", "calibration.source.name": "pbit", "network": None}, False, False),
        ({"calibration.source.kind": "parametric", "calibration.parametric": DEVICE}, False, True),
    ],
)
def test_plan_of_a_study(changes, simulates, trains):
    plan = planning.plan(changed(config.load(ROOT / "config.yaml"), changes))
    assert (plan.simulates, plan.trains, bool(plan.chunks), plan.card_inputs) == (simulates, trains, simulates, [])


def overlay(tree, path, value, name="scratch"):
    *parents, last = path.split(".")
    content = {last: value}
    for key in reversed(parents):
        content = {key: content}
    (tree / "overlay.yaml").write_text(yaml.safe_dump({"study": name, **content}))
    return "overlay.yaml"


@pytest.mark.parametrize(
    "path, value, message",
    [
        ("device_sims.engine", "mumax4", "device_sims.engine: found mumax4, allowed: collective, llg"),
        ("device_sims.domain_wall.track.cell_m", 7e-9, "track.cell_m: found 7e-09, allowed: a length that divides"),
        ("network.rule", "hebbian", "network.rule: found hebbian, allowed: accumulate_quantise_program, "),
        ("calibration.states.cuont", 3, "did you mean 'count'?"),
        ("device_sims.domain_wall.pulses.voltages_V", [], "allowed: at least 1 entries"),
        ("calibration.states.count", 4, "calibration.states.count: found 4, allowed: 5"),
        ("network.layers", [100, 10], "network.layers: found 100 inputs"),
        ("network.variants", {"a": {"layers": [784, 9]}}, "network.layers: found 9 outputs, allowed: 10 for mnist"),
        ("network.variants", {"a": {"optimizer": {"name": "sgd", "b1": 0.9}}}, "network.optimizer: found b1"),
        (
            "system",
            {"name": "x", "paper": "y", "published": [{"quantity": "test_accuracy", "value": 1, "variant": "z"}]},
            "system.published.0.variant: found z, allowed: accumulate_quantise_program, float_baseline",
        ),
        ("network.optimizer", {"name": "sgd", "b1": 0.9}, "network.optimizer: found b1"),
        ("network.data.cache", "~nosuchuser/x", "network.data.cache: found '~nosuchuser/x'"),
        ("calibration.states.method", "device", "calibration.states.method: found 'device', allowed for domain_wall"),
        ("calibration.source.kind", "import", "calibration.source.file: found null, allowed with kind import: a value"),
        ("calibration.source", {"kind": "card", "file": "none"}, "calibration.source.file: found none, which is not"),
        (
            "calibration.source",
            {"kind": "card", "file": "/etc"},
            "found /etc, which has no card.json, allowed: the folder",
        ),
        (
            "calibration.states.edges",
            [0.0, 5e-324],
            "states.edges.1: found 5e-324, allowed: 0, or a size of 1e-40 or more",
        ),
        ("study", "Validation", "study: found Validation, allowed: another name; the evidence for the engines is in"),
        ("calibration.source", {"kind": "library", "name": "x"}, "calibration.source.name: found 'x', allowed: arm_"),
    ],
)
def test_a_wrong_config_is_one_line(tree, path, value, message):
    layer = ROOT / "config.yaml", tree / overlay(tree, path, value)
    with pytest.raises(UserError) as error:
        planning.plan(config.load(*layer))
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "path, value, message",
    [
        ("calibration.states.cuont", 3, "did you mean 'count'?"),
        ("calibration.states.count", 4, "calibration.states.count: found 4, allowed: 5"),
    ],
)
def test_a_wrong_config_writes_nothing(tree, snakemake, path, value, message):
    done = snakemake("--configfile", overlay(tree, path, value))
    lines = [line for line in done.stderr.splitlines() if line.startswith("error") or "Error" in line]
    assert done.returncode != 0
    assert len(lines) == 1 and lines[0].startswith("error: ") and message in lines[0]
    assert not (tree / "results" / "scratch").exists()


def test_the_data_dictionary_lists_each_table_of_the_first_two_stages():
    from calibration.card import tables as card_tables
    from device_sims import devices
    from device_sims.sweep import tables

    schemas = {
        "points.csv": tables.POINTS,
        **{f"{name}.csv": schema for name, schema in {**card_tables.CARD, **card_tables.EXTRAS}.items()},
    }
    for name in devices.REGISTRY.names():
        family = devices.REGISTRY.get(name)
        for table in ("pulses", "events", "trajectories", "summary"):
            schemas[f"{name}: {table}"] = getattr(tables, table)(family)
    for heading, schema in schemas.items():
        assert documented(heading) == list(schema.columns), heading
