"""Gather the wells of a study's devices into one table."""

from __future__ import annotations

import argparse

from device_sims.barriers.rest import gather


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("tables", nargs="+", help="a CSV file of each device, in order")
    parser.add_argument("--output", required=True, help="CSV file to write")


def run(arguments: argparse.Namespace) -> None:
    gather.collect(arguments.tables, arguments.output)
