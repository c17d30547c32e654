"""A device that is the user's own script, with the stand-in for mumax3, and with a stand-in for OOMMF."""

import json
import os
import stat
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from device_sims import engines
from device_sims.config import Stage
from device_sims.engines.oommf import program
from device_sims.finished import scripted
from device_sims.sweep import chunk, sweep
from spinloom import files
from spinloom.errors import UserError
from tests.workflows import changed as laid_over

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "script"
# the example with fewer cells and picoseconds
SHORT = {
    "SetGridSize(64, 8, 1)": "SetGridSize(32, 4, 1)", "128e-9": "64e-9", "Run(1e-10)": "Run(2e-12)",
    "TableAutoSave(1e-11)": "TableAutoSave(1e-12)", "AutoSave(m, 5e-11)": "AutoSave(m, 1e-12)",
}  # fmt: skip


def script_of(folder, changes=(), short=True):
    text = (EXAMPLE / "track.mx3").read_text()
    for old, new in [*(SHORT.items() if short else ()), *changes]:
        assert old in text, old
        text = text.replace(old, new)
    path = folder / "track.mx3"
    path.write_text(text)
    return path


def section_of(path, **changes):
    content = yaml.safe_load((EXAMPLE / "study.yaml").read_text())["device_sims"]
    small = {
        "seed": 3,
        "script.file": str(path),
        "script.pulses.voltages_V": [0.5],
        "script.pulses.fields_T": [-0.03, 0.03],
        "script.pulses.durations_s": [4e-12],
        "script.pulses.start_positions_m": [50e-9, 78e-9],
        "script.reading.length_m": 128e-9,
        "script.reading.width_m": 16e-9,
        "script.reading.pulse_start_s": 2e-12,
        "script.reading.settle_s": 2e-12,
        "sweep.replicas_per_instance": 2,
        "numerics": {"dt_s": 1e-13, "record_interval_s": 1e-12},
    }
    return Stage.parse(laid_over(content, {**small, **changes}), "a test")


def hashes(section):
    return [one.chunk_hash for one in sweep.plan(section)]


@pytest.mark.long
def test_a_script_becomes_the_tables_of_any_device(fake_mumax3, tmp_path):
    section = section_of(script_of(tmp_path))
    plan = sweep.plan_checked(section)
    drives = [f"voltage_V 0.5, field_T {field}, duration_s 4e-12, start_state -" for field in (-0.03, 0.03)]
    assert [one.drive for one in plan] == drives
    for one in plan:
        again = chunk.specified(json.loads(json.dumps(one.specification())), "x.json")
        assert again == one
        chunk.run(again, tmp_path / "chunks")
    sweep.collect(section, tmp_path / "chunks", tmp_path / "tables")
    events = files.read_table(tmp_path / "tables/events.csv")
    assert len(events) == 8 and set(events["outcome"]) == {"single"}
    # each write begins where it was told to, up to 2 ps of thermal noise, and no two are alike
    assert np.abs(events["start_position_m"] - events["nominal_start_m"]).max() < 2e-9
    assert events["final_position_m"].nunique() == 8
    moved = (events["final_position_m"] - events["start_position_m"]).groupby(events["pulse"]).mean()
    assert moved[0] < 0 < moved[1]
    track = files.read_table(tmp_path / "tables/trajectories.parquet")
    assert len(track) == 8 * 9 and track["t_s"].max() == pytest.approx(8e-12, rel=1e-3, abs=0)
    device = files.read_json(tmp_path / "tables/device.json")
    assert device["family"] == "script" and device["writes"]["states"]["before"] == "start_position_m"
    assert list(fake_mumax3.iterdir()) == [fake_mumax3 / f"spinloom-{os.getuid()}-gpu-3.lock"]  # no folder is left


