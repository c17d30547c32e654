"""What runs again after which change: the jobs of dry runs, and what each key of a config reaches.

The small study has run once; each case edits a copy of it and compares the jobs of a dry run with the exact set.
"""

import os
import shutil
from pathlib import Path

import pytest
import yaml

from device_sims.config import Stage
from device_sims.sweep import sweep
from spinloom.errors import UserError
from tests.workflow.expected import (
    AFTER,
    CALIBRATION,
    EVERYTHING,
    FIGURES,
    NOTHING,
    ON_CARD,
    PAGE,
    REPORT,
    SIMULATION,
    TABLES,
    TRAINING,
    every_eighth_short,
    without,
)  # fmt: skip
from tests.workflows import SMALL, Tree, changed
from workflow.study import config, planning

JUNCTION = "device_sims.stt_mtj"
READY = {"kind": "library", "name": "sot_mtj_80nm_a"}
NUMERICS = {"integrator": "fdr4", "dt_s": 2e-13, "demag_interval_steps": 1}
KEYS = [
    # electrical keys: no simulation
    ({"calibration.readout.TMR": 1.0}, CALIBRATION),
    ({"calibration.readout.read_voltage_V": 0.05}, CALIBRATION),
    ({"calibration.write_energy.resistivity_ohm_m": 3e-7}, CALIBRATION),
    ({"calibration.posterior.interval": 0.9}, CALIBRATION),
    ({"calibration.half_select.fractions": [0.5]}, CALIBRATION),
    # micromagnetic keys: all simulations
    ({f"{JUNCTION}.material.alpha": 0.04}, SIMULATION),
    ({f"{JUNCTION}.temperature_K": 310}, SIMULATION),
    ({"device_sims.numerics.dt_s": 4e-12}, SIMULATION),
    ({"device_sims.sweep.replicas_per_instance": 9}, SIMULATION),
    # the sweep: what is new alone
    ({f"{JUNCTION}.pulses.voltages_V": [1.5, 2.0, 2.5]}, {"simulate": 2, **TABLES}),
    ({f"{JUNCTION}.pulses.voltages_V": [2.0]}, TABLES),
    ({f"{JUNCTION}.pulses.voltages_V": [2.0, 1.5]}, TABLES),
    ({f"{JUNCTION}.pulses.directions": ["AP_to_P", "P_to_AP"]}, TABLES),
    ({"device_sims.sweep.instances": 2}, {"simulate": 4, **TABLES}),
    # the engine, and the seed of everything
    (
        {"device_sims.engine": "llg", "device_sims.numerics": NUMERICS},
        {"picture": 4, **SIMULATION},
    ),
    (
        {"device_sims.engine": "llg", "device_sims.numerics": NUMERICS, "device_sims.pictures": {"pulses": 2}},
        {"picture": 2, **SIMULATION},
    ),
    ({"device_sims.engine": "llg", "device_sims.numerics": NUMERICS, "device_sims.pictures": None}, SIMULATION),
    ({"seed": 1}, {**SIMULATION, "train": 2}),
    # values that change places within a section, and back
    ({"device_sims.stt_mtj.wait": {"rest_s": 0.2e-9, "relax_s": 0.1e-9}}, SIMULATION),
    ({"device_sims.stt_mtj.wait": {"rest_s": 0.1e-9, "relax_s": 0.2e-9}}, SIMULATION),
    ({"network.epochs": 4, "network.batch_size": 5}, TRAINING),
    ({"network.epochs": 5, "network.batch_size": 4}, TRAINING),
    # spellings of the same
    ({"network.epochs": 2.0, f"{JUNCTION}.temperature_K": 300, "seed": 20211107.0}, NOTHING),
    ({f"{JUNCTION}.layer.diameter_m": "40e-9"}, NOTHING),
    # the network
    ({"network.optimizer.learning_rate": 2e-3}, TRAINING),
    ({"network.rule": "bop", "network.rule_options": {}}, ON_CARD),
    ({"network.rule_options": {"margin": 0.2}}, ON_CARD),
    ({"network.device": {"read_noise": False}}, TRAINING),
    ({"network.seeds": 2}, TRAINING),
    ({"network.baseline": None}, AFTER),
    ({"network.variants": {"a": None, "b": {"epochs": 1}}}, TRAINING),
    ({"network.variants": {"a": {"rule": "straight_through", "rule_options": {"levels": 2}}}}, ON_CARD),
    ({"network.hardware.node_nm": 45}, AFTER),
    ({"network.lifetime": {"endurance_writes": 1e6}}, AFTER),
    ({"network.evaluation": {"retention": {"temperatures_K": [300], "holds_s": [1e8]}}}, TRAINING),
    ({"network.dataset": "mnist", "network.layers": [784, 10]}, {"data": 1, **TRAINING}),
    ({"network.data.cache": "elsewhere/cache"}, PAGE),
    ({"network": None}, REPORT),
    # the card from elsewhere: what was simulated stays for later
    ({"calibration.source": READY, "calibration.states.method": "edges"}, CALIBRATION),
    # another study beside this one
    ({"study": "other"}, EVERYTHING),
]


