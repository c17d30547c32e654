import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from calibration import KernelCard
from calibration.__main__ import main
from calibration.sources import library
from spinloom.errors import UserError
from tests.calibration.conftest import changed
from workflow.study import config as study_config

ROOT = Path(__file__).parents[2]


@pytest.fixture
def wide(monkeypatch):
    """A terminal on which no table is cut, from the folder that the program is started in."""
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.chdir(ROOT)


@pytest.mark.long
def test_card_and_an_error_of_the_program(study, tmp_path):
    card = tmp_path / "card"
    main([*study.arguments(card), "--dropped", str(tmp_path / "dropped.csv")])
    log = (tmp_path / "card.log").read_text()
    assert "400 writes used, 0 lost" in log and KernelCard.read(card).hash in log
    assert (tmp_path / "dropped.csv").read_text() == "file,row,reason\n"

    # an error: exit status 2, one line on stderr and in the log, and the card as it was
    before = {path: path.read_bytes() for path in card.iterdir()}
    study.events.loc[0, "wall_state"] = "lost"
    command = [sys.executable, "-m", "calibration", *study.arguments(card)]
    failed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert failed.returncode == 2
    assert failed.stderr.startswith("error: ") and failed.stderr.count("\n") == 1
    assert (tmp_path / "card.log").read_text() == failed.stderr
    assert {path: path.read_bytes() for path in card.iterdir()} == before


def test_show_prints_all_that_a_card_tells(cards, tmp_path, capsys, wide):
    for name, texts in {
        "domain_wall": ("domain_wall", "any", "distinguishable at 1%", "energy per success (fJ)", "truncated_normal"),
        "walking": ("up and down", "symmetry point (µS)", "spread of the final position"),
        "stt_mtj": ("AP", "neel_brown", "assumed", "dead zones", "spread of P(state 1) between devices"),
        "notched_wire": ("passed", "passing", "volatile True"),
    }.items():
        cards[name].write(tmp_path / name)
        main(["show", str(tmp_path / name), "--all"])
        shown = capsys.readouterr().out
        assert [text for text in texts if text not in shown] == [], name
        assert cards[name].hash in shown
    row = cards["domain_wall"].transitions.iloc[0]
    main(["show", str(tmp_path / "domain_wall")])
    assert f"{row.probability:.3f} [{row.ci_low:.3f}, {row.ci_high:.3f}]" in capsys.readouterr().out


def test_show_fits_one_screen_and_names_what_it_leaves_out(cards, tmp_path, capsys, wide):
    for name in ("domain_wall", "walking", "stt_mtj", "notched_wire"):
        cards[name].write(tmp_path / name)
        main(["show", str(tmp_path / name)])
        short = capsys.readouterr().out.splitlines()
        main(["show", str(tmp_path / name), "--all"])
        long = capsys.readouterr().out.splitlines()
        assert len(short) <= 45 < len(long), name
        # assumptions and warnings are never left out
        told = [line for line in long if line.startswith(("assumed", "warning"))]
        assert [line for line in short if line.startswith(("assumed", "warning"))] == told
        assert short[-1].startswith("--all also prints: all rows, ") and "conductance steps" in short[-1]
    main(["show", "sot_mtj_80nm_a"])
    assert "the first 6 of 16" in capsys.readouterr().out


def test_show_of_something_else(tmp_path):
    with pytest.raises(UserError, match=r"card.json: cannot be read \(No such file or directory\)"):
        main(["show", str(tmp_path)])


def test_library_lists_writes_and_shows(tmp_path, capsys, wide):
    main(["library"])
    listed = capsys.readouterr().out
    assert [line.split()[0] for line in listed.splitlines()] == library.names()
    main(["library", "sot_mtj_80nm_b", "--output", str(tmp_path / "card")])
    assert KernelCard.read(tmp_path / "card").hash == library.card("sot_mtj_80nm_b").hash
    main(["show", "sot_mtj_80nm_b", "--all"])
    shown = capsys.readouterr().out
    assert "half-select" in shown and "[" not in shown.split("transitions: probability")[1].split("\n")[0]
    with pytest.raises(UserError, match="--output: found nothing, allowed: a directory for the card"):
        main(["library", "sot_mtj_80nm_b"])
    with pytest.raises(UserError, match="found 'no_such', allowed: arm_pma_mtj_50nm, "):
        main(["library", "no_such", "--output", str(tmp_path / "other")])


def test_compare_and_sample(cards, tmp_path, capsys, wide):
    good = cards["domain_wall"]
    good.write(tmp_path / "a")
    for number in ("1", "1", "2"):
        main(["sample", str(tmp_path / "a"), "--seed", "3", "--number", number, "--output", str(tmp_path / "drawn")])
        made = KernelCard.read(tmp_path / "drawn")
        assert made.hash != good.hash
        if number == "1":
            first = made.hash
    assert made.hash != first
    main(["sample", str(tmp_path / "a"), "--seed", "3", "--number", "1", "--output", str(tmp_path / "drawn")])
    assert KernelCard.read(tmp_path / "drawn").hash == first
    capsys.readouterr()
    main(["compare", str(tmp_path / "a"), str(tmp_path / "drawn")])
    shown = capsys.readouterr().out
    assert shown.startswith("a: domain_wall\nb: domain_wall\n") and "Largest total variation of a row: 0." in shown


