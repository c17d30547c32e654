"""Runs of one problem file: tables and snapshots, resumption to the same bytes, directories that are not touched."""

import errno
import json
import math
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import yaml

from device_sims import __main__ as cli
from device_sims import engines
from device_sims.problem import GAMMA0, MU0, Problem, geometry, initial, ovf, problem_file
from device_sims.single.run import run
from spinloom import files, streams
from spinloom.errors import UserError
from tests import plugins
from tests.device_sims.test_problem_file import DOCS, SMALL, changed, write


class Fake(ModuleType):
    """An engine without physics: each record is the initial wall with noise of the problem's stream on top."""

    def __init__(self):
        super().__init__("fake")
        self.VERSION, self.started, self.stop_after = "1", [], None

    def probe(self):
        return True, "nothing"

    def run(self, problems):
        for problem in problems:
            if len(self.started) == self.stop_after:
                raise KeyboardInterrupt
            self.started.append(problem.stream[-1])
            mask = geometry.mask(problem.geometry, problem.mesh)
            noise = streams.generator(*problem.stream).normal(size=(3, 3, *mask.shape))
            m = (initial.initial_magnetisation(problem, mask) + 0.05 * noise).astype(np.float32)
            t = np.arange(3) * problem.record_interval_s
            energies = {"total": noise.sum((1, 2, 3, 4)), "zeeman": noise[:, 0].sum((1, 2, 3))}
            yield engines.Result(t, m, mask, {"phase_0": 2}, energies)


@pytest.fixture
def fake(monkeypatch) -> Fake:
    return plugins.add(monkeypatch, engines.REGISTRY, "fake", Fake())


def tree(folder) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_an_interrupted_run_goes_on_to_the_same_bytes(tmp_path, fake):
    path = write(tmp_path, changed("outputs.ovf", "each record"))
    run(path, "fake", tmp_path / "whole", 4)
    fake.started, fake.stop_after = [], 2
    with pytest.raises(KeyboardInterrupt):
        run(path, "fake", tmp_path / "parts", 4)
    assert not (tmp_path / "parts" / "ensemble.csv").exists()
    # a killed process leaves what it was writing, and a replica without all of its files is not done
    (tmp_path / "parts" / "replica_000001" / ".table.abc.csv").write_text("half")
    (tmp_path / "parts" / "replica_000000" / "m000001.ovf").unlink()
    fake.started, fake.stop_after = [], None
    run(path, "fake", tmp_path / "parts", 4)
    assert fake.started == [0, 2, 3]
    assert tree(tmp_path / "parts") == tree(tmp_path / "whole")
    assert len(tree(tmp_path / "whole")) == 3 + 4 * (1 + 3)
    run(path, "fake", tmp_path / "parts", 4)
    assert fake.started == [0, 2, 3]


def test_more_replicas_can_be_added_and_a_single_run_is_the_replica_0(tmp_path, fake):
    path = write(tmp_path, SMALL)
    run(path, "fake", tmp_path / "many", 2)
    run(path, "fake", tmp_path / "many", 3)
    assert fake.started == [0, 1, 2]
    run(path, "fake", tmp_path / "one")
    one, many = tree(tmp_path / "one"), tree(tmp_path / "many")
    assert set(one) == {"problem.json", "table.csv"}
    assert one["table.csv"] == many["replica_000000/table.csv"] != many["replica_000001/table.csv"]


def test_fewer_replicas_keep_the_finished_ones_in_the_tables(tmp_path, fake):
    path = write(tmp_path, changed("outputs.ovf", "final"))
    run(path, "fake", tmp_path / "many", 4)
    before = tree(tmp_path / "many")
    run(path, "fake", tmp_path / "many", 2)
    assert tree(tmp_path / "many") == before
    # one that is not finished and not asked for is left out, and the others keep their numbers
    (tmp_path / "many" / "replica_000002" / "table.csv").unlink()
    run(path, "fake", tmp_path / "many", 1)
    assert list(pd.read_csv(tmp_path / "many" / "ensemble.csv")["replica"]) == [0, 1, 3]
    # neither is one whose snapshot was cut to nothing
    (tmp_path / "many" / "replica_000001" / "m000000.ovf").write_bytes(b"")
    fake.started = []
    run(path, "fake", tmp_path / "many", 4)
    assert fake.started == [1, 2] and tree(tmp_path / "many") == before


