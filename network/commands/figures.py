"""Draw the figures of the stage."""

from __future__ import annotations

import argparse
from pathlib import Path

from network.results.figures import draw_all


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--summary", type=Path, required=True, help="directory of the tables")
    parser.add_argument("--output", type=Path, required=True, help="directory for the figures")


def run(arguments: argparse.Namespace) -> None:
    draw_all(arguments.summary, arguments.output)
