"""What ends a search and what it leaves: hours, Ctrl-C, a database elsewhere."""

import itertools
import os
import signal
import sys
import time
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.design import KEYS, zdt
from spinloom import files
from spinloom.errors import UserError
from workflow.design import command, runs
from workflow.design.objectives import Measured
from workflow.design.runs import Runs
from workflow.design.space import at
from workflow.study import interrupt

ASKED = "results/zdt/design/asked.json"


class Quick(Runs):
    """Lets a command stand in for Snakemake, and a known problem for the tables."""

    command = ["true"]

    def _command(self, *options):
        return self.command

    def measured(self, label):
        f1, f2 = zdt(1, np.array([at(self.points[label], key) for key in KEYS[:3]]))
        return [Measured(1 - f1), Measured(10.0**f2)]


def quick(one):
    one.maker = Quick(one.space, one.goals)
    return one


def tried(one):
    return [(trial.values, trial.told) for trial in one.trials]


def test_hours_end_a_search_and_the_same_command_keeps_what_it_found(search, tmp_path, monkeypatch):
    """A generation takes 1000 s, so 2500 s are over after the third; taking it up again takes time too."""
    one, *others = (search(points=None, hours=2500 / 3600) for _ in range(3))
    monkeypatch.chdir(tmp_path)
    clock = SimpleNamespace(monotonic=itertools.count(0, 1000).__next__, time=time.time)
    monkeypatch.setattr(runs, "time", clock)
    quick(one).run()
    assert len(one.trials) == 24 and files.read_json(ASKED)["seconds"] == 3000
    for taken_up, again in enumerate(others):
        quick(again).run()
        assert tried(again) == tried(one)
        assert files.read_json(ASKED)["seconds"] == 4000 + 1000 * taken_up


def test_an_interrupt_ends_the_runs_and_fails_no_point(search, tmp_path, monkeypatch):
    undisturbed, one, again = search(), search(), search()
    undisturbed.run()
    monkeypatch.chdir(tmp_path)
    passed_on = interrupt.passed_on

    @contextmanager
    def interrupted(process):
        with passed_on(process) as came:
            os.kill(os.getpid(), signal.SIGINT)
            yield came

    monkeypatch.setattr(Quick, "command", [sys.executable, "-c", "import signal; signal.pause()"])
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(interrupt, "passed_on", interrupted)
        quick(one).run()
    kept = files.read_json(ASKED)
    assert kept["failed"] == {} and len(kept["points"]) == 8
    monkeypatch.setattr(Quick, "command", ["true"])
    quick(again).run()
    assert tried(again) == tried(undisturbed)


def test_an_interrupt_is_one_line(capsys):
    with pytest.raises(SystemExit) as ended, command._interrupted():
        raise KeyboardInterrupt
    assert ended.value.code == 128 + signal.SIGINT
    assert capsys.readouterr().err == "error: interrupted; the same command continues the search\n"


def test_a_database_elsewhere(search, tmp_path):
    one = search(points=8)
    one.run()
    url = f"sqlite:///{tmp_path / 'other.db'}"
    for _ in range(2):  # written again after each generation
        one.chooser.reach(url, tmp_path / "design")
        one.chooser.keep(url, tmp_path / "design")
    assert not (tmp_path / "design" / "optuna.db").exists()
    study = one.chooser.optuna.load_study(study_name="zdt", storage=url)
    assert len(study.trials) == 8 and study.metric_names == ["validation_accuracy", "-log10 training_energy_J_device"]


def test_a_study_of_somebody_else_stays_in_the_database(search, tmp_path):
    one, url = search(points=8), f"sqlite:///{tmp_path / 'shared.db'}"
    one.run()
    one.chooser.optuna.create_study(study_name="zdt", storage=url)
    for attempt in (one.chooser.reach, one.chooser.keep):
        with pytest.raises(
            UserError, match="design.storage: sqlite:.*: found a study zdt that the search in .* did not"
        ):
            attempt(url, tmp_path / "design")
    assert one.chooser.optuna.load_study(study_name="zdt", storage=url).trials == []


def test_another_search_in_the_same_folder_has_hours_of_its_own(search, tmp_path, monkeypatch):
    """More points are the same search; other constraints are another one, which asks for none of the old points."""
    whole = search(points=16)
    whole.run()
    one, longer, other = search(points=8), search(points=16), search(points=8, constraints=["x0 < 0.9"])
    monkeypatch.chdir(tmp_path)
    quick(one).run()
    seconds = files.read_json(ASKED)["seconds"]
    quick(longer)
    assert longer.maker.seconds == seconds and len(longer.maker.before) == 8
    quick(other)
    assert other.maker.seconds == 0 and not other.maker.before and not other.maker.begun
    longer.run()
    assert tried(longer)[:8] == tried(one) and tried(longer) == tried(whole)


def test_a_database_that_is_none_is_one_line(search, tmp_path):
    (tmp_path / "optuna.db").write_text("not a database, but a text of some length" * 20)
    message = r"optuna.db: found a database that cannot be used .*file is not a database.*; delete it"
    with pytest.raises(UserError, match=message) as error:
        search().chooser.reach(None, tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "url, message",
    [
        ("nowhere://ada:secret@host/name", r"design.storage: nowhere://ada:\*\*\*@host/name: "),
        ("sqlite://", "design.storage: found sqlite://, which keeps nothing, allowed: as sqlite:///PATH"),
        ("sqlite:///:memory:", "design.storage: found sqlite:///:memory:, which keeps nothing"),
        ("sqlite:////nowhere/of/all/x.db", "design.storage: sqlite:////nowhere/of/all/x.db: .*unable to open"),
        ("somewhere", "design.storage: found no URL of a database, allowed: as sqlite:///PATH or postgresql"),
    ],
)
def test_a_database_that_cannot_be_reached_is_one_line(search, tmp_path, url, message):
    with pytest.raises(UserError, match=message) as error:
        search().chooser.reach(url, tmp_path)
    assert "\n" not in str(error.value) and "secret" not in str(error.value)


@pytest.mark.parametrize("text", ["", "[]", "{"])
def test_a_damaged_record_of_a_search_is_one_line(search, tmp_path, monkeypatch, text):
    one, again = search(points=8), search(points=8)
    monkeypatch.chdir(tmp_path)
    quick(one).run()
    (tmp_path / ASKED).write_text(text)
    with pytest.raises(UserError, match="asked.json: .*, allowed: the file as the search wrote it; delete it") as error:
        quick(again)
    assert "\n" not in str(error.value) and (tmp_path / ASKED).read_text() == text