@pytest.mark.parametrize("damage", ["a,b\n1,2\n", "header", "last row", "text"])
def test_a_damaged_table_is_named(tmp_path, fake, damage):
    path = write(tmp_path, SMALL)
    run(path, "fake", tmp_path / "out", 2)
    table = tmp_path / "out" / "replica_000001" / "table.csv"
    rows = table.read_text().splitlines(keepends=True)
    cut = {"header": rows[0], "last row": "".join(rows[:-1]), "text": "".join(rows).replace(rows[1][:3], "zero", 1)}
    table.write_text(cut.get(damage, damage))
    with pytest.raises(
        UserError, match=r"replica_000001/table.csv: found a damaged table, allowed: columns of numbers"
    ):
        run(path, "fake", tmp_path / "out", 2)
    table.unlink()
    run(path, "fake", tmp_path / "out", 2)
    assert table.read_text() == "".join(rows)


@pytest.mark.parametrize("number", [0, 1])
def test_a_full_disk_is_one_line(tmp_path, fake, monkeypatch, number):
    """Number 0 is the first file written, 1 a table."""
    write_csv, write_json = files.write_csv, files.write_json

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files, "write_csv", full if number else write_csv)
    monkeypatch.setattr(files, "write_json", write_json if number else full)
    with pytest.raises(UserError, match=r"--output: \S+/out: cannot be written \(No space left on device\)"):
        run(write(tmp_path, SMALL), "fake", tmp_path / "out", 2)


@pytest.mark.long
def test_a_limit_on_files_is_one_line_of_the_command(tmp_path):
    content = changed("outputs.ovf", "each record")
    content["mesh"]["cells"] = [40, 10, 1]
    write(tmp_path, content)
    command = f"ulimit -f 4; {sys.executable} -m device_sims run {tmp_path}/problem.yaml --output {tmp_path}/out"
    root = Path(__file__).parents[2]
    done = subprocess.run(["bash", "-c", command], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1] == f"error: --output: {tmp_path}/out: cannot be written (File too large)"


def test_a_mesh_beyond_the_memory_is_one_line(tmp_path, fake, monkeypatch):
    jax = pytest.importorskip("jax")
    for kind in (MemoryError, jax.errors.JaxRuntimeError):

        def run_out(problems, kind=kind):
            raise kind("RESOURCE_EXHAUSTED: Out of memory\nallocating 7 bytes")

        monkeypatch.setattr(fake, "run", run_out)
        with pytest.raises(
            UserError, match="problem.yaml: mesh: found 80 cells, with which the engine failed .RESOURCE_EXHAUSTED"
        ):
            run(write(tmp_path, SMALL), "fake", tmp_path / "out")


def test_tables_and_snapshots_hold_the_engines_numbers(tmp_path, fake):
    path = write(tmp_path, changed("outputs.ovf", "final"))
    run(path, "fake", tmp_path / "out", 3)
    problem, _ = problem_file.load(path)
    results = list(fake.run([replace(problem, stream=(*problem.stream, number)) for number in range(3)]))
    tables = [pd.read_csv(tmp_path / "out" / f"replica_{number:06d}" / "table.csv") for number in range(3)]
    for table, result in zip(tables, results):
        assert list(table) == ["t_s", "mx", "my", "mz", "energy_zeeman_J", "energy_total_J", "wall_position_m"]
        np.testing.assert_allclose(table[["mx", "my", "mz"]], result.m.astype(float).mean((-3, -2, -1)), atol=1e-12)
        np.testing.assert_allclose(table["energy_total_J"], result.energies_J["total"], rtol=1e-12)
        # noise of 0.05 on the cells of the wall moves it by well below a nanometre
        np.testing.assert_allclose(table["wall_position_m"], 4e-8, atol=1e-9)
    last = ovf.read(tmp_path / "out" / "replica_000002" / "m000000.ovf")
    np.testing.assert_array_equal(last.values, results[2].m[-1])
    assert last.header["desc"] == "Total simulation time:  1e-12  s"
    ensemble = pd.read_csv(tmp_path / "out" / "ensemble.csv")
    assert list(ensemble["replica"]) == [0, 1, 2]
    np.testing.assert_allclose(ensemble["mz"], [table["mz"].iloc[-1] for table in tables], rtol=1e-12)
    means = pd.read_csv(tmp_path / "out" / "ensemble_mean.csv")
    stacked = np.array([table["mx"] for table in tables])
    np.testing.assert_allclose(means["t_s"], [0, 5e-13, 1e-12], atol=1e-20)
    np.testing.assert_allclose(means["mx_mean"], stacked.mean(0), rtol=1e-12)
    np.testing.assert_allclose(means["mx_sd"], stacked.std(0, ddof=1), rtol=1e-9)
    assert (means["replicas_with_one_wall"] == 3).all()


