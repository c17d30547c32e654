"""Set the points of a scan side by side: a table and two figures."""

from __future__ import annotations

import argparse
from pathlib import Path

from network.results.scan_table import along, collect, pareto
from spinloom.files import read_json, write_sealed


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, required=True, help="JSON: the labels of each point by its name")
    parser.add_argument("--studies", type=Path, required=True, help="directory of the points")
    parser.add_argument("--output", type=Path, required=True, help="CSV file for the table")
    parser.add_argument("--figures", type=Path, required=True, help="directory for scan.png and pareto.png")


def run(arguments: argparse.Namespace) -> None:
    points = read_json(arguments.config)
    table = collect(points, arguments.studies)
    write_sealed(table, arguments.output)
    along(table, list(next(iter(points.values()))), arguments.figures / "scan.png")
    pareto(table, arguments.figures / "pareto.png")