def test_plan_says_what_is_missing_and_its_sweep_is_a_config(study, tmp_path, capsys, wide):
    study.card().write(tmp_path / "card")
    device = study_config.section(study_config.load(ROOT / "config.yaml"), "device_sims")
    (tmp_path / "device_sims.json").write_text(json.dumps(device))
    options = ["plan", str(tmp_path / "card"), "--width", "0.02"]
    main(options)
    shown = capsys.readouterr().out
    assert "half-width 0.02" in shown and "0 of 5 rows are known well enough." in shown
    with pytest.raises(UserError, match="--config, --device-sims: found nothing, allowed with --output"):
        main([*options, "--output", str(tmp_path / "plan.yaml")])
    files = ["--config", str(tmp_path / "device_sims.json"), "--device-sims", str(study.tables)]
    main([*options, *files, "--output", str(tmp_path / "plan.yaml")])
    overlay = yaml.safe_load((tmp_path / "plan.yaml").read_text())
    replicas = overlay["device_sims"]["sweep"]["replicas"]
    assert replicas and all(entry["replicas_per_instance"] > 10 for entry in replicas)
    assert study_config.load(ROOT / "config.yaml", tmp_path / "plan.yaml")["device_sims"]["sweep"]["replicas"]


def test_import_counts_writes_of_a_file(tmp_path, wide):
    level = {"0.5": 2e-5, "-0.5": 1e-5}  # S, whatever it was before
    lines = ["device,cycle,voltage_V,conductance_before_S,conductance_after_S"]
    for cycle in range(80):
        voltage = "0.5" if cycle % 3 else "-0.5"
        before = level["0.5" if cycle % 2 else "-0.5"]
        lines.append(f"a,{cycle},{voltage},{before},{level[voltage] + 1e-8 * (cycle % 7)}")
    path = tmp_path / "measured.csv"
    path.write_text("\n".join([*lines, "a,80,0.5,1e-5,"]) + "\n")
    options = ["import", str(path), "--format", "events", "--option", "duration_s=1e-8", "--option"]
    out = ["--output", str(tmp_path / "card"), "--dropped", str(tmp_path / "dropped.csv")]
    with pytest.raises(UserError, match="measured.csv, row 82: column conductance_after_S is .*; found 1 of 81"):
        main([*options, "temperature_K=300", "--option", "max_dropped_fraction=0", *out])
    main([*options, "temperature_K=300", *out])
    card = KernelCard.read(tmp_path / "card")
    assert card.meta.source.kind == "measured"
    # two clusters, each pulse always leads to its own; pulses are sorted by voltage
    counts = card.transitions["count"].to_numpy().reshape(2, 2, 2)
    assert (counts[0, :, 0] > 0).all() and (counts[1, :, 1] > 0).all() and counts.sum() == 80
    assert counts[0, :, 1].sum() == counts[1, :, 0].sum() == 0
    dropped = pd.read_csv(tmp_path / "dropped.csv")
    assert len(dropped) == 1 and list(dropped) == ["file", "row", "reason"]
    with pytest.raises(UserError, match="--option: found 'area', allowed: KEY=VALUE"):
        main([*options, "area", *out])


@pytest.mark.long
def test_what_the_model_of_readings_notes_is_told(tmp_path, capsys, wide):
    rows = pd.read_csv("tests/calibration/data/read_noise_half_a_level.csv")
    rows.loc[200, "conductance_S"] = 1e-3  # beyond all that the device can do
    rows.to_csv(tmp_path / "rows.csv", index=False)
    main(["import", str(tmp_path / "rows.csv"), "--format", "traces", "--output", str(tmp_path / "card")])
    note = "1 readings lie far from what those around them allow and are left out"
    assert KernelCard.read(tmp_path / "card").meta.measurement.notes == (note,)
    assert f"note: {note}" in capsys.readouterr().out
    main(["show", str(tmp_path / "card"), "--all"])
    assert f"note: {note}" in capsys.readouterr().out


def test_events_edited_after_the_card_are_not_drawn(study, tmp_path):
    main(study.arguments(tmp_path / "card"))
    study.events = study.events[::-1]
    study.write()
    with pytest.raises(UserError, match="events.parquet: not the writes that the card was made from; make"):
        main(study.figures(tmp_path / "card", tmp_path / "figures"))
    assert not (tmp_path / "figures").exists()


def event(column, value, row=0):
    def edit(study):
        if isinstance(value, float):
            study.events[column] = study.events[column].astype("float64")
        study.events.loc[row, column] = value

    return edit


def pulse(column, value):
    return lambda study: study.pulses.__setitem__(column, value)


