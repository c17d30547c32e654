"""The command line from data to tables, and what it says about mistakes."""

import ast
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from calibration.card import KernelCard
from network.__main__ import main
from network.training import settings
from spinloom.command_line import run_cli
from spinloom.errors import UserError
from spinloom.files import write_json
from tests import plugins
from tests.dictionary import documented
from tests.network.conftest import make_card, make_toy, write_config

NAMED = {"plain": None, "noisy": {"evaluation": {"input_noise_sds": [0.0, 0.5]}}}
VARIANTS = ("plain", "noisy", "float_baseline")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Two replicates of two variants and the baseline, summarised; tests that change something change a copy."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("study")
        plugins.add_dataset(patch, make_toy(folder / "toy"))
        yield trained(folder)


def trained(tmp_path):
    path = write_config(tmp_path, epochs=2, variants=NAMED)
    make_card().write(tmp_path / "card")
    main(["data", "--config", str(path), "--output", str(tmp_path / "manifest.json"), "--log", str(tmp_path / "d.log")])
    runs = []
    for name, section in settings.parts(json.loads(path.read_text())).items():
        write_json(section, tmp_path / f"{name}.json")
    for variant in VARIANTS:
        for replicate in range(2):
            runs.append(str(tmp_path / f"{variant}_{replicate}"))
            main(["train", "--config", str(tmp_path / f"training_{variant}.json"), "--card", str(tmp_path / "card"),
                  "--cache", str(tmp_path / "cache"), "--replicate", str(replicate),
                  "--output", runs[-1], "--log", f"{runs[-1]}.log"])  # fmt: skip
    gather(path, tmp_path, runs, "summary")
    return path, tmp_path, runs


def gather(path, folder, runs, output):
    main(["summarise", "--runs", *runs, "--config", str(path), "--card", str(folder / "card"), "--output",
          str(folder / output)])  # fmt: skip


def test_from_data_to_tables(study, capsys, monkeypatch):
    path, folder, runs = study
    assert json.loads((folder / "manifest.json").read_text())["train_images"] == 700
    log = Path(f"{runs[0]}.log").read_text()
    assert "images/s" in log and "epoch 1/2" in log and "left" in log

    history = pd.read_csv(folder / "summary" / "history.csv")
    assert len(history) == 6 * 3 and list(dict.fromkeys(history["variant"])) == list(VARIANTS)
    assert not any("per_s" == c or "time" in c for c in history)
    for name in ("history", "summary", "writes", "energy", "costs", "areas", "rivals", "sensitivity", "evaluations",
                 "programming", "confusion", "layers"):  # fmt: skip
        columns = pd.read_csv(folder / "summary" / f"{name}.csv").columns
        assert set(documented(f"summary/{name}.csv")) == set(columns), name
    summary = pd.read_csv(folder / "summary" / "summary.csv")
    final = history[history["epoch"] == 2].pivot(index="replicate", columns="variant", values="test_accuracy")
    last = final["plain"]
    row = summary[(summary["variant"] == "plain") & (summary["selection"] == "last")].iloc[0]
    assert row["seeds"] == 2 and row["rule"] == "accumulate_quantise_program"
    below = final["float_baseline"] - last
    assert row["accuracy_below_float_mean"] == pytest.approx(below.mean(), abs=1e-12)
    assert row["accuracy_below_float_sd"] == pytest.approx(np.std(below, ddof=1), abs=1e-12)
    assert row["test_accuracy_mean"] == pytest.approx(last.mean(), abs=0, rel=1e-9)
    assert row["test_accuracy_sd"] == pytest.approx(np.std(last, ddof=1), abs=0, rel=1e-9)
    trained = history[(history["variant"] == "plain") & (history["epoch"] > 0)]
    best = trained.loc[trained.groupby("replicate")["validation_accuracy"].idxmax(), "test_accuracy"]
    row = summary[(summary["variant"] == "plain") & (summary["selection"] == "validation_selected")].iloc[0]
    assert row["test_accuracy_mean"] == pytest.approx(best.mean(), abs=0, rel=1e-9)

    writes = pd.read_csv(folder / "summary" / "writes.csv").set_index(["variant", "epoch"])["writes_mean"]
    assert writes["plain", 0] == 240 and writes["float_baseline", 0] == 0
    assert writes["noisy", 2] == writes["plain", 2] > 0
    energy = pd.read_csv(folder / "summary" / "energy.csv").set_index(["variant", "phase", "term"])
    device = energy.loc[("plain", "training", "programming per presentation")]
    first, later = (
        energy.loc[("plain", phase, "writes"), "energy_J_mean"] for phase in ("first programming", "training")
    )
    presented = 2 * 600
    assert device["energy_J_mean"] == pytest.approx(later + first / presented, abs=0, rel=1e-9)
    evaluations = pd.read_csv(folder / "summary" / "evaluations.csv")
    assert evaluations[["variant", "condition", "value", "seeds"]].to_numpy().tolist() == [
        ["noisy", "input_noise_sd", 0.0, 2], ["noisy", "input_noise_sd", 0.5, 2],
    ]  # fmt: skip
    assert evaluations["test_accuracy_mean"][0] == pytest.approx(last.mean(), abs=0, rel=1e-9)
    confusion = pd.read_csv(folder / "summary" / "confusion.csv")
    assert confusion.groupby("variant")["images"].sum().tolist() == [400, 400, 400]

    monkeypatch.setenv("COLUMNS", "160")
    main(["show", str(folder / "summary")])
    assert "test accuracy" in capsys.readouterr().out