@pytest.mark.long
def test_the_scripts_text_its_files_and_what_is_read_are_the_name_of_a_chunk(fake_mumax3, tmp_path):
    path = script_of(tmp_path)
    own = hashes(section_of(path))
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    assert hashes(section_of(script_of(moved))) == own
    assert not set(hashes(section_of(script_of(moved, [("alpha = 0.3", "alpha = 0.2")])))) & set(own)
    assert not set(hashes(section_of(path, **{"script.reading.component": "x"}))) & set(own)
    # what only the calibration uses simulates nothing again
    same = {"script.reading.width_m": 20e-9, "script.channel": "field", "script.reading.energy": ["line"]}
    assert hashes(section_of(path, **same)) == own
    (tmp_path / "start.ovf").write_text("1")
    read = {"script.files": [str(tmp_path / "start.ovf")]}
    first = hashes(section_of(path, **read))
    (tmp_path / "start.ovf").write_text("2")
    assert not set(first) & set(hashes(section_of(path, **read)))
    # a voltage more simulates that voltage
    more = section_of(script_of(tmp_path), **{"script.pulses.voltages_V": [0.5, 0.7]})
    assert set(own) < set(hashes(more))


def test_a_column_of_the_table_is_the_state(fake_mumax3, tmp_path):
    reading = {"script.reading.state": "share", "script.reading.state_column": "mz ()"}
    section = section_of(script_of(tmp_path), **reading)
    own = sweep.plan_checked(section)[0]
    chunk.run(own, tmp_path)
    events = files.read_table(own.paths(tmp_path)[0])
    assert np.abs(events["start_position_m"] - events["nominal_start_m"]).max() < 3e-9


@pytest.mark.long
def test_two_levels_from_each_of_them(fake_mumax3, tmp_path):
    down = (
        "TwoDomain(0, 0, 1, 0, 1, 0, 0, 0, -1).Transl({start_m} - 64e-9, 0, 0)",
        "TwoDomain(0, 0, {start_sign}, 0, 0, 0, 0, 0, {start_sign})",
    )
    path = script_of(tmp_path, [down])
    levels = {
        "script.pulses.start_positions_m": [],
        "script.pulses.start_states": ["AP", "P"],
        "script.reading": {
            "state": "levels", "state_column": "mz", "junction_area_m2": 1e-15, "pulse_start_s": 2e-12,
            "settle_s": 2e-12,
        },
    }  # fmt: skip
    section = section_of(path, **levels)
    plan = sweep.plan_checked(section)
    assert len(plan) == 4
    for one in plan:
        chunk.run(one, tmp_path / "chunks")
    sweep.collect(section, tmp_path / "chunks", tmp_path / "tables")
    summary = files.read_table(tmp_path / "tables/summary.csv")
    assert list(summary["probability"]) == [0, 0, 0, 0] and (summary["ci_high"] < 1).all()
    assert "position_mean_m" not in summary
    wrong = section_of(script_of(tmp_path, [(down[0], down[1].replace("{start_sign}", "1"))]), **levels)
    with pytest.raises(
        UserError, match=r"found no placeholder \{start_sign\}, allowed: a script with it, because .* has 2 values"
    ):
        sweep.plan_checked(wrong)
    wrong = section_of(script_of(tmp_path, [(down[0], down[1].replace("{start_sign}", "-1*{start_sign}"))]), **levels)
    with pytest.raises(
        UserError, match=r"found the start state P \(.* before the pulse\), allowed with start_sign -1: AP"
    ):
        chunk.run(sweep.plan_checked(wrong)[0], tmp_path / "x")


