import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from calibration.__main__ import main
from spinloom.errors import UserError

ROOT = Path(__file__).parents[2]


def run(*arguments) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "calibration", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "COLUMNS": "200"})


def test_card_show_figures_and_an_error(study, tmp_path):
    card = tmp_path / "card"
    made = run(*study.arguments(card))
    assert (made.returncode, made.stderr) == (0, "")
    assert "400 events used, 0 lost their wall" in (tmp_path / "card.log").read_text()

    shown = run("show", card)
    assert shown.returncode == 0
    for text in ("domain_wall", "any", "distinguishable at 1%", "energy per success (fJ)"):
        assert text in shown.stdout
    first_row = study.card().transitions.iloc[0]
    assert f"{first_row.probability:.3f} [{first_row.ci_low:.3f}, {first_row.ci_high:.3f}]" in shown.stdout

    # an error: exit status 2, one line on stderr and in the log, and the card as it was
    before = {path: path.read_bytes() for path in card.iterdir()}
    study.events.loc[0, "wall_state"] = "lost"
    failed = run(*study.arguments(card))
    assert failed.returncode == 2
    assert failed.stderr.startswith("error: ") and failed.stderr.count("\n") == 1
    assert (tmp_path / "card.log").read_text() == failed.stderr
    assert {path: path.read_bytes() for path in card.iterdir()} == before


def test_figures_are_the_same_bytes_each_time(study, tmp_path):
    main(study.arguments(tmp_path / "card"))
    config, events, *_ = study.paths()
    options = ["figures", "--card", str(tmp_path / "card"), "--events", events, "--config", config, "--output"]
    main([*options, str(tmp_path / "first")])
    main([*options, str(tmp_path / "second")])
    pictures = {path.name: path.read_bytes() for path in (tmp_path / "first").iterdir()}
    assert sorted(pictures) == ["conductance.png", "final_positions.png", "transitions.png"]
    assert pictures == {path.name: path.read_bytes() for path in (tmp_path / "second").iterdir()}
    assert all(b"Software" not in data and b"tIME" not in data for data in pictures.values())

    study.events = study.events[::-1]
    study.paths()
    with pytest.raises(UserError, match="events.parquet: not the events that"):
        main([*options, str(tmp_path / "third")])
    assert not (tmp_path / "third").exists()


def test_show_of_something_else(tmp_path):
    with pytest.raises(UserError, match=r"card.json: cannot be read \(No such file or directory\)"):
        main(["show", str(tmp_path)])


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


def no_events(study):
    study.events = study.events[:0]


def config(section, key, value):
    return lambda study: study.config[section].__setitem__(key, value)


def lose_pulse(study):
    study.events.loc[study.events["pulse"] == 3, "wall_state"] = "lost"
    study.config["max_lost_fraction"] = 0.5


def far_but_rarely(study):
    # the range reaches to 590 nm, and between 470 and 530 nm lies nothing
    study.config["states"] = {"count": 10, "method": "equal_width"}
    position = study.events["final_position_m"].clip(upper=460e-9)
    position[:2] = [590e-9, 0.0]
    study.events["final_position_m"] = position


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (duplicate, "events.parquet: pulse 0, instance 0, replica 4, spec_hash a[ab]* occurs more than once; each"),
        (
            event("final_position_m", 7e-7),
            r"final_position_m has 7e-07 \(pulse 0, instance 0, replica 0\); .* 0..6e-07",
        ),
        (event("final_position_m", np.nan), "final_position_m has nan"),
        (event("wall_state", "gone"), "column wall_state has 'gone' in row 0; allowed is single or lost or multiple"),
        (event("pulse", 9), "column pulse has 9; allowed are the pulses 0..4"),
        (event("pulse", 0.5), "column pulse has 'float64'; allowed is type int64"),
        (event("voltage_V", 0.1), "column voltage_V has 0.1 for pulse 0; allowed is 0 as in the pulse table"),
        (lambda study: study.events.pop("spec_hash"), "events.parquet: column spec_hash is missing; needed are"),
        (no_events, "events.parquet: no rows"),
        (lose_pulse, "events.parquet: pulse 3 has no event with a single wall"),
        (far_but_rarely, r"events.parquet: state 8 \(472 to 531 nm\) holds 0 events"),
        (pulse("duration_s", -1.0), "pulses.csv: column duration_s has -1.0 in row 0; allowed is a number > 0"),
        (pulse("channel", "field"), "pulses.csv: column channel has 'field' in row 0; allowed is gate.sot"),
        (pulse("pulse", [0, 1, 2, 3, 5]), "pulses.csv: column pulse has 5 where 4 is expected"),
        (
            pulse("temperature_K", "warm"),
            "pulses.csv: column temperature_K has 'warm' in row 0; allowed is type float64",
        ),
        (lambda study: study.device.pop("engine"), "device.json: key engine is missing"),
        (lambda study: study.device.update(reset_before_write=1), "reset_before_write is 1; allowed is .* type bool"),
        (lambda study: study.device.update(track_length_m=0), "track_length_m is 0; allowed is a number > 0"),
        (config("states", "count", 6), "config.json: states.count is 6 but there are 5 pulses"),
        (config("states", "count", 2.5), "config.json: states.count is 2.5; allowed is a value of type int"),
        (config("states", "count", True), "config.json: states.count is True; allowed is a value of type int"),
        (config("posterior", "interval", 95), "config.json: posterior.interval is 95; allowed is .* between 0 and 1"),
        (config("readout", "TMR", "big"), "config.json: readout.TMR is 'big'; allowed is a value of type float"),
    ],
)
def test_unfit_input_is_refused_in_one_line(study, tmp_path, edit, words):
    edit(study)
    with pytest.raises(UserError, match=words) as error:
        main(study.arguments(tmp_path / "card"))
    assert str(error.value).startswith(str(tmp_path)) and "\n" not in str(error.value)
    assert not (tmp_path / "card").exists()


@pytest.mark.parametrize("name", ["config", "events", "pulses", "device"])
def test_absent_or_damaged_file_is_named(study, tmp_path, name):
    arguments = study.arguments(tmp_path / "card")
    path = Path(arguments[arguments.index(f"--{name}") + 1])
    path.write_bytes(b"\x00{")
    with pytest.raises(UserError, match=path.name):
        main(arguments)
    path.unlink()
    with pytest.raises(UserError, match=path.name):
        main(arguments)
