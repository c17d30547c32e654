"""The command line from data to figures, and what it says about mistakes."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from network.__main__ import main
from spinloom.errors import UserError, run_cli
from spinloom.files import write_json
from tests.dictionary import documented
from tests.network.conftest import make_card

RULE = "accumulate_quantise_program"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def study(config, tmp_path):
    """Two replicates of the rule and the baseline, summarised and drawn."""
    path = config(epochs=2)
    make_card().write(tmp_path / "card")
    main(["data", "--config", str(path), "--output", str(tmp_path / "manifest.json"), "--log", str(tmp_path / "d.log")])
    runs = []
    for rule in (RULE, "float_baseline"):
        for replicate in range(2):
            runs.append(str(tmp_path / f"{rule}_{replicate}"))
            main(["train", "--config", str(path), "--card", str(tmp_path / "card"), "--rule", rule, "--replicate",
                  str(replicate), "--output", runs[-1], "--log", f"{runs[-1]}.log"])  # fmt: skip
    gather(path, tmp_path, runs, "summary")
    return path, tmp_path, runs


def gather(path, folder, runs, output):
    main(["summarise", "--runs", *runs, "--config", str(path), "--card", str(folder / "card"), "--output",
          str(folder / output)])  # fmt: skip


def test_from_data_to_figures(study, capsys, monkeypatch):
    path, folder, runs = study
    assert json.loads((folder / "manifest.json").read_text())["train_images"] == 700
    log = Path(f"{runs[0]}.log").read_text()
    assert "images/s" in log and "epoch 1/2" in log and "left" in log

    history = pd.read_csv(folder / "summary" / "history.csv")
    assert len(history) == 4 * 3 and not any("per_s" == c or "time" in c for c in history)
    for name in ("history", "summary", "writes", "energy", "confusion"):
        columns = pd.read_csv(folder / "summary" / f"{name}.csv").columns
        assert set(documented(f"summary/{name}.csv")) == set(columns), name
    summary = pd.read_csv(folder / "summary" / "summary.csv")
    last = history[(history["rule"] == RULE) & (history["epoch"] == 2)]["test_accuracy"]
    row = summary[(summary["rule"] == RULE) & (summary["selection"] == "last")].iloc[0]
    assert row["seeds"] == 2
    assert row["test_accuracy_mean"] == pytest.approx(last.mean(), abs=0, rel=1e-9)
    assert row["test_accuracy_sd"] == pytest.approx(np.std(last, ddof=1), abs=0, rel=1e-9)
    trained = history[(history["rule"] == RULE) & (history["epoch"] > 0)]
    best = trained.loc[trained.groupby("replicate")["validation_accuracy"].idxmax(), "test_accuracy"]
    row = summary[(summary["rule"] == RULE) & (summary["selection"] == "validation_selected")].iloc[0]
    assert row["test_accuracy_mean"] == pytest.approx(best.mean(), abs=0, rel=1e-9)

    writes = pd.read_csv(folder / "summary" / "writes.csv")
    assert writes[(writes["rule"] == RULE) & (writes["epoch"] == 0)]["writes_mean"].item() == 240
    energy = pd.read_csv(folder / "summary" / "energy.csv").set_index(["rule", "phase", "term"])
    device = energy.loc[(RULE, "training", "programming per presentation")]
    assert device["energy_J_mean"] == pytest.approx(
        energy.loc[(RULE, "training", "writes"), "energy_J_mean"], abs=0, rel=1e-9
    )
    confusion = pd.read_csv(folder / "summary" / "confusion.csv")
    assert confusion.groupby("rule")["images"].sum().tolist() == [400, 400]

    for output in ("a", "b"):
        main(["figures", "--summary", str(folder / "summary"), "--output", str(folder / output)])
    names = ["accuracy.png", "confusion.png", "energy.png", "writes.png"]
    assert sorted(p.name for p in (folder / "a").iterdir()) == names
    for name in names:
        content = (folder / "a" / name).read_bytes()
        assert content[:4] == b"\x89PNG" and len(content) > 5000 and content == (folder / "b" / name).read_bytes()

    monkeypatch.setenv("COLUMNS", "160")
    main(["show", str(folder / "summary")])
    assert "test accuracy" in capsys.readouterr().out


def test_the_order_of_runs_does_not_matter_and_wrong_sets_are_refused(study):
    path, folder, runs = study
    gather(path, folder, runs[::-1], "again")
    for file in (folder / "summary").iterdir():
        assert file.read_bytes() == (folder / "again" / file.name).read_bytes()
    with pytest.raises(UserError, match="given twice"):
        gather(path, folder, [runs[0], runs[0]], "no")
    make_card(spread=0.3).write(folder / "card")
    with pytest.raises(UserError, match="another card"):
        gather(path, folder, runs, "no")
    section = json.loads(path.read_text())
    write_json({**section, "epochs": 5}, path)
    make_card().write(folder / "card")
    with pytest.raises(UserError, match="epochs: found 2, allowed 5"):
        gather(path, folder, runs, "no")
    assert not (folder / "no").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dataset": "nonesuch"}, "network.dataset: found 'nonesuch', allowed mnist, fashion_mnist, toy"),
        ({"layers": [16, 4, 10]}, "network.layers: found 16 inputs and 10 outputs, allowed 16 and 4 for toy"),
        ({"layers": 5}, "network.layers: found 5"),
        ({"validation_images": 700}, "network.validation_images: found 700, allowed whole numbers 1 to 699"),
        ({"batch_size": 650}, "network.batch_size: found 650, allowed 1 to 600"),
        ({"epochs": 0}, "network.epochs: found 0"),
        ({"seed": -1}, "network.seed: found -1"),
        ({"surprise": 1}, "found unknown key surprise"),
        ({"optimizer": {"name": "adamm"}}, "network.optimizer.name: found 'adamm', allowed adam"),
        ({"optimizer": {"name": "adam", "learning_rate": -1}}, "network.optimizer.learning_rate: found -1"),
        (
            {"optimizer": {"name": "adam", "learning_rate": 0.1, "x": 1}},
            "network.optimizer: found x, allowed learning_rate, b1, b2, eps for adam",
        ),
        ({"energy": {"adc_J": 1}}, "network.energy: found adc_J, allowed adc_energy_J"),
        ({"rule_options": {"margin": "x"}}, "network.rule_options.margin: found 'x'"),
    ],
)
def test_mistakes_in_the_config(config, toy, tmp_path, changes, message, capsys):
    """One line on stderr, status 2, nothing written."""
    make_card().write(tmp_path / "card")
    toy.ensure(tmp_path / "cache", tmp_path / "toy", lambda _: None)
    arguments = ["train", "--config", str(config(**changes)), "--card", str(tmp_path / "card"), "--rule", RULE,
                 "--replicate", "0", "--output", str(tmp_path / "run")]  # fmt: skip
    with pytest.raises(SystemExit) as stop:
        run_cli(lambda: main(arguments))
    error = capsys.readouterr().err
    assert stop.value.code == 2 and message in error and error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_failed_run_leaves_older_results(config, toy, tmp_path):
    make_card().write(tmp_path / "card")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "history.csv").write_text("old")
    arguments = ["train", "--card", str(tmp_path / "card"), "--rule", RULE, "--output", str(tmp_path / "run")]
    with pytest.raises(UserError, match="run 'python -m network data' first"):
        main([*arguments, "--config", str(config()), "--replicate", "0"])
    with pytest.raises(UserError, match="--replicate: found 2, allowed 0 to 1"):
        main([*arguments, "--config", str(config()), "--replicate", "2"])
    assert (tmp_path / "run" / "history.csv").read_text() == "old"


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
