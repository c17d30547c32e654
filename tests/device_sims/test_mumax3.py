"""mumax3: scripts, what they mean by mumax3's own formulas, and the driver against a stand-in (`mumax3_fake.py`)."""

import copy
import hashlib
import os
import re
import shutil
import signal
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from device_sims import engines, geometry, material, ovf, sweep
from device_sims.engines import mumax3
from device_sims.engines.mumax3 import outputs, process, regions, script
from device_sims.problem import (
    DataFile,
    Geometry,
    Initial,
    Map,
    Material,
    Mesh,
    Numerics,
    Phase,
    Problem,
    Region,
    Waveform,
)
from device_sims.run import run as run_file
from spinloom import files
from spinloom.errors import UserError
from tests.device_sims import mumax3_fake
from tests.device_sims.test_problem_file import changed, write

GOLDEN = Path(__file__).parent / "golden_mumax3"
PLAIN = Problem(
    Mesh(4, 2, (4e-9, 4e-9, 1e-9)), Geometry(), Material(1e6, 1.5e-11, 0.02, 8e5),
    (Phase("run", 4e-13),), Initial("uniform", (0.6, 0.0, 0.8)), 300.0, Numerics(1e-13, "heun", "float32"), 2e-13,
    stream=(7, "thermal field", "run", 3),
)  # fmt: skip
# everything that a problem can ask of a single layer, with each constant in two values
ALL = Problem(
    mesh=Mesh(12, 6, (4e-9, 4e-9, 1e-9)),
    geometry=Geometry(
        "strip", width_m=2e-8, notch_positions_m=(2.2e-8,), notch_depth_m=5e-9, notch_width_m=1.2e-8
    ),
    material=Material(
        1e6, 1.5e-11, 0.05, 8e5, 1e-3, 0.1, 0.3, (0.0, 0.8, 0.6), 5e4, (0.6, 0.0, 0.8), zhang_li_beta=0.04
    ),
    schedule=(
        Phase("rest", 6e-13),
        Phase(
            "pulse", 1.5e-12, Ku_factor=Waveform(1, 0.9, 0.05, 1e11, 0.3), current_density_A_per_m2=Waveform(0, 2e12),
            field_T=(0.05, 0.0, Waveform(0.1, 0.4)), zhang_li_u_m_per_s=Waveform(50.0, 50.0, 100.0, 2e11),
            region_Ku_factors=(("gate", Waveform(0.8, 1.2)),),
        ),
        Phase("end", 6e-13, zhang_li_u_m_per_s=-100.0),
    ),
    initial=Initial("wall", position_m=2e-8, azimuth_rad=0.7),
    temperature_K=0.0,
    numerics=Numerics(5e-14, "heun", "float32", 0, demag=False),
    record_interval_s=6e-13,
    stream=(7, "thermal field", "run", 0),
    regions=(
        Region((0, 2e-8), (0, 1), (("D_J_per_m2", 1.5), ("Ku_J_per_m3", 1.1), ("A_J_per_m", 0.8)), "gate"),
        Region((1e-8, 3e-8), (1e-8, 1), (("Ms_A_per_m", 0.9), ("alpha", 2.0))),
    ),
)  # fmt: skip
LAYERS = Problem(
    Mesh(4, 4, (3e-9, 3e-9, 2e-9), 2), Geometry(), Material(8e5, 1.3e-11, 0.1, zhang_li_beta=0.05),
    (Phase("first", 1e-12, zhang_li_u_m_per_s=-50.0), Phase("second\nline", 1e-12, zhang_li_u_m_per_s=-50.0)),
    Initial("vortex", relax_tolerance=1e-4), 0.0, Numerics(1e-13, "dopri5", "float32", tolerance=1e-5), 1e-12,
    stream=(7, "thermal field", "run", 0),
)  # fmt: skip


@pytest.fixture
def fake(tmp_path, monkeypatch) -> Path:
    """Put the stand-in in mumax3's place; temporary files go to the folder that is returned."""
    folder, scratch = tmp_path / "bin", tmp_path / "scratch"
    folder.mkdir()
    scratch.mkdir()
    path = folder / "mumax3"
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{mumax3_fake.__file__}" "$@"\n')
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    monkeypatch.setattr(process.tempfile, "tempdir", str(scratch))
    monkeypatch.delenv(process.EXECUTABLE, raising=False)
    return scratch


