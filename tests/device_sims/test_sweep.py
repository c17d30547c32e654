"""Planning, running and collecting a sweep."""

import json
import re
import subprocess
import sys

import pandas as pd
import pytest

from device_sims.common import Replica
from device_sims.devices import domain_wall
from device_sims.sweep import chunk, sweep
from spinloom import files
from spinloom.errors import UserError
from tests.device_sims.conftest import changed


def hashes(section):
    return [one.chunk_hash for one in sweep.plan(section)]


@pytest.fixture(scope="module")
def done(section, tmp_path_factory):
    """The sweep, simulated once."""
    directory = tmp_path_factory.mktemp("sweep")
    for one in sweep.plan(section):
        chunk.run(one, directory / "chunks")
    sweep.collect(section, directory / "chunks", directory / "tables")
    return directory


def test_a_chunk_is_named_by_what_the_engine_sees(section):
    own = hashes(section)
    assert len(set(own)) == 4
    assert set(hashes(changed(section, "domain_wall.pulses.voltages_V", [0.5, -0.5]))) == set(own)
    assert set(own) < set(hashes(changed(section, "domain_wall.pulses.voltages_V", [-0.5, 0.5, 0.7])))
    for path, value in [
        ("seed", 4),
        ("domain_wall.material.alpha", 0.31),
        ("domain_wall.roughness.rms_m", 1.1e-9),
        ("domain_wall.temperature_K", 301.0),
        ("numerics.dt_s", 1e-13),
        ("domain_wall.wall.start_m", 47e-9),
    ]:
        assert not set(hashes(changed(section, path, value))) & set(own), path


def test_currents_are_pulses_of_their_own(section):
    """With a factor of 1 a pulse is the one that it was without factors."""
    more = changed(section, "domain_wall.pulses.current_factors", [2.0, 1.0])
    table = domain_wall.pulses(more)
    assert list(table["current_density_A_per_m2"]) == [4e11, 4e11, 2e11, 2e11]
    assert list(table["voltage_V"]) == [-0.5, 0.5] * 2
    assert hashes(more)[4:] == hashes(section) and not set(hashes(more)[:4]) & set(hashes(section))
    seen = {batch.pulse: batch.problem.schedule[1].current_density_A_per_m2 for batch in domain_wall.batches(more)}
    assert seen == {0: 4e11, 1: 4e11, 2: 2e11, 3: 2e11}


def test_a_chunk_travels_as_json(section):
    for own in sweep.plan(changed(section, "sweep.replicas_per_chunk", 1)):
        text = json.dumps(own.specification())
        assert chunk.specified(json.loads(text), "x.json") == own


@pytest.mark.parametrize(
    "change, message",
    [
        ({"chunk_hash": "../../x"}, "x.json: chunk_hash: found ../../x, allowed: "),
        ({"engine": "macrospin"}, "x.json: chunk_hash: found "),
        ({"engine": "oommf3"}, "device_sims.engine: found oommf3"),
        ({"batches": None}, "x.json: found a file that does not describe a chunk of simulations"),
        ({"batches": [{}]}, "x.json: found a file that does not describe a chunk of simulations"),
        ({"drive": ...}, "x.json: found a file that does not describe a chunk of simulations"),
    ],
)
def test_a_specification_that_is_not_its_own_is_refused(section, change, message):
    content = {**sweep.plan(section)[0].specification(), **change}
    with pytest.raises(UserError, match=re.escape(message)):
        chunk.specified({key: value for key, value in content.items() if value is not ...}, "x.json")


def test_a_specification_with_a_mapping_for_a_number_is_refused(section):
    content = json.loads(json.dumps(sweep.plan(section)[0].specification()))
    content["batches"][0]["problem"]["geometry"]["width_m"] = {}
    with pytest.raises(UserError, match="x.json: found a file that does not describe a chunk of simulations"):
        chunk.specified(content, "x.json")


def test_tables_have_every_event_once(section, done):
    events = pd.read_parquet(done / "tables" / "events.parquet")
    assert len(events) == 8 and events["wall_state"].eq("single").all()
    assert sorted(zip(events["pulse"], events["instance"], events["replica"])) == [
        (p, i, r) for p in range(2) for i in range(2) for r in range(2)
    ]
    assert events["final_position_m"].nunique() == 8
    assert (events["start_position_m"] - 48e-9).abs().max() < 10e-9
    parts = events[[f"energy_{n}_J" for n in ("exchange", "dmi", "anisotropy", "demag")]].sum(axis=1)
    assert (parts - events["energy_total_J"]).abs().max() < 1e-9 * events["energy_total_J"].abs().max() + 1e-24
    trajectories = pd.read_parquet(done / "tables" / "trajectories.parquet")
    last = trajectories.groupby(["pulse", "instance", "replica"])["position_m"].last().to_numpy()
    assert (last == events["final_position_m"].to_numpy()).all()
    assert len(trajectories) == 8 * 5
    spelt = pd.read_csv(done / "tables" / "events.csv")
    pd.testing.assert_frame_equal(spelt, events, check_exact=True, check_dtype=False)


