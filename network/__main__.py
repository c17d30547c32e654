"""Command line of stage 3: ``python -m network COMMAND``."""

from __future__ import annotations

import sys

from spinloom.command_line import run_cli, run_command


def main(arguments: list[str] | None = None) -> None:
    """Run one command; ``arguments`` default to the command line's."""
    run_command("network", sys.argv[1:] if arguments is None else arguments)


if __name__ == "__main__":
    run_cli(main)