def interpreted(problem: Problem, folder: Path) -> mumax3_fake.Mumax:
    """Return the stand-in after it has executed a problem's script, in this process."""
    written = script.write(problem)
    (folder / "out").mkdir()
    for name, values in written.fields.items():
        ovf.write(folder / name, values, problem.mesh.cell_m)
    machine = mumax3_fake.Mumax(folder)
    machine.execute(machine.compile(written.text))
    return machine


# -- scripts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name, problem", [("plain", PLAIN), ("all", ALL), ("layers", LAYERS)])
def test_scripts_are_as_they_were(name, problem):
    mumax3.check(problem)
    path = GOLDEN / f"{name}.mx3"
    assert script.write(problem).text == path.read_text(), f"if this is meant, write the new script to {path}"


def test_each_replica_has_its_own_seed_which_the_script_carries():
    problems = [replace(PLAIN, stream=(*PLAIN.stream[:-1], replica)) for replica in range(64)]
    seeds = [script.seed(problem) for problem in problems]
    assert len(set(seeds)) == 64 and all(0 < seed < 2**62 for seed in seeds)
    assert seeds[5] == script.seed(problems[5])  # of the name alone
    texts = [script.write(problem).text for problem in problems[:2]]
    assert all(f"ThermSeed({seed})" in text for seed, text in zip(seeds, texts))
    assert texts[0].replace(str(seeds[0]), "") == texts[1].replace(str(seeds[1]), "")


def test_drives_are_those_of_the_problem_at_every_stage_also_where_phases_meet(tmp_path):
    """Heun evaluates at t and t + dt; the first of a phase comes right after a record at the same time."""
    problem = replace(ALL, mesh=Mesh(2, 1, (4e-9, 4e-9, 1e-9)), geometry=Geometry(), regions=ALL.regions[:1])
    machine, dt = interpreted(problem, tmp_path), problem.numerics.dt_s
    step = 0
    for phase in problem.schedule:
        for own in range(problem.steps(phase.duration_s)):
            for stage in range(2):
                t_s, ku1, field, current = machine.evaluations[2 * step + stage]
                now = (own + stage) * dt
                gate = dict(phase.region_Ku_factors).get("gate", 1.0)
                ku = 1.1 * 8e5 * script.at(phase.Ku_factor, phase, now) * script.at(gate, phase, now) + 2 * 5e4
                assert t_s == pytest.approx((step + stage) * dt, abs=1e-20)
                assert ku1[0, 0] == pytest.approx(ku, rel=1e-9, abs=0)
                np.testing.assert_allclose(field[0], [script.at(b, phase, now) for b in phase.field_T], 0, 1e-12)
                through = script.at(phase.current_density_A_per_m2, phase, now)
                assert current[0, 2] == pytest.approx(through, rel=1e-9, abs=10)
            step += 1
    assert step == 54 and len(machine.evaluations) == 2 * step


def test_signs_of_the_torques_by_hand(tmp_path):
    """By mumax3's formulas, which the stand-in has: +J, +theta and p = +y turn m = +z to +y; +u goes to the right."""
    still = replace(PLAIN, temperature_K=0.0, initial=Initial("uniform", (0.0, 0.0, 1.0)))
    still = replace(still, numerics=replace(still.numerics, demag=False))
    sot = replace(
        still, material=Material(1e6, 1.5e-11, 0.0001, spin_hall_angle=0.1, field_like_ratio=0.0),
        schedule=(Phase("run", 1e-13, current_density_A_per_m2=1e11),), record_interval_s=1e-13,
    )  # fmt: skip
    (tmp_path / "sot").mkdir()
    machine = interpreted(sot, tmp_path / "sot")
    # dm/dt = -gamma a m x (m x p) = gamma a p for m = z, p = y; a = 3.29 mT (hbar theta J/2 e Ms t)
    np.testing.assert_allclose(machine.m[1], 1.7595e11 * 3.2911e-3 * 1e-13, rtol=2e-4)
    assert abs(machine.m[0]).max() < 1e-7
    # a positive u carries a wall to the right: more of the track is up
    drift = replace(
        still, mesh=Mesh(32, 2, (4e-9, 4e-9, 1e-9)), material=Material(1e6, 1.5e-11, 0.1, 8e5, zhang_li_beta=0.1),
        schedule=(Phase("run", 1e-12, zhang_li_u_m_per_s=100.0),), record_interval_s=1e-12,
        initial=Initial("wall", position_m=6.4e-8, width_m=1.2e-8, azimuth_rad=np.pi / 2),
    )  # fmt: skip
    (tmp_path / "drift").mkdir()
    moved = interpreted(drift, tmp_path / "drift").m[2].sum(-1).mean() * 4e-9 / 2
    assert moved == pytest.approx(100.0 * 1e-12, rel=0.03, abs=0)


