"""Pictures of a sweep: the event that is drawn is the one in the tables, and the tables know nothing of it."""

import json

import pytest
from PIL import Image

from device_sims.common import Pictures
from device_sims.pictures import event, of_sweep
from device_sims.sweep import chunk, sweep
from device_sims.sweep.names import PICTURES
from spinloom import files
from spinloom.command_line import run_command
from spinloom.sources import ROOT
from tests.device_sims.conftest import changed
from workflow.study import config


@pytest.fixture(scope="module")
def own(section):
    return sweep.plan(section)[-1]


@pytest.fixture(scope="module")
def drawn(own, tmp_path_factory):
    """Stem of the files of the last chunk's first event, made by the command."""
    folder = tmp_path_factory.mktemp("pictures")
    files.write_json(own.specification(), folder / "spec.json")
    files.write_json({"options": Pictures(snapshots=3).dump(), "pulses": [1]}, folder / "pictures.json")
    options = ["--spec", folder / "spec.json", "--config", folder / "pictures.json", "--output", folder / "pulse_1"]
    run_command("device_sims", ["event", *map(str, options)])
    return folder / "pulse_1"


def test_the_event_is_that_of_the_tables(own, drawn, tmp_path):
    chunk.run(own, tmp_path)
    events, trajectories = chunk.read(own, tmp_path)
    row, found = events.iloc[0], event.read(f"{drawn}.npz")
    assert len(found.t_s) == 3 and found.t_s[-1] == trajectories["t_s"].max()
    # of all replicas only the first ends where the drawn one does
    assert (abs(events["final_position_m"] - found.wall_m[-1]) < 1e-12).tolist() == [True] + [False] * (len(events) - 1)
    assert found.wall_m[-1] == pytest.approx(row["final_position_m"], abs=1e-12, rel=0)


def test_the_same_event_gives_the_same_bytes(own, drawn, tmp_path):
    of_sweep.draw(own, Pictures(snapshots=3), tmp_path / "again")
    for ending in PICTURES:
        assert (tmp_path / f"again{ending}").read_bytes() == drawn.with_name(drawn.name + ending).read_bytes()
    with Image.open(f"{drawn}.webp") as animation, Image.open(f"{drawn}_strip.webp") as strip:
        assert animation.n_frames == 3 and strip.height > animation.height


def test_which_pulses_have_pictures(section):
    chunks = sweep.plan(section)
    first = {one.pulse: one.chunk_hash for one in reversed(chunks)}
    assert of_sweep.pictured(section, chunks) == first
    assert of_sweep.pictured(changed(section, "pictures", Pictures(pulses=1)), chunks) == {0: first[0]}
    assert of_sweep.pictured(changed(section, "pictures", None), chunks) == {}
    assert of_sweep.pictured(changed(section, "engine", "collective"), chunks) == {}


def test_tables_do_not_depend_on_the_pictures(section):
    plain = config.load(ROOT / "config.yaml")
    other = {**plain, "device_sims": {**plain["device_sims"], "pictures": None}}
    before, after = (config.section_texts(one) for one in (plain, other))
    assert {name for name in before if before[name] != after[name]} == {"resolved"}
    assert "pictures" not in json.loads(before["device_sims"])
    off = sweep.plan(changed(section, "pictures", None))
    assert [one.chunk_hash for one in off] == [one.chunk_hash for one in sweep.plan(section)]
