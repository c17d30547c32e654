"""One kind of error for what the user can mend, and the way a command line reports it."""

from __future__ import annotations

import sys
from collections.abc import Callable


class UserError(Exception):
    """A mistake in a config, a file or the environment; its text is one line that says what to do."""

    def __init__(self, message: str):
        super().__init__(" ".join(str(message).split()))


def run_cli(main: Callable[[], None]) -> None:
    """Call ``main``; print a `UserError`, or what the system refuses, as one line on stderr and exit with status 2."""
    from spinloom.folder import join  # imported here: it has errors of its own to tell

    join()
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