def test_bytes_do_not_depend_on_run_or_chunking(section, done, tmp_path):
    first = sweep.plan(section)[0]
    chunk.run(first, tmp_path / "again")
    for one, other in zip(first.paths(done / "chunks"), first.paths(tmp_path / "again")):
        assert one.read_bytes() == other.read_bytes()
    coarse = changed(section, "sweep.instances_per_chunk", 2)
    for one in sweep.plan(coarse):
        chunk.run(one, tmp_path / "coarse")
    sweep.collect(coarse, tmp_path / "coarse", tmp_path / "tables")
    for name in ("events.parquet", "events.csv", "trajectories.parquet", "device.json"):
        assert (done / "tables" / name).read_bytes() == (tmp_path / "tables" / name).read_bytes(), name
    assert (done / "tables" / "pulses.csv").read_bytes() == (tmp_path / "tables" / "pulses.csv").read_bytes()


def test_a_chunk_that_is_not_what_its_name_says_is_refused(section, done, tmp_path):
    for path in (done / "chunks").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    one, other = (own.paths(tmp_path)[0] for own in sweep.plan(section)[:2])
    other.write_bytes(one.read_bytes())
    with pytest.raises(UserError, match="allowed: the hash in the file's name"):
        sweep.collect(section, tmp_path, tmp_path / "tables")
    other.unlink()
    with pytest.raises(UserError, match="found no such file; simulate it first"):
        sweep.collect(section, tmp_path, tmp_path / "tables")
    table = pd.read_parquet(done / "chunks" / other.name)
    table.loc[0, "final_position_m"] += 1e-12
    files.write_parquet(table, other, files.read_parquet_metadata(done / "chunks" / other.name))
    with pytest.raises(UserError, match="found that it was edited after it was simulated"):
        sweep.collect(section, tmp_path, tmp_path / "tables")
    assert not (tmp_path / "tables").exists()


