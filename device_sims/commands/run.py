"""Run one problem file (docs/problem_file.md)."""

from __future__ import annotations

import argparse

from device_sims.common import Simulations
from device_sims.problem.problem_file import ProblemFile
from device_sims.single.run import run as run_problem
from spinloom.command_line import add_key, whole_number


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("problem", help="problem file (YAML)")
    add_key(parser, "--engine", Simulations, "engine", default="llg")
    parser.add_argument("--output", required=True, help="directory of this run; the same command goes on in it")
    parser.add_argument(
        "--replicas", type=whole_number("--replicas", 1, 10**6), help="number of repetitions, each with its own noise"
    )
    add_key(parser, "--seed", ProblemFile, "seed", default=None)
    parser.add_argument("--raw", help="new directory in which OOMMF's own files are kept")


def run(arguments: argparse.Namespace) -> None:
    own = (arguments.replicas, arguments.seed, arguments.raw)
    run_problem(arguments.problem, arguments.engine, arguments.output, *own)
