"""A run on a cluster: what its settings must not be, why a job failed, and that none stays in the queue."""

from __future__ import annotations

import logging
import subprocess
import sys
from typing import Any

from snakemake_interface_logger_plugins.common import LogEvent

from spinloom.errors import UserError


def check(settings: Any) -> None:
    """Refuse arrays of jobs, of which Snakemake's plugin for Slurm loses some.

    Its version 2.8.0 drops a batch of ready jobs that is smaller than what remains, which Snakemake then waits for
    without end. An array of more than about 45 jobs does not fit into a command; the script that it writes instead
    runs the array's first job in each task.

    Parameters
    ----------
    settings : object
        Of Snakemake's executor; None for one that has no settings.

    Raises
    ------
    UserError
        If rules are to go in as arrays.
    """
    arrays = getattr(settings, "array_jobs", None)
    if arrays:
        raise UserError(
            f"slurm-array-jobs: found {arrays}, allowed: none; snakemake-executor-plugin-slurm loses jobs of arrays "
            "(docs/cluster.md)"
        )


def cancel(scheduler: Any) -> None:
    """Cancel what a run that ends has left in Slurm's queue.

    At Ctrl-C the plugin cancels the jobs that it has submitted, and then submits those that were waiting for it.

    Parameters
    ----------
    scheduler : snakemake.scheduling.job_scheduler.JobScheduler
    """
    run = getattr(getattr(scheduler, "_executor", None), "run_uuid", None)  # the name of all its jobs
    if run is not None:
        subprocess.run(["scancel", "--name", run], check=False)


class Failures(logging.Handler):
    """Tells on stderr why a job elsewhere failed, each time that it does, in a line.

    A job of this machine says so itself. Of others Snakemake tells it beside the list of the job's files, which the
    profiles switch off.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
    """

    def __init__(self, workflow: Any):
        super().__init__()
        self.workflow = workflow

    def emit(self, record: logging.LogRecord) -> None:
        """Take a line of Snakemake's."""
        if getattr(record, "event", None) != LogEvent.JOB_ERROR or self.workflow.local_exec:
            return
        told = vars(record)
        # the executor's own words, before advice and the whole command
        reason = (told["rule_msg"] or "failed").partition("For further error details")[0].splitlines()[0].strip()
        logs = ", ".join(map(str, told["log"]))
        print(f"job {told['jobid']} ({told['rule_name']}): {reason} Logs: {logs}", file=sys.stderr)
