"""The live display: amounts, speeds and times of what jobs leave behind, and a run on a terminal."""

import io
import os
import pty
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from spinloom import __main__ as cli
from spinloom import files, progress
from spinloom.errors import UserError
from workflow.study import config, live, planning

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path):
    """A study of which two chunks and three trainings are done, and one of each at work."""
    default = config.load(ROOT / "config.yaml")
    plan, folder = planning.plan(default), tmp_path / "default"
    for chunk in plan.chunks[:2]:
        files.write_text("", chunk.paths(folder / "device_sims" / "chunks")[0])
    for replicate in range(3):
        files.write_text("", folder / "network" / "runs" / f"float_baseline_{replicate}" / "meter.json")
    with progress.Progress("x", 16, "replicas", rate_unit="ns/s", log=folder / "logs" / "device_sims" / "a.log") as job:
        job.start -= 10
        job.advance(4)
        kept = (folder / "logs" / "device_sims" / "a.progress.json").read_text()
    assert not list(folder.rglob("*.progress.json"))  # a job that has ended is at work no more
    files.write_text(kept, folder / "logs" / "device_sims" / "a.progress.json")
    return [live.Part(default, plan, folder)], folder


def test_stages_and_jobs_are_told(folder):
    found = live.rows(*folder, begin=0)
    assert [row.label for row in found] == ["device_sims", "calibration", "network", "report", "  x"]
    # 2 chunks of 16, and 4 at 0.4 a second: the other 124 take 310 s
    assert (found[0].done, found[0].total, found[0].unit) == (36, 160, "replicas")
    assert found[0].left_s == pytest.approx(310, abs=5) and found[4].left_s == pytest.approx(30, abs=1)
    # 3 of 6 trainings on 55000 images, 10 times
    assert (found[2].done, found[2].total) == (1_650_000, 3_300_000) and found[2].left_s is None
    console = Console(file=io.StringIO(), width=120)
    console.print(live.picture(found, 75))
    shown = console.file.getvalue()
    assert "36/160 replicas" in shown and "0.4 ns/s" in shown and "0:30 left" in shown and "running for 1:15" in shown


def test_of_a_scan_the_points_are_told_together(folder):
    """Two points that share their simulations; one has trained."""
    (part,), place = folder
    other = live.Part(part.config, part.plan, place / "points" / "other")
    found = live.rows([part, other], place, begin=0)
    assert (found[0].done, found[0].total) == (36, 160)  # once, though both need them
    assert (found[1].done, found[1].total, found[1].unit) == (0, 2, "points")
    assert (found[2].done, found[2].total) == (1_650_000, 6_600_000)


def test_what_was_left_by_a_killed_job_is_not_at_work(folder):
    path = next(folder[1].rglob("*.progress.json"))
    os.utime(path, (1, 1))
    found = live.rows(*folder, begin=2)
    assert [row.label for row in found] == ["device_sims", "calibration", "network", "report"]
    assert found[0].done == 32 and found[0].left_s is None


def test_without_a_terminal_snakemake_speaks_for_itself(tmp_path, monkeypatch, capsys):
    (tmp_path / "config.yaml").symlink_to(ROOT / "config.yaml")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["spinloom", "run"])
    status, asked = [3, 0, 0], []
    ended = SimpleNamespace(wait=lambda: status.pop(0))
    monkeypatch.setattr(cli.subprocess, "Popen", lambda command: asked.append(command) or ended)
    with pytest.raises(SystemExit, match="3"):
        cli.main()
    with pytest.raises(UserError, match="report.html: not there yet; `spinloom run` makes it"):
        cli.main()
    files.write_text("", tmp_path / "results" / "default" / "report.html")
    cli.main()
    assert capsys.readouterr().out == "Report: results/default/report.html\n"
    assert asked == 3 * [[sys.executable, "-m", "snakemake"]]


def test_files_targets_and_options_reach_snakemake_in_an_order_that_it_understands(tmp_path, monkeypatch, capsys):
    (tmp_path / "config.yaml").symlink_to(ROOT / "config.yaml")
    for name in "ab":
        files.write_text(f"study: {name}\n", tmp_path / f"{name}.yaml")
    monkeypatch.chdir(tmp_path)
    asked = []
    ended = SimpleNamespace(wait=lambda: 0)
    monkeypatch.setattr(cli.subprocess, "Popen", lambda command: asked.append(command) or ended)

    def run(words):
        monkeypatch.setattr(sys, "argv", ["spinloom", "run", *words.split()])
        cli.main()

    run("a.yaml calibration b.yaml -n --cores 2")
    run("network")
    assert [command[3:] for command in asked] == [
        ["calibration", "--configfile", "a.yaml", "b.yaml", "-n", "--cores", "2"],
        ["network"],
    ]
    for words, message in (
        ("nope.yaml calibration", "nope.yaml: cannot be read .No such file"),
        ("a.yaml -n --configfile b.yaml", "--configfile: found 2 times"),
        ("a.yaml --workflow-profile slrm", "--workflow-profile: found slrm, which does not exist"),
        ("a.yaml --config network.seeds=1", "--config: found network.seeds=1"),
    ):
        with pytest.raises(UserError, match=message):
            run(words)
    assert len(asked) == 2 and not capsys.readouterr().out
    # a page that this run made is named
    page = tmp_path / "results" / "a" / "report.html"
    ended.wait = lambda: files.write_text("", page) or 0
    run("a.yaml report --cores 1")
    assert capsys.readouterr().out == "Report: results/a/report.html\n"
    ended.wait = lambda: 0
    run("a.yaml calibration --cores 1")
    assert not capsys.readouterr().out


def test_on_a_terminal_the_lines_go_to_the_log_and_a_failure_shows_them(folder, monkeypatch):
    def refuse():
        raise UserError("network.epochs: found 0, allowed: at least 1")

    own, terminal = pty.openpty()
    shown = []

    def listen():
        try:
            while data := os.read(own, 4096):
                shown.append(data)
        except OSError:  # the terminal was closed
            pass

    listener = threading.Thread(target=listen)
    listener.start()
    with os.fdopen(terminal, "w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setenv("TERM", "xterm")
        code = live.run(
            [sys.executable, "-c", "print('note: jax: found 2\\nwhat went wrong'); raise SystemExit(1)"],
            lambda: folder[0],
            folder[1],
        )
        with pytest.raises(UserError, match="epochs"):
            live.run([sys.executable, "-c", "print('the same')"], refuse, folder[1])
    listener.join(timeout=10)
    text = b"".join(shown).decode()
    assert code == 1 and "160 replicas" in text and text.count("note: jax: found 2\r\n") == 2  # above, and in the log
    assert "what went wrong" in text and "the whole log:" in text
    assert (folder[1] / "logs" / "snakemake.log").read_text() == "the same\n"
