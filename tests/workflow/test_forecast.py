"""What a study will take: its work, the speed of the last jobs, and what is there already."""

import os
from itertools import product
from pathlib import Path

import pytest

from spinloom import files, speed
from spinloom.progress import Progress
from tests.calibration.conftest import changed
from workflow.study import config, forecast, planning

ROOT = Path(__file__).parents[2]


def made(name, plan):
    """Return the files by which the forecast knows a study's simulations and trainings."""
    folder = Path("results") / name
    names = [f"runs/{one}_{k}" for one in plan.variants for k in range(plan.network["seeds"])] if plan.trains else []
    chunks = {str(chunk.paths(folder / "device_sims" / "chunks")[0]) for chunk in plan.chunks}
    return chunks | {str(folder / "network" / run / "meter.json") for run in names}


@pytest.fixture
def told(tmp_path, monkeypatch):
    """Return the forecast of the default study with changes, as its lines, and all files that it may count.

    Speeds are those of tmp_path.
    """
    monkeypatch.chdir(tmp_path)

    def lines(changes=None, cores=2, there=()):
        default = changed(config.load(ROOT / "config.yaml"), changes or {})
        plan = planning.plan(default)
        return forecast.tell("default", {"default": plan}, cores, made("default", plan) - set(there)).splitlines(), plan

    return lines


def test_work_is_told_in_events_cells_time_and_disk(told):
    (head, simulations, trainings, total), plan = told()
    assert head == "Study default:"
    # 600 nm of 4 nm, 60 nm with room for the roughness; 0.3 + 2.8 + 0.4 ns
    assert "160 write events of domain_wall in 10 chunks; 150 x 17 x 1 cells, 3.5 ns in steps of 0.5 ps" in simulations
    assert sum(chunk.cell_steps for chunk in plan.chunks) == pytest.approx(160 * 150 * 17 * 7000, abs=0.5)
    # 16 events a chunk at 4e6 cell-steps/s, and 10 s to start; 10 chunks two at a time: 5 x 81.4 s
    assert "about 7 min, 1 MB, at the speed of a reference core" in simulations
    # 10 s to start and 4.3 s for 10 epochs of 55,000 images at 3e10/s; 6 trainings two at a time
    assert "6 trainings (2 variants, 3 seeds, 10 epochs) on mnist: about 43 s" in trainings
    assert total.startswith("  in all about 7 min with 2 jobs at once, ")
    # 10 s to start and 0.43 s for 5,500 images: three times 10.4 s
    (_, _, fewer, _), _ = told({"network.training_images": 5500})
    assert "6 trainings (2 variants, 3 seeds, 10 epochs) on mnist: about 31 s" in fewer


def test_the_last_jobs_here_tell_the_speed(told):
    for number, seconds in enumerate((100.0, 300.0)):
        speed.record(f"results/other/logs/device_sims/{number}.log", "llg", 8e9, seconds)
    assert speed.last("llg") == pytest.approx(4e7, abs=1e-3) and speed.last("macrospin") is None
    # half a second of work after ten of compiling says nothing
    speed.record("results/other/logs/device_sims/2.log", "llg", 2e6, 10.5)
    assert speed.last("llg") == pytest.approx(4e7, abs=1e-3)
    assert forecast._rate("training bop", "training") == (speed.REFERENCE["training"], False)
    # of an engine that has no reference short jobs are better than nothing
    assert forecast._rate("macrospin", "macrospin") == (None, None)
    speed.record("results/other/logs/device_sims/3.log", "macrospin", 4e6, 4.0)
    assert forecast._rate("macrospin", "macrospin") == (1e6, True)
    lines, _ = told()
    assert "at the speed of the last runs here" in lines[1] and "reference core" in lines[2]
    # no more than the latest count: an older one with another speed falls out
    for number in range(speed.LATEST):
        speed.record(f"results/more/logs/device_sims/{number}.log", "llg", 100.0, 100.0)
    for path in Path("results/other/logs/device_sims").iterdir():
        os.utime(path, (1, 1))
    assert speed.last("llg") == pytest.approx(1.0, abs=1e-12)


def test_what_does_not_run_is_not_counted(told):
    _, plan = told()
    there = plan.chunks[0].paths("results/default/device_sims/chunks")
    runs = [f"results/default/network/runs/float_baseline_{replicate}/meter.json" for replicate in range(3)]
    lines, _ = told(there=[*map(str, there), *runs])
    assert "in 10 chunks, 9 of them to run;" in lines[1] and "6 trainings, 3 of them to run" in lines[2]
    lines, plan = told(there=made("default", plan))
    assert "in 10 chunks, none of them to run;" in lines[1] and "6 trainings, none of them to run" in lines[2]
    assert lines[3:] == ["  this run simulates and trains nothing"]


def test_a_study_that_needs_neither(told):
    lines, _ = told({"calibration.source.kind": "library", "calibration.source.name": "pbit", "network": None})
    assert lines == ["Study default:", "  this run simulates and trains nothing"]


def test_a_stage_without_part_and_an_unknown_speed(told):
    lines, _ = told({"calibration.source.kind": "library", "calibration.source.name": "sot_mtj_80nm_a"})
    assert len(lines) == 3 and lines[1].startswith("  network:")
    lines, _ = told({"network": None, "device_sims.engine": "collective"}, cores=1)
    assert lines[1].endswith("engine collective: time unknown, none has run here, 1 MB")
    assert lines[2].startswith("  in all an unknown time with 1 job at once, ")


def test_points_of_a_scan_share_chunks_and_sampled_cards_are_trained_too(told):
    _, plan = told({"network.card_samples": 2})
    plans = {"s/points/a": plan, "s/points/b": plan}
    runs = {path for name in plans for path in made(name, plan) if "network" in path}
    places = [f"accumulate_quantise_program_{'_'.join(place)}" for place in product("01", "01", "01")]
    sampled = {f"results/{name}/network/sampled/{place}/meter.json" for name in plans for place in places}
    lines = forecast.tell("s", plans, 2, made("s", plan) | runs | sampled).splitlines()
    assert lines[0] == "Study s, a scan of 2 points:" and "160 write events" in lines[1]
    # each 2 x 3, and on 2 cards with 2 chips and 2 seeds the one variant that has a card
    assert "network: 28 trainings (2 variants" in lines[2]


def test_a_job_leaves_its_speed_unless_it_fails(tmp_path):
    def run(name, done, wrong=False):
        with Progress("x", 10, "y", rate_unit="z", log=tmp_path / f"{name}.log", done=done, speed=("k", 100.0)) as job:
            if wrong:
                raise RuntimeError
            job.advance(10 - done)

    run("whole", 0)
    assert files.read_json(tmp_path / "whole.speed.json")["work"] == pytest.approx(100, abs=1e-9)
    run("resumed", 8)
    assert files.read_json(tmp_path / "resumed.speed.json")["work"] == pytest.approx(20, abs=1e-9)
    run("nothing", 10)
    with pytest.raises(RuntimeError):
        run("failed", 0, wrong=True)
    assert not (tmp_path / "nothing.speed.json").exists() and not (tmp_path / "failed.speed.json").exists()