@pytest.mark.parametrize(
    "path, value, message",
    [
        ("domain_wall.track.cell_m", 5e-9, "domain_wall.track.cell_m: found 5e-09, allowed: a length that divides"),
        ("domain_wall.track.cell_m", 2e-7, "domain_wall.track.cell_m"),
        ("domain_wall.wall.start_m", 1e-6, "domain_wall.wall.start_m"),
        ("domain_wall.pulses.voltages_V", [1.0, 1.0], "allowed: each value once"),
        (
            "domain_wall.pulses.current_factors",
            [2.0, 2.0],
            r"current_factors: found \[2.0, 2.0\], allowed: each value once",
        ),
        ("domain_wall.pulses.voltages_V", [-9.0], "easy axis into the plane"),
        ("numerics.record_interval_s", 1e-13, "device_sims.numerics.record_interval_s: found 1e-13, allowed: a whole"),
        ("numerics.record_interval_s", 1e-25, "record_interval_s: found 1e-25"),
        ("domain_wall.sot.duration_s", 2.05e-11, "device_sims.domain_wall.sot.duration_s: found 2.05e-11"),
        ("domain_wall.wall.rest_s", 1e-25, "wall.rest_s: found 1e-25"),
        ("domain_wall.notches.positions_m", [9e-6], "notches.positions_m: found 9e-06"),
        ("domain_wall.pulses.voltages_V", [50.0], "at least one cell"),
        ("sweep.replicas_per_instance", 10**6, "write events, allowed: at most"),
        ("domain_wall.roughness.rms_m", 9e-8, "cut through the strip"),
        ("engine", "oommf3", "found oommf3, allowed: collective, llg"),
        ("engine", "macrospin", "engine: found macrospin with device domain_wall, allowed: collective, llg"),
        ("numerics.dt_s", 1e-12, "device_sims.numerics.dt_s: found 1e-12, allowed: at most .* with heun"),
        ("device", "skyrmion", "allowed: domain_wall"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(section, path, value, message):
    with pytest.raises(UserError, match=message) as error:
        sweep.plan_checked(changed(section, path, value))
    assert "\n" not in str(error.value)


def test_divergence_names_replica_and_time(section, tmp_path):
    # no time step is too large for this mesh, but the noise of such a temperature turns a spin by more than it may
    wild = changed(section, "domain_wall.temperature_K", 1e9)
    with pytest.raises(UserError, match=r"llg: replica 0 .* at [0-9.e-]+ s; reduce numerics.dt_s"):
        chunk.run(sweep.plan(wild)[0], tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.long
def test_command_line_reports_errors_and_progress(section, done, tmp_path):
    config = tmp_path / "device_sims.json"
    files.write_json(section.dump(), config)

    def call(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "device_sims", *arguments], capture_output=True, text=True, check=False
        )

    own = sweep.plan(section)[1]
    files.write_json({**own.specification(), "chunk_hash": "0" * 64}, tmp_path / "wrong.json")
    wrong = call("chunk", "--spec", tmp_path / "wrong.json", "--output", tmp_path / "out")
    files.write_json({"seed": 1}, tmp_path / "empty.json")
    empty = call("collect", "--config", tmp_path / "empty.json", "--chunks", tmp_path, "--output", tmp_path / "out")
    assert empty.returncode == 2 and "key 'engine' is missing" in empty.stderr and empty.stderr.count("\n") == 1
    assert wrong.returncode == 2 and "chunk_hash: found 0000" in wrong.stderr and wrong.stderr.count("\n") == 1
    spec = tmp_path / "spec.json"
    files.write_json(own.specification(), spec)
    right = call("chunk", "--spec", spec, "--output", tmp_path / "out", "--log", tmp_path / "log")
    assert right.returncode == 0 and right.stderr == ""
    assert "2/2 replicas" in (tmp_path / "log").read_text() and "ns/s" in (tmp_path / "log").read_text()
    for one, other in zip(own.paths(done / "chunks"), own.paths(tmp_path / "out")):
        assert one.read_bytes() == other.read_bytes()


def test_more_replicas_keep_finished_blocks(section):
    """With blocks of replicas, a chunk of 2 of 2 replicas is a chunk of the first 2 of 5."""
    few = hashes(section)
    more = changed(section, "sweep.replicas_per_chunk", 2)
    more = changed(more, "sweep.replicas_per_instance", 5)
    assert few == hashes(changed(section, "sweep.replicas_per_chunk", 2))
    chunks = sweep.plan(more)
    assert set(few) < {one.chunk_hash for one in chunks} and len(chunks) == 3 * len(few)
    streams = [problem.stream for one in chunks for batch in one.batches for problem in batch.problems()]
    assert len(set(streams)) == 5 * sum(len(one.batches) for one in sweep.plan(section))


@pytest.mark.long
def test_blocks_of_replicas_leave_no_trace_in_the_tables(section, done, tmp_path):
    cut = changed(section, "sweep.replicas_per_chunk", 1)
    for one in sweep.plan(cut):
        chunk.run(one, tmp_path / "chunks")
    sweep.collect(cut, tmp_path / "chunks", tmp_path / "tables")
    for name in ("events.parquet", "trajectories.parquet", "summary.csv"):
        assert (tmp_path / "tables" / name).read_bytes() == (done / "tables" / name).read_bytes()


def test_pulses_with_more_replicas_than_the_others(section):
    voltages = section.options.pulses.voltages_V
    entry = Replica(voltage_V=voltages[0], replicas_per_instance=7)
    chunks = sweep.plan(changed(section, "sweep.replicas", [entry]))
    assert {(one.pulse, batch.replicas) for one in chunks for batch in one.batches} == {
        (place, 7 if place == 0 else 2) for place in range(len(voltages))
    }
    never_fewer = changed(section, "sweep.replicas", [entry.model_copy(update={"replicas_per_instance": 1})])
    assert hashes(never_fewer) == hashes(section)


@pytest.mark.parametrize(
    "entry, text",
    [
        ({"voltage_V": 77.0}, "sweep.replicas.0: found {'voltage_V': 77.0}, which is not a pulse"),
        ({"field_T": 0.0}, "sweep.replicas.0: found field_T, allowed: columns"),
    ],
)
def test_replicas_of_no_pulse_are_refused(section, entry, text):
    with pytest.raises(UserError, match=re.escape(text)):
        sweep.plan(changed(section, "sweep.replicas", [Replica(**entry, replicas_per_instance=7)]))