def test_the_script_means_the_same_as_the_built_in_solver(fake):
    """All terms but the stray field, in every constant's two values, with ramps and sines: the same steps of Heun.

    Measured: 1.5e-7 in m and 1e-7 of the largest in energies. The predictor's length is not 1, which the two forms of
    the torque feel in the third order of the step; with steps of 1e-14 s only the rounding of the OVF files is left.
    """
    (theirs,) = mumax3.run([ALL])
    (ours,) = engines.run("llg", [replace(ALL, numerics=replace(ALL.numerics, precision="float64"))])
    assert theirs.phase_end == ours.phase_end == {"rest": 1, "pulse": 4, "end": 5}
    np.testing.assert_allclose(theirs.t_s, ours.t_s, rtol=0, atol=1e-22)
    np.testing.assert_array_equal(theirs.mask, ours.mask)
    assert np.abs(ours.m[-1] - ours.m[0]).max() > 0.2 and theirs.m.dtype == np.float32
    np.testing.assert_allclose(theirs.m, ours.m, rtol=0, atol=4e-7)
    assert set(theirs.energies_J) == set(ours.energies_J)
    for name, values in ours.energies_J.items():
        np.testing.assert_allclose(theirs.energies_J[name], values, rtol=0, atol=2e-6 * np.abs(values).max() + 1e-30)
    assert list(fake.iterdir()) == [fake / f"spinloom-{os.getuid()}-gpu-3.lock"]  # no folder is left


# -- regions -------------------------------------------------------------------------------------------------------


def mapped(folder: Path, constants: dict[str, np.ndarray], **changes) -> Problem:
    maps = []
    for name, values in constants.items():
        ovf.write(folder / f"{name}.ovf", values, (4e-9, 4e-9, 1e-9), format="binary8")
        digest = hashlib.sha256((folder / f"{name}.ovf").read_bytes()).hexdigest()
        maps.append(Map(name, DataFile(str(folder / f"{name}.ovf"), digest)))
    nz, ny, nx = values.shape
    return replace(PLAIN, mesh=Mesh(nx, ny, (4e-9, 4e-9, 1e-9), nz), maps=tuple(maps), **changes)


def test_at_most_256_values_are_exact(tmp_path):
    ku = np.random.default_rng(1).choice(np.linspace(7e5, 9e5, 128), (1, 20, 40))
    gate = Region((0, 8e-8), (0, 1), name="gate")
    schedule = (replace(PLAIN.schedule[0], region_Ku_factors=(("gate", 0.9),)),)
    problem = mapped(tmp_path, {"Ku_J_per_m3": ku}, regions=(gate,), schedule=schedule)
    problem = replace(problem, geometry=Geometry("ellipse"))
    mask = geometry.mask(problem.geometry, problem.mesh)
    found = regions.partition(problem, mask)
    np.testing.assert_array_equal(found.constants["Ku_J_per_m3"][found.index][mask], ku[mask])
    driven = np.array([bool(held) for held in found.driven])[found.index]
    np.testing.assert_array_equal(driven[mask], material.region_mask(problem.mesh, gate)[mask])
    assert not found.errors and not found.note() and (found.index[~mask] == 0).all()


def test_more_values_are_rounded_as_little_as_256_regions_allow(tmp_path):
    rng = np.random.default_rng(2)
    ku = rng.uniform(7e5, 9e5, (1, 20, 400))
    problem = mapped(tmp_path, {"Ku_J_per_m3": ku})
    found = regions.partition(problem, np.ones(ku.shape, bool))
    error = np.abs(found.constants["Ku_J_per_m3"][found.index] - ku).max()
    assert found.count == 256 and error <= 2e5 / 256 / 2
    assert found.errors == {"Ku_J_per_m3": pytest.approx(error, rel=1e-12, abs=0)}
    assert re.fullmatch(r".* rounded to 256 regions: Ku_J_per_m3 by at most [\d.]+", found.note())
    # two constants share the regions: sixteen bins each
    ms = rng.uniform(9e5, 1e6, ku.shape)
    found = regions.partition(mapped(tmp_path, {"Ku_J_per_m3": ku, "Ms_A_per_m": ms}), np.ones(ku.shape, bool))
    assert 200 < found.count <= 256 and set(found.errors) == {"Ku_J_per_m3", "Ms_A_per_m"}
    assert found.errors["Ku_J_per_m3"] <= 2e5 / 16 / 2 and found.errors["Ms_A_per_m"] <= 1e5 / 16 / 2