@pytest.mark.parametrize("changes, expected", every_eighth_short(KEYS), ids=lambda value: ",".join(value)[:60])
def test_a_key_reruns_what_it_reaches(tree, changes, expected):
    tree.configure(changes)
    assert tree.jobs() == expected


@pytest.mark.long
def test_other_pictures_are_drawn_anew_and_nothing_is_simulated(server, tmp_path):
    """A study of the engine llg, run to its page; then its key of pictures changes."""
    tree = Tree.of_sources(tmp_path / "tree", server)
    study = {
        "network": None,
        "device_sims.engine": "llg",
        "device_sims.numerics": NUMERICS,
        "device_sims.sweep.replicas_per_instance": 2,
        f"{JUNCTION}.wait": {"rest_s": 2e-11, "relax_s": 2e-11},
        f"{JUNCTION}.pulses": {"voltages_V": [2.0], "durations_s": [1e-10]},
    }
    tree.configure(study)
    done = tree.snakemake()
    assert done.returncode == 0, done.stderr
    assert tree.jobs() == NOTHING
    pictures = sorted((tree.results / "device_sims" / "pictures").glob("*.webp"))
    assert len(pictures) == 4
    kept = [*tree.results.glob("device_sims/chunks/*.parquet"), tree.results / "device_sims" / "events.csv"]
    kept += [*tree.results.glob("calibration/card/*")]
    before, drawn = {path: path.stat().st_mtime_ns for path in kept}, [path.read_bytes() for path in pictures]
    tree.configure({**study, "device_sims.pictures": {"snapshots": 3}})
    assert tree.jobs() == {"picture": 2, **REPORT}
    assert tree.snakemake().returncode == 0
    assert {path: path.stat().st_mtime_ns for path in kept} == before
    assert all(path.read_bytes() != old for path, old in zip(pictures, drawn, strict=True))


def test_an_earlier_config_reruns_nothing(tree):
    """After all the configs above, with their sections written and never run."""
    tree.configure({})
    assert tree.jobs() == NOTHING


def test_touching_every_file_reruns_nothing(tree):
    tree.configure({})
    for path in tree.path.rglob("*"):
        if path.is_file() and ".snakemake" not in path.parts and not path.name.endswith(".tmp"):
            os.utime(path)
    assert tree.jobs() == NOTHING


@pytest.mark.long
def test_targets_stop_at_their_stage(tree):
    tree.configure({"seed": 2})
    simulated = {"simulate": 4, "collect": 1}
    assert tree.jobs("device_sims") == {**simulated, "device_sims": 1}
    assert tree.jobs("calibration") == {"simulate": 4, "collect": 1, "card": 1, "card_figures": 1, "calibration": 1}
    trained = {"train": 2, "summarise": 1}
    assert tree.jobs("network") == {"simulate": 4, "collect": 1, "card": 1, **trained, "network": 1}
    tree.configure({})


