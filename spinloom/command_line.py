"""How every command line of the project ends: what the user can mend is one line on stderr and exit status 2."""

from __future__ import annotations

import sys
from collections.abc import Callable

from spinloom import run_lock
from spinloom.errors import UserError


def run_cli(main: Callable[[], None]) -> None:
    """Call ``main``; print a `UserError`, or what the system refuses, as one line on stderr and exit with status 2."""
    run_lock.join()
    try:
        main()
    except BrokenPipeError:  # the reader of our output has gone: nobody is left to tell
        raise SystemExit(1) from None
    except (UserError, OSError) as error:
        told = error
        if isinstance(error, OSError):
            told = UserError(f"{error.filename or 'system'}: {error.strerror or error}")
        print(f"error: {told}", file=sys.stderr)
        raise SystemExit(2) from None
