"""A limit of memory (``ulimit -v``), under which libraries abort: told in one line."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable

from spinloom.errors import UserError

ABORTS = (signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS)
REFUSED = ("failed to map segment", "cannot allocate memory", "RESOURCE_EXHAUSTED")  # of loaders of libraries, and JAX


def watched(main: Callable[[], None]) -> None:
    """Call ``main``; under a limit in a process of its own, because an abort cannot be caught.

    Raises
    ------
    UserError
        If memory does not suffice.
    SystemExit
        With the status of that process.
    """
    limit_B, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit_B != resource.RLIM_INFINITY and (child := os.fork()):
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, frame: os.kill(child, number))
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if -code in ABORTS:
            raise too_little()
        raise SystemExit(code if code >= 0 else 128 - code)
    try:
        main()
    except (MemoryError, ImportError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not any(words in str(error) for words in REFUSED):
            raise
        raise too_little() from None


def too_little() -> UserError:
    """Return the error that tells the limit."""
    limit_B, _ = resource.getrlimit(resource.RLIMIT_AS)
    found = "all in use" if limit_B == resource.RLIM_INFINITY else f"a limit of {limit_B / 1e9:.3g} GB (ulimit -v)"
    return UserError(f"memory: found {found}, which is too little for this job, allowed: in general 4 GB or more")
