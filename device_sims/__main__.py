"""Command line of stage 1: ``python -m device_sims COMMAND``."""

from __future__ import annotations

import sys

from spinloom.command_line import run_cli, run_command


def main() -> None:
    run_command("device_sims", sys.argv[1:])


if __name__ == "__main__":
    run_cli(main)
