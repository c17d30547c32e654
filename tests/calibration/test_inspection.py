"""What `inspect` says of a file, and that the commands it prints do what they say."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import yaml

from calibration.__main__ import main
from calibration.card import KernelCard
from spinloom.errors import UserError
from workflow.study import config as study_config
from workflow.study import planning

DATA = Path(__file__).parent / "data"
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    """A terminal on which no table is cut, from the folder that the program is started in."""
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.chdir(ROOT)


def inspected(capsys, *arguments: str) -> str:
    main(["inspect", *arguments])
    return capsys.readouterr().out


@pytest.mark.parametrize(
    "name, words",
    [
        ("ltp_ltd_continuous", ["runs up: 10, of 50 pulses", "runs down: 10, of 40 pulses", "conductance", "uS"]),
        ("semicolon_decimal_comma", ["separator semicolon, decimal comma", "runs down: 10, of 40 pulses"]),
        (
            "missing_pulse",
            ["gaps: 1 pulses", "row 7: pulse number 5 is missing", "noise of a reading, from the repeats"],
        ),
        ("read_noise_half_a_level", ["repeats: 119 readings", "from the repeats: about 0.51"]),
    ],
)
def test_files_of_measurements(name, words, capsys, tmp_path):
    out = inspected(capsys, str(DATA / f"{name}.csv"), "--figure", str(tmp_path / "seen.png"))
    assert all(word in out for word in ["taken for: traces", *words]), out
    assert (tmp_path / "seen.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.long
def test_the_command_and_the_study_that_it_prints(capsys, tmp_path):
    overlay = tmp_path / "my_device.yaml"
    out = inspected(
        capsys, str(DATA / "semicolon_decimal_comma.csv"), "--figure", str(tmp_path / "seen.svg"),
        "--overlay", str(overlay), "--option", "duration_s=1e-7",
    )  # fmt: skip
    assert out.rstrip().endswith(f"python -m spinloom run {overlay}")
    line = next(line for line in out.splitlines() if "calibration import" in line)
    command = shlex.split(line)[3:]
    command[command.index("--output") + 1] = str(tmp_path / "card")
    main(command)
    card = KernelCard.read(tmp_path / "card")
    assert len(card.states) > 10 and card.meta.events == 899
    assert (tmp_path / "card_dropped.csv").read_text() == "file,row,reason\n"
    assert card.pulses["duration_s"].tolist() == [1e-7, 1e-7] and card.pulses["energy_mean_J"].isna().all()
    told = "\n".join(card.meta.assumed)
    assert all(
        word in told for word in ("energy of a write is unknown", "temperature", "read voltage", "duration of a read")
    )
    assert "duration of a pulse" not in told
    config = study_config.laid_over(ROOT / "config.yaml", yaml.safe_load(overlay.read_text()))
    made = planning.plan(config)
    assert config["study"] == "my_device" and made.trains and not made.simulates


def test_counts_of_switching(capsys, tmp_path):
    file, figure = str(DATA / "switching_counts.csv"), ["--figure", str(tmp_path / "seen.png")]
    out = inspected(capsys, file, *figure)
    assert "taken for: switching" in out and "--option conductance_low_S=VALUE" in out
    assert "from AP: 36 pulses, 7200 trials, share switched 0 to 1" in out
    known = ["--option", "conductance_low_S=1e-5", "--option", "conductance_high_S=2e-5"]
    overlay = tmp_path / "junction.yaml"
    inspected(capsys, file, *figure, *known, "--overlay", str(overlay))
    config = study_config.laid_over(ROOT / "config.yaml", yaml.safe_load(overlay.read_text()))
    assert planning.plan(config).trains and config["network"]["rule"] == "outer_product_probability"


def test_what_must_be_said_is_asked_for(capsys, tmp_path):
    path = tmp_path / "currents.csv"
    rows = (f"{n},{50 + (n if n <= 10 else 20 - n)}" for n in range(21))
    path.write_text("n,I (nA)\n" + "\n".join(rows) + "\n")
    out = inspected(capsys, str(path), "--figure", str(tmp_path / "seen.svg"))
    assert "not told: current_at_V" in out and "--option current_at_V=VALUE" in out and "the study" not in out
    with pytest.raises(UserError, match="no study can be written yet: --option current_at_V=VALUE, as 1$"):
        inspected(capsys, str(path), "--figure", str(tmp_path / "seen.svg"), "--overlay", str(tmp_path / "study.yaml"))
    assert not (tmp_path / "study.yaml").exists()
    with pytest.raises(UserError, match="whose format is not recognised"):
        (tmp_path / "words.csv").write_text("a,b\nx,y\n")
        main(["inspect", str(tmp_path / "words.csv")])


def test_an_error_of_the_command_line_names_its_option(tmp_path):
    out = ["--output", str(tmp_path / "card")]
    file = str(DATA / "ltp_ltd_continuous.csv")
    for arguments, message in (
        (["--count", "1"], "^--count: found 1, allowed: "),
        (["--states", "heap"], "^--states: found heap, allowed: "),
        (["--option", "duration_s=5"], r"^--option duration_s: found 5, allowed: 1e-15..1 \(is that in ns\?\)"),
        (["--option", "speed=5"], "options: found unknown key 'speed'"),
    ):
        with pytest.raises(UserError, match=message):
            main(["import", file, *arguments, *out])
