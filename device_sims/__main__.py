"""Command line of stage 1: ``python -m device_sims COMMAND``."""

from __future__ import annotations

import os
import sys

from spinloom.command_line import run_cli, run_command


def main() -> None:
    # One thread a process: processes are the parallelism, and the number of threads must not change a result.
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
    run_command("device_sims", sys.argv[1:])


if __name__ == "__main__":
    run_cli(main)
