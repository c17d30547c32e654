"""The lock of a study's run, as its jobs see it.

The run holds one byte of the lock file (`workflow.study.folder`), its jobs share another. The kernel frees both when
the processes end, so a killed run leaves no stale lock.
"""

from __future__ import annotations

import fcntl
import os

VARIABLE = "SPINLOOM_LOCK"  # names the lock file to the jobs of a run
RUN, JOBS = 0, 1  # bytes of the lock file


def join() -> None:
    """Tell the run that started this job, if any, that the job is at work, until the process ends."""
    try:
        fcntl.lockf(os.open(os.environ[VARIABLE], os.O_RDONLY), fcntl.LOCK_SH, 1, JOBS)
    except (KeyError, OSError):
        pass  # started by hand, or on a machine that does not see the lock
