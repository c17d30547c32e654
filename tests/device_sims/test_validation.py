"""The validation command: its short subset passes, and a row that is wrong is shown as wrong."""

import importlib
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from device_sims import validation
from device_sims.validation import Curve, Row, run
from spinloom.errors import UserError
from tests.dictionary import documented

# the other groups' short checks are those of test_dynamics, test_macrospin and test_collective
GROUPS = ("demag", "analytic", "thermometer")


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    output = tmp_path_factory.mktemp("validation")
    return output, run.validate(output, GROUPS, quick=True)


@pytest.mark.long
def test_quick_subset_passes(quick):
    output, table = quick
    assert table["pass"].all(), table[~table["pass"].astype(bool)].to_string()
    groups = tuple(dict.fromkeys(table["group"]))
    assert groups == GROUPS
    assert list(table.columns) == documented("validation/validation.csv") == list(run.COLUMNS)
    written = pd.read_csv(output / "validation.csv")
    assert written["pass"].dtype == bool
    np.testing.assert_array_equal(written["obtained"], table["obtained"])
    text = (output / "validation.md").read_text()
    assert all(f"### {group}\n" in text for group in groups)
    assert text.count("| pass |") == len(table)


def _broken():
    yield Row("right", "x", 1.0, "arithmetic", 1.0, 1e-9)
    yield Curve("oommf_disc", "panel", "line", [0, 1], [0, 1])
    yield Row("wrong", "x | y", 1.0, "arithmetic", 1.1, 1e-9, note="by a tenth")
    yield Row("absent", "x", 1.0, "arithmetic", float("nan"), 1e9)
    raise ValueError("and then it broke")


@pytest.fixture
def broken(monkeypatch):
    module = importlib.import_module("device_sims.validation.demag")
    monkeypatch.setattr(module, "_broken", _broken, raising=False)
    monkeypatch.setattr(module, "QUICK", (_broken,))


def test_a_wrong_row_stays_in_the_table(broken, tmp_path):
    with pytest.raises(UserError, match="demag._broken: ValueError: and then it broke"):
        run.validate(tmp_path, only=["demag"], quick=True)
    table = pd.read_csv(tmp_path / "validation.csv")
    assert table["test"].tolist() == ["right", "wrong", "absent"]
    assert table["pass"].tolist() == [True, False, False]
    text = (tmp_path / "validation.md").read_text()
    assert text.startswith("3 rows, 2 outside their tolerance")
    assert text.count("**MISS**") == 2
    assert "x \\| y (by a tenth)" in text
    assert (tmp_path / "oommf_disc.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "kind, expected, inside, outside, tolerance",
    [
        ("absolute", 2.0, 2.09, 1.89, 0.1),
        ("relative", -2.0, -2.19, -2.21, 0.1),
        ("factor", 2.0, 2.9, 1.3, 1.5),
        ("p_value", None, 2e-3, 5e-4, 1e-3),
        ("at_least", None, 0.2, 0.05, 0.1),
    ],
)
def test_kinds_of_tolerance(kind, expected, inside, outside, tolerance):
    def passed(obtained):
        return Row("t", "q", expected, "s", obtained, tolerance, kind).passed

    assert passed(inside) and not passed(outside)
    assert not passed(float("nan")) and not passed(float("inf"))


def test_checks_are_registered_once_and_can_be_named():
    for group in validation.GROUPS:
        module = importlib.import_module(f"device_sims.validation.{group}")
        names = [check.__name__ for check in module.CHECKS]
        assert names and len(set(names)) == len(names)
        # worker processes find a check by its name
        for check in (*module.CHECKS, *module.QUICK):
            assert getattr(module, check.__name__) is check


@pytest.mark.long
def test_two_processes_give_the_same_table(tmp_path):
    tables = [run.validate(tmp_path / str(jobs), ["analytic"], True, jobs) for jobs in (1, 2)]
    pd.testing.assert_frame_equal(*(table.drop(columns="wall_s") for table in tables))


@pytest.mark.long
def test_command_line(tmp_path):
    command = [sys.executable, "-m", "device_sims", "validate", "--output", str(tmp_path)]
    command += ["--quick", "--strict", "--only"]
    done = subprocess.run([*command, "analytic"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"{tmp_path}/validation.md" in done.stdout
    refused = subprocess.run([*command, "demog"], capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: --only: found 'demog', allowed: demag, oommf")


def test_references_are_whole():
    """Nine of OOMMF's files; the counts of their rows are what the checks rely on."""
    rows = {path.stem: len(pd.read_csv(path)) for path in validation.REFERENCE.glob("*.csv")}
    assert json.dumps(rows, sort_keys=True) == json.dumps(
        {
            "mtj_disc_stt": 60, "racetrack_dmi": 4, "racetrack_dmi_sot": 4, "racetrack_dmi_sot_256x32": 4,
            "racetrack_plain": 4, "racetrack_sot": 4, "racetrack_zhangli": 20, "sp4_field1_5nm": 300,
            "sp4_field2_5nm": 300, "thermal_wall_diffusion": 48,
        },
        sort_keys=True,
    )  # fmt: skip
