"""mumax3's driver against a stand-in (`mumax3_fake.py`), its files, and mumax3 itself where there is one."""

import os
import re
import shutil
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from device_sims import engines
from device_sims.devices import domain_wall
from device_sims.engines import mumax3
from device_sims.engines.mumax3 import outputs, process, regions, script
from device_sims.problem import Geometry, ovf
from device_sims.single.run import run as run_file
from device_sims.sweep import chunk, sweep
from spinloom import files
from spinloom.errors import UserError
from tests.device_sims.conftest import changed as changed_section
from tests.device_sims.mumax3_problems import ALL, GOLDEN, LAYERS, PLAIN, with_
from tests.device_sims.test_problem_file import changed, write


def test_probe_tells_what_was_found(fake_mumax3, monkeypatch):
    usable, text = mumax3.probe()
    assert usable and re.search(r"bin/mumax3: mumax 3.11.1 \[.*\], GPU info: NVIDIA H100 .* PTX, 3$", text)
    for show, words in (
        ("no device", "no usable NVIDIA GPU (CUDA_ERROR_NO_DEVICE) (exit code 1); https://mumax"),
        ("no library", "cannot load libcuda.so.1: no CUDA driver or library (exit code 127)"),
        ("old", "found mumax 3.10, needed mumax 3.11 or newer"),
    ):
        monkeypatch.setenv("FAKE_MUMAX3", show)
        usable, text = mumax3.probe()
        assert not usable and words in text
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert mumax3.probe() == (False, "CUDA_VISIBLE_DEVICES: found '-1', allowed: at least one GPU")
    monkeypatch.setenv(process.EXECUTABLE, "/nowhere/mumax3")
    usable, text = mumax3.probe()
    assert not usable and text.startswith("found no executable '/nowhere/mumax3' on PATH (or SPINLOOM_MUMAX3); install")


@pytest.mark.parametrize(
    "show, words",
    [
        ("old", 'script line 2: ext_InitGeomFromOVF("mask.ovf"): undefined: ext_InitGeomFromOVF (exit code 1)'),
        ("no mesh", "panic: need to set mesh first (exit code 2)"),
        ("lost file", ": open m0.ovf: no such file or directory (exit code 1)"),
        ("no device", "no usable NVIDIA GPU (CUDA_ERROR_NO_DEVICE) (exit code 1)"),
        ("memory", "out of GPU memory; use fewer cells (exit code 1)"),
        ("curand", "panic: CURAND_STATUS_LENGTH_NOT_MULTIPLE (exit code 2)"),
        ("panic", "panic: assertion failed (exit code 2)"),
        ("small step", "Time step too small: 0 (exit code 2)"),
        ("nan", "a quantity became NaN; reduce numerics.dt_s or numerics.tolerance (exit code 2)"),
        ("killed", "was ended by SIGKILL"),
        ("short", "table.txt: found 2 rows up to 2e-13 s, allowed: 3 up to 4e-13 s"),
        ("cut", "m000001.ovf: found"),
    ],
)
def test_every_failure_is_one_line_and_keeps_its_files(fake_mumax3, monkeypatch, show, words):
    monkeypatch.setenv("FAKE_MUMAX3", show)
    problem = replace(PLAIN, geometry=Geometry("rectangle", size_m=(8e-9, 8e-9))) if show == "old" else PLAIN
    with pytest.raises(UserError) as error:
        list(mumax3.run([problem]))
    message = str(error.value)
    assert message.startswith("mumax3: replica 3 (stream (7, 'thermal field', 'run', 3)): ") and words in message
    kept = Path(message.split("its files are in ")[1])
    assert (kept / "run.mx3").exists()
    if show not in ("old", "no device"):  # which end earlier
        assert '//not starting GUI (-http="")' in (kept / "stderr.txt").read_text()
    assert [path for path in fake_mumax3.iterdir() if path.is_dir()] == [kept]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_run_that_takes_too_long_is_ended_with_all_it_has_started(fake_mumax3, monkeypatch):
    note = fake_mumax3.parent / "pids"
    monkeypatch.setenv("FAKE_MUMAX3", "hangs")
    monkeypatch.setenv("FAKE_MUMAX3_NOTE", str(note))
    monkeypatch.setenv(process.LIMIT, "1.5")
    monkeypatch.setattr(process, "MERCY_S", 0.2)  # the stand-in ignores SIGTERM
    with pytest.raises(
        UserError, match=r"had not ended after 1.5 s and was stopped, allowed: a longer time \(SPINLOOM_MUMAX3_L"
    ):
        list(mumax3.run([PLAIN]))
    pids = [int(pid) for pid in note.read_text().split()]
    assert len(pids) == 2 and not any(alive(pid) for pid in pids)
    monkeypatch.setenv(process.LIMIT, "0")
    with pytest.raises(UserError, match="SPINLOOM_MUMAX3_LIMIT_S: found '0', allowed: a positive number"):
        list(mumax3.run([PLAIN]))


