"""The Slurm profile hands over every job, however many there are and however few may be in the queue; arrays do not."""

import atexit
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from snakemake_interface_logger_plugins.common import LogEvent

from spinloom.errors import UserError
from workflow.study import cluster

slurm = pytest.importorskip("snakemake_executor_plugin_slurm")
PROFILE = yaml.safe_load((Path(__file__).parents[2] / "workflow/profiles/slurm/config.yaml").read_text())
PER_ROUND = 100  # jobs that Snakemake hands over in a second, by its --max-jobs-per-timespan


@dataclass(frozen=True)
class Job:
    """A job as far as the plugin looks at it before it submits one."""

    number: int
    name: str = "simulate"

    @property
    def rule(self):
        return self

    def is_group(self):
        return False


@pytest.fixture
def handed_over(tmp_path, monkeypatch):
    """Return the function that tells how many of ``count`` jobs reach Slurm with ``jobs`` in the queue at once.

    It does what Snakemake's scheduler does: jobs that the plugin was given are running, and one that was never
    submitted never ends.
    """
    monkeypatch.chdir(tmp_path)

    def run(count: int, jobs: int, array_jobs: str | None) -> int:
        ready, submitted, ended, lost = [Job(number) for number in range(count)], [], 0, 0
        executor = object.__new__(slurm.Executor)  # without the thread that asks for the state of jobs
        executor.workflow = SimpleNamespace(
            executor_settings=slurm.ExecutorSettings(array_jobs=array_jobs, no_account=True, status_command="squeue"),
            dag=SimpleNamespace(ready_jobs=ready),
            workdir_init=str(tmp_path),
        )
        executor.logger = logging.getLogger("plugin")
        executor.__post_init__()
        atexit.unregister(executor.clean_old_logs)
        monkeypatch.setattr(executor, "_submit_job", submitted.append, raising=False)
        monkeypatch.setattr(executor, "_submit_array_jobs", submitted.extend, raising=False)
        assert callable(slurm.Executor._submit_job) and callable(slurm.Executor._submit_array_jobs)
        while ready and lost < jobs:
            batch = ready[: min(PER_ROUND, jobs - (len(submitted) - ended) - lost)]
            del ready[: len(batch)]
            before = len(submitted)
            executor.run_jobs(batch)
            lost += len(batch) - (len(submitted) - before)
            ended = min(ended + 1, len(submitted))
        return len(submitted)

    return run


@pytest.mark.parametrize("count", (1, 2, 99, 101, 250, 2000))
@pytest.mark.parametrize("jobs", (PROFILE["jobs"], 1, 30, 5000))
def test_the_profile_hands_over_every_job(handed_over, count, jobs):
    assert handed_over(count, jobs, PROFILE.get("slurm-array-jobs")) == count


def test_arrays_lose_jobs_which_is_why_they_are_refused(handed_over):
    # if a new version of the plugin hands over all of them, arrays could come back: read docs/cluster.md first
    assert handed_over(250, PROFILE["jobs"], "simulate,train") < 250


def test_a_run_with_arrays_is_refused_when_it_starts():
    for settings in (None, SimpleNamespace(), slurm.ExecutorSettings(no_account=True, status_command="squeue")):
        cluster.check(settings)
    with pytest.raises(UserError, match="slurm-array-jobs: found simulate, allowed: none"):
        cluster.check(slurm.ExecutorSettings(array_jobs="simulate", no_account=True, status_command="squeue"))


def test_a_job_that_failed_elsewhere_says_why_in_a_line(capsys):
    words = "SLURM-job '57' failed, SLURM status is: 'TIMEOUT'. For further error details see the cluster/cloud log."
    told = {
        "event": LogEvent.JOB_ERROR,
        "rule_name": "simulate",
        "jobid": 7,
        "rule_msg": words,
        "log": ["a.log", "57.log"],
    }
    for local in (True, False):
        handler = cluster.Failures(SimpleNamespace(local_exec=local))
        handler.handle(logging.makeLogRecord(told))
        handler.handle(logging.makeLogRecord({"event": LogEvent.JOB_INFO}))
    line = "job 7 (simulate): SLURM-job '57' failed, SLURM status is: 'TIMEOUT'. Logs: a.log, 57.log\n"
    assert capsys.readouterr().err == line


def test_a_run_that_ends_leaves_no_job_in_the_queue(tmp_path, monkeypatch):
    (tmp_path / "scancel").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/told\n')
    (tmp_path / "scancel").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    for executor in (object(), SimpleNamespace(run_uuid="one-run")):  # that of this machine, and the plugin
        cluster.cancel(SimpleNamespace(_executor=executor))
    assert (tmp_path / "told").read_text() == "--name one-run\n"