def test_there_is_no_wall_position_without_one_wall(tmp_path, fake):
    content = changed("initial", {"kind": "uniform", "direction": [0, 0, 1]})
    run(write(tmp_path, content), "fake", tmp_path / "out")
    rows = (tmp_path / "out" / "table.csv").read_text().splitlines()
    assert len(rows) == 4 and all(row.endswith(",") for row in rows[1:])


@pytest.mark.parametrize(
    ("content", "seed", "replicas", "what"),
    [
        (changed("material.alpha", 0.2), None, None, "problem"),
        (SMALL, 1, None, "problem, seed"),
        (changed("outputs.ovf", "final"), None, None, "outputs"),
        (SMALL, None, 1, "layout"),
    ],
)
def test_results_of_another_run_are_not_touched(tmp_path, fake, content, seed, replicas, what):
    run(write(tmp_path, SMALL), "fake", tmp_path / "out")
    before = tree(tmp_path / "out")
    with pytest.raises(
        UserError, match=rf"out: found the results of another run \(it differs in {what}\), allowed: the same"
    ):
        run(write(tmp_path, content, "other.yaml"), "fake", tmp_path / "out", replicas, seed)
    assert tree(tmp_path / "out") == before


def test_a_run_that_failed_before_its_first_result_leaves_the_directory_free(tmp_path, fake):
    fake.stop_after = 0
    with pytest.raises(KeyboardInterrupt):
        run(write(tmp_path, changed("material.alpha", 0.2)), "fake", tmp_path / "out", 2)
    fake.stop_after = None
    run(write(tmp_path, SMALL), "fake", tmp_path / "out", 2)
    run(write(tmp_path, SMALL), "fake", tmp_path / "new", 2)
    assert tree(tmp_path / "out") == tree(tmp_path / "new")


