"""Command line of stage 1.

``chunk | collect | figure`` serve sweeps; ``run`` computes one problem, ``compare`` computes it on several engines, and
``validate`` checks the engines.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from device_sims.config import Stage
from spinloom import files, gpus
from spinloom.command_line import run_cli
from spinloom.errors import UserError


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m device_sims", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    chunk = commands.add_parser("chunk", help="simulate one chunk of a sweep")
    chunk.add_argument("--chunk", required=True, help="hash of the chunk")
    chunk.add_argument("--log", help="file for progress lines")

    collect = commands.add_parser("collect", help="gather chunks into tables")
    collect.add_argument("--chunks", required=True, help="directory of the chunks")

    figure = commands.add_parser("figure", help="draw how the device answers its pulses")
    figure.add_argument("--tables", required=True, help="directory that `collect` wrote")

    for command in (chunk, collect, figure):
        command.add_argument("--config", required=True, help="JSON file with the device_sims section and the seed")
        command.add_argument("--output", required=True, help="directory to write to")

    run = commands.add_parser("run", help="run one problem file (docs/problem_file.md)")
    run.add_argument("problem", help="problem file (YAML)")
    run.add_argument("--engine", default="llg", help="who computes it (default: llg)")
    run.add_argument("--output", required=True, help="directory of this run; the same command goes on in it")
    run.add_argument(
        "--replicas", type=_count("--replicas", 1, 10**6), help="repetitions with a thermal noise of their own"
    )
    run.add_argument("--seed", type=_count("--seed", 0), help="in place of the file's")
    run.add_argument("--raw", help="new directory in which OOMMF's own files are kept")

    compare = commands.add_parser("compare", help="run one problem file on several engines (docs/engines.md)")
    compare.add_argument("problem", help="problem file (YAML)")
    compare.add_argument("--engines", help="names with commas between (default: all but the reduced models)")
    compare.add_argument("--output", required=True, help="directory of this comparison; the same command goes on in it")
    compare.add_argument("--replicas", type=_count("--replicas", 2, 10**6), help="repetitions, with a temperature")
    compare.add_argument("--seed", type=_count("--seed", 0), help="in place of the file's")

    validate = commands.add_parser("validate", help="check the engines against references (docs/validation.md)")
    validate.add_argument("--output", default="results/validation", help="directory to write to (default: %(default)s)")
    validate.add_argument("--only", nargs="+", default=[], metavar="GROUP", help="these groups of checks only")
    validate.add_argument("--quick", action="store_true", help="the short subset")
    validate.add_argument("--jobs", type=_count("--jobs", 1), default=1, help="processes (default: 1)")
    validate.add_argument("--engine", default="llg", help="who solves the problems of other codes (default: llg)")
    validate.add_argument("--strict", action="store_true", help="exit with 1 if a row is outside its tolerance")

    commands.add_parser("engines", help="list the engines and whether each can run here")
    commands.add_parser("schema", help="print the JSON Schema of problem files")
    arguments = parser.parse_args()
    # One thread a process: processes are the parallelism, and the number of threads must not change a result.
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

    if arguments.command == "schema":
        from device_sims.problem import problem_file

        print(json.dumps(problem_file.schema(), indent=1))
    elif arguments.command == "engines":
        from device_sims.single.run import show_engines

        show_engines()
    elif arguments.command == "run":
        from device_sims.single.run import run as run_problem

        own = (arguments.replicas, arguments.seed, arguments.raw)
        run_problem(arguments.problem, arguments.engine, arguments.output, *own)
    elif arguments.command == "compare":
        from device_sims.single.engines_compared import compare as compare_engines

        names = arguments.engines and [name.strip() for name in arguments.engines.split(",")]
        compare_engines(arguments.problem, names, arguments.output, arguments.replicas, arguments.seed)
    elif arguments.command == "validate":
        from device_sims.validation.run import validate as run_checks

        table = run_checks(arguments.output, arguments.only, arguments.quick, arguments.jobs, arguments.engine)
        misses = table[~table["pass"].astype(bool)]
        for row in misses.itertuples():
            print(f"outside its tolerance: {row.group}: {row.test}, {row.quantity}: {row.obtained:.6g}")
        print(f"{len(table) - len(misses)} of {len(table)} rows pass: {arguments.output}/validation.md")
        if arguments.strict and len(misses):
            raise SystemExit(1)
    else:
        _sweep(arguments)


def _sweep(arguments: argparse.Namespace) -> None:
    section = Stage.parse(files.read_json(arguments.config), arguments.config).dump()
    if arguments.command == "chunk":
        gpus.claim()
        from device_sims.sweep import sweep

        sweep.run_chunk(section, arguments.chunk, arguments.output, arguments.log)
    elif arguments.command == "collect":
        from device_sims.sweep import sweep

        sweep.collect(section, arguments.chunks, arguments.output)
    else:
        from device_sims import devices

        names = ("events.parquet", "trajectories.parquet", "pulses.csv", "summary.csv")
        tables = {name.split(".")[0]: files.read_table(Path(arguments.tables) / name) for name in names}
        devices.family(section).draw(section, tables, Path(arguments.output) / "device_response.png")


def _count(option: str, least: int, most: int = 2**53):
    """Return an option's type: whole numbers from ``least`` to ``most``; beyond 2^53 JSON is not exact."""

    def whole_number(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise UserError(f"{option}: found {text!r}, allowed: whole numbers from {least} to {most}")
        return int(text)

    return whole_number


if __name__ == "__main__":
    run_cli(main)