@pytest.fixture
def moved(finished, tmp_path):
    return finished.copied(tmp_path / "tree")


def test_a_tree_in_another_place_reruns_nothing(moved):
    assert moved.jobs() == NOTHING


@pytest.mark.long
def test_results_in_another_place_are_not_there(moved):
    moved.results.rename(moved.path / "results" / "away")
    assert moved.jobs() == EVERYTHING
    shutil.rmtree(moved.results)
    (moved.path / "results" / "away").rename(moved.results)
    assert moved.jobs() == NOTHING
    # results on another disk
    (moved.path / "results").rename(moved.path.parent / "disk")
    (moved.path / "results").symlink_to(moved.path.parent / "disk")
    assert moved.jobs() == NOTHING


@pytest.mark.long
@pytest.mark.parametrize(
    "name, expected",
    [
        ("device_sims/events.parquet", TABLES),
        ("device_sims/chunks", NOTHING),  # the tables hold all of it
        ("calibration/card/card.json", CALIBRATION),
        ("network/runs", TRAINING),
        ("network/runs/accumulate_quantise_program_0", ON_CARD),
        ("network/runs/float_baseline_0/checkpoint.npz", NOTHING),
        ("network/summary/energy.csv", AFTER),
        ("figures/writes_by_pulse.png", {"card_figures": 1, **FIGURES}),
        ("report.html", PAGE),
        ("config", NOTHING),
        ("logs", NOTHING),
    ],
)
def test_a_deleted_result_is_made_again_with_what_follows_it(tree, name, expected):
    tree.configure({})
    path, aside = tree.results / name, tree.path / "aside"
    path.rename(aside)
    try:
        assert tree.jobs() == expected
    finally:
        shutil.rmtree(path, ignore_errors=True)
        aside.rename(path)


@pytest.mark.long
@pytest.mark.parametrize(
    "name, refused_by, message, expected",
    [
        (
            "device_sims/events.csv",
            "data_package",
            "events.csv",
            REPORT,
        ),
        (
            "device_sims/pulses.csv",
            "card",
            "pulses.csv",
            CALIBRATION,
        ),
        ("calibration/card/reads.csv", "train", "card.json", {"card_figures": 1, **ON_CARD}),
        (
            "network/runs/float_baseline_0/history.csv",
            "summarise",
            "history.csv",
            AFTER,
        ),
        (
            "network/summary/summary.csv",
            "data_package",
            "summary.csv",
            REPORT,
        ),
    ],
)
def test_a_table_edited_by_hand_is_found_and_refused(finished, tmp_path, name, refused_by, message, expected):
    tree = finished.copied(tmp_path / "tree")
    path = tree.results / name
    text = path.read_text()
    last = next(place for place in range(len(text) - 1, 0, -1) if text[place].isdigit())
    path.write_text(text[:last] + str((int(text[last]) + 1) % 10) + text[last + 1 :])
    assert tree.jobs() == expected
    done = tree.snakemake("--until", refused_by)
    text = done.stdout + done.stderr
    (line,) = {line for line in text.splitlines() if line.startswith("error: ")}
    assert done.returncode != 0 and message in line and "edited after" in line and "Traceback" not in text


@pytest.mark.long
def test_without_snakemakes_memory_the_hashes_tell(moved):
    shutil.rmtree(moved.path / ".snakemake")
    for path in [*moved.path.glob("*.smk"), *moved.path.rglob("*.py"), *moved.path.rglob("*.rst")]:
        os.utime(path)
    assert moved.jobs() == NOTHING
    moved.configure({f"{JUNCTION}.material.alpha": 0.04})
    assert moved.jobs() == SIMULATION
    moved.configure({f"{JUNCTION}.pulses.voltages_V": [1.5, 2.5]})
    assert moved.jobs() == {"simulate": 2, **TABLES}
    moved.configure({"calibration.readout.TMR": 1.0})
    assert without(moved.jobs(), "collect") == CALIBRATION


