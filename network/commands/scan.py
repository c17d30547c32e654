"""Set the points of a scan side by side in a table."""

from __future__ import annotations

import argparse
from pathlib import Path

from network.results.scan_table import collect
from spinloom.errors import UserError
from spinloom.files import read_json, write_sealed


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, required=True, help="JSON: the labels of each point by its name")
    parser.add_argument("--studies", type=Path, required=True, help="directory of the points")
    parser.add_argument("--output", type=Path, required=True, help="CSV file for the table")


def run(arguments: argparse.Namespace) -> None:
    points = read_json(arguments.config)
    if not isinstance(points, dict) or not all(isinstance(labels, dict) for labels in points.values()):
        raise UserError(
            f"{arguments.config}: found no points, allowed: a mapping from the name of each point to its labels"
        )
    write_sealed(collect(points, arguments.studies), arguments.output)