@pytest.mark.parametrize(
    "text, changes, message",
    [
        (("{voltage_V}", "{voltage}"), {}, r"placeholder \{voltage\}, which has no value, allowed: .*voltage_V"),
        (("{voltage_V}", "1"), {"script.pulses.voltages_V": [0.5, 1]}, r"placeholder \{voltage_V\}, .* has 2 values"),
        (("{seed}", "5"), {}, r"no placeholder \{seed\}, .* the 2 of device_sims.sweep.replicas"),
        (None, {"sweep.instances": 2}, r"no placeholder \{instance\}, .* the 2 of device_sims.sweep.inst"),
        (None, {"script.constants": {"width": 3}}, r"found no placeholder \{width\}, .*constants has width"),
        (None, {"script.constants": {"seed": 3}}, r"constants: found seed, to which Spinloom itself gives a value"),
        (None, {"script.file": "nowhere.mx3"}, r"script.file: nowhere.mx3: cannot be read \(No such file"),
        (None, {"script.file": "track.py"}, r"script.file: found track.py, allowed: a script, .mx3 or .mif"),
        (None, {"script.files": ["nowhere.ovf"]}, r"script.files: nowhere.ovf: cannot be read \(No such file"),
        (None, {"engine": "llg"}, r"engine: found llg with .*track.mx3, allowed: mumax3"),
        (None, {"script.reading.settle_s": None}, r"reading.settle_s: found null, allowed with a script: a time"),
        (None, {"script.reading.length_m": None}, r"reading.length_m: found null, allowed with a script: a number"),
        (None, {"script.pulses.voltages_V": [], "script.pulses.fields_T": []}, r"found no list of pulses"),
        (None, {"script.pulses.voltages_V": [1, 1]}, r"voltages_V: found \[1.0, 1.0\], allowed: each value once"),
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_one_line_before_anything_runs(fake_mumax3, tmp_path, text, changes, message):
    path = script_of(tmp_path, [] if text is None else [text])
    with pytest.raises(UserError, match=message) as caught:
        sweep.plan_checked(section_of(path, **changes))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text, changes, message",
    [
        (("alpha = 0.3", "alpa = 0.3"), {}, r"replica 0 \(.*voltage_V 0.5.*\): script line 8: alpa = 0.3: undef"),
        (None, {"script.reading.state_column": "ext_dwpos"}, r"found no column called 'ext_dwpos', allowed"),
        (None, {"script.reading.settle_s": 1e-11}, r"ended early: its last record is at 8e-12 s"),
        (None, {"script.reading.length_m": 100e-9}, r"length_m: found 1e-07, allowed: 1.28e-07"),
        (("AutoSave(m, 1e-12)", ""), {}, r"holds no snapshots, and the state is the position of the wall in them"),
        (("TableAuto", "//"), {"script.reading.state_column": "mz"}, r"holds no table, and the state is its c"),
    ],
)  # fmt: skip
def test_what_a_run_lacks_is_one_line_and_its_files_are_kept(fake_mumax3, tmp_path, text, changes, message):
    short = [("AutoSave(m", "AutoSave(m")] if text is None else [text]
    own = sweep.plan_checked(section_of(script_of(tmp_path, short), **changes))[0]
    with pytest.raises(UserError, match=message) as caught:
        chunk.run(own, tmp_path / "chunks")
    assert "\n" not in str(caught.value)
    (kept,) = [path for path in fake_mumax3.iterdir() if path.name.endswith("-failed")]
    assert str(kept) in str(caught.value) and (kept / "run.mx3").is_file()


# -- OOMMF -------------------------------------------------------------------------------------------------------------
MIF = """# MIF 2.1
# a wall that a field moves, as far as the stand-in knows: at {start_m}, in {field_T}
Parameter seed {seed}
Specify Oxs_BoxAtlas:atlas {
  xrange {0 96e-9}
}
proc Wall {x y z} { return [list 0 0 1] }
"""
# what boxsi leaves of it: a table over time and magnetisations in A/m
BOXSI = """
import re, sys
from pathlib import Path
import numpy as np
sys.path.insert(0, {root!r})
from device_sims.problem import ovf
text = Path(sys.argv[1]).read_text()
start, field = map(float, re.search(r"at ([^,]+), in (\\S+)", text).groups())
seed = int(re.search(r"Parameter seed (\\d+)", text)[1])
assert "proc Wall {{x y z}}" in text
lines = ["# ODT 1.0", "# Table Start", "# Columns: {{Oxs_TimeDriver::Simulation time}} Oxs_TimeDriver::mz"]
lines.append("# Units: s {{}}")
for number in range(5):
    time = number * 1e-11
    wall = start + field * 2e-7 * max(number - 1, 0) + seed % 3 * 4e-9
    m = np.zeros((3, 1, 8, 24))
    m[2] = 8e5 * np.where((np.arange(24) + 0.5) * 4e-9 < wall, 1, -1)
    ovf.write(f"run-Oxs_TimeDriver-Magnetization-{{number:02d}}-0000000.omf", m, (4e-9, 4e-9, 1e-9), time_s=time)
    lines.append(f"{{time}} {{m[2].mean() / 8e5}}")
Path("run.odt").write_text("\\n".join([*lines, "# Table End"]) + "\\n")
"""


@pytest.fixture
def fake_oommf(tmp_path, monkeypatch):
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "boxsi.py").write_text(BOXSI.format(root=str(Path(__file__).parents[2])))
    path = folder / "oommf"
    path.write_text(
        f"""#!/bin/sh
case "$1" in
+version) echo "OOMMF 2.1a0" ;;
launchhost) echo 15999 ;;
boxsi) grep -q broken "$3" && {{ echo "ERROR: no such atlas"; exit 1; }}
  exec "{sys.executable}" {folder}/boxsi.py "$3" ;;
esac
"""
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.delenv("OOMMFTCL", raising=False)
    monkeypatch.setattr(program, "PACKAGES", ())
    monkeypatch.setattr(program.metadata, "version", lambda name: "0.66.0")
    program._version.cache_clear()
    yield folder
    program._version.cache_clear()


@pytest.mark.long
def test_a_mif_file_is_filled_in_where_a_name_has_a_value_and_read(fake_oommf, tmp_path):
    path = tmp_path / "wall.mif"
    path.write_text(MIF)
    changes = {
        "engine": "oommf", "script.pulses.voltages_V": [], "script.pulses.durations_s": [2e-11],
        "script.pulses.start_positions_m": [40e-9], "script.reading.pulse_start_s": 1e-11,
        "script.reading.settle_s": 1e-11, "script.reading.length_m": 96e-9, "sweep.replicas_per_instance": 3,
    }  # fmt: skip
    section = section_of(path, **changes)
    for one in sweep.plan_checked(section):
        chunk.run(one, tmp_path / "chunks")
    sweep.collect(section, tmp_path / "chunks", tmp_path / "tables")
    events = files.read_table(tmp_path / "tables/events.csv")
    moved = events["final_position_m"] - events["start_position_m"]
    assert moved[:3].max() < 0 < moved[3:].min()
    assert events["spec_hash"].nunique() == 2
    share = {"script.reading.state": "share", "script.reading.state_column": "Oxs_TimeDriver::mz {}"}
    own = sweep.plan_checked(section_of(path, **changes, **share))[0]
    chunk.run(own, tmp_path / "chunks")
    table = files.read_table(own.paths(tmp_path / "chunks")[0])
    np.testing.assert_allclose(table["final_position_m"], events["final_position_m"][:3], rtol=1e-9)
    path.write_text(MIF + "# broken\n")
    with pytest.raises(UserError, match=r"wall.mif: replica 0 \(.*\): oommf: ERROR: no such atlas; its files are in"):
        chunk.run(sweep.plan_checked(section_of(path, **changes))[0], tmp_path / "chunks")
    with pytest.raises(UserError, match=r"engine: found mumax3 with .*wall.mif, allowed: oommf"):
        engines.check_problem("mumax3", sweep.plan(section_of(path, **changes))[0].batches[0].problem, "x")


def test_a_negative_value_behind_a_minus_stays_a_difference():
    values: dict[str, float | int | str] = {"voltage_V": -0.5}
    own = scripted.Scripted("a.mx3", "Ku1 = 8e5-{voltage_V} + {voltage_V}", values, (), {}, 1e-9, ("a",))
    assert own.filled() == "Ku1 = 8e5- -0.5 + -0.5"