def test_what_was_rounded_is_said_in_the_log(fake, tmp_path, capsys):
    ku = np.random.default_rng(3).uniform(7e5, 9e5, (1, 20, 40))
    ovf.write(tmp_path / "ku.ovf", ku, (4e-9, 4e-9, 1e-9))
    content = changed("numerics", {"dt_s": 1e-13, "precision": "float32", "integrator": "heun", "demag": False})
    content["material"]["maps"] = {"Ku_J_per_m3": "ku.ovf"}
    content |= {"mesh": {"cell_m": [4e-9, 4e-9, 1e-9], "cells": [40, 20, 1]}, "schedule": [{"duration_s": 1e-13}]}
    path = write(tmp_path, {**content, "outputs": {"record_interval_s": 1e-13}})
    run_file(path, "mumax3", tmp_path / "out", 2)
    (found,) = re.findall(
        r"mumax3: .* rounded to (\d+) regions: Ku_J_per_m3 by at most ([\d.]+)", capsys.readouterr().err
    )
    assert 200 < int(found[0]) <= 256 and 0 < float(found[1]) <= 2e5 / 200 / 2


def test_a_sweep_has_the_tables_of_any_engine(fake, section, tmp_path, monkeypatch):
    section = copy.deepcopy(section)
    config, note = section["domain_wall"], "constants are rounded to 3 regions"
    config["pulses"]["voltages_V"] = [-0.5]
    config["sot"]["duration_s"] = config["wall"]["rest_s"] = config["wall"]["settle_s"] = 1e-12
    own = {"engine": "mumax3", "sweep": {**section["sweep"], "instances": 1}}
    numerics = {**section["numerics"], "record_interval_s": 1e-12}
    section = {**section, **own, "numerics": numerics}
    monkeypatch.setattr(regions.Regions, "note", lambda _: note)
    (chunk,) = sweep.plan_checked(section)
    sweep.run_chunk(section, chunk.chunk_hash, tmp_path / "chunks", tmp_path / "log.txt")
    assert (tmp_path / "log.txt").read_text().count(note) == 1
    events, _ = sweep.chunk_paths(tmp_path / "chunks", chunk.chunk_hash)
    assert files.read_parquet_metadata(events)["engine_notes"] == note
    sweep.collect(section, tmp_path / "chunks", tmp_path)
    table = files.read_table(tmp_path / "events.csv")
    assert list(table["wall_state"]) == ["single"] * 2 and table["final_position_m"].nunique() == 2
    assert set(files.read_table(tmp_path / "points.csv")["engine"]) == {"mumax3"}


# -- what cannot be ------------------------------------------------------------------------------------------------


def with_(problem: Problem = PLAIN, **changes) -> Problem:
    """Return a problem with keys of its parts changed."""
    for name, value in changes.items():
        part, _, key = name.partition("__")
        problem = replace(problem, **{part: replace(getattr(problem, part), **{key: value}) if key else value})
    return problem


@pytest.mark.parametrize(
    "problem, message",
    [
        (with_(numerics__integrator="fdr4"), "numerics.integrator: found 'fdr4', allowed with mumax3: heun, rk4, "),
        (with_(numerics__precision="float64"), "numerics.precision: found float64, allowed with mumax3: float32"),
        (with_(mesh=Mesh(5, 3, (4e-9, 4e-9, 1e-9))), "mesh: found 5 x 3 x 1 cells at 300 K, allowed with mumax3: an "),
        (with_(initial__relax_tolerance=1e-6), "initial.relax_tolerance: found 1e-06, allowed with mumax3: at least"),
        (with_(numerics__dt_s=1e-12), "numerics.dt_s: found 1e-12, allowed: at most"),
        (with_(LAYERS, numerics__tolerance=1e-7), "numerics.tolerance: found 1e-07, allowed with mumax3: at least"),
        (
            with_(material__spin_hall_angle=0.5, material__slonczewski_lambda=2.0, material__field_like_ratio=0.1),
            "material.field_like_ratio: found 0.1 with slonczewski_lambda 2, allowed with mumax3: 0, because",
        ),
        (
            with_(LAYERS, material__spin_hall_angle=0.5),
            "schedule: zhang_li_u_m_per_s: found with a current through 2 layers, allowed with mumax3: one",
        ),
    ],
)  # fmt: skip
def test_what_mumax3_cannot_do_is_refused_by_key(problem, message):
    with pytest.raises(UserError) as error:
        mumax3.check(problem)
    assert str(error.value).startswith(message)


