"""Command line of stage 1: ``python -m device_sims COMMAND``."""

from __future__ import annotations

import sys

from threadpoolctl import threadpool_limits

from spinloom.command_line import run_cli, run_command


def main(arguments: list[str] | None = None) -> None:
    """Run one command; ``arguments`` default to the command line's."""
    # a matrix product may depend on the number of threads, and a table must not
    with threadpool_limits(1):
        run_command("device_sims", sys.argv[1:] if arguments is None else arguments)


if __name__ == "__main__":
    run_cli(main)
