"""Run one problem file on several engines (docs/engines.md)."""

from __future__ import annotations

import argparse

from device_sims.problem.problem_file import ProblemFile
from device_sims.single.engines_compared import compare
from spinloom.command_line import add_key, whole_number


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("problem", help="problem file (YAML)")
    parser.add_argument("--engines", help="names, separated by commas (default: all but the reduced models)")
    parser.add_argument("--output", required=True, help="directory of this comparison; the same command goes on in it")
    parser.add_argument(
        "--replicas", type=whole_number("--replicas", 2, 10**6), help="number of repetitions, with a temperature"
    )
    add_key(parser, "--seed", ProblemFile, "seed", default=None)


def run(arguments: argparse.Namespace) -> None:
    names = arguments.engines and [name.strip() for name in arguments.engines.split(",")]
    compare(arguments.problem, names, arguments.output, arguments.replicas, arguments.seed)