def test_an_odd_mesh_is_fine_without_noise():
    mumax3.check(with_(mesh=Mesh(5, 3, (4e-9, 4e-9, 1e-9)), temperature_K=0.0))


# -- the driver ----------------------------------------------------------------------------------------------------


def test_probe_tells_what_was_found(fake, monkeypatch):
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
        ("lost file", "open m0.ovf: no such file or directory (exit code 1)"),
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
def test_every_failure_is_one_line_and_keeps_its_files(fake, monkeypatch, show, words):
    monkeypatch.setenv("FAKE_MUMAX3", show)
    problem = replace(PLAIN, geometry=Geometry("rectangle", size_m=(8e-9, 8e-9))) if show == "old" else PLAIN
    with pytest.raises(UserError) as error:
        list(mumax3.run([problem]))
    message = str(error.value)
    assert message.startswith("mumax3: replica 3 (stream (7, 'thermal field', 'run', 3)): ") and words in message
    kept = Path(message.split("its files are in ")[1])
    assert (kept / "run.mx3").exists() and (kept / "stderr.txt").exists()
    assert [path for path in fake.iterdir() if path.is_dir()] == [kept]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_run_that_takes_too_long_is_ended_with_all_it_has_started(fake, monkeypatch):
    note = fake.parent / "pids"
    monkeypatch.setenv("FAKE_MUMAX3", "hangs")
    monkeypatch.setenv("FAKE_MUMAX3_NOTE", str(note))
    monkeypatch.setenv(process.LIMIT, "1.5")
    monkeypatch.setattr(process, "MERCY_S", 0.2)  # the stand-in ignores SIGTERM
    with pytest.raises(
        UserError, match=r"did not end within 1.5 s and was stopped; allowed: a longer SPINLOOM_MUMAX3_L"
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


def test_a_problem_file_goes_on_replica_by_replica(fake, tmp_path, monkeypatch):
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
    path = write(tmp_path, changed("numerics", {"dt_s": 1e-13, "precision": "float32"}))
    with pytest.raises(UserError, match="--engine: mumax3 cannot run here: found no executable 'mumax3' on PATH"):
        run_file(path, "mumax3", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    # a study stops when it is planned
    with pytest.raises(UserError, match="^device_sims.engine: mumax3 cannot run here: found no executable 'mumax3'"):
        engines.check("mumax3", "domain_wall", [PLAIN])


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


def test_tables_are_read_by_their_header_and_damage_is_told(tmp_path):
    path = tmp_path / "table.txt"
    path.write_text("# t (s)\tmx ()\tE_exch (J)\n0\t-0.1\t1.5e-18\n1.0000000000000001e-11\t0.2\t-3e-19\n")
    columns, units = outputs.table(path)
    assert units == {"t": "s", "mx": "", "E_exch": "J"} and list(columns["E_exch"]) == [1.5e-18, -3e-19]
    for content, words in (
        ("t\tmx\n0\t1\n", "found header 't"),
        ("# t (s)\tmx ()\n0\t1\n1\n", "its rows are not all 2 numbers"),
        ("# t (s)\tmx ()\n0\tNaN\n", "found a value that is not a finite number"),
    ):
        path.write_text(content)
        with pytest.raises(UserError, match=re.escape(words)):
            outputs.table(path)
    with pytest.raises(UserError, match="is no table"):
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
    np.testing.assert_allclose(theirs.m, ours.m, rtol=0, atol=2e-4)
    for name, values in ours.energies_J.items():
        np.testing.assert_allclose(theirs.energies_J[name], values, rtol=0, atol=1e-3 * np.abs(values).max() + 1e-24)


@real
def test_mumax3_itself_relaxes_and_draws_another_noise_for_each_replica():
    list(mumax3.run([LAYERS]))
    one, two, again = mumax3.run([replace(PLAIN, stream=(7, "x", replica)) for replica in (0, 1, 0)])
    assert np.abs(one.m[-1] - two.m[-1]).max() > 1e-4
    np.testing.assert_array_equal(one.m, again.m)
