"""What the settings of a run on a cluster must not be, told at its start and not by a run that never ends."""

from __future__ import annotations

from typing import Any

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
