"""Common ground of the three stages: errors, atomic files, random streams, progress, config.

Nothing here knows what a magnet, a table or a network is.
"""

from importlib.util import find_spec

if find_spec("fcntl") is None:  # said here, where each command begins, and not by a traceback
    raise SystemExit("error: Spinloom runs on Linux and macOS, whose locks on files it needs; on Windows, use WSL")
