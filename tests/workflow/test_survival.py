"""Killed, refused, and failing runs: what is there afterwards, and what the same command makes of it.

``pytest -m survival`` kills at 30 moments, on the command lines themselves and not on forks of a loaded process; the
gate takes the four moments of `SHORT`.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time

import numpy as np
import psutil
import pytest

from tests.workflows import Tree, contents, told

# a process of each stage, by words of its command line, and a result without which it has to run; "" is the workflow
# itself, before its first job
STAGES = {
    "": None,
    "network data": "network/data.json",
    "device_sims chunk": "device_sims/chunks/*.parquet",
    "device_sims collect": "device_sims/events.csv",
    "calibration card": "calibration/card/card.json",
    "calibration figures": "figures/writes_by_pulse.png",
    "network train": "network/runs/*/meter.json",
    "network summarise": "network/summary/energy.csv",
    "workflow.study.package": "datapackage.json",
    "report --study": "report.html",
}
SHORT = ["device_sims chunk", "calibration card", "network train", "workflow.study.package"]


def descendants(tree, run):
    """Return the processes of a run: those of its clients, and those that the server forked for it."""
    found = []
    for process in (run, tree.server.process):
        try:
            found += psutil.Process(process.pid).children(recursive=True) if process else []
        except psutil.NoSuchProcess:
            pass
    return found


def words(process):
    try:
        return " ".join(process.cmdline()).replace(" -m ", " ")
    except psutil.Error:
        return ""


def wait_for(tree, run, stage):
    """Wait until a job of that stage is at work; return False if the run ends before."""
    while run.poll() is None:
        if any(f"{stage} " in f"{words(process)} " for process in descendants(tree, run)):
            return True
        time.sleep(0.01)
    return False


def kill(tree, run):
    """SIGKILL everything that belongs to the run, at once."""
    while processes := [*descendants(tree, run), *([run] if run.poll() is None else [])]:
        for process in processes:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                pass
        run.poll()
        time.sleep(0.01)
    run.communicate()


def begin(tree):
    return tree.start("snakemake", "--configfile", "study.yaml")


def survive(tree, moments, rng, longest_s):
    """Kill a run at each of the moments, each time with the same command, and let it then come to its end."""
    killed, chunks = [], {}
    for stage in moments:
        # it may have run beside the stage of the last kill
        for done in tree.results.glob(STAGES[stage]) if STAGES[stage] else ():
            done.unlink()
            chunks.pop(done.name, None)
        run = begin(tree)
        if wait_for(tree, run, stage):
            time.sleep(rng.uniform(0, longest_s))
        killed += [stage] if run.poll() is None else []
        kill(tree, run)
        for path in tree.results.glob("device_sims/chunks/*.parquet"):
            chunks.setdefault(path.name, []).append(path.stat().st_ino)
    done = tree.snakemake()
    assert done.returncode == 0, done.stderr
    # of chunks that were there twice, only those that the kill caught unrecorded are simulated again
    changes = sum(len(set(numbers)) - 1 for numbers in chunks.values())
    assert changes <= 2 * 2 * sum(stage in ("device_sims chunk", "") for stage in moments)
    return killed


def compare(tree, undisturbed):
    assert contents(tree.results) == contents(undisturbed.results)
    assert (tree.results / "report.html").stat().st_size > 1e6
    assert tree.jobs() == {}


@pytest.mark.long
def test_a_killed_run_goes_on_with_the_same_command(finished, server, tmp_path):
    tree = Tree.of_sources(tmp_path / "tree", server)
    assert len(survive(tree, SHORT, np.random.default_rng(8), longest_s=0.3)) >= 3
    compare(tree, finished)


class Unforked:
    """In place of a `Server`: the real interpreter, which imports everything anew for each command."""

    def __init__(self, folder):
        import sys

        self.bin = folder / "bin"
        self.bin.mkdir()
        for name, words in (("python", ""), ("snakemake", " -m snakemake")):
            (self.bin / name).write_text(f'#!/bin/sh\nexec {sys.executable}{words} "$@"\n')
            (self.bin / name).chmod(0o755)
        self.process = None  # a run's own descendants are all


@pytest.mark.survival
def test_a_run_killed_at_many_moments_goes_on_with_the_same_command(tmp_path):
    """Three kills in each stage, at seeded moments of up to half of the time that a job takes here."""
    real, rng = Unforked(tmp_path), np.random.default_rng(20211107)
    changes = {"network.rule": "accumulate_quantise_program", "network.epochs": 6, "network.seeds": 2}
    trees = [Tree.of_sources(tmp_path / name, real) for name in ("killed", "undisturbed")]
    for tree in trees:
        tree.configure(changes)
    begun = time.monotonic()
    assert trees[1].snakemake().returncode == 0
    job_s = (time.monotonic() - begun) / len(STAGES)
    killed = survive(trees[0], [stage for stage in STAGES for _ in range(3)], rng, longest_s=job_s / 2)
    assert len(killed) >= 20, killed
    compare(*trees)


@pytest.mark.long
def test_one_run_at_a_time_and_no_jobs_of_another(finished, tmp_path):
    tree = finished.copied(tmp_path / "tree")
    tree.configure({"network.epochs": 20000})
    run = begin(tree)
    assert wait_for(tree, run, "network train")
    before = contents(tree.results / "device_sims")
    for words in ((), ("--delete-all-output",), ("--delete-temp-output",)):
        second = tree.snakemake(*words)
        assert second.returncode == 2 and len(told(second)) == 1
        assert "results/small: found another run at work in it (process" in second.stderr
    assert tree.jobs() == tree.jobs()  # to look is allowed
    tree.configure({"calibration.readout.TMR": 1.0})
    other = tree.snakemake("-n")
    assert other.returncode == 2 and "found another run at work in it" in other.stderr
    # the workflow alone is killed: its job is still at work
    os.kill(int((tree.results / ".lock").read_text().split()[1]), signal.SIGKILL)
    run.wait()  # what it says ends with its job
    tree.configure({"network.epochs": 20000})
    third = tree.snakemake()
    assert third.returncode == 2 and len(told(third)) == 1
    assert "results/small: found a job of an earlier run still at work in this folder" in third.stderr
    assert contents(tree.results / "device_sims") == before
    kill(tree, run)
    tree.configure({})
    done = tree.snakemake()
    assert done.returncode == 0, done.stderr
    assert not (tree.results / "previous").exists()
    compare(tree, finished)


@pytest.mark.long
def test_finished_simulations_are_deleted_by_hand_alone(finished, tmp_path):
    tree = finished.copied(tmp_path / "tree")
    before = contents(tree.results)
    for words in (["--delete-all-output"], ["-F"], ["--forceall", "calibration"]):
        done = tree.snakemake(*words)
        assert done.returncode == 2 and len(told(done)) == 1
        assert "results/small/device_sims/chunks: found 4 finished simulations, which --" in done.stderr
        assert "rm -r results/small/device_sims/chunks" in done.stderr
    assert tree.snakemake("-n", "--delete-all-output").returncode == 0
    assert tree.snakemake("--delete-temp-output").returncode == 0
    now = contents(tree.results)
    assert {name: now[name] for name in before} == before
    shutil.rmtree(tree.results / "device_sims" / "chunks")
    assert tree.snakemake("--delete-all-output").returncode == 0
    tables = ("device_sims/events.csv", "calibration/card/card.json", "network/summary/summary.csv", "datapackage.json")
    assert contents(tree.results).keys().isdisjoint(tables)


@pytest.fixture
def disk(finished, tmp_path):
    """A finished tree whose results lie on a small disk of their own."""
    tree, place = finished.copied(tmp_path / "tree"), tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16M", "none", place]
    if os.geteuid() or subprocess.run(mount, check=False).returncode:
        pytest.skip("needs the right to mount")
    try:
        shutil.copytree(tree.path / "results", place, dirs_exist_ok=True)
        shutil.rmtree(tree.path / "results")
        (tree.path / "results").symlink_to(place)
        yield tree, place
    finally:
        subprocess.run(["umount", place], check=True)


@pytest.mark.long
def test_a_full_disk_is_an_error_and_earlier_results_stay(disk):
    tree, place = disk
    before = contents(tree.results, "config")
    tree.configure({"calibration.readout.TMR": 1.0})
    with open(place / "full", "wb") as stream:
        room = shutil.disk_usage(place).free - 100_000
        stream.write(bytes(room))
    done = tree.snakemake()
    text = done.stdout + done.stderr
    assert done.returncode != 0 and "No space left on device" in text and "Traceback" not in text
    assert re.search(r"error: results/small/\S+: .*No space left on device", text)  # and the file is named
    assert f"before this run are in {tree.results.relative_to(tree.path)}/previous" in text
    now, kept = contents(tree.results, "config", "previous"), contents(tree.results / "previous")
    assert {name: kept[name] for name in before if name in kept} == kept
    assert {**kept, **{name: now[name] for name in now if name not in kept}}.keys() >= before.keys()
    # nor has planning any room
    with open(place / "rest", "wb", buffering=0) as stream, contextlib.suppress(OSError):
        while True:
            stream.write(bytes(4096))
    tree.configure({"calibration.readout.TMR": 1.1})
    planned = tree.snakemake("-n")
    assert planned.returncode == 2 and len(told(planned)) == 1
    assert re.search(r"error: results/small/config/\w+.json: No space left on device", planned.stderr)
    (place / "rest").unlink()
    tree.configure({"calibration.readout.TMR": 1.0})
    # with room again the same command comes to its end, and lets go of them
    (place / "full").unlink()
    done = tree.snakemake()
    assert done.returncode == 0, done.stderr
    assert not (tree.results / "previous").exists() and tree.jobs() == {}


def test_a_folder_that_cannot_be_written_to_is_an_error_and_stays_as_it_is(disk):
    tree, place = disk
    before = contents(place)
    subprocess.run(["mount", "-o", "remount,ro", place], check=True)
    assert tree.jobs() == {}
    tree.configure({"calibration.readout.TMR": 1.0})
    for arguments in ((), ("-n",)):
        done = tree.snakemake(*arguments)
        assert done.returncode == 2 and len(told(done)) == 1
        assert "results/small: cannot be written to (Read-only file system)" in done.stderr
    assert contents(place) == before