@pytest.mark.parametrize(
    ("option", "value"), [("--replicas", "0"), ("--replicas", "1000001"), ("--replicas", "2.5"), ("--seed", "-1")]
)
def test_counts_on_the_command_line(tmp_path, monkeypatch, option, value):
    arguments = ["device_sims", "run", str(write(tmp_path, SMALL)), "--output", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", [*arguments, f"{option}={value}"])
    with pytest.raises(UserError, match=f"{option}: found '{value}', allowed: whole numbers from"):
        cli.main()
    assert not (tmp_path / "out").exists()


def test_a_directory_with_other_files_is_not_touched(tmp_path, fake):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("dear")
    with pytest.raises(UserError, match="found files but no problem.json, allowed: an empty or a new directory"):
        run(write(tmp_path, SMALL), "fake", tmp_path / "out")
    with pytest.raises(UserError, match="--output: .*thesis.tex: cannot be written"):
        run(write(tmp_path, SMALL), "fake", tmp_path / "out" / "thesis.tex")
    assert set(tree(tmp_path / "out")) == {"thesis.tex"}


def test_engines_that_cannot_run_say_so(tmp_path, fake, capsys, monkeypatch):
    plugins.add(monkeypatch, engines.REGISTRY, "absent", None)
    path = write(tmp_path, SMALL)
    with pytest.raises(UserError, match="--engine: found oomf, allowed: absent, collective, fake, llg"):
        run(path, "oomf", tmp_path / "out")
    with pytest.raises(UserError, match="--engine: absent cannot run here: its module cannot be imported"):
        run(path, "absent", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    monkeypatch.setattr(engines.REGISTRY, "names", lambda: ["fake", "absent"])
    monkeypatch.setattr(sys, "argv", ["device_sims", "engines"])
    cli.main()
    rows = [line for line in capsys.readouterr().out.splitlines() if "fake" in line or "absent" in line]
    assert len(rows) == 2
    assert "yes" in rows[0] and "nothing" in rows[0] and "no " in rows[1]


def test_schema_is_printed_as_json_and_agrees_with_the_loader(monkeypatch, capsys):
    jsonschema = pytest.importorskip("jsonschema")
    monkeypatch.setattr(sys, "argv", ["device_sims", "schema"])
    cli.main()
    validator = jsonschema.Draft202012Validator(json.loads(capsys.readouterr().out))
    assert validator.is_valid(SMALL) and not validator.is_valid(changed("material.alpha", -1))
    for path in (DOCS / "examples").glob("*.yaml"):
        validator.validate(yaml.safe_load(path.read_text()))


def test_precession_through_the_command_line(tmp_path, monkeypatch):
    """A spin from x in a field B along z: mz = tanh(a w t), mx = sech(a w t) cos(w t), w = gamma0 B/(mu0 (1 + a^2))."""
    content = {
        "mesh": {"cell_m": [5e-9, 5e-9, 5e-9], "cells": [1, 1, 1]},
        "material": {"Ms_A_per_m": 8e5, "A_J_per_m": 1.3e-11, "alpha": 0.05},
        "initial": {"kind": "uniform", "direction": [2, 0, 0]},
        "schedule": [{"duration_s": 1e-10, "field_T": [0, 0, 0.5]}],
        "numerics": {"integrator": "rk4", "dt_s": 1e-13, "demag": False},
        "outputs": {"record_interval_s": 1e-11, "ovf_interval_s": 5e-11},
    }
    arguments = ["device_sims", "run", str(write(tmp_path, content)), "--output", str(tmp_path / "out"), "--seed", "4"]
    monkeypatch.setattr(sys, "argv", arguments)
    cli.main()
    table = pd.read_csv(tmp_path / "out" / "table.csv")
    rate = GAMMA0 * 0.5 / MU0 / (1 + 0.05**2)
    t = table["t_s"].to_numpy()
    np.testing.assert_allclose(t, np.arange(11) * 1e-11, atol=1e-20)
    np.testing.assert_allclose(table["mz"], np.tanh(0.05 * rate * t), atol=1e-6)
    np.testing.assert_allclose(table["mx"], np.cos(rate * t) / np.cosh(0.05 * rate * t), atol=1e-5)
    np.testing.assert_allclose(table["energy_zeeman_J"], -8e5 * 1.25e-25 * 0.5 * table["mz"], atol=1e-25)
    assert sorted(tree(tmp_path / "out")) == ["m000000.ovf", "m000001.ovf", "m000002.ovf", "problem.json", "table.csv"]
    stored = json.loads((tmp_path / "out" / "problem.json").read_text())
    assert (stored["engine"], stored["seed"]) == ("llg", 4)
    # the hash is that of the problem as it is stored, which has no files
    assert Problem.from_dict(stored["problem"]).hash() == stored["problem_hash"]


@pytest.mark.long
def test_thermal_replicas_of_the_solver_do_not_depend_on_what_was_done_before(tmp_path):
    content = {**changed("numerics.precision", "float32"), "temperature_K": 300}
    path = write(tmp_path, content)
    run(path, "llg", tmp_path / "whole", 3)
    shutil.copytree(tmp_path / "whole", tmp_path / "parts")
    for name in ("replica_000000/table.csv", "replica_000002/table.csv", "ensemble.csv"):
        (tmp_path / "parts" / name).unlink()
    run(path, "llg", tmp_path / "parts", 3)
    assert tree(tmp_path / "parts") == tree(tmp_path / "whole")
    final = pd.read_csv(tmp_path / "whole" / "ensemble.csv")["mx"]
    assert final.nunique() == 3 and math.isfinite(final.sum())


def test_errors_of_the_engine_name_the_file(tmp_path):
    path = write(tmp_path, {**changed("numerics.integrator", "dopri5"), "temperature_K": 300})
    with pytest.raises(UserError, match="problem.yaml: numerics.integrator: found dopri5 at 300 K"):
        run(path, "llg", tmp_path / "out")