def test_a_scheduler_that_ends_the_job_ends_mumax3(tmp_path):
    def ask():
        while not (tmp_path / "started").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    asking = threading.Thread(target=ask)
    asking.start()
    with pytest.raises(SystemExit):
        process.call(["sh", "-c", "echo $$ > started.new; mv started.new started; sleep 600"], tmp_path, "0", 60)
    asking.join()
    assert not alive(int((tmp_path / "started").read_text()))
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_two_runs_at_once_have_two_gpus_and_a_third_waits(tmp_path, monkeypatch):
    monkeypatch.setattr(process.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a1, 2,-1,5")
    names = process.gpus()
    assert names == ["GPU-a1", "2"]
    got, release = [], threading.Event()

    def third():
        with process.gpu(names) as device:
            got.append(device)

    waiting = threading.Thread(target=third)
    with process.gpu(names) as one:
        with process.gpu(names) as two:
            assert {one, two} == set(names)
            waiting.start()
            release.wait(3 * process.POLL_S)
            assert not got
        waiting.join(10)
        assert got == [two]
    code, out, _ = process.call(["sh", "-c", "echo $CUDA_VISIBLE_DEVICES; exit 3"], tmp_path, "GPU-a1", 10)
    assert (code, out) == (3, "GPU-a1\n")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    listing = tmp_path / "nvidia-smi"
    listing.write_text('#!/bin/sh\necho "GPU 0: NVIDIA H100 (UUID: GPU-1)"; echo "GPU 1: NVIDIA H100 (UUID: GPU-2)"\n')
    listing.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert process.gpus() == ["0", "1"]


def test_mumax3_3_12_is_reseeded_by_its_new_name_and_draws_noise_for_odd_meshes(fake_mumax3, tmp_path, monkeypatch):
    content = changed("mesh", {"cell_m": [4e-9, 4e-9, 1e-9], "cells": [5, 3, 1]})
    content["numerics"] = {"dt_s": 1e-13, "precision": "float32", "demag": False}
    path = write(tmp_path, {**content, "temperature_K": 300.0})
    with pytest.raises(UserError, match="5 x 3 x 1 cells at 300 K"):
        run_file(path, "mumax3", tmp_path / "refused")
    monkeypatch.setenv("FAKE_MUMAX3", "3.12")
    run_file(path, "mumax3", tmp_path / "run", raw=tmp_path / "raw")
    assert re.search(r"^ThermReseed\(\d+\)$", (tmp_path / "raw" / "0" / "run.mx3").read_text(), re.MULTILINE)


def test_a_problem_file_goes_on_replica_by_replica(fake_mumax3, tmp_path, monkeypatch):
    content = changed("numerics", {"dt_s": 1e-13, "precision": "float32", "integrator": "heun", "demag": False})
    path = write(tmp_path, {**content, "temperature_K": 300.0})
    run_file(path, "mumax3", tmp_path / "whole", 2)
    tables = [(tmp_path / "whole" / f"replica_{n:06d}" / "table.csv").read_bytes() for n in (0, 1)]
    assert tables[0] != tables[1]
    run_file(path, "mumax3", tmp_path / "parts", 1)
    started = []
    monkeypatch.setattr(
        mumax3, "_one", lambda problem, *_, own=mumax3._one: started.append(problem) or own(problem, *_)
    )
    run_file(path, "mumax3", tmp_path / "parts", 2)
    assert [problem.stream[-1] for problem in started] == [1]
    assert [(tmp_path / "parts" / f"replica_{n:06d}" / "table.csv").read_bytes() for n in (0, 1)] == tables


def test_a_missing_mumax3_is_never_replaced(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("SPINLOOM_MUMAX3", raising=False)
    path = write(tmp_path, changed("numerics", {"dt_s": 1e-13, "precision": "float32"}))
    with pytest.raises(UserError, match="--engine: mumax3 cannot run here: found no executable 'mumax3' on PATH"):
        run_file(path, "mumax3", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    # a study stops when it is planned
    with pytest.raises(UserError, match="^device_sims.engine: mumax3 cannot run here: found no executable 'mumax3'"):
        engines.check("mumax3", "domain_wall", domain_wall, [PLAIN])


def test_a_sweep_has_the_tables_of_any_engine(fake_mumax3, section, tmp_path, monkeypatch):
    note = "constants are rounded to 3 regions"
    for path, value in (
        ("domain_wall.pulses.voltages_V", [-0.5]), ("domain_wall.sot.duration_s", 1e-12),
        ("domain_wall.wall.rest_s", 1e-12), ("domain_wall.wall.settle_s", 1e-12),
        ("engine", "mumax3"), ("sweep.instances", 1), ("numerics.record_interval_s", 1e-12),
    ):  # fmt: skip
        section = changed_section(section, path, value)
    monkeypatch.setattr(regions.Regions, "note", lambda _: note)
    (own,) = sweep.plan_checked(section)
    chunk.run(own, tmp_path / "chunks", tmp_path / "log.txt")
    assert (tmp_path / "log.txt").read_text().count(note) == 1
    events, _ = own.paths(tmp_path / "chunks")
    assert files.read_parquet_metadata(events)["engine_notes"] == note
    sweep.collect(section, tmp_path / "chunks", tmp_path)
    table = files.read_table(tmp_path / "events.csv")
    assert list(table["wall_state"]) == ["single"] * 2 and table["final_position_m"].nunique() == 2
    assert set(files.read_table(tmp_path / "points.csv")["engine"]) == {"mumax3"}


# -- files of mumax3 -----------------------------------------------------------------------------------------------

HEAD = """# OOMMF OVF 2.0
# Segment count: 1
# Begin: Segment
# Begin: Header
# Title: m
# meshtype: rectangular
# meshunit: m
# xmin: 0
# ymin: 0
# zmin: 0
# xmax: 8e-09
# ymax: 4e-09
# zmax: 1e-09
# valuedim: 3
# valuelabels: m_x m_y m_z
# valueunits: 1 1 1
# Desc: Total simulation time:  2.000377037076917e-10  s
# xbase: 2e-09
# ybase: 2e-09
# zbase: 5e-10
# xnodes: 2
# ynodes: 1
# znodes: 1
# xstepsize: 4e-09
# ystepsize: 4e-09
# zstepsize: 1e-09
# End: Header
"""


@pytest.mark.parametrize("kind", ["Text", "Binary 4", "Binary 8"])
def test_ovf_bytes_as_mumax3_writes_them(tmp_path, kind):
    """No new line stands between binary data and their end; text has a blank before each."""
    values = [[0.0, 0.6, 0.8], [-1.0, 1e-9, 0.0]]
    if kind == "Text":
        data = b"0 0.6 0.8 \n-1 1e-09 0 \n"
    else:
        dtype, check = ("<f4", 1234567.0) if kind == "Binary 4" else ("<f8", 123456789012345.0)
        data = np.array([check, *np.ravel(values)], dtype).tobytes()
    ends = f"# Begin: Data {kind}\n".encode(), f"# End: Data {kind}\n# End: Segment\n".encode()
    (tmp_path / "m.ovf").write_bytes(HEAD.encode() + ends[0] + data + ends[1])
    field = ovf.read(tmp_path / "m.ovf")
    assert field.values.shape == (3, 1, 1, 2) and field.cell_m == (4e-9, 4e-9, 1e-9)
    np.testing.assert_allclose(field.values[:, 0, 0].T, values, rtol=1e-7, atol=0)
    assert field.header["desc"] == "Total simulation time:  2.000377037076917e-10  s"


def test_what_mumax3_wrote_for_the_plain_script_is_read():
    """``table.txt`` and a snapshot of ``plain.mx3`` at T = 0, by mumax3 3.11.1: its bytes."""
    columns, units = outputs.table(GOLDEN / "table.txt")
    assert units == {"t": "s", "mx": "", "my": "", "mz": "", **{name: "J" for name in script.COLUMNS}}
    np.testing.assert_allclose(columns["t"], [0, 2e-13, 4e-13], rtol=1e-12, atol=0)
    field = ovf.read(GOLDEN / "m000002.ovf")
    assert field.values.shape == (3, 1, 2, 4) and field.cell_m == (4e-9, 4e-9, 1e-9)
    mean = [columns[f"m{axis}"][2] for axis in "xyz"]
    np.testing.assert_allclose(field.values.mean((1, 2, 3)), mean, rtol=0, atol=1e-7)
    text = ovf.read(GOLDEN / "text000002.ovf")
    np.testing.assert_array_equal(text.values.astype(np.float32), field.values.astype(np.float32))


def test_tables_are_read_by_their_header_and_damage_is_told(tmp_path):
    path = tmp_path / "table.txt"
    path.write_text("# t (s)\tmx ()\tE_exch (J)\n0\t-0.1\t1.5e-18\n1.0000000000000001e-11\t0.2\t-3e-19\n")
    columns, units = outputs.table(path)
    assert units == {"t": "s", "mx": "", "E_exch": "J"} and list(columns["E_exch"]) == [1.5e-18, -3e-19]
    for content, words in (
        ("t\tmx\n0\t1\n", "found header 't"),
        ("# t (s)\tmx ()\n0\t1\n1\n", "found rows that are not 2 numbers"),
        ("# t (s)\tmx ()\n0\tNaN\n", "found a value that is not a finite number"),
    ):
        path.write_text(content)
        with pytest.raises(UserError, match=re.escape(words)):
            outputs.table(path)
    with pytest.raises(UserError, match="found a file that is not a table"):
        outputs.table(tmp_path / "none.txt")


# -- mumax3 itself -------------------------------------------------------------------------------------------------

WHY_NOT = "" if shutil.which(os.environ.get(process.EXECUTABLE) or "mumax3") is None else mumax3.probe()[1]
real = pytest.mark.skipif(
    not (WHY_NOT and mumax3.probe()[0]), reason=f"mumax3 cannot run here: {WHY_NOT or mumax3.probe()[1]}"
)


@real
def test_mumax3_itself_agrees_with_the_built_in_solver():
    problem = with_(ALL, numerics__demag=True)
    (theirs,) = mumax3.run([problem])
    (ours,) = engines.run("llg", [with_(problem, numerics__precision="float64")])
    # measured: 2e-4 and, in the demagnetising energy, 1.2e-3; without stray field 3e-7 and 2e-7
    np.testing.assert_allclose(theirs.m, ours.m, rtol=0, atol=1e-3)
    for name, values in ours.energies_J.items():
        np.testing.assert_allclose(theirs.energies_J[name], values, rtol=0, atol=5e-3 * np.abs(values).max() + 1e-24)


@real
def test_mumax3_itself_relaxes_and_draws_another_noise_for_each_replica():
    list(mumax3.run([LAYERS]))
    one, two, again = mumax3.run([replace(PLAIN, stream=(7, "x", replica)) for replica in (0, 1, 0)])
    assert np.abs(one.m[-1] - two.m[-1]).max() > 1e-4
    np.testing.assert_array_equal(one.m, again.m)