def duplicate(study):
    study.events.loc[5, ["pulse", "instance", "replica"]] = [0, 0, 4]


def start_unknown(study):
    study.device["writes"]["states"]["before"] = "start_position_m"
    study.events.loc[3, "start_position_m"] = np.nan


def no_events(study):
    study.events = study.events[:0]


def config(path, value):
    return lambda study: changed(study.config, {path: value})


def device(path, value):
    return lambda study: changed(study.device, {f"writes.{path}": value})


def lose_pulse(study):
    study.events.loc[study.events["pulse"] == 3, "wall_state"] = "lost"
    study.config["max_lost_fraction"] = 0.5


def far_but_rarely(study):
    # the range reaches to 590 nm, and between 470 and 530 nm lies nothing
    study.config["states"] |= {"count": 10, "method": "equal_width"}
    position = study.events["final_position_m"].clip(upper=460e-9)
    position[:2] = [590e-9, 0.0]
    study.events["final_position_m"] = position


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (duplicate, "events.parquet: pulse 0, instance 0, replica 4, spec_hash a[ab]* occurs more than once; each"),
        (
            event("final_position_m", 7e-7),
            r"final_position_m: found 7e-07 \(pulse 0, instance 0, replica 0\), allowed: 0 to 6e-07",
        ),
        (event("final_position_m", np.nan), "final_position_m: found nan"),
        (event("wall_state", "gone"), "column wall_state: found 'gone' in row 0, allowed: single or lost or multiple"),
        (event("pulse", 9), "column pulse: found 9, allowed: 0..4, the pulses of"),
        (event("pulse", 0.5), "column pulse: found 'float64', allowed: type int64"),
        (lambda study: study.events.pop("spec_hash"), "events.parquet: column spec_hash is missing, needed:"),
        (no_events, "events.parquet: found no rows"),
        (lose_pulse, "events.parquet: pulse 3: found only writes that lost their wall, allowed: at least one"),
        (far_but_rarely, r"events.parquet: state 8 \(472 to 531 nm\) holds 0 events"),
        (pulse("duration_s", -1.0), "pulses.csv: column duration_s: found -1.0 in row 0, allowed: a number > 0"),
        (pulse("channel", "field"), "pulses.csv: column channel: found 'field' in row 0, allowed: gate.sot"),
        (pulse("pulse", [0, 1, 2, 3, 5]), "pulses.csv: column pulse: found 5 in place of 4"),
        (
            pulse("temperature_K", "warm"),
            "pulses.csv: column temperature_K: found 'warm' in row 0, allowed: type float64",
        ),
        (lambda study: study.device.pop("engine"), "device.json: key engine is missing"),
        (device("energy.clock", 1), "device.json: writes.energy.clock: found 1, allowed: boolean"),
        (device("states.length_m", 0), "device.json: writes.states.length_m: found 0, allowed: more than 0"),
        (device("states.kind", "skyrmion"), "device.json: writes.states: found .*skyrmion.*, allowed: .*'levels'"),
        (device("pulse.drives", ["voltage_T"]), r"device.json: writes.pulse.drives.0: found voltage_T, allowed: volt"),
        (config("states.count", 6), "config.json: calibration.states.count: found 6, allowed: 5"),
        (config("states.count", 2.5), "config.json: states.count: found 2.5, allowed: integer"),
        (config("states.count", True), "config.json: states.count: found true, allowed: integer"),
        (config("states.mehtod", "edges"), r"unknown key 'mehtod' \(did you mean 'method'\?\)"),
        (config("posterior.interval", 95), "config.json: posterior.interval: found 95.*, allowed: less than 1"),
        (config("readout.TMR", "big"), "config.json: readout.TMR: found big, allowed: number"),
        (lambda study: study.config["readout"].pop("TMR"), "config.json: key readout.TMR is missing"),
        (lambda study: study.config["write_energy"].pop("resistivity_ohm_m"), "write_energy.resistivity_ohm_m is mis"),
        (config("kernel.law", "passing"), "kernel.law: found 'passing', allowed for domain_wall: auto, truncated_norm"),
        (
            start_unknown,
            "column start_position_m: found nothing for pulse 0; every write needs one unless the device is re",
        ),
    ],
)
def test_unfit_input_is_refused_in_one_line(study, tmp_path, edit, words):
    edit(study)
    with pytest.raises(UserError, match=words) as error:
        main(study.arguments(tmp_path / "card"))
    assert str(error.value).startswith(str(tmp_path)) and "\n" not in str(error.value)
    assert not (tmp_path / "card").exists()


@pytest.mark.parametrize("name", ["config.json", "events.parquet", "pulses.csv", "device.json"])
def test_absent_or_damaged_file_is_named(study, tmp_path, name):
    arguments = study.arguments(tmp_path / "card")
    path = study.section if name == "config.json" else study.tables / name
    path.write_bytes(b"\x00{")
    with pytest.raises(UserError, match=path.name):
        main(arguments)
    path.unlink()
    with pytest.raises(UserError, match=path.name):
        main(arguments)
