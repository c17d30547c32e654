"""Set the numbers of studies beside those of the papers that they stand for."""

from __future__ import annotations

import argparse
from pathlib import Path

from network.results.systems import collect
from spinloom.files import write_sealed


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--studies", type=Path, nargs="+", required=True, help="directories of the studies")
    parser.add_argument("--output", type=Path, required=True, help="CSV file for the table")


def run(arguments: argparse.Namespace) -> None:
    write_sealed(collect(arguments.studies), arguments.output)