def test_a_warning_of_the_card_stays_to_the_last_table(study, tmp_path, capsys):
    folder = shutil.copytree(study[1], tmp_path / "copy")
    path, runs = folder / "config.json", [str(folder / Path(run).name) for run in study[2]]
    card = KernelCard.read(folder / "card")
    replace(card, meta=card.meta.model_copy(update={"warnings": ("it is not so",)})).write(folder / "card")
    gather(path, folder, runs, "warned")
    summary = pd.read_csv(folder / "warned" / "summary.csv")
    told = summary.groupby("variant")["card_warnings"].first()
    assert told["plain"] == "it is not so" and told.isna().sum() == 1  # the float baseline uses no card
    pd.testing.assert_frame_equal(
        summary.drop(columns="card_warnings"), pd.read_csv(folder / "summary" / "summary.csv")
    )
    main(["show", str(folder / "warned")])
    assert "warning: it is not so" in capsys.readouterr().out


def test_the_order_of_runs_does_not_matter_and_wrong_sets_are_refused(study, tmp_path):
    folder = shutil.copytree(study[1], tmp_path / "copy")
    path, runs = folder / "config.json", [str(folder / Path(run).name) for run in study[2]]
    gather(path, folder, runs[::-1], "again")
    for file in (folder / "summary").iterdir():
        assert file.read_bytes() == (folder / "again" / file.name).read_bytes()
    with pytest.raises(UserError, match="found replicate 0 of variant plain a second time"):
        gather(path, folder, [runs[0], runs[0]], "no")
    with pytest.raises(UserError, match="--runs: found no replicate 1 of variant noisy, allowed: all . seeds"):
        gather(path, folder, [run for run in runs if not run.endswith("noisy_1")], "no")
    with pytest.raises(UserError, match="variant: found plain, allowed: accumulate_quantise_program, float_baseline"):
        gather(write_config(folder, epochs=2), folder, runs, "no")
    write_config(folder, epochs=2, variants=NAMED)
    make_card(spread=0.3).write(folder / "card")
    with pytest.raises(UserError, match="another card"):
        gather(path, folder, runs, "no")
    section = json.loads(path.read_text())
    write_json({**section, "epochs": 5}, path)
    make_card().write(folder / "card")
    with pytest.raises(UserError, match="epochs: found 2, allowed: 5"):
        gather(path, folder, runs, "no")
    assert not (folder / "no").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dataset": "nonesuch"}, "config.json: dataset: found nonesuch, allowed: arrays, cifar10, digits, "),
        ({"layers": [16, 4, 10]}, "network.layers: found 10 outputs, allowed: 4 for toy"),
        ({"layers": [15, 4]}, "network.layers: found 15 inputs, allowed: 16 or 4x4x1"),
        ({"input": {"pool": 3}}, "network.input.pool: found 3, allowed: a common divisor of 4 and 4"),
        ({"input": {"range": "byte"}}, "input.range: found byte, allowed: unit, signed, binary"),
        ({"activation": "step"}, "activation: found step, allowed: relu"),
        ({"normalisation": "layer"}, "normalisation: found layer, allowed: batch, none"),
        ({"loss": "l2"}, "loss: found l2, allowed: cross_entropy, squared_hinge"),
        ({"batch_size": 1}, "network.normalisation: found 'batch', allowed: none with batch_size 1"),
        ({"array": {"wire_ohm": 1}}, "array: found unknown key 'wire_ohm', allowed: driver_resistance_ohm"),
        ({"early_stopping": 3}, "early_stopping: found 3, allowed: object or null"),
        ({"data": {"cache": "a\nb"}}, "network.data.cache: found 'a\\nb', allowed: a printable path"),
        ({"rule": "nonesuch"}, "rule: found nonesuch, allowed: accumulate_quantise_program, "),
        (
            {"array": {"half_select": 0.5}},
            "network.array.half_select: found 0.5, allowed: none (the fractions of the card",
        ),
        ({"layers": 5}, "layers: found 5, allowed: array"),
        ({"training_images": 601}, "network.training_images: found 601, allowed: 1 to 600 (validation excluded)"),
        ({"training_images": 5}, "network.batch_size: found 20, allowed: 1 to 5 (images to train with)"),
        ({"weight_range": [1, 2, 3]}, "network.weight_range: found 3 numbers, allowed: one, or one for each of the "),
        ({"weight_range": [1, 0]}, "weight_range.1: found 0, allowed: more than 0"),
        ({"validation_images": 700}, "network.validation_images: found 700, allowed: whole numbers 1 to 699"),
        ({"batch_size": 650}, "network.batch_size: found 650, allowed: 1 to 600"),
        ({"epochs": 0}, "epochs: found 0, allowed: 1 to 100000"),
        ({"seed": -1}, "seed: found -1, allowed: at least 0"),
        ({"surprise": 1}, "found unknown key 'surprise', allowed: activation"),
        ({"optimizer": {"name": "adamm"}}, "optimizer.name: found adamm, allowed: adam"),
        (
            {"optimizer": {"name": "adam", "learning_rate": -1}},
            "optimizer.learning_rate: found -1, allowed: more",
        ),
        (
            {"optimizer": {"name": "adam", "learning_rate": 0.1, "momentum": 0.5}},
            "network.optimizer: found momentum, allowed for adam: learning_rate, b1, b2, eps, schedule",
        ),
        ({"optimizer": 5}, "optimizer: found 5, allowed: object"),
        (
            {"energy": {"adc_energy_J": 1}},
            "found unknown key 'energy' (costs are told for `hardware` now, docs/cost.md), allowed: activation",
        ),
        ({"hardware": {"adc_J": 1}}, "hardware: found unknown key 'adc_J'"),
        ({"rule_options": {"margin": "x"}}, "network.rule_options.margin: found x, allowed: number"),
        ({"rule_options": [1]}, "rule_options: found [1], allowed: object"),
        ({"array": None}, "array: found null, allowed: object"),
        ({"array": {"tile_rows": "a"}}, "array.tile_rows: found a, allowed: integer"),
        ({"early_stopping": {"patience": 0}}, "early_stopping.patience: found 0, allowed: at least 1"),
        ({"device": {"stuck_fraction": 7}}, "device.stuck_fraction: found 7, allowed: at most 1"),
        ({"evaluation": {"input_noise_sds": 3}}, "evaluation.input_noise_sds: found 3, allowed: array"),
        ({"dataset": [1]}, "dataset: found [1], allowed: string"),
    ],
)
def test_mistakes_in_the_config(config, toy, tmp_path, changes, message, capsys):
    """One line on stderr, status 2, nothing written."""
    make_card().write(tmp_path / "card")
    toy.ensure(tmp_path / "cache", tmp_path / "toy", lambda _: None)
    arguments = ["train", "--config", str(config(**changes)), "--card", str(tmp_path / "card"), "--replicate", "0",
                 "--output", str(tmp_path / "run")]  # fmt: skip
    with pytest.raises(SystemExit) as stop:
        run_cli(lambda: main(arguments))
    error = capsys.readouterr().err
    assert stop.value.code == 2 and message in error and error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_failed_run_leaves_older_results(config, toy, tmp_path):
    make_card().write(tmp_path / "card")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "history.csv").write_text("old")
    arguments = ["train", "--card", str(tmp_path / "card"), "--output", str(tmp_path / "run")]
    with pytest.raises(UserError, match="network.data.folder: found /none"):
        main([*arguments, "--config", str(config(data={"folder": "/none", "cache": "/none"})), "--replicate", "0"])
    with pytest.raises(UserError, match="--replicate: found '-1', allowed: whole numbers from 0 to 9999"):
        main([*arguments, "--config", str(config()), "--replicate", "-1"])
    assert (tmp_path / "run" / "history.csv").read_text() == "old"


