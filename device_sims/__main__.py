"""Command line of stage 1: ``python -m device_sims chunk | collect | figures``."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from spinloom import config, files
from spinloom.errors import run_cli


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m device_sims", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    chunk = commands.add_parser("chunk", help="simulate one chunk of a sweep")
    chunk.add_argument("--chunk", required=True, help="hash of the chunk")
    chunk.add_argument("--log", help="file for progress lines")

    collect = commands.add_parser("collect", help="gather chunks into tables")
    collect.add_argument("--chunks", required=True, help="directory of the chunks")

    figures = commands.add_parser("figures", help="draw wall position against time")
    figures.add_argument("--tables", required=True, help="directory that `collect` wrote")

    for command in (chunk, collect, figures):
        command.add_argument("--config", required=True, help="JSON file with the device_sims section and the seed")
        command.add_argument("--output", required=True, help="directory to write to")
    arguments = parser.parse_args()
    section = config.check_section(files.read_json(arguments.config), "device_sims", arguments.config)

    if arguments.command == "chunk":
        # One thread a process: processes are the parallelism, and the number of threads must not change a result.
        os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
        from device_sims import sweep

        sweep.run_chunk(section, arguments.chunk, arguments.output, arguments.log)
    elif arguments.command == "collect":
        from device_sims import sweep

        sweep.collect(section, arguments.chunks, arguments.output)
    else:
        from device_sims import figures as drawing

        directory = Path(arguments.tables)
        drawing.wall_position(
            files.read_table(directory / "trajectories.parquet"),
            files.read_table(directory / "pulses.csv"),
            section["domain_wall"]["wall"]["rest_s"],
            Path(arguments.output) / "wall_position.png",
        )


if __name__ == "__main__":
    run_cli(main)