@pytest.mark.long
def test_an_edit_that_only_a_dry_run_saw_leaves_no_trace(moved):
    """Without Snakemake's memory only times tell, so a file that is as it was must have its time again."""
    source = moved.path / "spinloom" / "streams.py"
    before = source.read_bytes()
    for number in range(2):  # of two edits in a row neither was run
        source.write_bytes(before + f"\nEDITED = {number}\n".encode())
        moved.configure({f"{JUNCTION}.material.alpha": 0.04 + number / 100, "calibration.readout.TMR": 1.0})
        assert moved.jobs() == {**SIMULATION, "train": 2}
    source.write_bytes(before)
    moved.configure({})
    assert moved.jobs() == NOTHING
    shutil.rmtree(moved.path / ".snakemake")
    assert moved.jobs() == NOTHING
    # what a run has seen is no longer forgotten
    moved.configure({"calibration.readout.TMR": 1.0})
    assert moved.snakemake("calibration").returncode == 0
    moved.configure({})
    shutil.rmtree(moved.path / ".snakemake")
    assert moved.jobs("calibration") == {"card": 1, "card_figures": 1, "calibration": 1}


# keys of a device that no engine sees, because they are for the write's energy
BLIND = {
    "config": set(),
    "configs/notched_wire": set(),
    "configs/notched_synapse": set(),
    "configs/stt_mtj": {"junction.TMR"},
    "configs/vcma_mtj": {"junction.RA_ohm_m2", "junction.TMR"},
}


def leaves(value, path=""):
    for key, item in value.items():
        if isinstance(item, dict):
            yield from leaves(item, f"{path}{key}.")
        else:
            yield f"{path}{key}", item


@pytest.mark.parametrize("name", BLIND)
def test_each_number_of_a_config_reaches_its_stage_alone(name):
    """Not by dry runs: the chunks that are planned, and the sections that are written, for each number in turn."""
    own = {} if name == "config" else yaml.safe_load(Path(f"{name}.yaml").read_text())
    small = changed(own, {"device_sims.sweep.instances": 1, "device_sims.sweep.replicas_per_instance": 2})
    default = config.laid_over("config.yaml", small)
    family = default["device_sims"]["device"]
    before, chunks = config.section_texts(default), hashes(default)
    seen, blind = 0, set()
    for path, value in leaves(default["device_sims"][family]):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            continue
        other = changed(default, {f"device_sims.{family}.{path}": value * 1.01 if value else 0.01})
        try:
            other = config.resolve(other)
            after = hashes(other)
        except UserError:  # a length that the cells no longer divide
            continue
        texts = config.section_texts(other)
        assert {key for key in texts if texts[key] != before[key]} == {"resolved", "device_sims"}, path
        blind |= {path} if after == chunks else set()
        seen += 1
    assert seen > 8 and blind == BLIND[name]
    for path, value in leaves(default["calibration"]):
        if isinstance(value, float):
            other = changed(default, {f"calibration.{path}": value * 0.99 if value else 0.01})
            texts = config.section_texts(other)
            assert {key for key in texts if texts[key] != before[key]} == {"resolved", "calibration"}, path


def hashes(resolved):
    section = Stage.parse(config.section(resolved, "device_sims"), "config", "device_sims")
    return [chunk.chunk_hash for chunk in sweep.plan_checked(section)]


def test_the_small_study_can_be_run():
    plan = planning.plan(config.laid_over("config.yaml", SMALL))
    assert len(plan.chunks) == EVERYTHING["simulate"] and len(plan.variants) == EVERYTHING["train"]
