"""Problems from Python: the bytes of the command, trajectories and snapshots with units."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

import spinloom as sl
from device_sims.problem import ovf

ROOT = Path(__file__).parents[2]
PROBLEM = {
    "temperature_K": 300.0,
    "mesh": {"cell_m": [4e-9, 4e-9, 1e-9], "cells": [8, 4, 1]},
    "material": {"Ms_A_per_m": 6e5, "A_J_per_m": 1.5e-11, "Ku_J_per_m3": 6e5, "alpha": 0.3},
    "initial": {"kind": "uniform", "direction": [0.2, 0, 1]},
    "schedule": [{"name": "field", "duration_s": 2e-11, "field_T": [0, 0, -1.5]}],
    "numerics": {"integrator": "heun", "dt_s": 1e-13},
    "outputs": {"record_interval_s": 5e-12, "ovf": "each record"},
}


@pytest.fixture(scope="module")
def run():
    return sl.run(PROBLEM, replicas=2, seed=3)


def test_a_run_has_the_bytes_of_the_command(run, tmp_path):
    (tmp_path / "problem.yaml").write_text(yaml.safe_dump(PROBLEM))
    command = [sys.executable, "-m", "device_sims", "run", str(tmp_path / "problem.yaml"), "--replicas", "2"]
    subprocess.run([*command, "--seed", "3", "--output", str(tmp_path / "run")], check=True, cwd=ROOT)
    files = sorted(path.relative_to(tmp_path / "run") for path in (tmp_path / "run").rglob("*") if path.is_file())
    assert len(files) > 12
    for name in files:
        assert (run.folder / name).read_bytes() == (tmp_path / "run" / name).read_bytes(), name


def test_a_trajectory_has_replicas_times_and_units(run):
    found = run.trajectory
    assert found["mz"].dims == ("replica", "record") and found["mz"].shape == (2, 5)
    assert found["t_s"].attrs["units"] == "s" and found["energy_total_J"].attrs["units"] == "J"
    assert np.allclose(found["t_s"], [[0, 5e-12, 1e-11, 1.5e-11, 2e-11]] * 2, rtol=1e-9, atol=0)
    second = run.table.query("replica == 1")
    assert np.array_equal(found["mz"].sel(replica=1), second["mz"])
    assert run.table.attrs["units"]["energy_total_J"] == "J" and list(run.table)[0] == "replica"


def test_snapshots_are_the_magnetisation_of_the_table(run):
    m = run.magnetisation
    assert m.dims == ("replica", "snapshot", "component", "z", "y", "x") and m.shape == (2, 5, 3, 1, 4, 8)
    assert np.allclose(m["x"], (np.arange(8) + 0.5) * 4e-9, rtol=1e-6, atol=0)
    means = m.sel(component="z").mean(("x", "y", "z"))
    assert np.allclose(means, run.trajectory["mz"], rtol=0, atol=1e-6)  # OVF files have float32
    assert np.allclose(m["t_s"], run.trajectory["t_s"], rtol=1e-9, atol=0)


def test_a_field_is_discretisedfields(run):
    pytest.importorskip("discretisedfield")
    field = run.field(-1, replica=1)
    given = ovf.read(run.folder / "replica_000001" / "m000004.ovf")
    assert field.array.shape == (8, 4, 1, 3)
    assert np.allclose(field.array, given.values.transpose(3, 2, 1, 0), rtol=0, atol=1e-7)


def test_without_discretisedfield_one_line_says_how_to_get_it(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "discretisedfield", None)
    with pytest.raises(sl.UserError, match="pip install discretisedfield"):
        run.field()


@pytest.mark.parametrize("arguments, said", [({"snapshot": 5}, "5 files of m"), ({"replica": 2}, "0 to 1")])
def test_fields_that_are_not_there_are_refused(run, arguments, said):
    pytest.importorskip("discretisedfield")
    with pytest.raises(sl.UserError, match=said):
        run.field(**arguments)


def test_a_run_without_snapshots_says_which_key_asks_for_them():
    quiet = {**PROBLEM, "outputs": {"record_interval_s": 1e-11}}
    with pytest.raises(sl.UserError, match="outputs.ovf"):
        sl.run(quiet).magnetisation  # noqa: B018


def test_a_wrong_key_is_one_line():
    with pytest.raises(sl.UserError, match="^problem: .*alhpa"):
        sl.problem({**PROBLEM, "material": {"Ms_A_per_m": 6e5, "A_J_per_m": 1.5e-11, "alhpa": 0.3}})


def test_a_page_shows_the_problem(run):
    html = sl.problem(PROBLEM)._repr_html_()
    assert "32 x 16 x 1 nm" in html and "300 K" in html and "field (20 ps)" in html
    assert "snapshots of each" in run._repr_html_()
