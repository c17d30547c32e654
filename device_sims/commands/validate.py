"""Check the engines against references (docs/validation.md)."""

from __future__ import annotations

import argparse

from device_sims.validation.run import validate
from spinloom.command_line import whole_number


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", default="results/validation", help="directory to write to (default: %(default)s)")
    parser.add_argument("--only", nargs="+", default=[], metavar="GROUP", help="run only these groups of checks")
    parser.add_argument("--quick", action="store_true", help="the short subset")
    parser.add_argument("--jobs", type=whole_number("--jobs", 1), default=1, help="processes (default: 1)")
    parser.add_argument("--engine", default="llg", help="engine for the problems of other codes (default: llg)")
    parser.add_argument("--strict", action="store_true", help="exit with 1 if a row is outside its tolerance")


def run(arguments: argparse.Namespace) -> None:
    table = validate(arguments.output, arguments.only, arguments.quick, arguments.jobs, arguments.engine)
    misses = table[~table["pass"].astype(bool)]
    for row in misses.itertuples():
        print(f"outside its tolerance: {row.group}: {row.test}, {row.quantity}: {row.obtained:.6g}")
    print(f"{len(table) - len(misses)} of {len(table)} rows pass: {arguments.output}/validation.md")
    if arguments.strict and len(misses):
        raise SystemExit(1)