def test_training_finds_its_data_again_if_the_cache_is_gone_and_no_others(config, toy, tmp_path):
    make_card().write(tmp_path / "card")
    path, manifest = config(epochs=1), tmp_path / "data.json"
    main(["data", "--config", str(path), "--output", str(manifest)])
    shutil.rmtree(tmp_path / "cache")
    arguments = ["train", "--config", str(path), "--card", str(tmp_path / "card"), "--data", str(manifest),
                 "--replicate", "0", "--output", str(tmp_path / "run"), "--log", str(tmp_path / "log")]  # fmt: skip
    main(arguments)
    assert (tmp_path / "run" / "meter.json").exists() and "toy: decoding" in (tmp_path / "log").read_text()
    digest = json.loads(manifest.read_text())["digest"]
    write_json({"digest": "0" * 64}, manifest)
    with pytest.raises(
        UserError, match=f"data.json: digest: found {'0' * 64}, allowed: {digest}, the digest of toy as it"
    ):
        main(arguments)
    assert (tmp_path / "log").read_text().splitlines()[-1].startswith("error: ")  # where a search reads it


def test_as_a_program(tmp_path):
    """The real process: status 2 and one line, no traceback."""
    command = [sys.executable, "-m", "network", "data", "--config", str(tmp_path / "none.json"), "--output", "x"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1 and "none.json" in done.stderr


def test_this_stage_does_not_know_the_simulators():
    for path in (ROOT / "network").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert not name.startswith("device_sims"), path
                assert not name.startswith("calibration") or name == "calibration.card", path
