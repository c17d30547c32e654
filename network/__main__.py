"""Command line of stage 3: ``python -m network COMMAND``."""

from __future__ import annotations

import os
import sys

from spinloom.command_line import run_cli, run_command

# Before JAX starts: products split over several threads may round differently on another number of cores. One
# thread per run also lets a workflow run one replicate per core.
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + " --xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
).strip()
os.environ["NPROC"] = "1"


def main(arguments: list[str] | None = None) -> None:
    """Run one command; ``arguments`` default to the command line's."""
    run_command("network", sys.argv[1:] if arguments is None else arguments)


if __name__ == "__main__":
    run_cli(main)
